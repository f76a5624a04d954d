package text

// readEUC knows the shape of EUC-JP: half-width katakana behind 8E, three bytes behind 8F, rows F5-FE of both sets are the private use
// area. As in CP932, any other pair is one visible character, but for those by which cells are judged.
func readEUC(b []byte) (rune, int) {
	high := func(i int) bool { return i < len(b) && 0xA1 <= b[i] && b[i] <= 0xFE }
	c := b[0]
	switch {
	case c <= 0x7F:
		return rune(c), 1
	case c == 0x8E && high(1) && b[1] <= 0xDF:
		return 0xFF61 + rune(b[1]-0xA1), 2
	case c == 0x8F && high(1) && high(2):
		if b[1] >= 0xF5 {
			return 0xE3AC + rune(b[1]-0xF5)*94 + rune(b[2]-0xA1), 3
		}
		return '字', 3
	case !high(0) || !high(1):
		return 0, 0
	}
	t := b[1]
	switch {
	case c >= 0xF5:
		return 0xE000 + rune(c-0xF5)*94 + rune(t-0xA1), 2
	case c == 0xA3 && 0xB0 <= t && t <= 0xB9:
		return '０' + rune(t-0xB0), 2
	case c == 0xA3 && 0xC1 <= t && t <= 0xDA:
		return 'Ａ' + rune(t-0xC1), 2
	case c == 0xA3 && 0xE1 <= t && t <= 0xFA:
		return 'ａ' + rune(t-0xE1), 2
	case c == 0xA1:
		// Row 1 is that of CP932 with its codes shifted.
		code := t - 0xA1 + 0x40
		if code >= 0x7F {
			code++
		}
		if r, ok := signs81[code]; ok {
			return r, 2
		}
	case c >= 0xA9 && c <= 0xAF && c != 0xAD: // no font and no program agrees on what they are
		return 0, 0
	}
	return '字', 2
}

// escapes are those that our writer writes, and what their set is: its lead byte in EUC-JP, and how many bytes a character has.
var escapes = map[string]struct {
	lead  byte
	bytes int
}{"(B": {0, 1}, "$B": {0, 2}, "(I": {0x8E, 1}, "$(D": {0x8F, 2}}

// fromISO2022 turns ISO-2022-JP into EUC-JP. ok is false unless each escape changes the set, each character is whole, and each
// line and the text end in ASCII.
func fromISO2022(b []byte) (euc []byte, ok bool) {
	now := "(B"
	for i := 0; i < len(b); {
		c := b[i]
		if c == 0x1B {
			next := ""
			for e := range escapes {
				if i+1+len(e) <= len(b) && string(b[i+1:i+1+len(e)]) == e {
					next = e
				}
			}
			if next == "" || next == now {
				return nil, false
			}
			now = next
			i += 1 + len(next)
			continue
		}
		set := escapes[now]
		if now == "(B" {
			if c >= 0x80 {
				return nil, false
			}
			euc = append(euc, c)
			i++
			continue
		}
		if set.lead != 0 {
			euc = append(euc, set.lead)
		}
		for range set.bytes {
			if i >= len(b) || b[i] <= ' ' || b[i] >= 0x7F {
				return nil, false
			}
			euc = append(euc, b[i]|0x80)
			i++
		}
	}
	return euc, now == "(B"
}
