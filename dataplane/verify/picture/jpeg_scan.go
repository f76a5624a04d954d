package picture

import (
	"encoding/binary"
)

// prefix is a Huffman table: for each 16 bits that may come next, the length of the code that they begin with, and its symbol.
type prefix struct {
	next  [1 << 16]struct{ length, symbol byte } // length 0: no code
	codes int
	seen  [256]bool
}

// huffman reads tables: DC and AC of number 0, of number 1, or of both.
func huffman(b []byte, tables *[2][2]*prefix) bool {
	if len(b) == 0 {
		return false
	}
	for len(b) > 0 {
		class, id := b[0]>>4, b[0]&15
		if class > 1 || id > 1 || len(b) < 17 || tables[class][id] != nil {
			return false
		}
		p := &prefix{}
		code, at := 0, 17 // code counts in units of the longest
		for l := 1; l <= 16; l++ {
			for range b[l] {
				width := 1 << (16 - l)
				if at >= len(b) || code+width >= 1<<16 { // a code of all ones is not used
					return false
				}
				for i := code; i < code+width; i++ {
					p.next[i].length, p.next[i].symbol = byte(l), b[at]
				}
				code += width
				at++
			}
		}
		if p.codes = at - 17; p.codes == 0 || p.codes > 256 {
			return false
		}
		tables[class][id] = p
		b = b[at:]
	}
	for id := range 2 {
		if (tables[0][id] == nil) != (tables[1][id] == nil) {
			return false
		}
	}
	return true
}

// entropy reads bits of a scan up to the next marker.
type entropy struct {
	in    []byte
	word  uint64 // its upper bits come next
	have  int
	wrong bool // more was asked for than there is
}

func (e *entropy) more() {
	if e.have <= 32 && len(e.in) >= 4 { // four bytes without a stuffed zero
		if x := binary.BigEndian.Uint32(e.in); x>>24 != 0xFF && x>>16&0xFF != 0xFF && x>>8&0xFF != 0xFF && x&0xFF != 0xFF {
			e.word |= uint64(x) << (32 - e.have)
			e.have += 32
			e.in = e.in[4:]
			return
		}
	}
	for e.have <= 56 && len(e.in) > 0 {
		b := e.in[0]
		if b == 0xFF {
			if len(e.in) < 2 || e.in[1] != 0 {
				return // a marker
			}
			e.in = e.in[1:]
		}
		e.in = e.in[1:]
		e.word |= uint64(b) << (56 - e.have)
		e.have += 8
	}
}

// symbol decodes one code.
func (e *entropy) symbol(p *prefix) byte {
	if e.have < 32 {
		e.more()
	}
	c := p.next[e.word>>48]
	if c.length == 0 || int(c.length) > e.have {
		e.wrong = true
		return 0
	}
	e.word <<= c.length
	e.have -= int(c.length)
	p.seen[c.symbol] = true
	return c.symbol
}

// value takes the n bits of a coefficient.
func (e *entropy) value(n int) int {
	if e.have < n {
		if e.more(); e.have < n {
			e.wrong = true
			return 0
		}
	}
	v := int(e.word >> (64 - n))
	e.word <<= n
	e.have -= n
	if v < 1<<(n-1) {
		v -= 1<<n - 1
	}
	return v
}

// scan decodes the data of the scan whose header is b, and takes them from the file.
func (f *jpegFile) scan(b []byte, tables *[2][2]*prefix) error {
	n := len(f.planes)
	if len(b) == 0 || int(b[0]) != n && b[0] != 1 || len(b) != 4+2*int(b[0]) || b[len(b)-3] != 0 || b[len(b)-2] != 63 || b[len(b)-1] != 0 {
		return f.no("scan header")
	}
	var in []*plane
	var which []int
	blocks, used := 0, 0
	for i := range int(b[0]) {
		id, t := b[1+2*i], int(b[2+2*i]&15)
		var p *plane
		for k := range f.planes {
			if f.planes[k].id == id && (b[0] == 1 || k == i) {
				p = &f.planes[k]
			}
		}
		if p == nil || p.scanned || b[2+2*i] != byte(t<<4|t) || t > 1 || tables[0][t] == nil {
			return f.no("scan header names component %d, tables %02x", id, b[2+2*i])
		}
		p.scanned = true
		used |= 1 << t
		in, which = append(in, p), append(which, t)
		blocks += p.h * p.v
	}
	if len(in) > 1 && blocks > 10 {
		return f.no("%d blocks in an MCU", blocks)
	}
	for t := range 2 {
		if tables[0][t] != nil && used>>t&1 == 0 {
			return f.no("a Huffman table that nothing uses")
		}
	}
	e := &entropy{in: f.in}
	if err := f.blocks(e, in, which, tables); err != nil {
		return err
	}
	// What is left of the last byte is ones, and then comes a marker.
	e.more()
	if e.have > 7 || e.word>>(64-e.have)+1 != 1<<e.have && e.have > 0 {
		return f.no("data behind the last block of a scan")
	}
	for class := range 2 {
		for t := range 2 {
			if p := tables[class][t]; p != nil {
				seen := 0
				for _, s := range p.seen {
					if s {
						seen++
					}
				}
				if seen != p.codes {
					return f.no("a Huffman table with codes that are not used")
				}
			}
		}
	}
	f.in = e.in
	return nil
}

func (f *jpegFile) blocks(e *entropy, in []*plane, which []int, tables *[2][2]*prefix) error {
	var dc [4]int
	block := func(k int, shows bool) bool {
		d, a := tables[0][which[k]], tables[1][which[k]]
		size := int(e.symbol(d))
		if size > 12 || size > 0 && !shows {
			return false
		}
		if size > 0 {
			dc[k] += e.value(size)
		}
		if dc[k] < -2048 || dc[k] > 2047 {
			return false
		}
		for i := 1; i < 64; i++ {
			s := e.symbol(a)
			if s == 0 {
				return !e.wrong
			}
			if i += int(s >> 4); s == 0xF0 && i < 63 {
				continue
			}
			if s&15 == 0 || s&15 > 10 || i > 63 || !shows {
				return false
			}
			e.value(int(s & 15))
		}
		return shows && !e.wrong
	}
	if len(in) == 1 {
		for y := range in[0].high {
			if err := f.ctx.Err(); err != nil {
				return err
			}
			for x := range in[0].wide {
				if !block(0, true) {
					return f.no("block %d, %d", x, y)
				}
			}
		}
		return nil
	}
	for y := range f.mcuH {
		if err := f.ctx.Err(); err != nil {
			return err
		}
		for x := range f.mcuW {
			for k, p := range in {
				for v := range p.v {
					for h := range p.h {
						if !block(k, x*p.h+h < p.wide && y*p.v+v < p.high) {
							return f.no("MCU %d, %d", x, y)
						}
					}
				}
			}
		}
	}
	return nil
}
