// Package web holds what pages and drawings may name and how they may look.
//
// Problem: addresses start programs and tell strangers who reads, and styles load files, run expressions, and show other text than
// stands there. Mechanism: a reader for each that knows only what may pass: schemes, properties, functions. Life cycle: called for
// each attribute and each style sheet by the families html, svg and md. Invariant: what is answered was written here, from
// pieces that are on the lists; it holds no url(), no escape, no markup.
package web

import (
	"strings"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
)

// Style is what became of declarations or of a sheet.
type Style struct {
	CSS     string
	Dropped int  // declarations and rules that did not pass
	Hides   bool // something is made invisible
}

// Look is where a style stands and what it may do.
type Look struct {
	Drawing bool // paint may be taken from a place in the drawing: url(#name)
	Reveal  bool // nothing may be hidden: declarations that hide go, and what they hid is seen
}

// maxRules bounds a style sheet.
const maxRules = 20_000

// properties that pass. Those that insert text, load something, or put text elsewhere than it stands are not here.
var properties = set(`color background background-color font font-family font-size font-style font-weight font-variant font-stretch font-size-adjust
	font-kerning font-feature-settings font-variant-east-asian font-variant-numeric
	text-align text-align-last text-decoration text-decoration-line text-decoration-style text-decoration-color text-underline-position text-transform
	text-justify text-emphasis text-emphasis-style text-emphasis-color text-emphasis-position text-combine-upright text-orientation text-overflow text-rendering
	line-height line-break letter-spacing word-spacing white-space word-break overflow-wrap word-wrap hyphens tab-size vertical-align direction writing-mode
	ruby-align ruby-position list-style list-style-type list-style-position
	border border-top border-right border-bottom border-left border-width border-style border-color border-radius border-collapse border-spacing
	border-top-width border-right-width border-bottom-width border-left-width border-top-style border-right-style border-bottom-style border-left-style
	border-top-color border-right-color border-bottom-color border-left-color border-top-left-radius border-top-right-radius border-bottom-left-radius border-bottom-right-radius
	padding padding-top padding-right padding-bottom padding-left margin margin-top margin-right margin-bottom margin-left
	width height min-width min-height max-width max-height box-sizing box-shadow display visibility opacity float clear overflow overflow-x overflow-y
	table-layout caption-side empty-cells page-break-before page-break-after page-break-inside break-before break-after break-inside orphans widows size
	columns column-count column-gap column-width column-rule column-span gap row-gap flex flex-direction flex-wrap flex-grow flex-shrink flex-basis
	align-items align-content align-self justify-content justify-items justify-self grid-template-columns grid-template-rows grid-column grid-row
	outline outline-color outline-style outline-width
	fill fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-linecap stroke-linejoin stroke-miterlimit stroke-dasharray stroke-dashoffset
	stop-color stop-opacity clip-rule paint-order vector-effect shape-rendering color-rendering image-rendering color-interpolation color-interpolation-filters
	text-anchor dominant-baseline alignment-baseline baseline-shift flood-color flood-opacity lighting-color enable-background isolation mix-blend-mode marker
	marker-start marker-mid marker-end clip-path mask filter solid-color solid-opacity transform-origin`)

// local are the properties whose value may be a place in the same drawing.
var local = set("fill stroke marker marker-start marker-mid marker-end clip-path mask filter")

// functions that pass in values.
var functions = set("rgb rgba hsl hsla calc min max repeat minmax")

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// Declarations rebuilds the value of a style attribute.
func Declarations(s string, look Look) Style {
	var out Style
	var b strings.Builder
	for _, d := range split(uncomment(s)) {
		d = strings.TrimSpace(d)
		if d == "" {
			continue
		}
		name, value, ok := strings.Cut(d, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.Join(strings.Fields(value), " ")
		if !ok || !properties[name] || !Value(name, value, look.Drawing) {
			out.Dropped++
			continue
		}
		if hides(name, value) {
			if out.Hides = true; look.Reveal {
				continue
			}
		}
		if b.Len() > 0 {
			b.WriteByte(';')
		}
		b.WriteString(name + ":" + value)
	}
	out.CSS = b.String()
	return out
}

// uncomment takes comments out; one without an end takes the rest with it, as readers do.
func uncomment(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "/*")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if _, s, found = strings.Cut(after, "*/"); !found {
			return b.String()
		}
		b.WriteByte(' ')
	}
}

// split parts declarations at semicolons that stand in no quotes and no brackets.
func split(s string) []string {
	var parts []string
	var quote byte
	depth, from := 0, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == ';' && depth == 0:
			parts = append(parts, s[from:i])
			from = i + 1
		}
	}
	return append(parts, s[from:])
}

// Value tells whether a property may have the value: words, numbers, colours, quoted names and the functions of the list.
func Value(property, v string, drawing bool) bool {
	if v == "" || len(v) > 2000 || !utf8.ValidString(v) {
		return false
	}
	if drawing && local[property] {
		if rest, ok := strings.CutPrefix(v, "url(#"); ok {
			name, after, ok := strings.Cut(rest, ")")
			if !ok || !isName(name) {
				return false
			}
			if v = strings.TrimSpace(after); v == "" {
				return true
			}
		}
	}
	var quote rune
	depth, word := 0, 0 // word: where the name before a bracket begins
	for i, r := range v {
		switch {
		case r < 0x20, r == 0x7F, r == '\\', r == '<', r == '{', r == '}', r == '@', r == '&', r == '`', charset.Hidden(r), r == utf8.RuneError:
			return false
		case quote != 0:
			if r == quote {
				quote = 0
			} else if r == ';' || r == '(' || r == ')' || r == ':' || r == '"' || r == '\'' || r == '/' || r == '*' || r == '>' {
				return false // nothing that another reader could take out of the quotes
			}
		case r == '"', r == '\'':
			quote = r
		case r == '(':
			if name := strings.ToLower(v[word:i]); !functions[name] && !(name == "" && depth > 0) {
				return false
			}
			if depth++; depth > 8 {
				return false
			}
		case r == ')':
			if depth--; depth < 0 {
				return false
			}
		case r == ':', r == ';', r == '>', r == '[', r == ']', r == '$', r == '^', r == '~', r == '|', r == '=', r == '?':
			return false
		}
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r >= 0x80) {
			word = i + 1
		}
	}
	return quote == 0 && depth == 0
}

func isName(s string) bool {
	for _, r := range s {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.' || r >= 0x80 && !charset.Hidden(r)) {
			return false
		}
	}
	return s != "" && len(s) < 256
}

// hides tells declarations that make text invisible.
func hides(name, value string) bool {
	first := strings.ToLower(value)
	if i := strings.IndexAny(first, " !"); i >= 0 {
		first = first[:i]
	}
	switch name {
	case "display":
		return first == "none"
	case "visibility":
		return first == "hidden" || first == "collapse"
	case "opacity", "font-size", "fill-opacity":
		number := strings.TrimLeft(strings.TrimRight(first, "%abcdefghijklmnopqrstuvwxyz"), "+-")
		return strings.Contains(number, "0") && strings.Trim(number, "0.") == ""
	}
	return false
}

// Sheet rebuilds a style sheet: rules whose selectors are plain, in or out of @media, and @page.
func Sheet(s string, look Look) Style {
	s = strings.NewReplacer("<!--", " ", "-->", " ", "<![CDATA[", " ", "]]>", " ").Replace(uncomment(s))
	var out Style
	var b strings.Builder
	rules := 0
	for inMedia := false; ; {
		s = strings.TrimLeft(s, " \t\r\n\f")
		if s == "" {
			if inMedia {
				b.WriteString("}\n")
			}
			out.CSS = b.String()
			return out
		}
		if s[0] == '}' {
			if s = s[1:]; inMedia {
				inMedia = false
				b.WriteString("}\n")
			}
			continue
		}
		if rules++; rules > maxRules {
			out.Dropped++
			s = ""
			continue
		}
		i := strings.IndexAny(s, "{;")
		if i < 0 || s[i] == ';' && s[0] != '@' {
			out.Dropped++
			if i < 0 {
				s = ""
			} else {
				s = s[i+1:]
			}
			continue
		}
		if s[i] == ';' { // @import, @charset, @namespace
			out.Dropped++
			s = s[i+1:]
			continue
		}
		head := strings.Join(strings.Fields(s[:i]), " ")
		if lower := strings.ToLower(head); strings.HasPrefix(lower, "@media ") && !inMedia && plain(head[7:], " (),:-.") {
			inMedia, s = true, s[i+1:]
			b.WriteString("@media " + head[7:] + "{\n")
			continue
		}
		body, rest := block(s[i+1:])
		s = rest
		if !strings.EqualFold(head, "@page") && !selector(head) || strings.ContainsAny(body, "{}") {
			out.Dropped++
			continue
		}
		d := Declarations(body, look)
		out.Dropped += d.Dropped
		out.Hides = out.Hides || d.Hides
		if d.CSS != "" {
			b.WriteString(head + "{" + d.CSS + "}\n")
		}
	}
}

// block answers what stands before the bracket that closes, and what follows it.
func block(s string) (body, rest string) {
	depth := 1
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return s[:i], s[i+1:]
			}
		}
	}
	return s, ""
}

func selector(s string) bool { return s != "" && s[0] != '@' && plain(s, ` .#,:>+~*()[]="'^$|-_`) }

// plain tells text of letters, digits and the signs alone.
func plain(s, signs string) bool {
	for _, r := range s {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(signs, r) || r >= 0x80 && r != utf8.RuneError && !charset.Hidden(r)) {
			return false
		}
	}
	return len(s) < 4000
}
