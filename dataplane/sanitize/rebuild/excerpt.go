package rebuild

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// PreviewChars is the length of a text preview, in characters.
const PreviewChars = 4000

// Excerpt keeps the first characters of a text, for a person to look at. Controls become visible pictures.
type Excerpt struct {
	b     []byte
	count int
}

// Add takes the next character.
func (e *Excerpt) Add(r rune) {
	if e.Full() {
		return
	}
	e.b = utf8.AppendRune(e.b, visible(r))
	e.count++
}

// Full tells that no more is kept.
func (e *Excerpt) Full() bool { return e.count >= PreviewChars }

// Line ends a line that has something on it.
func (e *Excerpt) Line() {
	if n := len(e.b); n > 0 && e.b[n-1] != '\n' {
		e.Add('\n')
	}
}

// PreviewOf is the preview of a text.
func PreviewOf(s string) *verdict.Preview {
	var e Excerpt
	for _, r := range s {
		if e.Add(r); e.Full() {
			break
		}
	}
	return &verdict.Preview{Text: e.String()}
}

// Seen is text without the characters that steer screens and readers; line ends and tabs stay. What goes is noted.
func (j *Job) Seen(s string) string {
	unseen := func(r rune) bool {
		return r < 0x20 && r != '\n' && r != '\t' || r >= 0x7F && (r == 0x7F || charset.Hidden(r))
	}
	if strings.IndexFunc(s, unseen) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if !unseen(r) {
			return r
		}
		code := "text.hidden"
		if r < 0x20 || r == 0x7F {
			code = "text.control"
		}
		j.Found.First(code, "", verdict.Removed, fmt.Sprintf("U+%04X", r))
		return -1
	}, s)
}

func (e *Excerpt) String() string { return string(e.b) }

func visible(r rune) rune {
	switch {
	case r == '\n', r == '\t', r == '\r':
		return r
	case r < 0x20:
		return 0x2400 + r // control pictures
	case r == 0x7F, charset.Hidden(r):
		return '␣'
	}
	return r
}
