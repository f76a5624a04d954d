// Package likeness tells how alike two drawings of a page are, and where they differ.
//
// Problem: over a whole page, a lost line or a wrong character vanishes among thousands that are right. Mechanism: pages are compared
// square by square; each is as alike as its structure is (Wang et al., 2004), so that a page is as good as its worst square. Life cycle:
// two pictures in, an answer out. Invariant: only pages whose every pixel is the same are called the same.
package likeness

import (
	"image"
	"image/color"
	"slices"
)

// Tile is the side of a square that is compared by itself, in pixels, where pages are measured.
const Tile = 64

// Least is the least similarity of all tiles of all pages; 1 when every pixel is the same, 0 when there are more or fewer pages, or
// pages of another size.
func Least(a, b []image.Image) float64 {
	if len(a) != len(b) {
		return 0
	}
	least := 1.0
	for i := range a {
		if a[i].Bounds().Size() != b[i].Bounds().Size() {
			return 0
		}
		each(a[i], b[i], Tile, func(_ image.Rectangle, s float64) { least = min(least, s) })
	}
	return least
}

// mark is the side of a square that is shown to a person who looks for what changed, and faint the similarity from which on nobody
// sees a difference in it: a stroke of a character is more, edges that are smoothed otherwise are less.
const (
	mark  = 32
	faint = 0.99
)

// Differences tells whether two pages are the same in every pixel, and where a person sees that they are not: rectangles of both
// pages, none of which overlap. Pages of two sizes differ everywhere.
func Differences(a, b image.Image) (same bool, where []image.Rectangle) {
	if a.Bounds().Size() != b.Bounds().Size() {
		return false, []image.Rectangle{{Max: b.Bounds().Size()}}
	}
	same = true
	each(a, b, mark, func(r image.Rectangle, s float64) {
		same = same && equal(a, b, r)
		if s < faint {
			where = append(where, r)
		}
	})
	return same, merged(where)
}

// merged draws one rectangle around all that touch each other: a person looks at places, not at squares.
func merged(rs []image.Rectangle) []image.Rectangle {
	var out []image.Rectangle
	for _, r := range rs {
		for {
			at := slices.IndexFunc(out, func(o image.Rectangle) bool { return o.Inset(-1).Overlaps(r) })
			if at < 0 {
				break
			}
			r = r.Union(out[at]) // which may touch others now
			out = slices.Delete(out, at, at+1)
		}
		out = append(out, r)
	}
	return out
}

// each walks the squares of two pages of one size, row by row; rectangles count from the page's corner.
func each(a, b image.Image, side int, do func(image.Rectangle, float64)) {
	x, y := luma(a), luma(b)
	w, h := a.Bounds().Dx(), a.Bounds().Dy()
	for ty := 0; ty < h; ty += side {
		for tx := 0; tx < w; tx += side {
			r := image.Rect(tx, ty, min(tx+side, w), min(ty+side, h))
			do(r, similarity(x, y, w, r))
		}
	}
}

// equal compares colours, too: similarity sees only how light a pixel is.
func equal(a, b image.Image, r image.Rectangle) bool {
	pa, pb := a.Bounds().Min, b.Bounds().Min
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			r0, g0, b0, a0 := a.At(pa.X+x, pa.Y+y).RGBA()
			r1, g1, b1, a1 := b.At(pb.X+x, pb.Y+y).RGBA()
			if r0 != r1 || g0 != g1 || b0 != b1 || a0 != a1 {
				return false
			}
		}
	}
	return true
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

func similarity(a, b []float64, stride int, r image.Rectangle) float64 {
	var n, ma, mb, aa, bb, ab float64
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			p, q := a[y*stride+x], b[y*stride+x]
			n, ma, mb, aa, bb, ab = n+1, ma+p, mb+q, aa+p*p, bb+q*q, ab+p*q
		}
	}
	ma, mb = ma/n, mb/n
	va, vb, cov := aa/n-ma*ma, bb/n-mb*mb, ab/n-ma*mb
	const c1, c2 = 6.5025, 58.5225 // (0.01 · 255)², (0.03 · 255)²
	return (2*ma*mb + c1) * (2*cov + c2) / ((ma*ma + mb*mb + c1) * (va + vb + c2))
}
