package picture

import (
	"bytes"
	"compress/lzw"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// maxDelay of a frame, in hundredths of a second.
const maxDelay = 6000

// gifFrame is one picture of a GIF (GIF89a, 20 and 23).
type gifFrame struct {
	rect     image.Rectangle
	palette  []byte // its own, RGB; nil: the common one
	depth    int    // bits of an index
	index    []byte // into the palette, row by row
	delay    int
	disposal byte
	clear    int // index that is transparent; -1: none
}

type gifFile struct {
	w, h    int
	palette []byte
	loop    int // times that it is shown again, 0: for ever; -1: once
	frames  []gifFrame
}

// GIFFile rebuilds a GIF from its frames: their pixels, palettes and times stay, comments and application data go, but for the
// count of loops.
func GIFFile(j *rebuild.Job) (rebuild.Result, error) {
	g, err := readGIF(j, j.In, "", maxFrames)
	if err != nil {
		return rebuild.Result{}, err
	}
	body, err := g.write(j)
	if err != nil {
		return rebuild.Result{}, err
	}
	shown := thumbnail(g.first())
	return rebuild.Result{Body: body, Original: shown, Result: shown}, nil
}

// FirstFrame makes a PNG of the first frame of a GIF that lies in a document at place.
func FirstFrame(j *rebuild.Job, in []byte, place string) ([]byte, error) {
	g, err := readGIF(j, in, place, 1)
	if err != nil {
		return nil, err
	}
	out := j.Out()
	if err := png.Encode(out, g.first()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// first is what is shown first, on the whole screen.
func (g *gifFile) first() image.Image {
	f := &g.frames[0]
	p := make(color.Palette, 1<<f.depth, 1<<f.depth+1)
	for i := range p {
		p[i] = color.NRGBA{A: 255}
		if t := g.paletteOf(f); 3*i+2 < len(t) {
			p[i] = color.NRGBA{t[3*i], t[3*i+1], t[3*i+2], 255}
		}
	}
	if f.clear >= 0 && f.clear < len(p) {
		p[f.clear] = color.NRGBA{}
	}
	img := image.NewPaletted(image.Rect(0, 0, g.w, g.h), p)
	if f.rect != img.Rect && len(p) < 256 { // what no pixel covers is transparent
		img.Palette = append(p, color.NRGBA{})
		for i := range img.Pix {
			img.Pix[i] = byte(len(p))
		}
	} else if f.rect != img.Rect && f.clear >= 0 {
		for i := range img.Pix {
			img.Pix[i] = byte(f.clear)
		}
	}
	for y := range f.rect.Dy() {
		copy(img.Pix[img.PixOffset(f.rect.Min.X, f.rect.Min.Y+y):], f.index[y*f.rect.Dx():][:f.rect.Dx()])
	}
	return img
}

func (g *gifFile) paletteOf(f *gifFrame) []byte {
	if f.palette != nil {
		return f.palette
	}
	return g.palette
}

// gifReader is a GIF on its way.
type gifReader struct {
	j     *rebuild.Job
	place string
	in    []byte // what is left
	g     *gifFile
	next  gifFrame // what the graphic control extension says of it
	total int64
	beside
}

// beside is what a picture has beside its pixels.
type beside struct{ names []string }

func (b *beside) drop(name string) {
	for _, n := range b.names {
		if n == name {
			return
		}
	}
	if len(b.names) < 12 {
		b.names = append(b.names, name)
	}
}

func (b *beside) report(j *rebuild.Job, place string) {
	if len(b.names) > 0 {
		j.Found.Add("image.metadata", place, verdict.Removed, fmt.Sprint(b.names))
	}
}

var errShort = errors.New("cut off")

func (r *gifReader) take(n int) ([]byte, error) {
	if len(r.in) < n {
		return nil, errShort
	}
	b := r.in[:n]
	r.in = r.in[n:]
	return b, nil
}

// blocks takes sub-blocks up to the empty one.
func (r *gifReader) blocks() ([]byte, error) {
	var out []byte
	for {
		n, err := r.take(1)
		if err != nil || n[0] == 0 {
			return out, err
		}
		b, err := r.take(int(n[0]))
		if err != nil {
			return append(out, r.in...), err
		}
		out = append(out, b...)
	}
}

// readGIF reads at most that many frames. A file that ends early keeps the frames that came; one that began is shown as far as it
// goes.
func readGIF(j *rebuild.Job, in []byte, place string, frames int) (*gifFile, error) {
	r := &gifReader{j: j, place: place, in: in, g: &gifFile{loop: -1}, next: gifFrame{clear: -1}}
	err := r.read(frames)
	if errors.Is(err, errShort) && len(r.g.frames) > 0 {
		j.Found.Add("image.cut", place, verdict.Reported, "")
		err = nil
	} else if errors.Is(err, errShort) {
		err = rebuild.Refuse("image.broken", place, "ends before its first picture")
	}
	if err != nil {
		return nil, rebuild.At(err, place)
	}
	r.report(j, place)
	return r.g, nil
}

func (r *gifReader) read(frames int) error {
	head, err := r.take(13)
	if err != nil {
		return err
	}
	if string(head[:6]) != "GIF87a" && string(head[:6]) != "GIF89a" {
		return rebuild.Refuse("image.broken", "", "no GIF signature")
	}
	r.g.w, r.g.h = int(binary.LittleEndian.Uint16(head[6:])), int(binary.LittleEndian.Uint16(head[8:]))
	if head[10]&0x80 != 0 {
		if r.g.palette, err = r.take(3 << (head[10]&7 + 1)); err != nil {
			return err
		}
	}
	for {
		b, err := r.take(1)
		if err != nil {
			return err
		}
		switch b[0] {
		case 0x21:
			if err := r.extension(); err != nil {
				return err
			}
		case 0x2C:
			if len(r.g.frames) == frames && frames > 1 {
				return rebuild.Refuse("limit.frames", "", fmt.Sprintf("more than %d", frames))
			}
			if len(r.g.frames) == frames {
				r.j.Found.Add("image.animation", r.place, verdict.Removed, "")
				return nil
			}
			if err := r.frame(); err != nil {
				return err
			}
		case 0x3B:
			if len(r.g.frames) == 0 {
				return rebuild.Refuse("image.broken", "", "no picture in it")
			}
			return tail(r.j, r.in, r.place)
		case 0: // an empty block too many
		default:
			if len(r.g.frames) == 0 {
				return rebuild.Refuse("image.broken", "", fmt.Sprintf("block %02X", b[0]))
			}
			return tail(r.j, r.in, r.place) // viewers stop here, too
		}
	}
}

func (r *gifReader) extension() error {
	label, err := r.take(1)
	if err != nil {
		return err
	}
	body, err := r.blocks()
	if err != nil {
		return err
	}
	switch {
	case label[0] == 0xF9 && len(body) >= 4:
		r.next.disposal = body[0] >> 2 & 7
		if r.next.disposal > 3 {
			r.next.disposal = 0
		}
		r.next.delay = min(maxDelay, int(binary.LittleEndian.Uint16(body[1:])))
		r.next.clear = -1
		if body[0]&1 == 1 {
			r.next.clear = int(body[3])
		}
	case label[0] == 0xFF && len(body) >= 14 && (string(body[:11]) == "NETSCAPE2.0" || string(body[:11]) == "ANIMEXTS1.0") && body[11] == 1:
		r.g.loop = int(binary.LittleEndian.Uint16(body[12:]))
	case label[0] == 0xFE:
		r.drop("comment")
	case label[0] == 0x01:
		r.drop("plain text")
		r.next = gifFrame{clear: -1}
	case label[0] == 0xFF && len(body) >= 11:
		r.drop(rebuild.Printable(string(body[:11]), 11))
	}
	return nil
}

func (r *gifReader) frame() error {
	d, err := r.take(9)
	if err != nil {
		return err
	}
	f := r.next
	r.next = gifFrame{clear: -1}
	le := binary.LittleEndian
	x, y, w, h := int(le.Uint16(d)), int(le.Uint16(d[2:])), int(le.Uint16(d[4:])), int(le.Uint16(d[6:]))
	f.rect = image.Rect(x, y, x+w, y+h)
	r.g.w, r.g.h = max(r.g.w, x+w), max(r.g.h, y+h) // viewers make room
	if w == 0 || h == 0 {
		return rebuild.Refuse("image.broken", "", "a frame without pixels")
	}
	if err := checkSize(r.g.w, r.g.h); err != nil {
		return err
	}
	if r.total += int64(w) * int64(h); r.total > maxFramePixels {
		return rebuild.Refuse("limit.pixels", "", fmt.Sprintf("%d pixels in %d frames", r.total, len(r.g.frames)+1))
	}
	if d[8]&0x80 != 0 {
		if f.palette, err = r.take(3 << (d[8]&7 + 1)); err != nil {
			return err
		}
	}
	size, err := r.take(1)
	if err != nil {
		return err
	}
	if size[0] < 1 || size[0] > 8 {
		return rebuild.Refuse("image.broken", "", fmt.Sprintf("codes of %d bits", size[0]))
	}
	data, short := r.blocks()
	f.depth = max(int(size[0]), 2)
	f.index = make([]byte, w*h)
	if r.g.paletteOf(&f) == nil {
		return rebuild.Refuse("image.broken", "", "no palette")
	}
	z := lzw.NewReader(r.j.Read(data), lzw.LSB, int(size[0]))
	n, err := io.ReadFull(z, f.index)
	if r.j.Ctx.Err() != nil {
		return r.j.Ctx.Err()
	}
	if err != nil && n*10 < len(f.index) {
		if len(r.g.frames) > 0 {
			return errShort
		}
		return rebuild.Refuse("image.broken", "", "hardly any picture")
	}
	if err != nil {
		r.j.Found.Add("image.cut", r.place, verdict.Reported, "")
		if f.clear >= 0 {
			for i := range f.index[n:] {
				f.index[n+i] = byte(f.clear)
			}
		}
	}
	if d[8]&0x40 != 0 {
		f.index = straight(f.index, w, h)
	}
	r.g.frames = append(r.g.frames, f)
	if err != nil && short != nil {
		r.in = nil
		short = nil
	}
	return short
}

// straight puts interlaced rows in order (GIF89a, appendix E).
func straight(in []byte, w, h int) []byte {
	out := make([]byte, len(in))
	for _, pass := range [4][2]int{{0, 8}, {4, 8}, {2, 4}, {1, 2}} {
		for y := pass[0]; y < h; y += pass[1] {
			copy(out[y*w:], in[:w])
			in = in[w:]
		}
	}
	return out
}

// write makes a GIF89a. Palettes hold just the colors that are used.
func (g *gifFile) write(j *rebuild.Job) ([]byte, error) {
	out := j.Out()
	var common [256]bool
	depth, shared := 2, false
	for i := range g.frames {
		f := &g.frames[i]
		f.narrow()
		if f.palette == nil {
			shared = true
			depth = max(depth, f.depth)
			used(f, &common)
		}
	}
	le := binary.LittleEndian
	head := le.AppendUint16(le.AppendUint16([]byte("GIF89a"), uint16(g.w)), uint16(g.h))
	if shared {
		head = append(append(head, 0xF0|byte(depth-1), 0, 0), table(g.palette, depth, &common)...)
	} else {
		head = append(head, 0x70, 0, 0)
	}
	if g.loop >= 0 && len(g.frames) > 1 {
		head = append(le.AppendUint16(append(head, "\x21\xFF\x0BNETSCAPE2.0\x03\x01"...), uint16(g.loop)), 0)
	}
	if _, err := out.Write(head); err != nil {
		return nil, err
	}
	for i := range g.frames {
		if err := g.frames[i].write(out, depth); err != nil {
			return nil, err
		}
	}
	if _, err := out.Write([]byte{0x3B}); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// narrow finds the least depth that holds all indexes.
func (f *gifFrame) narrow() {
	top := byte(max(0, f.clear))
	for _, v := range f.index {
		top = max(top, v)
	}
	for f.depth = 2; int(top)>>f.depth > 0; f.depth++ {
	}
}

func used(f *gifFrame, seen *[256]bool) {
	for _, v := range f.index {
		seen[v] = true
	}
}

// table is a palette of that depth; colors that nothing uses are black.
func table(palette []byte, depth int, seen *[256]bool) []byte {
	out := make([]byte, 3<<depth)
	for i := range 1 << depth {
		if seen[i] && 3*i+2 < len(palette) {
			copy(out[3*i:], palette[3*i:3*i+3])
		}
	}
	return out
}

func (f *gifFrame) write(out io.Writer, common int) error {
	le := binary.LittleEndian
	var b []byte
	if f.delay > 0 || f.disposal > 0 || f.clear >= 0 {
		flags, clear := f.disposal<<2, byte(0)
		if f.clear >= 0 {
			flags, clear = flags|1, byte(f.clear)
		}
		b = append(le.AppendUint16([]byte{0x21, 0xF9, 4, flags}, uint16(f.delay)), clear, 0)
	}
	b = append(b, 0x2C)
	for _, v := range []int{f.rect.Min.X, f.rect.Min.Y, f.rect.Dx(), f.rect.Dy()} {
		b = le.AppendUint16(b, uint16(v))
	}
	depth := common
	if f.palette != nil {
		var seen [256]bool
		used(f, &seen)
		depth = f.depth
		b = append(append(b, 0x80|byte(depth-1)), table(f.palette, depth, &seen)...)
	} else {
		b = append(b, 0)
	}
	var packed bytes.Buffer
	z := lzw.NewWriter(&packed, lzw.LSB, depth)
	if _, err := z.Write(f.index); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	b = append(b, byte(depth))
	for data := packed.Bytes(); len(data) > 0; {
		n := min(255, len(data))
		b = append(append(b, byte(n)), data[:n]...)
		data = data[n:]
	}
	_, err := out.Write(append(b, 0))
	return err
}
