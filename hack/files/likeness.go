package files

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"path"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
	"github.com/sekisho/sekisho/dataplane/sandbox/tool/pam"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Pages draws a file as a reader sees it: pictures by Go's decoders, documents by LibreOffice and poppler, at most so many pages.
func Pages(ctx context.Context, name string, body []byte, most int) ([]image.Image, error) {
	ext := strings.ToLower(path.Ext(name))
	decode := map[string]func([]byte) (image.Image, error){
		".png": func(b []byte) (image.Image, error) { return png.Decode(bytes.NewReader(b)) }, ".jpg": func(b []byte) (image.Image, error) { return jpeg.Decode(bytes.NewReader(b)) },
		".bmp": func(b []byte) (image.Image, error) { return bmp.Decode(bytes.NewReader(b)) }, ".tif": func(b []byte) (image.Image, error) { return tiff.Decode(bytes.NewReader(b)) }, ".tiff": func(b []byte) (image.Image, error) { return tiff.Decode(bytes.NewReader(b)) },
	}[ext]
	if decode != nil {
		img, err := decode(body)
		return []image.Image{img}, err
	}
	if ext != ".pdf" {
		a := tool.Answer(ctx, verdict.Need{Kind: "convert", Options: map[string]string{"from": ext[1:], "to": "pdf"}, Body: body})
		if a.Failed != "" {
			return nil, fmt.Errorf("draw %s: %s %s", name, a.Failed, a.Detail)
		}
		body = a.Body
	}
	a := tool.Answer(ctx, verdict.Need{Kind: "render", Options: map[string]string{"from": "pdf", "dpi": "72", "first": "1", "last": fmt.Sprint(most)}, Body: body})
	if a.Failed != "" {
		return nil, fmt.Errorf("draw %s: %s %s", name, a.Failed, a.Detail)
	}
	frames, err := pam.Read(a.Body, most)
	if err != nil {
		return nil, err
	}
	var out []image.Image
	for _, f := range frames {
		img := image.NewNRGBA(image.Rect(0, 0, f.Width, f.Height))
		for i := range f.Width * f.Height {
			p := f.Pix[i*f.Depth : (i+1)*f.Depth]
			c := color.NRGBA{p[0], p[0], p[0], 255}
			if f.Depth >= 3 {
				c.G, c.B = p[1], p[2]
			}
			img.SetNRGBA(i%f.Width, i/f.Width, c)
		}
		out = append(out, img)
	}
	return out, nil
}

// tile is the side of a square that is compared by itself, in pixels: a lost line must not vanish in a page.
const tile = 64

// Likeness is the least structural similarity (Wang et al., 2004) of all tiles of all pages; 1 when every pixel is the same, 0 when
// there are more or fewer pages, or pages of another size.
func Likeness(a, b []image.Image) float64 {
	if len(a) != len(b) {
		return 0
	}
	least := 1.0
	for i := range a {
		if a[i].Bounds().Size() != b[i].Bounds().Size() {
			return 0
		}
		x, y := luma(a[i]), luma(b[i])
		w, h := a[i].Bounds().Dx(), a[i].Bounds().Dy()
		for ty := 0; ty < h; ty += tile {
			for tx := 0; tx < w; tx += tile {
				least = min(least, similarity(x, y, w, tx, ty, min(tx+tile, w), min(ty+tile, h)))
			}
		}
	}
	return least
}

func luma(img image.Image) []float64 {
	b := img.Bounds()
	out := make([]float64, 0, b.Dx()*b.Dy())
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			out = append(out, float64(color.Gray16Model.Convert(img.At(x, y)).(color.Gray16).Y)/257)
		}
	}
	return out
}

func similarity(a, b []float64, stride, x0, y0, x1, y1 int) float64 {
	var n, ma, mb, aa, bb, ab float64
	for y := y0; y < y1; y++ {
		for x := x0; x < x1; x++ {
			p, q := a[y*stride+x], b[y*stride+x]
			n, ma, mb, aa, bb, ab = n+1, ma+p, mb+q, aa+p*p, bb+q*q, ab+p*q
		}
	}
	ma, mb = ma/n, mb/n
	va, vb, cov := aa/n-ma*ma, bb/n-mb*mb, ab/n-ma*mb
	const c1, c2 = 6.5025, 58.5225 // (0.01 · 255)², (0.03 · 255)²
	return (2*ma*mb + c1) * (2*cov + c2) / ((ma*ma + mb*mb + c1) * (va + vb + c2))
}
