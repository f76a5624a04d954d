package office

import (
	"bytes"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// filter writes one XML part again, token by token: what the rules name passes as it was written, the rest stays behind.
func (o *office) filter(p *part, b []byte) ([]byte, error) {
	f := &partFilter{office: o, part: p, plain: plainElements(), slidesGone: map[string]bool{}}
	f.out.Grow(len(b))
	plan, err := fieldPlan(b)
	if err != nil {
		return nil, err
	}
	for i := range plan {
		plan[i].bad = plan[i].bad || o.linksOut(string(plan[i].instr))
	}
	f.fields.plan = plan
	if o.Heard != nil {
		f.heard = &hearing{o: o, place: p.place(), strings: o.strings}
	}
	if f.x, err = markup.New(b, spaces); err != nil {
		return nil, err
	}
	f.out.WriteString(xmlHead)
	var t markup.Token
	for n := 0; ; n++ {
		if n&0xFFF == 0 && o.Ctx.Err() != nil {
			return nil, o.Ctx.Err()
		}
		if f.plainCell() {
			continue
		}
		if err := f.x.Next(&t); err != nil {
			return nil, err
		}
		switch t.Kind {
		case markup.EOF:
			f.payRest()
			return f.out.Bytes(), harmlessStill(f.out.Bytes())
		case markup.Start:
			if err := f.start(&t); err != nil {
				return nil, err
			}
		case markup.End:
			f.end()
		case markup.Text:
			f.text(&t)
		}
	}
}

type partFilter struct {
	*office
	part   *part
	x      *markup.Reader
	plain  map[element]bool
	out    bytes.Buffer
	frames []frame
	fields fieldWalk

	sharedGone map[string]bool // shared formulas of this sheet whose text was removed
	cell       string          // of a sheet that is being read
	slidesGone map[string]bool // numbers of slides that were left out, which sections name
	ole        []oleFrame
	heard      *hearing
	spot       spot
	kept       []markup.Attr // of the element that is being written
	madeShown  bool          // a hidden sheet was shown because no other was left
}

// frame is an open element of the source.
type frame struct {
	element
	silent  bool          // its own tags are not written
	written bool          // its start tag was
	name    []byte        // as written; a piece of the source, or made anew
	before  int           // length of the output before its start tag
	after   int           // and after it
	removed bool          // something inside was removed, at any depth
	carry   []markup.Attr // namespace declarations of tags that were not written, owed by the children
	alt     *alternate
}

// alternate is an open mc:AlternateContent: its tag is written with the first choice that stays. When none does, the
// fallback's content takes its place.
type alternate struct {
	tag     []byte
	written bool
	done    bool // the fallback has come
}

// oleFrame is a graphic frame with an OLE object; only its preview picture is written, with the frame's identity.
type oleFrame struct {
	depth    int // of the frame in f.frames
	id, name []byte
	done     bool
}

func (f *partFilter) top() *frame {
	if len(f.frames) == 0 {
		return &frame{}
	}
	return &f.frames[len(f.frames)-1]
}

func (f *partFilter) note(code, detail string) {
	switch code {
	case "":
	case "ooxml.unknown-element": // a program of a later year writes one in every paragraph
		f.Found.Add(code, f.cellOrPart(), verdict.Removed, detail)
	default:
		f.Found.Add(code, f.where(), verdict.Removed, detail)
	}
}

// where is the place that is being read, as its reader knows it: of a sheet with the cell, of a text with the paragraph or the row.
func (f *partFilter) where() string {
	return f.cellOrPart() + f.spot.String()
}

func (f *partFilter) cellOrPart() string {
	if f.cell == "" || f.part.title == "" {
		return f.part.at()
	}
	return f.part.title + "!" + f.cell
}

// drop skips the element whose start was just read. Its text belongs to what the original showed, and its field marks to the
// plan.
func (f *partFilter) drop(t *markup.Token, code, detail string) error {
	f.note(code, detail)
	f.top().removed = true
	inText := textElement(element{t.NS, t.Local})
	return f.x.Skip(func(t *markup.Token) {
		switch t.Kind {
		case markup.Start:
			f.pay(t)
			inText = textElement(element{t.NS, t.Local})
			if t.NS == "w" && t.Local == "fldChar" {
				f.fields.mark(attrW(f.x, t, "fldCharType"))
			}
		case markup.End:
			inText = false
		case markup.Text:
			if inText {
				f.show(f.office.before, t.Text)
			}
		}
	})
}

// show adds text, escaped as in the source, to an excerpt.
func (f *partFilter) show(e *rebuild.Excerpt, escaped []byte) {
	if !e.Full() {
		for _, r := range string(markup.Unescape(escaped)) {
			e.Add(r)
		}
	}
}

// textElement tells elements that hold what a reader sees.
func textElement(e element) bool {
	return e.local == "t" && (e.ns == "w" || e.ns == "a" || e.ns == "x")
}

// reported tells whether the element's relationship was already reported when it was removed.
func (f *partFilter) reported(t *markup.Token) bool {
	for _, a := range t.Attrs {
		if ns, _, err := f.x.AttrName(a); err == nil && ns == "r" {
			if l := f.part.byID[string(markup.Unescape(a.Value))]; l != nil && !l.kept() {
				return true
			}
		}
	}
	return false
}

// lost tells whether the element stands for a part that is gone.
func (f *partFilter) lost(t *markup.Token) bool {
	for _, a := range t.Attrs {
		if ns, local, err := f.x.AttrName(a); err == nil && ns == "r" && string(local) == "id" {
			return !f.part.byID[string(markup.Unescape(a.Value))].kept()
		}
	}
	return false
}

func (f *partFilter) start(t *markup.Token) error {
	e := element{t.NS, t.Local}
	f.pay(t)
	vmlRoot := t.NS == "" && t.Local == "xml" && f.part.contentType == ctVML && len(f.frames) == 0 // the root of a VML drawing
	if strings.HasPrefix(t.NS, markup.Unknown) || t.NS == "" && !vmlRoot || t.NS == "rel" || t.NS == "ct" {
		if len(f.frames) == 0 {
			return brokenPart("document element " + t.Local)
		}
		uri := strings.TrimPrefix(t.NS, markup.Unknown)
		if uri == "" && f.part.contentType == ctVML {
			return f.drop(t, "", "") // HTML in a text box that is drawn from the cell's note anyway
		}
		if code, ok := removedSpaces[uri]; ok {
			return f.drop(t, code, "")
		}
		return f.drop(t, "ooxml.unknown-element", uri+" "+t.Local)
	}
	if !f.plain[e] {
		if code, ok := removedElements[e]; ok && !(e == element{"p", "oleObj"} && len(f.ole) > 0) {
			if f.reported(t) {
				code = ""
			}
			return f.drop(t, code, "")
		}
		if !knownElements()[e] {
			if len(f.frames) == 0 {
				return brokenPart("document element " + t.Local)
			}
			return f.drop(t, "ooxml.unknown-element", t.Local)
		}
	}
	if n := len(f.ole); n > 0 {
		if handled, err := f.insideOLE(&f.ole[n-1], t); handled || err != nil {
			return err
		}
	}
	if f.noComments() && (commentMarks[e] || e == element{"v", "shape"} && f.isNote()) {
		return f.drop(t, "", "")
	}
	if f.hidden(t, e) {
		return f.drop(t, "", "")
	}
	switch e.ns {
	case "mc":
		return f.alternateContent(t)
	case "w":
		if handled, err := f.word(t); handled || err != nil {
			return err
		}
	case "x":
		if handled, err := f.sheet(t); handled || err != nil {
			return err
		}
	case "xvml":
		if t.Local == "ClientData" && attr(t, "ObjectType") == "Movie" {
			return f.drop(t, "ooxml.media", "")
		}
	case "ms:powerpoint/2010/main":
		if t.Local == "sldId" && f.slidesGone[attr(t, "id")] {
			return f.drop(t, "", "")
		}
	case "p":
		if t.Local == "sldId" && f.lost(t) {
			f.slidesGone[attr(t, "id")] = true
		}
		if t.Local == "cmd" && !harmlessCommand(attr(t, "type"), attr(t, "cmd")) {
			return f.drop(t, "ooxml.macro-call", attr(t, "cmd"))
		}
		if t.Local == "graphicFrame" {
			if o, ok, err := f.oleInside(); err != nil {
				return err
			} else if ok {
				f.note("ooxml.ole", "")
				f.top().removed = true
				o.depth = len(f.frames)
				f.ole = append(f.ole, o)
				f.open(t, true)
				return nil
			}
		}
	}
	if formulaElement(e) {
		return f.formula(t)
	}
	return f.write(t, t.Name)
}

// write passes the element with the attributes that may pass, or drops it when it needs a relationship that is gone.
func (f *partFilter) write(t *markup.Token, name []byte) error {
	attrs, gone, err := f.attributes(t)
	if err != nil {
		return err
	}
	if gone {
		return f.drop(t, "", "")
	}
	f.begin(t, name, attrs)
	return nil
}

func (f *partFilter) begin(t *markup.Token, name []byte, attrs []markup.Attr) {
	before := f.out.Len()
	tag := append(append(f.out.AvailableBuffer(), '<'), name...)
	for _, a := range attrs {
		tag = appendAttr(tag, a)
	}
	for _, c := range f.top().carry {
		if !declares(attrs, c.Name) {
			tag = appendAttr(tag, c)
		}
	}
	if t.Empty {
		tag = append(tag, '/')
	}
	f.out.Write(append(tag, '>'))
	if f.heard != nil {
		f.heard.begin(element{t.NS, t.Local}, t)
	}
	f.spot.begin(element{t.NS, t.Local})
	f.frames = append(f.frames, frame{element: element{t.NS, t.Local}, silent: t.Empty, written: true, name: name, before: before, after: f.out.Len()})
}

// open takes an element whose tags are not written; its namespace declarations go to its children.
func (f *partFilter) open(t *markup.Token, silent bool) {
	carry := f.top().carry
	for _, a := range t.Attrs {
		if isDeclaration(a.Name) {
			carry = append(carry[:len(carry):len(carry)], markup.Attr{Name: bytes.Clone(a.Name), Value: bytes.Clone(a.Value)})
		}
	}
	f.spot.begin(element{t.NS, t.Local})
	f.frames = append(f.frames, frame{element: element{t.NS, t.Local}, silent: silent, before: f.out.Len(), after: f.out.Len(), carry: carry})
}

func appendAttr(b []byte, a markup.Attr) []byte {
	b = append(append(append(b, ' '), a.Name...), '=', '"')
	return append(append(b, a.Value...), '"')
}

func isDeclaration(name []byte) bool {
	return string(name) == "xmlns" || bytes.HasPrefix(name, []byte("xmlns:"))
}

func declares(attrs []markup.Attr, name []byte) bool {
	for _, a := range attrs {
		if bytes.Equal(a.Name, name) {
			return true
		}
	}
	return false
}

func (f *partFilter) end() {
	fr := f.frames[len(f.frames)-1]
	f.frames = f.frames[:len(f.frames)-1]
	f.spot.end(fr.element)
	if n := len(f.ole); n > 0 && f.ole[n-1].depth == len(f.frames) {
		f.ole = f.ole[:n-1]
	}
	if fr.removed {
		f.top().removed = true
	}
	if fr.element == (element{"x", "c"}) {
		f.cell = ""
	}
	if f.heard != nil && fr.written {
		f.heard.end(fr.element)
	}
	if fr.alt != nil && fr.alt.written {
		f.out.WriteString("</")
		f.out.Write(fr.name)
		f.out.WriteByte('>')
	}
	if fr.silent {
		return
	}
	if fr.removed && fr.element == (element{"p", "timing"}) || // its nodes refer to what was removed
		fr.removed && prunedWhenEmptied[fr.local] && len(bytes.TrimSpace(f.out.Bytes()[fr.after:])) == 0 {
		f.out.Truncate(fr.before)
		if alt := f.top().alt; alt != nil && fr.local == "Choice" && bytes.HasSuffix(f.out.Bytes(), alt.tag) {
			f.out.Truncate(f.out.Len() - len(alt.tag)) // the first choice had brought the tag
			alt.written = false
		}
		return
	}
	f.out.WriteString("</")
	f.out.Write(fr.name)
	f.out.WriteByte('>')
	switch fr.element {
	case element{"w", "p"}, element{"a", "p"}, element{"x", "si"}, element{"w", "br"}:
		f.before.Line()
		f.after.Line()
	}
}

func (f *partFilter) text(t *markup.Token) {
	fr := f.top()
	shown := textElement(fr.element)
	if shown {
		f.show(f.office.before, t.Text)
	}
	if fr.silent {
		return
	}
	f.out.Write(t.Text)
	if f.heard != nil && hears(fr.element) {
		f.heard.text = append(f.heard.text, markup.Unescape(t.Text)...)
	}
	if shown {
		f.show(f.office.after, t.Text)
	}
}
