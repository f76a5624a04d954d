package mail

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/sanitize/text"
)

// unicodeOf decodes bytes that a label calls text: by the label, else by what they look like, else as the Western set in which
// every byte is a character.
func unicodeOf(label string, b []byte) string {
	switch label = strings.ToLower(strings.Trim(label, ` "'`)); label {
	case "us-ascii", "ascii", "ansi_x3.4-1968": // says nothing about bytes that are not ASCII
		label = ""
	case "iso-8859-1", "windows-1252": // which every byte is, and UTF-8 never is by chance
		if utf8.Valid(b) {
			label = ""
		}
	}
	if label != "" && !charset.LooksISO2022(b) {
		if s, ok := charset.Decode(label, b); ok {
			return s
		}
	}
	if t, err := text.Read(b, label); err == nil {
		return t.Unicode()
	}
	if s, ok := charset.Decode("windows-1252", b); ok {
		return s
	}
	return strings.ToValidUTF8(string(b), "?")
}

// raw decodes a header that was written without encoded words: ASCII, or what mailers write although they may not.
func raw(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf || s[i] == 0x1B {
			return unicodeOf("", []byte(s))
		}
	}
	return s
}

// encodedWord is RFC 2047, section 2, with blanks inside, which some write.
var encodedWord = regexp.MustCompile(`=\?([^?\s]{1,60})\?([BbQq])\?([^?]*)\?=`)

// words decodes the encoded words of an unfolded header. Words of one charset side by side are decoded as one: mailers cut them
// inside of a character.
func words(s string) string {
	var out strings.Builder
	var bytes []byte
	label, cut := "", "" // cut: the beginning of a group of base64 whose rest stands in the next word
	group := func() {
		bytes = append(bytes, unbase64([]byte(cut))...)
		cut = ""
	}
	flush := func() {
		if group(); len(bytes) > 0 {
			out.WriteString(unicodeOf(label, bytes))
		}
		bytes, label = nil, ""
	}
	at := 0
	for _, m := range encodedWord.FindAllStringSubmatchIndex(s, -1) {
		between := s[at:m[0]]
		if strings.TrimSpace(between) != "" || bytes == nil {
			flush()
			out.WriteString(raw(between))
		}
		set, _, _ := strings.Cut(strings.ToLower(s[m[2]:m[3]]), "*") // a language may follow (RFC 2231, 5)
		if set != label {
			flush()
			label = set
		}
		if word := s[m[6]:m[7]]; s[m[4]]|0x20 == 'b' {
			if (len(cut)+len(word))%4 != 0 {
				group()
			}
			whole := len(cut+word) / 4 * 4
			if strings.Contains(word, "=") {
				whole = len(cut + word)
			}
			word = cut + word
			bytes, cut = append(bytes, unbase64([]byte(word[:whole]))...), word[whole:]
		} else {
			group()
			bytes = append(bytes, unquote([]byte(word), true)...)
		}
		if bytes == nil {
			bytes = []byte{}
		}
		at = m[1]
	}
	flush()
	out.WriteString(raw(s[at:]))
	return out.String()
}

// oneLine makes a value fit for a header: no line ends, no controls, nothing that hides or redirects.
func oneLine(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\r', r == '\t':
			return ' '
		case r == utf8.RuneError, charset.Hidden(r), unicode.IsControl(r):
			return -1
		}
		return r
	}, s)
	// Runs of blanks are left of folding; the wide space of Japanese is a character of a name.
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' }), " ")
	for i := range s {
		if most--; most < 0 {
			return s[:i]
		}
	}
	return s
}

// lines makes text fit for a body: line ends and tabs, and nothing else that is not seen.
func lines(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if r == utf8.RuneError || charset.Hidden(r) || unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}

// parameters reads a header like "text/plain; charset=x" (RFC 2045, 5.1): its value in lower case, and its parameters, those of
// RFC 2231 put together and decoded.
func parameters(s string) (value string, params map[string]string) {
	s = raw(s)
	value, rest, _ := strings.Cut(s, ";")
	type piece struct {
		label, text string
		bytes       []byte
	}
	pieces := map[string]map[int]piece{}
	params = map[string]string{}
	for n := 0; rest != "" && n < 200; n++ {
		var p string
		p, rest = nextParameter(rest)
		name, v, ok := strings.Cut(p, "=")
		if !ok {
			continue
		}
		name, v = strings.ToLower(strings.TrimSpace(name)), unquoted(strings.TrimSpace(v))
		base, more, extended := strings.Cut(name, "*")
		if !extended {
			if params[name] == "" {
				params[name] = v
			}
			continue
		}
		number, encoded := strings.TrimSuffix(more, "*"), more == "" || strings.HasSuffix(more, "*")
		index := 0
		for _, c := range number {
			if c < '0' || c > '9' || index > 1000 {
				index = -1
				break
			}
			index = index*10 + int(c-'0')
		}
		if index < 0 {
			continue
		}
		pc := piece{text: v}
		if encoded {
			if index == 0 {
				if parts := strings.SplitN(v, "'", 3); len(parts) == 3 {
					pc.label, v = parts[0], parts[2]
				}
			}
			pc.bytes = unpercent(v)
		} else {
			pc.bytes = []byte(v)
		}
		if pieces[base] == nil {
			pieces[base] = map[int]piece{}
		}
		pieces[base][index] = pc
	}
	for base, of := range pieces {
		var all []byte
		for i := 0; i < len(of); i++ {
			pc, ok := of[i]
			if !ok {
				break
			}
			all = append(all, pc.bytes...)
		}
		if len(all) > 0 {
			params[base] = unicodeOf(of[0].label, all)
		}
	}
	return strings.ToLower(strings.TrimSpace(value)), params
}

// nextParameter cuts at the next semicolon that is not quoted.
func nextParameter(s string) (p, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if quoted {
				i++
			}
		case '"':
			quoted = !quoted
		case ';':
			if !quoted {
				return s[:i], s[i+1:]
			}
		}
	}
	return s, ""
}

func unquoted(s string) string {
	if len(s) < 2 || s[0] != '"' {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\') {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unpercent(s string) []byte {
	return unquote([]byte(strings.NewReplacer("=", "=3D", "%", "=").Replace(s)), false)
}
