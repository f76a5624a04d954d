package pdf

import (
	"bytes"
	"regexp"
	"strconv"
)

// What the two programs of a Type 1 font say, to the letter. Between them stand numbers and names only.
var (
	typeOneHead = regexp.MustCompile(`^%!PS-AdobeFont-1\.0: Font\n11 dict begin\n/FontName /Font def\n/PaintType [02] def\n/FontType 1 def\n/FontMatrix \[[-.0-9 ]{1,400}\] readonly def\n` +
		`/Encoding (StandardEncoding def|256 array\n0 1 255 \{1 index exch /\.notdef put\} for\n(dup [0-9]{1,3} /[!-$&'*-.0-;=?-Z\\^-z|~]{1,127} put\n)*readonly def)\n/FontBBox \{[-.0-9 ]{1,300}\} readonly def\ncurrentdict end\ncurrentfile eexec\n$`)
	typeOneBegin = regexp.MustCompile(`^dup /Private 24 dict dup begin\n/RD \{string currentfile exch readstring pop\} executeonly def\n/ND \{noaccess def\} executeonly def\n/NP \{noaccess put\} executeonly def\n` +
		`/MinFeature \{16 16\} def\n/password 5839 def\n/OtherSubrs \[\{\} \{\} \{\} \{\}\] def\n(/(BlueValues|OtherBlues|FamilyBlues|FamilyOtherBlues|BlueScale|BlueShift|BlueFuzz|StdHW|StdVW|StemSnapH|StemSnapV|LanguageGroup|ExpansionFactor) \[?[-.0-9 ]{1,900}\]? def\n)*(/ForceBold true def\n)?/Subrs [0-9]{1,5} array\n`)
	typeOneSubr  = regexp.MustCompile(`^dup [0-9]{1,5} ([0-9]{1,7}) RD `)
	typeOneGlyph = regexp.MustCompile(`^/[!-$&'*-.0-;=?-Z\\^-z|~]{1,127} ([0-9]{1,7}) RD `)
	typeOneMore  = regexp.MustCompile(`^ND\n2 index /CharStrings [0-9]{1,5} dict dup begin\n`)
)

const typeOneEnd = "end\nend\nreadonly put\nnoaccess put\ndup /FontName get exch definefont pop\nmark currentfile closefile\n"

// typeOne holds a Type 1 font to the two programs that are written, and each charstring to operators that there are.
func typeOne(b []byte, clear, secret, rest int) bool {
	if clear < 0 || secret < 4 || rest != 0 || clear+secret != len(b) || !typeOneHead.Match(b[:clear]) {
		return false
	}
	s := unlocked(b[clear:], 55665)
	if !zero(s[:4]) {
		return false
	}
	s = s[4:]
	strip := func(head *regexp.Regexp) []byte {
		m := head.FindSubmatch(s[:min(len(s), 20_000)])
		if m == nil {
			return nil
		}
		s = s[len(m[0]):]
		return m[len(m)-1]
	}
	if at := typeOneBegin.FindIndex(s[:min(len(s), 20_000)]); at != nil {
		s = s[at[1]:]
	} else {
		return false
	}
	for _, part := range []struct {
		head *regexp.Regexp
		end  string
	}{{typeOneSubr, " NP\n"}, {typeOneGlyph, " ND\n"}} {
		if part.head == typeOneGlyph {
			at := typeOneMore.FindIndex(s[:min(len(s), 100)])
			if at == nil {
				return false
			}
			s = s[at[1]:]
		}
		for size := strip(part.head); size != nil; size = strip(part.head) {
			n, err := strconv.Atoi(string(size))
			if err != nil || n < 4 || n > len(s) || !strokes(unlocked(s[:n], 4330)) || !bytes.HasPrefix(s[n:], []byte(part.end)) {
				return false
			}
			s = s[n+len(part.end):]
		}
	}
	return string(s) == typeOneEnd
}

// unlocked undoes the cipher of Type 1, whose keys everybody knows.
func unlocked(b []byte, key uint16) []byte {
	out := make([]byte, 0, len(b))
	for _, c := range b {
		out = append(out, c^byte(key>>8))
		key = (key+uint16(c))*52845 + 22719
	}
	return out
}

// strokes reads a charstring of Type 1 behind its four zeros: numbers, operators, and nothing behind what ends it.
func strokes(b []byte) bool {
	if len(b) < 5 || !zero(b[:4]) {
		return false
	}
	r := &bits{b: b, at: 4}
	for r.at < len(b) && !r.over {
		switch c := r.take(1); {
		case c == 255:
			r.take(4)
		case c >= 247:
			r.take(1)
		case c >= 32:
		case c == 11, c == 14:
			return r.at == len(b)
		case c == 12:
			switch r.take(1) {
			case 6:
				return r.at == len(b)
			case 0, 1, 2, 7, 12, 16, 17, 33:
			default:
				return false
			}
		case c == 0, c == 2, c == 12, c >= 15 && c <= 20, c >= 23 && c <= 29:
			return false
		}
	}
	return !r.over
}
