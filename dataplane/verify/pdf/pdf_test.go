package pdf

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/klauspost/compress/zlib"

	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// maker writes a file as qpdf does, by default without a fault.
type maker struct {
	objects []string // from 1 on; "stream <keys>\n<data>" is a stream
	packed  []string // objects of an object stream, from len(objects)+1 on
	between string   // behind the first object
	table   string   // keys of the table besides
	lie     int      // added to the place of object 1 in the table
	pack    string   // behind the objects of the object stream
	tail    string
}

func (m maker) bytes() []byte {
	b := bytes.NewBufferString("%PDF-1.7\n%\xBF\xF7\xA2\xFE\n")
	var table []byte
	entry := func(t, a, c int) { table = append(table, byte(t), byte(a>>16), byte(a>>8), byte(a), byte(c)) }
	entry(0, 0, 0)
	put := func(n int, o string) {
		if s, ok := strings.CutPrefix(o, "stream "); ok {
			keys, data, _ := strings.Cut(s, "\n")
			o = fmt.Sprintf("<< %s /Length %d >>\nstream\n%s\nendstream", keys, len(data), data)
		}
		fmt.Fprintf(b, "%d 0 obj\n%s\nendobj\n", n, o)
	}
	for i, o := range m.objects {
		at := b.Len()
		if i == 0 {
			at += m.lie
		}
		entry(1, at, 0)
		put(i+1, o)
		if i == 0 {
			b.WriteString(m.between)
		}
	}
	n := len(m.objects)
	if len(m.packed) > 0 {
		var head, body string
		for i, o := range m.packed {
			head += fmt.Sprintf("%d %d ", n+1+i, len(body))
			body += o + "\n"
			entry(2, n+len(m.packed)+1, i)
		}
		n += len(m.packed) + 1
		entry(1, b.Len(), 0)
		put(n, fmt.Sprintf("stream /Type /ObjStm /N %d /First %d\n%s", len(m.packed), len(head), head+body+m.pack))
	}
	n++
	start := b.Len()
	entry(1, start, 0)
	put(n, fmt.Sprintf("stream /Type /XRef /W [1 3 1] /Root 1 0 R /Size %d %s\n%s", n+1, m.table, table))
	fmt.Fprintf(b, "startxref\n%d\n%%%%EOF\n%s", start, m.tail)
	return b.Bytes()
}

// page is a file of one page: what catalog, page and resources have besides, its content, and objects from 6 on.
func page(catalog, dict, resources, content string, more ...string) maker {
	return maker{objects: append([]string{
		"<< /Type /Catalog /Pages 2 0 R " + catalog + " >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> " + resources + " >> " + dict + " >>",
		"stream \n" + content,
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
	}, more...)}
}

const hello = "BT\n/F1 12 Tf\n(Hello) Tj\nET\n"

func check(in []byte) error { return checkFor(verdict.Policy{}, in) }

func checkFor(p verdict.Policy, in []byte) error {
	return Check(&rule.File{Ctx: context.Background(), Name: "a.pdf", In: in, Policy: p, Nested: func(_, _ string, b []byte) error {
		if !bytes.HasPrefix(b, []byte("\xFF\xD8")) {
			return rule.Refuse("verify.image", "", "no JPEG")
		}
		return nil
	}})
}

func deflated(s string) string {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := z.Write([]byte(s)); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

func image(keys, data string) maker {
	return page("", "", "/XObject << /X 6 0 R >>", "/X Do\n", "stream /Type /XObject /Subtype /Image "+keys+"\n"+data)
}

func annotation(keys string) maker {
	return page("", "/Annots [<< /Type /Annot /Rect [0 0 9 9] "+keys+" >>]", "", hello)
}

func TestWhatIsWrittenPasses(t *testing.T) {
	packed := page("", "", "", hello)
	packed.packed, packed.objects = []string{packed.objects[4]}, packed.objects[:4]
	for what, m := range map[string]maker{
		"a page":             page("", "", "", hello),
		"an object stream":   packed,
		"a compressed page":  {objects: append(page("", "", "", "").objects[:3:3], "stream /Filter /FlateDecode\n"+deflated(hello), "<< /Type /Font /Subtype /Type1 >>")},
		"pixels":             image("/Width 3 /Height 2 /BitsPerComponent 4 /ColorSpace /DeviceGray", "abcd"),
		"a JPEG":             image("/Width 3 /Height 2 /BitsPerComponent 8 /ColorSpace /DeviceRGB /Filter /DCTDecode", "\xFF\xD8"),
		"a web link":         annotation("/Subtype /Link /A << /S /URI /URI (https://www.example.jp/) >>"),
		"a place":            annotation("/Subtype /Link /Dest [3 0 R /XYZ 0 0 null]"),
		"a note":             annotation("/Subtype /Text /Contents (x)"),
		"a picture in text":  page("", "", "", "BI\n/BPC 8\n/CS /G\n/H 1\n/L 2\n/W 2\nID ab\nEI\n"),
		"an outline":         page("/Outlines 6 0 R", "", "", hello, "<< /Type /Outlines /First 7 0 R /Last 7 0 R /Count 1 >>", "<< /Title (a) /Parent 6 0 R /Dest [3 0 R /Fit] >>"),
		"a shading":          page("", "", "/Shading << /S 6 0 R >>", "/S sh\n", "<< /ShadingType 2 /ColorSpace /DeviceRGB /Coords [0 0 1 1] /Function << /FunctionType 2 /Domain [0 1] /N 1 >> >>"),
		"a calculator":       page("", "", "/ColorSpace << /C [/Separation /Gold /DeviceRGB 6 0 R] >>", "/C cs\n1 scn\n", "stream /FunctionType 4 /Domain [0 1] /Range [0 1 0 1 0 1]\n{ dup dup } "),
		"meaning of letters": maker{objects: append(page("", "", "", hello).objects[:4:4], "<< /Type /Font /Subtype /TrueType /ToUnicode 6 0 R >>", "stream \n1 beginbfchar\n<01> <0041>\nendbfchar\n")},
		"a font":             {objects: append(page("", "", "", hello).objects[:4:4], "<< /Type /Font /Subtype /TrueType /FontDescriptor << /Type /FontDescriptor /FontFile2 6 0 R >> >>", "stream /Length1 32\n"+sfntOf("cvt ", "abcd"))},
	} {
		if err := check(m.bytes()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestBrokenRebuilders puts back each thing that a rebuilder leaves out.
func TestBrokenRebuilders(t *testing.T) {
	good := page("", "", "", hello)
	with := func(change func(m *maker)) maker {
		m := good
		change(&m)
		return m
	}
	packed := page("", "", "", hello)
	packed.packed, packed.objects = []string{packed.objects[4]}, packed.objects[:4]
	behind := packed
	behind.pack = "(x)\n"
	js := "<< /S /JavaScript /JS (app.alert) >>"
	content := func(s string) maker { return page("", "", "", s) }
	font := func(keys string, more ...string) maker {
		m := page("", "", "", hello, more...)
		m.objects[4] = "<< /Type /Font /Subtype /TrueType " + keys + " >>"
		return m
	}
	for what, m := range map[string]maker{
		"bytes behind the end": with(func(m *maker) { m.tail = "x" }),
		"another revision":     with(func(m *maker) { m.tail = "6 0 obj\n<< >>\nendobj\n%%EOF\n" }),
		"a former revision":    with(func(m *maker) { m.table = "/Prev 10" }),
		"an ID of two sums": with(func(m *maker) {
			m.table = "/ID [<00112233445566778899AABBCCDDEEFF> <10112233445566778899AABBCCDDEEFF>]"
		}),
		"an ID that is long": with(func(m *maker) {
			m.table = "/ID [<00112233445566778899AABBCCDDEEFF00> <00112233445566778899AABBCCDDEEFF00>]"
		}),
		"an ID that is none":         with(func(m *maker) { m.table = "/ID (secret)" }),
		"encryption":                 with(func(m *maker) { m.table = "/Encrypt << >>" }),
		"information":                with(func(m *maker) { m.table = "/Info << /Author (x) >>" }),
		"a comment between objects":  with(func(m *maker) { m.between = "% x\n" }),
		"bytes between objects":      with(func(m *maker) { m.between = "x" }),
		"a table that lies":          with(func(m *maker) { m.lie = 1 }),
		"an object behind a pack":    behind,
		"an object that hangs loose": page("", "", "", hello, "<< /S /JavaScript >>"),
		"a reference to nothing":     page("/Outlines 9 0 R", "", "", hello),
		"a page that is a font":      {objects: append(page("", "", "", hello).objects[:4:4], "<< /Type /Page >>")},
		"one object as two kinds":    page("", "", "/ExtGState << /A 5 0 R >>", hello),

		"an action at opening":       page("/OpenAction "+js, "", "", hello),
		"actions of the document":    page("/AA << /WC "+js+" >>", "", "", hello),
		"named programs":             page("/Names << /JavaScript << /Names [(x) "+js+"] >> >>", "", "", hello),
		"embedded files":             page("/Names << /EmbeddedFiles << /Names [(a) << /Type /Filespec /UF (a.exe) /EF << /F 6 0 R >> >>] >> >>", "", "", hello, "stream /Type /EmbeddedFile\nMZ"),
		"associated files":           page("/AF []", "", "", hello),
		"a portfolio":                page("/Collection << >>", "", "", hello),
		"a form":                     page("/AcroForm << /Fields [] >>", "", "", hello),
		"metadata":                   page("/Metadata 6 0 R", "", "", hello, "stream \nx"),
		"structure":                  page("/StructTreeRoot << >>", "", "", hello),
		"permissions":                page("/Perms << >>", "", "", hello),
		"extensions":                 page("/Extensions << >>", "", "", hello),
		"actions of a page":          page("", "/AA << /O "+js+" >>", "", hello),
		"private data":               page("", "/PieceInfo << >>", "", hello),
		"a thumbnail":                page("", "/Thumb 6 0 R", "", hello, "stream \nx"),
		"a program behind a link":    annotation("/Subtype /Link /A " + js),
		"a program to start":         annotation("/Subtype /Link /A << /S /Launch /F (x) >>"),
		"another file":               annotation("/Subtype /Link /A << /S /GoToR /F (x) >>"),
		"an action behind another":   annotation("/Subtype /Link /A << /S /URI /URI (https://x/) /Next " + js + " >>"),
		"an address of a file":       annotation("/Subtype /Link /A << /S /URI /URI (file:///x) >>"),
		"an address with a control":  annotation("/Subtype /Link /A << /S /URI /URI (https://x/\\n) >>"),
		"a place elsewhere":          annotation("/Subtype /Link /Dest [4 0 R /Fit]"),
		"a field":                    annotation("/Subtype /Widget /FT /Tx"),
		"an action of a note":        annotation("/Subtype /Text /A " + js),
		"actions of a note":          annotation("/Subtype /Text /AA << /E " + js + " >>"),
		"a file on the page":         annotation("/Subtype /FileAttachment"),
		"a movie":                    annotation("/Subtype /Movie"),
		"rich media":                 annotation("/Subtype /RichMedia"),
		"rich text":                  annotation("/Subtype /Text /RC (<x/>)"),
		"a program for printers":     page("", "", "/XObject << /X 6 0 R >>", hello, "stream /Type /XObject /Subtype /PS\nx"),
		"a form of another file":     page("", "", "/XObject << /X 6 0 R >>", hello, "stream /Type /XObject /Subtype /Form /BBox [0 0 1 1] /Ref << >>\n"),
		"an alternate picture":       image("/Width 1 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray /Alternates []", "a"),
		"a stream elsewhere":         {objects: append(good.objects[:3:3], "stream /F (x)\n"+hello, good.objects[4])},
		"a filter that is not known": {objects: append(good.objects[:3:3], "stream /Filter /LZWDecode\n"+hello, good.objects[4])},
		"filters in a row":           {objects: append(good.objects[:3:3], "stream /Filter [/FlateDecode /FlateDecode]\n"+deflated(deflated(hello)), good.objects[4])},
		"a scan as it came":          image("/Width 8 /Height 1 /BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /JBIG2Decode", "a"),
		"bytes behind pixels":        image("/Width 1 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray", "ab"),
		"too few pixels":             image("/Width 1 /Height 2 /BitsPerComponent 8 /ColorSpace /DeviceGray", "a"),
		"a JPEG that is none":        image("/Width 1 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray /Filter /DCTDecode", "PK"),
		"colours of a new kind":      page("", "", "/ColorSpace << /C [/Unheard 1] >>", hello),

		"an unknown operator":       content("(x) exec\n"),
		"operands of another kind":  content("(x) w\n"),
		"operands too many":         content("1 2 w\n"),
		"operands left over":        content("1 2\n"),
		"a state left open":         content("q\n"),
		"a state closed twice":      content("q\nQ\nQ\n"),
		"text in text":              content("BT\nBT\nET\nET\n"),
		"a string left open":        content("(x"),
		"a comment":                 content("% x\nn\n"),
		"unknown properties":        content("/A << /X (x) >> BDC\nEMC\n"),
		"a picture without length":  content("BI\n/W 1\n/H 1\n/BPC 8\n/CS /G\nID a\nEI\n"),
		"a picture of another size": content("BI\n/W 1\n/H 1\n/BPC 8\n/CS /G\n/L 2\nID ab\nEI\n"),
		"a picture with its end in": content("BI\n/W 4\n/H 1\n/BPC 8\n/CS /G\n/L 4\nID \nEI\n\nEI\n"),
		"a program in a calculator": page("", "", "/ColorSpace << /C [/Separation /Gold /DeviceRGB 6 0 R] >>", hello, "stream /FunctionType 4 /Domain [0 1] /Range [0 1]\n{ run } "),
		"a program in a CMap":       font("/ToUnicode 6 0 R", "stream \n(x) run\n"),
		"a font that is none":       font("/FontDescriptor << /Type /FontDescriptor /FontFile2 6 0 R >>", "stream /Length1 4\nabcd"),
		"a table of a font":         font("/FontDescriptor << /Type /FontDescriptor /FontFile2 6 0 R >>", "stream /Length1 32\n"+sfntOf("SVG ", "abcd")),
		"bytes behind a font":       font("/FontDescriptor << /Type /FontDescriptor /FontFile2 6 0 R >>", "stream /Length1 32\n"+sfntOf("cvt ", "abcd")+"x"),
		"a key of a font":           font("/Unheard 1"),
		"a profile that is none":    page("", "", "/ColorSpace << /C [/ICCBased 6 0 R] >>", hello, "stream /N 3\nx"),
	} {
		var no *rule.Refusal
		if err := check(m.bytes()); !errors.As(err, &no) {
			t.Errorf("%s: got %v, want a refusal", what, err)
		} else if t.Logf("%s: %v", what, no); no.Code != "verify.pdf" && no.Code != "verify.image" {
			t.Errorf("%s: got %v", what, no)
		}
	}
}

// What the shapes allow and a route does not want is refused there, and passes on another route.
func TestRoutesWant(t *testing.T) {
	attached := func(key string) maker {
		return page("/Names << /EmbeddedFiles << /Names [("+key+") << /Type /Filespec /UF (a.jpg) /EF << /F 6 0 R >> >>] >> >>", "", "", hello, "stream /Type /EmbeddedFile\n\xFF\xD8")
	}
	rebuild := verdict.Policy{Attachments: "rebuild"}
	for _, c := range []struct {
		what      string
		m         maker
		pass, not verdict.Policy
	}{
		{"attached files", attached("000000"), rebuild, verdict.Policy{}},
		{"links", annotation("/Subtype /Link /A << /S /URI /URI (https://www.example.jp/) >>"), verdict.Policy{}, verdict.Policy{Links: "remove"}},
		{"comments", annotation("/Subtype /Text /Contents (x)"), verdict.Policy{}, verdict.Policy{Comments: "remove"}},
	} {
		if err := checkFor(c.pass, c.m.bytes()); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		if err := checkFor(c.not, c.m.bytes()); err == nil {
			t.Errorf("%s pass where the route does not want them", c.what)
		}
	}
	if err := checkFor(rebuild, attached("../secret").bytes()); err == nil {
		t.Error("attached files are called what their sender wants")
	}
	if err := checkFor(verdict.Policy{Links: "remove"}, annotation("/Subtype /Link /Dest [3 0 R /Fit]").bytes()); err != nil {
		t.Errorf("a place in the document: %v", err)
	}
}

// sfntOf is a font of one table.
func sfntOf(tag, data string) string {
	b := []byte("\x00\x01\x00\x00\x00\x01\x00\x10\x00\x00\x00\x00" + tag + "\x00\x00\x00\x00")
	b = binary.BigEndian.AppendUint32(b, 28)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	return string(b) + data
}

func TestBoundsHold(t *testing.T) {
	deep := page("", "", "/ColorSpace << /C "+strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)+" >>", hello)
	if err := check(deep.bytes()); err == nil {
		t.Error("nesting passes")
	}
	if _, err := (&scanner{in: []byte(strings.Repeat("[", maxLevels+10) + strings.Repeat("]", maxLevels+10))}).value(0); err == nil {
		t.Error("values are read at any depth")
	}
	f := &file{File: &rule.File{Ctx: t.Context()}}
	bomb := &object{stream: true, v: &node{t: 'd', keys: map[string]*node{"Filter": {t: 'N', s: "FlateDecode"}}}, data: []byte(deflated(strings.Repeat("\n", 1<<20)))}
	if _, err := f.content(bomb, 1<<19); err == nil {
		t.Error("a stream over its limit passes")
	}
	if f.unpacked = maxUnpacked - 1<<19; f.unpacked > 0 {
		if _, err := f.content(bomb, maxStream); err == nil {
			t.Error("streams over the limit of all pass")
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := Check(&rule.File{Ctx: ctx, In: page("", "", "", hello).bytes()}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(page("", "", "", hello).bytes())
	f.Add(image("/Width 3 /Height 2 /BitsPerComponent 4 /ColorSpace /DeviceGray", "abcd").bytes())
	f.Add(annotation("/Subtype /Link /Dest [3 0 R /XYZ 0 0 null]").bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		if err := check(in); err != nil {
			var no *rule.Refusal
			if !errors.As(err, &no) {
				t.Errorf("got %v, want a refusal", err)
			}
		}
	})
}

func FuzzOperators(f *testing.F) {
	f.Add([]byte(hello))
	f.Add([]byte("BI\n/BPC 8\n/CS /G\n/H 1\n/L 2\n/W 2\nID ab\nEI\n"))
	f.Fuzz(func(_ *testing.T, in []byte) { _ = operators(context.Background(), in) })
}
