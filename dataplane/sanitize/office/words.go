package office

import (
	"bytes"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
)

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
