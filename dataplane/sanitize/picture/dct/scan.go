package dct

import (
	"fmt"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// Ranges of coefficients of 8-bit samples: what a transform gives, and a little more (T.81, F.1.2).
const (
	minDC = -2048
	maxDC = 2047
	maxAC = 1023
)

// scan is one scan's header and state.
type scan struct {
	comps  []*Component
	dc, ac []*table // of each
	ss, se int      // band of coefficients
	ah, al int      // bits of successive approximation
	pred   [4]int32
	eobrun int
}

// scan reads the scan whose header is b and whose data begin at in[at:]; it answers where the next marker stands.
func (r *reader) scan(b []byte, at int) (int, error) {
	if r.m == nil || r.m.Comps == nil {
		return 0, broken("scan before the frame header")
	}
	r.scans++
	if r.scans > r.limits.Scans || int64(r.scans)*int64(r.m.Width)*int64(r.m.Height) > r.limits.Work {
		return 0, rebuild.Refuse("limit.scans", "", "")
	}
	s, err := r.header(b)
	if err != nil {
		return 0, err
	}
	wide, high := 0, 0 // MCUs
	if len(s.comps) == 1 {
		wide, high = s.comps[0].Wide, s.comps[0].High
	} else {
		wide, high = ceil(r.m.Width, 8*r.m.HMax), ceil(r.m.Height, 8*r.m.VMax)
	}
	return r.data(s, wide, wide*high, at)
}

func (r *reader) header(b []byte) (*scan, error) {
	if len(b) < 4 || len(b) != 4+2*int(b[0]) || b[0] == 0 || b[0] > 4 {
		return nil, broken("scan header")
	}
	s := &scan{}
	tail := b[len(b)-3:]
	s.ss, s.se, s.ah, s.al = int(tail[0]), int(tail[1]), int(tail[2]>>4), int(tail[2]&15)
	if !r.m.Progressive {
		s.ss, s.se, s.ah, s.al = 0, 63, 0, 0 // as viewers do, whatever it says
	} else if s.ss > s.se || s.se > 63 || s.ss == 0 && s.se > 0 || s.ss > 0 && b[0] != 1 || s.al > 13 || s.ah > 0 && s.ah != s.al+1 {
		return nil, broken("scan header")
	}
	blocks := 0
	for i := range int(b[0]) {
		id, tables := b[1+2*i], b[2+2*i]
		var c *Component
		for k := range r.m.Comps {
			if r.m.Comps[k].ID == id {
				c = &r.m.Comps[k]
				if c.Quant == nil {
					c.Quant = r.quant[r.tables[k]]
				}
			}
		}
		if c == nil || c.Quant == nil || tables>>4 > 3 || tables&15 > 3 {
			return nil, broken(fmt.Sprintf("scan of component %d", id))
		}
		for _, o := range s.comps {
			if o == c {
				return nil, broken("scan names a component twice")
			}
		}
		dc, ac := r.dc[tables>>4], r.ac[tables&15]
		if s.ss == 0 && s.ah == 0 && dc == nil || s.se > 0 && ac == nil {
			return nil, broken("scan without its Huffman table")
		}
		s.comps, s.dc, s.ac = append(s.comps, c), append(s.dc, dc), append(s.ac, ac)
		blocks += c.H * c.V
	}
	if len(s.comps) > 1 && blocks > 10 {
		return nil, broken("more than 10 blocks in an MCU")
	}
	return s, nil
}

// least: of a picture that is damaged, one part in so many has to be readable.
const least = 10

// data reads n MCUs, wide a row, in pieces between restart markers. What is missing or makes no coefficients stays gray up to the
// end of its piece, as viewers show it; of a progressive file, where each scan builds on others, only what is missing.
func (r *reader) data(s *scan, wide, n, at int) (next int, err error) {
	piece := n
	if r.restart > 0 {
		piece = r.restart
	}
	whole := 0
	defer func() {
		if err == nil && whole*least < n && r.scans == 1 {
			err = broken("hardly any picture")
		}
	}()
	for from, rst := 0, byte(mRST0); ; rst = mRST0 + (rst-mRST0+1)%8 {
		r.scratch, next = unstuff(r.scratch, r.in, at)
		in := &bitReader{b: r.scratch}
		s.pred, s.eobrun = [4]int32{}, 0
		to := min(n, from+piece)
		read, err := r.piece(s, in, wide, from, to)
		if err != nil {
			return 0, err
		}
		if read < to {
			r.beside.Cut = true
		}
		whole += read - from
		from, at = to, next
		if at >= len(r.in) || r.in[at+1] < mRST0 || r.in[at+1] > mRST7 {
			if from < n {
				r.beside.Cut = true
			}
			return at, nil
		}
		if from >= n {
			return at, nil // a restart marker too many: passed over
		}
		if r.in[at+1] != rst {
			return 0, broken(fmt.Sprintf("restart marker FF%02X instead of FF%02X", r.in[at+1], rst))
		}
		at += 2
	}
}

// piece reads MCUs from..to, and answers where it ended: the rest stays as it is.
func (r *reader) piece(s *scan, in *bitReader, wide, from, to int) (int, error) {
	for i := from; i < to; i++ {
		if i%256 == 0 && r.ctx.Err() != nil {
			return i, r.ctx.Err()
		}
		x, y := i%wide, i/wide
		if len(s.comps) == 1 {
			if !r.block(s, in, 0, y*s.comps[0].Stride+x) {
				return i, r.wrong(in)
			}
		} else {
			for k, c := range s.comps {
				for v := range c.V {
					at := (y*c.V+v)*c.Stride + x*c.H
					for h := range c.H {
						if !r.block(s, in, k, at+h) {
							return i, r.wrong(in)
						}
					}
				}
			}
		}
		if in.over > 0 && in.spent() {
			return i, nil
		}
	}
	return to, nil
}

// wrong judges data that make no coefficients.
func (r *reader) wrong(in *bitReader) error {
	if r.m.Progressive && !in.spent() {
		return broken("coefficients")
	}
	return nil
}

func (r *reader) block(s *scan, in *bitReader, k, at int) bool {
	c := s.comps[k]
	out := (*[64]int16)(c.Coef[at*64:])
	switch {
	case !r.m.Progressive:
		return s.baseline(in, k, out, &c.Some[at])
	case s.ss == 0 && s.ah == 0:
		return s.dcFirst(in, k, out, &c.Some[at])
	case s.ss == 0:
		if in.bits(1) == 1 {
			out[0] |= 1 << s.al
			c.Some[at] |= 1
		}
		return out[0] >= minDC && out[0] <= maxDC
	case s.ah == 0:
		return s.acFirst(in, out, &c.Some[at])
	}
	return s.acRefine(in, out, &c.Some[at])
}

// difference reads a DC coefficient, coded as what it differs by from the one before.
func (s *scan) difference(in *bitReader, k int) (int32, bool) {
	n, ok := in.symbol(s.dc[k])
	if !ok || n > 15 {
		return 0, false
	}
	if n > 0 {
		s.pred[k] += extend(in.bits(int(n)), int(n))
	}
	return s.pred[k], s.pred[k] >= minDC && s.pred[k] <= maxDC
}

func (s *scan) baseline(in *bitReader, k int, out *[64]int16, some *uint64) bool {
	dc, ok := s.difference(in, k)
	if !ok {
		return false
	}
	out[0] = int16(dc)
	var set uint64
	if dc != 0 {
		set = 1
	}
	t := s.ac[k]
	for i := 1; i < 64; i++ {
		if in.n < 32 {
			in.fill()
		}
		e := t.quick[in.acc>>(64-quick)]
		if e == 0 {
			if e = t.long(uint32(in.acc >> 48)); e == 0 {
				return false
			}
		}
		in.acc <<= e >> 8
		in.n -= int(e >> 8)
		size := uint(e & 15)
		if size == 0 {
			if e&0xF0 != 0xF0 {
				break
			}
			i += 15
			continue
		}
		if i += int(e >> 4 & 15); i > 63 || size > 10 {
			return false
		}
		v := int32(in.acc >> (64 - size))
		in.acc <<= size
		in.n -= int(size)
		if v < 1<<(size-1) {
			v += 1 - 1<<size
		}
		out[i] = int16(v)
		set |= 1 << i
	}
	*some = set
	return true
}
