package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"math/bits"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// bitmap is a BMP's header and pixels.
type bitmap struct {
	w, h     int
	topDown  bool
	bits     int
	method   uint32 // 0 plain, 1 runs of 8 bits, 2 runs of 4 bits, 3 and 6 masks
	palette  []byte // RGB
	masks    [4]uint32
	physical [8]byte // pixels per metre, x and y
	index    []byte  // of a picture with a palette, a byte a pixel, from the top
	rgba     []byte  // of others
	alpha    bool    // some pixel is transparent
	cut      bool
}

// BMPFile rebuilds a BMP: 1, 4 and 8 bits keep their palette, all others become 24 bits, or 32 where something is transparent.
func BMPFile(j *rebuild.Job) (rebuild.Result, error) {
	m, err := readBMP(j, j.In)
	if err != nil {
		return rebuild.Result{}, err
	}
	if m.cut {
		j.Found.Add("image.cut", "", verdict.Reported, "")
	}
	if m.rgba != nil {
		noise := newNoise(j)
		for k := range 3 {
			noise.samples(m.rgba[k:], 0, 4)
		}
	}
	shown := thumbnail(m.image())
	body := m.write()
	return rebuild.Result{Body: body, Original: shown, Result: shown}, nil
}

func (m *bitmap) image() image.Image {
	r := image.Rect(0, 0, m.w, m.h)
	if m.rgba != nil {
		return &image.NRGBA{Pix: m.rgba, Stride: 4 * m.w, Rect: r}
	}
	p := make(color.Palette, 256)
	for i := range p {
		p[i] = color.NRGBA{A: 255}
		if 3*i < len(m.palette) {
			p[i] = color.NRGBA{m.palette[3*i], m.palette[3*i+1], m.palette[3*i+2], 255}
		}
	}
	return &image.Paletted{Pix: m.index, Stride: m.w, Rect: r, Palette: p}
}

// readBMP reads the headers of Windows (40 bytes and its longer kinds) and of OS/2 (12 bytes, or 16 to 64).
func readBMP(j *rebuild.Job, in []byte) (*bitmap, error) {
	broken := func(format string, args ...any) (*bitmap, error) {
		return nil, rebuild.Refuse("image.broken", "", fmt.Sprintf(format, args...))
	}
	le := binary.LittleEndian
	if len(in) < 26 || string(in[:2]) != "BM" {
		return broken("no BMP signature")
	}
	m := &bitmap{}
	size := int(min(le.Uint32(in[14:]), 1<<20))
	if size != 12 && (size < 16 || size > 124) || 14+size > len(in) {
		return broken("header of %d bytes", size)
	}
	head := make([]byte, 124)
	copy(head, in[14:14+size])
	colors, entry := 0, 4
	if size == 12 {
		m.w, m.h, m.bits, entry = int(le.Uint16(head[4:])), int(le.Uint16(head[6:])), int(le.Uint16(head[10:])), 3
	} else {
		m.w, m.h, m.bits = int(int32(le.Uint32(head[4:]))), int(int32(le.Uint32(head[8:]))), int(le.Uint16(head[14:]))
		m.method, colors = le.Uint32(head[16:]), int(min(le.Uint32(head[32:]), 1<<20))
		for k := range 2 {
			if v := le.Uint32(head[24+4*k:]); v > 0 && v < 1_000_000 {
				copy(m.physical[4*k:], head[24+4*k:28+4*k])
			}
		}
	}
	if m.h < 0 {
		m.h, m.topDown = -m.h, true
	}
	if err := checkSize(m.w, m.h); err != nil {
		return nil, err
	}
	if err := checkMemory(int64(m.w)*int64(m.h), 5); err != nil {
		return nil, err
	}
	at := 14 + size
	switch {
	case m.bits == 1 || m.bits == 2 || m.bits == 4 || m.bits == 8:
		if colors == 0 || colors > 1<<m.bits {
			colors = 1 << m.bits
		}
		if m.method != 0 && !(m.method == 1 && m.bits == 8) && !(m.method == 2 && m.bits == 4) {
			return nil, rebuild.Refuse("image.unsupported", "", fmt.Sprintf("BMP of %d bits, method %d", m.bits, m.method))
		}
		for i := range colors {
			from := at + i*entry
			if from+3 > len(in) {
				break
			}
			m.palette = append(m.palette, in[from+2], in[from+1], in[from])
		}
		at += colors * entry
	case (m.bits == 16 || m.bits == 24 || m.bits == 32) && m.method == 0:
		m.masks = map[int][4]uint32{16: {0x7C00, 0x3E0, 0x1F}, 24: {0xFF0000, 0xFF00, 0xFF}, 32: {0xFF0000, 0xFF00, 0xFF}}[m.bits]
	case (m.bits == 16 || m.bits == 32) && (m.method == 3 || m.method == 6) && size != 12:
		n := 3
		if size >= 56 || m.method == 6 {
			n = 4
		}
		if size == 40 {
			at += 4 * n
		}
		if 54+4*n > len(in) {
			return broken("masks")
		}
		for k := range n {
			m.masks[k] = le.Uint32(in[54+4*k:])
		}
		if m.masks[0]&m.masks[1]|m.masks[1]&m.masks[2]|m.masks[0]&m.masks[2] != 0 || m.bits == 16 && (m.masks[0]|m.masks[1]|m.masks[2])>>16 != 0 {
			return broken("masks")
		}
	default:
		return nil, rebuild.Refuse("image.unsupported", "", fmt.Sprintf("BMP of %d bits, method %d", m.bits, m.method))
	}
	if from := int64(le.Uint32(in[10:])); from >= int64(14+size) && from < int64(len(in)) {
		if at < int(from) && len(bytes.Trim(in[at:from], "\x00")) > 0 {
			j.Found.Add("image.metadata", "", verdict.Removed, "bytes in front of the pixels")
		}
		at = int(from)
	}
	if at >= len(in) {
		return broken("no pixels")
	}
	rest, err := m.pixels(j, in[at:])
	if err != nil {
		return nil, err
	}
	return m, tail(j, rest, "")
}

// pixels reads rows, and answers what is behind them.
func (m *bitmap) pixels(j *rebuild.Job, data []byte) (rest []byte, err error) {
	if m.method == 1 || m.method == 2 {
		return m.runs(j, data)
	}
	stride := (m.w*m.bits + 31) / 32 * 4
	if int64(len(data)) < int64(stride)*int64(m.h) {
		if int64(len(data))*10 < int64(stride)*int64(m.h) {
			return nil, rebuild.Refuse("image.broken", "", "hardly any picture")
		}
		m.cut = len(data) < stride*(m.h-1)+(m.w*m.bits+7)/8
	}
	if m.bits <= 8 {
		m.index = make([]byte, m.w*m.h)
	} else {
		m.rgba = make([]byte, 4*m.w*m.h)
		for i := 3; m.cut && i < len(m.rgba); i += 4 {
			m.rgba[i] = 255
		}
	}
	line := make([]byte, stride)
	for i := 0; i < m.h && len(data) > 0; i++ {
		if err := j.Ctx.Err(); err != nil {
			return nil, err
		}
		y := m.h - 1 - i
		if m.topDown {
			y = i
		}
		clear(line)
		n := copy(line, data)
		data = data[n:]
		if m.bits <= 8 {
			out := m.index[y*m.w:][:m.w]
			for x := range out {
				out[x] = line[x*m.bits/8] >> (8 - m.bits - x*m.bits%8) & byte(1<<m.bits-1)
			}
			continue
		}
		m.colors(m.rgba[4*y*m.w:][:4*m.w], line)
	}
	m.opaque()
	return data, nil
}

func (m *bitmap) colors(out, line []byte) {
	if m.bits == 24 {
		for x := range m.w {
			out[4*x], out[4*x+1], out[4*x+2], out[4*x+3] = line[3*x+2], line[3*x+1], line[3*x], 255
		}
		return
	}
	for x := range m.w {
		var v uint32
		if m.bits == 16 {
			v = uint32(binary.LittleEndian.Uint16(line[2*x:]))
		} else {
			v = binary.LittleEndian.Uint32(line[4*x:])
		}
		for k, mask := range m.masks {
			if mask == 0 {
				continue
			}
			s := uint64(v&mask) >> bits.TrailingZeros32(mask)
			most := uint64(mask) >> bits.TrailingZeros32(mask)
			out[4*x+k] = byte((s*255 + most/2) / most)
		}
		if m.masks[3] == 0 {
			out[4*x+3] = 255
		}
	}
}

// opaque makes a picture opaque whose transparency hides all of it: who wrote it left that byte empty.
func (m *bitmap) opaque() {
	any := false
	for i := 3; i < len(m.rgba); i += 4 {
		any = any || m.rgba[i] > 0
		m.alpha = m.alpha || m.rgba[i] < 255
	}
	if m.alpha && !any {
		m.alpha = false
		for i := 3; i < len(m.rgba); i += 4 {
			m.rgba[i] = 255
		}
	}
}

// runs reads pixels in runs of one color ([MS-WMF], 3.1.6). What is left out is of color 0.
func (m *bitmap) runs(j *rebuild.Job, data []byte) (rest []byte, err error) {
	m.index = make([]byte, m.w*m.h)
	x, y, set := 0, 0, 0 // y counts as the file does
	put := func(v byte) {
		if at := m.h - 1 - y; x < m.w && y < m.h {
			if m.topDown {
				at = y
			}
			m.index[at*m.w+x] = v
			set++
		}
		x++
	}
	for steps := 0; ; steps++ {
		if steps%4096 == 0 && j.Ctx.Err() != nil {
			return nil, j.Ctx.Err()
		}
		if len(data) < 2 {
			if m.cut = y < m.h; set*10 < len(m.index) {
				return nil, rebuild.Refuse("image.broken", "", "hardly any picture")
			}
			return nil, nil
		}
		n, v := int(data[0]), data[1]
		data = data[2:]
		switch {
		case n > 0:
			for i := range n {
				put(m.nibble(v, i))
			}
		case v == 0:
			x, y = 0, y+1
		case v == 1:
			return data, nil
		case v == 2 && len(data) >= 2:
			x, y, data = x+int(data[0]), y+int(data[1]), data[2:]
		case v == 2:
		default:
			size := int(v)
			if m.method == 2 {
				size = (size + 1) / 2
			}
			for i := range int(v) {
				at := i
				if m.method == 2 {
					at = i / 2
				}
				if at < len(data) {
					put(m.nibble(data[at], i))
				}
			}
			data = data[min(len(data), (size+1)&^1):]
		}
	}
}

// nibble is the color of the i-th pixel of a byte.
func (m *bitmap) nibble(v byte, i int) byte {
	switch {
	case m.method == 1:
		return v
	case i%2 == 0:
		return v >> 4
	}
	return v & 15
}

// write makes a file with a header of 40 bytes, or of 108 where something is transparent, from the bottom row.
func (m *bitmap) write() []byte {
	le := binary.LittleEndian
	depth, head, colors := m.bits, 40, 0
	switch {
	case m.rgba == nil:
		if depth == 2 {
			depth = 4
		}
		colors = 1 << depth
	case m.alpha:
		depth, head = 32, 108
	default:
		depth = 24
	}
	stride := (m.w*depth + 31) / 32 * 4
	from := 14 + head + 4*colors
	out := make([]byte, from+stride*m.h)
	copy(out, "BM")
	le.PutUint32(out[2:], uint32(len(out)))
	le.PutUint32(out[10:], uint32(from))
	le.PutUint32(out[14:], uint32(head))
	le.PutUint32(out[18:], uint32(m.w))
	le.PutUint32(out[22:], uint32(m.h))
	out[26], out[28] = 1, byte(depth)
	le.PutUint32(out[34:], uint32(stride*m.h))
	copy(out[38:], m.physical[:])
	if head == 108 {
		out[30] = 3
		for k, mask := range [4]uint32{0xFF0000, 0xFF00, 0xFF, 0xFF000000} {
			le.PutUint32(out[54+4*k:], mask)
		}
		le.PutUint32(out[70:], 0x73524742) // sRGB
	}
	for i := range colors {
		if 3*i < len(m.palette) {
			copy(out[14+head+4*i:], []byte{m.palette[3*i+2], m.palette[3*i+1], m.palette[3*i]})
		}
	}
	for y := range m.h {
		row := out[from+(m.h-1-y)*stride:][:stride]
		switch {
		case m.rgba == nil:
			for x, v := range m.index[y*m.w:][:m.w] {
				row[x*depth/8] |= v << (8 - depth - x*depth%8)
			}
		default:
			n := depth / 8
			for x := range m.w {
				px := m.rgba[4*(y*m.w+x):]
				row[n*x], row[n*x+1], row[n*x+2] = px[2], px[1], px[0]
				if n == 4 {
					row[n*x+3] = px[3]
				}
			}
		}
	}
	return out
}
