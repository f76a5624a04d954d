package odf

import (
	"bytes"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// part is one XML part on its way: what the rules name passes as it was written, the rest stays behind.
type part struct {
	*document
	dir, name  string
	depth      int  // of objects that may still be entered
	shown      bool // its text goes to the preview
	x          *markup.Reader
	out        bytes.Buffer
	frames     []frame
	paragraphs int // open paragraphs
	heard      *hearing
	spot       spot

	style        string          // that is being read, with its family in front
	hiddenStyles map[string]bool // those that hid
}

// frame is an open element.
type frame struct {
	tag       []byte // as written, nil when nothing was
	name      string
	paragraph bool
}

func (p *part) filter(b []byte) ([]byte, error) {
	var err error
	if p.x, err = markup.New(b, spaces); err != nil {
		return nil, err
	}
	if p.Heard != nil && strings.HasSuffix(p.name, "content.xml") {
		p.heard = &hearing{p: p}
	}
	p.hiddenStyles = map[string]bool{}
	p.out.Grow(len(b))
	p.out.WriteString(xmlHead)
	var t markup.Token
	for n := 0; ; n++ {
		if n&0xFFF == 0 && p.Ctx.Err() != nil {
			return nil, p.Ctx.Err()
		}
		if err := p.x.Next(&t); err != nil {
			return nil, err
		}
		switch t.Kind {
		case markup.EOF:
			return p.out.Bytes(), nil
		case markup.Start:
			if err := p.start(&t); err != nil {
				return nil, err
			}
		case markup.End:
			p.end()
		case markup.Text:
			p.out.Write(t.Text)
			if p.heard != nil && p.paragraphs > 0 {
				p.heard.text.Write(markup.Unescape(t.Text))
			}
			p.show(p.before, t.Text)
			p.show(p.after, t.Text)
		}
	}
}

func (p *part) show(e *rebuild.Excerpt, escaped []byte) {
	if !p.shown || p.paragraphs == 0 || e.Full() {
		return
	}
	for _, r := range string(markup.Unescape(escaped)) {
		e.Add(r)
	}
}

func (p *part) note(code, detail string) {
	switch code {
	case "":
	case "odf.unknown": // a program of a later year writes one in every paragraph
		p.Found.Add(code, p.name, verdict.Removed, detail)
	default:
		p.Found.Add(code, p.where(), verdict.Removed, detail)
	}
}

// drop leaves an element behind with all that is in it.
func (p *part) drop(code, detail string) error {
	p.note(code, detail)
	return p.x.Skip(func(t *markup.Token) {
		if t.Kind == markup.Text {
			p.show(p.before, t.Text)
		}
	})
}

func (p *part) start(t *markup.Token) error {
	name := t.NS + ":" + t.Local
	if len(p.frames) == 0 && (t.NS != "office" && name != "math:math" || t.Local == "document") { // math:math begins a formula; office:document is the flat form
		return rebuild.Refuse("odf.broken", "", "document element "+t.Local)
	}
	if len(p.frames) == 0 && p.name == "content.xml" {
		p.version = p.attr(t, "office:version")
	}
	if t.NS == "" || strings.HasPrefix(t.NS, markup.Unknown) || t.NS == "manifest" {
		return p.drop("odf.unknown", t.Local)
	}
	if t.NS == "script" {
		return p.drop("odf.macros", "")
	}
	if code, ok := removed[name]; ok {
		if name == "office:scripts" && t.Empty {
			code = "" // LibreOffice always writes it
		}
		return p.drop(code, t.Local)
	}
	if p.Policy.Comments == "remove" {
		switch name {
		case "office:annotation", "office:annotation-end":
			return p.drop("odf.comments", "")
		case "text:tracked-changes", "table:tracked-changes", "text:change", "text:change-start", "text:change-end":
			return p.drop("odf.changes", "")
		}
	}
	if code, ok := plainText[name]; ok {
		p.note(code, t.Local)
		return p.asSpan(t)
	}
	if !known()[name] {
		if p.paragraphs > 0 && !slices.ContainsFunc(t.Attrs, func(a markup.Attr) bool { return declaration(a.Name) }) {
			p.note("odf.unknown", t.Local)
			p.frames = append(p.frames, frame{name: name}) // its text belongs to the paragraph
			return nil
		}
		return p.drop("odf.unknown", t.Local)
	}
	if p.hidden(t, name) {
		return p.drop("odf.hidden-gone", "")
	}
	switch name {
	case "config:config-item":
		if !p.settingStays(t) {
			return p.drop("odf.settings", "")
		}
	case "presentation:event-listener":
		if !actions[p.attr(t, "presentation:action")] {
			return p.drop("odf.macros", p.attr(t, "presentation:action"))
		}
	case "math:annotation-xml", "math:maction", "math:mglyph":
		return p.drop("odf.unknown", t.Local)
	}
	return p.write(t, name)
}

// asSpan writes a field as the text that it shows.
func (p *part) asSpan(t *markup.Token) error {
	prefix, _ := markup.Cut(t.Name)
	kept := t.Attrs[:0:0]
	for _, a := range t.Attrs {
		if declaration(a.Name) {
			kept = append(kept, a)
		}
	}
	p.begin(t, append(append(bytes.Clone(prefix), ':'), "span"...), kept)
	return nil
}

func declaration(name []byte) bool {
	return string(name) == "xmlns" || bytes.HasPrefix(name, []byte("xmlns:"))
}

// attr is the value of an attribute by its short name.
func (p *part) attr(t *markup.Token, name string) string {
	for _, a := range t.Attrs {
		if ns, local, err := p.x.AttrName(a); err == nil && ns+":"+string(local) == name {
			return string(markup.Unescape(a.Value))
		}
	}
	return ""
}

// settingStays tells settings that are numbers and switches of the layout from those that name printers, data or files.
func (p *part) settingStays(t *markup.Token) bool {
	name := p.attr(t, "config:name")
	switch p.attr(t, "config:type") {
	case "boolean", "short", "int", "long", "double":
		return !unwanted[name]
	case "string":
		return settings[name]
	}
	return false
}

// write passes the element with the attributes that may pass.
func (p *part) write(t *markup.Token, name string) error {
	kept := t.Attrs[:0:0]
	for _, a := range t.Attrs {
		if declaration(a.Name) {
			kept = append(kept, a)
			continue
		}
		ns, local, err := p.x.AttrName(a)
		if err != nil {
			return err
		}
		if ns+":"+string(local) == "xlink:href" {
			value, stays, err := p.reference(name, string(markup.Unescape(a.Value)))
			switch {
			case err != nil:
				return err
			case stays && value != "":
				a.Value = markup.Escape([]byte(value))
				kept = append(kept, a)
			case stays:
			case name == "text:a":
				return p.asSpan(t)
			default:
				return p.drop("", "")
			}
			continue
		}
		if p.attributeStays(t, name, ns, string(local), &a) {
			kept = append(kept, a)
		}
	}
	if name == "draw:image" && p.attr(t, "xlink:href") == "" {
		return p.drop("", "") // its picture was written into the element, and is gone
	}
	p.begin(t, t.Name, kept)
	return nil
}

// reference judges where an element points. A reference that stays with an empty value loses only the attribute.
func (p *part) reference(name, href string) (value string, stays bool, err error) {
	switch {
	case links[name]:
		inside := strings.HasPrefix(href, "#")
		if rebuild.SafeURL(href) && (inside || p.Policy.Links != "remove") {
			return href, true, nil
		}
		p.note("odf.link", href)
		return "#", name != "text:a", nil
	case pictures[name]:
		if p.inside(p.dir, href) == "" {
			p.note("odf.external", href)
			return "", false, nil
		}
		value, err = p.picture(p.dir, href)
		return value, value != "", err
	case name == "draw:object":
		value, ok, err := p.object(p.dir, href, p.depth)
		if err == nil && !ok {
			p.note("odf.object", href)
		}
		return value, ok, err
	case name == "chart:chart" && (href == ".." || href == "."):
		return href, true, nil
	case href != "":
		code := "odf.external"
		if strings.HasPrefix(name, "form:") {
			code = "odf.form"
		}
		p.note(code, href)
	}
	return "", true, nil
}

// attributeStays judges any other attribute.
func (p *part) attributeStays(t *markup.Token, element, ns, local string, a *markup.Attr) bool {
	name := ns + ":" + local
	value := string(markup.Unescape(a.Value))
	switch {
	case t.NS == "math" && ns == "":
		return local != "href" && local != "src" && local != "altimg" && local != "actiontype" && !strings.HasPrefix(local, "on")
	case ns == "" || strings.HasPrefix(ns, markup.Unknown):
		return false
	case ns == "script":
		return name == "script:event-name" && element == "presentation:event-listener" && strings.HasPrefix(value, "dom:")
	case droppedAttributes[name]:
		if strings.HasPrefix(name, "form:") && value != "" && name != "form:command-type" && name != "form:escape-processing" {
			p.note("odf.form", local)
		}
		return false
	case name == "form:control-implementation":
		return strings.HasPrefix(value, "ooo:com.sun.star.form.component.") || strings.HasPrefix(value, "com.sun.star.form.component.")
	case name == "text:url":
		return rebuild.SafeURL(value) && (p.Policy.Links != "remove" || strings.HasPrefix(value, "#"))
	case formulas[name] && (dangerous(value) || p.Policy.Links == "remove" && linksOut(value)):
		p.note("odf.formula", "")
		return false
	case hides[name] != "" && value == hides[name]:
		return p.hidingStays(element)
	}
	return true
}

// linksOut tells a formula that holds an address.
func linksOut(formula string) bool {
	upper := strings.ToUpper(formula)
	return strings.Contains(upper, "HYPERLINK") && (strings.Contains(upper, "://") || strings.Contains(upper, "MAILTO:"))
}

func (p *part) begin(t *markup.Token, tag []byte, attrs []markup.Attr) {
	p.out.WriteByte('<')
	p.out.Write(tag)
	for _, a := range attrs {
		p.out.WriteByte(' ')
		p.out.Write(a.Name)
		p.out.WriteString(`="`)
		p.out.Write(a.Value)
		p.out.WriteByte('"')
	}
	f := frame{name: t.NS + ":" + t.Local, paragraph: t.NS == "text" && (t.Local == "p" || t.Local == "h")}
	if f.paragraph {
		p.paragraphs++
	}
	p.spot.begin(f.name, func(name string) string { return p.attr(t, name) })
	if p.heard != nil {
		p.heard.begin(f.name, func(name string) string { return p.attr(t, name) })
	}
	if t.Empty {
		p.out.WriteString("/>")
	} else {
		p.out.WriteByte('>')
		f.tag = bytes.Clone(tag)
	}
	p.frames = append(p.frames, f)
}

func (p *part) end() {
	f := p.frames[len(p.frames)-1]
	p.frames = p.frames[:len(p.frames)-1]
	if f.tag != nil {
		p.out.WriteString("</")
		p.out.Write(f.tag)
		p.out.WriteByte('>')
	}
	p.spot.end(f.name)
	if p.heard != nil {
		p.heard.end(f.name)
	}
	if f.paragraph {
		if p.paragraphs--; p.paragraphs == 0 && p.shown {
			p.before.Line()
			p.after.Line()
		}
	}
}
