package tool

import (
	"encoding/binary"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool/pam"
)

// tiffs decodes all pages. tiff2rgba writes each as plain RGBA strips into another TIFF, whose form is fixed, so that reading it takes
// a few lines.
func tiffs(w *work, in []byte) ([]byte, error) {
	if err := w.write("in.tif", in); err != nil {
		return nil, err
	}
	said, status, err := w.exec("tiff2rgba", "-c", "none", w.path("in.tif"), w.path("out.tif"))
	if err != nil {
		return nil, err
	}
	b, err := w.read("out.tif", said)
	if err != nil {
		return nil, err
	}
	if status != 0 {
		return nil, failed("status %d; %s", status, said)
	}
	all, err := pages(b, w.frames())
	if err != nil {
		return nil, failed("%v; %s", err, said)
	}
	return all, nil
}

// pages reads a TIFF of uncompressed RGBA strips (TIFF 6.0, section 2).
func pages(b []byte, max int) ([]byte, error) {
	if len(b) < 8 || string(b[:4]) != "II*\x00" {
		return nil, pam.ErrForm
	}
	var all []byte
	for at, n := uint64(binary.LittleEndian.Uint32(b[4:])), 0; at != 0 && n < max; n++ {
		f, next, err := page(b, at)
		if err != nil {
			return nil, err
		}
		if next != 0 && next <= at || len(all)+len(f.Pix) > MaxAnswer { // it writes them one behind the other
			return nil, pam.ErrForm
		}
		all, at = pam.Append(all, f), next
	}
	if all == nil {
		return nil, pam.ErrForm
	}
	return all, nil
}

func page(b []byte, at uint64) (pam.Frame, uint64, error) {
	bad := func() (pam.Frame, uint64, error) { return pam.Frame{}, 0, pam.ErrForm }
	if at+2 > uint64(len(b)) {
		return bad()
	}
	count := uint64(binary.LittleEndian.Uint16(b[at:]))
	end := at + 2 + 12*count
	if end+4 > uint64(len(b)) {
		return bad()
	}
	tags := map[uint16][]uint32{}
	for e := at + 2; e < end; e += 12 {
		tag, kind, n := binary.LittleEndian.Uint16(b[e:]), binary.LittleEndian.Uint16(b[e+2:]), uint64(binary.LittleEndian.Uint32(b[e+4:]))
		size := map[uint16]uint64{3: 2, 4: 4}[kind]
		if size == 0 {
			continue
		}
		from := e + 8
		if n*size > 4 {
			from = uint64(binary.LittleEndian.Uint32(b[e+8:]))
		}
		if from+n*size > uint64(len(b)) {
			return bad()
		}
		for i := range n {
			if size == 2 {
				tags[tag] = append(tags[tag], uint32(binary.LittleEndian.Uint16(b[from+2*i:])))
			} else {
				tags[tag] = append(tags[tag], binary.LittleEndian.Uint32(b[from+4*i:]))
			}
		}
	}
	one := func(tag uint16) uint64 {
		if v := tags[tag]; len(v) == 1 {
			return uint64(v[0])
		}
		return 0
	}
	width, height := one(256), one(257)
	if width < 1 || width > pam.MaxEdge || height < 1 || height > pam.MaxEdge || one(259) != 1 || one(277) != 4 || len(tags[273]) != len(tags[279]) {
		return bad()
	}
	f := pam.Frame{Width: int(width), Height: int(height), Depth: 4}
	for i, from := range tags[273] {
		to := uint64(from) + uint64(tags[279][i])
		if to > uint64(len(b)) {
			return bad()
		}
		f.Pix = append(f.Pix, b[from:to]...)
	}
	if uint64(len(f.Pix)) != width*height*4 {
		return bad()
	}
	return f, uint64(binary.LittleEndian.Uint32(b[end:])), nil
}
