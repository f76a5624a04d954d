package picture

import (
	"bytes"
	"context"
	"encoding/binary"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// Bounds of an animation.
const (
	maxFrames      = 1000
	maxFramePixels = 200_000_000
	maxDelay       = 6000 // hundredths of a second
)

// gifFile is a file on its way.
type gifFile struct {
	in     []byte // what is left
	place  string
	w, h   int
	colors int          // of the common palette
	shared bool         // a frame uses it
	length [4096]uint32 // of the pixels that a code stands for
}

func (g *gifFile) no(format string, args ...any) error {
	return rule.Refuse(Code, g.place, format, args...)
}

func (g *gifFile) take(n int) []byte {
	if len(g.in) < n {
		return nil
	}
	b := g.in[:n]
	g.in = g.in[n:]
	return b
}

// GIF reads the screen, the common palette, the count of loops, and each frame: its times, place, palette and pixels, which are
// unpacked; then the end, and not a byte behind it. There are no other extensions.
func GIF(ctx context.Context, in []byte, place string) error {
	g := &gifFile{in: in, place: place}
	head := g.take(13)
	if head == nil || string(head[:6]) != "GIF89a" || head[11] != 0 || head[12] != 0 {
		return g.no("header")
	}
	g.w, g.h = int(binary.LittleEndian.Uint16(head[6:])), int(binary.LittleEndian.Uint16(head[8:]))
	if err := checkEdges(uint32(g.w), uint32(g.h), place); err != nil {
		return err
	}
	switch {
	case head[10]&0xF8 == 0xF0 && head[10]&7 > 0:
		g.colors = 2 << (head[10] & 7)
		if g.take(3*g.colors) == nil {
			return g.no("palette")
		}
	case head[10] != 0x70:
		return g.no("flags %02X", head[10])
	}
	const loop = "\x21\xFF\x0BNETSCAPE2.0\x03\x01"
	animated := bytes.HasPrefix(g.in, []byte(loop))
	if animated {
		if b := g.take(len(loop) + 3); b == nil || b[len(b)-1] != 0 {
			return g.no("count of loops")
		}
	}
	frames, pixels := 0, int64(0)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(g.in) == 1 && g.in[0] == 0x3B {
			break
		}
		n, err := g.frame(ctx)
		if err != nil {
			return err
		}
		frames++
		if pixels += n; frames > maxFrames || pixels > maxFramePixels {
			return g.no("%d frames, %d pixels", frames, pixels)
		}
	}
	if frames == 0 || animated && frames == 1 || (g.colors > 0) != g.shared {
		return g.no("%d frames", frames)
	}
	return nil
}

func (g *gifFile) frame(ctx context.Context) (pixels int64, err error) {
	clear := -1
	if bytes.HasPrefix(g.in, []byte{0x21}) {
		b := g.take(8)
		if b == nil || b[1] != 0xF9 || b[2] != 4 || b[3] > 0x0D || b[7] != 0 || binary.LittleEndian.Uint16(b[4:]) > maxDelay || b[3]&1 == 0 && b[6] != 0 {
			return 0, g.no("extension")
		}
		if b[3]&2 != 0 {
			return 0, g.no("waits for a key")
		}
		if b[3]&1 == 1 {
			clear = int(b[6])
		}
	}
	d := g.take(10)
	if d == nil || d[0] != 0x2C {
		return 0, g.no("block where a frame has to be")
	}
	le := binary.LittleEndian
	x, y, w, h := int(le.Uint16(d[1:])), int(le.Uint16(d[3:])), int(le.Uint16(d[5:])), int(le.Uint16(d[7:]))
	if w == 0 || h == 0 || x+w > g.w || y+h > g.h {
		return 0, g.no("frame %d x %d at %d, %d", w, h, x, y)
	}
	colors := g.colors
	switch {
	case d[9]&0xF8 == 0x80 && d[9]&7 > 0:
		colors = 2 << (d[9] & 7)
		if g.take(3*colors) == nil {
			return 0, g.no("palette")
		}
	case d[9] != 0 || colors == 0:
		return 0, g.no("flags of a frame %02X", d[9])
	default:
		g.shared = true
	}
	size := g.take(1)
	if size == nil || 1<<size[0] != colors || clear >= colors {
		return 0, g.no("codes of other bits than the palette has colors")
	}
	var data []byte
	for short := false; ; {
		n := g.take(1)
		if n == nil {
			return 0, g.no("cut off")
		}
		if n[0] == 0 {
			break
		}
		if short {
			return 0, g.no("a short block before the last")
		}
		short = n[0] < 255
		b := g.take(int(n[0]))
		if b == nil {
			return 0, g.no("cut off")
		}
		data = append(data, b...)
	}
	if err := g.unpack(ctx, data, int(size[0]), w*h); err != nil {
		return 0, err
	}
	return int64(w) * int64(h), nil
}

// unpack counts the pixels that LZW data stand for (GIF89a, appendix F): as many as the frame has, then the end code, then not a
// byte more. Each pixel is below the number of colors, because codes are made of such pixels only.
func (g *gifFile) unpack(ctx context.Context, data []byte, bits, pixels int) error {
	reset, end := 1<<bits, 1<<bits+1
	next, width, before := end+1, bits+1, -1
	var acc uint32
	have, got := 0, 0
	for i := 0; ; {
		if got&0xFFFF == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		for have < width {
			if i == len(data) {
				return g.no("pixels end early")
			}
			acc |= uint32(data[i]) << have
			have += 8
			i++
		}
		code := int(acc & (1<<width - 1))
		acc >>= width
		have -= width
		switch {
		case code == reset:
			next, width, before = end+1, bits+1, -1
			continue
		case code == end:
			if got != pixels || i != len(data) || acc != 0 {
				return g.no("%d pixels instead of %d, or data behind them", got, pixels)
			}
			return nil
		case code < reset:
			got++
		case before < 0 || code > next || code == next && next > 4095:
			return g.no("code %d", code)
		case code == next:
			got += g.lengthOf(before, reset) + 1
		default:
			got += g.lengthOf(code, reset)
		}
		if got > pixels {
			return g.no("more pixels than the frame has")
		}
		if before >= 0 && next <= 4095 {
			g.length[next] = uint32(g.lengthOf(before, reset) + 1)
			if next++; next == 1<<width && width < 12 {
				width++
			}
		}
		before = code
	}
}

// lengthOf a code's string.
func (g *gifFile) lengthOf(code, reset int) int {
	if code < reset {
		return 1
	}
	return int(g.length[code])
}
