package pdf

import (
	"encoding/binary"
	"fmt"
)

// trim writes the tables of a TrueType font again, each as long as its own numbers say (OpenType 1.9): glyph by glyph, without what
// lies between them or behind them. Hinting instructions stay, as programs of a machine that has no way out of the glyph; some
// Japanese fonts put their strokes together with them.
func trim(t map[string][]byte) error {
	head, maxp, loca, glyf := t["head"], t["maxp"], t["loca"], t["glyf"]
	if len(head) < 54 || len(maxp) < 6 || glyf == nil {
		return fmt.Errorf("%w: head, maxp or glyf is missing", errFont)
	}
	head = append([]byte{}, head[:54]...)
	clear(head[8:12])  // sum of the font as it was
	clear(head[20:36]) // dates
	wide := binary.BigEndian.Uint16(head[50:]) != 0
	places, err := glyphPlaces(loca, int(binary.BigEndian.Uint16(maxp[4:])), wide, len(glyf))
	if err != nil {
		return err
	}
	out, at := make([]byte, 0, len(glyf)), []int{0}
	for i := 1; i < len(places); i++ {
		g := glyf[min(places[i-1], len(glyf)):min(places[i], len(glyf))]
		out = append(out, g[:glyphSize(g)]...)
		if len(out)%2 != 0 {
			out = append(out, 0)
		}
		at = append(at, len(out))
	}
	loca = nil
	for _, p := range at {
		if len(out) < 1<<17 {
			loca = binary.BigEndian.AppendUint16(loca, uint16(p/2))
		} else {
			loca = binary.BigEndian.AppendUint32(loca, uint32(p))
		}
	}
	head[50], head[51] = 0, 0
	if len(out) >= 1<<17 {
		head[51] = 1
	}
	if t["glyf"], t["loca"], t["head"] = out, loca, head; len(out) == 0 {
		t["glyf"] = make([]byte, 4) // a font of spaces; no table is empty
	}
	return nil
}

func glyphPlaces(loca []byte, glyphs int, wide bool, size int) ([]int, error) {
	width := 2
	if wide {
		width = 4
	}
	var out []int
	for i := range min(glyphs+1, len(loca)/width) {
		at := 0
		if wide {
			at = int(binary.BigEndian.Uint32(loca[4*i:]))
		} else {
			at = 2 * int(binary.BigEndian.Uint16(loca[2*i:]))
		}
		if len(out) > 0 && at < out[len(out)-1] || at > size+3 {
			return nil, fmt.Errorf("%w: glyph %d", errFont, i)
		}
		out = append(out, at)
	}
	return out, nil
}

// glyphSize is how many bytes a glyph has; 0 where it is none, which is how readers draw it.
func glyphSize(g []byte) int {
	if len(g) < 12 {
		return 0
	}
	at := 10
	switch n := int(int16(binary.BigEndian.Uint16(g))); {
	case n < 0:
		return partsSize(g)
	case n == 0:
		return 0
	default:
		if at += 2 * n; at+2 > len(g) {
			return 0
		}
		points := int(binary.BigEndian.Uint16(g[at-2:])) + 1
		at += 2 + int(binary.BigEndian.Uint16(g[at:]))
		bytes := 0 // of coordinates
		for points > 0 {
			if at >= len(g) {
				return 0
			}
			flag, times := g[at], 1
			at++
			if flag&8 != 0 {
				if at >= len(g) {
					return 0
				}
				times += int(g[at])
				at++
			}
			if points -= times; points < 0 {
				return 0
			}
			for _, c := range [2][2]byte{{2, 16}, {4, 32}} {
				switch {
				case flag&c[0] != 0:
					bytes += times
				case flag&c[1] == 0:
					bytes += 2 * times
				}
			}
		}
		if at += bytes; at > len(g) {
			return 0
		}
		return at
	}
}

// partsSize is the size of a glyph that is made of others.
func partsSize(g []byte) int {
	at := 10
	for {
		if at+4 > len(g) {
			return 0
		}
		flags := binary.BigEndian.Uint16(g[at:])
		at += 6
		if flags&1 != 0 {
			at += 2
		}
		switch {
		case flags&8 != 0:
			at += 2
		case flags&0x40 != 0:
			at += 4
		case flags&0x80 != 0:
			at += 8
		}
		if flags&0x20 == 0 {
			if flags&0x100 != 0 {
				if at+2 > len(g) {
					return 0
				}
				at += 2 + int(binary.BigEndian.Uint16(g[at:]))
			}
			if at > len(g) {
				return 0
			}
			return at
		}
	}
}

// measure ends tables of a known size where they end, and leaves out those that are none.
func measure(t map[string][]byte) {
	glyphs := 0
	if m := t["maxp"]; len(m) >= 6 {
		glyphs = int(binary.BigEndian.Uint16(m[4:]))
	}
	for tag, b := range t {
		size := len(b)
		switch tag {
		case "maxp":
			if size = 32; len(b) >= 4 && binary.BigEndian.Uint32(b) == 0x5000 {
				size = 6
			}
		case "head":
			size = 54
		case "hhea", "vhea":
			size = 36
		case "hmtx", "vmtx":
			n := 0
			if h := t[string(tag[0])+"hea"]; len(h) >= 36 {
				n = int(binary.BigEndian.Uint16(h[34:]))
			}
			size = 4*n + 2*max(0, glyphs-n)
		case "OS/2":
			size = 78
			if len(b) >= 2 {
				size = map[uint16]int{0: 78, 1: 86, 2: 96, 3: 96, 4: 96, 5: 100}[binary.BigEndian.Uint16(b)]
			}
		case "VORG":
			if size = 8; len(b) >= 8 {
				size += 4 * int(binary.BigEndian.Uint16(b[6:]))
			}
		case "cvt ":
			size = len(b) &^ 1
		case "post":
			t[tag] = post(b)
			continue
		case "cmap":
			t[tag] = characters(b)
			continue
		}
		t[tag] = b[:min(size, len(b))]
	}
	for tag, b := range t {
		if len(b) == 0 {
			delete(t, tag)
		}
	}
}

// post is what printers want to know; the names of glyphs in it are kept where each is one that names glyphs.
func post(b []byte) []byte {
	if len(b) < 32 {
		return nil
	}
	plain := append([]byte{}, b[:32]...)
	copy(plain, "\x00\x03\x00\x00")
	switch binary.BigEndian.Uint32(b) {
	case 0x10000:
		return b[:32]
	case 0x20000:
	default:
		return plain
	}
	if len(b) < 34 {
		return plain
	}
	n := int(binary.BigEndian.Uint16(b[32:]))
	at := 34 + 2*n
	if at > len(b) {
		return plain
	}
	names := 0
	for i := range n {
		names = max(names, int(binary.BigEndian.Uint16(b[34+2*i:]))-257)
	}
	for range names {
		if at >= len(b) || at+1+int(b[at]) > len(b) {
			return plain
		}
		for _, c := range b[at+1 : at+1+int(b[at])] {
			if !regular(c) {
				return plain
			}
		}
		at += 1 + int(b[at])
	}
	return b[:at]
}

// characters writes a cmap of the subtables that readers of PDF ask for, one behind the other.
func characters(b []byte) []byte {
	if len(b) < 4 {
		return nil
	}
	type table struct {
		who []byte
		b   []byte
	}
	var tables []table
	n := min(int(binary.BigEndian.Uint16(b[2:])), (len(b)-4)/8)
	for i := range n {
		e := b[4+8*i:]
		at := int64(binary.BigEndian.Uint32(e[4:]))
		if at >= int64(len(b)) {
			continue
		}
		if s := subtable(b[at:]); s != nil {
			tables = append(tables, table{e[:4], s})
		}
	}
	if len(tables) == 0 || len(tables) > 30 {
		return nil
	}
	out := binary.BigEndian.AppendUint16([]byte{0, 0}, uint16(len(tables)))
	at := 4 + 8*len(tables)
	placed := map[string]int{}
	var data []byte
	for _, t := range tables {
		where, ok := placed[string(t.b)]
		if !ok {
			where = at + len(data)
			placed[string(t.b)] = where
			data = append(data, t.b...)
		}
		out = binary.BigEndian.AppendUint32(append(out, t.who...), uint32(where))
	}
	return append(out, data...)
}

func subtable(b []byte) []byte {
	if len(b) < 8 {
		return nil
	}
	size := 0
	switch binary.BigEndian.Uint16(b) {
	case 0:
		size = 262
	case 4:
		size = min(int(binary.BigEndian.Uint16(b[2:])), len(b)) &^ 1
		if segments := int(binary.BigEndian.Uint16(b[6:])) / 2; segments == 0 || size < 16+8*segments {
			return nil
		}
	case 6:
		if len(b) < 10 {
			return nil
		}
		size = 10 + 2*int(binary.BigEndian.Uint16(b[8:]))
	case 12:
		if len(b) < 16 || binary.BigEndian.Uint32(b[12:]) > 1<<20 {
			return nil
		}
		size = 16 + 12*int(binary.BigEndian.Uint32(b[12:]))
	}
	if size == 0 || size > len(b) {
		return nil
	}
	out := append([]byte{}, b[:size]...)
	if out[1] == 12 {
		binary.BigEndian.PutUint32(out[4:], uint32(size))
	} else {
		binary.BigEndian.PutUint16(out[2:], uint16(size))
	}
	return out
}
