package charset

import "bytes"

// FromISO2022 turns ISO-2022-JP into EUC-JP code by code, so that text can be walked without a state: JIS X 0208 of 1978 and 1983,
// JIS X 0212, half-width katakana by ESC ( I or by shift out, and rows 85-94 for user-defined characters, as mailers write them
// (CP50220-50222). Bytes of JIS X 0201's Roman set are taken as ASCII. ok is false for another escape, a byte above 7F, or half a
// character; at is its byte offset.
func FromISO2022(b []byte) (euc []byte, at int, ok bool) {
	const (
		ascii = iota
		kana
		jis0208
		jis0212
	)
	out := make([]byte, 0, len(b))
	set, shifted := ascii, false
	for i := 0; i < len(b); {
		c := b[i]
		switch {
		case c == 0x1B:
			rest := b[i+1:]
			switch {
			case bytes.HasPrefix(rest, []byte("(B")), bytes.HasPrefix(rest, []byte("(J")), bytes.HasPrefix(rest, []byte("(H")):
				set = ascii
			case bytes.HasPrefix(rest, []byte("(I")):
				set = kana
			case bytes.HasPrefix(rest, []byte("$@")), bytes.HasPrefix(rest, []byte("$B")):
				set = jis0208
			case bytes.HasPrefix(rest, []byte("$(D")):
				set = jis0212
				i++
			case bytes.HasPrefix(rest, []byte("$(B")), bytes.HasPrefix(rest, []byte("$(@")):
				set = jis0208
				i++
			case bytes.HasPrefix(rest, []byte("&@")): // announces the revision of 1990 of the next set
			default:
				return nil, i, false
			}
			i += 3
			continue
		case c == 0x0E, c == 0x0F:
			shifted = c == 0x0E
			i++
			continue
		case c >= 0x80:
			return nil, i, false
		case c <= ' ' || c == 0x7F: // controls and spaces are themselves in every set; a line begins in ASCII
			if c == '\n' || c == '\r' {
				set, shifted = ascii, false
			}
			out = append(out, c)
			i++
			continue
		}
		switch {
		case shifted || set == kana:
			if c > 0x5F {
				return nil, i, false
			}
			out = append(out, 0x8E, c|0x80)
			i++
		case set == ascii:
			out = append(out, c)
			i++
		default:
			if i+1 >= len(b) || b[i+1] <= ' ' || b[i+1] >= 0x7F {
				return nil, i, false
			}
			if set == jis0212 {
				out = append(out, 0x8F)
			}
			out = append(out, c|0x80, b[i+1]|0x80)
			i += 2
		}
	}
	return out, 0, true
}

// ToISO2022 writes EUC-JP in ISO-2022-JP, with each escape where the set changes and nowhere else. Every line ends in ASCII.
func ToISO2022(euc []byte) []byte {
	out := make([]byte, 0, len(euc)+len(euc)/8)
	now := "(B"
	to := func(set string) {
		if set != now {
			out = append(append(out, 0x1B), set...)
			now = set
		}
	}
	for i := 0; i < len(euc); {
		switch c := euc[i]; {
		case c < 0x80:
			to("(B")
			out = append(out, c)
			i++
		case c == 0x8E && i+1 < len(euc):
			to("(I")
			out = append(out, euc[i+1]&0x7F)
			i += 2
		case c == 0x8F && i+2 < len(euc):
			to("$(D")
			out = append(out, euc[i+1]&0x7F, euc[i+2]&0x7F)
			i += 3
		case i+1 < len(euc):
			to("$B")
			out = append(out, c&0x7F, euc[i+1]&0x7F)
			i += 2
		default:
			return out
		}
	}
	to("(B")
	return out
}

// LooksISO2022 tells text that changes to a Japanese set by an escape.
func LooksISO2022(b []byte) bool {
	for i := bytes.IndexByte(b, 0x1B); i >= 0 && i+2 < len(b); {
		if b[i+1] == '$' && (b[i+2] == '@' || b[i+2] == 'B' || b[i+2] == '(') || b[i+1] == '(' && (b[i+2] == 'I' || b[i+2] == 'J') {
			return true
		}
		next := bytes.IndexByte(b[i+1:], 0x1B)
		if next < 0 {
			return false
		}
		i += 1 + next
	}
	return false
}
