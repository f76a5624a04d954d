// Package svg rebuilds drawings.
//
// Problem: a drawing is a program where it is opened in a browser: it runs scripts, holds pages, loads pictures and styles from elsewhere,
// moves its own links, and ten lines that use each other draw a thousand million shapes. Mechanism: the XML is read by package
// markup into a tree of listed elements, attributes are held to lists, places may be named in the drawing only, pictures in it are rebuilt
// by their own family, and what all uses together would draw is counted before anything is written. Life cycle: one call of Rebuild for a
// file. Invariant: the result is XML in one form whose every element, attribute, address and style was on a list.
package svg

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/sanitize/web"
	"github.com/sekisho/sekisho/dataplane/sanitize/xml"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Bounds of a drawing: elements, and shapes that are drawn when every use is followed.
const (
	maxNodes  = 1_000_000
	maxShapes = 2_000_000
)

const (
	spaceSVG   = "http://www.w3.org/2000/svg"
	spaceXLink = "http://www.w3.org/1999/xlink"
)

// node is an element or, without a name, text.
type node struct {
	name     string
	attrs    []attr
	text     string
	children []*node
}

type attr struct{ name, value string }

func (n *node) get(name string) string {
	for _, a := range n.attrs {
		if a.name == name {
			return a.value
		}
	}
	return ""
}

// drawing is one on its way.
type drawing struct {
	job    *rebuild.Job
	x      *markup.Reader
	nodes  int
	images int
	asked  bool
}

// Rebuild rebuilds a drawing.
func Rebuild(j *rebuild.Job) (rebuild.Result, error) {
	b, err := xml.Prolog(j)
	if err != nil {
		return rebuild.Result{}, err
	}
	x, err := markup.New(b, map[string]string{spaceSVG: "svg", spaceXLink: "xlink"})
	if err != nil {
		return rebuild.Result{}, err
	}
	d := &drawing{job: j, x: x}
	var t markup.Token
	if err := x.Next(&t); err != nil {
		return rebuild.Result{}, err
	}
	if t.Kind != markup.Start || t.Local != "svg" || t.NS != "svg" && t.NS != "" {
		return rebuild.Result{}, rebuild.Refuse("svg.broken", "", "the document element is no svg")
	}
	root, err := d.element(&t)
	if err != nil {
		return rebuild.Result{}, err
	}
	if err := x.Next(&t); err != nil {
		return rebuild.Result{}, err
	}
	if d.asked {
		return rebuild.Result{}, rebuild.ErrAsked
	}
	if err := shapes(root); err != nil {
		return rebuild.Result{}, err
	}
	w := xml.NewWriter(j)
	d.write(w, root, true)
	if w.Err() != nil {
		return rebuild.Result{}, w.Err()
	}
	seen := rebuild.PreviewOf(words(root))
	return rebuild.Result{Body: w.Done(), Original: seen, Result: seen}, nil
}

func (d *drawing) found(code string, action verdict.Action, detail string) {
	if code != "" {
		d.job.Found.First(code, "", action, detail)
	}
}

// element reads an element, whose start is t, to its end. It answers nil for one that goes.
func (d *drawing) element(t *markup.Token) (*node, error) {
	if d.nodes++; d.nodes > maxNodes {
		return nil, rebuild.Refuse("limit.members", "", fmt.Sprintf("%d elements", maxNodes))
	}
	if d.nodes&0xFFF == 0 && d.job.Ctx.Err() != nil {
		return nil, d.job.Ctx.Err()
	}
	if t.NS != "svg" && t.NS != "" || !elements[t.Local] {
		code, known := gone[t.Local]
		switch {
		case t.NS != "svg" && t.NS != "":
			code = "svg.metadata"
		case !known:
			code = "svg.unknown"
		}
		d.found(code, verdict.Removed, t.Local)
		return nil, d.x.Skip(nil)
	}
	n := &node{name: t.Local}
	if err := d.attributes(n, t); err != nil {
		return nil, err
	}
	var said strings.Builder
	for {
		if err := d.x.Next(t); err != nil {
			return nil, err
		}
		switch t.Kind {
		case markup.End:
			if n.name == "style" {
				s := web.Sheet(said.String(), web.Look{Drawing: true})
				d.styled(s)
				n.children = []*node{{text: "\n" + s.CSS}}
				if s.CSS == "" {
					return nil, nil
				}
			}
			if n.name == "image" && n.get("href") == "" {
				return nil, nil
			}
			return n, nil
		case markup.Text:
			if s := string(markup.Unescape(t.Text)); n.name == "style" {
				said.WriteString(s)
			} else {
				n.children = append(n.children, &node{text: s})
			}
		case markup.Start:
			c, err := d.element(t)
			if err != nil {
				return nil, err
			}
			if c != nil && n.name != "style" {
				n.children = append(n.children, c)
			}
		}
	}
}

func (d *drawing) styled(s web.Style) {
	if s.Dropped > 0 {
		d.found("svg.style", verdict.Removed, "")
	}
	if s.Hides {
		d.found("svg.hidden", verdict.Reported, "")
	}
}

// attributes takes those that stay.
func (d *drawing) attributes(n *node, t *markup.Token) error {
	for _, a := range t.Attrs {
		if string(a.Name) == "xmlns" || strings.HasPrefix(string(a.Name), "xmlns:") {
			continue // written anew
		}
		ns, name, err := d.x.AttrName(a)
		if err != nil {
			return err
		}
		local, v := string(name), xml.Value(a.Value)
		switch {
		case ns == "xml" && (local == "space" || local == "lang"):
			local = "xml:" + local
		case (ns == "" || ns == "xlink") && local == "href":
			if v, err = d.address(n.name, v); err != nil {
				return err
			}
			if v == "" {
				continue
			}
		case ns != "":
			d.found("svg.metadata", verdict.Removed, local)
			continue
		case strings.HasPrefix(local, "on"):
			d.found("svg.script", verdict.Removed, local)
			continue
		case local == "style":
			s := web.Declarations(v, web.Look{Drawing: true})
			if d.styled(s); s.CSS == "" {
				continue
			}
			v = s.CSS
		case painted[local]:
			if v = strings.Join(strings.Fields(v), " "); !web.Value(local, v, true) {
				d.found("svg.style", verdict.Removed, local)
				continue
			}
		case !geometry[local] || !points(v):
			d.found("svg.attribute", verdict.Removed, local)
			continue
		}
		if n.get(local) != "" {
			continue // href beside xlink:href
		}
		n.attrs = append(n.attrs, attr{local, v})
	}
	return nil
}

// address answers what an element may lead to: a link to where links may, a picture rebuilt, anything else to a place in the drawing.
func (d *drawing) address(element, v string) (string, error) {
	v = strings.TrimSpace(v)
	switch {
	case element == "a":
		if !web.Address(v) || d.job.Policy.Links == "remove" && web.Leads(v) {
			d.found("svg.link", verdict.Removed, v)
			return "", nil
		}
		return v, nil
	case element == "image":
		return d.picture(v)
	case !strings.HasPrefix(v, "#") || !points(v):
		d.found("svg.external", verdict.Removed, v)
		return "", nil
	}
	return v, nil
}

// kinds of pictures that lie in an address, by their media type, as the names that their families expect. No drawing in drawings.
var kinds = map[string]string{"png": "png", "jpeg": "jpg", "jpg": "jpg", "gif": "gif", "bmp": "bmp", "webp": "webp"}

// written are the media types of rebuilt pictures, by family.
var written = map[string]string{"png": "png", "jpeg": "jpeg", "gif": "gif", "bmp": "bmp", "webp": "webp"}

func (d *drawing) picture(v string) (string, error) {
	d.images++
	place := fmt.Sprintf("image%d", d.images)
	kind, data, ok := strings.Cut(v, ",")
	media, inside := strings.CutPrefix(strings.ToLower(kind), "data:image/")
	media, encoded := strings.CutSuffix(media, ";base64")
	body, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(data), ""))
	if ext := kinds[media]; ok && inside && encoded && err == nil && ext != "" {
		res, err := d.job.Nested(place, "image."+ext, body, true)
		switch {
		case errors.Is(err, rebuild.ErrAsked):
			d.asked = true
			return "", nil
		case err != nil && !rebuild.Refused(err):
			return "", err
		case err == nil && written[res.Family] != "":
			return "data:image/" + written[res.Family] + ";base64," + base64.StdEncoding.EncodeToString(res.Body), nil
		}
	}
	d.job.Found.Add("svg.picture", place, verdict.Removed, kind[:min(len(kind), 60)])
	return "", nil
}

func (d *drawing) write(w *xml.Writer, n *node, root bool) {
	if n.name == "" {
		w.Text(n.text)
		return
	}
	w.Open(n.name)
	if root {
		w.Attr("xmlns", spaceSVG)
		w.Attr("xmlns:xlink", spaceXLink)
	}
	for _, a := range n.attrs {
		if a.name == "href" {
			a.name = "xlink:href" // which all readers know
		}
		w.Attr(a.name, a.value)
	}
	w.Close(len(n.children) == 0)
	if len(n.children) == 0 {
		return
	}
	for _, c := range n.children {
		d.write(w, c, false)
	}
	w.End(n.name)
}

// words are what the drawing says.
func words(n *node) string {
	var b strings.Builder
	var walk func(n *node)
	walk = func(n *node) {
		b.WriteString(n.text)
		for _, c := range n.children {
			if c.name != "style" && b.Len() < 8*rebuild.PreviewChars {
				walk(c)
			}
		}
		if n.name == "text" || n.name == "title" || n.name == "desc" {
			b.WriteByte('\n')
		}
	}
	walk(n)
	lines := strings.Split(b.String(), "\n")
	kept := lines[:0]
	for _, l := range lines {
		if l = strings.TrimSpace(l); l != "" {
			kept = append(kept, l)
		}
	}
	return strings.Join(kept, "\n")
}
