package pdf

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A value of a PDF is nil, bool, number, name, text, array, list, dict or ref (ISO 32000-2, 7.3).
type (
	value  any
	name   string // without its slash, any bytes
	number string // as JSON spells it
	text   string // bytes
	array  []value
	list   []value // an array whose elements may be left out
	dict   map[name]value
	ref    int // number of an object; generations are gone
)

// object is what has a number.
type object struct {
	v      value // of a stream: its dict
	data   []byte
	stream bool
}

func (o *object) dict() dict {
	d, _ := o.v.(dict)
	return d
}

func (d dict) keys() []name { return slices.Sorted(maps.Keys(d)) }

// integer reads a whole number; reals are cut as readers do.
func integer(v value) (int, bool) {
	n, ok := v.(number)
	if !ok {
		return 0, false
	}
	i, err := strconv.Atoi(string(n))
	if err != nil {
		f, err := strconv.ParseFloat(string(n), 64)
		if err != nil || f > 1<<31 || f < -1<<31 {
			return 0, false
		}
		return int(f), true
	}
	return i, i <= 1<<31 && i >= -1<<31
}

func real(v value) (float64, bool) {
	n, ok := v.(number)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(n), 64)
	return f, err == nil
}

func whole(i int) number { return number(strconv.Itoa(i)) }

// decimal spells a real without an exponent.
func decimal(f float64) number { return number(strconv.FormatFloat(f, 'f', -1, 64)) }

// plainNumber spells a number as all readers read it, or answers "" for what is none: sign, digits, one point.
func plainNumber(s string) number {
	sign := ""
	for s != "" && (s[0] == '+' || s[0] == '-') { // "--5" is written by some programs and read as -5
		if s[0] == '-' {
			sign = "-"
		}
		s = s[1:]
	}
	whole, frac, point := strings.Cut(s, ".")
	if i := strings.IndexByte(frac, '-'); i >= 0 { // "0.-4": what stands behind is not read
		frac = frac[:i]
	}
	if i := strings.IndexByte(whole, '-'); i > 0 {
		whole = whole[:i]
	}
	if !digits(whole) || !digits(frac) || whole == "" && frac == "" && !point || len(whole) > 40 {
		return ""
	}
	whole = strings.TrimLeft(whole, "0")
	frac = strings.TrimRight(frac[:min(len(frac), 12)], "0")
	switch {
	case whole == "" && frac == "":
		return "0"
	case whole == "":
		whole = "0"
	}
	if frac != "" {
		return number(sign + whole + "." + frac)
	}
	return number(sign + whole)
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// oldNames are the names that Japanese programs wrote in CP932 for the fonts that every Japanese computer has.
var oldNames = strings.NewReplacer(
	"\x82l\x82r\x96\xBE\x92\xA9", "MS-Mincho", "\x82l\x82r\x83S\x83V\x83b\x83N", "MS-Gothic",
	"\x82l\x82r \x82o\x96\xBE\x92\xA9", "MS-PMincho", "\x82l\x82r \x82o\x83S\x83V\x83b\x83N", "MS-PGothic",
)

// plainName spells a name in ASCII letters that are no delimiter, the same everywhere, so that what refers still refers.
func plainName(n name) name {
	plain := true
	for i := range len(n) {
		plain = plain && regular(n[i])
	}
	if plain && len(n) <= 127 {
		return n
	}
	n = name(oldNames.Replace(string(n)))
	var b strings.Builder
	for i := range len(n) {
		if b.Len() > 120 {
			break
		}
		if regular(n[i]) {
			b.WriteByte(n[i])
		} else {
			fmt.Fprintf(&b, "_%02X", n[i])
		}
	}
	return name(b.String())
}

func regular(c byte) bool {
	return c > 0x20 && c < 0x7F && !strings.ContainsRune("()<>[]{}/%#", rune(c))
}
