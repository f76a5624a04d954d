package odf

import (
	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// What nobody sees is hidden by a style: of a sheet, of a slide, of text. By default it is told. On a route that wants it out, elements
// of such a style go, and the styles lose what hides: what still has one of another part's is seen then.

// hides tells attributes that hide, and by which value.
var hides = map[string]string{"table:display": "false", "text:display": "none", "presentation:visibility": "hidden"}

// families of styles by the elements that they are for.
var families = map[string]string{"table:table": "table", "draw:page": "drawing-page", "text:span": "text", "text:p": "paragraph", "text:h": "paragraph"}

// styleOf is the style that an element has, with its family in front; "" for elements that none hides.
func (p *part) styleOf(t *markup.Token, name string) string {
	family := families[name]
	if family == "" {
		return ""
	}
	attr := t.NS + ":style-name"
	return family + "/" + p.attr(t, attr)
}

// hidden tells of what nobody sees, and answers whether the element goes.
func (p *part) hidden(t *markup.Token, name string) (goes bool) {
	switch name {
	case "style:style":
		p.style = p.attr(t, "style:family") + "/" + p.attr(t, "style:name")
		return false
	case "text:hidden-text", "text:hidden-paragraph":
		goes = true
	case "text:section":
		goes = p.attr(t, "text:display") == "none"
	case "table:table-row", "table:table-column":
		if v := p.attr(t, "table:visibility"); v == "collapse" || v == "filter" {
			p.Found.First("odf.hidden", p.where(), verdict.Reported, "")
		}
	default:
		goes = p.hiddenStyles[p.styleOf(t, name)]
	}
	if goes && p.Policy.Hidden != "remove" {
		p.Found.First("odf.hidden", p.where(), verdict.Reported, "")
		return false
	}
	return goes
}

// hidingStays judges an attribute that hides: it is told, or goes, and the style that it stands in is remembered.
func (p *part) hidingStays(element string) bool {
	if p.Policy.Hidden != "remove" {
		p.Found.First("odf.hidden", p.where(), verdict.Reported, "")
		return true
	}
	if element != "text:section" {
		p.hiddenStyles[p.style] = true
	}
	return false
}
