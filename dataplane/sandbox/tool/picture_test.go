package tool

import (
	"bytes"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool/pam"
)

func TestSamplesAreReducedToBytes(t *testing.T) {
	for _, c := range []struct {
		in   string
		want pam.Frame
	}{
		{"P4\n9 1\n\x7f\x80", pam.Frame{Width: 9, Height: 1, Depth: 1, Pix: []byte{255, 0, 0, 0, 0, 0, 0, 0, 0}}},
		{"P5\n# a\n2 1\n15\n\x00\x0f", pam.Frame{Width: 2, Height: 1, Depth: 1, Pix: []byte{0, 255}}},
		{"P6 1 1 65535\n\xff\xff\x80\x00\x00\x00", pam.Frame{Width: 1, Height: 1, Depth: 3, Pix: []byte{255, 128, 0}}},
		{"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 2\nMAXVAL 1\nTUPLTYPE BLACKANDWHITE_ALPHA\nENDHDR\n\x01\x00", pam.Frame{Width: 1, Height: 1, Depth: 2, Pix: []byte{255, 0}}},
	} {
		got, err := picture([]byte(c.in))
		if err != nil || got.Width != c.want.Width || got.Height != c.want.Height || got.Depth != c.want.Depth || !bytes.Equal(got.Pix, c.want.Pix) {
			t.Errorf("%q: got %+v, %v; want %+v", c.in, got, err, c.want)
		}
	}
	for _, in := range []string{"", "P6", "P5\n", "P5\n2 2\n255\nabc", "P5\n2 2\n0\nabcd", "P5\n-1 2\n255\nab", "P4\n1048576 1048576\n", "P7\nENDHDR\n", "\x89PNG\r\n"} {
		if f, err := picture([]byte(in)); err == nil {
			t.Errorf("%q became %+v", in, f)
		}
	}
}

// FuzzPictures: what a decoder that was taken over writes ends no driver.
func FuzzPictures(f *testing.F) {
	f.Add([]byte("P5\n2 1\n255\nab"))
	f.Add([]byte("P4\n9 1\n\x7f\x80"))
	f.Add(plainTIFF(checks(4, 4, red, blue)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := picture(b); err == nil && len(p.Pix) != p.Width*p.Height*p.Depth {
			t.Errorf("%d bytes for %d x %d x %d", len(p.Pix), p.Width, p.Height, p.Depth)
		}
		if all, err := pages(b, 10); err == nil {
			if _, err := pam.Read(all, 10); err != nil {
				t.Error(err)
			}
		}
	})
}
