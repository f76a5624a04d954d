// Package mail rebuilds mails: what a person reads of one, and its attachments, each rebuilt by its own family.
//
// Problem: a mail says one thing in ten ways, its headers tell of the machines behind both ends and can be made to say what nobody wrote,
// and its attachments hide under names that every program decodes differently. Mechanism: a lenient reader makes a letter of it
// (who, to whom, when, about what, the text, the attachments); a writer makes one mail of that letter, in one shape: headers that
// people need, the body as text or clean HTML in UTF-8, attachments below it. The reader is our own because real Japanese mail
// breaks the standards that a library keeps: encoded words cut inside a character, names in raw ISO-2022-JP. A msg of Outlook is
// turned into the mail that it stands for first. Life cycle: one call of Rebuild. Invariant: no line of the original is in the
// result; every header is written from parsed values, so that none can be smuggled in.
package mail

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/html"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Codes are what this package's findings and refusals are called, with the sentences that a clerk reads (verdict.Catalogue).
//
//go:embed codes.json
var Codes []byte

var sentences = verdict.NewCatalogue(Codes)

// A letter is what a mail says.
type letter struct {
	from, replyTo, to, cc []address
	date, subject, id     string
	inReplyTo, references []string
	bodies                []body
	attachments           []attachment
	dropped               []string // names of headers that people do not need
}

// A body is one piece of what is read, in Unicode.
type body struct {
	text string
	html bool
}

type attachment struct {
	name string
	id   string // Content-ID, without brackets
	in   []byte
}

// Rebuild rebuilds an eml, and a msg as eml.
func Rebuild(j *rebuild.Job) (rebuild.Result, error) {
	in, name := j.In, ""
	if bytes.HasPrefix(in, []byte("\xD0\xCF\x11\xE0")) {
		var err error
		if in, err = fromOutlook(j); err != nil {
			return rebuild.Result{}, err
		}
		name = strings.TrimSuffix(j.Name, path.Ext(j.Name)) + ".eml"
		j.Found.Add("name.kind", "", verdict.Changed, ".msg -> .eml")
	}
	r := reader{job: j, html: j.Policy.MailBody == "html"}
	l, err := r.letter(in)
	if err != nil {
		return rebuild.Result{}, err
	}
	if len(l.dropped) > 0 {
		slices.Sort(l.dropped)
		j.Found.Add("mail.headers", "", verdict.Removed, strings.Join(slices.Compact(l.dropped), " "))
	}
	out, err := rebuilt(j, l)
	if err != nil {
		return rebuild.Result{}, err
	}
	b, err := out.write(j)
	if err != nil {
		return rebuild.Result{}, err
	}
	return rebuild.Result{Name: name, Body: b, Original: preview(l, out.said), Result: preview(l, out.said)}, nil
}

// A sheet is a letter whose body and attachments are rebuilt.
type sheet struct {
	letter
	text     string // of the body: plain, or HTML
	html     bool
	said     string // by the body, as text
	enclosed []enclosed
}

type enclosed struct {
	name, id string
	body     []byte
}

// rebuilt makes the body, has the attachments rebuilt, and names those at the body's end that were refused.
func rebuilt(j *rebuild.Job, l letter) (sheet, error) {
	out := sheet{letter: l}
	asked := false
	var refused []string
	for _, a := range l.attachments {
		if err := j.Ctx.Err(); err != nil {
			return out, err
		}
		mark := j.Found.Mark()
		res, err := j.Nested(a.name, a.name, a.in, false)
		switch {
		case errors.Is(err, rebuild.ErrAsked):
			asked = true
		case err != nil && leaves(j, err):
			var r *rebuild.Refusal
			errors.As(err, &r)
			j.Found.Back(mark)
			j.Found.Add("mail.attachment", a.name, verdict.Removed, r.Code+" "+r.Detail)
			refused = append(refused, rebuild.Printable(a.name, 100))
		case err != nil:
			return out, err
		default:
			out.enclosed = append(out.enclosed, enclosed{res.Name, contentID(a.id), res.Body})
		}
	}
	out.html = j.Policy.MailBody == "html" && slices.ContainsFunc(l.bodies, func(b body) bool { return b.html })
	var err error
	if out.said, err = plainText(j, l.bodies); err != nil {
		return out, err
	}
	if !out.html && slices.ContainsFunc(l.bodies, func(b body) bool { return b.html }) {
		j.Found.Add("mail.text", "", verdict.Changed, "")
	}
	note := ""
	if len(refused) > 0 {
		note = "--\n" + sentences.Sentence("mail.attachment", "ja") + "\n・" + strings.Join(refused, "\n・") + "\n"
	}
	if out.html {
		page, err := out.page(j, l.bodies, note)
		if errors.Is(err, rebuild.ErrAsked) {
			asked = true
		} else if err != nil {
			return out, err
		}
		out.text = page
	} else {
		out.text = out.said
		if note != "" {
			out.text = strings.TrimRight(out.said, "\n") + "\n\n" + note
		}
	}
	if asked {
		return out, rebuild.ErrAsked
	}
	j.Text("", out.subject)
	j.Text("", out.said)
	return out, nil
}

// leaves tells whether a refused attachment is left out, which is the rule unless the route says that it blocks. What the whole mail
// may cost is no question of one attachment.
func leaves(j *rebuild.Job, err error) bool {
	var r *rebuild.Refusal
	if j.Policy.Members == "block" || !errors.As(err, &r) {
		return false
	}
	return r.Code == "limit.nesting" || !strings.HasPrefix(r.Code, "limit.") && !strings.HasPrefix(r.Code, "internal")
}

// plainText is all of the body as lines of text.
func plainText(j *rebuild.Job, bodies []body) (string, error) {
	var parts []string
	for _, b := range bodies {
		s := b.text
		if b.html {
			t, err := html.Text(j.Ctx, s, html.Options{})
			if err != nil {
				return "", err
			}
			s = t
		}
		if s = lines(s); strings.TrimSpace(s) != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, "\n"), nil
}

// page is all of the body as one page, with those pictures of the mail that were rebuilt.
func (s *sheet) page(j *rebuild.Job, bodies []body, note string) (string, error) {
	var src strings.Builder
	plain := func(t string) {
		src.WriteString("<pre>" + strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(t) + "</pre>")
	}
	for _, b := range bodies {
		if b.html {
			src.WriteString(b.text)
		} else {
			plain(lines(b.text))
		}
	}
	if note != "" {
		plain(note)
	}
	return html.Clean(j, src.String(), html.Options{Keep: s.shows})
}

// contentID is one that needs no escape in a page or a header, or "".
func contentID(id string) string {
	if len(id) > 200 || strings.ContainsFunc(id, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(".@_$+-", r))
	}) {
		return ""
	}
	return id
}

// shows tells whether a picture of that Content-ID is enclosed.
func (s *sheet) shows(id string) bool {
	return slices.ContainsFunc(s.enclosed, func(e enclosed) bool { return e.id != "" && e.id == id && pictureType(e.name) != "" })
}

func preview(l letter, said string) *verdict.Preview {
	var e rebuild.Excerpt
	for _, line := range []string{"From: " + show(l.from), "To: " + show(l.to), "Cc: " + show(l.cc), "Date: " + l.date, "Subject: " + l.subject, "", said, ""} {
		if strings.HasSuffix(line, ": ") {
			continue
		}
		for _, r := range line + "\n" {
			e.Add(r)
		}
	}
	for _, a := range l.attachments {
		for _, r := range "[" + cmp.Or(a.name, "?") + "]\n" {
			e.Add(r)
		}
	}
	return &verdict.Preview{Text: e.String()}
}
