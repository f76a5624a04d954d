package mynumber

import "strings"

// Mask is text whose numbers with a right check digit are blotted out, whatever stands around them: for previews and details, which
// are kept longer and seen by more people than the file.
func Mask(t string) string {
	if !many(t) {
		return t
	}
	var b strings.Builder
	from := 0
	for _, n := range numbers(t) {
		if !n.ok {
			continue
		}
		b.WriteString(t[from:n.from])
		b.WriteString(strings.Map(func(r rune) rune {
			if '0' <= r && r <= '9' || '０' <= r && r <= '９' {
				return '●'
			}
			return r
		}, t[n.from:n.to]))
		from = n.to
	}
	return b.String() + t[from:]
}
