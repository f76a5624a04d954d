package mail_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
)

// TestWordsAsMailersWriteThem: RFC 2047 and RFC 2231 as Outlook, Becky!, mobile carriers and web mail break them.
func TestWordsAsMailersWriteThem(t *testing.T) {
	const want, long = "住民税①のお知らせ", "令和八年度の住民税（特別徴収）の通知書について.txt"
	esc := func(s string) string { return jis(t, s) }
	one := "\x1B$B-!\x1B(B" // ① of NEC's row 13, which the standard's set has not
	subject := esc("住民税") + one + esc("のお知らせ")
	b := func(s string) string { return "=?iso-2022-jp?B?" + b64(s) + "?=" }
	open := strings.TrimSuffix(subject, "\x1B(B")
	for name, header := range map[string]string{
		"row 13 in ISO-2022-JP":                b(subject),
		"one word a character set":             b(esc("住民税")) + "\n " + b(one) + "\n\t" + b(esc("のお知らせ")),
		"words without a space between":        b(esc("住民税")) + b(one) + b(esc("のお知らせ")),
		"no way back to ASCII at the end":      b(open),
		"a shift that goes on in another word": b(esc("住民")[:9-0][:len("\x1B$B")+4]) + " " + b(esc("税")[len("\x1B$B"):]+one+esc("のお知らせ")),
		"without padding":                      "=?iso-2022-jp?B?" + strings.TrimRight(b64(subject), "=") + "?=",
		"raw, folded":                          esc("住民税") + one + "\n " + esc("のお知らせ"),
		"in quotes":                            `"` + b(subject) + `"`,
		"base64 cut inside of a group":         "=?UTF-8?B?" + b64(want)[:10] + "?= =?UTF-8?B?" + b64(want)[10:] + "?=",
		"quoted-printable in ISO-2022-JP":      "=?ISO-2022-JP?Q?" + strings.NewReplacer("\x1B", "=1B", "?", "=3F").Replace(subject) + "?=",
		"a name of Microsoft's":                "=?cp932?B?" + b64(sjis(t, "住民税")+"\x87\x40"+sjis(t, "のお知らせ")) + "?=",
	} {
		_, out := pass(t, "x.eml", crlf("From: "+header+" <a@example.jp>\nSubject: "+header+"\n\nx"), sanitize.Options{})
		s := see(t, out)
		wanted := want
		if name == "in quotes" {
			wanted = `"` + want + `"`
		}
		if got := strings.ReplaceAll(s.header(t, "Subject"), " ", ""); got != wanted {
			t.Errorf("subject, %s: got %q, want %q", name, got, wanted)
		}
		if got := strings.ReplaceAll(s.header(t, "From"), " ", ""); got != want+"<a@example.jp>" {
			t.Errorf("from, %s: got %q", name, got)
		}
	}
	percent := func(s string) (out string) {
		for _, c := range []byte(s) {
			out += fmt.Sprintf("%%%02X", c)
		}
		return out
	}
	j := esc(long)
	folded := ""
	for i := 0; i < len(j); i += 30 {
		folded += "\n\t=?iso-2022-jp?B?" + base64.StdEncoding.EncodeToString([]byte(j[i:min(len(j), i+30)])) + "?="
	}
	for name, disposition := range map[string]string{
		"an encoded word in quotes, folded":    `filename="` + folded[2:] + `"`,
		"the same without quotes":              `filename=` + strings.ReplaceAll(folded[2:], "\n\t", ""),
		"RFC 2231 in ISO-2022-JP, in pieces":   "\n filename*0*=ISO-2022-JP''" + percent(j[:31]) + ";\n filename*1*=" + percent(j[31:]),
		"RFC 2231 without its quotes":          "filename*=" + percent(long),
		"both, that of RFC 2231 wins":          `filename="=?iso-2022-jp?B?` + b64(esc("別")) + `?="; filename*=utf-8''` + percent(long),
		"percent of UTF-8 in an ordinary name": `filename="` + percent(long) + `"`,
	} {
		_, out := pass(t, "x.eml", mixed("\nx", "Content-Type: application/octet-stream\nContent-Disposition: attachment; "+disposition+"\n\ncontent"), sanitize.Options{})
		if s := see(t, out); !slices.Equal(s.files, []string{long + "=content"}) {
			t.Errorf("%s: got %q, want %q", name, s.files, long)
		}
	}
}
