package html

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	parser "golang.org/x/net/html"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/sanitize/web"
)

// Text answers what a reader sees of a page or of the HTML body of a mail, given as Unicode, as lines of plain text: paragraphs
// apart, list items with their mark or number, the cells of a row in one line, a link as "text <address>" where the address may
// be followed (web.Address), a picture as "[its words]", ruby as 漢字（かんじ）. Where Japanese text is broken into lines in the
// source it is joined without a space, as browsers show it. Hidden elements, scripts and styles are left out. The result has no
// control characters but line ends.
func Text(ctx context.Context, src string, o Options) (string, error) {
	tree, err := parse(ctx, src)
	if err != nil {
		return "", err
	}
	return told(ctx, tree)
}

// told is what a tree says.
func told(ctx context.Context, tree *parser.Node) (string, error) {
	t := &teller{ctx: ctx}
	if err := t.tell(tree, 0); err != nil {
		return "", err
	}
	return strings.Trim(t.String(), "\n"), nil
}

// teller writes lines. What stands before the first word of a line waits, so that empty elements leave nothing.
type teller struct {
	ctx    context.Context
	out    strings.Builder
	nodes  int
	breaks int    // line ends that stand between what was written and what comes
	space  bool   // white space that does so
	prefix string // of each line: the marks of quotations and the indent of lists
	mark   string // of a list item, before its first word
	last   rune
	pre    int

	numbers map[*parser.Node]int // of the last item, by list
}

func (t *teller) String() string {
	lines := strings.Split(t.out.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \t")
	}
	return strings.Join(lines, "\n")
}

// line asks for n line ends before the next word.
func (t *teller) line(n int) { t.breaks, t.space = max(t.breaks, n), false }

// put writes characters that belong together.
func (t *teller) put(s string) {
	if s == "" {
		return
	}
	first, _ := utf8.DecodeRuneInString(s)
	switch {
	case t.out.Len() == 0 || t.breaks > 0:
		if t.out.Len() > 0 {
			t.out.WriteString(strings.Repeat("\n", min(t.breaks, 2)))
		}
		t.out.WriteString(t.prefix)
	case t.space && (t.mark != "" || !(ideographic(t.last) && ideographic(first))):
		t.out.WriteByte(' ')
	}
	if t.mark != "" {
		t.out.WriteString(t.mark)
		t.mark = ""
	}
	t.breaks, t.space = 0, false
	t.out.WriteString(s)
	t.last, _ = utf8.DecodeLastRuneInString(s)
}

// ideographic tells characters between which a line end in the source is no space.
func ideographic(r rune) bool {
	return 0x3000 <= r && r <= 0x30FF || 0x31F0 <= r && r <= 0x31FF || 0x3400 <= r && r <= 0x9FFF || 0xF900 <= r && r <= 0xFAFF || 0xFF01 <= r && r <= 0xFF65 || 0x20000 <= r && r <= 0x3FFFF || charset.IsGaiji(r)
}

// words writes text in which white space is one space. Between Japanese characters a space that was typed stays; a line end does not.
func (t *teller) words(s string) {
	for s != "" {
		i := strings.IndexFunc(s, blank)
		if i != 0 {
			word := s
			if i > 0 {
				word = s[:i]
			}
			t.put(visible(word))
			s = s[len(word):]
			continue
		}
		end := strings.IndexFunc(s, func(r rune) bool { return !blank(r) })
		if end < 0 {
			end = len(s)
		}
		t.space = true
		if next, _ := utf8.DecodeRuneInString(s[end:]); t.breaks == 0 && t.out.Len() > 0 && ideographic(t.last) && ideographic(next) && !strings.ContainsAny(s[:end], "\r\n") {
			t.out.WriteByte(' ')
			t.space = false
		}
		s = s[end:]
	}
}

func blank(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == '\f' }

// visible is text without controls and hidden characters; a space that does not break is one that does.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == 0xA0:
			return ' '
		case unicode.IsControl(r), charset.Hidden(r), r == utf8.RuneError, r == 0xAD:
			return -1
		}
		return r
	}, s)
}

func (t *teller) children(n *parser.Node, depth int) error {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if err := t.tell(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (t *teller) tell(n *parser.Node, depth int) error {
	if t.nodes++; t.nodes&0xFFF == 0 && t.ctx.Err() != nil {
		return t.ctx.Err()
	}
	if depth > maxDepth {
		return rebuild.Refuse("limit.depth", "", "")
	}
	switch {
	case n.Type == parser.TextNode && t.pre > 0:
		for i, l := range strings.Split(strings.ReplaceAll(n.Data, "\r\n", "\n"), "\n") {
			if i > 0 {
				t.breaks++
			}
			t.put(visible(strings.ReplaceAll(l, "\t", "    ")))
		}
		return nil
	case n.Type == parser.TextNode:
		t.words(n.Data)
		return nil
	case n.Type == parser.DocumentNode:
		return t.children(n, depth)
	case n.Type != parser.ElementNode || n.Namespace != "" || hidden(n):
		return nil
	}
	if _, out := gone[n.Data]; out && n.Data != "noscript" && n.Data != "canvas" || n.Data == "head" || n.Data == "style" || n.Data == "rp" {
		return nil
	}
	if blocks[n.Data] {
		t.line(1)
		if spaced[n.Data] && !inList(n) {
			t.line(2)
		}
		defer func() {
			t.line(1)
			if spaced[n.Data] && !inList(n) {
				t.line(2)
			}
		}()
	}
	return t.element(n, depth)
}

// inList tells a paragraph or a list in an item or a cell: it needs no empty line.
func inList(n *parser.Node) bool {
	p := n.Parent
	return p != nil && (p.Data == "li" || p.Data == "td" || p.Data == "th" || p.Data == "dd")
}

func (t *teller) element(n *parser.Node, depth int) error {
	switch n.Data {
	case "br":
		t.breaks, t.space = t.breaks+1, false
	case "hr":
		t.put("----------------")
	case "img":
		if alt := strings.TrimSpace(attr(n, "alt")); alt != "" {
			t.put("[" + visible(strings.Join(strings.Fields(alt), " ")) + "]")
		}
	case "input":
		if k := strings.ToLower(attr(n, "type")); k == "" || k == "text" || k == "submit" || k == "button" {
			t.words(attr(n, "value"))
		}
	case "a":
		return t.link(n, depth)
	case "rt":
		t.put("（")
		defer t.put("）")
		return t.children(n, depth)
	case "pre", "textarea":
		t.pre++
		defer func() { t.pre-- }()
		return t.children(n, depth)
	case "blockquote":
		return t.indented("> ", n, depth)
	case "li":
		t.mark = t.itemMark(n)
		indent := "  " // a bullet is as wide as two letters
		if t.mark != bullet {
			indent = strings.Repeat(" ", min(len(t.mark), 4))
		}
		err := t.indented(indent, n, depth)
		t.mark = ""
		return err
	case "dd":
		return t.indented("  ", n, depth)
	case "tr":
		return t.row(n, depth)
	default:
		return t.children(n, depth)
	}
	return nil
}

// indented tells what stands in n with a mark before each line but that of a list item's own mark.
func (t *teller) indented(mark string, n *parser.Node, depth int) error {
	before := t.prefix
	if t.mark != "" { // the item's own line carries the mark instead
		t.mark = before + t.mark
		t.prefix = ""
		defer func() { t.prefix = before }()
		first := n.FirstChild
		for ; first != nil && t.mark != ""; first = first.NextSibling {
			if err := t.tell(first, depth+1); err != nil {
				return err
			}
			if t.mark == "" {
				t.prefix = deeper(before, mark)
			}
		}
		t.prefix = deeper(before, mark)
		for ; first != nil; first = first.NextSibling {
			if err := t.tell(first, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	t.prefix = deeper(before, mark)
	defer func() { t.prefix = before }()
	return t.children(n, depth)
}

// deeper is the prefix of lines one level in; beyond some levels nothing is added.
func deeper(prefix, mark string) string {
	if len(prefix) > 40 {
		return prefix
	}
	return prefix + mark
}

const bullet = "・"

func (t *teller) itemMark(n *parser.Node) string {
	if n.Parent == nil || n.Parent.Data != "ol" {
		return bullet
	}
	if t.numbers == nil {
		t.numbers = map[*parser.Node]int{}
	}
	if _, begun := t.numbers[n.Parent]; !begun {
		if v, err := strconv.Atoi(attr(n.Parent, "start")); err == nil && v > -1e6 && v < 1e6 {
			t.numbers[n.Parent] = v - 1
		}
	}
	t.numbers[n.Parent]++
	number := t.numbers[n.Parent]
	return fmt.Sprintf("%d. ", number)
}

func (t *teller) link(n *parser.Node, depth int) error {
	from := t.out.Len()
	if err := t.children(n, depth); err != nil {
		return err
	}
	href := strings.TrimSpace(attr(n, "href"))
	if href == "" || href[0] == '#' || !strings.Contains(href, ":") || !web.Address(href) {
		return nil
	}
	shown := strings.TrimSpace(t.out.String()[from:])
	if bare := func(s string) string {
		s = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://"), "mailto:")
		return strings.TrimSuffix(strings.TrimPrefix(s, "tel:"), "/")
	}; bare(shown) == bare(href) {
		return nil
	}
	t.space = true
	t.put("<" + href + ">")
	return nil
}

// row writes cells in one line, where each is one line by itself.
func (t *teller) row(n *parser.Node, depth int) error {
	var cells []string
	oneLine := true
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type != parser.ElementNode || hidden(c) {
			continue
		}
		cell := &teller{ctx: t.ctx, nodes: t.nodes}
		if err := cell.children(c, depth+1); err != nil {
			return err
		}
		t.nodes = cell.nodes
		s := strings.Trim(cell.String(), "\n")
		if s != "" {
			cells = append(cells, s)
		}
		oneLine = oneLine && !strings.Contains(s, "\n")
	}
	if oneLine {
		t.put(strings.Join(cells, " | "))
		return nil
	}
	for _, c := range cells {
		for l := range strings.SplitSeq(c, "\n") {
			if l == "" {
				t.line(2)
			}
			t.put(l)
			t.line(1)
		}
	}
	return nil
}
