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
	f := &partFilter{office: o, part: p, known: knownElements(), slidesGone: map[string]bool{}}
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
		if err := f.x.Next(&t); err != nil {
			return nil, err
		}
		switch t.Kind {
		case markup.EOF:
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
	known  map[element]bool
	out    bytes.Buffer
	frames []frame
	fields fieldWalk

	sharedGone map[string]bool // shared formulas of this sheet whose text was removed
	slidesGone map[string]bool // numbers of slides that were left out, which sections name
	ole        []oleFrame
	heard      *hearing
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
	if code != "" {
		f.Found.Add(code, f.part.name, verdict.Removed, detail)
	}
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
	if code, ok := removedElements[e]; ok && !(e == element{"p", "oleObj"} && len(f.ole) > 0) {
		if f.reported(t) {
			code = ""
		}
		return f.drop(t, code, "")
	}
	if !f.known[e] {
		if len(f.frames) == 0 {
			return brokenPart("document element " + t.Local)
		}
		return f.drop(t, "ooxml.unknown-element", t.Local)
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
	carry := f.top().carry
	f.out.WriteByte('<')
	f.out.Write(name)
	for _, a := range attrs {
		writeAttr(&f.out, a)
	}
	for _, c := range carry {
		if !declares(attrs, c.Name) {
			writeAttr(&f.out, c)
		}
	}
	if t.Empty {
		f.out.WriteByte('/')
	}
	f.out.WriteByte('>')
	if f.heard != nil {
		f.heard.begin(element{t.NS, t.Local}, t)
	}
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
	f.frames = append(f.frames, frame{element: element{t.NS, t.Local}, silent: silent, before: f.out.Len(), after: f.out.Len(), carry: carry})
}

func writeAttr(b *bytes.Buffer, a markup.Attr) {
	b.WriteByte(' ')
	b.Write(a.Name)
	b.WriteString(`="`)
	b.Write(a.Value)
	b.WriteByte('"')
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
	if n := len(f.ole); n > 0 && f.ole[n-1].depth == len(f.frames) {
		f.ole = f.ole[:n-1]
	}
	if fr.removed {
		f.top().removed = true
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

// alternateContent keeps of mc:AlternateContent the choices whose namespaces all may pass (ECMA-376 part 3).
func (f *partFilter) alternateContent(t *markup.Token) error {
	switch t.Local {
	case "AlternateContent":
		var tag bytes.Buffer
		tag.WriteByte('<')
		tag.Write(t.Name)
		var carry []markup.Attr
		for _, a := range t.Attrs {
			if isDeclaration(a.Name) {
				writeAttr(&tag, a)
				carry = append(carry, markup.Attr{Name: bytes.Clone(a.Name), Value: bytes.Clone(a.Value)})
			}
		}
		for _, c := range f.top().carry {
			if !declares(carry, c.Name) {
				writeAttr(&tag, c)
				carry = append(carry, c)
			}
		}
		tag.WriteByte('>')
		f.frames = append(f.frames, frame{element: element{t.NS, t.Local}, silent: true, name: t.Name, before: f.out.Len(), after: f.out.Len(),
			carry: carry, alt: &alternate{tag: tag.Bytes()}})
		return nil
	case "Choice":
		alt := f.top().alt
		if alt == nil || alt.done {
			return f.drop(t, "", "")
		}
		for _, prefix := range strings.Fields(attr(t, "Requires")) {
			ns, ok := f.x.Lookup([]byte(prefix))
			if !ok || strings.HasPrefix(ns, markup.Unknown) {
				return f.drop(t, removedSpaces[strings.TrimPrefix(ns, markup.Unknown)], "")
			}
		}
		if !alt.written {
			f.out.Write(alt.tag)
			alt.written = true
		}
		return f.write(t, t.Name)
	case "Fallback":
		alt := f.top().alt
		if alt == nil || alt.done {
			return f.drop(t, "", "")
		}
		alt.done = true
		if alt.written {
			return f.write(t, t.Name)
		}
		f.open(t, true)
		return nil
	}
	return f.drop(t, "ooxml.unknown-element", "mc "+t.Local)
}

// oleInside looks ahead into a graphic frame: does it show an OLE object, and what are the frame's number and name?
func (f *partFilter) oleInside() (o oleFrame, found bool, err error) {
	err = f.x.Fork().Skip(func(t *markup.Token) {
		if t.Kind != markup.Start || t.NS != "p" {
			return
		}
		switch t.Local {
		case "oleObj":
			found = true
		case "cNvPr":
			if o.id == nil {
				for _, a := range t.Attrs {
					switch string(a.Name) {
					case "id":
						o.id = bytes.Clone(a.Value)
					case "name":
						o.name = bytes.Clone(a.Value)
					}
				}
			}
		}
	})
	return o, found, err
}

// isNote looks ahead into a shape: does it show a cell's comment?
func (f *partFilter) isNote() bool {
	note := false
	err := f.x.Fork().Skip(func(t *markup.Token) {
		note = note || t.Kind == markup.Start && t.NS == "xvml" && t.Local == "ClientData" && attr(t, "ObjectType") == "Note"
	})
	return note && err == nil
}

// insideOLE passes only the first picture inside a graphic frame of an OLE object.
func (f *partFilter) insideOLE(o *oleFrame, t *markup.Token) (handled bool, err error) {
	inPicture := false
	for _, fr := range f.frames[o.depth:] {
		inPicture = inPicture || fr.element == element{"p", "pic"}
	}
	switch {
	case inPicture && t.NS == "p" && t.Local == "cNvPr" && o.id != nil:
		for i := range t.Attrs {
			switch string(t.Attrs[i].Name) {
			case "id":
				t.Attrs[i].Value = o.id
			case "name":
				t.Attrs[i].Value = o.name
			}
		}
		o.id = nil
		return false, nil
	case inPicture:
		return false, nil
	case t.NS == "p" && t.Local == "pic" && !o.done:
		o.done = true
		return false, nil
	case t.NS == "p" && (t.Local == "pic" || t.Local == "nvGraphicFramePr"):
		return true, f.drop(t, "", "")
	}
	f.open(t, true)
	return true, nil
}

// word holds what is special in WordprocessingML: fields, and the frame of an OLE object, which becomes a picture's.
func (f *partFilter) word(t *markup.Token) (handled bool, err error) {
	switch t.Local {
	case "fldSimple":
		if instr := attrW(f.x, t, "instr"); !harmlessField(instr) || f.linksOut(instr) {
			f.note("ooxml.field", fieldName(instr))
			f.open(t, true)
			return true, nil
		}
	case "fldChar":
		drop, began := f.fields.mark(attrW(f.x, t, "fldCharType"))
		if began != nil {
			f.note("ooxml.field", fieldName(string(began.instr)))
		}
		if drop {
			return true, f.drop(t, "", "")
		}
	case "instrText", "delInstrText":
		if f.fields.inBadInstruction() || f.fields.strayInstruction() {
			return true, f.drop(t, "", "")
		}
	case "t", "delText":
		if f.fields.hidesText() {
			return true, f.drop(t, "", "")
		}
	case "object":
		prefix, _ := markup.Cut(t.Name)
		name := []byte("pict")
		if prefix != nil {
			name = append(append(bytes.Clone(prefix), ':'), name...)
		}
		kept := t.Attrs[:0:0]
		for _, a := range t.Attrs {
			if isDeclaration(a.Name) {
				kept = append(kept, a)
			}
		}
		t.Attrs = kept
		return true, f.write(t, name)
	}
	return false, nil
}

// fieldName is the first word of an instruction, for the report.
func fieldName(instr string) string {
	if w := strings.Fields(instr); len(w) > 0 {
		return w[0]
	}
	return ""
}

// sheet holds what is special in SpreadsheetML: positions of sheets, names that start macros.
func (f *partFilter) sheet(t *markup.Token) (handled bool, err error) {
	w := f.books
	if w == nil {
		return false, nil
	}
	switch t.Local {
	case "sheet":
		if w.visible == 0 && !f.madeShown && len(f.frames) == 2 && !f.reported(t) {
			f.madeShown = true
			t.Attrs = without(t.Attrs, "state")
		}
	case "workbookView":
		for i := range t.Attrs {
			switch string(t.Attrs[i].Name) {
			case "activeTab", "firstSheet":
				v, _ := w.move(string(t.Attrs[i].Value))
				t.Attrs[i].Value = []byte(v)
			}
		}
	case "definedName":
		for _, flag := range []string{"function", "vbProcedure", "xlm"} {
			if v := attr(t, flag); v == "1" || strings.EqualFold(v, "true") {
				return true, f.drop(t, "ooxml.macro-call", attr(t, "name"))
			}
		}
		name := strings.TrimPrefix(strings.ToLower(attr(t, "name")), "_xlnm.")
		for _, auto := range []string{"auto_open", "auto_close", "auto_activate", "auto_deactivate"} {
			if strings.HasPrefix(name, auto) {
				return true, f.drop(t, "ooxml.macro-call", name)
			}
		}
		for i := range t.Attrs {
			if string(t.Attrs[i].Name) == "localSheetId" {
				v, ok := w.move(string(t.Attrs[i].Value))
				if !ok {
					return true, f.drop(t, "", "")
				}
				t.Attrs[i].Value = []byte(v)
			}
		}
	case "table":
		t.Attrs = without(t.Attrs, "connectionId")
		if v := attr(t, "tableType"); v == "queryTable" || v == "xml" {
			t.Attrs = without(t.Attrs, "tableType")
		}
	case "tableColumn":
		t.Attrs = without(t.Attrs, "queryTableFieldId")
	case "tableParts":
		t.Attrs = without(t.Attrs, "count")
	}
	return false, nil
}

func without(attrs []markup.Attr, name string) []markup.Attr {
	for i := range attrs {
		if string(attrs[i].Name) == name {
			return append(attrs[:i:i], attrs[i+1:]...)
		}
	}
	return attrs
}

// formulaElement tells elements whose text is a formula.
func formulaElement(e element) bool {
	switch e.local {
	case "f":
		return e.ns == "x" || e.ns == "xm" || e.ns == "c" || strings.HasPrefix(e.ns, "ms:")
	case "sqref":
		return e.ns == "ms:drawing/2012/chart"
	case "formula", "formula1", "formula2", "definedName", "calculatedColumnFormula", "totalsRowFormula":
		return e.ns == "x"
	}
	return e.ns == "xvml" && strings.HasPrefix(e.local, "Fmla")
}

// formula passes a formula, or what stands for it: a cell keeps its value, a name or a rule points nowhere.
func (f *partFilter) formula(t *markup.Token) error {
	e := element{t.NS, t.Local}
	cell := e == element{"x", "f"}
	shared := ""
	if cell && attr(t, "t") == "shared" {
		shared = attr(t, "si")
	}
	attrs, gone, err := f.attributes(t)
	if err != nil {
		return err
	}
	if gone {
		return f.drop(t, "", "")
	}
	start := *t
	var raw []byte
	if err := f.x.Skip(func(t *markup.Token) { raw = append(raw, t.Text...) }); err != nil {
		return err
	}
	if shared != "" && len(raw) == 0 && f.sharedGone[shared] {
		f.top().removed = true
		return nil
	}
	var sheetsGone []string
	if f.books != nil {
		sheetsGone = f.books.removed
	}
	if s := string(markup.Unescape(raw)); dangerous(s, sheetsGone) || f.linksOut(s) {
		f.note("ooxml.formula", "")
		if cell || e.local == "calculatedColumnFormula" || e.local == "totalsRowFormula" || e.ns == "xvml" {
			if shared != "" {
				if f.sharedGone == nil {
					f.sharedGone = map[string]bool{}
				}
				f.sharedGone[shared] = true
			}
			f.top().removed = true
			return nil
		}
		raw = []byte("#REF!")
	}
	start.Empty = len(raw) == 0
	f.begin(&start, start.Name, attrs)
	f.out.Write(raw)
	f.end()
	return nil
}

// attributes answers those that may pass, until the next call. gone says that the element needs a relationship that is gone.
func (f *partFilter) attributes(t *markup.Token) (kept []markup.Attr, gone bool, err error) {
	kept = f.kept[:0]
	defer func() { f.kept = kept[:0] }()
	e := element{t.NS, t.Local}
	vml := vmlSpaces[e.ns]
	if e.ns == "a" && strings.HasPrefix(e.local, "hlink") && !harmlessAction(attr(t, "action")) {
		f.note("ooxml.macro-call", attr(t, "action"))
		return kept, true, nil
	}
	for _, a := range t.Attrs {
		if isDeclaration(a.Name) {
			kept = append(kept, a)
			continue
		}
		ns, local, err := f.x.AttrName(a)
		if err != nil {
			return kept, false, err
		}
		if ns == "" {
			if !vml && !judged[string(local)] || f.plainAttribute(e, string(local), &a) {
				kept = append(kept, a)
			}
			continue
		}
		name := string(local)
		switch {
		case ns == "r" || ns == "o" && name == "relid":
			l := f.part.byID[string(markup.Unescape(a.Value))]
			switch {
			case len(a.Value) == 0:
			case !l.kept():
				if name == "id" && !keptWithoutRelation[e] {
					return kept, true, nil
				}
				continue
			case l.keepTarget && (name != "id" || !followed[e.local]): // it would be fetched
				f.note("ooxml.external", l.target)
				if name == "id" {
					return kept, true, nil
				}
				continue
			case name == "link":
				if f.embeds(t) || !l.blank {
					continue
				}
				prefix, _ := markup.Cut(a.Name)
				a.Name = append(append([]byte{}, prefix...), ":embed"...)
			}
		case ns == "mc":
			a.Value = f.declared(name, a.Value)
			if len(a.Value) == 0 {
				continue
			}
		case ns == "xml":
			if name == "base" {
				continue
			}
		case ns == "o" && (name == "href" || name == "althref" || name == "src"):
			if v := string(markup.Unescape(a.Value)); name != "href" || !rebuild.SafeURL(v) || f.noLink(v) || vmlFetches[e.local] {
				if v != "" {
					f.note("ooxml.link", v)
				}
				continue
			}
		case ns == "w" && name == "url", ns == "o" && name == "oleid":
			continue
		case strings.HasPrefix(ns, markup.Unknown):
			continue
		}
		kept = append(kept, a)
	}
	return kept, false, nil
}

// embeds tells whether the element has its picture in the package.
func (f *partFilter) embeds(t *markup.Token) bool {
	for _, a := range t.Attrs {
		if ns, local, err := f.x.AttrName(a); err == nil && ns == "r" && string(local) == "embed" && len(a.Value) > 0 {
			return true
		}
	}
	return false
}

// judged are attributes without prefix that plainAttribute looks at, besides all those of VML.
var judged = set("macro fmlaMacro macroName val formula textlink invalidUrl style userId")

// plainAttribute judges an attribute without prefix; false takes it out.
func (f *partFilter) plainAttribute(e element, name string, a *markup.Attr) bool {
	value := string(markup.Unescape(a.Value))
	if vmlSpaces[e.ns] {
		switch lower := strings.ToLower(name); {
		case lower == "href" && (!rebuild.SafeURL(value) || f.noLink(value) || vmlFetches[e.local]), lower == "src", lower == "althref":
			if value != "" {
				f.note("ooxml.external", value)
			}
			return false
		case strings.HasPrefix(lower, "on") && len(lower) > 4 && lower != "oned":
			f.note("ooxml.macro-call", name)
			return false
		}
	}
	switch name {
	case "macro", "fmlaMacro", "macroName":
		if value != "" {
			f.note("ooxml.macro-call", value)
			a.Value = nil
		}
	case "val":
		if e.local == "cfvo" && dangerous(value, nil) { // a threshold may be a formula
			f.note("ooxml.formula", "")
			a.Value = []byte("0")
		}
	case "formula":
		if (e.local == "cacheField" || e.local == "calculatedItem") && dangerous(value, nil) {
			f.note("ooxml.formula", "")
			return false
		}
	case "textlink":
		if dangerous(value, nil) {
			f.note("ooxml.formula", "")
			return false
		}
	case "invalidUrl":
		return false
	case "style":
		if lower := strings.ToLower(value); strings.Contains(lower, "url(") || strings.Contains(lower, "expression(") {
			return false
		}
	case "userId":
		return !strings.Contains(e.ns, "threadedcomments")
	}
	return true
}

// harmlessCommand tells timing commands that play what is on the slide; a verb would wake an object.
func harmlessCommand(kind, cmd string) bool {
	if rest, ok := strings.CutPrefix(cmd, "playFrom("); ok {
		return kind != "verb" && strings.Trim(rest, "0123456789.") == ")"
	}
	switch cmd {
	case "play", "pause", "resume", "stop", "togglePause":
		return kind != "verb"
	}
	return false
}

// harmlessAction tells what a click in a presentation may do by itself: move inside the show.
func harmlessAction(action string) bool {
	if action == "" {
		return true
	}
	verb, arg, _ := strings.Cut(action, "?")
	switch verb {
	case "ppaction://hlinksldjump", "ppaction://noaction":
		return arg == ""
	case "ppaction://hlinkshowjump":
		return arg == "" || wordAfter(arg, "jump=", "abcdefghijklmnopqrstuvwxyz")
	case "ppaction://customshow":
		arg = strings.TrimSuffix(strings.TrimSuffix(arg, "&return=true"), "&return=false")
		return arg == "" || wordAfter(arg, "id=", "0123456789")
	}
	return false
}

func wordAfter(s, key, alphabet string) bool {
	v, ok := strings.CutPrefix(s, key)
	return ok && v != "" && strings.Trim(v, alphabet) == ""
}

// declared keeps of a list of prefixes (mc:Ignorable and its kin) those that are declared here.
func (f *partFilter) declared(name string, value []byte) []byte {
	if name == "Requires" {
		return value
	}
	var keep []string
	for _, w := range strings.Fields(string(value)) {
		prefix, _, _ := strings.Cut(w, ":")
		ns, ok := f.x.Lookup([]byte(prefix))
		if !ok || name == "MustUnderstand" && strings.HasPrefix(ns, markup.Unknown) {
			continue
		}
		keep = append(keep, w)
	}
	return []byte(strings.Join(keep, " "))
}
