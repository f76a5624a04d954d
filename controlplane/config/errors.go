package config

import (
	"fmt"
	"io"
	"sort"
	"strings"

	"golang.org/x/text/width"
)

// Error is one fault of the document.
type Error struct {
	Line    int    // from 1
	Column  int    // in characters, from 1
	Text    string // the offending text
	Message string // what is wrong and what would be right
	Source  string // the whole line, for showing
}

func (e Error) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message) }

// Errors are all faults of a document, in order of place. Empty means none; use Err for an error value.
type Errors []Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Err is nil when there is no fault.
func (e Errors) Err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// Print writes each fault as FILE:LINE:COL: message, then the line of the document with a caret under the text.
func (e Errors) Print(w io.Writer, file string) {
	for _, f := range e {
		fmt.Fprintf(w, "%s:%d:%d: %s\n", file, f.Line, f.Column, f.Message)
		if f.Source == "" {
			continue
		}
		line, caret := f.excerpt()
		fmt.Fprintf(w, "    %s\n    %s\n", line, caret)
	}
}

// excerptWidth bounds what is shown of a line, in characters.
const excerptWidth = 160

// excerpt cuts a window of the line around the fault and makes the line of carets below it.
func (e Error) excerpt() (line, caret string) {
	runes := []rune(strings.Map(printable, e.Source))
	at := min(max(e.Column-1, 0), len(runes))
	start := 0
	if at > excerptWidth/2 {
		start = at - excerptWidth/2
	}
	end := min(len(runes), start+excerptWidth)
	n := max(1, cells([]rune(e.Text)))
	n = min(n, max(1, cells(runes[at:end])))
	return string(runes[start:end]), strings.Repeat(" ", cells(runes[start:at])) + strings.Repeat("^", n)
}

// cells is the width of text on a terminal: kanji and kana take two cells.
func cells(runes []rune) int {
	n := 0
	for _, r := range runes {
		switch width.LookupRune(r).Kind() {
		case width.EastAsianWide, width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

// printable keeps control characters of a hostile document off the terminal.
func printable(r rune) rune {
	if r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
		return ' '
	}
	return r
}

func (e Errors) sorted() Errors {
	sort.SliceStable(e, func(i, j int) bool {
		if e[i].Line != e[j].Line {
			return e[i].Line < e[j].Line
		}
		return e[i].Column < e[j].Column
	})
	return e
}
