// Package xml checks rebuilt XML.
//
// Problem: XML can name files, programs and other readings of itself. Mechanism: a tokenizer of its own for the one form that our
// writer writes: declaration, tags with one space before each attribute, values in double quotes, a few references; no
// document type, instruction, comment or CDATA. Life cycle: one call of Check for a file; Walk serves the family svg. Invariant: nil
// means that the whole file has that form, its tags match, its prefixes are declared, and no namespace of it does something.
package xml

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
	"github.com/sekisho/sekisho/dataplane/verify/web"
)

const code = "verify.xml"

const (
	head     = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	maxDepth = 500
)

// Attr is an attribute as it is written, with what its value stands for.
type Attr struct{ Name, Value string }

// Visitor is told what stands in a document. Nil: not asked.
type Visitor struct {
	Start func(name string, attrs []Attr) error
	Text  func(s string) error
	End   func(name string) error
}

var (
	name = regexp.MustCompile(`^([A-Za-z_\x{80}-\x{10FFFF}][-A-Za-z0-9._\x{80}-\x{10FFFF}]*)(:[A-Za-z_\x{80}-\x{10FFFF}][-A-Za-z0-9._\x{80}-\x{10FFFF}]*)?`)
	refs = regexp.MustCompile(`&(amp;|lt;|gt;|quot;|#9;|#10;)?`)
	back = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&amp;", "&", "&#9;", "\t", "&#10;", "\n")
)

// Walk reads a document to its last byte.
func Walk(ctx context.Context, b []byte, v Visitor) error {
	at := 0
	no := func(format string, args ...any) error {
		return rule.Refuse(code, fmt.Sprintf("byte %d", at), format, args...)
	}
	if !bytes.HasPrefix(b, []byte(head)) || !web.Seen(string(b)) {
		return no("no declaration, or a character that nobody sees")
	}
	at = len(head)
	var open []string
	rooted := false
	for tokens := 0; ; tokens++ {
		if tokens&0xFFF == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		rest := b[at:]
		if len(open) == 0 && rooted {
			if string(rest) != "\n" {
				return no("something behind the document element")
			}
			return nil
		}
		if len(rest) == 0 {
			return no("ends inside an element")
		}
		if rest[0] != '<' {
			i := bytes.IndexByte(rest, '<')
			if i < 0 || len(open) == 0 || !escaped(string(rest[:i])) {
				return no("text that is not written here")
			}
			if v.Text != nil {
				if err := v.Text(back.Replace(string(rest[:i]))); err != nil {
					return err
				}
			}
			at += i
			continue
		}
		if bytes.HasPrefix(rest, []byte("</")) {
			if len(open) == 0 || !bytes.HasPrefix(rest[2:], []byte(open[len(open)-1]+">")) {
				return no("an end tag that closes nothing")
			}
			n := open[len(open)-1]
			at += len(n) + 3
			open = open[:len(open)-1]
			if v.End != nil {
				if err := v.End(n); err != nil {
					return err
				}
			}
			continue
		}
		n := string(name.Find(rest[1:min(len(rest), 600)]))
		if n == "" || len(open) >= maxDepth {
			return no("no tag, or nested too deeply")
		}
		at += 1 + len(n)
		var attrs []Attr
		for b[at:] != nil && bytes.HasPrefix(b[at:], []byte(" ")) {
			at++
			key := string(name.Find(b[at:min(len(b), at+600)]))
			at += len(key)
			if key == "" || !bytes.HasPrefix(b[at:], []byte(`="`)) {
				return no("no attribute")
			}
			at += 2
			end := bytes.IndexByte(b[at:], '"')
			if end < 0 || !escaped(string(b[at:at+end])) || bytes.ContainsAny(b[at:at+end], "\n\t") {
				return no("a value that is not written here")
			}
			for _, a := range attrs {
				if a.Name == key {
					return no("attribute %s twice", key)
				}
			}
			if len(attrs) > 500 {
				return no("too many attributes")
			}
			attrs = append(attrs, Attr{key, back.Replace(string(b[at : at+end]))})
			at += end + 1
		}
		rooted = true
		empty := bytes.HasPrefix(b[at:], []byte("/>"))
		switch {
		case empty:
			at += 2
		case bytes.HasPrefix(b[at:], []byte(">")):
			at++
		default:
			return no("a tag without an end")
		}
		if v.Start != nil {
			if err := v.Start(n, attrs); err != nil {
				return err
			}
		}
		if !empty {
			open = append(open, n)
		} else if v.End != nil {
			if err := v.End(n); err != nil {
				return err
			}
		}
	}
}

// escaped tells text whose signs of markup are references of the few that are written.
func escaped(s string) bool {
	if strings.ContainsAny(s, "<>\"") {
		return false
	}
	for _, r := range refs.FindAllString(s, -1) {
		if r == "&" {
			return false
		}
	}
	return true
}

// inert tells a namespace of data. Those that show, load or run something are named by what they begin with.
var doing = regexp.MustCompile(`(?i)^(http://www\.w3\.org/(1999/xhtml|1998/Math/|2000/svg|\d+/XInclude|1999/XSL/|TR/WD-xsl|2001/xml-events|2002/xforms|ns/xbl)|urn:schemas-microsoft-com:(vml|xslt|office)|` +
	`http://www\.mozilla\.org/|http://schemas\.microsoft\.com/(winfx|office|visio)|urn:oasis:names:tc:opendocument:|http://openoffice\.org/|urn:openoffice:|` +
	`http://schemas\.openxmlformats\.org/|http://purl\.oclc\.org/ooxml/|http://ns\.adobe\.com/xdp/|http://www\.xfa\.org/)`)

// Check reads a rebuilt document of data.
func Check(f *rule.File) error {
	scopes := []map[string]bool{{"xml": true, "xmlns": true}}
	return Walk(f.Ctx, f.In, Visitor{
		Start: func(n string, attrs []Attr) error {
			scope := scopes[len(scopes)-1]
			for _, a := range attrs {
				prefix, isPrefix := strings.CutPrefix(a.Name, "xmlns:")
				if !isPrefix && a.Name != "xmlns" {
					continue
				}
				if doing.MatchString(a.Value) {
					return rule.Refuse(code, n, "namespace %q", a.Value)
				}
				if isPrefix && !scope[prefix] {
					more := map[string]bool{prefix: true}
					for p := range scope {
						more[p] = true
					}
					scope = more
				}
			}
			for _, q := range append([]Attr{{Name: n}}, attrs...) {
				if p, _, has := strings.Cut(q.Name, ":"); has && !scope[p] {
					return rule.Refuse(code, n, "prefix %q is not declared", p)
				}
			}
			scopes = append(scopes, scope)
			return nil
		},
		End: func(string) error { scopes = scopes[:len(scopes)-1]; return nil },
	})
}
