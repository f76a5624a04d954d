package mail

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// reader walks one mail.
type reader struct {
	job   *rebuild.Job
	html  bool // of alternatives the HTML is wanted
	parts int
	out   letter
}

// needed are the headers that are read; all others are left behind.
var needed = []string{"from", "reply-to", "to", "cc", "date", "subject", "message-id", "in-reply-to", "references",
	"mime-version", "content-type", "content-transfer-encoding", "content-disposition", "content-id"}

func (r *reader) letter(in []byte) (letter, error) {
	if line, rest, _ := bytes.Cut(in, []byte("\n")); bytes.HasPrefix(line, []byte("From ")) && !bytes.HasPrefix(bytes.TrimLeft(line[5:], " \t"), []byte(":")) {
		in = rest // of a mailbox file
	}
	p := split(bytes.TrimPrefix(in, []byte("\xEF\xBB\xBF")))
	if len(p.fields) == 0 || !slices.ContainsFunc(p.fields, func(f field) bool { return slices.Contains(needed, f.name) }) {
		return letter{}, rebuild.Refuse("mail.broken", "", "no headers")
	}
	l := &r.out
	for _, f := range p.fields {
		switch f.name {
		case "from":
			l.from = append(l.from, addresses(f.value)...)
		case "reply-to":
			l.replyTo = append(l.replyTo, addresses(f.value)...)
		case "to":
			l.to = append(l.to, addresses(f.value)...)
		case "cc":
			l.cc = append(l.cc, addresses(f.value)...)
		}
		if !slices.Contains(needed, f.name) && len(l.dropped) < 100 {
			l.dropped = append(l.dropped, f.name)
		}
	}
	l.subject = oneLine(words(p.get("subject")), 1000)
	if date := p.get("date"); date != "" {
		if l.date = dated(date); l.date == "" {
			r.job.Found.Add("mail.date", "", verdict.Removed, date)
		}
	}
	if ids := references(p.get("message-id")); len(ids) > 0 {
		l.id = ids[0]
	}
	l.inReplyTo, l.references = references(p.get("in-reply-to")), references(p.get("references"))
	err := r.walk(p, "text/plain", 0, true)
	return r.out, err
}

// walk reads a part. implied is the type of one that names none; say is false for the side of alternatives that is not read, of which
// only what is attached is kept.
func (r *reader) walk(p part, implied string, depth int, say bool) error {
	if err := r.job.Ctx.Err(); err != nil {
		return err
	}
	if r.parts++; r.parts > maxParts {
		return rebuild.Refuse("limit.members", "", fmt.Sprintf("%d parts", maxParts))
	}
	if depth > maxDepth {
		return rebuild.Refuse("limit.nesting", "", "")
	}
	kind, params := parameters(p.get("content-type"))
	if !strings.Contains(kind, "/") {
		kind = implied
	}
	disposition, more := parameters(p.get("content-disposition"))
	name := fileName(params, more)
	if strings.HasPrefix(kind, "multipart/") && params["boundary"] != "" {
		return r.multipart(p, kind, params, depth, say)
	}
	content := p.content()
	switch {
	case isSignature(kind, name):
		r.job.Found.Add("mail.signature", "", verdict.Removed, kind)
		return nil
	case isSecret(kind, name):
		return secret(kind, params["smime-type"], content)
	case kind == "application/ms-tnef", strings.EqualFold(name, "winmail.dat"):
		return r.tnef(content, say)
	case kind == "message/partial": // RFC 2046, 5.2.2: what the whole is shows when somebody puts it together again
		return rebuild.Refuse("mail.partial", "", "")
	case kind == "message/external-body":
		r.job.Found.Add("mail.elsewhere", "", verdict.Removed, "")
		return nil
	case kind == "message/rfc822" || kind == "message/global":
		return r.message(content, name)
	case disposition != "attachment" && name == "" && say && (strings.HasPrefix(kind, "text/") || strings.HasPrefix(kind, "message/")):
		return r.say(kind, params["charset"], content)
	case disposition != "attachment" && name == "" && strings.HasPrefix(kind, "text/") && !say:
		return nil
	}
	ids := references(p.get("content-id"))
	a := attachment{name: name, in: content}
	if len(ids) > 0 {
		a.id = ids[0]
	}
	if a.name == "" {
		a.name = fmt.Sprintf("attachment%d%s", len(r.out.attachments)+1, endings[kind])
	}
	r.out.attachments = append(r.out.attachments, a)
	return nil
}

// endings are those of parts that have a type but no name.
var endings = map[string]string{
	"text/plain": ".txt", "text/html": ".html", "text/csv": ".csv", "image/png": ".png", "image/jpeg": ".jpg", "image/jpg": ".jpg", "image/gif": ".gif", "image/bmp": ".bmp",
	"image/tiff": ".tif", "image/webp": ".webp", "application/pdf": ".pdf", "application/zip": ".zip", "text/calendar": ".ics", "application/msword": ".doc", "application/vnd.ms-excel": ".xls",
}

// say takes a piece of what is read.
func (r *reader) say(kind, label string, content []byte) error {
	b := body{text: unicodeOf(label, content), html: kind == "text/html"}
	if !b.html {
		s, err := r.bare(b.text)
		if err != nil {
			return err
		}
		b.text = s
	}
	switch kind {
	case "text/enriched", "text/richtext": // RFC 1896: the words between the commands
		b.html = true
		b.text = strings.ReplaceAll(b.text, "<<", "&lt;")
	}
	r.out.bodies = append(r.out.bodies, b)
	return nil
}

func (r *reader) multipart(p part, kind string, params map[string]string, depth int, say bool) error {
	var parts []part
	implied := "text/plain"
	if kind == "multipart/digest" {
		implied = "message/rfc822"
	}
	for _, b := range children(p.body, params["boundary"]) {
		parts = append(parts, split(b))
	}
	switch {
	case kind == "multipart/encrypted":
		return rebuild.Refuse("mail.encrypted", "", params["protocol"])
	case len(parts) == 0:
		if say && len(bytes.TrimSpace(p.body)) > 0 {
			return r.say("text/plain", "", p.body)
		}
		return nil
	}
	chosen := -1
	if kind == "multipart/alternative" {
		chosen = r.choose(parts)
	}
	for i, c := range parts {
		if err := r.walk(c, implied, depth+1, say && (chosen < 0 || chosen == i)); err != nil {
			return err
		}
	}
	return nil
}

// choose answers which of the alternatives is read: the plainest that says something, or the HTML where that is wanted.
func (r *reader) choose(parts []part) int {
	plain, rich := -1, -1
	for i, p := range parts {
		switch kind, params := parameters(p.get("content-type")); {
		case kind == "text/plain" || kind == "":
			if len(bytes.TrimSpace(p.content())) > 0 {
				plain = i
			}
		case kind == "text/html", kind == "multipart/related", kind == "multipart/mixed" && params["boundary"] != "":
			rich = i
		case rich < 0 && (kind == "text/enriched" || kind == "text/richtext" || strings.HasPrefix(kind, "multipart/")):
			rich = i
		}
	}
	if plain < 0 || r.html && rich >= 0 {
		plain = max(plain, rich)
		if rich >= 0 {
			plain = rich
		}
	}
	return max(plain, 0)
}

// message takes a mail in the mail as what it is: a file that is rebuilt by this package again.
func (r *reader) message(in []byte, name string) error {
	if name == "" {
		name = oneLine(words(split(in).get("subject")), 60)
	}
	if name == "" {
		name = "mail"
	}
	if !strings.HasSuffix(strings.ToLower(name), ".eml") {
		name += ".eml"
	}
	r.out.attachments = append(r.out.attachments, attachment{name: slashless(name), in: in})
	return nil
}

// fileName is the name of an attachment, by any of the ways in which it is written.
func fileName(kind, disposition map[string]string) string {
	for _, s := range []string{disposition["filename"], kind["name"]} {
		if s = oneLine(unescaped(words(s)), 250); s != "" {
			return slashless(s)
		}
	}
	return ""
}

// unescaped reads a name that was escaped like an address, which web mail does: text in UTF-8 that is more than ASCII.
func unescaped(s string) string {
	b := unpercent(s)
	if len(b) == len(s) || strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) || !utf8.Valid(b) || !bytes.ContainsFunc(b, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return s
	}
	return string(b)
}

// slashless keeps a name that has slashes whole, instead of taking its end for the name.
func slashless(s string) string {
	return strings.NewReplacer("/", "_", `\`, "_").Replace(s)
}
