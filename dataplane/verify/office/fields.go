package office

import (
	"regexp"
	"strings"

	"github.com/sekisho/sekisho/dataplane/verify/container"
	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// knownFields are the Word fields (ECMA-376 part 1, 17.16.5) that only compute, number, refer or format inside the document. Not
// among them, on purpose: DDE, DDEAUTO, LINK, EMBED, INCLUDETEXT, INCLUDEPICTURE, INCLUDE, IMPORT, DATABASE, MACROBUTTON, RD, PRINT,
// GLOSSARY, ADDIN, AUTOTEXT, HTMLACTIVEX, OCX, CONTROL, PRIVATE.
var knownFields = words(`= ADVANCE ASK AUTHOR AUTONUM AUTONUMLGL AUTONUMOUT BARCODE DISPLAYBARCODE BIBLIOGRAPHY BIDIOUTLINE CITATION COMMENTS
	COMPARE CREATEDATE DATE DOCPROPERTY DOCVARIABLE EDITTIME EQ FILENAME FILESIZE FILLIN FORMCHECKBOX FORMDROPDOWN FORMTEXT FORMULA GOTOBUTTON GREETINGLINE
	ADDRESSBLOCK HYPERLINK IF INDEX INFO KEYWORDS LASTSAVEDBY LISTNUM MERGEFIELD MERGEREC MERGESEQ NEXT NEXTIF NOTEREF NUMCHARS
	NUMPAGES NUMWORDS PAGE PAGEREF PRINTDATE QUOTE REF REVNUM SAVEDATE SECTION SECTIONPAGES SEQ SET SHAPE SKIPIF STYLEREF SUBJECT
	SYMBOL TA TC TEMPLATE TIME TITLE TOA TOC USERADDRESS USERINITIALS USERNAME XE MERGEBARCODE FTNREF`)

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

var fieldName = regexp.MustCompile(`^\s*(=|[A-Za-z]+)`)

// checkField judges an instruction. before is what stands before the first nested field: the name must be whole in there, since
// a nested field could compute it.
func checkField(place, code string, before int, noLinks bool) error {
	m := fieldName.FindStringSubmatchIndex(code)
	if strings.TrimSpace(code) == "" && before < 0 {
		return nil // an empty field shows nothing
	}
	if m == nil {
		if before < 0 && bookmarkOnly.MatchString(code) {
			return nil
		}
		return rule.Refuse(container.CodeActive, place, "field %q", code)
	}
	name := strings.ToUpper(code[m[2]:m[3]])
	if before >= 0 && m[3] >= before && name != "=" { // the nested field may go on with the name
		return rule.Refuse(container.CodeActive, place, "field %q computes its own name", code)
	}
	if !knownFields[name] {
		return rule.Refuse(container.CodeActive, place, "field %s", name)
	}
	if name == "HYPERLINK" {
		if before >= 0 {
			return rule.Refuse(container.CodeActive, place, "a hyperlink field with a computed address")
		}
		return checkHyperlinkField(place, code[m[3]:], noLinks)
	}
	return nil
}

// bookmarkOnly is an instruction that is no name at all, such as a number or a Japanese bookmark: Word shows an error or a REF.
var bookmarkOnly = regexp.MustCompile(`^\s*[\p{Han}\p{Hiragana}\p{Katakana}_0-9][\p{L}\p{N}_]*\s*(\\\*\s*\w+\s*)*$`)

var quoted = regexp.MustCompile(`^\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"\\]\S*))`)

// checkHyperlinkField wants a safe address, or no address and switches only (\l names a bookmark).
func checkHyperlinkField(place, rest string, noLinks bool) error {
	m := quoted.FindStringSubmatch(rest)
	if m == nil {
		if strings.HasPrefix(strings.TrimSpace(rest), `\`) || strings.TrimSpace(rest) == "" {
			return nil
		}
		return rule.Refuse(container.CodeLink, place, "hyperlink field %q", rest)
	}
	url := m[1] + m[2]
	if noLinks && out(url) {
		return rule.Refuse(container.CodeLink, place, "hyperlink to %q, which the route does not let pass", url)
	}
	if url == "" || container.SafeAddress(strings.ReplaceAll(url, `\\`, `\`)) {
		return nil
	}
	return rule.Refuse(container.CodeLink, place, "hyperlink to %q", url)
}

// fieldReader puts instructions together: a field begins, its instruction may be spread over runs and hold other fields, then it
// is separated from its result or ends. Of alternatives each reader takes another one, so a field lies wholly inside of one or
// wholly outside of all: otherwise an instruction would read harmless here and not there.
type fieldReader struct {
	place   string
	noLinks bool // the route lets no address pass
	open    []*field
	outer   []int // of each alternative around, how many fields were open before it
}

type field struct {
	code   strings.Builder
	nested int // length of code at the first nested field, -1 without one
	done   bool
}

func (f *fieldReader) enter() { f.outer = append(f.outer, len(f.open)) }

func (f *fieldReader) leave() error {
	n := len(f.outer) - 1
	if f.outer[n] != len(f.open) {
		return rule.Refuse(container.CodeActive, f.place, "a field that ends outside of its alternative")
	}
	f.outer = f.outer[:n]
	return nil
}

// top is the innermost open field, nil without one. It is an error when that one began outside of the alternative here and is to
// be changed by it.
func (f *fieldReader) top() (*field, error) {
	n := len(f.open)
	if n == 0 {
		return nil, nil
	}
	if k := len(f.outer); k > 0 && f.outer[k-1] == n && !f.open[n-1].done {
		return nil, rule.Refuse(container.CodeActive, f.place, "a field whose instruction is in an alternative")
	}
	return f.open[n-1], nil
}

func (f *fieldReader) char(kind string) error {
	top, err := f.top()
	if err != nil {
		return err
	}
	switch kind {
	case "begin":
		if top != nil && !top.done && top.nested < 0 {
			top.nested = top.code.Len()
		}
		if len(f.open) >= 64 {
			return rule.Refuse(container.CodeActive, f.place, "fields nested too deeply")
		}
		f.open = append(f.open, &field{nested: -1})
	case "separate":
		return f.judge()
	case "end":
		err := f.judge()
		if n := len(f.open); n > 0 {
			if k := len(f.outer); k > 0 && f.outer[k-1] == n {
				return rule.Refuse(container.CodeActive, f.place, "a field that ends in an alternative")
			}
			f.open = f.open[:n-1]
		}
		return err
	}
	return nil
}

func (f *fieldReader) judge() error {
	n := len(f.open)
	if n == 0 || f.open[n-1].done {
		return nil
	}
	top := f.open[n-1]
	top.done = true
	return checkField(f.place, top.code.String(), top.nested, f.noLinks)
}

func (f *fieldReader) instruction(s string) error {
	top, err := f.top()
	switch {
	case err != nil:
		return err
	case top == nil: // outside any field Word shows nothing; judged all the same
		if strings.TrimSpace(s) == "" {
			return nil
		}
		return checkField(f.place, s, -1, f.noLinks)
	case top.done:
		return rule.Refuse(container.CodeActive, f.place, "an instruction behind its field's separator")
	}
	top.code.WriteString(s)
	return nil
}

// shown is ordinary text; between a field's begin and its separator Word takes it for part of the instruction.
func (f *fieldReader) shown(s string) error {
	top, err := f.top()
	if err == nil && top != nil && !top.done {
		top.code.WriteString(s)
	}
	return err
}

// finish judges what a part leaves open: Word mends that by itself.
func (f *fieldReader) finish() error {
	for len(f.open) > 0 {
		if err := f.char("end"); err != nil {
			return err
		}
	}
	return nil
}
