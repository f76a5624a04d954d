package picture

import (
	"bytes"
	"context"
	"encoding/binary"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// Markers of a JPEG that a rebuilder writes (ITU-T T.81, table B.1).
const (
	soi, eoi, sos  = 0xD8, 0xD9, 0xDA
	dqt, dht       = 0xDB, 0xC4
	sof0, sof1     = 0xC0, 0xC1
	app0, appAdobe = 0xE0, 0xEE
)

// plane is one component of the frame.
type plane struct {
	id         byte
	h, v, q    int
	wide, high int // blocks that show something
	scanned    bool
}

// jpegFile is a file on its way.
type jpegFile struct {
	ctx    context.Context
	in     []byte // what is left
	place  string
	wide   [4]bool // quantization tables of 16 bits
	quant  [4]bool // that there are
	steps  [4][]byte
	planes []plane
	mcuW   int // MCUs a row, and rows of them
	mcuH   int
}

func (f *jpegFile) no(format string, args ...any) error {
	return rule.Refuse(Code, f.place, format, args...)
}

// JPEG holds a file to the one shape that is written: SOI, a bare JFIF header or the Adobe segment that names a color transform,
// quantization tables, one baseline frame, and for all components together, or for each, Huffman tables and one scan; then EOI and
// not a byte behind. Each scan is decoded to its last bit: there are as many blocks as the frame says, blocks that show nothing
// hold nothing, each table is used, and so is each of its codes.
func JPEG(ctx context.Context, in []byte, place string) error {
	return (&jpegFile{ctx: ctx, in: in, place: place}).check()
}

// CheckJPEG is JPEG for a file on a route, which may want its pixels encoded again.
func CheckJPEG(f *rule.File) error {
	j := &jpegFile{ctx: f.Ctx, in: f.In}
	if err := j.check(); err != nil {
		return err
	}
	if f.Policy.Pixels && !j.encoded() {
		return j.no("tables or samplings that our encoder does not write: it was not encoded again")
	}
	return nil
}

func (f *jpegFile) check() error {
	in := f.in
	if !bytes.HasPrefix(in, []byte{0xFF, soi}) {
		return f.no("no SOI")
	}
	f.in = in[2:]
	m, body, err := f.segment()
	if err != nil {
		return err
	}
	adobe := -1
	switch m {
	case app0:
		if !bareJFIF(body) {
			return f.no("APP0 is not a bare JFIF header")
		}
		m, body, err = f.segment()
	case appAdobe:
		if len(body) != 12 || string(body[:11]) != "Adobe\x00\x64\x00\x00\x00\x00" || body[11] != 0 && body[11] != 2 {
			return f.no("APP14 is not a bare Adobe segment")
		}
		adobe = int(body[11])
		m, body, err = f.segment()
	}
	if err != nil {
		return err
	}
	if m != dqt || !f.quantization(body) {
		return f.no("quantization tables")
	}
	if m, body, err = f.segment(); err != nil {
		return err
	}
	if err := f.frame(m, body, adobe); err != nil {
		return err
	}
	for scans := 0; ; scans++ {
		if m, body, err = f.segment(); err != nil {
			return err
		}
		if m == eoi {
			break
		}
		var tables [2][2]*prefix
		if m != dht || scans == len(f.planes) || !huffman(body, &tables) {
			return f.no("marker FF%02X, or a wrong Huffman table", m)
		}
		if m, body, err = f.segment(); err != nil {
			return err
		}
		if m != sos {
			return f.no("marker FF%02X where a scan begins", m)
		}
		if err := f.scan(body, &tables); err != nil {
			return err
		}
	}
	for i, p := range f.planes {
		if !p.scanned {
			return f.no("no scan of component %d", i)
		}
	}
	if len(f.in) > 0 {
		return f.no("%d bytes behind EOI", len(f.in))
	}
	return nil
}

// segment takes the next marker and its body; EOI has none.
func (f *jpegFile) segment() (marker byte, body []byte, err error) {
	if len(f.in) < 2 || f.in[0] != 0xFF {
		return 0, nil, f.no("no marker where one has to be")
	}
	marker, f.in = f.in[1], f.in[2:]
	if marker == eoi {
		return marker, nil, nil
	}
	if len(f.in) < 2 {
		return 0, nil, f.no("cut off")
	}
	n := int(binary.BigEndian.Uint16(f.in))
	if n < 2 || n > len(f.in) {
		return 0, nil, f.no("segment FF%02X is longer than the file", marker)
	}
	body, f.in = f.in[2:n], f.in[n:]
	return marker, body, nil
}

// bareJFIF (T.871, 10.1): identifier, version 1.1, units, densities, a thumbnail of 0 x 0 pixels.
func bareJFIF(b []byte) bool {
	return len(b) == 14 && string(b[:7]) == "JFIF\x00\x01\x01" && b[7] <= 2 && b[8]|b[9] != 0 && b[10]|b[11] != 0 && b[12] == 0 && b[13] == 0
}

func (f *jpegFile) quantization(b []byte) bool {
	for id := 0; len(b) > 0; id++ {
		size := 65
		if b[0]>>4 == 1 {
			size = 129
		}
		if id > 3 || b[0] != byte(id) && b[0] != 0x10|byte(id) || len(b) < size {
			return false
		}
		over := false
		for k := 1; k < size; k++ {
			v := int(b[k])
			if size == 129 {
				v = v<<8 | int(b[k+1])
				k++
			}
			if v == 0 {
				return false
			}
			over = over || v > 255
		}
		if over != (size == 129) {
			return false
		}
		f.quant[id], f.wide[id], f.steps[id] = true, over, b[1:size]
		b = b[size:]
	}
	return f.quant[0]
}

func (f *jpegFile) frame(m byte, b []byte, adobe int) error {
	if m != sof0 && m != sof1 || len(b) < 6 || b[0] != 8 || len(b) != 6+3*int(b[5]) {
		return f.no("frame header FF%02X", m)
	}
	h, w := binary.BigEndian.Uint16(b[1:]), binary.BigEndian.Uint16(b[3:])
	if err := checkEdges(uint32(w), uint32(h), f.place); err != nil {
		return err
	}
	names := map[int]string{1: "\x01", 3: "\x01\x02\x03", 4: "\x01\x02\x03\x04"}[int(b[5])]
	switch {
	case adobe == 0 && b[5] == 3:
		names = "RGB"
	case adobe >= 0 && b[5] != 4:
		names = ""
	}
	if names == "" {
		return f.no("%d components, color transform %d", b[5], adobe)
	}
	hMax, vMax, anyWide, used := 1, 1, false, 0
	for i := range len(names) {
		c := b[6+3*i:]
		p := plane{id: c[0], h: int(c[1] >> 4), v: int(c[1] & 15), q: int(c[2])}
		if c[0] != names[i] || p.h < 1 || p.h > 4 || p.v < 1 || p.v > 4 || p.q > used || !f.quant[p.q] {
			return f.no("frame component %d", i)
		}
		if p.q == used {
			used++
		}
		anyWide = anyWide || f.wide[p.q]
		hMax, vMax = max(hMax, p.h), max(vMax, p.v)
		f.planes = append(f.planes, p)
	}
	if used < 4 && f.quant[used] {
		return f.no("a quantization table that nothing uses")
	}
	if anyWide != (m == sof1) || len(f.planes) == 1 && hMax*vMax != 1 {
		return f.no("frame header FF%02X", m)
	}
	for i := range f.planes {
		p := &f.planes[i]
		p.wide = up(up(int(w)*p.h, hMax), 8)
		p.high = up(up(int(h)*p.v, vMax), 8)
	}
	f.mcuW, f.mcuH = up(int(w), 8*hMax), up(int(h), 8*vMax)
	return nil
}

func up(a, b int) int { return (a + b - 1) / b }
