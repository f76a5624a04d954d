// Package picture rebuilds pictures.
//
// Problem: a picture file has room for anything beside what it shows: positions of homes, thumbnails of what was cut away, other
// files before, between and behind its parts; and a few bytes can claim more pixels than any memory holds. Mechanism: the size is
// judged from the header before a pixel is decoded, a walk over the file's parts keeps those that make pixels, and the result is
// written anew from what was decoded. Life cycle: one call for each picture, of a file or of a part in a document. Invariant: the
// result holds pixels, and what is needed to read them, and nothing else.
package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Limits of a picture, read from its header before a pixel is decoded: a few bytes can claim a picture that no memory holds.
const (
	maxSide   = 30_000
	maxPixels = 64_000_000
	thumbSide = 256
)

// maxDecoded bounds what a picture takes in memory while it is rebuilt, in bytes.
const maxDecoded = 320 << 20

func checkMemory(pixels int64, bytesPerPixel float64) error {
	if float64(pixels)*bytesPerPixel > maxDecoded {
		return rebuild.Refuse("limit.pixels", "", fmt.Sprintf("%d pixels, %.1f bytes each", pixels, bytesPerPixel))
	}
	return nil
}

func checkSize(w, h int) error {
	if w <= 0 || h <= 0 {
		return rebuild.Refuse("image.broken", "", fmt.Sprintf("%d x %d", w, h))
	}
	if w > maxSide || h > maxSide || int64(w)*int64(h) > maxPixels {
		return rebuild.Refuse("limit.pixels", "", fmt.Sprintf("%d x %d", w, h))
	}
	return nil
}

func pictureError(j *rebuild.Job, err error, place string) error {
	if j.Ctx.Err() != nil {
		return j.Ctx.Err()
	}
	if strings.Contains(err.Error(), "unsupported") {
		return rebuild.Refuse("image.unsupported", place, err.Error())
	}
	return rebuild.Refuse("image.broken", place, err.Error())
}

// tail judges what follows the end of a picture: another file is refused, left-overs are cut off and reported.
func tail(j *rebuild.Job, tail []byte, place string) error {
	if len(tail) == 0 {
		return nil
	}
	if k := rebuild.Foreign(tail); k != "" {
		return rebuild.Refuse("type.polyglot", place, k)
	}
	if len(bytes.Trim(tail, "\x00\r\n\t ")) > 0 {
		j.Found.Add("image.tail", place, verdict.Removed, fmt.Sprintf("%d bytes", len(tail)))
	}
	return nil
}

// readExif reads the orientation (1-8, 1 when there is none) and whether a position is stored, from TIFF-structured EXIF
// (Exif 2.32, 4.6). It follows the first directory only and never reads outside b.
func readExif(b []byte) (orientation int, gps bool) {
	orientation = 1
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(b, []byte("II*\x00")):
		order = binary.LittleEndian
	case bytes.HasPrefix(b, []byte("MM\x00*")):
		order = binary.BigEndian
	default:
		return orientation, false
	}
	if len(b) < 8 {
		return orientation, false
	}
	at := int64(order.Uint32(b[4:]))
	if at+2 > int64(len(b)) {
		return orientation, false
	}
	n := int(order.Uint16(b[at:]))
	for i := range n {
		e := at + 2 + int64(i)*12
		if e+12 > int64(len(b)) {
			break
		}
		switch order.Uint16(b[e:]) {
		case 0x0112:
			if v := int(order.Uint16(b[e+8:])); v >= 1 && v <= 8 {
				orientation = v
			}
		case 0x8825:
			gps = true
		}
	}
	return orientation, gps
}

// oriented turns the pixels so that orientation 1 is true of them (Exif 2.32, tag 0x0112).
func oriented(img image.Image, orientation int) image.Image {
	if orientation <= 1 || orientation > 8 {
		return img
	}
	b := img.Bounds()
	ow, oh, from := turning(orientation, b.Dx(), b.Dy())
	if g, ok := img.(*image.Gray); ok {
		out := image.NewGray(image.Rect(0, 0, ow, oh))
		for y := range oh {
			for x := range ow {
				sx, sy := from(x, y)
				out.Pix[y*out.Stride+x] = g.Pix[g.PixOffset(b.Min.X+sx, b.Min.Y+sy)]
			}
		}
		return out
	}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(img.At(x, y)).(color.RGBA) }
	if ycc, ok := img.(*image.YCbCr); ok {
		at = func(x, y int) color.RGBA {
			c := ycc.YCbCrAt(x, y)
			r, g, b := color.YCbCrToRGB(c.Y, c.Cb, c.Cr)
			return color.RGBA{r, g, b, 255}
		}
	}
	out := image.NewRGBA(image.Rect(0, 0, ow, oh))
	for y := range oh {
		for x := range ow {
			sx, sy := from(x, y)
			out.SetRGBA(x, y, at(b.Min.X+sx, b.Min.Y+sy))
		}
	}
	return out
}

// turning tells the size of a turned picture, and the source of the pixel at (x, y) of it.
func turning(orientation, w, h int) (ow, oh int, from func(x, y int) (int, int)) {
	ow, oh = w, h
	if orientation >= 5 {
		ow, oh = h, w
	}
	switch orientation {
	default:
		from = func(x, y int) (int, int) { return x, y }
	case 2:
		from = func(x, y int) (int, int) { return w - 1 - x, y }
	case 3:
		from = func(x, y int) (int, int) { return w - 1 - x, h - 1 - y }
	case 4:
		from = func(x, y int) (int, int) { return x, h - 1 - y }
	case 5:
		from = func(x, y int) (int, int) { return y, x }
	case 6:
		from = func(x, y int) (int, int) { return y, h - 1 - x }
	case 7:
		from = func(x, y int) (int, int) { return w - 1 - y, h - 1 - x }
	case 8:
		from = func(x, y int) (int, int) { return w - 1 - y, x }
	}
	return ow, oh, from
}

// thumbnail shrinks a picture so that neither side is over thumbSide pixels; the sandbox hands out raw pixels only.
func thumbnail(img image.Image) *verdict.Preview {
	b := img.Bounds()
	s := newShrinker(b.Dx(), b.Dy())
	row := image.NewNRGBA(image.Rect(b.Min.X, 0, b.Max.X, 1))
	for y := b.Min.Y; y < b.Max.Y; y++ {
		if s.wants(y - b.Min.Y) {
			row.Rect.Min.Y, row.Rect.Max.Y = y, y+1
			draw.Draw(row, row.Rect, img, image.Pt(b.Min.X, y), draw.Src)
			s.add(y-b.Min.Y, row.Pix)
		}
	}
	return s.preview()
}

// shrinker makes a preview of rows as they come: each of its pixels is the mean of up to 4 x 4 of the picture's.
type shrinker struct {
	p       *verdict.Preview
	sum, n  []uint32
	columns []int         // of the picture that are looked at
	into    []int         // the preview's column of each
	rows    map[int][]int // of the picture that are looked at, and the preview's rows of each
}

func newShrinker(w, h int) *shrinker {
	s := &shrinker{rows: map[int][]int{}}
	pw, ph := w, h
	if longest := max(w, h); longest > thumbSide {
		pw, ph = max(1, w*thumbSide/longest), max(1, h*thumbSide/longest)
	}
	s.p = &verdict.Preview{Width: pw, Height: ph, RGBA: make([]byte, pw*ph*4)}
	s.sum, s.n = make([]uint32, pw*ph*4), make([]uint32, pw*ph)
	for x := range pw {
		x0, x1 := w*x/pw, max(w*x/pw+1, w*(x+1)/pw)
		for sx := x0; sx < x1; sx += max(1, (x1-x0)/4) {
			s.columns, s.into = append(s.columns, sx), append(s.into, x)
		}
	}
	for y := range ph {
		y0, y1 := h*y/ph, max(h*y/ph+1, h*(y+1)/ph)
		for sy := y0; sy < y1; sy += max(1, (y1-y0)/4) {
			s.rows[sy] = append(s.rows[sy], y)
		}
	}
	return s
}

func (s *shrinker) wants(y int) bool { return len(s.rows[y]) > 0 }

// add takes the row y, 4 bytes a pixel, not premultiplied.
func (s *shrinker) add(y int, row []byte) {
	for _, py := range s.rows[y] {
		for i, x := range s.columns {
			at := py*s.p.Width + s.into[i]
			s.n[at]++
			for k := range 4 {
				s.sum[at*4+k] += uint32(row[x*4+k])
			}
		}
	}
}

func (s *shrinker) preview() *verdict.Preview {
	for i, n := range s.n {
		for k := range 4 {
			s.p.RGBA[i*4+k] = byte(s.sum[i*4+k] / max(1, n))
		}
	}
	return s.p
}
