package dct

import (
	"context"
	"encoding/binary"
	"math/bits"
)

// Write makes a file of one baseline scan (or one a component, where too many blocks would be in an MCU), with Huffman tables made
// for it. In it: JFIF where colors are gray or YCbCr, or an Adobe segment where they are others, quantization tables, frame, tables
// and scans. Blocks that only fill the last MCU repeat the DC coefficient before them.
func (m *Image) Write(ctx context.Context) ([]byte, error) {
	var size int
	for i := range m.Comps {
		size += len(m.Comps[i].Some) * 8
	}
	w := &writer{m: m, ctx: ctx}
	w.out = append(make([]byte, 0, size/4+4096), 0xFF, mSOI)
	w.app()
	w.quantization()
	w.frame()
	blocks := 0
	for i := range m.Comps {
		blocks += m.Comps[i].H * m.Comps[i].V
	}
	all := make([]int, len(m.Comps))
	for i := range all {
		all[i] = i
	}
	if blocks <= 10 {
		if err := w.scan(all); err != nil {
			return nil, err
		}
	} else {
		for i := range all {
			if err := w.scan(all[i : i+1]); err != nil {
				return nil, err
			}
		}
	}
	return append(w.out, 0xFF, mEOI), nil
}

type writer struct {
	bitWriter
	m     *Image
	ctx   context.Context
	quant []*[64]uint16
}

func (w *writer) segment(marker byte, body []byte) {
	w.out = append(binary.BigEndian.AppendUint16(append(w.out, 0xFF, marker), uint16(len(body)+2)), body...)
}

func (w *writer) app() {
	switch w.m.Color {
	case Gray, YCbCr:
		w.segment(mAPP0, append(append([]byte("JFIF\x00\x01\x01"), w.m.Density[:]...), 0, 0))
	case RGB, AdobeCMYK:
		w.segment(mAPP0+14, []byte("Adobe\x00\x64\x00\x00\x00\x00\x00"))
	case AdobeYCCK:
		w.segment(mAPP0+14, []byte("Adobe\x00\x64\x00\x00\x00\x00\x02"))
	}
}

// table is the number of a component's quantization table, of those that differ.
func (w *writer) table(c *Component) int {
	for i, q := range w.quant {
		if *q == *c.Quant {
			return i
		}
	}
	w.quant = append(w.quant, c.Quant)
	return len(w.quant) - 1
}

func (w *writer) quantization() {
	for i := range w.m.Comps {
		w.table(&w.m.Comps[i])
	}
	var b []byte
	for i, q := range w.quant {
		if wide(q) {
			b = append(b, 0x10|byte(i))
			for _, v := range q {
				b = binary.BigEndian.AppendUint16(b, v)
			}
			continue
		}
		b = append(b, byte(i))
		for _, v := range q {
			b = append(b, byte(v))
		}
	}
	w.segment(mDQT, b)
}

func wide(q *[64]uint16) bool {
	for _, v := range q {
		if v > 255 {
			return true
		}
	}
	return false
}

func (w *writer) frame() {
	m := w.m
	marker := byte(mSOF0)
	b := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16([]byte{8}, uint16(m.Height)), uint16(m.Width))
	b = append(b, byte(len(m.Comps)))
	for i := range m.Comps {
		c := &m.Comps[i]
		if wide(c.Quant) {
			marker = mSOF1 // baseline has tables of 8 bits only
		}
		b = append(b, c.ID, byte(c.H<<4|c.V), byte(w.table(c)))
	}
	w.segment(marker, b)
}

// tableOf is 1 for the components that say color, which are coded unlike the others.
func (w *writer) tableOf(i int) int {
	if w.m.Color != RGB && w.m.Color != CMYK && w.m.Color != AdobeCMYK && (i == 1 || i == 2) {
		return 1
	}
	return 0
}

// scan writes tables, header and data of the components.
func (w *writer) scan(comps []int) error {
	var dc, ac [2]*coder
	for _, i := range comps {
		if t := w.tableOf(i); dc[t] == nil {
			dc[t], ac[t] = &coder{}, &coder{}
		}
	}
	if err := w.walk(comps, func(c *Component, t, at int, diff int32, fills bool) {
		dc[t].count[category(diff)]++
		if fills {
			ac[t].count[0]++
			return
		}
		count(ac[t], (*[64]int16)(c.Coef[at*64:]), c.Some[at])
	}); err != nil {
		return err
	}
	var tables []byte
	for t := range dc {
		if dc[t] == nil {
			continue
		}
		for class, c := range []*coder{dc[t], ac[t]} {
			c.prepare()
			tables = append(append(append(tables, byte(class<<4|t)), c.counts[:]...), c.symbols...)
		}
	}
	w.segment(mDHT, tables)
	head := []byte{byte(len(comps))}
	for _, i := range comps {
		t := byte(w.tableOf(i))
		head = append(head, w.m.Comps[i].ID, t<<4|t)
	}
	w.segment(mSOS, append(head, 0, 63, 0))
	if err := w.walk(comps, func(c *Component, t, at int, diff int32, fills bool) {
		w.coefficient(dc[t], 0, diff)
		if fills {
			w.put(ac[t].code[0], ac[t].size[0])
			return
		}
		w.block(ac[t], (*[64]int16)(c.Coef[at*64:]), c.Some[at])
	}); err != nil {
		return err
	}
	w.flush()
	return nil
}

// walk calls f for each block in coding order, with its Huffman tables' number, how its DC coefficient differs from the one
// before, and whether it only fills an MCU.
func (w *writer) walk(comps []int, f func(c *Component, t, at int, diff int32, fills bool)) error {
	if len(comps) == 1 {
		c, t, pred := &w.m.Comps[comps[0]], w.tableOf(comps[0]), int32(0)
		for y := range c.High {
			if err := w.ctx.Err(); err != nil {
				return err
			}
			for x := range c.Wide {
				at := y*c.Stride + x
				dc := int32(c.Coef[at*64])
				f(c, t, at, dc-pred, false)
				pred = dc
			}
		}
		return nil
	}
	var pred [4]int32
	for y := range ceil(w.m.Height, 8*w.m.VMax) {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		for x := range ceil(w.m.Width, 8*w.m.HMax) {
			for _, i := range comps {
				c, t := &w.m.Comps[i], w.tableOf(i)
				for v := y * c.V; v < y*c.V+c.V; v++ {
					for h := x * c.H; h < x*c.H+c.H; h++ {
						if h >= c.Wide || v >= c.High {
							f(c, t, 0, 0, true)
							continue
						}
						at := v*c.Stride + h
						dc := int32(c.Coef[at*64])
						f(c, t, at, dc-pred[i], false)
						pred[i] = dc
					}
				}
			}
		}
	}
	return nil
}

// category is the number of bits of a coefficient's size.
func category(v int32) int {
	if v < 0 {
		v = -v
	}
	return bits.Len32(uint32(v))
}

func count(ac *coder, b *[64]int16, some uint64) {
	last := 0
	for some &^= 1; some != 0; some &= some - 1 {
		k := bits.TrailingZeros64(some)
		run := k - last - 1
		for ; run > 15; run -= 16 {
			ac.count[0xF0]++
		}
		ac.count[run<<4|category(int32(b[k&63]))]++
		last = k
	}
	if last < 63 {
		ac.count[0]++
	}
}

func (w *writer) block(ac *coder, b *[64]int16, some uint64) {
	last := 0
	for some &^= 1; some != 0; some &= some - 1 {
		k := bits.TrailingZeros64(some)
		run := k - last - 1
		for ; run > 15; run -= 16 {
			w.put(ac.code[0xF0], ac.size[0xF0])
		}
		w.coefficient(ac, run<<4, int32(b[k&63]))
		last = k
	}
	if last < 63 {
		w.put(ac.code[0], ac.size[0])
	}
}

// coefficient writes the code of run and category, and the bits of the value, at most 16 + 12.
func (w *writer) coefficient(c *coder, run int, v int32) {
	n := category(v)
	s := (run | n) & 255
	if v < 0 {
		v += 1<<n - 1
	}
	w.put(c.code[s]<<n|uint32(v), c.size[s]+uint8(n))
}
