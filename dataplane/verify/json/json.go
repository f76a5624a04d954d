// Package json checks rebuilt JSON.
//
// Problem: what is nearly JSON is read differently by each reader. Mechanism: a table of states over the bytes, beside a stack of what is
// open. Life cycle: one call of Check for a file. Invariant: nil means one value of RFC 8259 in UTF-8, no deeper than our writer
// writes, with no character in it that nobody sees.
package json

import (
	"fmt"
	"regexp"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
	"github.com/sekisho/sekisho/dataplane/verify/web"
)

const (
	code     = "verify.json"
	maxDepth = 512
)

var (
	white  = regexp.MustCompile(`^[ \t\r\n]*`)
	quoted = regexp.MustCompile(`^"([^"\\\x00-\x1f]|\\(["\\/bfnrt]|u[0-9a-fA-F]{4}))*"`)
	scalar = regexp.MustCompile(`^(true|false|null|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?)`)
)

// Check reads rebuilt JSON.
func Check(f *rule.File) error {
	b := f.In
	if !seen(b) {
		return rule.Refuse(code, "", "no UTF-8, or a character that nobody sees")
	}
	at := 0
	no := func(what string) error { return rule.Refuse(code, fmt.Sprintf("byte %d", at), "%s", what) }
	skip := func() { at += len(white.Find(b[at:])) }
	is := func(c byte) bool {
		if at < len(b) && b[at] == c {
			at++
			return true
		}
		return false
	}
	var open []byte
	text := func() bool { n := len(quoted.Find(b[at:])); at += n; return n > 0 }
	name := func() bool {
		if skip(); !text() {
			return false
		}
		skip()
		return is(':')
	}
	for count := 0; ; count++ {
		if count&0xFFF == 0 && f.Ctx.Err() != nil {
			return f.Ctx.Err()
		}
		skip()
		switch {
		case len(open) > maxDepth:
			return no("nested too deeply")
		case is('{'):
			if skip(); !is('}') {
				if open = append(open, '}'); !name() {
					return no("no name")
				}
				continue
			}
		case is('['):
			if skip(); !is(']') {
				open = append(open, ']')
				continue
			}
		case text():
		default:
			n := len(scalar.Find(b[at:]))
			if at += n; n == 0 {
				return no("no value")
			}
		}
		for {
			skip()
			if len(open) == 0 {
				if at != len(b) {
					return no("something behind the value")
				}
				return nil
			}
			last := open[len(open)-1]
			if is(last) {
				open = open[:len(open)-1]
				continue
			}
			if !is(',') || last == '}' && !name() {
				return no("neither comma nor end")
			}
			break
		}
	}
}

// seen tells UTF-8 without characters that nobody sees; a carriage return is white space here.
func seen(b []byte) bool {
	plain := make([]byte, 0, len(b))
	for _, c := range b {
		if c != '\r' {
			plain = append(plain, c)
		}
	}
	return web.Seen(string(plain))
}
