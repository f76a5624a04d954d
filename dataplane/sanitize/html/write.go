package html

import (
	"strings"

	parser "golang.org/x/net/html"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/sanitize/web"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// writer writes a tree in the strict form.
type writer struct {
	job      *rebuild.Job
	o        Options
	out      strings.Builder
	pictures map[string]string // address as read -> as written, "" for one that was refused; what was written maps to itself
	images   int
	nodes    int
	asked    bool
}

func (w *writer) found(code string, action verdict.Action, detail string) {
	if code != "" {
		w.job.Found.First(code, "", action, detail)
	}
}

// page writes the document: the head's title and styles, then the body.
func (w *writer) page(tree *parser.Node) error {
	var root, head, body *parser.Node
	for n := tree.FirstChild; n != nil; n = n.NextSibling {
		switch n.Type {
		case parser.DoctypeNode:
			w.out.WriteString("<!DOCTYPE html>\n") // a page without one is laid out by older rules, and stays without
		case parser.CommentNode:
			w.found("html.comment", verdict.Removed, "")
		case parser.ElementNode:
			root = n
		}
	}
	if root == nil {
		return rebuild.Refuse("html.broken", "", "no document element")
	}
	for n := root.FirstChild; n != nil; n = n.NextSibling {
		switch {
		case n.Data == "head":
			head = n
		case n.Data == "body":
			body = n
		case n.Data == "frameset":
			w.found("html.frame", verdict.Removed, "")
		case n.Type == parser.CommentNode:
			w.found("html.comment", verdict.Removed, "")
		}
	}
	w.start(root)
	w.out.WriteString("<head><meta charset=\"utf-8\">")
	if head != nil {
		if err := w.head(head); err != nil {
			return err
		}
	}
	w.out.WriteString("</head>")
	if body == nil {
		w.out.WriteString("<body>")
	} else {
		w.start(body)
		if err := w.children(body, 1); err != nil {
			return err
		}
	}
	w.out.WriteString("</body></html>")
	return nil
}

func (w *writer) head(head *parser.Node) error {
	for n := head.FirstChild; n != nil; n = n.NextSibling {
		switch {
		case n.Type == parser.CommentNode:
			w.found("html.comment", verdict.Removed, "")
		case n.Type != parser.ElementNode:
		case n.Data == "title":
			w.out.WriteString("<title>")
			w.text(strings.Join(strings.Fields(content(n)), " "))
			w.out.WriteString("</title>")
		case n.Data == "style":
			w.style(n)
		default:
			if err := w.element(n, 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// content is the text of an element's children.
func content(n *parser.Node) string {
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == parser.TextNode {
			b.WriteString(c.Data)
		}
	}
	return b.String()
}

func (w *writer) style(n *parser.Node) {
	s := web.Sheet(content(n), w.look())
	w.styled(s)
	if s.CSS != "" {
		w.out.WriteString("<style>\n" + s.CSS + "</style>")
	}
}

func (w *writer) styled(s web.Style) {
	if s.Dropped > 0 {
		w.found("html.style", verdict.Removed, "")
	}
	switch {
	case s.Hides && w.look().Reveal:
		w.found("html.hidden", verdict.Removed, "")
	case s.Hides:
		w.found("html.hidden", verdict.Reported, "")
	}
}

// look is what styles of this page may do.
func (w *writer) look() web.Look { return web.Look{Reveal: w.job.Policy.Hidden == "remove"} }

func (w *writer) children(n *parser.Node, depth int) error {
	if depth > maxDepth {
		return rebuild.Refuse("limit.depth", "", "")
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if w.nodes++; w.nodes&0xFFF == 0 && w.job.Ctx.Err() != nil {
			return w.job.Ctx.Err()
		}
		var err error
		switch c.Type {
		case parser.TextNode:
			w.text(c.Data)
		case parser.CommentNode:
			w.found("html.comment", verdict.Removed, "")
		case parser.ElementNode:
			err = w.element(c, depth)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) element(n *parser.Node, depth int) error {
	if code, out := gone[n.Data]; out || n.Namespace != "" {
		if n.Namespace != "" {
			code = "html.drawing"
		}
		switch n.Data {
		case "meta":
			if strings.EqualFold(attr(n, "http-equiv"), "refresh") {
				code = "html.refresh"
			}
		case "noscript", "canvas": // what readers without scripts see
			return w.children(n, depth+1)
		}
		w.found(code, verdict.Removed, n.Data)
		return nil
	}
	if w.look().Reveal && hidden(n) {
		w.found("html.hidden", verdict.Removed, "")
		return nil
	}
	if !elements[n.Data] || n.Data == "html" || n.Data == "head" || n.Data == "body" || n.Data == "title" {
		code, known := opened[n.Data]
		if !known {
			code = "html.unknown"
		}
		w.found(code, verdict.Removed, n.Data)
		if n.Data == "input" {
			if t := strings.ToLower(attr(n, "type")); t == "" || t == "text" || t == "submit" || t == "button" {
				w.text(attr(n, "value"))
			}
		}
		return w.children(n, depth+1)
	}
	switch n.Data {
	case "style":
		w.style(n)
		return nil
	case "img":
		return w.picture(n)
	}
	w.start(n)
	if void[n.Data] {
		return nil
	}
	if c := n.FirstChild; n.Data == "pre" && c != nil && c.Type == parser.TextNode && strings.HasPrefix(c.Data, "\n") {
		w.out.WriteByte('\n') // the first line end in it is not read
	}
	if err := w.children(n, depth+1); err != nil {
		return err
	}
	w.out.WriteString("</" + n.Data + ">")
	return nil
}

func attr(n *parser.Node, name string) string {
	for _, a := range n.Attr {
		if a.Namespace == "" && a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hidden(n *parser.Node) bool {
	for _, a := range n.Attr {
		if a.Key == "hidden" || a.Key == "style" && web.Declarations(a.Val, web.Look{}).Hides {
			return true
		}
	}
	return false
}

// start writes the start tag with the attributes that stay.
func (w *writer) start(n *parser.Node) {
	w.out.WriteString("<" + n.Data)
	for _, a := range n.Attr {
		w.keep(n, a)
	}
	w.out.WriteByte('>')
}

// keep writes an attribute, when it may stay.
func (w *writer) keep(n *parser.Node, a parser.Attribute) {
	v := w.job.Seen(a.Val)
	switch {
	case a.Namespace != "":
		w.found("html.unknown", verdict.Removed, a.Key)
		return
	case a.Key == "href" && n.Data == "a":
		v = strings.TrimSpace(a.Val)
		switch {
		case !web.Address(v):
			w.found("html.unsafe-link", verdict.Removed, v)
			return
		case w.job.Policy.Links == "remove" && web.Leads(v):
			w.found("html.link", verdict.Removed, v)
			return
		}
	case a.Key == "style":
		s := web.Declarations(v, w.look())
		if w.styled(s); s.CSS == "" {
			return
		}
		v = s.CSS
	case a.Key == "hidden" && w.look().Reveal:
		w.found("html.hidden", verdict.Removed, "")
		return
	case a.Key == "hidden":
		w.found("html.hidden", verdict.Reported, "")
	case strings.HasPrefix(a.Key, "on"):
		w.found("html.script", verdict.Removed, a.Key)
		return
	case addresses[a.Key]:
		w.found("html.external", verdict.Removed, a.Val)
		return
	case !attributes[a.Key]:
		w.found("html.attribute", verdict.Removed, a.Key)
		return
	}
	w.attribute(a.Key, v)
}

func (w *writer) attribute(name, value string) {
	w.out.WriteString(" " + name + "=\"")
	w.text(value)
	w.out.WriteByte('"')
}

var escapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

// text writes characters that a reader sees.
func (w *writer) text(s string) { _, _ = escapes.WriteString(&w.out, w.job.Seen(s)) }
