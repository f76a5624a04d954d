package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// stripBytes is about how much of a page is packed at once.
const stripBytes = 256 << 10

// tiffWriter lays out each page as its directory, what did not fit into it, and its strips; little-endian, packed by deflate.
type tiffWriter struct {
	j    *rebuild.Job
	out  []byte
	link int // where the place of the next directory goes
}

// layout of a page's pixels.
type layout struct {
	bits, samples, photometric, predictor int
	extra                                 uint32 // of the last sample: 1 transparency that the colors are multiplied by, 2 that they are not; 0: a color
	palette                               color.Palette
	row                                   func(y int, out []byte)
}

func (l *layout) rowBytes(w int) int { return (w*l.bits*l.samples + 7) / 8 }

// lay chooses the layout: of 1 bit (0 is black), gray, palette or RGB, of 8 or 16 bits.
func (p *page) lay() *layout {
	b := p.img.Bounds()
	switch i := p.img.(type) {
	case *image.Gray:
		if p.bilevel {
			return &layout{1, 1, 1, 1, 0, nil, func(y int, out []byte) {
				for x, v := range i.Pix[y*i.Stride:][:b.Dx()] {
					out[x/8] |= v & 0x80 >> (x % 8)
				}
			}}
		}
		return &layout{8, 1, 1, 2, 0, nil, func(y int, out []byte) { copy(out, i.Pix[y*i.Stride:][:b.Dx()]) }}
	case *image.Gray16:
		return &layout{16, 1, 1, 2, 0, nil, func(y int, out []byte) { swap(out, i.Pix[y*i.Stride:]) }}
	case *image.Paletted:
		return &layout{8, 1, 3, 1, 0, i.Palette, func(y int, out []byte) { copy(out, i.Pix[y*i.Stride:][:b.Dx()]) }}
	case *image.NRGBA64:
		return rgb(16, 2, i, func(y int, out []byte) { swap(out, i.Pix[y*i.Stride:]) })
	case *image.RGBA64:
		return rgb(16, 1, i, func(y int, out []byte) { swap(out, i.Pix[y*i.Stride:]) })
	case *image.NRGBA:
		return rgb(8, 2, i, func(y int, out []byte) { copy(out, i.Pix[y*i.Stride:]) })
	case *image.RGBA:
		return rgb(8, 1, i, func(y int, out []byte) { copy(out, i.Pix[y*i.Stride:]) })
	}
	return rgb(8, 2, p.img, func(y int, out []byte) {
		for x := range b.Dx() {
			c := nrgba(p.img.At(b.Min.X+x, b.Min.Y+y))
			copy(out[4*x:], []byte{c.R, c.G, c.B, c.A})
		}
	})
}

// rgb lays out pixels that come with four samples, of which the last goes where nothing is transparent.
func rgb(bits int, extra uint32, img image.Image, four func(y int, out []byte)) *layout {
	if transparent(img) {
		return &layout{bits, 4, 2, 2, extra, nil, four}
	}
	w, n := img.Bounds().Dx(), bits/8
	row := make([]byte, 4*n*w)
	return &layout{bits, 3, 2, 2, 0, nil, func(y int, out []byte) {
		four(y, row)
		for x := range w {
			copy(out[3*n*x:][:3*n], row[4*n*x:])
		}
	}}
}

// swap takes samples of 16 bits, which Go keeps with the upper byte first.
func swap(out, in []byte) {
	for i := 0; i+1 < len(out); i += 2 {
		out[i], out[i+1] = in[i+1], in[i]
	}
}

// predict leaves of each sample what it differs by from the pixel before (TIFF 6.0, section 14).
func (l *layout) predict(row []byte) {
	if l.bits == 16 {
		le := binary.LittleEndian
		for i := len(row) - 2; i >= 2*l.samples; i -= 2 {
			le.PutUint16(row[i:], le.Uint16(row[i:])-le.Uint16(row[i-2*l.samples:]))
		}
		return
	}
	for i := len(row) - 1; i >= l.samples; i-- {
		row[i] -= row[i-l.samples]
	}
}

func (w *tiffWriter) page(p *page, noise *noise) error {
	l := p.lay()
	b := p.img.Bounds()
	rows := min(b.Dy(), max(1, stripBytes/l.rowBytes(b.Dx())))
	var strips [][]byte
	for y := 0; y < b.Dy(); y += rows {
		s, err := w.strip(l, y, min(b.Dy(), y+rows), b.Dx(), noise)
		if err != nil {
			return err
		}
		strips = append(strips, s)
	}
	return w.directory(p, l, b.Dx(), b.Dy(), rows, strips)
}

func (w *tiffWriter) strip(l *layout, from, to, width int, noise *noise) ([]byte, error) {
	if err := w.j.Ctx.Err(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	row := make([]byte, l.rowBytes(width))
	for y := from; y < to; y++ {
		clear(row)
		l.row(y, row)
		if l.bits >= 8 && l.photometric != 3 {
			noise.plain(row, l)
		}
		if l.predictor == 2 {
			l.predict(row)
		}
		if _, err := z.Write(row); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// plain treats a row of samples of 8 or 16 bits, low byte first; not its transparency.
func (n *noise) plain(row []byte, l *layout) {
	if n == nil {
		return
	}
	size := l.bits / 8
	for k := range l.samples {
		if l.extra == 0 || k < l.samples-1 {
			n.samples(row, k*size, l.samples*size)
		}
	}
}

// entry of a directory.
type entry struct {
	tag, typ uint16 // 3: 16 bits, 4: 32 bits, 5: fraction
	v        []uint32
}

func (w *tiffWriter) directory(p *page, l *layout, width, height, rows int, strips [][]byte) error {
	entries := []entry{{tSubfile, 4, []uint32{0}}, {tWidth, 4, []uint32{uint32(width)}}, {tHeight, 4, []uint32{uint32(height)}}}
	bits := make([]uint32, l.samples)
	for i := range bits {
		bits[i] = uint32(l.bits)
	}
	entries = append(entries, entry{tBits, 3, bits}, entry{tCompression, 3, []uint32{8}}, entry{tPhotometric, 3, []uint32{uint32(l.photometric)}},
		entry{tOffsets, 4, make([]uint32, len(strips))}, entry{tSamples, 3, []uint32{uint32(l.samples)}}, entry{tRows, 4, []uint32{uint32(rows)}}, entry{tCounts, 4, nil})
	counts := &entries[len(entries)-1]
	offsets := entries[len(entries)-4]
	for _, s := range strips {
		counts.v = append(counts.v, uint32(len(s)))
	}
	for k, r := range p.res {
		if r[0] == 0 || r[1] == 0 || r[0] > 1e6 || r[1] > 1e6 {
			r = [2]uint32{1, 1}
		}
		entries = append(entries, entry{tXRes + uint16(k), 5, r[:]})
	}
	entries = append(entries, entry{tResUnit, 3, []uint32{uint32(p.unitOf())}}, entry{tPredictor, 3, []uint32{uint32(l.predictor)}})
	if l.palette != nil {
		entries = append(entries, entry{tColors, 3, colors(l.palette)})
	}
	if l.extra > 0 {
		entries = append(entries, entry{tExtra, 3, []uint32{l.extra}})
	}
	at := len(w.out)
	over := at + 2 + 12*len(entries) + 4 // where values lie that do not fit
	for _, e := range entries {
		if n := e.bytes(); n > 4 {
			over += n + n&1
		}
	}
	for i, s := range strips {
		offsets.v[i] = uint32(over)
		over += len(s)
	}
	if over += over & 1; int64(over) > min(w.j.MaxOut, 1<<32-1) {
		return rebuild.Refuse("limit.output", "", fmt.Sprintf("limit %d bytes", w.j.MaxOut))
	}
	w.write(entries, strips, over)
	return nil
}

// unitOf is 1, none, where there is no resolution.
func (p *page) unitOf() uint16 {
	for _, r := range p.res {
		if r[0] == 0 || r[1] == 0 || r[0] > 1e6 || r[1] > 1e6 {
			return 1
		}
	}
	return p.unit
}

func (e entry) bytes() int {
	if e.typ == 3 {
		return 2 * len(e.v)
	}
	return 4 * len(e.v)
}

func (w *tiffWriter) write(entries []entry, strips [][]byte, next int) {
	le := binary.LittleEndian
	over := len(w.out) + 2 + 12*len(entries) + 4
	w.out = le.AppendUint16(w.out, uint16(len(entries)))
	var values []byte
	for _, e := range entries {
		n := len(e.v)
		if e.typ == 5 {
			n /= 2
		}
		w.out = le.AppendUint32(le.AppendUint16(le.AppendUint16(w.out, e.tag), e.typ), uint32(n))
		var b []byte
		for _, v := range e.v {
			if e.typ == 3 {
				b = le.AppendUint16(b, uint16(v))
			} else {
				b = le.AppendUint32(b, v)
			}
		}
		if len(b) <= 4 {
			w.out = append(w.out, append(b, 0, 0, 0, 0)[:4]...)
			continue
		}
		w.out = le.AppendUint32(w.out, uint32(over+len(values)))
		if values = append(values, b...); len(b)&1 == 1 {
			values = append(values, 0)
		}
	}
	w.link = len(w.out)
	w.out = append(le.AppendUint32(w.out, uint32(next)), values...)
	for _, s := range strips {
		w.out = append(w.out, s...)
	}
	for len(w.out) < next {
		w.out = append(w.out, 0)
	}
}

// colors of a palette: all red, then all green, then all blue, in 16 bits.
func colors(p color.Palette) []uint32 {
	out := make([]uint32, 3*256)
	for i, c := range p {
		r, g, b, _ := c.RGBA()
		out[i], out[256+i], out[512+i] = r, g, b
	}
	return out
}
