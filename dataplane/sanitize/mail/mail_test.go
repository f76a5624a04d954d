package mail_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/japanese"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func jis(t *testing.T, s string) string {
	t.Helper()
	b, err := japanese.ISO2022JP.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sjis(t testing.TB, s string) string {
	t.Helper()
	b, err := japanese.ShiftJIS.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pass rebuilds a mail that has to pass, has the verifier agree, and rebuilds the result: it changes no more.
func pass(t *testing.T, name string, in []byte, opt sanitize.Options) (verdict.Report, []byte) {
	t.Helper()
	rep, out, _ := sanitizetest.Ask(t, name, in, opt)
	if rep.Outcome != verdict.Clean {
		t.Fatalf("got %s %v, want clean", rep.Outcome, rep.Findings)
	}
	if v := verify.CheckFor(t.Context(), opt.Policy, rep.OutName, out); v.Outcome != verdict.Clean {
		t.Fatalf("the verifier says %v of:\n%s", v.Findings, out)
	}
	if again, twice, _ := sanitizetest.Ask(t, rep.OutName, out, opt); again.Outcome != verdict.Clean || !bytes.Equal(out, twice) || len(again.Findings) > 0 {
		t.Errorf("the result is not settled: %v\n%s\n%s", again.Findings, out, twice)
	}
	return rep, out
}

// A seen mail is what the standard library reads of one.
type seen struct {
	mail.Header
	text  string
	kind  string
	files []string // name=content
	ids   []string
}

func see(t *testing.T, in []byte) seen {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(in))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, in)
	}
	s := seen{Header: m.Header}
	s.read(t, m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body)
	return s
}

func (s *seen) read(t *testing.T, contentType, encoding string, r io.Reader) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(kind, "multipart/") {
		parts := multipart.NewReader(r, params["boundary"])
		for n := 0; ; n++ {
			p, err := parts.NextRawPart()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				s.read(t, p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p)
				continue
			}
			if name := p.FileName(); name != "" {
				_, other, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
				if err != nil {
					t.Fatal(err)
				}
				if d, _ := new(mime.WordDecoder).DecodeHeader(other["name"]); other["name"] != "" && d != name {
					t.Errorf("two names: %q, %q", name, d)
				}
				var body io.Reader = p
				if p.Header.Get("Content-Transfer-Encoding") == "base64" {
					body = base64.NewDecoder(base64.StdEncoding, p)
				}
				b, err := io.ReadAll(body)
				if err != nil {
					t.Fatal(err)
				}
				s.files = append(s.files, name+"="+string(b))
				s.ids = append(s.ids, p.Header.Get("Content-ID"))
			}
		}
	}
	if encoding != "base64" {
		t.Fatalf("encoding %q", encoding)
	}
	b, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, r))
	if err != nil {
		t.Fatal(err)
	}
	s.text, s.kind = strings.TrimSpace(strings.ReplaceAll(string(b), "\r\n", "\n")), kind
}

func (s seen) header(t *testing.T, name string) string {
	t.Helper()
	v, err := new(mime.WordDecoder).DecodeHeader(s.Get(name))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestHeadersThatPeopleNeedStay(t *testing.T) {
	in := crlf("Received: from a by b\nX-Mailer: x\nDKIM-Signature: v=1\nBcc: secret@example.jp\n" +
		"From: =?ISO-2022-JP?B?" + b64(jis(t, "田中")) + "?= <tanaka@city.example.lg.jp>\nTo: \"Sato, K.\" <sato@example.jp>, a..b.@docomo.ne.jp\nCc: undisclosed-recipients:;\n" +
		"Reply-To: (comment) r@example.jp\nDate: 9 May 2026 13:30:20 JST\nSubject: hello\n world\nMessage-ID: <1@x>\nIn-Reply-To: <0@x>\nReferences: <-1@x> <0@x>\n\nbody\n")
	rep, out := pass(t, "x.eml", in, sanitize.Options{})
	s := see(t, out)
	for name, want := range map[string]string{
		"From": "田中 <tanaka@city.example.lg.jp>", "To": `Sato, K. <sato@example.jp>, a..b.@docomo.ne.jp`, "Cc": "undisclosed-recipients:;", "Reply-To": "comment <r@example.jp>",
		"Date": "Sat, 09 May 2026 13:30:20 +0900", "Subject": "hello world", "Message-Id": "<1@x>", "In-Reply-To": "<0@x>", "References": "<-1@x> <0@x>",
		"Received": "", "X-Mailer": "", "Dkim-Signature": "", "Bcc": "",
	} {
		if got := s.header(t, name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if s.text != "body" || !sanitizetest.Has(rep, "mail.headers", verdict.Removed) {
		t.Errorf("got %q, %v", s.text, rep.Findings)
	}
}

func TestHeadersHoldOneLine(t *testing.T) {
	for name, value := range map[string]string{
		"a line end in an encoded word":     "=?UTF-8?B?" + b64("a\r\nBcc: x@example.jp\r\n\r\nz") + "?=",
		"a line end in quoted-printable":    "=?UTF-8?Q?a=0D=0ABcc:_x@example.jp=0D=0A=0D=0Az?=",
		"a bare carriage return":            "a\rBcc: x@example.jp",
		"a bidirectional override":          "=?UTF-8?B?" + b64("a\u202Etxt.exe") + "?=",
		"an encoded word that is a display": "=?UTF-8?B?" + b64("x@bank.example") + "?=",
	} {
		in := []byte("From: " + value + " <a@example.jp>\r\nTo: " + value + "\r\nSubject: " + value + "\r\nMessage-ID: <a" + value + "@x>\r\nContent-Type: text/plain\r\n\r\nbody")
		_, out := pass(t, "x.eml", in, sanitize.Options{})
		s := see(t, out)
		if s.Get("Bcc") != "" || s.text != "body" || strings.ContainsAny(s.header(t, "Subject"), "\r\n\u202E") || !strings.HasSuffix(s.Get("From"), "<a@example.jp>") {
			t.Errorf("%s: got\n%s", name, out)
		}
	}
}

func TestJapaneseTextAndNames(t *testing.T) {
	const subject, said = "【重要】住民税の通知書について（令和八年度分）①髙", "本文です。"
	words := func(set string, b string, at int) string { // cut inside a character
		return "=?" + set + "?B?" + b64(b[:at]) + "?=\n =?" + set + "?B?" + b64(b[at:]) + "?="
	}
	for name, c := range map[string]struct{ headers, body string }{
		"UTF-8 cut inside a character":     {"Subject: " + words("UTF-8", subject, 10) + "\nContent-Type: text/plain; charset=UTF-8\n", said},
		"Shift_JIS cut inside a character": {"Subject: " + words("Shift_JIS", sjis(t, subject), 9) + "\nContent-Type: text/plain; charset=Shift_JIS\n", sjis(t, said)},
		"quoted words":                     {"Subject: =?utf-8*ja?q?" + strings.ToUpper(fmt.Sprintf("%X", "x")) + "?=\n", ""},
		"raw Shift_JIS":                    {"Subject: " + sjis(t, subject) + "\nContent-Type: text/plain\n", sjis(t, said)},
		"raw UTF-8":                        {"Subject: " + subject + "\n", said},
		"ISO-2022-JP without a label":      {"Subject: " + jis(t, "【重要】住民税") + "\n", jis(t, said)},
		"ISO-2022-JP called ASCII":         {"Subject: " + words("UTF-8", subject, 3) + "\nContent-Type: text/plain; charset=us-ascii\nContent-Transfer-Encoding: 7bit\n", jis(t, said)},
		"a label of another set":           {"Subject: " + subject + "\nContent-Type: text/plain; charset=iso-8859-1\n", said},
		"Shift_JIS called ASCII":           {"Subject: " + subject + "\nContent-Type: text/plain; charset=US-ASCII\n", sjis(t, said)},
		"quoted-printable":                 {"Subject: " + subject + "\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n", "=E6=9C=AC=\n=E6=96=87=E3=81=A7=E3=81=99=E3=80=82"},
		"base64":                           {"Subject: " + subject + "\nContent-Type: text/plain; charset=Shift_JIS\nContent-Transfer-Encoding: BASE64\n", b64(sjis(t, said))},
	} {
		_, out := pass(t, "x.eml", crlf("From: a@example.jp\n"+c.headers+"\n"+c.body), sanitize.Options{})
		s := see(t, out)
		got := s.header(t, "Subject")
		switch {
		case name == "quoted words":
			if got != "78" {
				t.Errorf("%s: got %q", name, got)
			}
		case got != subject && !(strings.HasPrefix(name, "ISO-2022-JP without") && got == "【重要】住民税"), s.text != said:
			t.Errorf("%s: got subject %q, text %q", name, got, s.text)
		}
	}
}

func TestAttachmentsKeepTheirNames(t *testing.T) {
	const name = "令和八年度　住民税一覧（髙橋）.txt"
	long := strings.Repeat("長", 60) + ".txt"
	percent := func(s string) (out string) {
		for _, c := range []byte(s) {
			out += fmt.Sprintf("%%%02X", c)
		}
		return out
	}
	half := percent(name)[:30]
	for what, c := range map[string]struct{ disposition, want string }{
		"RFC 2231":                        {"filename*=UTF-8''" + percent(name), name},
		"RFC 2231 in Shift_JIS":           {"filename*=Shift_JIS'ja'" + percent(sjis(t, name)), name},
		"RFC 2231 in pieces":              {"filename*0*=UTF-8''" + half + "; filename*1*=" + percent(name)[30:], name},
		"RFC 2231 in pieces, one plain":   {`filename*0*=UTF-8''%E8; filename*1*=%A1%A8; filename*2=".txt"`, "表.txt"},
		"an encoded word":                 {`filename="=?UTF-8?B?` + b64(name) + `?="`, name},
		"words cut inside of a character": {`filename="=?Shift_JIS?B?` + b64(sjis(t, name)[:7]) + `?= =?Shift_JIS?B?` + b64(sjis(t, name)[7:]) + `?="`, name},
		"raw Shift_JIS":                   {`filename="` + sjis(t, "ソ表.txt") + `"`, "ソ表.txt"},
		"raw ISO-2022-JP":                 {`filename="` + jis(t, "申請書.txt") + `"`, "申請書.txt"},
		"raw UTF-8":                       {`filename=` + name, name},
		"a semicolon":                     {`filename="a;b.txt"`, "a;b.txt"},
		"a path":                          {`filename="..\\..\\a/b.txt"`, ".._.._a_b.txt"},
		"a long one":                      {"filename*=UTF-8''" + percent(long), long},
	} {
		in := crlf("From: a@example.jp\nContent-Type: multipart/mixed; boundary=\"b;=?\"\n\npreamble\n--b;=?\n\nsee below\n--b;=?\nContent-Type: application/octet-stream\nContent-Disposition: attachment; " +
			c.disposition + "\n\ncontent\n--b;=?--\nepilogue")
		_, out := pass(t, "x.eml", in, sanitize.Options{})
		s := see(t, out)
		if want := []string{c.want + "=content"}; !slices.Equal(s.files, want) || s.text != "see below" {
			t.Errorf("%s: got %q, text %q, want %q", what, s.files, s.text, want)
		}
	}
}

func mixed(parts ...string) []byte {
	return crlf("From: a@example.jp\nSubject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n" + strings.Join(parts, "\n--b\n") + "\n--b--\n")
}

func TestRefusedAttachmentsAreNamed(t *testing.T) {
	in := mixed("\nhello", "Content-Disposition: attachment; filename=virus.exe\nContent-Transfer-Encoding: base64\n\n"+b64("MZ\x00"), "Content-Disposition: attachment; filename=a.csv\n\n=cmd|x")
	rep, out := pass(t, "x.eml", in, sanitize.Options{})
	s := see(t, out)
	if !strings.HasPrefix(s.text, "hello\n\n--\n以下の添付ファイルは") || !strings.HasSuffix(s.text, "・virus.exe") || !slices.Equal(s.files, []string{"a.csv='=cmd|x"}) {
		t.Errorf("got %q, %q", s.text, s.files)
	}
	if !sanitizetest.Has(rep, "mail.attachment", verdict.Removed) {
		t.Errorf("got %v", rep.Findings)
	}
	for _, f := range rep.Findings {
		if f.Action == verdict.Refused {
			t.Errorf("a mail that passed says %v", f)
		}
	}
	if rep, _, _ := sanitizetest.Ask(t, "x.eml", in, sanitize.Options{Policy: verdict.Policy{Members: "block"}}); rep.Outcome != verdict.Blocked || !sanitizetest.Has(rep, "type.executable", verdict.Refused) {
		t.Errorf("block: got %s %v", rep.Outcome, rep.Findings)
	}
}

func TestAttachmentsAreHeldToTheFormatsOfTheRoute(t *testing.T) {
	in := mixed("\nhello", "Content-Disposition: attachment; filename=a.svg\n\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "Content-Disposition: attachment; filename=a.csv\n\n1,2",
		"Content-Type: message/rfc822\n\nFrom: b@example.jp\nSubject: y\nContent-Disposition: attachment; filename=b.svg\n\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>")
	rep, out, _ := sanitizetest.Ask(t, "x.eml", in, sanitize.Options{Formats: []string{"eml", "csv"}})
	s := see(t, out)
	if !strings.HasSuffix(s.text, "・a.svg") || len(s.files) != 2 || s.files[0] != "a.csv=1,2" || strings.Contains(s.files[1], "filename") || !sanitizetest.Has(rep, "mail.attachment", verdict.Removed) {
		t.Errorf("got %q, %q, %v", s.text, s.files, rep.Findings)
	}
	route := verify.Route{Formats: []string{"eml", "csv"}}
	if v := route.Check(t.Context(), "x.eml", out); v.Outcome != verdict.Clean {
		t.Errorf("the verifier says %v", v.Findings)
	}
	rep, out, _ = sanitizetest.Ask(t, "x.eml", in, sanitize.Options{})
	if v := route.Check(t.Context(), "x.eml", out); v.Outcome != verdict.Blocked || v.Findings[0].Code != "verify.format" {
		t.Errorf("a rebuilder that did not ask: %s %v, the verifier says %v", rep.Outcome, rep.Findings, v.Findings)
	}
	rep, _, _ = sanitizetest.Ask(t, "x.eml", in, sanitize.Options{Formats: []string{"eml"}, Policy: verdict.Policy{Members: "block"}})
	if !sanitizetest.Has(rep, "type.member-not-admitted", verdict.Refused) {
		t.Errorf("block: got %s %v", rep.Outcome, rep.Findings)
	}
}

const dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="

func related(html string) string {
	return "Content-Type: multipart/alternative; boundary=c\n\n--c\nContent-Type: text/plain\n\n  \n--c\nContent-Type: multipart/related; boundary=d\n\n--d\nContent-Type: text/html; charset=utf-8\n\n" + html +
		"\n--d\nContent-Type: image/png\nContent-ID: <p@x>\nContent-Transfer-Encoding: base64\n\n" + dot + "\n--d--\n--c--"
}

func TestBodyIsTextOrCleanHTML(t *testing.T) {
	in := mixed(related(`<p onclick="x()">Hello<script>alert(1)</script> <img src="cid:p@x"><img src="http://spy.example/1.png"></p>`), "Content-Disposition: attachment; filename=a.txt\n\n1")
	rep, out := pass(t, "x.eml", in, sanitize.Options{})
	s := see(t, out)
	if s.kind != "text/plain" || !strings.Contains(s.text, "Hello") || strings.Contains(s.text, "alert") || !sanitizetest.Has(rep, "mail.text", verdict.Changed) {
		t.Errorf("got %s %q, %v", s.kind, s.text, rep.Findings)
	}
	if len(s.files) != 2 || !strings.HasPrefix(s.files[0], "attachment1.png=\x89PNG") || s.files[1] != "a.txt=1" {
		t.Errorf("got %.80q", s.files)
	}
	_, out = pass(t, "x.eml", in, sanitize.Options{Policy: verdict.Policy{MailBody: "html"}})
	s = see(t, out)
	if s.kind != "text/html" || !strings.Contains(s.text, `src="cid:p@x"`) || strings.Contains(s.text, "script") || strings.Contains(s.text, "spy.example/1.png\"") || strings.Contains(s.text, "onclick") {
		t.Errorf("got %s %q", s.kind, s.text)
	}
	if !bytes.Contains(out, []byte("Content-ID: <p@x>")) || !bytes.Contains(out, []byte("multipart/related")) {
		t.Errorf("got\n%s", out)
	}
	_, out = pass(t, "x.eml", mixed("Content-Type: multipart/alternative; boundary=c\n\n--c\n\nplain\n--c\nContent-Type: text/html\n\n<b>rich</b>\n--c--"), sanitize.Options{})
	if s = see(t, out); s.text != "plain" || s.kind != "text/plain" {
		t.Errorf("got %s %q", s.kind, s.text)
	}
}

func TestMailsInMails(t *testing.T) {
	inner := "From: b@example.jp\nSubject: =?UTF-8?B?" + b64("転送/元") + "?=\nX-Secret: 1\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\ninner\n--i\nContent-Disposition: attachment; filename=x.js\n\nalert(1)\n--i--"
	rep, out := pass(t, "x.eml", mixed("\nouter", "Content-Type: message/rfc822\n\n"+inner), sanitize.Options{})
	s := see(t, out)
	if len(s.files) != 1 || !strings.HasPrefix(s.files[0], "転送_元.eml=") || strings.Contains(s.files[0], "X-Secret") {
		t.Fatalf("got %q, %v", s.files, rep.Findings)
	}
	_, content, _ := strings.Cut(s.files[0], "=")
	if in := see(t, []byte(content)); !strings.HasPrefix(in.text, "inner") || !strings.Contains(in.text, "x.js") || in.header(t, "Subject") != "転送/元" {
		t.Errorf("got %+v", in)
	}
	deep := "\nbottom"
	for i := range 20 {
		deep = strings.ReplaceAll("From: a@example.jp\nContent-Type: multipart/mixed; boundary=B\n\n--B\n\n.\n--B\nContent-Type: message/rfc822\n\n", "B", fmt.Sprintf("b%d.", i)) + deep + fmt.Sprintf("\n--b%d.--", i)
	}
	if rep, _ := sanitizetest.Run(t, "x.eml", crlf(deep)); rep.Outcome != verdict.Clean || !sanitizetest.Has(rep, "mail.attachment", verdict.Removed) {
		t.Errorf("mails too deep in mails: got %s %v", rep.Outcome, rep.Findings)
	}
}

func TestSignaturesGoAndSecretsAreRefused(t *testing.T) {
	signed := crlf("From: a@example.jp\nContent-Type: multipart/signed; boundary=b; protocol=\"application/pkcs7-signature\"\n\n--b\n\nsigned\n--b\nContent-Type: application/pkcs7-signature; name=smime.p7s\nContent-Disposition: attachment; filename=smime.p7s\n\nMII\n--b--\n")
	rep, out := pass(t, "x.eml", signed, sanitize.Options{})
	if s := see(t, out); s.text != "signed" || len(s.files) != 0 || !sanitizetest.Has(rep, "mail.signature", verdict.Removed) {
		t.Errorf("got %q %q %v", s.text, s.files, rep.Findings)
	}
	for kind, code := range map[string]string{
		`multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b`: "mail.encrypted",
		"application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m":     "mail.encrypted",
		"application/x-pkcs7-mime; smime-type=signed-data; name=smime.p7m":      "mail.sealed",
	} {
		sanitizetest.Blocked(t, "x.eml", crlf("From: a@example.jp\nContent-Type: "+kind+"\n\n--b\n\nx\n--b--\n"), code)
	}
	for what, c := range map[string]struct{ part, code string }{
		"PGP in the text":               {"\nsee\n-----BEGIN PGP MESSAGE-----\n\nhQEM\n-----END PGP MESSAGE-----", "mail.encrypted"},
		"S/MIME that calls itself data": {"Content-Type: application/octet-stream; name=smime.p7m\nContent-Transfer-Encoding: base64\n\n" + b64("\x30\x80\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x03"), "mail.encrypted"},
		"one that is only signed":       {"Content-Type: application/pkcs7-mime; name=smime.p7m\nContent-Transfer-Encoding: base64\n\n" + b64("\x30\x80\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x02"), "mail.sealed"},
		"PGP beside its version":        {"Content-Type: application/pgp-encrypted\n\nVersion: 1", "mail.encrypted"},
	} {
		rep, _ := sanitizetest.Run(t, "x.eml", mixed(c.part))
		if rep.Outcome != verdict.Blocked || !sanitizetest.Has(rep, c.code, verdict.Refused) {
			t.Errorf("%s: got %s %v, want %s", what, rep.Outcome, rep.Findings, c.code)
		}
	}
	for what, part := range map[string]string{
		"PGP in the text":         "\nbefore\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nsigned\n- -- dash\n-----BEGIN PGP SIGNATURE-----\n\niQE\n-----END PGP SIGNATURE-----\nafter",
		"a signature called data": "\nbefore\nsigned\n-- dash\nafter\n--b\nContent-Type: application/octet-stream; name=smime.p7s\n\nMII",
	} {
		rep, out := pass(t, "x.eml", mixed(part), sanitize.Options{})
		if s := see(t, out); s.text != "before\nsigned\n-- dash\nafter" || len(s.files) != 0 || !sanitizetest.Has(rep, "mail.signature", verdict.Removed) {
			t.Errorf("%s: got %q %q %v", what, s.text, s.files, rep.Findings)
		}
	}
	_, out = pass(t, "x.eml", mixed("\n> -----BEGIN PGP MESSAGE-----\n> hQEM"), sanitize.Options{})
	if s := see(t, out); !strings.Contains(s.text, "hQEM") {
		t.Errorf("what is quoted: got %q", s.text)
	}
	sanitizetest.Blocked(t, "x.eml", []byte("no mail at all"), "mail.broken")
}

func TestStructureIsBounded(t *testing.T) {
	deep := "Content-Type: text/plain\n\nx"
	for i := range 50 {
		deep = fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n%s\n--b%d--", i, i, deep, i)
	}
	sanitizetest.Blocked(t, "x.eml", crlf("From: a@example.jp\n"+deep), "limit.nesting")
	wide := "From: a@example.jp\nContent-Type: multipart/mixed; boundary=b\n" + strings.Repeat("\n--b\n", 5000)
	if rep, _ := sanitizetest.Run(t, "x.eml", crlf(wide)); rep.Outcome == "" {
		t.Errorf("got %v", rep)
	}
	in := "From: " + strings.Repeat("a@example.jp,", 100_000) + "\nSubject: " + strings.Repeat("=?UTF-8?B?44GC?= ", 20_000) + "\n\nx"
	if rep, _ := sanitizetest.Run(t, "x.eml", []byte(in)); rep.Outcome != verdict.Clean {
		t.Errorf("got %v", rep.Findings)
	}
}

// The verifier refuses each mail in which a byte was changed, or the text of it could still be the rebuilder's.
func TestVerifierReadsEveryByte(t *testing.T) {
	_, out := pass(t, "x.eml", mixed("\nhello", "Content-Disposition: attachment; filename=a.txt\n\n1"), sanitize.Options{})
	for _, bend := range []struct{ from, to string }{
		{"MIME-Version", "Bcc: x@example.jp\r\nMIME-Version"}, {"\r\n", "\n"}, {"From: a@", "From: \"<script>\" a@"}, {"base64", "7bit"}, {"attachment;", "inline;"},
		{"text/plain", "text/html"}, {"application/octet-stream", "text/html"}, {"--\r\n", "--\r\nMZ"}, {"boundary=\"", "boundary=\"x"}, {"a.txt", "a.exe"}, {"Subject: x", "Subject: x=?a?="},
		{"\r\n\r\n--=", "\r\n\r\npreamble\r\n--="}, {"mixed", "alternative"}, {"aGVsbG8NCg==", "aGVsbG8NCh=="}, {"charset=utf-8", "charset=utf-7"}, {"UTF-8''a.txt", "UTF-8''b.txt"},
	} {
		bent := strings.Replace(string(out), bend.from, bend.to, 1)
		if bent == string(out) {
			t.Fatalf("%q is not in\n%s", bend.from, out)
		}
		if v := verify.Check(t.Context(), "x.eml", []byte(bent)); v.Outcome != verdict.Blocked {
			t.Errorf("%q for %q passes", bend.to, bend.from)
		}
	}
}

// A boundary that stands inside of a part would end it for some programs.
func TestVerifierLetsNoBoundaryStandInAPart(t *testing.T) {
	_, out := pass(t, "x.eml", mixed("\nhello", "Content-Type: message/rfc822\n\nFrom: b@example.jp\nMessage-ID: <1@x>\n\ninner"), sanitize.Options{})
	_, boundary, _ := strings.Cut(string(out), `boundary="`)
	boundary, _, _ = strings.Cut(boundary, `"`)
	if v := verify.Check(t.Context(), "x.eml", bytes.Replace(out, []byte("<1@x>"), []byte("<"+boundary+">"), 1)); v.Outcome != verdict.Blocked {
		t.Error("passes")
	}
}

func FuzzMail(f *testing.F) {
	f.Add([]byte("From: a@example.jp\n\nx"))
	f.Add(mixed(related("<p>x</p>"), "Content-Type: application/ms-tnef\n\n\x78\x9f\x3e\x22\x01\x00"))
	f.Add([]byte("Subject: =?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=\nContent-Type: text/plain; name*0*=a'b'c; name*1=d\n\n=E3"))
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, body := range []string{"", "html"} {
			rep, out, _ := sanitizetest.Ask(t, "x.eml", in, sanitize.Options{Policy: verdict.Policy{MailBody: body}})
			if rep.Outcome != verdict.Clean {
				if slices.ContainsFunc(rep.Findings, func(f verdict.Finding) bool { return f.Code == "internal" }) {
					t.Fatalf("%v", rep.Findings)
				}
				continue
			}
			if v := verify.CheckFor(t.Context(), verdict.Policy{MailBody: body}, rep.OutName, out); v.Outcome != verdict.Clean {
				t.Fatalf("the verifier says %v of:\n%s", v.Findings, out)
			}
		}
	})
}
