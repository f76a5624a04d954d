package revision

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Via is the way by which a person asks.
type Via string

const (
	Console Via = "console" // root's command line on the box
	Web     Via = "web"     // the management zone's portal
)

// Root is who asks at the console when nobody can tell which person sits there: the kernel only says that it is root.
const Root = "root"

// Author is the person who asks, as far as control knows by itself.
type Author struct {
	ID      string    // of the signed-in person; at the console the login that the kernel keeps for the session, or Root
	Via     Via       // a person who asks by another way is not the same one for a confirmation
	Request string    // this request or, at the console, its connection; no two are alike
	Began   time.Time // when the request came in
	Claim   string    // whom the terminal names, which proves nothing: it is shown, and can only make things stricter
	Login   string    // that the kernel keeps for the session at the console; root can change it, so it proves no more than a claim
	Proven  bool      // by the directory: ID is one of its administrators, who has shown the password
}

func (a Author) String() string {
	if a.Claim != "" && a.Claim != a.ID {
		return a.ID + ", as " + a.Claim
	}
	return a.ID
}

// named tells whether it is known which person asks.
func (a Author) named() bool { return a.ID != "" && a.ID != Root }

// same tells whether two are the same person by all that is known.
func (a Author) same(b Author) bool { return a.ID == b.ID && a.Via == b.Via && a.Claim == b.Claim }

// another tells whether two are surely different persons: the directory knows both, and nothing that is said of the one is said of
// the other.
func (a Author) another(b Author) bool {
	for _, x := range []string{a.ID, a.Claim, a.Login} {
		for _, y := range []string{b.ID, b.Claim, b.Login} {
			if x != "" && strings.EqualFold(x, y) {
				return false
			}
		}
	}
	return a.Proven && b.Proven
}

// mark adds to an event what its actor does not say.
func (a Author) mark(fields map[string]string) {
	fields["via"] = string(a.Via)
	if a.Claim != a.ID {
		fields["claim"] = a.Claim
	}
	if a.Login != "" && a.Login != a.ID {
		fields["login"] = a.Login
	}
}

func (a Author) zone() string {
	if a.Via == Web {
		return anchors.Management.String()
	}
	return ""
}

// mostComment is how many characters a comment may have.
const mostComment = 300

// readable refuses a comment that, in the history, would be more than a line of text: it ends on terminals, root's among them, where
// control characters are orders and others turn the line round.
func readable(comment string) error {
	switch {
	case utf8.RuneCountInString(comment) > mostComment:
		return &Denied{"comment", fmt.Sprintf("it has more than %d characters: make it shorter", mostComment)}
	case !utf8.ValidString(comment) || strings.ContainsFunc(comment, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) }):
		return &Denied{"comment", "it may hold neither control characters nor line breaks: write it in one line"}
	}
	return nil
}

// Denied is the answer to an act that is not this person's, or not at this time.
type Denied struct{ Act, Why string }

func (d *Denied) Error() string { return d.Act + ": " + d.Why }
