package picture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"slices"
	"strings"

	"golang.org/x/image/tiff"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Tags of a TIFF (TIFF 6.0, appendix A).
const (
	tSubfile     = 254
	tWidth       = 256
	tHeight      = 257
	tBits        = 258
	tCompression = 259
	tPhotometric = 262
	tOffsets     = 273
	tOrientation = 274
	tSamples     = 277
	tRows        = 278
	tCounts      = 279
	tXRes        = 282
	tYRes        = 283
	tResUnit     = 296
	tPredictor   = 317
	tColors      = 320
	tExtra       = 338
)

// plainTags make pixels; all others are data beside them.
var plainTags = map[uint16]bool{tSubfile: true, 255: true, tWidth: true, tHeight: true, tBits: true, tCompression: true, tPhotometric: true, 263: true, 264: true, 265: true, 266: true,
	tOffsets: true, tOrientation: true, tSamples: true, tRows: true, tCounts: true, 280: true, 281: true, tXRes: true, tYRes: true, 284: true, 290: true, 291: true, 292: true, 293: true, tResUnit: true,
	297: true, tPredictor: true, 318: true, 319: true, tColors: true, 321: true, 322: true, 323: true, 324: true, 325: true, tExtra: true, 339: true, 340: true, 341: true, 347: true, 529: true, 530: true, 531: true, 532: true}

// page is one image file directory and, once it was decoded, its pixels.
type page struct {
	at          int64 // of the directory
	w, h        int
	orientation int
	reduced     bool // a smaller copy of another page
	unit        uint16
	res         [2][2]uint32 // pixels a unit, x and y, as fractions
	img         image.Image
	bilevel     bool
}

// TIFFFile rebuilds a TIFF from the pixels of its pages. Copies of reduced size go.
func TIFFFile(j *rebuild.Job) (rebuild.Result, error) {
	t := &tiffReader{j: j, in: j.In}
	pages, err := t.pages()
	if err != nil {
		return rebuild.Result{}, err
	}
	out, shown, err := t.write(pages)
	var undecoded *undecodedError
	if errors.As(err, &undecoded) {
		if err := t.otherwise(pages, undecoded.Error()); err != nil {
			return rebuild.Result{}, err
		}
		out, shown, err = t.write(pages)
	}
	if err != nil {
		return rebuild.Result{}, err
	}
	t.report(j, "")
	return rebuild.Result{Body: out, Original: shown, Result: shown}, nil
}

// write decodes and writes page by page, so that the pixels of one are in memory only.
func (t *tiffReader) write(pages []*page) (out []byte, shown *verdict.Preview, err error) {
	noise := newNoise(t.j)
	w := &tiffWriter{j: t.j, out: []byte("II*\x00\x08\x00\x00\x00")}
	mark := t.j.Found.Mark()
	own := slices.Clone(t.in)
	for i, p := range pages {
		if p.img == nil {
			if err := t.decode(own, p); err != nil {
				t.j.Found.Back(mark)
				return nil, nil, err
			}
		}
		p.upright(t.j, i)
		if i == 0 {
			shown = thumbnail(p.img)
		}
		if err := w.page(p, noise); err != nil {
			return nil, nil, err
		}
		p.img = nil
	}
	binary.LittleEndian.PutUint32(w.out[w.link:], 0)
	return w.out, shown, nil
}

// upright turns the page's pixels, and finds the plainest form of them.
func (p *page) upright(j *rebuild.Job, i int) {
	if cmyk, ok := p.img.(*image.CMYK); ok {
		p.img = fromCMYK(cmyk)
		j.Found.Add("image.color", fmt.Sprintf("p%d", i+1), verdict.Changed, "CMYK -> RGB")
	}
	if p.orientation != 1 && !j.AsIs {
		p.img = turned(p.img, p.orientation)
		if p.orientation >= 5 {
			p.res[0], p.res[1] = p.res[1], p.res[0]
		}
		j.Found.Add("image.orientation", fmt.Sprintf("p%d", i+1), verdict.Changed, fmt.Sprint(p.orientation))
	}
	if g, ok := p.img.(*image.Gray); ok {
		p.bilevel = !slices.ContainsFunc(g.Pix, func(v byte) bool { return v != 0 && v != 255 })
	}
}

// tiffReader is a TIFF on its way.
type tiffReader struct {
	j     *rebuild.Job
	in    []byte
	order binary.ByteOrder
	beside
}

// pages follows the chain of directories, and judges each page's size before a pixel is decoded.
func (t *tiffReader) pages() ([]*page, error) {
	switch {
	case len(t.in) < 8:
		return nil, rebuild.Refuse("image.broken", "", "too short")
	case string(t.in[:4]) == "II*\x00":
		t.order = binary.LittleEndian
	case string(t.in[:4]) == "MM\x00*":
		t.order = binary.BigEndian
	default:
		return nil, rebuild.Refuse("image.unsupported", "", "TIFF of another kind")
	}
	var all []*page
	seen := map[int64]bool{}
	var total int64
	for at := int64(t.order.Uint32(t.in[4:])); at != 0; {
		if seen[at] {
			return nil, rebuild.Refuse("image.broken", "", "pages in a circle")
		}
		seen[at] = true
		if len(all) == maxFrames {
			return nil, rebuild.Refuse("limit.frames", "", fmt.Sprintf("more than %d", maxFrames))
		}
		p, next, err := t.directory(at)
		if err != nil && len(all) > 0 && rebuild.Refused(err) && t.missing(at) {
			t.j.Found.Add("image.cut", fmt.Sprintf("p%d", len(all)+1), verdict.Reported, "")
			break
		}
		if err != nil {
			return nil, err
		}
		all, at = append(all, p), next
		if total += int64(p.w) * int64(p.h); total > maxFramePixels {
			return nil, rebuild.Refuse("limit.pixels", "", fmt.Sprintf("%d pixels in %d pages", total, len(all)))
		}
	}
	full := slices.DeleteFunc(slices.Clone(all), func(p *page) bool { return p.reduced })
	if len(full) == 0 {
		full = all
	}
	if len(full) == 0 {
		return nil, rebuild.Refuse("image.broken", "", "no page")
	}
	if len(full) < len(all) {
		t.drop("thumbnail")
	}
	return full, nil
}

// missing tells whether a directory lies beyond the file's end.
func (t *tiffReader) missing(at int64) bool { return at+2 > int64(len(t.in)) }

func (t *tiffReader) directory(at int64) (p *page, next int64, err error) {
	broken := func(what string) (*page, int64, error) { return nil, 0, rebuild.Refuse("image.broken", "", what) }
	if t.missing(at) {
		return broken("directory beyond the end")
	}
	n := int64(t.order.Uint16(t.in[at:]))
	end := at + 2 + 12*n
	if n == 0 || end > int64(len(t.in)) {
		return broken("directory is longer than the file")
	}
	if end+4 <= int64(len(t.in)) {
		next = int64(t.order.Uint32(t.in[end:]))
	}
	p = &page{at: at, orientation: 1, unit: 2}
	bits := uint32(1)
	samples := uint32(1)
	for e := at + 2; e < end; e += 12 {
		tag, typ := t.order.Uint16(t.in[e:]), t.order.Uint16(t.in[e+2:])
		v := t.order.Uint32(t.in[e+8:])
		if typ == 3 {
			v = uint32(t.order.Uint16(t.in[e+8:]))
		}
		switch tag {
		case tWidth:
			p.w = int(min(v, 1<<30))
		case tHeight:
			p.h = int(min(v, 1<<30))
		case tSubfile:
			p.reduced = v&1 == 1
		case tBits:
			if t.order.Uint32(t.in[e+4:]) == 1 {
				bits = v
			} else {
				bits = 16 // the widest
			}
		case tSamples:
			samples = v
		case tOrientation:
			if v >= 1 && v <= 8 {
				p.orientation = int(v)
			}
		case tResUnit:
			if v >= 1 && v <= 3 {
				p.unit = uint16(v)
			}
		case tXRes, tYRes:
			if o := int64(v); typ == 5 && o+8 <= int64(len(t.in)) {
				p.res[tag-tXRes] = [2]uint32{t.order.Uint32(t.in[o:]), t.order.Uint32(t.in[o+4:])}
			}
		case 34853:
			t.j.Found.Add("image.gps", "", verdict.Removed, "")
		case 34675:
			if o, n := int64(v), int64(t.order.Uint32(t.in[e+4:])); o+n <= int64(len(t.in)) {
				if name := strange(t.in[o : o+n]); name != "" {
					t.j.Found.Add("image.profile", "", verdict.Changed, name)
				}
			}
			t.drop("ICC")
		default:
			if !plainTags[tag] {
				t.drop(fmt.Sprint(tag))
			}
		}
	}
	if err := checkSize(p.w, p.h); err != nil {
		return nil, 0, err
	}
	if samples == 0 || samples > 16 || bits > 64 {
		return nil, 0, rebuild.Refuse("image.unsupported", "", fmt.Sprintf("%d samples of %d bits", samples, bits))
	}
	if err := checkMemory(int64(p.w)*int64(p.h), 4*max(1, float64(bits)/8)); err != nil {
		return nil, 0, err
	}
	return p, next, nil
}

// undecodedError is why a page has to be decoded by a helper.
type undecodedError struct{ why string }

func (e *undecodedError) Error() string { return e.why }

// decode has one page decoded by itself: the decoder looks at the first only, so the header of own, a copy of the file, is made to
// lead to it.
func (t *tiffReader) decode(own []byte, p *page) error {
	t.order.PutUint32(own[4:], uint32(p.at))
	img, err := tiff.Decode(&seekable{t.j.Read(own), own})
	switch {
	case t.j.Ctx.Err() != nil:
		return t.j.Ctx.Err()
	case err != nil:
		return &undecodedError{err.Error()}
	case img.Bounds().Dx() != p.w || img.Bounds().Dy() != p.h:
		return &undecodedError{"another size than the directory says"}
	}
	p.img = img
	return nil
}

// seekable lets the decoder read anywhere, as long as the job has time.
type seekable struct {
	rebuild.Patient
	b []byte
}

func (s *seekable) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 || at >= int64(len(s.b)) {
		return 0, errors.New("beyond the end of the file")
	}
	n := copy(p, s.b[at:])
	if n < len(p) {
		return n, errors.New("beyond the end of the file")
	}
	return n, nil
}

// otherwise has a helper decode all pages together.
func (t *tiffReader) otherwise(pages []*page, why string) error {
	if t.j.Tools == nil {
		return rebuild.Refuse("image.unsupported", "", why)
	}
	all, err := decoded(t.j, "tiff", t.in, maxFrames)
	var no *rebuild.Refusal
	if errors.As(err, &no) && no.Code != "limit.pixels" {
		if strings.Contains(why, "unsupported") {
			return rebuild.Refuse("image.unsupported", "", why)
		}
		return rebuild.Refuse("image.broken", "", why)
	}
	if err != nil {
		return err
	}
	for _, p := range pages {
		p.img = nil
		for len(all) > 0 && p.img == nil { // copies of reduced size are among them
			if b := all[0].Bounds(); b.Dx() == p.w && b.Dy() == p.h {
				p.img = plainest(all[0])
				if t.j.AsIs {
					p.img = turned(p.img, flipped[p.orientation])
				}
				p.orientation = unturned[p.orientation]
			}
			all = all[1:]
		}
		if p.img == nil {
			return rebuild.Refuse("image.broken", "", why)
		}
	}
	return nil
}

// libtiff, which decodes for the helper, mirrors a picture as its orientation says, and does not swap its edges: flipped is what it has
// done, which done again is undone, and unturned what is left to do.
var (
	flipped  = [9]int{1, 1, 2, 3, 4, 1, 2, 3, 4}
	unturned = [9]int{1, 1, 1, 1, 1, 5, 7, 5, 7}
)

// plainest is the picture without color or transparency where it has none: the helper answers RGBA for all.
func plainest(img image.Image) image.Image {
	n, ok := img.(*image.NRGBA)
	if !ok {
		return img
	}
	gray := &image.Gray{Stride: n.Rect.Dx(), Rect: n.Rect}
	for i := 0; i < len(n.Pix); i += 4 {
		if n.Pix[i] != n.Pix[i+1] || n.Pix[i] != n.Pix[i+2] || n.Pix[i+3] != 255 {
			return img
		}
	}
	for i := 0; i < len(n.Pix); i += 4 {
		gray.Pix = append(gray.Pix, n.Pix[i])
	}
	return gray
}

// turned is oriented for pictures whose depth and palette have to stay.
func turned(img image.Image, orientation int) image.Image {
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	ow, oh, from := turning(orientation, w, h)
	r := image.Rect(0, 0, ow, oh)
	move := func(in []byte, stride, n int) []byte {
		out := make([]byte, ow*oh*n)
		for y := range oh {
			for x := range ow {
				sx, sy := from(x, y)
				copy(out[(y*ow+x)*n:][:n], in[sy*stride+sx*n:])
			}
		}
		return out
	}
	switch i := img.(type) {
	case *image.Gray:
		return &image.Gray{Pix: move(i.Pix, i.Stride, 1), Stride: ow, Rect: r}
	case *image.Gray16:
		return &image.Gray16{Pix: move(i.Pix, i.Stride, 2), Stride: 2 * ow, Rect: r}
	case *image.Paletted:
		return &image.Paletted{Pix: move(i.Pix, i.Stride, 1), Stride: ow, Rect: r, Palette: i.Palette}
	case *image.NRGBA:
		return &image.NRGBA{Pix: move(i.Pix, i.Stride, 4), Stride: 4 * ow, Rect: r}
	case *image.RGBA:
		return &image.RGBA{Pix: move(i.Pix, i.Stride, 4), Stride: 4 * ow, Rect: r}
	case *image.NRGBA64:
		return &image.NRGBA64{Pix: move(i.Pix, i.Stride, 8), Stride: 8 * ow, Rect: r}
	case *image.RGBA64:
		return &image.RGBA64{Pix: move(i.Pix, i.Stride, 8), Stride: 8 * ow, Rect: r}
	}
	return oriented(img, orientation)
}

// transparent tells whether some pixel is.
func transparent(img image.Image) bool {
	o, ok := img.(interface{ Opaque() bool })
	return !ok || !o.Opaque()
}

// nrgba is the color of a pixel that is not premultiplied.
func nrgba(c color.Color) color.NRGBA { return color.NRGBAModel.Convert(c).(color.NRGBA) }
