package dct

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// Marker codes (T.81, table B.1).
const (
	mSOF0 = 0xC0
	mSOF1 = 0xC1
	mSOF2 = 0xC2
	mDHT  = 0xC4
	mSOFF = 0xCF
	mRST0 = 0xD0
	mRST7 = 0xD7
	mSOI  = 0xD8
	mEOI  = 0xD9
	mSOS  = 0xDA
	mDQT  = 0xDB
	mDRI  = 0xDD
	mAPP0 = 0xE0
	mAPPF = 0xEF
	mCOM  = 0xFE
)

// Arithmetic is the detail of the refusal of a file that other programs can decode.
const Arithmetic = "arithmetic coding"

// Beside is what a file holds beside its picture.
type Beside struct {
	Segments []string // what they are called, each once
	Exif     []byte   // the TIFF structure of the first such segment
	Profile  []byte   // the beginning of a color profile
	Tail     []byte   // behind the end
	Cut      bool     // the file ends, or leaves something out, before all of the picture came: the rest is gray
}

func (b *Beside) note(what string) {
	if !slices.Contains(b.Segments, what) && len(b.Segments) < 12 {
		b.Segments = append(b.Segments, what)
	}
}

// reader is a file on its way.
type reader struct {
	ctx    context.Context
	in     []byte
	limits Limits
	m      *Image
	beside Beside

	quant   [4]*[64]uint16
	dc, ac  [4]*table
	tables  []byte // of each component: which quantization table
	restart int    // MCUs between restart markers; 0: none
	scans   int
	jfif    bool
	adobe   int  // color transform of the Adobe segment; -1: none
	ended   bool // by its own end marker
	scratch []byte
}

// Read reads a file to its coefficients. Errors are refusals, or the end of ctx. A file that ends early is read as viewers show it.
func Read(ctx context.Context, in []byte, limits Limits) (*Image, Beside, error) {
	if !bytes.HasPrefix(in, []byte{0xFF, mSOI}) {
		return nil, Beside{}, broken("no SOI marker")
	}
	r := &reader{ctx: ctx, in: in, limits: limits, adobe: -1}
	if err := r.segments(); err != nil {
		return nil, r.beside, err
	}
	if r.m == nil || r.scans == 0 {
		return nil, r.beside, broken("no picture before the end")
	}
	for i := range r.m.Comps {
		if r.m.Comps[i].Quant == nil {
			if !r.m.Progressive && r.ended {
				return nil, r.beside, broken("a component without a scan")
			}
			r.beside.Cut = true
			r.m.Comps[i].Quant = r.m.Comps[0].Quant
			if r.m.Comps[i].Quant == nil {
				return nil, r.beside, broken("no picture before the end")
			}
		}
	}
	r.color()
	return r.m, r.beside, nil
}

func (r *reader) segments() error {
	for at := 2; ; {
		from := at
		for at < len(r.in) && r.in[at] != 0xFF { // viewers pass over what is no marker
			at++
		}
		for at < len(r.in) && r.in[at] == 0xFF {
			at++
		}
		if at >= len(r.in) {
			r.beside.Cut = r.beside.Cut || r.m != nil && r.m.Progressive
			return nil
		}
		m := r.in[at]
		at++
		if m == 0 || m == 0x01 || mRST0 <= m && m <= mRST7 {
			continue // left over from entropy-coded data
		}
		if at-from > 64 {
			r.beside.note(fmt.Sprintf("%d bytes between segments", at-from-2))
			if k := rebuild.Foreign(r.in[from:at]); k != "" {
				return rebuild.Refuse("type.polyglot", "", k)
			}
		}
		if m == mEOI {
			r.ended, r.beside.Tail = true, r.in[at:]
			return nil
		}
		if m == mSOI {
			return broken("a second SOI marker")
		}
		if len(r.in)-at < 2 {
			r.beside.Cut = true
			return nil
		}
		size := int(binary.BigEndian.Uint16(r.in[at:]))
		if size < 2 {
			return broken(fmt.Sprintf("segment FF%02X of a wrong size", m))
		}
		if size > len(r.in)-at {
			r.beside.Cut = true
			return nil
		}
		body := r.in[at+2 : at+size]
		if err := r.segment(m, body); err != nil {
			if r.complete() { // damaged entropy-coded data can look like any marker
				r.beside.Cut, r.beside.Tail = true, r.in[at:]
				return nil
			}
			return err
		}
		at += size
		if m == mSOS {
			var err error
			if at, err = r.scan(body, at); err != nil {
				return err
			}
		}
	}
}

// complete tells whether a viewer has all that it waits for.
func (r *reader) complete() bool {
	if r.m == nil || r.m.Progressive || r.scans == 0 {
		return false
	}
	return !slices.ContainsFunc(r.m.Comps, func(c Component) bool { return c.Quant == nil })
}

func (r *reader) segment(m byte, body []byte) error {
	switch {
	case m == mSOF0 || m == mSOF1 || m == mSOF2:
		return r.frame(m, body)
	case m == mDHT:
		return r.huffman(body)
	case m == mDQT:
		return r.quantization(body)
	case m == mDRI:
		if len(body) != 2 {
			return broken("restart interval")
		}
		r.restart = int(binary.BigEndian.Uint16(body))
	case m == mSOS:
	case mSOF0 <= m && m <= mSOFF, m == 0xDC, m == 0xDE, m == 0xDF: // arithmetic, lossless, hierarchical, late height
		if m <= mSOFF && len(body) >= 5 { // who asks another program shall have the size judged
			if err := r.limits.Size(int(binary.BigEndian.Uint16(body[3:])), int(binary.BigEndian.Uint16(body[1:]))); err != nil {
				return err
			}
		}
		if m == 0xC9 || m == 0xCA {
			return rebuild.Refuse("image.unsupported", "", Arithmetic)
		}
		return rebuild.Refuse("image.unsupported", "", fmt.Sprintf("JPEG marker FF%02X", m))
	case m == mAPP0 && bytes.HasPrefix(body, []byte("JFIF\x00")):
		if len(body) >= 12 {
			r.jfif = true
			if r.m == nil {
				r.m = &Image{}
			}
			copy(r.m.Density[:], body[7:12])
		}
		if len(body) > 14 {
			r.beside.note("JFIF thumbnail")
		}
	case m == mAPP0+14 && bytes.HasPrefix(body, []byte("Adobe")) && len(body) >= 12:
		r.adobe = int(body[11])
	case m == mAPP0+1 && bytes.HasPrefix(body, []byte("Exif\x00")):
		r.beside.note("EXIF")
		if r.beside.Exif == nil {
			r.beside.Exif = body[min(6, len(body)):]
		}
	case m == mAPP0+1:
		r.beside.note("XMP")
	case m == mAPP0+2 && bytes.HasPrefix(body, []byte("ICC_PROFILE\x00")):
		r.beside.note("ICC")
		if r.beside.Profile == nil {
			r.beside.Profile = body[min(14, len(body)):]
		}
	case m == mAPP0+13:
		r.beside.note("IPTC")
	case m == mCOM:
		r.beside.note("COM")
	case mAPP0 <= m && m <= mAPPF:
		r.beside.note(fmt.Sprintf("APP%d", m-mAPP0))
	default:
		return rebuild.Refuse("image.unsupported", "", fmt.Sprintf("JPEG marker FF%02X", m))
	}
	return nil
}

func (r *reader) frame(m byte, b []byte) error {
	if r.m != nil && r.m.Comps != nil {
		return broken("two frame headers")
	}
	if len(b) < 6 || len(b) != 6+3*int(b[5]) {
		return broken("frame header")
	}
	if b[0] != 8 {
		return rebuild.Refuse("image.unsupported", "", fmt.Sprintf("%d bits a sample", b[0]))
	}
	if n := b[5]; n != 1 && n != 3 && n != 4 {
		return rebuild.Refuse("image.unsupported", "", fmt.Sprintf("%d components", n))
	}
	if r.m == nil {
		r.m = &Image{}
	}
	i := r.m
	i.Progressive = m == mSOF2
	i.Height, i.Width = int(binary.BigEndian.Uint16(b[1:])), int(binary.BigEndian.Uint16(b[3:]))
	if i.Height == 0 && i.Width > 0 {
		return rebuild.Refuse("image.unsupported", "", "JPEG with its height behind the picture")
	}
	if err := r.limits.Size(i.Width, i.Height); err != nil {
		return err
	}
	i.HMax, i.VMax = 1, 1
	for c := b[6:]; len(c) > 0; c = c[3:] {
		n := Component{ID: c[0], H: int(c[1] >> 4), V: int(c[1] & 15)}
		if n.H < 1 || n.H > 4 || n.V < 1 || n.V > 4 || c[2] > 3 || slices.ContainsFunc(i.Comps, func(o Component) bool { return o.ID == n.ID }) {
			return broken("frame component")
		}
		if b[5] == 1 {
			n.H, n.V = 1, 1 // of one component they mean nothing
		}
		i.HMax, i.VMax = max(i.HMax, n.H), max(i.VMax, n.V)
		i.Comps = append(i.Comps, n)
		r.tables = append(r.tables, c[2])
	}
	return i.coefficients(r.limits.Bytes)
}

func (r *reader) quantization(b []byte) error {
	for len(b) > 0 {
		wide, id := int(b[0]>>4), b[0]&15
		if wide > 1 || id > 3 || len(b) < 65+64*wide {
			return broken("quantization table")
		}
		t := new([64]uint16)
		for k := range t {
			if wide == 1 {
				t[k] = binary.BigEndian.Uint16(b[1+2*k:])
			} else {
				t[k] = uint16(b[1+k])
			}
			if t[k] == 0 {
				return broken("quantization by 0")
			}
		}
		r.quant[id] = t
		b = b[65+64*wide:]
	}
	return nil
}

func (r *reader) huffman(b []byte) error {
	for len(b) > 0 {
		if len(b) < 17 || b[0]>>4 > 1 || b[0]&15 > 3 {
			return broken("Huffman table")
		}
		n := 0
		for _, c := range b[1:17] {
			n += int(c)
		}
		if n > 256 || len(b) < 17+n {
			return broken("Huffman table")
		}
		t := newTable(b[1:17], b[17:17+n])
		if t == nil {
			return broken("Huffman table")
		}
		if b[0]>>4 == 0 {
			r.dc[b[0]&15] = t
		} else {
			r.ac[b[0]&15] = t
		}
		b = b[17+n:]
	}
	return nil
}

// color is what viewers make of the segments and of the components' names: JFIF means YCbCr, then the Adobe segment decides, then
// the names R, G and B.
func (r *reader) color() {
	m := r.m
	named := len(m.Comps) == 3 && m.Comps[0].ID == 'R' && m.Comps[1].ID == 'G' && m.Comps[2].ID == 'B'
	switch {
	case len(m.Comps) == 1:
		m.Color = Gray
	case len(m.Comps) == 3 && !r.jfif && (r.adobe == 0 || r.adobe < 0 && named):
		m.Color = RGB
	case len(m.Comps) == 3:
		m.Color = YCbCr
	case r.adobe == 2:
		m.Color = AdobeYCCK
	case r.adobe >= 0:
		m.Color = AdobeCMYK
	default:
		m.Color = CMYK
	}
	names := "\x01\x02\x03\x04"
	if m.Color == RGB {
		names = "RGB"
	}
	for i := range m.Comps {
		m.Comps[i].ID = names[i]
	}
	if d := m.Density; d[0] > 2 || d[1]|d[2] == 0 || d[3]|d[4] == 0 {
		m.Density = [5]byte{0, 0, 1, 0, 1}
	}
}
