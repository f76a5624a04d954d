package pdf_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Pictures are their pixels and nothing else: what lies behind the last row, or in a JPEG beside its picture, is gone.
func TestPicturesAreTheirPixels(t *testing.T) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8)), nil); err != nil {
		t.Fatal(err)
	}
	jpg := b.String()[:2] + "\xFF\xFE\x00\x08MARKER" + b.String()[2:]
	object := func(keys, data string) []byte {
		return page("", "", "/XObject << /X 6 0 R >>", hello+" q 9 0 0 9 0 0 cm /X Do Q", "stream /Type /XObject /Subtype /Image "+keys+"\n"+data)
	}
	for what, c := range map[string]struct {
		in   []byte
		want string // in the result
	}{
		"rows":             {object("/Width 3 /Height 2 /BitsPerComponent 8 /ColorSpace /DeviceGray", "abcdefMARKER"), "abcdef"},
		"bits":             {object("/Width 9 /Height 1 /ImageMask true", "abMARKER"), "/ImageMask true"},
		"run lengths":      {object("/Width 4 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray /Filter /RunLengthDecode", "\xFDaMARKER"), "aaaa"},
		"indexed":          {object("/Width 2 /Height 1 /BitsPerComponent 4 /ColorSpace [/Indexed /DeviceRGB 1 <000000FFFFFF>]", "\x01MARKER"), "/Indexed"},
		"a JPEG":           {object("/Width 8 /Height 8 /BitsPerComponent 8 /ColorSpace /DeviceGray /Filter /DCTDecode", jpg), "/DCTDecode"},
		"in the text":      {page("", "", "", hello+" BI /W 2 /H 1 /BPC 8 /CS /G ID ab EI"), "/L 2\n/W 2\nID ab\nEI"},
		"in hexadecimal":   {page("", "", "", hello+" BI /W 2 /H 1 /BPC 8 /CS /G /F /AHx ID 61 62> EI"), "ID ab\nEI"},
		"with an end in":   {page("", "", "", hello+" BI /W 4 /H 1 /BPC 8 /CS /G ID \nEI\n EI"), "ID 0A45490A>\nEI"},
		"a mask in colour": {object("/Width 1 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceRGB /Mask [0 1 0 1 0 1] /Decode [0 1 0 1 0 1] /Alternates [<< /MARKER 1 >>]", "abc"), "abc"},
	} {
		t.Run(what, func(t *testing.T) {
			rep, out := clean(t, c.in, sanitize.Options{})
			if strings.Contains(out, "MARKER") || !strings.Contains(out, c.want) || sanitizetest.Has(rep, "pdf.flattened", verdict.Changed) {
				t.Errorf("got %+v\n%q", rep.Findings, out)
			}
		})
	}
}

// A fax of 16 white pixels in four rows, Group 4: each row is like the one above.
func TestFaxesBecomePixels(t *testing.T) {
	in := page("", "", "/XObject << /X 6 0 R >>", hello+" q 9 0 0 9 0 0 cm /X Do Q",
		"stream /Type /XObject /Subtype /Image /Width 16 /Height 4 /BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /CCITTFaxDecode /DecodeParms << /K -1 /Columns 16 /Rows 4 >>\n\xF0\x01\x00\x10")
	rep, out := clean(t, in, sanitize.Options{})
	if strings.Contains(out, "CCITT") || !strings.Contains(out, "stream\n\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF") {
		t.Errorf("got %+v\n%q", rep.Findings, out)
	}
}
