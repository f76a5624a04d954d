package picture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"testing"

	"golang.org/x/image/tiff"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
	"github.com/sekisho/sekisho/dataplane/sanitize/picture"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

// planes is a TIFF of 3 x 2 pixels whose colors lie in planes of their own, which Go's decoder does not read.
func planes(orientation uint32) []byte {
	le := binary.LittleEndian
	pixels := [][3]byte{{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 0}, {0, 255, 255}, {255, 0, 255}}
	const entries = 11
	behind := uint32(8 + 2 + 12*entries + 4) // bits, offsets, lengths, planes
	b := le.AppendUint16([]byte("II*\x00\x08\x00\x00\x00"), entries)
	for _, e := range [entries][4]uint32{{256, 4, 1, 3}, {257, 4, 1, 2}, {258, 3, 3, behind}, {259, 3, 1, 1}, {262, 3, 1, 2}, {273, 4, 3, behind + 6}, {274, 3, 1, orientation},
		{277, 3, 1, 3}, {278, 4, 1, 2}, {279, 4, 3, behind + 18}, {284, 3, 1, 2}} {
		b = le.AppendUint16(le.AppendUint16(b, uint16(e[0])), uint16(e[1]))
		b = le.AppendUint32(le.AppendUint32(b, e[2]), e[3])
	}
	b = append(le.AppendUint32(b, 0), 8, 0, 8, 0, 8, 0)
	for i := range uint32(3) {
		b = le.AppendUint32(b, behind+30+6*i)
	}
	b = append(b, 6, 0, 0, 0, 6, 0, 0, 0, 6, 0, 0, 0)
	for c := range 3 {
		for _, p := range pixels {
			b = append(b, p[c])
		}
	}
	return b
}

// letters names the pixels of a picture, row by row.
func letters(img image.Image) string {
	names := map[color.NRGBA]string{{255, 0, 0, 255}: "R", {0, 255, 0, 255}: "G", {0, 0, 255, 255}: "B", {255, 255, 0, 255}: "Y", {0, 255, 255, 255}: "C", {255, 0, 255, 255}: "M"}
	s := ""
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			s += names[color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)]
		}
		s += " "
	}
	return s
}

// TestHelpersPagesStandUpright: libtiff turns half of the way by itself.
func TestHelpersPagesStandUpright(t *testing.T) {
	for orientation, want := range map[uint32]string{1: "RGB YCM ", 2: "BGR MCY ", 3: "MCY BGR ", 4: "YCM RGB ", 5: "RY GC BM ", 6: "YR CG MB ", 7: "MB CG YR ", 8: "BM GC RY "} {
		in := planes(orientation)
		if _, err := tiff.Decode(bytes.NewReader(in)); err == nil {
			t.Fatal("Go's decoder reads it: no helper is asked")
		}
		var out bytes.Buffer
		rep, _ := rebuilt("a.tif", in, &out)
		if rep.Outcome != verdict.Clean {
			t.Fatalf("%d: %v", orientation, rep.Findings)
		}
		img, err := tiff.Decode(bytes.NewReader(out.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if got := letters(img); got != want {
			t.Errorf("orientation %d: got %q, want %q", orientation, got, want)
		}
		if v := verify.Check(t.Context(), "a.tif", out.Bytes()); v.Outcome != verdict.Clean {
			t.Errorf("orientation %d: the verifier says %v", orientation, v.Findings)
		}
	}
}

// Where the document says how a picture lies, its pixels stay as they are in the file.
func TestHelpersPagesInDocumentsStayAsTheyLie(t *testing.T) {
	for orientation := range uint32(8) {
		j := &rebuild.Job{Ctx: t.Context(), In: planes(orientation + 1), Found: &rebuild.Findings{}, MaxOut: 1 << 20, Tools: rebuild.NewTools(nil), AsIs: true}
		_, err := picture.TIFFFile(j)
		if !errors.Is(err, rebuild.ErrAsked) {
			t.Fatal(err)
		}
		j.Tools = rebuild.NewTools([]verdict.Answer{tool.Answer(t.Context(), j.Tools.Asked()[0])})
		res, err := picture.TIFFFile(j)
		if err != nil {
			t.Fatal(err)
		}
		img, err := tiff.Decode(bytes.NewReader(res.Body))
		if err != nil {
			t.Fatal(err)
		}
		if got := letters(img); got != "RGB YCM " {
			t.Errorf("orientation %d: got %q, want it as it lies", orientation+1, got)
		}
	}
}
