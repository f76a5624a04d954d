package rebuild

import (
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
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
