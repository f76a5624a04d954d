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
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"slices"
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

// PNGFile rebuilds a PNG from its pixels.
func PNGFile(j *rebuild.Job) (rebuild.Result, error) {
	body, img, err := rebuildPNG(j, j.In, "")
	if err != nil {
		return rebuild.Result{}, err
	}
	original := thumbnail(img)
	img = nil // not both in memory
	again, err := png.Decode(j.Read(body))
	if err != nil {
		return rebuild.Result{}, fmt.Errorf("read the rebuilt picture: %w", err)
	}
	return rebuild.Result{Body: body, Original: original, Result: thumbnail(again)}, nil
}

// PNG rebuilds a picture that lies in a document at place.
func PNG(j *rebuild.Job, in []byte, place string) ([]byte, error) {
	body, _, err := rebuildPNG(j, in, place)
	return body, err
}

// rebuildPNG decodes in and encodes its pixels again, with the same depth, palette and transparency. place names the part
// when the picture lies in a document.
func rebuildPNG(j *rebuild.Job, in []byte, place string) ([]byte, image.Image, error) {
	bare, err := barePNG(j, in, place)
	if err != nil {
		return nil, nil, err
	}
	img, err := png.Decode(j.Read(bare))
	if err != nil {
		return nil, nil, pictureError(j, err, place)
	}
	out := j.Out()
	if err := (&png.Encoder{}).Encode(out, img); err != nil {
		return nil, nil, err
	}
	return out.Bytes(), img, nil
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

const PNGMagic = "\x89PNG\r\n\x1a\n"

// barePNG walks the chunks and keeps those that make pixels: IHDR, PLTE, tRNS, IDAT, IEND.
func barePNG(j *rebuild.Job, in []byte, place string) ([]byte, error) {
	broken := func(what string) error { return rebuild.Refuse("image.broken", place, what) }
	if !bytes.HasPrefix(in, []byte(PNGMagic)) {
		return nil, broken("no PNG signature")
	}
	out := append(make([]byte, 0, len(in)), PNGMagic...)
	var dropped []string
	for at, count := len(PNGMagic), 0; ; count++ {
		if len(in)-at < 12 {
			return nil, broken("ends inside a chunk")
		}
		size, typ := binary.BigEndian.Uint32(in[at:]), string(in[at+4:at+8])
		if int64(size) > int64(len(in)-at-12) {
			return nil, broken("chunk " + typ + " is longer than the file")
		}
		end := at + 12 + int(size)
		chunk := in[at:end]
		if (count == 0) != (typ == "IHDR") {
			return nil, broken("IHDR is not the first chunk")
		}
		switch typ {
		case "IHDR":
			if size != 13 {
				return nil, broken("IHDR of a wrong size")
			}
			w, h := binary.BigEndian.Uint32(chunk[8:]), binary.BigEndian.Uint32(chunk[12:])
			if w > 1<<31-1 || h > 1<<31-1 {
				return nil, broken("size")
			}
			if err := checkSize(int(w), int(h)); err != nil {
				return nil, rebuild.At(err, place)
			}
			perPixel := 4.0 // the widest that the decoder makes of 8 bits
			if chunk[16] == 16 {
				perPixel = 8
			}
			if err := checkMemory(int64(w)*int64(h), perPixel); err != nil {
				return nil, rebuild.At(err, place)
			}
		case "PLTE", "tRNS", "IDAT", "IEND":
		case "eXIf":
			if _, gps := readExif(chunk[8 : len(chunk)-4]); gps {
				j.Found.Add("png.gps", place, verdict.Removed, "")
			}
			fallthrough
		default:
			if typ[0]&0x20 == 0 {
				return nil, rebuild.Refuse("image.unsupported", place, "chunk "+typ)
			}
			if typ == "acTL" {
				j.Found.Add("image.animation", place, verdict.Removed, "")
			}
			if !slices.Contains(dropped, typ) && len(dropped) < 12 {
				dropped = append(dropped, typ)
			}
			at = end
			continue
		}
		if crc32.ChecksumIEEE(chunk[4:len(chunk)-4]) != binary.BigEndian.Uint32(chunk[len(chunk)-4:]) {
			return nil, broken("checksum of chunk " + typ)
		}
		out = append(out, chunk...)
		at = end
		if typ == "IEND" {
			if err := tail(j, in[at:], place); err != nil {
				return nil, err
			}
			break
		}
	}
	if len(dropped) > 0 {
		j.Found.Add("image.metadata", place, verdict.Removed, strings.Join(dropped, " "))
	}
	return out, nil
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
	w, h := b.Dx(), b.Dy()
	ow, oh := w, h
	if orientation >= 5 {
		ow, oh = h, w
	}
	// source of the pixel at (x, y) of the turned picture
	var from func(x, y int) (int, int)
	switch orientation {
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

// thumbnail shrinks a picture so that neither side is over thumbSide pixels; the sandbox hands out raw pixels only.
func thumbnail(img image.Image) *verdict.Preview {
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	if longest := max(w, h); longest > thumbSide {
		w, h = max(1, w*thumbSide/longest), max(1, h*thumbSide/longest)
	}
	p := &verdict.Preview{Width: w, Height: h, RGBA: make([]byte, 0, w*h*4)}
	for y := range h {
		y0, y1 := b.Dy()*y/h, max(b.Dy()*y/h+1, b.Dy()*(y+1)/h)
		for x := range w {
			x0, x1 := b.Dx()*x/w, max(b.Dx()*x/w+1, b.Dx()*(x+1)/w)
			var sum [4]uint32
			var n uint32
			for sy := y0; sy < y1; sy += max(1, (y1-y0)/4) {
				for sx := x0; sx < x1; sx += max(1, (x1-x0)/4) {
					c := color.NRGBAModel.Convert(img.At(b.Min.X+sx, b.Min.Y+sy)).(color.NRGBA)
					sum[0], sum[1], sum[2], sum[3] = sum[0]+uint32(c.R), sum[1]+uint32(c.G), sum[2]+uint32(c.B), sum[3]+uint32(c.A)
					n++
				}
			}
			for _, s := range sum {
				p.RGBA = append(p.RGBA, byte(s/n))
			}
		}
	}
	return p
}
