package pdf

import (
	"encoding/binary"
	"strings"
)

// fontTables are the tables of fonts that are written.
var fontTables = set("OS/2 cmap cvt fpgm glyf head hhea hmtx loca maxp post prep vhea vmtx VORG CFF")

// tables holds a font's directory to its order, its bounds and the tables that are known, and each table to its size; between tables
// lie zeros only.
func tables(b []byte) bool {
	if len(b) < 12 {
		return false
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	at, before := 12+16*n, ""
	if n == 0 || at > len(b) {
		return false
	}
	all := map[string][]byte{}
	for i := range n {
		e := b[12+16*i:]
		tag, from, size := string(e[:4]), int(binary.BigEndian.Uint32(e[8:])), int(binary.BigEndian.Uint32(e[12:]))
		if tag <= before || !fontTables[strings.TrimRight(tag, " ")] || from != at || size > len(b)-from {
			return false
		}
		all[tag] = b[from : from+size]
		for at = from + size; at%4 != 0; at++ {
			if at >= len(b) || b[at] != 0 {
				return false
			}
		}
		before = tag
	}
	for tag := range all {
		if !sized(all, tag) {
			return false
		}
	}
	return at == len(b)
}

// sized holds a table to what its own numbers, or those of its fellows, say of its size.
func sized(all map[string][]byte, tag string) bool {
	word := func(table string, at int) int {
		if b := all[table]; at+2 <= len(b) {
			return int(b[at])<<8 | int(b[at+1])
		}
		return 0
	}
	b := all[tag]
	switch tag {
	case "head":
		return len(b) == 54 && zero(b[8:12]) && zero(b[20:36])
	case "maxp":
		return len(b) == 6 || len(b) > 6 && len(b) <= 32 && b[0] == 0 && b[1] == 1
	case "hhea", "vhea":
		return len(b) <= 36
	case "hmtx", "vmtx":
		n := word(tag[:1]+"hea", 34)
		return len(b) <= 4*n+2*max(0, word("maxp", 4)-n)
	case "OS/2":
		return len(b) <= 100
	case "VORG":
		return len(b) <= 8+4*word(tag, 6)
	case "post":
		return posted(b)
	case "cmap":
		return mapped(b)
	case "CFF ":
		return compact(b)
	case "glyf":
		return outlines(b, all["loca"], word("head", 50) != 0)
	case "loca":
		return all["glyf"] != nil && len(b) <= (word("maxp", 4)+1)*(2+2*word("head", 50))
	}
	return true // instructions, and the numbers that they read
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func posted(b []byte) bool {
	if len(b) < 34 || b[1] != 2 {
		return len(b) == 32
	}
	at := 34 + 2*(int(b[32])<<8|int(b[33]))
	for at < len(b) {
		end := at + 1 + int(b[at])
		if end > len(b) {
			return false
		}
		for _, c := range b[at+1 : end] {
			if c <= 0x20 || c >= 0x7F {
				return false
			}
		}
		at = end
	}
	return at == len(b)
}

// mapped has the subtables lie one behind the other, the first behind the directory.
func mapped(b []byte) bool {
	if len(b) < 12 {
		return false
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	next := 4 + 8*n
	if b[0] != 0 || b[1] != 0 || next > len(b) {
		return false
	}
	for i := range n {
		at := int(binary.BigEndian.Uint32(b[8+8*i:]))
		if at < next && at >= 4+8*n {
			continue // one that two share
		}
		if at != next || at+10 > len(b) {
			return false
		}
		size := int(binary.BigEndian.Uint16(b[at+2:]))
		switch b[at+1] {
		case 0:
			size = min(size, 262)
		case 4:
		case 6:
			size = min(size, 10+2*int(binary.BigEndian.Uint16(b[at+8:])))
		case 12:
			size = int(binary.BigEndian.Uint32(b[at+4:]))
		default:
			return false
		}
		if next = at + size; size < 8 || next > len(b) {
			return false
		}
	}
	return next == len(b)
}

// outlines has each glyph begin where the one before it ends.
func outlines(glyf, loca []byte, wide bool) bool {
	at := func(i int) int {
		if wide {
			return int(binary.BigEndian.Uint32(loca[4*i:]))
		}
		return 2 * int(binary.BigEndian.Uint16(loca[2*i:]))
	}
	width := 2
	if wide {
		width = 4
	}
	n := len(loca) / width
	if n == 0 || at(0) != 0 || at(n-1) != len(glyf) && !(at(n-1) == 0 && len(glyf) == 4 && zero(glyf)) {
		return false
	}
	for i := 1; i < n; i++ {
		from, to := at(i-1), at(i)
		if from > to || to > len(glyf) {
			return false
		}
		if g := glyf[from:to]; len(g) > 0 && !outline(g) {
			return false
		}
	}
	return true
}

// outline reads one glyph to its last byte; a zero may follow it.
func outline(g []byte) bool {
	r := &bits{b: g}
	contours := int16(r.take(2))
	r.take(8)
	if contours < 0 {
		flags := 0x20
		for flags&0x20 != 0 && !r.over {
			flags = r.take(2)
			r.take(2)
			switch r.take(2 + 2*(flags&1)); {
			case flags&8 != 0:
				r.take(2)
			case flags&0x40 != 0:
				r.take(4)
			case flags&0x80 != 0:
				r.take(8)
			}
		}
		if flags&0x100 != 0 {
			r.take(r.take(2))
		}
		return r.ends()
	}
	points := 0
	for range contours {
		points = r.take(2) + 1
	}
	r.take(r.take(2))
	var flags []int
	for len(flags) < points && !r.over {
		f, more := r.take(1), 0
		if f&8 != 0 {
			more = r.take(1)
		}
		for range more + 1 {
			flags = append(flags, f)
		}
	}
	for _, f := range flags {
		r.take([4]int{2, 1, 0, 1}[f>>1&1|f>>3&2])
	}
	for _, f := range flags {
		r.take([4]int{2, 1, 0, 1}[f>>2&1|f>>4&2])
	}
	return len(flags) == points && contours > 0 && r.ends()
}

// bits takes bytes one behind the other; beyond the end they are zeros, and over is told.
type bits struct {
	b    []byte
	at   int
	over bool
}

// take is the number in the next n bytes; of more than four only the last count.
func (r *bits) take(n int) (v int) {
	if r.over = r.over || n < 0 || n > len(r.b)-r.at; r.over {
		return 0
	}
	for _, c := range r.b[r.at : r.at+n] {
		v = v<<8&0xFFFFFFFF | int(c)
	}
	r.at += n
	return v
}

func (r *bits) ends() bool {
	return !r.over && (r.at == len(r.b) || r.at == len(r.b)-1 && r.at%2 == 1 && r.b[r.at] == 0)
}
