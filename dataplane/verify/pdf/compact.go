package pdf

import "slices"

// compact holds a CFF font to the layout that is written: indexes one behind the other, then tables that tile the rest, all of them
// pointed at by operators that are on a list.
func compact(b []byte) bool {
	if len(b) < 8 || string(b[:3]) != "\x01\x00\x04" {
		return false
	}
	at := 4
	var heads [4][][]byte
	for i := range heads {
		var ok bool
		if heads[i], at, ok = index(b, at); !ok {
			return false
		}
	}
	if len(heads[0]) != 1 || string(heads[0][0]) != "Font" || len(heads[1]) != 1 {
		return false
	}
	for _, s := range heads[2] {
		for _, c := range s {
			if class[c] != 0 || c <= 0x20 || c >= 0x7F {
				return false
			}
		}
	}
	f := &compactFont{b: b}
	top, ok := f.dictionary(heads[1][0], topOps)
	if !ok || !programs(heads[3], 11) {
		return false
	}
	_, cid := top[12<<8|30]
	glyphs, ok := f.index(top[17])
	if !ok || len(glyphs) == 0 || !programs(glyphs, 14) {
		return false
	}
	n := len(glyphs)
	for _, t := range []struct {
		op    int
		fixed int // places that name a table which every reader has
		size  func(r *bits) bool
	}{{15, 2, func(r *bits) bool { return charset(r, n-1) }}, {16, 1, encoding}, {12<<8 | 37, -1, func(r *bits) bool { return choice(r, n) }}} {
		v, given := top[t.op]
		if !given {
			continue
		}
		if len(v) != 1 || v[0] > t.fixed && !f.table(v[0], t.size) {
			return false
		}
	}
	if !cid {
		return f.private(top) && f.tiles(at)
	}
	fonts, ok := f.index(top[12<<8|36])
	for _, d := range fonts {
		font, fine := f.dictionary(d, topOps)
		ok = ok && fine && f.private(font)
	}
	return ok && f.tiles(at)
}

// Operators of dictionaries; a place or a number behind each, no string.
var (
	topOps     = opsOf([]int{5, 15, 16, 17, 18}, []int{1, 2, 3, 4, 5, 6, 7, 8, 30, 31, 32, 33, 34, 36, 37})
	privateOps = opsOf([]int{6, 7, 8, 9, 10, 11, 19, 20, 21}, []int{9, 10, 11, 12, 13, 14, 17, 18, 19})
)

func opsOf(one, two []int) map[int]bool {
	m := map[int]bool{}
	for _, o := range one {
		m[o] = true
	}
	for _, o := range two {
		m[12<<8|o] = true
	}
	return m
}

type compactFont struct {
	b    []byte
	seen [][2]int
}

// tiles tells that what was seen lies without gaps from a place to the end.
func (f *compactFont) tiles(from int) bool {
	slices.SortFunc(f.seen, func(a, b [2]int) int { return a[0] - b[0] })
	for _, s := range f.seen {
		if s[0] != from {
			return false
		}
		from = s[1]
	}
	return from == len(f.b)
}

func (f *compactFont) table(at int, size func(r *bits) bool) bool {
	if at < 0 || at >= len(f.b) {
		return false
	}
	r := &bits{b: f.b, at: at}
	if !size(r) || r.over {
		return false
	}
	f.seen = append(f.seen, [2]int{at, r.at})
	return true
}

func (f *compactFont) index(v []int) (parts [][]byte, ok bool) {
	if len(v) != 1 || v[0] <= 0 {
		return nil, false
	}
	parts, end, ok := index(f.b, v[0])
	f.seen = append(f.seen, [2]int{v[0], end})
	return parts, ok
}

func (f *compactFont) private(font map[int][]int) bool {
	v := font[18]
	if len(v) != 2 || v[0] < 0 || v[1] < 0 || v[1] > len(f.b) || v[0] > len(f.b)-v[1] {
		return false
	}
	f.seen = append(f.seen, [2]int{v[1], v[1] + v[0]})
	d, ok := f.dictionary(f.b[v[1]:v[1]+v[0]], privateOps)
	if !ok {
		return false
	}
	if s, ok := d[19]; ok {
		if len(s) != 1 {
			return false
		}
		subrs, ok := f.index([]int{v[1] + s[0]})
		return ok && programs(subrs, 11)
	}
	return true
}

// dictionary reads operators to the last byte.
func (f *compactFont) dictionary(b []byte, known map[int]bool) (map[int][]int, bool) {
	out := map[int][]int{}
	r := &bits{b: b}
	operands := []int{}
	for r.at < len(b) && !r.over {
		switch c := r.take(1); {
		case c <= 21:
			if c == 12 {
				c = 12<<8 | r.take(1)
			}
			if _, twice := out[c]; twice || !known[c] {
				return nil, false
			}
			out[c], operands = operands, []int{}
		case c == 28:
			operands = append(operands, int(int16(r.take(2))))
		case c == 29:
			operands = append(operands, int(int32(r.take(4))))
		case c == 30:
			for c = 0; c&0xF != 0xF && c>>4 != 0xF && !r.over; c = r.take(1) {
			}
			operands = append(operands, 0)
		case c < 32 || c == 255:
			return nil, false
		case c <= 246:
			operands = append(operands, c-139)
		case c <= 250:
			operands = append(operands, (c-247)<<8+r.take(1)+108)
		default:
			operands = append(operands, -(c-251)<<8-r.take(1)-108)
		}
		if len(operands) > 48 {
			return nil, false
		}
	}
	return out, !r.over && len(operands) == 0
}

// index reads an index whose parts lie one behind the other.
func index(b []byte, at int) (parts [][]byte, end int, ok bool) {
	r := &bits{b: b, at: at}
	n := r.take(2)
	if n == 0 {
		return nil, r.at, !r.over
	}
	size := r.take(1)
	if size < 1 || size > 4 {
		return nil, 0, false
	}
	offsets := make([]int, 0, min(n+1, len(b)))
	for range n + 1 {
		if offsets = append(offsets, r.take(size)); r.over {
			return nil, 0, false
		}
	}
	base := r.at - 1
	for i, o := range offsets {
		if o < 1 || i > 0 && o < offsets[i-1] || i == 0 && o != 1 || o > len(b)-base {
			return nil, 0, false
		}
		if i > 0 {
			parts = append(parts, b[base+offsets[i-1]:base+o])
		}
	}
	return parts, base + offsets[n], true
}

func charset(r *bits, left int) bool {
	format := r.take(1)
	if format > 2 {
		return false
	}
	if format == 0 {
		r.take(2 * left)
	}
	for format > 0 && left > 0 && !r.over {
		r.take(2)
		left -= r.take(format) + 1
	}
	return true
}

func encoding(r *bits) bool {
	format := r.take(1)
	r.take(r.take(1) * (1 + format&0x7F))
	if format&0x80 != 0 {
		r.take(3 * r.take(1))
	}
	return format&0x7F <= 1
}

func choice(r *bits, glyphs int) bool {
	switch r.take(1) {
	case 0:
		r.take(glyphs)
	case 3:
		r.take(3*r.take(2) + 2)
	default:
		return false
	}
	return true
}

// programs holds charstrings to their end: last is the operator that ends one, where no subroutine does. Behind a mask, whose length
// only the whole program knows, only the last byte is looked at.
func programs(all [][]byte, last byte) bool {
	for _, b := range all {
		if len(b) == 0 || b[len(b)-1] != last && b[len(b)-1] != 10 && b[len(b)-1] != 29 && b[len(b)-1] != 14 {
			return false
		}
		r := &bits{b: b}
	tokens:
		for r.at < len(b) && !r.over {
			switch c := r.take(1); {
			case c == 11 || c == 14:
				if r.at != len(b) {
					return false
				}
			case c == 19 || c == 20:
				break tokens
			case c == 28:
				r.take(2)
			case c == 12:
				r.take(1)
			case c == 255:
				r.take(4)
			case c >= 247:
				r.take(1)
			case c == 0 || c == 2 || c == 9 || c == 13 || c >= 15 && c <= 17:
				return false
			}
		}
		if r.over {
			return false
		}
	}
	return true
}
