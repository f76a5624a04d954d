// Package md rebuilds Markdown.
//
// Problem: Markdown is text that its readers turn into a page, each by rules of its own: raw HTML passes through, links start programs,
// pictures are fetched. Mechanism: the text is cleaned as text, and a space is put into every place in which some reader could begin raw
// HTML, a dangerous link or a picture from elsewhere, also in code, because readers disagree about where code is. Life cycle: one
// call of Rebuild for a file. Invariant: no reader finds a tag, a link that web.Address forbids, or a picture that is not beside the file.
package md

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/sanitize/text"
	"github.com/sekisho/sekisho/dataplane/sanitize/web"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// maxRounds bounds how often a text is mended until it stays as it is.
const maxRounds = 5

// Rebuild rebuilds Markdown. The result is UTF-8.
func Rebuild(j *rebuild.Job) (rebuild.Result, error) {
	t, err := text.Read(j.In, "")
	if err != nil {
		return rebuild.Result{}, err
	}
	if t.Name() != "UTF-8" {
		j.Found.Add("md.charset", "", verdict.Changed, t.Name()+" -> UTF-8")
	}
	src := t.Unicode()
	out := visible(j, src)
	for before, rounds := "", 0; out != before; rounds++ { // a space may change what a link leads to
		if rounds == maxRounds {
			return rebuild.Result{}, rebuild.Refuse("md.unsettled", "", "")
		}
		before = out
		m := &mender{job: j, s: out}
		if err := m.mend(); err != nil {
			return rebuild.Result{}, err
		}
		out = m.out.String()
	}
	n := 0
	for line := range strings.SplitSeq(out, "\n") {
		n++
		j.Text(fmt.Sprintf("L%d", n), line)
	}
	return rebuild.Result{Body: []byte(out), Original: rebuild.PreviewOf(src), Result: rebuild.PreviewOf(out)}, nil
}

// visible is text without controls and hidden characters.
func visible(j *rebuild.Job, s string) string {
	line := 1
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			line++
		case r == '\t', r == '\r':
		case r < 0x20, r == 0x7F:
			j.Found.First("text.control", fmt.Sprintf("L%d", line), verdict.Removed, fmt.Sprintf("U+%04X", r))
			return -1
		case charset.Hidden(r), r == utf8.RuneError:
			j.Found.First("text.hidden", fmt.Sprintf("L%d", line), verdict.Removed, fmt.Sprintf("U+%04X", r))
			return -1
		}
		return r
	}, s)
}

// mender copies s and puts spaces in.
type mender struct {
	job  *rebuild.Job
	s    string
	out  strings.Builder
	line int
}

func (m *mender) mend() error {
	m.line = 1
	for i := 0; i < len(m.s); i++ {
		c := m.s[i]
		m.out.WriteByte(c)
		rest := m.s[i+1:]
		code := ""
		switch c {
		case '\n':
			if m.line++; m.line&0xFFF == 0 && m.job.Ctx.Err() != nil {
				return m.job.Ctx.Err()
			}
		case '<':
			if opens(rest) && !m.autolink(rest) {
				code = "md.html"
			}
		case '!':
			if strings.HasPrefix(rest, "[") && !beside(rest) {
				code = "md.picture"
			}
		case ']':
			if strings.HasPrefix(rest, "(") || strings.HasPrefix(rest, ":") && !footnote(m.s[:i]) {
				if !m.allowed(destination(rest[1:])) {
					code = "md.link"
				}
			}
		}
		if code != "" {
			m.out.WriteByte(' ')
			m.job.Found.First(code, fmt.Sprintf("L%d", m.line), verdict.Changed, "")
		}
		if int64(m.out.Len()) > m.job.MaxOut {
			return rebuild.Refuse("limit.output", "", fmt.Sprintf("limit %d bytes", m.job.MaxOut))
		}
	}
	return nil
}

// opens tells what, behind a <, makes some reader see markup.
func opens(rest string) bool {
	if rest == "" {
		return false
	}
	c := rest[0]
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '/' || c == '!' || c == '?'
}

// autolink tells <https://…> and <mailto:…>: an address that may be followed.
func (m *mender) autolink(rest string) bool {
	a, _, ok := strings.Cut(rest[:min(len(rest), 2048)], ">")
	lower := strings.ToLower(a)
	return ok && (strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://") || strings.HasPrefix(lower, "mailto:")) && plain(a) && m.job.Policy.Links != "remove"
}

// plain tells an address in which no reader finds another: no escape, no entity in its beginning, no white space.
func plain(a string) bool {
	if !web.Address(a) || strings.ContainsAny(a, "`'") {
		return false
	}
	lower := strings.ToLower(a)
	for _, known := range []string{"http://", "https://", "mailto:", "tel:", "#"} {
		if strings.HasPrefix(lower, known) {
			return true
		}
	}
	return !strings.Contains(a, "&")
}

// destination is what a link leads to: up to white space or the bracket that ends it. It must stand in the same line, since what
// stands before it in the next differs from reader to reader; empty tells a link that surely leads nowhere.
func destination(s string) (d string, empty bool) {
	s = strings.TrimLeft(s[:min(len(s), 8192)], " \t")
	if strings.HasPrefix(s, ")") {
		return "", true
	}
	s = strings.TrimPrefix(s, "<")
	if end := strings.IndexAny(s, " \t\r\n)>"); end >= 0 {
		s = s[:end]
	}
	return s, false
}

func (m *mender) allowed(d string, empty bool) bool {
	return empty || plain(d) && (m.job.Policy.Links != "remove" || !web.Leads(d))
}

// beside tells a picture in line whose file lies beside the text: ![words](folder/file.png). rest begins with its bracket.
func beside(rest string) bool {
	end := strings.Index(rest[:min(len(rest), 4096)], "](")
	if end < 0 || strings.ContainsAny(rest[1:end], "[]\n") {
		return false
	}
	d, _ := destination(rest[end+2:])
	return d != "" && plain(d) && !strings.ContainsAny(d, ":#")
}

// footnote tells that the bracket that ends here began as [^: what follows is text.
func footnote(before string) bool {
	i := strings.LastIndexByte(before[max(0, len(before)-200):], '[')
	tail := before[max(0, len(before)-200):]
	return i >= 0 && strings.HasPrefix(tail[i:], "[^") && !strings.ContainsAny(tail[i:], "\n]")
}
