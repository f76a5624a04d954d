// Package html checks rebuilt pages.
//
// Problem: browsers read nearly anything as a page, each in its own way. Mechanism: one strict grammar, that of our writer, read by
// a tokenizer of its own: a fixed head, lower-case elements of a list that close in order, values in double quotes, four
// entities, no comment, no second reading. Life cycle: one call of Check for a file, of CheckBody for the body of a mail.
// Invariant: nil means that every byte belongs to that grammar and every address, style and picture was held to its rule.
package html

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
	"github.com/sekisho/sekisho/dataplane/verify/text"
	"github.com/sekisho/sekisho/dataplane/verify/web"
)

const code = "verify.html"

const maxDepth = 700

// elements that may stand in a body; true for those without an end.
var elements = func() map[string]bool {
	m := map[string]bool{"br": true, "hr": true, "img": true, "wbr": true, "col": true}
	for _, n := range strings.Fields(`address article aside footer header h1 h2 h3 h4 h5 h6 hgroup main nav section blockquote dd div dl dt figcaption figure li menu ol p pre ul
		a abbr b bdi cite code data dfn em i kbd mark q rp rt ruby rb rtc s samp small span strong sub sup time u var del ins
		caption colgroup table tbody td tfoot th thead tr details summary center font big tt strike acronym dir`) {
		m[n] = false
	}
	return m
}()

var names = regexp.MustCompile(`^(id|class|title|lang|dir|align|valign|width|height|bgcolor|color|face|size|border|cellpadding|cellspacing|colspan|rowspan|span|headers|scope|abbr|start|type|value|` +
	`reversed|datetime|name|alt|summary|nowrap|clear|noshade|compact|rules|frame|open|char|charoff|hspace|vspace|text|role)$`)

// Check reads a rebuilt page.
func Check(f *rule.File) error { return CheckBody(f, nil) }

// CheckBody reads the rebuilt HTML body of a mail; keep tells which pictures beside it, by Content-ID, it may show.
func CheckBody(f *rule.File, keep func(id string) bool) error {
	p := &page{ctx: f.Ctx, f: f, keep: keep, b: f.In}
	if err := characters(f.Ctx, f.In); err != nil {
		return err
	}
	return p.document()
}

func characters(ctx context.Context, b []byte) error {
	for i, count := 0, 0; i < len(b); count++ {
		if count&0xFFFF == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		r, n := text.UTF8(b[i:])
		if n == 0 || r < 0x20 && r != '\n' && r != '\t' || r == 0x7F || text.Invisible(r) {
			return rule.Refuse(code, fmt.Sprintf("byte %d", i), "no character that a reader sees")
		}
		i += n
	}
	return nil
}

// page is read from the front; at is how far.
type page struct {
	ctx    context.Context
	f      *rule.File
	keep   func(id string) bool
	b      []byte
	at     int
	images int
}

func (p *page) no(format string, args ...any) error {
	return rule.Refuse(code, fmt.Sprintf("byte %d", p.at), format, args...)
}

func (p *page) rest() []byte { return p.b[p.at:] }

func (p *page) take(s string) bool {
	if bytes.HasPrefix(p.rest(), []byte(s)) {
		p.at += len(s)
		return true
	}
	return false
}

func (p *page) document() error {
	p.take("<!DOCTYPE html>\n")
	if err := p.named("html"); err != nil {
		return err
	}
	if !p.take(`<head><meta charset="utf-8">`) {
		return p.no("the head does not begin with its encoding")
	}
	for !p.take("</head>") {
		switch {
		case p.take("<title>"):
			if _, err := p.words("<"); err != nil {
				return err
			}
			if !p.take("</title>") {
				return p.no("the title has no end")
			}
		case p.take("<style>\n"):
			if err := p.sheet(); err != nil {
				return err
			}
		default:
			return p.no("something else in the head")
		}
	}
	if err := p.named("body"); err != nil {
		return err
	}
	if err := p.body(); err != nil {
		return err
	}
	if !p.take("</html>") || p.at != len(p.b) {
		return p.no("the page does not end")
	}
	return nil
}

// named reads a start tag that must be there.
func (p *page) named(name string) error {
	n, _, err := p.start()
	if err == nil && n != name {
		err = p.no("<%s> in place of <%s>", n, name)
	}
	return err
}

// body reads to the end tag of the body.
func (p *page) body() error {
	open := []string{"body"}
	for count := 0; len(open) > 0; count++ {
		if count&0xFFF == 0 && p.ctx.Err() != nil {
			return p.ctx.Err()
		}
		if _, err := p.words("<"); err != nil {
			return err
		}
		last := open[len(open)-1]
		switch {
		case p.take("</" + last + ">"):
			open = open[:len(open)-1]
			continue
		case p.take("<style>\n"):
			if err := p.sheet(); err != nil {
				return err
			}
			continue
		}
		n, attrs, err := p.start()
		if err != nil {
			return err
		}
		alone, ok := elements[n]
		if !ok || len(open) > maxDepth {
			return p.no("<%s>, or nested too deeply", n)
		}
		if n == "img" {
			if err := p.picture(attrs); err != nil {
				return err
			}
		}
		if !alone {
			open = append(open, n)
		}
	}
	return nil
}

// words reads text up to one of the ends, with no entity but four.
func (p *page) words(ends string) (string, error) {
	from := p.at
	i := bytes.IndexAny(p.rest(), ends)
	if i < 0 {
		return "", p.no("the page ends early")
	}
	s := string(p.b[from : from+i])
	p.at += i
	if strings.ContainsAny(s, `<>"`) {
		return "", p.no("a sign of markup in text")
	}
	for rest := s; ; {
		_, after, found := strings.Cut(rest, "&")
		if !found {
			break
		}
		if !strings.HasPrefix(after, "amp;") && !strings.HasPrefix(after, "lt;") && !strings.HasPrefix(after, "gt;") && !strings.HasPrefix(after, "quot;") {
			return "", p.no("an entity that is not written here")
		}
		rest = after
	}
	return plain.Replace(s), nil
}

var plain = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&amp;", "&")

func (p *page) sheet() error {
	i := bytes.Index(p.rest(), []byte("</style>"))
	if i < 0 || bytes.IndexByte(p.rest()[:i], '<') >= 0 || !web.Sheet(string(p.rest()[:i]), p.look()) {
		return p.no("a style sheet that is not written here")
	}
	p.at += i + len("</style>")
	return nil
}

func (p *page) look() web.Look { return web.Look{Shown: p.f.Policy.Hidden == "remove"} }

var tag = regexp.MustCompile(`^<([a-z][a-z0-9]*)`)
var attribute = regexp.MustCompile(`^ ([a-z]+)="`)

// start reads a start tag and holds its attributes to their rules; src is left to who asked.
func (p *page) start() (name string, attrs map[string]string, err error) {
	m := tag.FindSubmatch(p.rest()[:min(len(p.rest()), 64)])
	if m == nil {
		return "", nil, p.no("no tag")
	}
	name = string(m[1])
	p.at += len(m[0])
	attrs = map[string]string{}
	for !p.take(">") {
		m := attribute.FindSubmatch(p.rest()[:min(len(p.rest()), 64)])
		if m == nil {
			return "", nil, p.no("no attribute")
		}
		key := string(m[1])
		p.at += len(m[0])
		v, err := p.words(`"`)
		if err != nil {
			return "", nil, err
		}
		p.at++
		if _, twice := attrs[key]; twice {
			return "", nil, p.no("%s twice", key)
		}
		attrs[key] = v
		ok := false
		switch {
		case key == "href":
			ok = name == "a" && web.MayStay(p.f.Policy, v)
		case key == "src":
			ok = name == "img"
		case key == "style":
			ok = web.Declarations(v, p.look())
		case key == "hidden":
			ok = !p.look().Shown
		default:
			ok = names.MatchString(key)
		}
		if !ok {
			return "", nil, p.no("attribute %s of <%s>", key, name)
		}
	}
	return name, attrs, nil
}

var inside = regexp.MustCompile(`^data:image/(png|jpeg|gif|bmp|webp);base64,`)

// picture has a picture in the page checked by its own family.
func (p *page) picture(attrs map[string]string) error {
	src, ok := attrs["src"]
	if !ok {
		return p.no("a picture without a source")
	}
	if id, beside := strings.CutPrefix(src, "cid:"); beside && p.keep != nil && p.keep(id) {
		return nil
	}
	m := inside.FindStringSubmatch(src)
	if m == nil {
		return p.no("a picture from elsewhere")
	}
	body, err := base64.StdEncoding.Strict().DecodeString(src[len(m[0]):])
	if err != nil {
		return p.no("a picture that is not base64")
	}
	p.images++
	return p.f.Nested(fmt.Sprintf("img%d", p.images), "image."+m[1], body)
}
