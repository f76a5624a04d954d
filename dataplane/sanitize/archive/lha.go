package archive

import (
	"fmt"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// lhaWindows gives, for each method of LHA with static Huffman codes, the bits of its window and of its count of distances.
var lhaWindows = map[string]struct{ window, count uint }{
	"-lh4-": {12, 4}, "-lh5-": {13, 4}, "-lh6-": {15, 5}, "-lh7-": {16, 5},
}

// lha unpacks data to exactly size bytes.
func lha(j *rebuild.Job, method string, data []byte, size int64) ([]byte, error) {
	if method == "-lh0-" || method == "-lz4-" {
		if int64(len(data)) != size {
			return nil, no("stored, but of two sizes")
		}
		return data, nil
	}
	w, ok := lhaWindows[method]
	if !ok {
		return nil, rebuild.Refuse("archive.method", "", method)
	}
	if size > j.Budget.Bytes {
		return nil, rebuild.Refuse("limit.expansion", "", fmt.Sprintf("%d bytes, %d left", size, j.Budget.Bytes))
	}
	d := lhaDecoder{in: data, distances: w.window + 1, countBits: w.count}
	var out []byte
	for int64(len(out)) < size {
		if d.left == 0 {
			if err := j.Ctx.Err(); err != nil {
				return nil, err
			}
			if err := d.block(); err != nil {
				return nil, err
			}
		}
		d.left--
		c := d.literals.next(&d)
		if c < 256 {
			out = append(out, byte(c))
		} else {
			back := int(d.offsets.next(&d))
			if back > 1 {
				back = 1<<(back-1) + d.bits(uint(back-1))
			}
			for n := c - 256 + 3; n > 0 && int64(len(out)) < size; n-- {
				b := byte(' ') // the window begins as spaces
				if from := len(out) - back - 1; from >= 0 {
					b = out[from]
				}
				out = append(out, b)
			}
		}
		if d.over > 0 {
			return nil, bad("LZH data is cut off")
		}
	}
	if d.at < len(data)-1 { // LHA pads to a byte, and may write one more
		return nil, no("bytes behind the packed data")
	}
	return out, nil
}

// lhaDecoder reads bits, the highest of each byte first, and the codes of one block.
type lhaDecoder struct {
	in        []byte
	at        int
	hold      uint32
	held      uint
	over      int // bits beyond the end that were read as zeros
	left      int // symbols of the block
	distances uint
	countBits uint
	literals  prefix
	offsets   prefix
}

func (d *lhaDecoder) bit() int {
	if d.held == 0 {
		d.hold, d.held = 0, 8
		if d.at < len(d.in) {
			d.hold = uint32(d.in[d.at])
		} else {
			d.over++
		}
		d.at++
	}
	d.held--
	return int(d.hold >> d.held & 1)
}

func (d *lhaDecoder) bits(n uint) int {
	v := 0
	for range n {
		v = v<<1 | d.bit()
	}
	return v
}

// Symbols of LHA's codes.
const (
	lhaLiterals = 256 + 256 - 3 + 1 // bytes, and lengths 3 to 256
	lhaLengths  = 19                // of the code of code lengths
)

// block reads the codes of the next block.
func (d *lhaDecoder) block() error {
	if d.over > 0 || d.at > len(d.in) {
		return bad("LZH data is cut off")
	}
	d.left = d.bits(16)
	if d.left == 0 {
		return bad("LZH block of no symbols")
	}
	lengths, err := d.shortCode(lhaLengths, 5, 3)
	if err != nil {
		return err
	}
	n := d.bits(9)
	if n > lhaLiterals {
		return bad("LZH code")
	}
	if n == 0 {
		d.literals = prefix{single: true, only: d.bits(9)}
		if d.literals.only >= lhaLiterals {
			return bad("LZH code")
		}
	} else {
		sizes := make([]byte, 0, lhaLiterals)
		for len(sizes) < n {
			switch c := lengths.next(d); {
			case c > 2:
				sizes = append(sizes, byte(c-2))
			case c == 0:
				sizes = append(sizes, 0)
			case c == 1:
				sizes = append(sizes, make([]byte, 3+d.bits(4))...)
			default:
				sizes = append(sizes, make([]byte, 20+d.bits(9))...)
			}
		}
		if len(sizes) > n {
			return bad("LZH code")
		}
		if d.literals, err = newPrefix(sizes); err != nil {
			return err
		}
	}
	d.offsets, err = d.shortCode(int(d.distances), d.countBits, -1)
	return err
}

// shortCode reads a code of few symbols: lengths in three bits, longer ones in unary behind; at the place of the gap stands how many
// symbols have none.
func (d *lhaDecoder) shortCode(most int, countBits uint, gap int) (prefix, error) {
	n := d.bits(countBits)
	if n == 0 {
		p := prefix{single: true, only: d.bits(countBits)}
		if p.only >= most {
			return p, bad("LZH code")
		}
		return p, nil
	}
	var sizes []byte
	for len(sizes) < n {
		c := d.bits(3)
		for c >= 7 && d.bit() == 1 {
			if c++; c > 16 {
				return prefix{}, bad("LZH code")
			}
		}
		sizes = append(sizes, byte(c))
		if len(sizes) == gap {
			sizes = append(sizes, make([]byte, d.bits(2))...)
		}
	}
	if len(sizes) > most {
		return prefix{}, bad("LZH code")
	}
	return newPrefix(sizes)
}

// prefix is a canonical prefix code of at most 16 bits.
type prefix struct {
	single  bool // one symbol, of no bits
	only    int
	count   [17]int
	symbols []uint16 // by length, then by value
}

func newPrefix(sizes []byte) (prefix, error) {
	var p prefix
	for _, n := range sizes {
		if n > 16 {
			return p, bad("LZH code")
		}
		p.count[n]++
	}
	p.count[0] = 0
	room := 1
	for n := 1; n <= 16; n++ {
		if room = room<<1 - p.count[n]; room < 0 {
			return p, bad("LZH code")
		}
		for s, size := range sizes {
			if int(size) == n {
				p.symbols = append(p.symbols, uint16(s))
			}
		}
	}
	if room != 0 {
		return p, bad("LZH code")
	}
	return p, nil
}

// next reads one symbol. A complete code always ends on one.
func (p *prefix) next(d *lhaDecoder) int {
	if p.single {
		return p.only
	}
	code, first, index := 0, 0, 0
	for n := 1; n <= 16; n++ {
		code |= d.bit()
		if c := p.count[n]; code-first < c {
			return int(p.symbols[index+code-first])
		} else {
			index, first = index+c, (first+c)<<1
		}
		code <<= 1
	}
	return 0
}
