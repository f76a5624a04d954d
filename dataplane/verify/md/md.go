// Package md checks rebuilt Markdown.
//
// Problem: readers of Markdown disagree about everything but a few signs. Mechanism: patterns for those signs, over the whole text, code or
// not: what could open raw HTML, a link or a picture must be one of the harmless forms. Life cycle: one call of Check for a
// file. Invariant: nil means that no such sign stands there otherwise.
package md

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify/rule"
	"github.com/sekisho/sekisho/dataplane/verify/web"
)

const code = "verify.md"

var (
	opening  = regexp.MustCompile(`<[a-zA-Z/!?]`)
	autolink = regexp.MustCompile(`^<((?i:https?://|mailto:)[^<> \t\r\n]*)>`)
	picture  = regexp.MustCompile(`!\[`)
	inline   = regexp.MustCompile(`^!\[[^\[\]\n]*\]\(`)
	link     = regexp.MustCompile(`\](\(|:)`)
	target   = regexp.MustCompile(`^[ \t]*<?([^ \t\r\n)>]*)`)
	nowhere  = regexp.MustCompile(`^[ \t]*\)`)
	note     = regexp.MustCompile(`\[\^[^\n\]\[]{0,198}$`)
	absolute = regexp.MustCompile(`(?i)^(https?://|mailto:|tel:|#)`)
)

// Check reads rebuilt Markdown.
func Check(f *rule.File) error {
	s := string(bytes.TrimPrefix(f.In, []byte("\xEF\xBB\xBF")))
	if !web.Seen(strings.ReplaceAll(s, "\r", "")) {
		return rule.Refuse(code, "", "no UTF-8, or a character that nobody sees")
	}
	no := func(at int, what string) error {
		return rule.Refuse(code, fmt.Sprintf("L%d", 1+strings.Count(s[:at], "\n")), "%s", what)
	}
	for _, at := range opening.FindAllStringIndex(s, -1) {
		if m := autolink.FindStringSubmatch(s[at[0]:min(len(s), at[0]+2100)]); m == nil || !straight(f.Policy, m[1]) {
			return no(at[0], "raw HTML")
		}
	}
	for _, at := range picture.FindAllStringIndex(s, -1) {
		m := inline.FindString(s[at[0]:min(len(s), at[0]+4200)])
		if m == "" {
			return no(at[0], "a picture by reference")
		}
		d := target.FindStringSubmatch(s[at[0]+len(m) : min(len(s), at[0]+len(m)+8200)])[1]
		if d == "" || !straight(f.Policy, d) || strings.ContainsAny(d, ":#") {
			return no(at[0], "a picture from elsewhere")
		}
	}
	for _, at := range link.FindAllStringIndex(s, -1) {
		if s[at[1]-1] == ':' && note.MatchString(s[max(0, at[0]-200):at[0]]) {
			continue
		}
		behind := s[at[1]:min(len(s), at[1]+8200)]
		if !nowhere.MatchString(behind) && !straight(f.Policy, target.FindStringSubmatch(behind)[1]) {
			return no(at[0], "a link that may not be followed")
		}
	}
	return f.Ctx.Err()
}

// straight tells an address that no reader turns into another.
func straight(p verdict.Policy, a string) bool {
	return web.MayStay(p, a) && !strings.ContainsAny(a, "`'") && (absolute.MatchString(a) || !strings.Contains(a, "&"))
}
