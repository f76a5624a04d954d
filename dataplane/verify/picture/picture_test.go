package picture_test

import (
	"bytes"
	"compress/lzw"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"slices"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verify/picture"
	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

var le = binary.LittleEndian

// written is what the rebuilder makes of a small picture.
func written(t testing.TB, name string) []byte {
	t.Helper()
	gray := image.NewGray(image.Rect(0, 0, 13, 9))
	moving := &gif.GIF{}
	for range 2 {
		p := image.NewPaletted(gray.Rect, color.Palette{color.Black, color.White})
		moving.Image, moving.Delay = append(moving.Image, p), append(moving.Delay, 5)
	}
	var b, out bytes.Buffer
	var err error
	switch name {
	case "a.gif":
		err = gif.EncodeAll(&b, moving)
	case "a.bmp":
		err = bmp.Encode(&b, gray)
	case "a.tif":
		err = tiff.Encode(&b, gray, nil)
	case "a.jpg":
		err = jpeg.Encode(&b, gray, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if rep, _ := sanitize.Rebuild(t.Context(), name, b.Bytes(), &out, sanitize.Options{}); out.Len() == 0 {
		t.Fatal(rep.Findings)
	}
	return out.Bytes()
}

var checks = map[string]func(context.Context, []byte, string) error{"a.gif": picture.GIF, "a.bmp": picture.BMP, "a.tif": picture.TIFF, "a.jpg": picture.JPEG}

// TestBrokenRebuilders feeds what a rebuilder with a fault would let through.
func TestBrokenRebuilders(t *testing.T) {
	at := func(i int, with ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[i:], with); return b }
	}
	put := func(before string, what string) func([]byte) []byte {
		return func(b []byte) []byte {
			i := bytes.Index(b, []byte(before))
			return slices.Concat(b[:i], []byte(what), b[i:])
		}
	}
	swap := func(old, new string) func([]byte) []byte {
		return func(b []byte) []byte {
			if !bytes.Contains(b, []byte(old)) {
				t.Fatalf("no %q in it", old)
			}
			return bytes.Replace(b, []byte(old), []byte(new), 1)
		}
	}
	tail := func(b []byte) []byte { return append(b, 'x') }
	cut := func(b []byte) []byte { return b[:len(b)-1] }
	tag := func(n uint16, value uint32) func([]byte) []byte {
		return func(b []byte) []byte {
			for i := 10; ; i += 12 {
				if le.Uint16(b[i:]) == n {
					le.PutUint32(b[i+8:], value)
					return b
				}
			}
		}
	}
	for _, c := range []struct {
		what, name string
		change     func([]byte) []byte
	}{
		{"bytes behind the end", "a.gif", tail}, {"no end", "a.gif", cut}, {"comment", "a.gif", put("\x21\xF9", "\x21\xFE\x01x\x00")},
		{"application data", "a.gif", put("\x21\xF9", "\x21\xFF\x0BXMP DataXMP\x01x\x00")}, {"plain text", "a.gif", put("\x21\xF9", "\x21\x01\x01x\x00")},
		{"an old version", "a.gif", at(0, []byte("GIF87a")...)}, {"a frame beyond the screen", "a.gif", swap("\x2C\x00\x00\x00\x00", "\x2C\x01\x00\x00\x00")},
		{"a frame that is larger than its pixels", "a.gif", swap("\x0D\x00\x09\x00", "\x0D\x00\x08\x00")}, {"a huge screen", "a.gif", at(6, 0xFF, 0xFF)},
		{"waiting for a key", "a.gif", swap("\x21\xF9\x04\x00", "\x21\xF9\x04\x02")}, {"a very long pause", "a.gif", swap("\x21\xF9\x04\x00\x05\x00", "\x21\xF9\x04\x00\xFF\xFF")},
		{"a pixel too few", "a.gif", pixels(13*9 - 1)}, {"a pixel too many", "a.gif", pixels(13*9 + 1)}, {"a wrong aspect", "a.gif", at(12, 9)}, {"interlaced", "a.gif", func(b []byte) []byte { i := bytes.LastIndex(b, []byte("\x0D\x00\x09\x00")); b[i+4] |= 0x40; return b }},

		{"bytes behind the end", "a.bmp", tail}, {"no end", "a.bmp", cut}, {"a gap before the pixels", "a.bmp", func(b []byte) []byte {
			le.PutUint32(b[10:], le.Uint32(b[10:])+4)
			le.PutUint32(b[2:], le.Uint32(b[2:])+4)
			return append(b, 0, 0, 0, 0)
		}}, {"bytes behind a row", "a.bmp", func(b []byte) []byte { b[len(b)-1] = 1; return b }}, {"an embedded JPEG", "a.bmp", at(30, 4)},
		{"reserved fields", "a.bmp", at(6, 1)}, {"a palette with a fourth byte", "a.bmp", at(57, 1)}, {"3,000,000 pixels wide", "a.bmp", at(18, 0xC0, 0xC6, 0x2D)},

		{"bytes behind the end", "a.tif", tail}, {"no end", "a.tif", func(b []byte) []byte { return b[:len(b)-2] }}, {"the other byte order", "a.tif", at(0, 'M', 'M')}, {"a circle of pages", "a.tif", func(b []byte) []byte {
			n := int(le.Uint16(b[8:]))
			le.PutUint32(b[10+12*n:], 8)
			return b
		}}, {"an unknown entry", "a.tif", at(10, 0x0E, 0x01)}, {"another compression", "a.tif", tag(259, 1)}, {"a strip elsewhere", "a.tif", tag(273, 8)}, {"a strip that is too long", "a.tif", tag(279, 1<<31)},
		{"more rows than there are", "a.tif", tag(257, 10)}, {"fewer rows than there are", "a.tif", tag(257, 8)}, {"4 GB of pixels", "a.tif", tag(256, 1<<31)}, {"a reduced copy", "a.tif", tag(254, 1)},

		{"bytes behind the end", "a.jpg", tail}, {"no end", "a.jpg", cut}, {"data behind the last block", "a.jpg", func(b []byte) []byte { return slices.Insert(b, len(b)-2, 0x55) }},
		{"a restart interval", "a.jpg", put("\xFF\xC4", "\xFF\xDD\x00\x04\x00\x01")}, {"a comment between tables", "a.jpg", put("\xFF\xC4", "\xFF\xFE\x00\x03x")},
		{"more blocks than data", "a.jpg", swap("\x08\x00\x09\x00\x0D", "\x08\x00\x19\x00\x0D")}, {"fewer blocks than data", "a.jpg", swap("\x08\x00\x09\x00\x0D", "\x08\x00\x08\x00\x08")},
		{"a table that nothing uses", "a.jpg", func(b []byte) []byte {
			i := bytes.Index(b, []byte{0xFF, 0xC0})
			return slices.Concat(b[:2+18], []byte{0xFF, 0xDB, 0, 132, 0}, b[25:89], []byte{1}, bytes.Repeat([]byte{7}, 64), b[i:])
		}},
		{"progressive", "a.jpg", swap("\xFF\xC0", "\xFF\xC2")}, {"quantization by 0", "a.jpg", at(30, 0)}, {"an old JFIF", "a.jpg", at(12, 2)}, {"a JFIF thumbnail", "a.jpg", at(18, 1)},
	} {
		b := bytes.Clone(written(t, c.name))
		if err := checks[c.name](t.Context(), b, ""); err != nil {
			t.Fatalf("%s: what the rebuilder writes: %v", c.name, err)
		}
		var no *rule.Refusal
		if err := checks[c.name](t.Context(), c.change(b), "p"); !errors.As(err, &no) || no.Code != picture.Code || no.Place != "p" {
			t.Errorf("%s with %s: got %v, want a refusal", c.name, c.what, err)
		}
	}
}

// pixels packs so many of them into the last frame of a GIF of two colors.
func pixels(n int) func([]byte) []byte {
	return func(b []byte) []byte {
		frame := bytes.LastIndex(b, []byte("\x2C\x00\x00\x00\x00\x0D\x00\x09\x00"))
		data := frame + 10
		if flags := b[frame+9]; flags&0x80 != 0 { // a palette of its own
			data += 3 << (flags&7 + 1)
		}
		var packed bytes.Buffer
		w := lzw.NewWriter(&packed, lzw.LSB, int(b[data]))
		if _, err := w.Write(make([]byte, n)); err != nil {
			panic(err) // to memory
		}
		if err := w.Close(); err != nil {
			panic(err)
		}
		return slices.Concat(b[:data+1], []byte{byte(packed.Len())}, packed.Bytes(), []byte{0, 0x3B})
	}
}

// What pixels makes of the right number is a file that passes: what is refused is the number.
func TestPixelsOfAFrameAreCounted(t *testing.T) {
	if err := picture.GIF(t.Context(), pixels(13*9)(bytes.Clone(written(t, "a.gif"))), ""); err != nil {
		t.Error(err)
	}
}

func FuzzChecks(f *testing.F) {
	for name := range checks {
		f.Add(name, written(f, name))
	}
	f.Fuzz(func(t *testing.T, name string, in []byte) {
		if check := checks[name]; check != nil {
			if err := check(t.Context(), in, ""); err != nil && !errors.As(err, new(*rule.Refusal)) {
				t.Fatal(err)
			}
		}
	})
}
