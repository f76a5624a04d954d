package tool

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool/pam"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

func TestMain(m *testing.M) {
	if _, err := os.Stat(Tree + "/manifest"); err != nil {
		fmt.Fprintln(os.Stderr, "these tests run the programs of the runtime tree; hack/bootstrap makes it")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// ask answers a need that must come out.
func ask(t *testing.T, kind string, options map[string]string, in []byte) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	a := Answer(ctx, verdict.Need{ID: "1", Kind: kind, Options: options, Body: in})
	if a.Failed != "" || a.ID != "1" || len(a.Body) == 0 {
		t.Fatalf("%s %v: %s %s", kind, options, a.Failed, a.Detail)
	}
	return a.Body
}

func refused(t *testing.T, code, kind string, options map[string]string, in []byte) {
	t.Helper()
	a := Answer(t.Context(), verdict.Need{ID: "1", Kind: kind, Options: options, Body: in})
	if a.Failed != code || a.Body != nil || len([]rune(a.Detail)) > 200 {
		t.Errorf("%s %v: got %q %q with %d bytes, want %s", kind, options, a.Failed, a.Detail, len(a.Body), code)
	}
}

// part reads one part of an Office Open XML package.
func part(t *testing.T, b []byte, name string) string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := z.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDocumentsAreConverted(t *testing.T) {
	const text = "戸籍の附票 髙﨑"
	rtf := `{\rtf1\ansi\ansicpg932\deff0{\fonttbl{\f0\fcharset128 MS Mincho;}}\f0 `
	for _, r := range text {
		rtf += fmt.Sprintf(`\u%d?`, int16(r))
	}
	rtf += "\\par}"
	sheet := `<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet" xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet">` +
		`<Worksheet ss:Name="a"><Table><Row><Cell><Data ss:Type="String">` + text + `</Data></Cell></Row></Table></Worksheet></Workbook>`
	for _, c := range []struct{ from, to, in, part string }{
		{"rtf", "docx", rtf, "word/document.xml"},
		{"html", "docx", `<html><meta charset="utf-8"><p>` + text, "word/document.xml"},
		{"xml", "xlsx", sheet, "xl/sharedStrings.xml"},
	} {
		out := ask(t, "convert", map[string]string{"from": c.from, "to": c.to}, []byte(c.in))
		if got := part(t, out, c.part); !strings.Contains(got, text) {
			t.Errorf("%s: %s lacks %q: %.500s", c.from, c.part, text, got)
		}
	}
	docx := ask(t, "convert", map[string]string{"from": "rtf", "to": "docx"}, []byte(rtf))
	pdf := ask(t, "convert", map[string]string{"from": "docx", "to": "pdf"}, docx)
	if words := ask(t, "render", map[string]string{"from": "pdf", "text": "yes"}, pdf); !bytes.Contains(words, []byte("戸籍の附票")) {
		t.Errorf("the PDF lacks the text: %s", words)
	}
}

// The first pages of a long document are drawn at a size that the caller sets, and no others.
func TestFirstPagesAreDrawnAtASize(t *testing.T) {
	in := `{\rtf1\ansi` + strings.Repeat(`Sekisho\page `, 9) + "end}"
	docx := ask(t, "convert", map[string]string{"from": "rtf", "to": "docx"}, []byte(in))
	for last, want := range map[string]int{"3": 3, "500": 10} {
		pdf := ask(t, "convert", map[string]string{"from": "docx", "to": "pdf", "last": last}, docx)
		frames, err := pam.Read(ask(t, "render", map[string]string{"from": "pdf", "edge": "200"}, pdf), 100)
		if err != nil || len(frames) != want {
			t.Fatalf("up to page %s: %d pages, %v", last, len(frames), err)
		}
		if f := frames[0]; max(f.Width, f.Height) != 200 {
			t.Errorf("a page of %d x %d pixels", f.Width, f.Height)
		}
	}
}

func TestWhatIsNoDocumentIsAFailure(t *testing.T) {
	junk := bytes.Repeat([]byte{0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1}, 600)
	refused(t, Failed, "convert", map[string]string{"from": "doc", "to": "docx"}, junk)
	refused(t, Failed, "pdf-read", nil, []byte("MZ"))
	refused(t, Failed, "pdf-write", nil, []byte(`{"qpdf":[]}`))
	refused(t, Failed, "render", map[string]string{"from": "pdf"}, junk)
	refused(t, Failed, "render", map[string]string{"from": "pdf", "text": "yes"}, junk)
	for format := range decoders {
		options := map[string]string{"format": format}
		if format == "ccitt" {
			maps.Copy(options, map[string]string{"rows": "8", "columns": "8", "k": "-1"})
			continue // any bits are a picture
		}
		refused(t, Failed, "decode", options, junk)
	}
}

// TestOptionsAreHeldToTheTable: nothing that a file says becomes an argument of a program.
func TestOptionsAreHeldToTheTable(t *testing.T) {
	for _, c := range []struct {
		kind    string
		options map[string]string
	}{
		{"run", nil},
		{"", nil},
		{"convert", nil},
		{"convert", map[string]string{"from": "doc"}},
		{"convert", map[string]string{"from": "doc", "to": "docx --help"}},
		{"convert", map[string]string{"from": "../doc", "to": "docx"}},
		{"convert", map[string]string{"from": "doc", "to": "docx", "filter": "x"}},
		{"pdf-read", map[string]string{"password": "a\n--replace-input"}},
		{"pdf-write", map[string]string{"password": "x"}},
		{"decode", map[string]string{"format": "ps"}},
		{"decode", map[string]string{"format": "tiff", "frames": "0"}},
		{"decode", map[string]string{"format": "tiff", "frames": "+1"}},
		{"decode", map[string]string{"format": "jbig2", "globals": "-1"}},
		{"render", map[string]string{"from": "pdf", "dpi": "9999"}},
		{"render", map[string]string{"from": "pdf", "first": "-x"}},
		{"render", map[string]string{"from": "pdf", "first": "9", "last": "3"}},
		{"render", map[string]string{"from": "ps"}},
		{"render", map[string]string{"from": "pdf", "edge": "99999"}},
		{"convert", map[string]string{"from": "doc", "to": "pdf", "last": "1-9"}},
	} {
		refused(t, Unknown, c.kind, c.options, []byte("x"))
	}
}

// simple is a PDF of one page of 144 x 72 points with one word.
func simple() []byte {
	var b bytes.Buffer
	var at []int
	b.WriteString("%PDF-1.4\n")
	stream := "BT /F1 24 Tf 10 30 Td (Sekisho) Tj ET"
	for i, o := range []string{"<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 144 72]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
		fmt.Sprintf("<</Length %d>>stream\n%s\nendstream", len(stream), stream), "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"} {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj%s endobj\n", i+1, o)
	}
	xref := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, a := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", a)
	}
	fmt.Fprintf(&b, "trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, xref)
	return b.Bytes()
}

func TestPDFIsReadWrittenAndDrawn(t *testing.T) {
	objects := ask(t, "pdf-read", nil, simple())
	if !bytes.Contains(objects, []byte(`"/Type": "/Catalog"`)) || !bytes.Contains(objects, []byte(`"data": "`)) {
		t.Errorf("objects: %s", objects)
	}
	pdf := ask(t, "pdf-write", nil, objects)
	if again := ask(t, "pdf-write", nil, objects); !bytes.Equal(pdf, again) {
		t.Error("the same objects gave two files")
	}
	frames, err := pam.Read(ask(t, "render", map[string]string{"from": "pdf", "dpi": "72"}, pdf), 10)
	if err != nil || len(frames) != 1 || frames[0].Width != 144 || frames[0].Height != 72 || frames[0].Depth != 3 || !bytes.Contains(frames[0].Pix, []byte{0, 0, 0}) {
		t.Errorf("%v, %d pages", err, len(frames))
	}
	if words := ask(t, "render", map[string]string{"from": "pdf", "text": "yes"}, pdf); !bytes.Contains(words, []byte(">Sekisho</word>")) {
		t.Errorf("words: %s", words)
	}
}

func TestPasswordsOpenAPDF(t *testing.T) {
	dir := t.TempDir()
	w := &work{ctx: t.Context(), dir: dir, at: Work, tree: Tree}
	if err := w.write("in.pdf", simple()); err != nil {
		t.Fatal(err)
	}
	if said, status, err := w.exec("qpdf", "--encrypt", "関所", "owner", "256", "--", w.path("in.pdf"), w.path("out.pdf")); err != nil || status != 0 {
		t.Fatalf("%s %v", said, err)
	}
	locked, err := w.read("out.pdf", "")
	if err != nil {
		t.Fatal(err)
	}
	refused(t, Password, "pdf-read", nil, locked)
	refused(t, Password, "pdf-read", map[string]string{"password": "wrong"}, locked)
	objects := ask(t, "pdf-read", map[string]string{"password": "関所"}, locked)
	content := base64.StdEncoding.EncodeToString([]byte("BT /F1 24 Tf 10 30 Td (Sekisho) Tj ET"))
	if !bytes.Contains(objects, []byte(content)) {
		t.Errorf("the page is not in clear: %s", objects)
	}
}

// checks is a picture of two colours, w x h.
func checks(w, h int, a, b color.NRGBA) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := a
			if (x/4+y/4)%2 == 1 {
				c = b
			}
			m.SetNRGBA(x, y, c)
		}
	}
	return m
}

var red, blue = color.NRGBA{255, 0, 0, 255}, color.NRGBA{0, 0, 255, 255}

func TestPicturesAreDecoded(t *testing.T) {
	m := checks(24, 16, red, blue)
	var asPNG, asJPEG bytes.Buffer
	if err := png.Encode(&asPNG, checks(24, 16, red, color.NRGBA{0, 0, 255, 128})); err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(&asJPEG, m, &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		format string
		in     []byte
		depth  int
		slack  int
	}{
		{"png", asPNG.Bytes(), 4, 0},
		{"jpeg", asJPEG.Bytes(), 3, 90}, // colours are stored at half the resolution
		{"bmp", bitmap(m), 3, 0},
		{"tiff", plainTIFF(m), 4, 0},
	} {
		frames, err := pam.Read(ask(t, "decode", map[string]string{"format": c.format}, c.in), 1)
		if err != nil || frames[0].Width != 24 || frames[0].Height != 16 || frames[0].Depth != c.depth {
			t.Errorf("%s: %v %+v", c.format, err, frames)
			continue
		}
		for _, p := range []struct{ x, y int }{{1, 1}, {6, 1}, {6, 6}} {
			want := m.NRGBAAt(p.x, p.y)
			got := frames[0].Pix[(p.y*24+p.x)*c.depth:]
			if d := max(diff(got[0], want.R), diff(got[1], want.G), diff(got[2], want.B)); d > c.slack {
				t.Errorf("%s: at %v got %v, want %v", c.format, p, got[:c.depth], want)
			}
		}
		if c.format == "png" && frames[0].Pix[4*4+3] != 128 {
			t.Errorf("alpha %d", frames[0].Pix[4*4+3])
		}
	}
}

func diff(a, b uint8) int { return max(int(a)-int(b), int(b)-int(a)) }

// bitmap writes a BMP of 24 bits a pixel, rows from the bottom.
func bitmap(m *image.NRGBA) []byte {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	b := []byte("BM")
	for _, n := range []uint32{uint32(54 + w*h*3), 0, 54, 40, uint32(w), uint32(h), 24<<16 | 1, 0, 0, 0, 0, 0, 0} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	for y := h - 1; y >= 0; y-- {
		for x := range w {
			c := m.NRGBAAt(x, y)
			b = append(b, c.B, c.G, c.R)
		}
	}
	return b
}

// plainTIFF writes a TIFF of one uncompressed RGB strip.
func plainTIFF(m *image.NRGBA) []byte {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	entries := [][4]uint32{{256, 4, 1, uint32(w)}, {257, 4, 1, uint32(h)}, {258, 3, 1, 8}, {259, 3, 1, 1}, {262, 3, 1, 2}, {273, 4, 1, 8 + 2 + 9*12 + 4},
		{277, 3, 1, 3}, {278, 4, 1, uint32(h)}, {279, 4, 1, uint32(w * h * 3)}}
	b := binary.LittleEndian.AppendUint16([]byte("II*\x00\x08\x00\x00\x00"), uint16(len(entries)))
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint16(b, uint16(e[0]))
		b = binary.LittleEndian.AppendUint16(b, uint16(e[1]))
		b = binary.LittleEndian.AppendUint32(b, e[2])
		b = binary.LittleEndian.AppendUint32(b, e[3])
	}
	b = append(b, 0, 0, 0, 0)
	for i := 0; i < len(m.Pix); i += 4 {
		b = append(b, m.Pix[i:i+3]...)
	}
	return b
}

// TestFramesAreWholePictures: the second frame of an animation changes a corner, and comes as the whole picture that a person sees.
func TestFramesAreWholePictures(t *testing.T) {
	palette := color.Palette{color.NRGBA{255, 0, 0, 255}, color.NRGBA{0, 255, 0, 255}}
	first, second := image.NewPaletted(image.Rect(0, 0, 8, 8), palette), image.NewPaletted(image.Rect(4, 4, 8, 8), palette)
	for i := range second.Pix {
		second.Pix[i] = 1
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, &gif.GIF{Image: []*image.Paletted{first, second}, Delay: []int{5, 5}}); err != nil {
		t.Fatal(err)
	}
	for want, options := range map[int]map[string]string{2: {"format": "gif"}, 1: {"format": "gif", "frames": "1"}} {
		frames, err := pam.Read(ask(t, "decode", options, b.Bytes()), 2)
		if err != nil || len(frames) != want {
			t.Fatalf("%v: %d frames, %v", options, len(frames), err)
		}
		last := frames[len(frames)-1]
		corner := last.Pix[(7*8+7)*last.Depth:]
		if last.Width != 8 || last.Pix[0] != 255 || corner[1] != map[int]byte{1: 0, 2: 255}[want] {
			t.Errorf("%v: starts with %v, ends with %v", options, last.Pix[:4], corner)
		}
	}
}

// TestFax: eight white rows of eight pixels are one bit each in Group 4 (a vertical mode of no shift), then the end of the block.
func TestFax(t *testing.T) {
	in := []byte{0xff, 0x00, 0x10, 0x01}
	for black, want := range map[string]byte{"false": 255, "true": 0} {
		options := map[string]string{"format": "ccitt", "k": "-1", "columns": "8", "rows": "8", "black": black}
		frames, err := pam.Read(ask(t, "decode", options, in), 1)
		if err != nil || frames[0].Width != 8 || frames[0].Height != 8 || frames[0].Pix[0] != want {
			t.Errorf("black=%s: %v %+v, want %d", black, err, frames, want)
		}
	}
}

func TestTimeEndsAHelper(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	a := Answer(ctx, verdict.Need{Kind: "convert", Options: map[string]string{"from": "html", "to": "docx"}, Body: []byte("<p>x")})
	if a.Failed != Late || time.Since(began) > 5*time.Second {
		t.Errorf("got %q after %s, want %s", a.Failed, time.Since(began), Late)
	}
}
