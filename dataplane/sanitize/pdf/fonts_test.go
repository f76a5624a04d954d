package pdf_test

import (
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/pdf"
)

// What letters mean is kept, however the table is written, and only that: no program stays in it.
func TestMeaningOfLetters(t *testing.T) {
	for _, head := range []string{
		"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def",
		"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CIDSystemInfo << /Registry (A) def /Ordering (B) def /Supplement 0 def >> def",
		"/CIDSystemInfo 3 dict dup begin /Registry (Adobe) def end def (MARKER) run",
	} {
		in := page("", "", "/ColorSpace << >>", "BT /F2 12 Tf 20 100 Td <01> Tj ET",
			"stream \n"+head+" 1 begincodespacerange <00> <ff> endcodespacerange 1 beginbfchar <01> <95a2> endbfchar endcmap")
		in = []byte(strings.Replace(string(in), "/F1 5 0 R", "/F2 << /Type /Font /Subtype /TrueType /BaseFont /X /FirstChar 1 /LastChar 1 /Widths [500] /ToUnicode 6 0 R >>", 1))
		_, out := clean(t, in, sanitize.Options{})
		if got := words(t, []byte(out)); !strings.Contains(got, "関") || strings.Contains(out, "MARKER") {
			t.Errorf("%s: got %q\n%s", head, got, out)
		}
	}
}

// Nothing that a font's programs do not reach comes through, and the page stays a page of text.
func TestFontsHideNothing(t *testing.T) {
	for what, c := range map[string]struct{ file, data string }{
		"a compact font":     {"/FontFile3", "stream /Subtype /Type1C\n" + string(pdf.CompactOf())},
		"a TrueType font":    {"/FontFile2", "stream \n" + string(pdf.TrueTypeOf())},
		"an OpenType font":   {"/FontFile3", "stream /Subtype /OpenType\n" + string(pdf.TrueTypeOf())},
		"a font of Type 1":   {"/FontFile", "stream \n" + string(pdf.Type1Of())},
		"one in hexadecimal": {"/FontFile", "stream \n" + string(pdf.Type1Hex())},
	} {
		in := page("", "", "", hello, "<< /Type /FontDescriptor /FontName /X /Flags 32 "+c.file+" 7 0 R >>", c.data)
		in = []byte(strings.Replace(string(in), "/BaseFont /Helvetica", "/BaseFont /X /FirstChar 65 /LastChar 65 /Widths [500] /FontDescriptor 6 0 R", 1))
		rep, out := clean(t, in, sanitize.Options{})
		if strings.Contains(out, "MARK") || reported(rep, "pdf.flattened", "p1") || !strings.Contains(out, c.file+" ") {
			t.Errorf("%s: got %+v\n%.3000q", what, rep.Findings, out)
		}
	}
}
