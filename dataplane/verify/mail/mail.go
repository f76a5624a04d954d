// Package mail is the second opinion on mails that were written anew.
//
// Problem: mail programs forgive everything, each in its own way, so that a line out of place is a header to one and text to another.
// Mechanism: the one shape that the rebuilder writes is read line by line: known headers in one order with values of a known form, a
// body of one type, attachments whose two names agree, and nothing before, between or behind. Life cycle: one call of Check.
// Invariant: nil means that every byte of the mail is of that shape, the body was read, and each attachment was checked by the
// family that its name promises.
package mail

import (
	"bytes"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify/html"
	"github.com/sekisho/sekisho/dataplane/verify/rule"
	"github.com/sekisho/sekisho/dataplane/verify/text"
)

// Codes are what this package's refusals are called, with the sentences that a clerk reads (verdict.Catalogue).
//
//go:embed codes.json
var Codes []byte

const code = "verify.mail"

const maxParts = 10_000

// Check reads a rebuilt mail.
func Check(f *rule.File) error {
	for i, c := range f.In {
		if c == '\r' && (i+1 == len(f.In) || f.In[i+1] != '\n') || c == '\n' && (i == 0 || f.In[i-1] != '\r') || c < 0x20 && c != '\r' && c != '\n' || c > 0x7E {
			return rule.Refuse(code, fmt.Sprintf("byte %d", i), "0x%02X", c)
		}
	}
	head, rest, err := headers(f.In)
	if err != nil {
		return err
	}
	for _, h := range envelope {
		if len(head) > 0 && head[0].name == h.name {
			if !h.form.MatchString(head[0].value) {
				return rule.Refuse(code, h.name, "%q", head[0].value)
			}
			if err := checkWords(head[0].value); err != nil {
				return rule.Within(h.name, err)
			}
			head = head[1:]
		} else if h.name == "MIME-Version" {
			return rule.Refuse(code, "", "no MIME-Version where it belongs")
		}
	}
	return entity(f, head, rest, "mixed")
}

type header struct{ name, value string }

// headers reads lines to the empty one; a line that begins with a space belongs to the one before.
func headers(in []byte) (list []header, rest []byte, err error) {
	for {
		line, after, ok := bytes.Cut(in, []byte("\r\n"))
		in = after
		switch {
		case !ok || len(list) > 30 && len(line) > 0 && line[0] != ' ':
			return nil, nil, rule.Refuse(code, "", "headers without an end")
		case len(line) == 0:
			return list, in, nil
		case line[0] == ' ' && len(list) > 0 && len(line) > 1 && line[1] != ' ':
			list[len(list)-1].value += string(line)
			continue
		}
		name, value, ok := strings.Cut(string(line), ": ")
		if !ok || value == "" || len(line) > 998 {
			return nil, nil, rule.Refuse(code, "", "header %q", line)
		}
		list = append(list, header{name, value})
	}
}

// The forms of values, with lines put together.
const (
	word      = `=\?UTF-8\?B\?[A-Za-z0-9+/]{2,60}={0,2}\?=`
	words     = word + `(?: ` + word + `)*`
	atoms     = `[A-Za-z0-9!#$%&'*+/?^_{|}~` + "`" + ` -]+`
	mailbox   = `(?:[A-Za-z0-9!#$%&'*+/=?^_{|}~` + "`" + `.-]{1,128}|"[ !#-\[\]-~]{1,128}")@[A-Za-z0-9._-]{1,255}`
	person    = `(?:(?:` + words + `|` + atoms + `) <` + mailbox + `>|` + mailbox + `|(?:` + words + `|` + atoms + `):;)`
	reference = `<[!-;=?-~]{1,250}>`
)

func form(s string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + s + `)$`) }

var people, ids = form(person + `(?:, ` + person + `)*`), form(reference + `(?: ` + reference + `)*`)

// envelope are the headers of a mail in their order; each may be missing but the last.
var envelope = []struct {
	name string
	form *regexp.Regexp
}{
	{"Date", form(`(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3][0-9] (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4} [0-2][0-9]:[0-5][0-9]:[0-6][0-9] [+-][0-9]{4}`)},
	{"From", people}, {"Reply-To", people}, {"To", people}, {"Cc", people},
	{"Subject", form(`[!-<>-~](?:[ -<>-~]{0,58}[!-<>-~])?|` + words)},
	{"Message-ID", form(reference)}, {"In-Reply-To", ids}, {"References", ids},
	{"MIME-Version", form(`1\.0`)},
}

var (
	oneWord   = regexp.MustCompile(word)
	multipart = form(`multipart/(mixed|related); boundary="(=_[0-9a-f]{32})"`)
	bodyType  = form(`text/(plain|html); charset=utf-8`)
	fileType  = form(`(application/octet-stream|image/(?:png|jpeg|gif)); name="(` + words + `)"`)
	idForm    = form(`<([A-Za-z0-9.@_$+-]{1,200})>`)
)

// checkWords decodes the encoded words of a value: whole characters that a reader sees.
func checkWords(value string) error {
	_, err := decodeWords(value)
	return err
}

func decodeWords(value string) (string, error) {
	var out []byte
	for _, w := range oneWord.FindAllString(value, -1) {
		b, ok := decode64(w[len("=?UTF-8?B?") : len(w)-len("?=")])
		if !ok {
			return "", rule.Refuse(code, "", "encoded word %q", w)
		}
		if err := visible(b, false); err != nil {
			return "", err
		}
		out = append(out, b...)
	}
	return string(out), nil
}

// visible holds text to UTF-8 that is seen; long text may have tabs and lines that end with CR LF.
func visible(b []byte, long bool) error {
	for i := 0; i < len(b); {
		r, n := text.UTF8(b[i:])
		blank := long && (r == '\t' || r == '\n' && i > 0 && b[i-1] == '\r' || r == '\r' && i+1 < len(b) && b[i+1] == '\n')
		if n == 0 || text.Invisible(r) || (r < 0x20 || r == 0x7F) && !blank {
			return rule.Refuse(code, fmt.Sprintf("byte %d", i), "no character that a reader sees")
		}
		i += n
	}
	return nil
}

// entity reads the whole mail, or its body beside attachments: in a mixed, a related or a body; in a related, a body.
func entity(f *rule.File, head []header, body []byte, may string) error {
	if err := f.Ctx.Err(); err != nil {
		return err
	}
	kind := ""
	if len(head) > 0 && head[0].name == "Content-Type" {
		kind = head[0].value
	}
	if m := multipart.FindStringSubmatch(kind); m != nil && len(head) == 1 && (may == "mixed" || may == "related" && m[1] == "related") {
		return parts(f, m[1], m[2], body)
	}
	return bodyText(f, head, body, nil)
}

// bodyText reads the body that is read, with the pictures that it may show.
func bodyText(f *rule.File, head []header, body []byte, shown []string) error {
	if len(head) != 2 || head[0].name != "Content-Type" || head[1] != (header{"Content-Transfer-Encoding", "base64"}) {
		return rule.Refuse(code, "", "headers of the body")
	}
	m := bodyType.FindStringSubmatch(head[0].value)
	b, ok := decodeLines(body)
	if m == nil || !ok || m[1] == "html" && f.Policy.MailBody != "html" {
		return rule.Refuse(code, "", "body of type %q", head[0].value)
	}
	if m[1] == "plain" {
		return visible(b, true)
	}
	page := *f
	page.Name, page.Family, page.In = "body.html", "html", b
	return html.CheckBody(&page, func(id string) bool { return slices.Contains(shown, id) })
}

// parts reads a multipart: first what is read, then what is attached or shown.
func parts(f *rule.File, kind, boundary string, body []byte) error {
	begin, between, end := "--"+boundary+"\r\n", "\r\n--"+boundary+"\r\n", "\r\n--"+boundary+"--\r\n"
	inner, ok1 := bytes.CutPrefix(body, []byte(begin))
	inner, ok2 := bytes.CutSuffix(inner, []byte(end))
	all := bytes.Split(inner, []byte(between))
	if !ok1 || !ok2 || len(all) < 2 || len(all) > maxParts || bytes.Count(body, []byte(boundary)) != len(all)+1 {
		return rule.Refuse(code, "", "boundary of %d parts", len(all))
	}
	var shown []string
	for _, p := range all[1:] {
		id, err := attachment(f, p, kind == "related")
		if err != nil {
			return err
		}
		shown = append(shown, id)
	}
	head, rest, err := headers(all[0])
	if err != nil {
		return err
	}
	if kind == "mixed" {
		return entity(f, head, rest, "related")
	}
	return bodyText(f, head, rest, shown)
}

// attachment reads one, and has its file checked. It answers the Content-ID of a shown picture.
func attachment(f *rule.File, in []byte, shown bool) (id string, err error) {
	head, body, err := headers(in)
	if err != nil {
		return "", err
	}
	no := func(format string, args ...any) (string, error) { return "", rule.Refuse(code, "", format, args...) }
	n := len(head)
	if n < 2 || head[0].name != "Content-Type" || head[n-1].name != "Content-Disposition" {
		return no("headers of an attachment")
	}
	name, err := disposed(head[n-1].value, shown)
	if err != nil {
		return "", err
	}
	if head[0].value == "message/rfc822" && n == 2 && !shown && verdict.FamilyOf(name) == "eml" {
		return "", f.Member(name, name, body)
	}
	m := fileType.FindStringSubmatch(head[0].value)
	if m == nil || head[1] != (header{"Content-Transfer-Encoding", "base64"}) {
		return no("attachment of type %q", head[0].value)
	}
	other, err := decodeWords(m[2])
	if err != nil {
		return "", err
	}
	if other != name || verdict.FamilyOf(name) == "eml" {
		return no("attachment of two names: %q, %q", other, name)
	}
	switch {
	case shown:
		if n != 4 || head[2].name != "Content-ID" || m[1] != "image/"+verdict.FamilyOf(name) || !idForm.MatchString(head[2].value) {
			return no("picture of the body")
		}
		id = strings.Trim(head[2].value, "<>")
	case n != 3 || m[1] != "application/octet-stream":
		return no("headers of an attachment")
	}
	b, ok := decodeLines(body)
	if !ok {
		return no("base64 of an attachment")
	}
	return id, f.Member(name, name, b)
}

// disposed reads the name of RFC 2231, in numbered pieces.
func disposed(value string, shown bool) (string, error) {
	pieces := strings.Split(value, "; ")
	if want := map[bool]string{true: "inline", false: "attachment"}[shown]; pieces[0] != want || len(pieces) < 2 {
		return "", rule.Refuse(code, "", "disposition %q", value)
	}
	var b []byte
	for i, p := range pieces[1:] {
		prefix := fmt.Sprintf("filename*%d*=", i)
		if i == 0 {
			prefix += "UTF-8''"
		}
		s, ok := strings.CutPrefix(p, prefix)
		if !ok {
			return "", rule.Refuse(code, "", "disposition %q", value)
		}
		for k := 0; k < len(s); k++ {
			c := s[k]
			if c == '%' {
				if k+2 >= len(s) {
					return "", rule.Refuse(code, "", "disposition %q", value)
				}
				hi, lo := strings.IndexByte("0123456789ABCDEF", s[k+1]), strings.IndexByte("0123456789ABCDEF", s[k+2])
				if hi < 0 || lo < 0 {
					return "", rule.Refuse(code, "", "disposition %q", value)
				}
				c, k = byte(hi<<4|lo), k+2
			}
			b = append(b, c)
		}
	}
	if err := visible(b, false); err != nil {
		return "", err
	}
	return string(b), nil
}
