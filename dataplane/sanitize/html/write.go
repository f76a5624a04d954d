package html

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	parser "golang.org/x/net/html"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
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
	s := web.Sheet(content(n), false)
	w.styled(s)
	if s.CSS != "" {
		w.out.WriteString("<style>\n" + s.CSS + "</style>")
	}
}

func (w *writer) styled(s web.Style) {
	if s.Dropped > 0 {
		w.found("html.style", verdict.Removed, "")
	}
	if s.Hides {
		w.found("html.hidden", verdict.Reported, "")
	}
}

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
	if w.job.Policy.Hidden == "remove" && hidden(n) {
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
		if a.Key == "hidden" || a.Key == "style" && web.Declarations(a.Val, false).Hides {
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
	v := w.visible(a.Val)
	switch {
	case a.Namespace != "":
		w.found("html.unknown", verdict.Removed, a.Key)
		return
	case a.Key == "href" && n.Data == "a":
		v = strings.TrimSpace(a.Val)
		switch {
		case w.job.Policy.Links == "remove" && !strings.HasPrefix(v, "#"):
			w.found("html.link", verdict.Removed, v)
			return
		case !web.Address(v):
			w.found("html.unsafe-link", verdict.Removed, v)
			return
		}
	case a.Key == "style":
		s := web.Declarations(v, false)
		if w.styled(s); s.CSS == "" {
			return
		}
		v = s.CSS
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
func (w *writer) text(s string) { _, _ = escapes.WriteString(&w.out, w.visible(s)) }

// visible is text without controls and hidden characters.
func (w *writer) visible(s string) string {
	ok := true
	for _, r := range s {
		if r < 0x20 && r != '\n' && r != '\t' || r >= 0x7F && (r == 0x7F || r == utf8.RuneError || charset.Hidden(r)) {
			ok = false
			break
		}
	}
	if ok {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case r == '\r':
			return '\n'
		case r < 0x20, r == 0x7F:
			w.found("text.control", verdict.Removed, fmt.Sprintf("U+%04X", r))
			return -1
		case charset.Hidden(r):
			w.found("text.hidden", verdict.Removed, fmt.Sprintf("U+%04X", r))
			return -1
		}
		return r
	}, s)
}

// kinds of pictures that lie in an address, by their media type, as the names that their families expect.
var kinds = map[string]string{"png": "png", "jpeg": "jpg", "jpg": "jpg", "pjpeg": "jpg", "gif": "gif", "bmp": "bmp", "x-ms-bmp": "bmp", "webp": "webp", "tiff": "tif", "svg+xml": "svg"}

// written are the media types of rebuilt pictures, by family.
var written = map[string]string{"png": "png", "jpeg": "jpeg", "gif": "gif", "bmp": "bmp", "webp": "webp"}

// picture writes an image that lies in the page or beside it in the mail; one that would be fetched becomes its words.
func (w *writer) picture(n *parser.Node) error {
	src := strings.TrimSpace(attr(n, "src"))
	uri, err := w.source(src)
	if err != nil {
		return err
	}
	if uri == "" {
		words := strings.TrimSpace(attr(n, "alt"))
		if words == "" {
			words = "画像"
		}
		if n.Parent != nil && (n.Parent.Data == "table" || n.Parent.Data == "tr" || n.Parent.Data == "tbody") {
			return nil
		}
		w.text("[" + words + "]")
		return nil
	}
	w.out.WriteString("<img")
	for _, a := range n.Attr {
		switch a.Key {
		case "src", "srcset", "sizes", "loading", "decoding":
		default:
			w.keep(n, a)
		}
	}
	w.attribute("src", uri)
	w.out.WriteByte('>')
	return nil
}

// source answers the address to write for a picture, "" for none.
func (w *writer) source(src string) (string, error) {
	if uri, seen := w.pictures[src]; seen {
		return uri, nil
	}
	lower := strings.ToLower(src[:min(len(src), 64)])
	switch {
	case strings.HasPrefix(lower, "cid:"):
		if id := src[4:]; w.o.Keep != nil && plainID(id) && w.o.Keep(id) {
			return "cid:" + id, nil
		}
		w.found("html.picture", verdict.Removed, src)
		return "", nil
	case !strings.HasPrefix(lower, "data:"):
		w.found("html.picture", verdict.Removed, src)
		return "", nil
	}
	w.images++
	place := fmt.Sprintf("img%d", w.images)
	w.pictures[src] = ""
	kind, data, _ := strings.Cut(src[5:], ",")
	media, params, _ := strings.Cut(kind, ";")
	ext := kinds[strings.TrimPrefix(strings.ToLower(strings.TrimSpace(media)), "image/")]
	body, err := base64.StdEncoding.DecodeString(strings.Map(dropSpace, data))
	if ext == "" || err != nil || !strings.EqualFold(strings.TrimSpace(params), "base64") {
		w.job.Found.Add("html.picture", place, verdict.Removed, media)
		return "", nil
	}
	res, err := w.job.Nested(place, "image."+ext, body, true)
	switch {
	case errors.Is(err, rebuild.ErrAsked):
		w.asked = true
		delete(w.pictures, src)
		return "", nil
	case rebuild.Refused(err):
		w.job.Found.Add("html.picture", place, verdict.Removed, err.Error())
		return "", nil
	case err != nil:
		return "", err
	}
	media = written[res.Family]
	if media == "" {
		w.job.Found.Add("html.picture", place, verdict.Removed, res.Family)
		return "", nil
	}
	uri := "data:image/" + media + ";base64," + base64.StdEncoding.EncodeToString(res.Body)
	w.pictures[src], w.pictures[uri] = uri, uri
	return uri, nil
}

func dropSpace(r rune) rune {
	if unicode.IsSpace(r) {
		return -1
	}
	return r
}

// plainID tells a Content-ID that may stand in an address as it is.
func plainID(id string) bool {
	for _, r := range id {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("@._-+$=", r)) {
			return false
		}
	}
	return id != "" && len(id) <= 255
}
