package mynumber

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// number is a candidate: where it stands, and what is known of it but its digits.
type number struct {
	from, to int  // in bytes
	ok       bool // the check digit is right
	alone    bool // nothing but it stands in the piece
	grouped  bool // written 1234 5678 9012 or in boxes
	dated    bool // reads as a date and a time
	around   context
}

// reach is how far words before a number are looked for, in bytes of UTF-8; half of it behind.
const reach = 120

// numbers finds the candidates of one piece.
func numbers(t string) []number {
	if !many(t) {
		return nil
	}
	var out []number
	for i := 0; i < len(t); {
		if digit(t[i:]) < 0 {
			_, n := utf8.DecodeRuneInString(t[i:])
			i += n
			continue
		}
		end, shape, digits, count := runOf(t[i:])
		if count == 12 && shape != "" && !part(t[:i], t[i+end:]) && !same(digits) {
			n := number{from: i, to: i + end, ok: valid(digits), grouped: shape != "12", dated: shape == "12" && dated(digits)}
			n.alone = strings.TrimSpace(t[:i]) == "" && strings.TrimSpace(t[i+end:]) == ""
			n.around = words(t[max(0, i-reach):i])
			if n.around == silent {
				n.around = words(t[i+end : min(len(t), i+end+reach/2)])
			}
			out = append(out, n)
		}
		i += end
	}
	return out
}

// many tells text that may hold twelve digits, at the cost of one look at each byte.
func many(t string) bool {
	n := 0
	for i := 0; i < len(t); i++ {
		if '0' <= t[i] && t[i] <= '9' || t[i] == 0xBC && i > 0 && t[i-1] == 0xEF {
			n++
		}
	}
	return n >= 12
}

// digit is the value of the digit at the start of t, narrow or wide, or -1.
func digit(t string) int {
	switch {
	case t != "" && '0' <= t[0] && t[0] <= '9':
		return int(t[0] - '0')
	case len(t) >= 3 && t[0] == 0xEF && t[1] == 0xBC && 0x90 <= t[2] && t[2] <= 0x99:
		return int(t[2] - 0x90)
	}
	return -1
}

// separators part groups of digits.
const separators = " 　\u00A0\t-‐‑‒–—−－ーｰ"

// runOf reads digits and single separators between them. shape is "12" for one group, "4-4-4", "1" for one by one, and "" for any
// other; digits are the first twelve; end is where the run ends, in bytes.
func runOf(t string) (end int, shape string, digits [12]byte, count int) {
	var groups []int
	group := 0
	for i := 0; i < len(t); {
		if d := digit(t[i:]); d >= 0 {
			if count < 12 {
				digits[count] = byte('0' + d)
			}
			count++
			group++
			if t[i] < 0x80 {
				i++
			} else {
				i += 3
			}
			end = i
			continue
		}
		r, n := utf8.DecodeRuneInString(t[i:])
		if group == 0 || !strings.ContainsRune(separators, r) || digit(t[i+n:]) < 0 {
			break
		}
		if len(groups) < 16 {
			groups = append(groups, group)
		}
		group = 0
		i += n
	}
	groups = append(groups, group)
	switch {
	case len(groups) == 1:
		shape = "12"
	case slices.Equal(groups, []int{4, 4, 4}):
		shape = "4-4-4"
	case len(groups) == 12:
		shape = "1"
	}
	return end, shape, digits, count
}

// part tells digits that belong to something longer: a word, a decimal, an amount, a telephone number abroad.
func part(before, after string) bool {
	b, _ := utf8.DecodeLastRuneInString(before)
	a, n := utf8.DecodeRuneInString(after)
	letter := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || 'ａ' <= r && r <= 'ｚ' || 'Ａ' <= r && r <= 'Ｚ' || r == '_'
	}
	follows, precedes := func(signs string) bool { return after != "" && strings.ContainsRune(signs, a) }, func(signs string) bool { return before != "" && strings.ContainsRune(signs, b) }
	if precedes(".,．，-－") { // a sign within a number, or a hyphen behind a word
		before = before[:len(before)-utf8.RuneLen(b)]
		c, _ := utf8.DecodeLastRuneInString(before)
		return before != "" && (letter(c) && (b == '-' || b == '－') || '0' <= c && c <= '9' || '０' <= c && c <= '９')
	}
	return before != "" && letter(b) || precedes("+¥￥$#/＋") || after != "" && letter(a) || follows("円%％/＠@") || follows(".,．，-－") && digit(after[n:]) >= 0
}

func same(d [12]byte) bool {
	for _, c := range d {
		if c != d[0] {
			return false
		}
	}
	return true
}

// dated tells twelve digits that read as year, month, day, hour and minute.
func dated(d [12]byte) bool {
	two := func(i int) int { return int(d[i]-'0')*10 + int(d[i+1]-'0') }
	century := two(0)
	return (century == 19 || century == 20) && 1 <= two(4) && two(4) <= 12 && 1 <= two(6) && two(6) <= 31 && two(8) < 24 && two(10) < 60
}

// valid computes the check digit: 11 less the remainder by 11 of the weighted sum of the eleven digits before it, 0 where that
// remainder is 0 or 1 (平成26年総務省令第85号, 第5条).
func valid(d [12]byte) bool {
	sum := 0
	for n := 1; n <= 11; n++ {
		q := n + 1
		if n >= 7 {
			q = n - 5
		}
		sum += int(d[11-n]-'0') * q
	}
	check := 0
	if r := sum % 11; r > 1 {
		check = 11 - r
	}
	return int(d[11]-'0') == check
}

// narrow turns wide digits into narrow ones.
func narrow(t string) string {
	return strings.Map(func(r rune) rune {
		if '０' <= r && r <= '９' {
			return r - '０' + '0'
		}
		return r
	}, t)
}
