package office

import (
	"bytes"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// Word keeps a field as a run of marks: begin, instruction, separate, result, end; instructions can be split over any number of
// runs and fields nest in instructions and in results. Only a whole instruction can be judged, so a part with fields is read
// twice: fieldPlan reads the instructions, and the filter then drops the marks and the instruction of each field that is not
// harmless. The result, which is what a reader sees, stays.

// harmlessFields calculate from the document itself. (ECMA-376 part 1, 17.16.5; LINK, DDE, INCLUDE..., MACROBUTTON, IMPORT, DATABASE,
// EMBED, AUTOTEXT, PRINT, RD, ADDIN and their like are missing on purpose.)
var harmlessFields = set(`= ADDRESSBLOCK ADVANCE ASK AUTHOR AUTONUM AUTONUMLGL AUTONUMOUT BARCODE BIBLIOGRAPHY BIDIOUTLINE CITATION COMMENTS COMPARE
	CREATEDATE DATE DISPLAYBARCODE DOCPROPERTY DOCVARIABLE EDITTIME EQ FILENAME FILESIZE FILLIN FORMCHECKBOX FORMDROPDOWN FORMTEXT GOTOBUTTON
	GREETINGLINE HYPERLINK IF INDEX INFO KEYWORDS LASTSAVEDBY LISTNUM MERGEBARCODE MERGEFIELD MERGEREC MERGESEQ NEXT NEXTIF NOTEREF NUMCHARS NUMPAGES NUMWORDS
	PAGE PAGEREF PRINTDATE REF REVNUM SAVEDATE SECTION SECTIONPAGES SEQ SET SHAPE SKIPIF STYLEREF SUBJECT SYMBOL TA TC TEMPLATE TIME
	TITLE TOA TOC USERADDRESS USERINITIALS USERNAME XE`)

// maxFields bounds how deep fields nest; Word itself stops far earlier.
const maxFields = 40

// nestedField stands in an instruction for the result of a field inside it, which nobody can foresee.
const nestedField = '\x01'

// harmlessField judges a whole instruction.
func harmlessField(instr string) bool {
	instr = strings.TrimLeft(instr, " \t\r\n\u00a0\u3000")
	if strings.HasPrefix(instr, "=") {
		return true
	}
	name, args := instr, ""
	if i := strings.IndexAny(instr, " \t\r\n\u00a0\u3000\\\""); i >= 0 {
		name, args = instr[:i], instr[i:]
	}
	name = strings.ToUpper(name)
	if !harmlessFields[name] {
		return false
	}
	if name == "HYPERLINK" {
		return !strings.ContainsRune(args, nestedField) && harmlessLink(args)
	}
	return true
}

// harmlessLink reads the arguments of HYPERLINK: an address that safeURL allows, or only a place in this document (\l).
func harmlessLink(args string) bool {
	url, place := "", false
	for args = strings.TrimSpace(args); args != ""; args = strings.TrimSpace(args) {
		var word string
		if args[0] == '"' {
			var b strings.Builder
			i := 1
			for ; i < len(args) && args[i] != '"'; i++ {
				if args[i] == '\\' && i+1 < len(args) {
					i++
				}
				b.WriteByte(args[i])
			}
			word, args = b.String(), args[min(i+1, len(args)):]
		} else {
			i := strings.IndexAny(args, " \t\r\n\"")
			if i < 0 {
				i = len(args)
			}
			word, args = args[:i], args[i:]
			switch strings.ToLower(word) {
			case `\l`:
				place = true
				fallthrough
			case `\o`, `\t`, `\s`:
				args = skipWord(strings.TrimSpace(args))
				continue
			case `\n`, `\m`, `\h`:
				continue
			}
		}
		if url != "" || word == "" {
			if word == "" {
				continue
			}
			return false
		}
		url = word
	}
	if url == "" {
		return place
	}
	return rebuild.SafeURL(url)
}

func skipWord(s string) string {
	if strings.HasPrefix(s, `"`) {
		if i := strings.IndexByte(s[1:], '"'); i >= 0 {
			return s[i+2:]
		}
		return ""
	}
	if i := strings.IndexAny(s, " \t\r\n"); i >= 0 {
		return s[i:]
	}
	return ""
}

// plannedField is one field of a part, in order of its begin mark.
type plannedField struct {
	instr  []byte
	closed bool
	bad    bool
}

// fieldPlan reads the instructions of all fields of a part.
func fieldPlan(b []byte) ([]plannedField, error) {
	p, err := readFields(b)
	if err != nil {
		return nil, err
	}
	for i := range p.plan {
		p.plan[i].bad = p.plan[i].bad || !p.plan[i].closed || !harmlessField(string(p.plan[i].instr))
	}
	return p.plan, nil
}

func readFields(b []byte) (*fieldPlanner, error) {
	p := &fieldPlanner{plain: plainElements()}
	if !bytes.Contains(b, []byte("fldChar")) && !bytes.Contains(b, []byte("nstrText")) {
		return p, nil
	}
	var err error
	if p.x, err = markup.New(b, spaces); err != nil {
		return nil, err
	}
	var t markup.Token
	for {
		if err := p.x.Next(&t); err != nil {
			return nil, err
		}
		switch t.Kind {
		case markup.EOF:
			return p, nil
		case markup.Start:
			p.start(&t)
		case markup.End:
			if n := len(p.regions); n > 0 && p.regions[n-1].depth == p.depth {
				p.regions = p.regions[:n-1]
			}
			p.depth--
			if fieldText(&t) {
				p.inText--
			}
		case markup.Text:
			if p.inText == 0 {
				break
			}
			if f := p.top(); f == nil {
				p.stray = p.stray || p.instruction && len(bytes.TrimSpace(t.Text)) > 0
			} else if len(f.instr) < 16<<10 {
				f.instr = append(f.instr, markup.Unescape(t.Text)...)
			}
		}
	}
}

// fieldPlanner is the state of one reading.
type fieldPlanner struct {
	x      *markup.Reader
	plain  map[element]bool
	plan   []plannedField
	open   []openField
	inText int
	depth  int

	instruction bool // the innermost text is an instruction
	stray       bool // there is an instruction that belongs to no field

	regions []region // around the present place
	made    int      // regions so far
}

// region is a part of the text that some reader does not see: an alternative, or an element that will not pass. A field lies
// wholly inside or wholly outside of one; else its instruction would read otherwise without it.
type region struct{ depth, number int }

type openField struct {
	index     int
	separated bool
	region    int // number of the region that it began in, 0 outside of all
}

func (p *fieldPlanner) region() int {
	if n := len(p.regions); n > 0 {
		return p.regions[n-1].number
	}
	return 0
}

// top is the field whose instruction is being read, nil outside of any. One that began in another region is bad.
func (p *fieldPlanner) top() *plannedField {
	n := len(p.open)
	if n == 0 || p.open[n-1].separated {
		return nil
	}
	f := &p.plan[p.open[n-1].index]
	f.bad = f.bad || p.open[n-1].region != p.region()
	return f
}

func (p *fieldPlanner) start(t *markup.Token) {
	p.depth++
	if !p.plain[element{t.NS, t.Local}] || t.NS == "mc" && (t.Local == "Choice" || t.Local == "Fallback") {
		p.made++
		p.regions = append(p.regions, region{p.depth, p.made})
	}
	if p.inText > 0 { // nothing stands inside an instruction
		if f := p.top(); f != nil {
			f.bad = true
		}
	}
	switch {
	case fieldText(t):
		p.inText++
		p.instruction = strings.HasSuffix(t.Local, "nstrText")
	case t.NS == "w" && t.Local == "fldChar":
		p.mark(attrW(p.x, t, "fldCharType"))
	}
}

func (p *fieldPlanner) mark(kind string) {
	n := len(p.open)
	switch kind {
	case "begin":
		if f := p.top(); f != nil {
			f.instr = append(f.instr, nestedField)
		}
		p.open = append(p.open, openField{index: len(p.plan), region: p.region()})
		p.plan = append(p.plan, plannedField{bad: len(p.open) > maxFields})
	case "separate", "end":
		if n == 0 {
			return
		}
		o := &p.open[n-1]
		f := &p.plan[o.index]
		f.bad = f.bad || o.region != p.region()
		if kind == "separate" {
			o.separated = true
			return
		}
		f.closed = true
		p.open = p.open[:n-1]
	}
}

// fieldText tells elements whose text is an instruction, or is taken for one before a field's separator.
func fieldText(t *markup.Token) bool {
	return t.NS == "w" && (t.Local == "instrText" || t.Local == "delInstrText" || t.Local == "t" || t.Local == "delText")
}

// harmlessStill reads what was written once more: what was left out must not have made another instruction of a field.
func harmlessStill(out []byte) error {
	p, err := readFields(out)
	if err != nil {
		return err
	}
	if p.stray {
		return brokenPart("an instruction that lost its field")
	}
	for _, f := range p.plan {
		if f.bad || !f.closed || !harmlessField(string(f.instr)) {
			return brokenPart("a field that is another one without what was removed: " + fieldName(string(f.instr)))
		}
	}
	return nil
}

// attrW is an attribute of the namespace of Word, which may also stand without prefix.
func attrW(x *markup.Reader, t *markup.Token, name string) string {
	for _, a := range t.Attrs {
		if ns, local, err := x.AttrName(a); err == nil && string(local) == name && (ns == "w" || ns == "") {
			return string(markup.Unescape(a.Value))
		}
	}
	return ""
}

// fieldWalk follows the plan while the filter writes the part.
type fieldWalk struct {
	plan []plannedField
	next int
	open []openField
}

// mark handles a fldChar and answers whether it goes, and the field when it begins one that goes.
func (w *fieldWalk) mark(kind string) (drop bool, began *plannedField) {
	inside := w.inBadInstruction()
	switch kind {
	case "begin":
		if w.next >= len(w.plan) {
			return true, nil
		}
		w.open = append(w.open, openField{index: w.next})
		p := &w.plan[w.next]
		w.next++
		if p.bad {
			began = p
		}
		return inside || p.bad, began
	case "separate", "end":
		n := len(w.open)
		if n == 0 {
			return true, nil
		}
		drop = w.plan[w.open[n-1].index].bad
		if kind == "separate" {
			w.open[n-1].separated = true
		} else {
			w.open = w.open[:n-1]
			inside = w.inBadInstruction()
		}
		return drop || inside, nil
	}
	return inside, nil
}

// inBadInstruction tells whether what comes now belongs to the instruction of a field that goes.
func (w *fieldWalk) inBadInstruction() bool {
	for _, o := range w.open {
		if w.plan[o.index].bad && !o.separated {
			return true
		}
	}
	return false
}

// strayInstruction tells whether an instruction here belongs to no field, or comes behind its field's separator.
func (w *fieldWalk) strayInstruction() bool {
	n := len(w.open)
	return n == 0 || w.open[n-1].separated
}

// hidesText tells whether even plain text here is part of such an instruction; that of a field which never ends is not.
func (w *fieldWalk) hidesText() bool {
	for _, o := range w.open {
		if p := w.plan[o.index]; p.bad && p.closed && !o.separated {
			return true
		}
	}
	return false
}
