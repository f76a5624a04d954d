// Package json rebuilds JSON.
//
// Problem: readers of JSON differ where it is not JSON: comments, single quotes, control characters, a name twice, a thousand open
// brackets. Mechanism: the grammar of RFC 8259 is walked once, without a tree; numbers, escapes and white space are written as they
// stand, control characters in strings become escapes. Life cycle: one call of Rebuild for a file. Invariant: the result is JSON in
// UTF-8 that every reader reads alike, but for names that stand twice, which are reported.
package json

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/sanitize/text"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

const (
	maxDepth = 512
	maxNames = 1_000_000 // in objects that are open at one time
)

// Rebuild rebuilds JSON.
func Rebuild(j *rebuild.Job) (rebuild.Result, error) {
	t, err := text.Read(j.In, "")
	if err != nil {
		return rebuild.Result{}, err
	}
	if t.Name() != "UTF-8" {
		j.Found.Add("json.charset", "", verdict.Changed, t.Name()+" -> UTF-8")
	}
	w := &walker{job: j, s: t.Unicode(), line: 1}
	if err := w.document(); err != nil {
		return rebuild.Result{}, err
	}
	body := w.out.String()
	return rebuild.Result{Body: []byte(body), Original: rebuild.PreviewOf(w.s), Result: rebuild.PreviewOf(body)}, nil
}

// walker reads s from at on and writes what it read.
type walker struct {
	job   *rebuild.Job
	s     string
	at    int
	line  int
	out   strings.Builder
	open  []container
	names int
	name  string // of the member whose value comes next
}

// container is an object, with the names that it has, or an array.
type container struct {
	names map[string]bool
	array bool
}

func (w *walker) broken(what string) error {
	return rebuild.Refuse("json.broken", fmt.Sprintf("L%d", w.line), what)
}

func (w *walker) space() {
	from := w.at
	for w.at < len(w.s) {
		c := w.s[w.at]
		if c == '\n' {
			w.line++
		}
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			break
		}
		w.at++
	}
	w.out.WriteString(w.s[from:w.at])
}

func (w *walker) sign(c byte) bool {
	if w.at < len(w.s) && w.s[w.at] == c {
		w.at++
		w.out.WriteByte(c)
		return true
	}
	return false
}

// document reads one value and the end. The state is what may come: a value, or what follows one.
func (w *walker) document() error {
	for count := 0; ; count++ {
		if count&0xFFF == 0 && w.job.Ctx.Err() != nil {
			return w.job.Ctx.Err()
		}
		if int64(w.out.Len()) > w.job.MaxOut {
			return rebuild.Refuse("limit.output", "", fmt.Sprintf("limit %d bytes", w.job.MaxOut))
		}
		w.space()
		entered, err := w.value()
		if err != nil {
			return err
		}
		if entered { // an object or array with something in it: its first value comes
			continue
		}
		for more := false; !more; {
			w.space()
			if len(w.open) == 0 {
				if w.at != len(w.s) {
					return w.broken("something behind the value")
				}
				return nil
			}
			top := w.open[len(w.open)-1]
			switch {
			case w.sign(','):
				w.space()
				if !top.array {
					if err := w.member(); err != nil {
						return err
					}
				}
				more = true
			case top.array && w.sign(']'), !top.array && w.sign('}'):
				w.names -= len(top.names)
				w.open = w.open[:len(w.open)-1]
			default:
				return w.broken("neither comma nor end")
			}
		}
	}
}

// value reads a whole value, or the beginning of one that holds others: entered tells that the next is in it.
func (w *walker) value() (entered bool, err error) {
	name := w.name
	w.name = ""
	switch {
	case w.sign('{'):
		if w.space(); w.sign('}') {
			return false, nil
		}
		w.open = append(w.open, container{names: map[string]bool{}})
		if len(w.open) > maxDepth {
			return false, rebuild.Refuse("limit.depth", fmt.Sprintf("L%d", w.line), "")
		}
		return true, w.member()
	case w.sign('['):
		if w.space(); w.sign(']') {
			return false, nil
		}
		w.open = append(w.open, container{array: true})
		if len(w.open) > maxDepth {
			return false, rebuild.Refuse("limit.depth", fmt.Sprintf("L%d", w.line), "")
		}
		return true, nil
	case w.at < len(w.s) && w.s[w.at] == '"':
		s, err := w.text()
		w.tell(name, s)
		return false, err
	}
	for _, word := range []string{"true", "false", "null"} {
		if strings.HasPrefix(w.s[w.at:], word) {
			w.at += len(word)
			w.out.WriteString(word)
			return false, nil
		}
	}
	n := number(w.s[w.at:])
	if n == 0 {
		return false, w.broken("no value")
	}
	w.tell(name, w.s[w.at:w.at+n])
	w.out.WriteString(w.s[w.at : w.at+n])
	w.at += n
	return false, nil
}

// tell hands a value on, with its name as the cell to its left.
func (w *walker) tell(name, value string) {
	if name == "" {
		w.job.Text(fmt.Sprintf("L%d", w.line), value)
	} else {
		w.job.Row(fmt.Sprintf("L%d", w.line), []string{name, value})
	}
}

// member reads a name and its colon.
func (w *walker) member() error {
	if w.at >= len(w.s) || w.s[w.at] != '"' {
		return w.broken("no name")
	}
	name, err := w.text()
	if err != nil {
		return err
	}
	top := &w.open[len(w.open)-1]
	if top.names[name] {
		w.job.Found.First("json.duplicate", fmt.Sprintf("L%d", w.line), verdict.Reported, name)
	} else {
		if w.names++; w.names > maxNames {
			return rebuild.Refuse("limit.members", fmt.Sprintf("L%d", w.line), "")
		}
		top.names[name] = true
	}
	if w.space(); !w.sign(':') {
		return w.broken("no colon")
	}
	w.name = name
	return nil
}

// text reads a string and answers what it stands for.
func (w *walker) text() (string, error) {
	w.at++
	w.out.WriteByte('"')
	var said strings.Builder
	for w.at < len(w.s) {
		r, n := rune(w.s[w.at]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(w.s[w.at:])
		}
		switch {
		case r == '"':
			w.at++
			w.out.WriteByte('"')
			return said.String(), nil
		case r == '\\':
			n := escape(w.s[w.at:])
			if n == 0 {
				return "", w.broken("escape")
			}
			said.WriteString(meaning(w.s[w.at : w.at+n]))
			w.out.WriteString(w.s[w.at : w.at+n])
			w.at += n
			continue
		case r < 0x20:
			if r == '\n' {
				w.line++
			}
			w.job.Found.First("json.control", fmt.Sprintf("L%d", w.line), verdict.Changed, fmt.Sprintf("U+%04X", r))
			fmt.Fprintf(&w.out, `\u%04x`, r)
		case r == 0x7F, charset.Hidden(r):
			w.job.Found.First("text.hidden", fmt.Sprintf("L%d", w.line), verdict.Removed, fmt.Sprintf("U+%04X", r))
		default:
			w.out.WriteString(w.s[w.at : w.at+n])
			said.WriteString(w.s[w.at : w.at+n])
		}
		w.at += n
	}
	return "", w.broken("text without end")
}

// escape is the length of the escape at the start of s, 0 for none.
func escape(s string) int {
	if len(s) < 2 {
		return 0
	}
	if s[1] != 'u' {
		if strings.IndexByte(`"\/bfnrt`, s[1]) < 0 {
			return 0
		}
		return 2
	}
	if len(s) < 6 || strings.Trim(s[2:6], "0123456789abcdefABCDEF") != "" {
		return 0
	}
	return 6
}

// meaning is what an escape stands for, as far as it matters for names and numbers: halves of surrogate pairs stay as they are.
func meaning(e string) string {
	if len(e) == 2 {
		return e[1:]
	}
	var r rune
	if _, err := fmt.Sscanf(e[2:], "%04x", &r); err != nil || 0xD800 <= r && r <= 0xDFFF {
		return e
	}
	return string(r)
}

// number is the length of the number at the start of s, 0 for none.
func number(s string) int {
	i := 0
	digits := func() int {
		from := i
		for i < len(s) && '0' <= s[i] && s[i] <= '9' {
			i++
		}
		return i - from
	}
	if i < len(s) && s[i] == '-' {
		i++
	}
	zero := i < len(s) && s[i] == '0'
	if n := digits(); n == 0 || zero && n > 1 {
		return 0
	}
	if i < len(s) && s[i] == '.' {
		if i++; digits() == 0 {
			return 0
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if digits() == 0 {
			return 0
		}
	}
	return i
}
