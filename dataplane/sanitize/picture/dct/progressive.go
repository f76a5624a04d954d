package dct

import "math/bits"

// Progressive scans (T.81, annex G). A coefficient comes in several: its upper bits first, then one bit in each.

func (s *scan) dcFirst(in *bitReader, k int, out *[64]int16, some *uint64) bool {
	dc, ok := s.difference(in, k)
	if dc <<= s.al; !ok || dc < minDC || dc > maxDC {
		return false
	}
	out[0] = int16(dc)
	if *some &^= 1; dc != 0 {
		*some |= 1
	}
	return true
}

func (s *scan) acFirst(in *bitReader, out *[64]int16, some *uint64) bool {
	if s.eobrun > 0 {
		s.eobrun--
		return true
	}
	for i := s.ss; i <= s.se; i++ {
		sym, ok := in.symbol(s.ac[0])
		if !ok {
			return false
		}
		run, size := int(sym>>4), int(sym&15)
		if size == 0 {
			if run < 15 {
				s.eobrun = 1<<run - 1
				if run > 0 {
					s.eobrun += int(in.bits(run))
				}
				break
			}
			i += 15
			continue
		}
		v := extend(in.bits(size), size) << s.al
		if i += run; i > s.se || v < -maxAC || v > maxAC {
			return false
		}
		out[i] = int16(v)
		*some |= 1 << i
	}
	return true
}

// acRefine adds one bit to coefficients that are not 0, and new ones of that bit.
func (s *scan) acRefine(in *bitReader, out *[64]int16, some *uint64) bool {
	bit := int16(1) << s.al
	i := s.ss
	if s.eobrun == 0 {
		for ; i <= s.se; i++ {
			sym, ok := in.symbol(s.ac[0])
			if !ok || sym&15 > 1 {
				return false
			}
			run, add := int(sym>>4), int16(0)
			if sym&15 == 1 {
				if add = -bit; in.bits(1) == 1 {
					add = bit
				}
			} else if run < 15 {
				s.eobrun = 1 << run
				if run > 0 {
					s.eobrun += int(in.bits(run))
				}
				break
			}
			for ; i <= s.se; i++ { // pass over zeros, refining what is none
				if out[i] != 0 {
					if !refine(in, &out[i], bit) {
						return false
					}
				} else if run--; run < 0 {
					break
				}
			}
			if add != 0 {
				if i > s.se {
					return false
				}
				out[i] = add
				*some |= 1 << i
			}
		}
	}
	if s.eobrun > 0 {
		for rest := *some >> i << i & (2<<s.se - 1); rest != 0; rest &= rest - 1 {
			if !refine(in, &out[bits.TrailingZeros64(rest)&63], bit) {
				return false
			}
		}
		s.eobrun--
	}
	return true
}

func refine(in *bitReader, v *int16, bit int16) bool {
	if in.bits(1) == 0 || *v&bit != 0 {
		return true
	}
	if *v > 0 {
		*v += bit
	} else {
		*v -= bit
	}
	return *v >= -maxAC && *v <= maxAC
}
