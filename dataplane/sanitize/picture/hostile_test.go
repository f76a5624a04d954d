package picture_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

var le = binary.LittleEndian

func sample(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		copy(img.Pix[4*i:], []byte{byte(i * 7), byte(i / w * 3), byte(i % w), 255})
	}
	return img
}

func made(t testing.TB, encode func(b *bytes.Buffer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gifOf(t testing.TB, frames, w, h int) []byte {
	g := &gif.GIF{}
	for range frames {
		p := image.NewPaletted(image.Rect(0, 0, w, h), color.Palette{color.Black, color.White, color.RGBA{200, 0, 0, 255}})
		for i := range p.Pix {
			p.Pix[i] = byte(i % 3)
		}
		g.Image, g.Delay = append(g.Image, p), append(g.Delay, 7)
	}
	return made(t, func(b *bytes.Buffer) error { return gif.EncodeAll(b, g) })
}

func bmpOf(t testing.TB, img image.Image) []byte {
	return made(t, func(b *bytes.Buffer) error { return bmp.Encode(b, img) })
}

func tiffOf(t testing.TB, img image.Image) []byte {
	return made(t, func(b *bytes.Buffer) error { return tiff.Encode(b, img, nil) })
}

func jpegOf(t testing.TB, img image.Image) []byte {
	return made(t, func(b *bytes.Buffer) error { return jpeg.Encode(b, img, nil) })
}

func pngOf(t testing.TB, img image.Image) []byte {
	return made(t, func(b *bytes.Buffer) error { return png.Encode(b, img) })
}

// riff makes a WebP of chunks.
func riff(chunks ...[]byte) []byte {
	body := append([]byte("WEBP"), bytes.Join(chunks, nil)...)
	return append(le.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

func webpChunk(name string, body []byte) []byte {
	out := append(le.AppendUint32([]byte(name), uint32(len(body))), body...)
	return append(out, make([]byte, len(body)&1)...)
}

// lossless is a WebP of one color: each of its five prefix codes has one symbol (WebP lossless, 5.2), so pixels take no bits.
func lossless(w, h int) []byte {
	var acc uint64
	n := 0
	put := func(v uint64, bits int) { acc |= v << n; n += bits }
	put(uint64(w-1)|uint64(h-1)<<14, 32) // no transparency, version 0
	put(0, 3)                            // no transform, no cache, no groups
	out := append([]byte{0x2F}, le.AppendUint32(nil, uint32(acc))...)
	acc, n = 0, 0
	put(0, 3)
	for range 5 {
		put(0b0001, 4) // simple code of one symbol of one bit, which is 0
	}
	return riff(webpChunk("VP8L", append(out, le.AppendUint64(nil, acc)...)))
}

func outcome(t testing.TB, name string, in []byte, opt sanitize.Options) (verdict.Report, []byte) {
	t.Helper()
	var out bytes.Buffer
	rep, needs := sanitize.Rebuild(t.Context(), name, in, &out, opt)
	if len(needs) > 0 {
		t.Fatalf("%s: asks for %s", name, needs[0].Kind)
	}
	if rep.Outcome == verdict.Clean {
		if again := verify.CheckFor(t.Context(), opt.Policy, rep.OutName, out.Bytes()); again.Outcome != verdict.Clean {
			t.Fatalf("%s: the checker refuses: %+v", name, again.Findings)
		}
	}
	return rep, out.Bytes()
}

func refused(t *testing.T, what, name string, in []byte, code string) {
	t.Helper()
	rep, _ := outcome(t, name, in, sanitize.Options{})
	if rep.Outcome != verdict.Blocked || rep.Findings[len(rep.Findings)-1].Code != code {
		t.Errorf("%s: got %s %+v, want %s", what, rep.Outcome, rep.Findings, code)
	}
}

// A few bytes can claim any size: they are refused before memory is taken.
func TestClaimsAreRefused(t *testing.T) {
	b := bmpOf(t, sample(4, 4))
	le.PutUint32(b[18:], 3_000_000)
	le.PutUint32(b[22:], 2_000_000)
	refused(t, "BMP of 3,000,000 x 2,000,000", "a.bmp", b, "limit.pixels")
	le.PutUint32(b[22:], 1<<31)
	refused(t, "BMP of the least height", "a.bmp", b, "limit.pixels")
	le.PutUint32(b[18:], 8000)
	le.PutUint32(b[22:], 8000)
	refused(t, "BMP of 64 million pixels in 50 bytes", "a.bmp", b, "image.broken")
	g := gifOf(t, 1, 4, 4)
	le.PutUint16(g[6:], 65535)
	le.PutUint16(g[8:], 65535)
	refused(t, "GIF of 65,535 x 65,535", "a.gif", g, "limit.pixels")
	for tag, value := range map[uint16]uint32{256: 3_000_000, 257: 1<<32 - 1} {
		x := tiffOf(t, sample(4, 4))
		at := bytes.LastIndex(x, append(le.AppendUint16(nil, tag), 3, 0))
		le.PutUint16(x[at+2:], 4)
		le.PutUint32(x[at+8:], value)
		refused(t, "TIFF of a huge edge", "a.tif", x, "limit.pixels")
	}
	x := tiffOf(t, sample(4, 4))
	at := bytes.LastIndex(x, append(le.AppendUint16(nil, 279), 3, 0))
	if at < 0 {
		at = bytes.LastIndex(x, append(le.AppendUint16(nil, 279), 4, 0))
	}
	le.PutUint16(x[at+2:], 4)
	le.PutUint32(x[at+8:], 1<<32-1)
	rep, needs := sanitize.Rebuild(t.Context(), "a.tif", x, new(bytes.Buffer), sanitize.Options{})
	if len(needs) == 0 && rep.Outcome == verdict.Clean {
		t.Error("TIFF with a strip of 4 GB passes")
	}
	refused(t, "WebP of 16,384 x 16,384", "a.webp", lossless(16384, 16384), "limit.pixels")
	refused(t, "WebP screen of 16 million", "a.webp", riff(webpChunk("VP8X", bytes.Repeat([]byte{0xFF}, 10))), "limit.pixels")
	refused(t, "HEIC of 4 billion", "a.heic", []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic\x00\x00\x00\x14ispe\x00\x00\x00\x00\xFF\xFF\xFF\xFF\x00\x00\x10\x00"), "limit.pixels")
	refused(t, "HEIC without a size", "a.heic", []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"), "image.broken")
}

func TestBombsEndEarly(t *testing.T) {
	refused(t, "GIF of too many frames", "a.gif", gifOf(t, 1001, 1, 1), "limit.frames")
	big := gifOf(t, 4, 7000, 7900)
	refused(t, "GIF of too many pixels", "a.gif", big, "limit.pixels")
	// LZW data that unpack to far more than the frame has: what is too much is not unpacked.
	g := gifOf(t, 1, 3000, 3000)
	at := bytes.IndexByte(g[13:], 0x2C) + 13
	le.PutUint16(g[at+5:], 10)
	le.PutUint16(g[at+7:], 10)
	if rep, out := outcome(t, "a.gif", g, sanitize.Options{}); rep.Outcome != verdict.Clean || len(out) > 1000 {
		t.Errorf("GIF with more pixels than its frame: %v, %d bytes", rep.Findings, len(out))
	}
	ring := tiffOf(t, sample(4, 4))
	n := int(le.Uint16(ring[le.Uint32(ring[4:]):]))
	le.PutUint32(ring[int(le.Uint32(ring[4:]))+2+12*n:], le.Uint32(ring[4:]))
	refused(t, "TIFF whose pages make a circle", "a.tif", ring, "image.broken")
}

func TestNothingBesidePixelsComesAlong(t *testing.T) {
	g := gifOf(t, 2, 4, 4)
	at := bytes.Index(g, []byte("\x21\xF9"))
	withComment := append(append(bytes.Clone(g[:at]), "\x21\xFE\x06secret\x00\x21\xFF\x0BXMP DataXMP\x06secret\x00"...), g[at:]...)
	x := tiffOf(t, sample(4, 4))
	ifd := int(le.Uint32(x[4:]))
	n := int(le.Uint16(x[ifd:]))
	dir := bytes.Clone(x[ifd+2 : ifd+2+12*n])
	secret := append(le.AppendUint32(le.AppendUint16(le.AppendUint16(nil, 34665), 2), 6), le.AppendUint32(nil, uint32(len(x)))...) // sorts behind the others
	described := append(bytes.Clone(x), "secret"...)
	le.PutUint32(described[4:], uint32(len(described)))
	described = append(append(append(le.AppendUint16(described, uint16(n+1)), dir...), secret...), 0, 0, 0, 0)
	b := bmpOf(t, sample(4, 4))
	gap := append(append(bytes.Clone(b[:54]), "secret"...), b[54:]...)
	le.PutUint32(gap[10:], 60)
	for _, c := range []struct {
		name    string
		in      []byte
		finding string
	}{
		{"a.gif", withComment, "image.metadata"}, {"a.tif", described, "image.metadata"}, {"a.bmp", gap, ""}, {"a.bmp", append(bytes.Clone(b), "secret"...), "image.tail"},
		{"a.gif", append(bytes.Clone(g), "secret"...), "image.tail"}, {"a.webp", append(lossless(5, 5), "secret"...), "image.tail"},
		{"a.webp", riff(lossless(5, 5)[12:], webpChunk("EXIF", []byte("secret"))), "image.metadata"}, {"a.webp", riff(webpChunk("XMP ", []byte("secret")), lossless(5, 5)[12:]), "image.metadata"},
	} {
		rep, out := outcome(t, c.name, c.in, sanitize.Options{})
		if rep.Outcome != verdict.Clean || bytes.Contains(out, []byte("secret")) {
			t.Errorf("%s: %s %+v, %q", c.name, rep.Outcome, rep.Findings, out)
		}
		if c.finding != "" && !has(rep, c.finding) {
			t.Errorf("%s: %s is not reported: %+v", c.name, c.finding, rep.Findings)
		}
	}
	for name, in := range map[string][]byte{"a.gif": g, "a.bmp": b, "a.webp": lossless(5, 5)} {
		refused(t, name+" with a program behind it", name, append(bytes.Clone(in), "MZ\x90\x00 PE\x00\x00"...), "type.polyglot")
	}
}

func TestPixelsStay(t *testing.T) {
	gray := image.NewGray(image.Rect(0, 0, 13, 9))
	deep := image.NewNRGBA64(image.Rect(0, 0, 13, 9))
	faint := sample(13, 9)
	palette := image.NewPaletted(image.Rect(0, 0, 13, 9), color.Palette{color.RGBA{9, 8, 7, 255}, color.RGBA{1, 200, 3, 255}})
	bilevel := image.NewGray(image.Rect(0, 0, 13, 9))
	for i := range 13 * 9 {
		gray.Pix[i], palette.Pix[i], bilevel.Pix[i], faint.Pix[4*i+3] = byte(i*2), byte(i%2), byte(i%3/2)*255, byte(i+100)
		deep.SetNRGBA64(i%13, i/13, color.NRGBA64{uint16(i * 500), 7, 40000, uint16(65535 - i)})
	}
	for _, c := range []struct {
		name string
		in   []byte
		want image.Image
	}{
		{"gray.tif", tiffOf(t, gray), gray}, {"deep.tif", tiffOf(t, deep), deep}, {"faint.tif", tiffOf(t, faint), faint}, {"palette.tif", tiffOf(t, palette), palette},
		{"bilevel.tif", tiffOf(t, bilevel), bilevel}, {"color.tif", tiffOf(t, sample(13, 9)), sample(13, 9)},
		{"gray.bmp", bmpOf(t, gray), gray}, {"palette.bmp", bmpOf(t, palette), palette}, {"color.bmp", bmpOf(t, sample(13, 9)), sample(13, 9)},
		{"palette.gif", gifOf(t, 1, 13, 9), nil}, {"clear.webp", lossless(13, 9), image.NewNRGBA(image.Rect(0, 0, 13, 9))},
	} {
		rep, out := outcome(t, c.name, c.in, sanitize.Options{})
		if rep.Outcome != verdict.Clean {
			t.Errorf("%s: %+v", c.name, rep.Findings)
			continue
		}
		if c.want == nil {
			c.want, _, _ = image.Decode(bytes.NewReader(c.in))
		}
		got, _, err := image.Decode(bytes.NewReader(out))
		if err != nil || !same(got, c.want) {
			t.Errorf("%s: another picture (%v)", c.name, err)
		}
		if again, twice := outcome(t, rep.OutName, out, sanitize.Options{}); !bytes.Equal(out, twice) || len(again.Findings) > 0 {
			t.Errorf("%s: not settled: %+v", c.name, again.Findings)
		}
	}
	rep, out := outcome(t, "a.gif", gifOf(t, 5, 20, 10), sanitize.Options{})
	if g, err := gif.DecodeAll(bytes.NewReader(out)); err != nil || len(g.Image) != 5 || g.Delay[4] != 7 || g.LoopCount != 0 {
		t.Errorf("animation: %v %+v", err, rep.Findings)
	}
}

// A photograph that is cut off is kept as viewers show it, and says so; one of which hardly anything is there is not.
func TestCutPhotographs(t *testing.T) {
	b := jpegOf(t, sample(200, 200))
	rep, out := outcome(t, "a.jpg", b[:len(b)/2], sanitize.Options{})
	if rep.Outcome != verdict.Clean || !has(rep, "image.cut") {
		t.Fatalf("half a photograph: %s %+v", rep.Outcome, rep.Findings)
	}
	if img, err := jpeg.Decode(bytes.NewReader(out)); err != nil || img.Bounds().Dy() != 200 {
		t.Errorf("half a photograph: %v", err)
	} else if y, _, _, _ := img.At(100, 190).RGBA(); y>>8 < 120 || y>>8 > 136 {
		t.Errorf("the rest is not gray: %d", y>>8)
	}
	at := bytes.Index(b, []byte{0xFF, 0xDA})
	refused(t, "the beginning of a photograph", "a.jpg", b[:at+20], "image.broken")
}

func TestPolicies(t *testing.T) {
	in := jpegOf(t, sample(64, 64))
	rep, out := outcome(t, "a.jpg", in, sanitize.Options{Policy: verdict.Policy{Pixels: true}})
	if plain, _ := outcome(t, "a.jpg", in, sanitize.Options{}); !has(rep, "image.encoded") || has(plain, "image.encoded") || len(out) == 0 {
		t.Errorf("pixels: %+v", rep.Findings)
	}
	noisy := sanitize.Options{Policy: verdict.Policy{Noise: true}}
	for name, in := range map[string][]byte{"a.png": pngOf(t, sample(40, 30)), "a.bmp": bmpOf(t, sample(40, 30)), "a.tif": tiffOf(t, sample(40, 30))} {
		_, once := outcome(t, name, in, noisy)
		if _, twice := outcome(t, name, in, noisy); !bytes.Equal(once, twice) {
			t.Errorf("%s: noise differs from run to run", name)
		}
		got, _, err := image.Decode(bytes.NewReader(once))
		if err != nil {
			t.Fatal(err)
		}
		changed := 0
		for i := range 40 * 30 {
			r, g, b, _ := got.At(i%40, i/40).RGBA()
			want := sample(40, 30).NRGBAAt(i%40, i/40)
			for _, d := range []int{int(r>>8) ^ int(want.R), int(g>>8) ^ int(want.G), int(b>>8) ^ int(want.B)} {
				if d > 1 {
					t.Fatalf("%s: noise above the lowest bit", name)
				}
				changed += d
			}
		}
		if changed < 1500 || changed > 2100 {
			t.Errorf("%s: %d of 3600 bits changed, want about half", name, changed)
		}
	}
}

// A photograph whose size is no multiple of its blocks cannot be turned without a loss: it is turned all the same.
func TestTurnsWithoutAndWithALoss(t *testing.T) {
	exif := "\xFF\xE1\x00\x22Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00"
	for _, c := range []struct{ w, h int }{{64, 48}, {64, 40}} {
		b := jpegOf(t, sample(c.w, c.h))
		rep, out := outcome(t, "a.jpg", append(append(bytes.Clone(b[:2]), exif...), b[2:]...), sanitize.Options{})
		if has(rep, "image.encoded") != (c.h%16 != 0) || !has(rep, "image.orientation") {
			t.Errorf("%v: %+v", c, rep.Findings)
		}
		got, err := jpeg.Decode(bytes.NewReader(out))
		if err != nil || got.Bounds().Dx() != c.h {
			t.Fatalf("%v: %v", c, err)
		}
		before, err := jpeg.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		most := 0
		for y := range c.w {
			for x := range c.h {
				a, w := got.(*image.YCbCr), before.(*image.YCbCr)
				d := int(a.Y[a.YOffset(x, y)]) - int(w.Y[w.YOffset(y, c.h-1-x)])
				most = max(most, d, -d)
			}
		}
		if limit := map[bool]int{true: 1, false: 60}[c.h%16 == 0]; most > limit {
			t.Errorf("%v: pixels differ by %d", c, most)
		}
	}
}

func pngChunk(name string, body []byte) []byte {
	out := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), name...)
	out = append(out, body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

func TestInterlacedPNGIsLaidRowByRow(t *testing.T) {
	// 1 x 2 pixels of gray: the first pass has (0, 0), the last has the second row.
	var z bytes.Buffer
	raw := pngOf(t, &image.Gray{Pix: []byte{0, 50, 0, 200}[1:], Stride: 2, Rect: image.Rect(0, 0, 1, 2)})
	at := bytes.Index(raw, []byte("IDAT"))
	z.Write(raw[at+4 : at+4+int(binary.BigEndian.Uint32(raw[at-4:]))])
	in := append([]byte("\x89PNG\r\n\x1a\n"), pngChunk("IHDR", []byte{0, 0, 0, 1, 0, 0, 0, 2, 8, 0, 0, 0, 1})...)
	in = append(append(in, pngChunk("IDAT", z.Bytes())...), pngChunk("IEND", nil)...)
	rep, out := outcome(t, "a.png", in, sanitize.Options{})
	if rep.Outcome != verdict.Clean || out[28] != 0 {
		t.Fatalf("%+v", rep.Findings)
	}
	want, err := png.Decode(bytes.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := png.Decode(bytes.NewReader(out)); err != nil || !same(got, want) {
		t.Errorf("another picture (%v)", err)
	}
}

func FuzzPictures(f *testing.F) {
	f.Add("a.gif", gifOf(f, 2, 5, 5))
	f.Add("a.bmp", bmpOf(f, sample(5, 5)))
	f.Add("a.tif", tiffOf(f, sample(5, 5)))
	f.Add("a.webp", lossless(5, 5))
	f.Add("a.png", pngOf(f, sample(5, 5)))
	f.Add("a.jpg", jpegOf(f, sample(9, 9)))
	f.Fuzz(func(t *testing.T, name string, in []byte) {
		if !strings.Contains("a.gif a.bmp a.tif a.webp a.png a.jpg", name) || len(name) < 5 {
			return
		}
		var out bytes.Buffer
		rep, _ := sanitize.Rebuild(t.Context(), name, in, &out, sanitize.Options{})
		if has(rep, "internal") {
			t.Fatalf("panic: %+v", rep.Findings)
		}
		if rep.Outcome != verdict.Clean {
			return
		}
		if again := verify.Check(t.Context(), rep.OutName, out.Bytes()); again.Outcome != verdict.Clean {
			t.Fatalf("the checker refuses: %+v", again.Findings)
		}
		var twice bytes.Buffer
		if again, _ := sanitize.Rebuild(t.Context(), rep.OutName, out.Bytes(), &twice, sanitize.Options{}); again.Outcome != verdict.Clean || !bytes.Equal(twice.Bytes(), out.Bytes()) {
			t.Fatalf("not settled: %+v", again.Findings)
		}
	})
}
