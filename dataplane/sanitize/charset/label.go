package charset

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
)

// Japanese answers the set that a label of a mail or a page names ("x-sjis", "EUC-JP"): one of this package's, and false for
// any other, UTF-8 and ISO-2022-JP among them.
func Japanese(label string) (Set, bool) {
	switch strings.ToLower(strings.TrimSpace(label)) {
	case "shift_jis", "shift-jis", "sjis", "x-sjis", "ms_kanji", "windows-31j", "cp932", "ms932", "csshiftjis", "x-ms-cp932":
		return CP932, true
	case "euc-jp", "eucjp", "x-euc-jp", "x-euc", "eucjp-ms", "eucjp-win", "cp51932", "cseucpkdfmtjapanese":
		return EUCJP, true
	}
	return Set{}, false
}

// Decode reads bytes as what a label of a mail or a page says they are: the Japanese sets by the tables of this package, gaiji and all,
// others by those of the Encoding Standard. ok is false for an unknown label and for bytes that are no text of the set: never
// is a character replaced silently.
func Decode(label string, b []byte) (text string, ok bool) {
	label = strings.ToLower(strings.TrimSpace(label))
	if set, ok := Japanese(label); ok {
		return set.Text(b)
	}
	switch label {
	case "iso-2022-jp", "iso-2022-jp-1", "iso-2022-jp-2", "iso-2022-jp-3", "iso-2022-jp-ms", "csiso2022jp", "cp50220", "cp50221", "cp50222", "x-iso-2022-jp":
		euc, _, ok := FromISO2022(b)
		if !ok {
			return "", false
		}
		return EUCJP.Text(euc)
	case "utf-8", "utf8", "unicode-1-1-utf-8":
		b = bytes.TrimPrefix(b, MarkUTF8)
		return string(b), utf8.Valid(b)
	}
	e, err := htmlindex.Get(label)
	if err != nil {
		return "", false
	}
	if name, err := htmlindex.Name(e); err != nil || name == "replacement" || strings.HasPrefix(name, "iso-2022") {
		return "", false
	}
	s, err := e.NewDecoder().Bytes(b)
	if err != nil || bytes.ContainsRune(s, utf8.RuneError) {
		return "", false
	}
	return string(s), true
}

// Text is b as Unicode; ok is false where it is no text of the set.
func (s Set) Text(b []byte) (text string, ok bool) {
	out := make([]byte, 0, len(b)*3/2)
	for len(b) > 0 {
		r, n := s.Next(b)
		if n == 0 {
			return "", false
		}
		out = utf8.AppendRune(out, r)
		b = b[n:]
	}
	return string(out), true
}
