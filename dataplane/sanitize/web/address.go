package web

import (
	"path"
	"strings"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// maxAddress bounds an address, in bytes.
const maxAddress = 4096

// Address tells whether a link may lead there: to the web, to a mailbox or a telephone, to a place in the same document, or to a
// file beside it, of a kind that a rebuilder writes. Everything else may start a program, reach into the reader's disk or hand his
// password hash to a stranger's server: javascript:, data:, file:, UNC names, the schemes of programs, setup.exe and setup beside the
// page (Windows adds the ending), and addresses that show another host than they go to.
func Address(s string) bool {
	if s == "" || len(s) > maxAddress || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		// Browsers skip tabs and line ends inside a scheme and take a backslash for a slash.
		if r <= ' ' || r == 0x7F || r == '\\' || r == '<' || r == '>' || r == '"' || charset.Hidden(r) {
			return false
		}
	}
	if s[0] == '#' {
		return true
	}
	scheme, rest, has := strings.Cut(s, ":")
	if i := strings.IndexAny(s, "/?#"); i >= 0 && i < len(scheme) {
		has = false
	}
	if !has {
		return beside(s)
	}
	switch strings.ToLower(scheme) {
	case "http", "https":
		host, slashes := strings.CutPrefix(rest, "//")
		if i := strings.IndexAny(host, "/?#"); i >= 0 {
			host = host[:i]
		}
		return slashes && host != "" && !strings.ContainsAny(host, "@%")
	case "mailto":
		return !strings.Contains(strings.ToLower(rest), "attach")
	case "tel":
		return true
	}
	return false
}

// beside tells a relative address whose file is of a kind that a rebuilder writes. Who takes the whole of it for a name must not see
// another ending either: no query, and no dot in the fragment.
func beside(s string) bool {
	file, fragment, _ := strings.Cut(s, "#")
	return file != "" && file[0] != '/' && !strings.Contains(file, "..") && !strings.ContainsAny(file, "%:?") && verdict.FamilyOf(path.Base(file)) != "" && !strings.ContainsAny(fragment, "./?%")
}

// Leads tells an allowed address that leads out, to the web, a mailbox or a telephone: what a route without links does not want.
func Leads(s string) bool { return s[0] != '#' && strings.Contains(s, ":") }
