package office

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/container"
	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// link is a relationship of a part. to is nil when it was removed, or when the target is an address (keepTarget).
type link struct {
	rel
	to         *part
	keepTarget bool
	blank      bool   // an outside picture, now the placeholder
	owed       string // code of the finding that it is gone
}

func (l *link) kept() bool { return l != nil && (l.to != nil || l.keepTarget) }

// shortType brings a relationship type into the form of the rules.
func shortType(typ string) string {
	for _, prefix := range []string{
		"http://schemas.openxmlformats.org/officeDocument/2006/relationships/",
		"http://purl.oclc.org/ooxml/officeDocument/relationships/",
		"http://schemas.microsoft.com/office/",
		"http://schemas.openxmlformats.org/package/2006/relationships/",
		"http://schemas.openxmlformats.org/officeDocument/2006/",
	} {
		if tail, ok := strings.CutPrefix(typ, prefix); ok {
			return tail
		}
	}
	return "?"
}

// decide answers what becomes of a relationship, and the code to report when it goes.
func (o *office) decide(from *part, r rel) (link, string, error) {
	l := link{rel: r}
	short := shortType(r.typ)
	rule, known := relations[short]
	switch {
	case short == "hyperlink":
		if rebuild.SafeURL(r.target) && !o.noLink(r.target) && (r.external || strings.HasPrefix(r.target, "#")) {
			l.keepTarget = true
			return l, "", nil
		}
		return l, "ooxml.link", nil
	case r.external && short == "image":
		l.to, l.blank = o.placeholder(), true
		return l, "ooxml.external", nil
	case o.noComments() && comments[short]:
		return l, "ooxml.comments", nil
	case known && rule.parts == nil:
		return l, rule.code, nil
	case r.external:
		return l, "ooxml.external", nil
	case !known && short != "image":
		return l, "ooxml.unknown-part", nil
	}
	key := o.resolve(from.name, r.target)
	if key == "" {
		if short == "image" {
			l.to = o.placeholder()
		}
		return l, "", nil // it led nowhere before
	}
	ct := o.typeOf(key)
	if p := o.parts[key]; p != nil {
		if p.picture == (short == "image") && (p.picture || slices.Contains(rule.parts, ct)) {
			l.to = p
		}
		return l, "", nil
	}
	if short == "image" {
		p, code, err := o.picture(key)
		l.to = p
		return l, code, err
	}
	if !slices.Contains(rule.parts, ct) {
		return l, "ooxml.unknown-part", nil
	}
	if o.noPivots && (strings.Contains(short, "ivot") || strings.Contains(short, "slicer") || strings.Contains(short, "timeline")) {
		return l, "ooxml.pivot", nil
	}
	if ct == ctVML && !o.wellFormed(key) {
		return l, "ooxml.unknown-part", nil // Excel writes <br> into it
	}
	if short == "slide" && o.noHidden() && o.hiddenSlide(key) {
		return l, "ooxml.hidden-gone", nil
	}
	l.to = o.add(key, ct)
	return l, "", nil
}

func (o *office) wellFormed(key string) bool {
	b, err := o.Unpack(o.Members[key])
	return err == nil && eachElement(b, "", func(*markup.Reader, *markup.Token) error { return nil }) == nil
}

// checkPivots looks for pivot caches that are fed from outside the workbook: then no pivot table stays alive, only its values.
func (o *office) checkPivots() error {
	for key, f := range o.Members {
		if o.typeOf(key) != ctPivot {
			continue
		}
		b, err := o.Unpack(f)
		if err != nil {
			return err
		}
		err = eachElement(b, f.Name, func(x *markup.Reader, t *markup.Token) error {
			switch (element{t.NS, t.Local}) {
			case element{"x", "cacheSource"}:
				if attr(t, "type") != "worksheet" {
					o.noPivots = true
				}
			case element{"x", "worksheetSource"}, element{"x", "rangeSet"}:
				for _, a := range t.Attrs {
					if ns, _, err := x.AttrName(a); err == nil && ns == "r" {
						o.noPivots = true
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// unreached reports parts that nothing allowed leads to and that no finding speaks of yet.
func (o *office) unreached() {
	count := 0
	for key := range o.Members {
		ct := o.typeOf(key)
		switch {
		case key == container.Key(typesName), strings.HasSuffix(key, ".rels"), o.parts[key] != nil:
		case strings.Contains(ct, "vbaproject"):
			if !o.Found.Reported("ooxml.vba") {
				o.Found.Add("ooxml.vba", "", verdict.Removed, "")
			}
		case strings.Contains(ct, "docprops"), strings.Contains(ct, "-properties+xml"):
		default:
			count++
		}
	}
	if count > 0 && !o.Found.Any() && !o.owes {
		o.Found.Add("ooxml.unknown-part", "", verdict.Removed, fmt.Sprint(count))
	}
}
