package mynumber

import "strings"

// Mask is text whose numbers with a right check digit are blotted out, whatever stands around them and whatever they are part of: for
// previews, places and details, which are kept longer and seen by more people than the file.
func Mask(t string) string {
	if !many(t) {
		return t
	}
	var b strings.Builder
	for i := 0; i < len(t); {
		if digit(t[i:]) < 0 {
			b.WriteByte(t[i])
			i++
			continue
		}
		end, shape, digits, count := runOf(t[i:])
		run := t[i : i+end]
		if count == 12 && shape != "" && valid(digits) {
			run = blot(run)
		} else {
			run = blotGroups(run)
		}
		b.WriteString(run)
		i += end
	}
	return b.String()
}

// blotGroups blots groups of twelve out of a run that has others, too.
func blotGroups(run string) string {
	var b strings.Builder
	for from := 0; from < len(run); {
		var digits [12]byte
		to, n := from, 0
		for to < len(run) && digit(run[to:]) >= 0 {
			if n < len(digits) {
				digits[n] = byte('0' + digit(run[to:]))
			}
			n++
			if to++; run[to-1] >= 0x80 { // a wide one
				to += 2
			}
		}
		switch {
		case n == 0:
			to++
			b.WriteString(run[from:to])
		case n == len(digits) && valid(digits):
			b.WriteString(blot(run[from:to]))
		default:
			b.WriteString(run[from:to])
		}
		from = to
	}
	return b.String()
}

func blot(run string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' || '０' <= r && r <= '９' {
			return '●'
		}
		return r
	}, run)
}
