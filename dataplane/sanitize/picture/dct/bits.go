package dct

import (
	"bytes"
	"encoding/binary"
)

// bitReader reads entropy-coded data without its stuffing, most significant bit first. Beyond the end it reads zeros.
type bitReader struct {
	b    []byte
	at   int
	acc  uint64 // the next bits, from the top
	n    int    // how many of them are sure
	over int    // bytes that were made up
}

// fill makes at least 56 bits sure.
func (r *bitReader) fill() {
	if r.at+8 <= len(r.b) {
		r.acc |= binary.BigEndian.Uint64(r.b[r.at:]) >> uint(r.n)
		r.at += (63 - r.n) >> 3
		r.n |= 56
		return
	}
	for r.n <= 56 {
		if r.at < len(r.b) {
			r.acc |= uint64(r.b[r.at]) << uint(56-r.n)
			r.at++
		} else {
			r.over++
		}
		r.n += 8
	}
}

// spent tells that more was read than there is.
func (r *bitReader) spent() bool { return r.over*8 > r.n }

func (r *bitReader) bits(n int) int32 {
	if r.n < n {
		r.fill()
	}
	v := int32(r.acc >> 1 >> uint(63-n))
	r.acc <<= uint(n)
	r.n -= n
	return v
}

// symbol decodes one code; ok is false when there is none such.
func (r *bitReader) symbol(t *table) (s byte, ok bool) {
	if r.n < 16 {
		r.fill()
	}
	e := t.quick[r.acc>>(64-quick)]
	if e == 0 {
		if e = t.long(uint32(r.acc >> 48)); e == 0 {
			return 0, false
		}
	}
	r.acc <<= e >> 8
	r.n -= int(e >> 8)
	return byte(e), true
}

// extend gives a coefficient of s bits its sign (T.81, F.2.2.1).
func extend(v int32, s int) int32 {
	if s > 0 && v < 1<<(s-1) {
		return v - 1<<s + 1
	}
	return v
}

// unstuff takes entropy-coded data from in[at:] up to the next marker into buf, and tells where the marker stands; len(in) when
// the file ends first.
func unstuff(buf, in []byte, at int) ([]byte, int) {
	buf = buf[:0]
	for {
		i := bytes.IndexByte(in[at:], 0xFF)
		if i < 0 {
			return append(buf, in[at:]...), len(in)
		}
		buf = append(buf, in[at:at+i]...)
		at += i
		for at+1 < len(in) && in[at+1] == 0xFF {
			at++
		}
		if at+1 >= len(in) {
			return buf, len(in)
		}
		if in[at+1] != 0 {
			return buf, at
		}
		buf = append(buf, 0xFF)
		at += 2
	}
}

// bitWriter writes bits and stuffs a zero behind each byte of ones.
type bitWriter struct {
	out []byte
	acc uint64
	n   uint
}

func (w *bitWriter) put(v uint32, n uint8) {
	w.acc = w.acc<<n | uint64(v)
	if w.n += uint(n); w.n >= 32 {
		w.n -= 32
		x := uint32(w.acc >> w.n)
		if !hasFF(x) {
			w.out = binary.BigEndian.AppendUint32(w.out, x)
			return
		}
		for s := 24; s >= 0; s -= 8 {
			w.byte(byte(x >> s))
		}
	}
}

func hasFF(x uint32) bool {
	return x>>24 == 0xFF || x>>16&0xFF == 0xFF || x>>8&0xFF == 0xFF || x&0xFF == 0xFF
}

func (w *bitWriter) byte(b byte) {
	w.out = append(w.out, b)
	if b == 0xFF {
		w.out = append(w.out, 0)
	}
}

// flush fills the last byte with ones (T.81, F.1.2.3).
func (w *bitWriter) flush() {
	for w.n >= 8 {
		w.n -= 8
		w.byte(byte(w.acc >> w.n))
	}
	if w.n > 0 {
		w.byte(byte(w.acc<<(8-w.n)) | byte(1<<(8-w.n)-1))
		w.n = 0
	}
}
