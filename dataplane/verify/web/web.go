// Package web checks what rebuilt pages and drawings name and how they look.
//
// Problem: an address or a style that slipped through acts as soon as the page is opened. Mechanism: patterns over the one form that
// our writer writes, not the forms that browsers read. Life cycle: called for each attribute and each sheet. Invariant: true and nil
// mean that no other form than the listed one is there.
package web

import (
	"regexp"
	"strings"

	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify/text"
)

var (
	onTheWeb = regexp.MustCompile(`^[hH][tT][tT][pP][sS]?://[^/?#@%\\]+([/?#]|$)`)
	toSome   = regexp.MustCompile(`^([mM][aA][iI][lL][tT][oO]|[tT][eE][lL]):`)
	attached = regexp.MustCompile(`(?i)^mailto:.*attach`)
	beside   = regexp.MustCompile(`^[^/:#%?][^:#%?]*\.[a-z0-9A-Z]+(#[^./?%]*)?$`)
)

// Address tells whether a link may lead there: the web, a mailbox, a telephone, a place in this document, a file beside it that a
// rebuilder may have written.
func Address(s string) bool {
	if s == "" || len(s) > 4096 || !Seen(s) || strings.ContainsAny(s, " \t\r\n\\<>\"") {
		return false
	}
	switch {
	case s[0] == '#':
		return true
	case onTheWeb.MatchString(s):
		return true
	case toSome.MatchString(s):
		return !attached.MatchString(s)
	}
	before, _, _ := strings.Cut(s, "#")
	return beside.MatchString(s) && !strings.Contains(before, "..") && verdict.FamilyOf(before) != ""
}

// MayStay is Address for a route, which may want no links to the web, to mailboxes and telephones.
func MayStay(p verdict.Policy, s string) bool {
	return Address(s) && (p.Links != "remove" || s[0] == '#' || !strings.Contains(s, ":"))
}

// Seen tells text that holds no control and no hidden character but line ends and tabs.
func Seen(s string) bool {
	for i := 0; i < len(s); {
		r, n := text.UTF8([]byte(s[i:min(len(s), i+4)]))
		if n == 0 || r < 0x20 && r != '\n' && r != '\t' || r == 0x7F || text.Invisible(r) {
			return false
		}
		i += n
	}
	return true
}

// looks are the properties that may be set.
var looks = regexp.MustCompile(`^(color|background(-color)?|font(-(family|size|style|weight|variant|stretch|size-adjust|kerning|feature-settings|variant-east-asian|variant-numeric))?|` +
	`text-(align|align-last|decoration(-line|-style|-color)?|underline-position|transform|justify|emphasis(-style|-color|-position)?|combine-upright|orientation|overflow|rendering|anchor)|` +
	`line-(height|break)|(letter|word)-spacing|white-space|word-(break|wrap)|overflow(-wrap|-x|-y)?|hyphens|tab-size|vertical-align|direction|writing-mode|ruby-(align|position)|` +
	`list-style(-type|-position)?|border(-(top|right|bottom|left))?(-(width|style|color))?|border-(collapse|spacing|radius|(top|bottom)-(left|right)-radius)|(padding|margin)(-(top|right|bottom|left))?|` +
	`(min-|max-)?(width|height)|box-(sizing|shadow)|display|visibility|opacity|float|clear|table-layout|caption-side|empty-cells|(page-)?break-(before|after|inside)|orphans|widows|size|` +
	`columns|column-(count|gap|width|rule|span)|(row-)?gap|flex(-(direction|wrap|grow|shrink|basis))?|align-(items|content|self)|justify-(content|items|self)|grid-(template-)?(columns?|rows?)|` +
	`outline(-(color|style|width))?|fill(-opacity|-rule)?|stroke(-(width|opacity|linecap|linejoin|miterlimit|dasharray|dashoffset))?|stop-(color|opacity)|clip-(rule|path)|paint-order|vector-effect|` +
	`(shape|color|image)-rendering|color-interpolation(-filters)?|(dominant|alignment)-baseline|baseline-shift|flood-(color|opacity)|lighting-color|enable-background|isolation|mix-blend-mode|` +
	`marker(-start|-mid|-end)?|mask|filter|solid-(color|opacity)|transform-origin)$`)

var (
	// Outside of quotes a value has words, numbers, the listed functions and a few signs; inside, only the name of a font or the like.
	value = regexp.MustCompile(`^("[^"'<>{}()@&:;\\/*` + "`" + `]*"|'[^"'<>{}()@&:;\\/*` + "`" + `]*'|[-+ a-zA-Z0-9_#.,%!/*()\x{80}-\x{10FFFF}])+$`)
	calls = regexp.MustCompile(`([-a-zA-Z0-9_\x{80}-\x{10FFFF}]*)\(`)
	known = regexp.MustCompile(`(?i)^(rgba?|hsla?|calc|min|max|repeat|minmax)?$`)
	place = regexp.MustCompile(`^url\(#[-a-zA-Z0-9_.\x{80}-\x{10FFFF}]+\)`)
	drawn = regexp.MustCompile(`^(fill|stroke|marker(-start|-mid|-end)?|clip-path|mask|filter)$`)
)

// Paint tells whether a property of a drawing, also one that is an attribute of its own, may have the value.
func Paint(name, v string, drawing bool) bool {
	if drawing && drawn.MatchString(name) {
		if v = strings.TrimPrefix(place.ReplaceAllString(v, ""), " "); v == "" {
			return true
		}
	}
	if !Seen(v) || !value.MatchString(v) || strings.Contains(v, "/*") || strings.ContainsAny(v, "\n\t") {
		return false
	}
	for _, c := range calls.FindAllStringSubmatch(v, -1) {
		if !known.MatchString(c[1]) {
			return false
		}
	}
	return true
}

// Look is where a style stands.
type Look struct {
	Drawing bool // and may take paint from another place in it
	Shown   bool // in a page of a route that wants nothing hidden
}

var unseen = regexp.MustCompile(`(?i)^(display:none|visibility:(hidden|collapse)|(opacity|font-size|fill-opacity):[-+]*[.]*0[0.]*[%a-z]*)( |!|$)`)

// Declarations tells whether a style attribute is one that our writer writes.
func Declarations(s string, look Look) bool {
	for d := range strings.SplitSeq(s, ";") {
		name, v, ok := strings.Cut(d, ":")
		if !ok || !looks.MatchString(name) || !Paint(name, v, look.Drawing) || look.Shown && unseen.MatchString(d) {
			return false
		}
	}
	return true
}

var (
	chosen = regexp.MustCompile(`^[- .#,:>+~*()\[\]="'^$|_a-zA-Z0-9\x{80}-\x{10FFFF}]+$`)
	media  = regexp.MustCompile(`^@media [- .,:()a-zA-Z0-9\x{80}-\x{10FFFF}]*\{$`)
)

// Sheet tells whether a style sheet is one that our writer writes: a rule a line, @media around some.
func Sheet(s string, look Look) bool {
	body, ended := strings.CutSuffix(s, "\n")
	if !ended {
		return false
	}
	inside := false
	for l := range strings.SplitSeq(body, "\n") {
		switch {
		case !inside && media.MatchString(l):
			inside = true
			continue
		case inside && l == "}":
			inside = false
			continue
		}
		head, rest, ok := strings.Cut(l, "{")
		rest, closed := strings.CutSuffix(rest, "}")
		if !ok || !closed || head != "@page" && !strings.EqualFold(head, "@page") && !chosen.MatchString(head) || !Seen(l) || !Declarations(rest, look) {
			return false
		}
	}
	return !inside
}
