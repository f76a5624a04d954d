package likeness

import (
	"image"
	"image/color"
	"image/draw"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// page is white, with black bars where text would stand.
func page(w, h int, bars ...image.Rectangle) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.Draw(m, m.Rect, image.White, image.Point{}, draw.Src)
	for _, b := range bars {
		draw.Draw(m, b, image.Black, image.Point{}, draw.Src)
	}
	return m
}

func TestWhereAPersonSeesADifference(t *testing.T) {
	line, other := image.Rect(20, 40, 300, 50), image.Rect(40, 200, 60, 210)
	paler := page(320, 320, line)
	paler.SetNRGBA(30, 45, color.NRGBA{1, 1, 1, 255})
	coloured := page(320, 320, line)
	coloured.SetNRGBA(300, 300, color.NRGBA{254, 255, 255, 255})
	for _, c := range []struct {
		what string
		b    image.Image
		same bool
		want []image.Rectangle
	}{
		{"nothing", page(320, 320, line), true, nil},
		{"a line lost", page(320, 320), false, []image.Rectangle{image.Rect(0, 32, 320, 64)}},
		{"a word more", page(320, 320, line, other), false, []image.Rectangle{image.Rect(32, 192, 64, 224)}},
		{"a block more", page(320, 320, line, image.Rect(64, 192, 128, 256)), false, []image.Rectangle{image.Rect(64, 192, 128, 256)}},
		{"two that touch at a corner", page(320, 320, line, image.Rect(64, 192, 96, 224), image.Rect(96, 224, 128, 256)), false, []image.Rectangle{image.Rect(64, 192, 128, 256)}},
		{"an edge smoothed otherwise", paler, false, nil},
		{"a colour that is as light", coloured, false, nil},
		{"another size", page(100, 320, line), false, []image.Rectangle{image.Rect(0, 0, 100, 320)}},
	} {
		same, where := Differences(page(320, 320, line), c.b)
		if d := cmp.Diff(c.want, where); d != "" || same != c.same {
			t.Errorf("%s: same %t, want %t; where (-want +got):\n%s", c.what, same, c.same, d)
		}
	}
}

// Colours of one lightness are told apart: a person sees them, too.
func TestColoursOfOneLightnessAreNotTheSame(t *testing.T) {
	a, b := page(40, 40), page(40, 40)
	a.SetNRGBA(5, 5, color.NRGBA{128, 128, 128, 255})
	b.SetNRGBA(5, 5, color.NRGBA{119, 132, 131, 255})
	if x, y := luma(a)[5*40+5], luma(b)[5*40+5]; x != y {
		t.Fatalf("%f is not as light as %f", x, y)
	}
	if same, _ := Differences(a, b); same {
		t.Error("called the same")
	}
}

func TestThePageIsAsGoodAsItsWorstTile(t *testing.T) {
	a := page(640, 640, image.Rect(20, 40, 600, 50))
	if got := Least([]image.Image{a}, []image.Image{page(640, 640, image.Rect(20, 40, 600, 50))}); got != 1 {
		t.Errorf("the same page: %f", got)
	}
	if got := Least([]image.Image{a}, []image.Image{page(640, 640)}); got > 0.95 {
		t.Errorf("a line lost: %f", got)
	}
	if got := Least([]image.Image{a}, nil); got != 0 {
		t.Errorf("a page lost: %f", got)
	}
	if got := Least([]image.Image{a}, []image.Image{page(640, 320)}); got != 0 {
		t.Errorf("another size: %f", got)
	}
}
