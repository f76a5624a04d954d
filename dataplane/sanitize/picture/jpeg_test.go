package picture

import (
	"image"
	"image/color"
	"testing"
)

func TestCMYKBecomesRGB(t *testing.T) {
	in := image.NewCMYK(image.Rect(0, 0, 4, 2))
	in.SetCMYK(0, 0, color.CMYK{255, 0, 0, 0}) // cyan
	out := fromCMYK(in)
	if got, want := out.RGBAAt(0, 0), (color.RGBA{0, 255, 255, 255}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := out.RGBAAt(3, 1), (color.RGBA{255, 255, 255, 255}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
