package dct

// quick is how many bits of a code one look-up resolves.
const quick = 10

// table decodes one Huffman table.
type table struct {
	quick  [1 << quick]uint16 // length<<8 | symbol; 0: longer than quick, or no code
	symbol []byte
	limit  [18]uint32 // one more than the last code of each length, shifted to 16 bits
	offset [17]int32  // of a code of that length into symbol
}

// newTable reads counts and symbols (T.81, B.2.4.2 and annex C); nil when they make no prefix code.
func newTable(counts, symbols []byte) *table {
	t := &table{symbol: symbols}
	code, at := uint32(0), 0
	for l := 1; l <= 16; l++ {
		n := int(counts[l-1])
		t.offset[l] = int32(at) - int32(code)
		if code+uint32(n) > 1<<l {
			return nil
		}
		for range n {
			if l <= quick {
				from := code << (quick - l)
				for i := range uint32(1) << (quick - l) {
					t.quick[from+i] = uint16(l)<<8 | uint16(symbols[at])
				}
			}
			code++
			at++
		}
		t.limit[l] = code << (16 - l)
		code <<= 1
	}
	t.limit[17] = 1 << 16
	return t
}

// long resolves a code of more than quick bits from the next 16; 0 when there is none.
func (t *table) long(next uint32) uint16 {
	for l := quick + 1; l <= 16; l++ {
		if next < t.limit[l] {
			return uint16(l)<<8 | uint16(t.symbol[int32(next>>(16-l))+t.offset[l]])
		}
	}
	return 0
}

// coder encodes with one Huffman table that was made for what is to be encoded.
type coder struct {
	count   [257]int // of each symbol; 256 stands for the code of all ones, which is not used
	counts  [16]byte // codes of each length
	symbols []byte
	code    [256]uint32
	size    [256]uint8
}

// prepare computes the best code of at most 16 bits (T.81, K.2).
func (c *coder) prepare() {
	var size [257]int
	var freq [257]int
	var next [257]int // of a tree's leaves; -1 ends
	copy(freq[:], c.count[:])
	freq[256] = 1
	for i := range next {
		next[i] = -1
	}
	var live []int
	for i, f := range freq {
		if f > 0 {
			live = append(live, i)
		}
	}
	for len(live) > 1 {
		a, b := -1, -1 // positions of the two rarest; of equals the later symbol first, so that 256 gets a longest code
		for i, s := range live {
			switch {
			case a < 0 || freq[s] <= freq[live[a]]:
				a, b = i, a
			case b < 0 || freq[s] <= freq[live[b]]:
				b = i
			}
		}
		x, y := live[a], live[b]
		freq[x] += freq[y]
		live = append(live[:b], live[b+1:]...)
		end := x
		for size[end]++; next[end] >= 0; size[end]++ {
			end = next[end]
		}
		next[end] = y
		for e := y; e >= 0; e = next[e] {
			size[e]++
		}
	}
	var bits [300]int
	longest := 0
	for _, s := range size {
		if s > 0 {
			bits[s]++
			longest = max(longest, s)
		}
	}
	for i := longest; i > 16; i-- { // T.81, figure K.3
		for bits[i] > 0 {
			j := i - 2
			for bits[j] == 0 {
				j--
			}
			bits[i] -= 2
			bits[i-1]++
			bits[j+1] += 2
			bits[j]--
		}
	}
	for i := min(16, longest); i > 0; i-- { // without 256
		if bits[i] > 0 {
			bits[i]--
			break
		}
	}
	c.symbols = nil
	for s := 1; s <= longest; s++ {
		for i := range 256 {
			if size[i] == s {
				c.symbols = append(c.symbols, byte(i))
			}
		}
	}
	code, at := uint32(0), 0
	for l := 1; l <= 16; l++ {
		c.counts[l-1] = byte(bits[l])
		for range bits[l] {
			s := c.symbols[at]
			c.code[s], c.size[s] = code, uint8(l)
			code++
			at++
		}
		code <<= 1
	}
}
