package sanitize

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize/compound/compoundtest"
	"github.com/sekisho/sekisho/dataplane/sanitize/crypt/crypttest"
	"github.com/sekisho/sekisho/dataplane/sanitize/office/officetest"
	"github.com/sekisho/sekisho/dataplane/sanitize/picture"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// picture is w x h, left half red, right half blue, with a green top edge: every turn of it looks different.
func testPicture(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.NRGBA{220, 20, 20, 255}
			if x >= w/2 {
				c = color.NRGBA{20, 20, 220, 255}
			}
			if y < h/4 {
				c = color.NRGBA{20, 220, 20, 255}
			}
			img.SetNRGBA(x, y, c)
		}
	}
	return img
}

func jpegOf(t testing.TB, img image.Image) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pngOf(t testing.TB, img image.Image) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// exif is a TIFF structure with an orientation and a pointer to a GPS directory that holds a marker text.
func exif(orientation uint16) []byte {
	le := binary.LittleEndian
	b := []byte("II*\x00\x08\x00\x00\x00")
	b = le.AppendUint16(b, 2)
	b = le.AppendUint16(le.AppendUint32(le.AppendUint16(le.AppendUint16(b, 0x0112), 3), 1), orientation)
	b = append(b, 0, 0)
	b = le.AppendUint32(le.AppendUint32(le.AppendUint16(le.AppendUint16(b, 0x8825), 4), 1), 38)
	b = le.AppendUint32(b, 0)
	return append(b, "35.6586N 139.7454E"...)
}

func segment(marker byte, body []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0xFF, marker}, uint16(len(body)+2)), body...)
}

// withSegments puts segments behind SOI.
func withSegments(jpg []byte, segs ...[]byte) []byte {
	out := append([]byte{}, jpg[:2]...)
	for _, s := range segs {
		out = append(out, s...)
	}
	return append(out, jpg[2:]...)
}

func TestJPEGLosesMetadataAndStandsUpright(t *testing.T) {
	plain := jpegOf(t, testPicture(64, 32))
	for orientation, want := range map[uint16][2]string{ // colors at top left and bottom right
		1: {"green", "blue"}, 2: {"green", "red"}, 3: {"blue", "green"}, 4: {"red", "green"},
		5: {"green", "blue"}, 6: {"red", "green"}, 7: {"blue", "green"}, 8: {"green", "red"},
	} {
		in := withSegments(plain, segment(0xE1, append([]byte("Exif\x00\x00"), exif(orientation)...)), segment(0xE1, []byte("http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta/>")),
			segment(0xED, []byte("Photoshop 3.0\x00secret")), segment(0xE2, []byte("ICC_PROFILE\x00\x01\x01secret")), segment(0xFE, []byte("secret comment")))
		rep, out := clean(t, "写真.JPG", in)
		for _, leak := range []string{"Exif", "139.7454", "secret", "xmpmeta", "Adobe"} {
			if bytes.Contains(out, []byte(leak)) {
				t.Errorf("orientation %d: %q is still there", orientation, leak)
			}
		}
		if !has(rep, "jpeg.gps", verdict.Removed) || !has(rep, "image.metadata", verdict.Removed) {
			t.Errorf("orientation %d: findings %v", orientation, rep.Findings)
		}
		if has(rep, "image.orientation", verdict.Changed) != (orientation != 1) {
			t.Errorf("orientation %d: findings %v", orientation, rep.Findings)
		}
		img, err := jpeg.Decode(bytes.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		b := img.Bounds()
		if turned := b.Dx() < b.Dy(); turned != (orientation >= 5) {
			t.Errorf("orientation %d: size %v", orientation, b)
		}
		// Inner points: away from both the green edge's border and the corners' noise.
		if got := colorAt(img, 0.04, 0.04); orientation <= 4 && got != want[0] && !(orientation == 4 && got == "red") {
			t.Errorf("orientation %d: top left is %s, want %s", orientation, got, want[0])
		}
		checkTurn(t, orientation, img)
		if rep.Result == nil || rep.Result.Width != b.Dx() || rep.Result.Height != b.Dy() || len(rep.Result.RGBA) != b.Dx()*b.Dy()*4 {
			t.Errorf("orientation %d: preview %v", orientation, rep.Result)
		}
	}
}

// checkTurn compares with the definition: the pixel that orientation moves to each corner.
func checkTurn(t *testing.T, orientation uint16, got image.Image) {
	t.Helper()
	// The picture's edges: top green; below, left red and right blue. Where they are after the turn (Exif 2.32, 4.6.5):
	edges := map[uint16]map[string]string{
		1: {"top": "green", "left": "red", "right": "blue"}, 2: {"top": "green", "left": "blue", "right": "red"},
		3: {"bottom": "green", "left": "blue", "right": "red"}, 4: {"bottom": "green", "left": "red", "right": "blue"},
		5: {"left": "green", "top": "red", "bottom": "blue"}, 6: {"right": "green", "top": "red", "bottom": "blue"},
		7: {"right": "green", "top": "blue", "bottom": "red"}, 8: {"left": "green", "top": "blue", "bottom": "red"},
	}[orientation]
	at := map[string][2]float64{"top": {0.5, 0.05}, "bottom": {0.5, 0.95}, "left": {0.05, 0.5}, "right": {0.95, 0.5}}
	for edge, want := range edges {
		x, y := at[edge][0], at[edge][1]
		if want != "green" { // away from the border between red and blue
			switch edge {
			case "left", "right":
				y = 0.5
			}
		}
		if c := colorAt(got, x, y); c != want && want != "green" || want == "green" && c != "green" {
			t.Errorf("orientation %d: %s edge is %s, want %s", orientation, edge, c, want)
		}
	}
}

func colorAt(img image.Image, fx, fy float64) string {
	b := img.Bounds()
	r, g, bl, _ := img.At(b.Min.X+int(fx*float64(b.Dx()-1)), b.Min.Y+int(fy*float64(b.Dy()-1))).RGBA()
	switch {
	case g > r && g > bl:
		return "green"
	case r > bl:
		return "red"
	}
	return "blue"
}

func TestGrayAndColorJPEGStayWhatTheyAre(t *testing.T) {
	gray := image.NewGray(image.Rect(0, 0, 40, 20))
	for i := range gray.Pix {
		gray.Pix[i] = byte(i)
	}
	_, out := clean(t, "g.jpeg", jpegOf(t, gray))
	img, err := jpeg.Decode(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := img.(*image.Gray); !ok {
		t.Errorf("got %T, want gray", img)
	}
}

func TestPNGKeepsPixels(t *testing.T) {
	rect := image.Rect(0, 0, 7, 5)
	palette := image.NewPaletted(rect, color.Palette{color.NRGBA{1, 2, 3, 255}, color.NRGBA{200, 100, 0, 128}})
	palette.Pix[3] = 1
	deep := image.NewNRGBA64(rect)
	deep.SetNRGBA64(2, 2, color.NRGBA64{1000, 40000, 65535, 30000})
	gray16 := image.NewGray16(rect)
	gray16.SetGray16(1, 1, color.Gray16{12345})
	for name, img := range map[string]image.Image{"palette": palette, "16 bit": deep, "gray 16": gray16, "alpha": testPicture(7, 5)} {
		_, out := clean(t, "a.png", pngOf(t, img))
		got, err := png.Decode(bytes.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		for y := range 5 {
			for x := range 7 {
				gr, gg, gb, ga := got.At(x, y).RGBA()
				wr, wg, wb, wa := img.At(x, y).RGBA()
				if gr != wr || gg != wg || gb != wb || ga != wa {
					t.Fatalf("%s: pixel %d,%d is %v, want %v", name, x, y, got.At(x, y), img.At(x, y))
				}
			}
		}
	}
}

func chunk(typ string, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = append(append(b, typ...), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// behindIHDR puts chunks behind the header.
func behindIHDR(b []byte, chunks ...[]byte) []byte {
	out := append([]byte{}, b[:33]...)
	for _, c := range chunks {
		out = append(out, c...)
	}
	return append(out, b[33:]...)
}

func TestPNGLosesMetadata(t *testing.T) {
	in := behindIHDR(pngOf(t, testPicture(8, 8)), chunk("tEXt", []byte("Author\x00secret")), chunk("eXIf", exif(1)), chunk("iTXt", []byte("XML:com.adobe.xmp\x00secret")), chunk("prVt", []byte("secret")), chunk("acTL", make([]byte, 8)))
	rep, out := clean(t, "a.png", in)
	if bytes.Contains(out, []byte("secret")) || bytes.Contains(out, []byte("139.7454")) {
		t.Error("metadata is still there")
	}
	for code, action := range map[string]verdict.Action{"png.gps": verdict.Removed, "image.metadata": verdict.Removed, "image.animation": verdict.Removed} {
		if !has(rep, code, action) {
			t.Errorf("%s is not reported: %v", code, rep.Findings)
		}
	}
}

// A header may claim any size: it must be refused before memory is asked for.
func TestHugeHeadersAreRefused(t *testing.T) {
	ihdr := func(w, h uint32, depth, kind byte) []byte {
		b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
		return append(append([]byte(picture.PNGMagic), chunk("IHDR", append(b, depth, kind, 0, 0, 0))...), append(chunk("IDAT", []byte{1}), chunk("IEND", nil)...)...)
	}
	blocked(t, "a.png", ihdr(3_000_000, 2_000_000, 8, 6), "limit.pixels")
	blocked(t, "a.png", ihdr(30_000, 3_000, 8, 6), "limit.pixels")
	blocked(t, "a.png", ihdr(8_000, 7_900, 16, 6), "limit.pixels")
	blocked(t, "a.png", ihdr(40_000, 1, 8, 0), "limit.pixels")
	blocked(t, "a.png", ihdr(0, 5, 8, 6), "image.broken")
	blocked(t, "a.png", ihdr(1<<31, 5, 8, 6), "image.broken")
	sof := func(marker byte, w, h uint16) []byte {
		b := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16([]byte{8}, h), w)
		return append([]byte{0xFF, 0xD8}, segment(marker, append(b, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0))...)
	}
	blocked(t, "a.jpg", sof(0xC0, 65_000, 65_000), "limit.pixels")
	blocked(t, "a.jpg", sof(0xC2, 7_900, 7_900), "limit.pixels") // coefficients of all pixels at once
	blocked(t, "a.jpg", sof(0xC3, 10, 10), "image.unsupported")  // lossless
}

func TestProgressiveScansAreBounded(t *testing.T) {
	jpg := jpegOf(t, testPicture(16, 16))
	sos := bytes.Index(jpg, []byte{0xFF, 0xDA})
	scan := jpg[sos : len(jpg)-2]
	in := append([]byte{}, jpg[:len(jpg)-2]...)
	for range 200 {
		in = append(in, scan...)
	}
	blocked(t, "a.jpg", append(in, 0xFF, 0xD9), "limit.scans")
}

func TestPolyglotsAreRefusedAndLeftOversCut(t *testing.T) {
	p, jp := pngOf(t, testPicture(8, 8)), jpegOf(t, testPicture(8, 8))
	zipped := officetest.Docx(t, nil)
	for _, tail := range [][]byte{zipped, []byte("<script>alert(1)</script>"), []byte("\r\n%PDF-1.7 ..."), []byte("Rar!\x1A\x07\x00"), append([]byte("MZ\x90\x00"), "PE\x00\x00"...)} {
		blocked(t, "a.png", append(bytes.Clone(p), tail...), "type.polyglot")
		blocked(t, "a.jpg", append(bytes.Clone(jp), tail...), "type.polyglot")
	}
	blocked(t, "a.jpg", withSegments(jp, segment(0xFE, []byte("%PDF-1.4"))), "type.polyglot")
	for _, tail := range []string{"camera trailer", string(jp)} {
		rep, out := clean(t, "a.jpg", append(bytes.Clone(jp), tail...))
		if !has(rep, "image.tail", verdict.Removed) || bytes.Contains(out, []byte("trailer")) {
			t.Errorf("tail %.10q: %v", tail, rep.Findings)
		}
	}
	rep, _ := clean(t, "a.png", append(bytes.Clone(p), "\x00\x00\n"...))
	if has(rep, "image.tail", verdict.Removed) {
		t.Errorf("padding was reported: %v", rep.Findings)
	}
}

func TestBrokenPicturesAreRefused(t *testing.T) {
	p, jp := pngOf(t, testPicture(8, 8)), jpegOf(t, testPicture(8, 8))
	bad := bytes.Clone(p)
	bad[len(bad)-20] ^= 1
	blocked(t, "a.png", bad, "image.broken")
	blocked(t, "a.png", p[:len(p)-12], "image.broken")
	blocked(t, "a.png", p[:40], "image.broken")
	blocked(t, "a.jpg", jp[:len(jp)/2], "image.broken")
	blocked(t, "a.jpg", []byte("\xFF\xD8\xFF\xD9"), "image.broken")
	blocked(t, "a.png", behindIHDR(p, chunk("CRIT", nil)), "image.unsupported")
}

func TestContentAndNameMustAgree(t *testing.T) {
	pe := []byte("MZ\x90\x00\x03\x00\x00\x00" + strings.Repeat("\x00", 100) + "PE\x00\x00")
	ole := []byte("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1" + strings.Repeat("\x00", 600))
	locked := crypttest.File(officetest.Docx(t, nil), "key")
	for _, c := range []struct {
		name string
		in   []byte
		code string
	}{
		{"請求書.pdf", pe, "type.mismatch"}, {"a.txt", pe, "type.mismatch"}, {"a.docx", pe, "type.mismatch"}, {"a", pe, "type.mismatch"},
		{"a.exe", pe, "type.executable"}, {"a.com", []byte("x"), "type.executable"}, {"a.bat", pe, "type.script"},
		{"a.txt", []byte("\x7FELF\x02"), "type.mismatch"}, {"a.png", []byte("%PDF-1.7\n"), "type.mismatch"},
		{"a.docx", officetest.Zip(t, map[string]string{"a.txt": "x"}), "type.mismatch"}, {"a.docx", []byte("hello"), "type.mismatch"}, {"a.xlsx", officetest.Docx(t, nil), "type.mismatch"},
		{"a.odt", officetest.Zip(t, map[string]string{"mimetype": "application/vnd.oasis.opendocument.text"}), "odf.broken"},
		{"a.doc", ole, "legacy.broken"}, {"a.xls", compoundtest.File(map[string]string{"WordDocument": "x"}), "type.mismatch"}, {"a.exe", []byte("L\x00\x00\x00\x01\x14\x02\x00"), "type.mismatch"},
		{"a.docx", locked, "type.encrypted"}, {"a.doc", locked, "legacy.encryption"}, {"a.xlsb", locked, "legacy.encryption"}, {"a.zip", locked, "type.encrypted"}, {"a.jpg", pngOf(t, testPicture(2, 2)), "type.mismatch"},
		{"readme", []byte("x"), "type.no-extension"}, {"a.txt", []byte("{\\rtf1}"), "type.mismatch"}, {"a.gif", []byte("GIF89a"), "image.broken"}, {"a.gif", []byte("BM\x00\x00"), "type.mismatch"}, {"a.tif", []byte("II+\x00"), "type.mismatch"}, {"a.xyz", []byte("x"), "type.unsupported"},
	} {
		blocked(t, c.name, c.in, c.code)
	}
}

func TestNamesAreMadeSafe(t *testing.T) {
	for in, want := range map[string]string{
		"報告書.txt": "報告書.txt", `C:\Users\x\a.TXT`: "a.TXT", "../../etc/a.txt": "a.txt", "a\u202Etxt.exe.txt": "atxt.exe.txt", "a:b|c?.txt": "a_b_c_.txt",
		".txt": "file.txt", "\u202E.txt": "file.txt", "葛\U000E0100飾\uE000.txt": "葛\U000E0100飾\uE000.txt", strings.Repeat("あ", 100) + ".txt": strings.Repeat("あ", 66) + ".txt", "a. .txt": "a.txt",
	} {
		rep, _ := clean(t, in, []byte("x"))
		if rep.OutName != want {
			t.Errorf("%q: got %q, want %q", in, rep.OutName, want)
		}
	}
}

func FuzzPicture(f *testing.F) {
	f.Add(false, pngOf(f, testPicture(4, 4)))
	f.Add(true, jpegOf(f, testPicture(8, 8)))
	f.Add(true, withSegments(jpegOf(f, testPicture(8, 8)), segment(0xE1, append([]byte("Exif\x00\x00"), exif(6)...))))
	f.Fuzz(func(t *testing.T, photo bool, in []byte) {
		name := "a.png"
		if photo {
			name = "a.jpg"
		}
		rep, out := run(t, name, in)
		if has(rep, "internal", verdict.Refused) {
			t.Fatalf("panic: %v", rep.Findings)
		}
		if rep.Outcome != verdict.Clean {
			return
		}
		if again, _ := run(t, name, out); again.Outcome != verdict.Clean || len(again.Findings) != 0 {
			t.Fatalf("%s: the result is not settled: %v", name, again.Findings)
		}
	})
}
