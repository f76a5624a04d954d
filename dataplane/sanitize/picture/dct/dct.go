// Package dct reads JPEG files to their quantized coefficients and writes them anew from these.
//
// Problem: a JPEG that is decoded to pixels and encoded again loses a little each time and takes long, but its entropy-coded data
// and its tables can't be copied: whatever they hold would pass unread. Mechanism: the coefficients lie between the two. They are
// read with the file's own Huffman tables, each held to its range, and written in one order, with tables that are computed for
// them, so that no byte of the original's coding is left and no pixel differs. Turning a picture upright is a permutation of
// coefficients. Life cycle: Read, perhaps Turn, Write; an Image belongs to its caller. Invariant: memory is bounded by the size
// that the frame header claims, which is judged before anything is taken; what Write makes, Read reads back as the same Image.
//
// References: ITU-T T.81 (JPEG), T.871 (JFIF), T.872 (the Adobe segment).
package dct

import "github.com/sekisho/sekisho/dataplane/sanitize/rebuild"

// Color tells how the components make colors.
type Color int

const (
	Gray Color = iota
	YCbCr
	RGB
	CMYK // four components without an Adobe segment
	AdobeCMYK
	AdobeYCCK
)

// Component is one plane.
type Component struct {
	ID         byte
	H, V       int         // sampling factors, 1-4
	Quant      *[64]uint16 // in zigzag order, each 1-65535; nil until a scan came
	Wide, High int         // blocks that show something
	Stride     int         // blocks in a row, with those that fill the last MCU
	Coef       []int16     // 64 for each block, in zigzag order: DC -2048 to 2047, AC within ±1023
	Some       []uint64    // for each block, the bits of its coefficients that are not 0
}

// Image is what a file shows, as it is coded.
type Image struct {
	Width, Height int
	HMax, VMax    int
	Comps         []Component // 1, 3 or 4
	Color         Color
	Density       [5]byte // of JFIF: unit, x, y; unit 0 and 1:1 where the file says nothing
	Progressive   bool
}

// Limits of one file.
type Limits struct {
	Size  func(width, height int) error // judges the size before memory is taken
	Bytes int64                         // for coefficients
	Scans int
	Work  int64 // scans x pixels
}

func broken(what string) error { return rebuild.Refuse("image.broken", "", what) }

// zigzag gives the natural index, row x 8 + column, of a zigzag index; T.81, figure A.6.
var zigzag = func() (z [64]int) {
	for i, r, c := 0, 0, 0; i < 64; i++ {
		z[i] = r*8 + c
		switch up := (r+c)%2 == 0; {
		case up && c == 7, !up && r < 7 && c == 0:
			r++
		case up && r == 0, !up && r == 7:
			c++
		case up:
			r, c = r-1, c+1
		default:
			r, c = r+1, c-1
		}
	}
	return z
}()

// coefficients takes the memory of all planes once the frame header was judged.
func (m *Image) coefficients(limit int64) error {
	var total int64
	for i := range m.Comps {
		c := &m.Comps[i]
		w, h := ceil(m.Width*c.H, m.HMax), ceil(m.Height*c.V, m.VMax)
		c.Wide, c.High = ceil(w, 8), ceil(h, 8)
		c.Stride = ceil(m.Width, 8*m.HMax) * c.H
		total += int64(c.Stride) * int64(ceil(m.Height, 8*m.VMax)*c.V) * (128 + 8)
	}
	if total > limit {
		return rebuild.Refuse("limit.pixels", "", "")
	}
	for i := range m.Comps {
		c := &m.Comps[i]
		n := c.Stride * ceil(m.Height, 8*m.VMax) * c.V
		c.Coef, c.Some = make([]int16, n*64), make([]uint64, n)
	}
	return nil
}

func ceil(a, b int) int { return (a + b - 1) / b }
