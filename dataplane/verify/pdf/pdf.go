// Package pdf is the second opinion on a rebuilt PDF.
//
// Problem: readers of PDF repair what is broken, each in its own way, and follow a graph from many sides; so a file is only as clean
// as the most forgiving reader finds it. Mechanism: no repair. The file is read from its first byte to its last as the one revision
// that qpdf writes, every byte belongs to an object, every object is reached from the root as exactly one kind, every key of a kind
// is on a list (shapes.go), every stream is of a known compression and is looked at: content streams operator by operator with a
// table of their own, pictures by the arithmetic of their size, fonts by their tables. Life cycle: one call of Check. Invariant: nil
// means that everything in the file was on a list and that nothing lies beside it.
package pdf

import (
	"fmt"
	"strings"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// Check reads a rebuilt PDF.
func Check(r *rule.File) error {
	f := &file{File: r, objects: map[int]*object{}, packs: map[int]bool{}}
	if err := f.load(); err != nil {
		return err
	}
	g := &graph{file: f}
	root := f.objects[f.table].v.key("Root")
	if root.t != 'r' {
		return f.no("", "no root")
	}
	if err := g.reach(root, "Catalog"); err != nil {
		return err
	}
	for len(g.todo) > 0 {
		n := g.todo[len(g.todo)-1]
		g.todo = g.todo[:len(g.todo)-1]
		if f.Ctx.Err() != nil {
			return f.Ctx.Err()
		}
		if err := g.object(n); err != nil {
			if no, ok := err.(errNot); ok {
				err = f.no("", "%s", no.what)
			}
			return rule.Within(fmt.Sprintf("object %d", n), err)
		}
	}
	for n, o := range f.objects {
		if o.kind == "" && n != f.table && !f.packs[n] {
			return f.no(fmt.Sprintf("object %d", n), "nothing leads to it")
		}
	}
	return nil
}

// graph is the walk over a file's objects.
type graph struct {
	*file
	todo []int
}

// errNot says that a value is not what its place wants; another alternative may be.
type errNot struct{ what string }

func (e errNot) Error() string { return e.what }

// parted are kinds that an object's own keys part further.
var parted = map[string]func(n *node, stream bool) string{
	"XObject": func(n *node, _ bool) string { return n.key("Subtype").s },
	"Font": func(n *node, _ bool) string {
		switch n.key("Subtype").s {
		case "Type0", "Type3":
			return n.key("Subtype").s + "Font"
		}
		return "SimpleFont"
	},
	"Pattern": func(_ *node, stream bool) string {
		if stream {
			return "TilingPattern"
		}
		return "ShadingPattern"
	},
	"Shading": func(_ *node, stream bool) string {
		if stream {
			return "Mesh"
		}
		return "Shading"
	},
	"Function": func(n *node, stream bool) string {
		switch {
		case stream && n.key("FunctionType").s == "0":
			return "Samples"
		case stream:
			return "Calculator"
		}
		return "Function"
	},
	"Annotation": func(n *node, _ bool) string {
		if n.key("Subtype").s == "Link" {
			return "Link"
		}
		return "Markup"
	},
	"OutlineParent": func(n *node, _ bool) string {
		if n.key("Type").s == "Outlines" {
			return "Outlines"
		}
		return "Outline"
	},
	"Properties": byType, "Optional": byType,
}

func byType(n *node, _ bool) string {
	switch n.key("Type").s {
	case "OCG":
		return "Layer"
	case "OCMD":
		return "Membership"
	}
	return "Properties"
}

// reach notes that an object is of a kind; it is looked at once.
func (g *graph) reach(n *node, kind string) error {
	o := g.objects[n.i]
	if o == nil || g.packs[n.i] || n.i == g.table {
		return g.no("", "reference to object %d, which is none", n.i)
	}
	kind = part(kind, o.v, o.stream)
	if o.kind == "" {
		o.kind = kind
		g.todo = append(g.todo, n.i)
		return nil
	}
	if o.kind != kind {
		return errNot{fmt.Sprintf("object %d is a %s, not a %s", n.i, o.kind, kind)}
	}
	return nil
}

func part(kind string, v *node, stream bool) string {
	if p := parted[kind]; p != nil {
		return p(v, stream)
	}
	return kind
}

func (g *graph) object(n int) error {
	o := g.objects[n]
	s := table()[o.kind]
	if s == nil {
		return g.no("", "a %q", o.kind)
	}
	if s.stream != o.stream {
		return g.no("", "%s: stream or not", o.kind)
	}
	if err := g.keys(o.v, o.kind, s, 0); err != nil {
		return err
	}
	if o.stream {
		return g.stream(o)
	}
	return nil
}

// keys holds a dictionary to its shape.
func (g *graph) keys(d *node, kind string, s *shape, level int) error {
	if d.t != 'd' || level > maxLevels {
		return g.no("", "%s is no dictionary", kind)
	}
	for k, v := range d.keys {
		w := s.keys[k]
		if w == nil {
			if s.stream && (k == "Length" || k == "Filter" || k == "DecodeParms") {
				continue // looked at with the stream
			}
			return g.no("", "%s has a key %s", kind, k)
		}
		if err := g.match(v, w, level+1); err != nil {
			return g.no("", "%s, %s: %v", kind, k, err)
		}
	}
	for _, k := range s.must {
		if d.keys[k] == nil {
			return g.no("", "%s has no key %s", kind, k)
		}
	}
	return g.wanted(d, kind)
}

// wanted holds what a shape allows to what the route wants, and what only other code can look at.
func (g *graph) wanted(d *node, kind string) error {
	no := ""
	switch kind {
	case "FileSpec":
		return g.attached(d)
	case "Attachments":
		if g.Policy.Attachments != "rebuild" {
			no = "attached files"
		}
		for i, k := range d.key("Names").kids {
			if i%2 == 0 && k.s != fmt.Sprintf("%06d", i/2) || (k.t == 's') != (i%2 == 0) {
				no = "name in the list of attached files"
			}
		}
	case "Action":
		if d.key("S").s == "URI" && g.Policy.Links == "remove" {
			no = "link"
		}
	case "LayerView":
		if g.Policy.Hidden == "remove" && (d.key("BaseState").s == "OFF" || d.keys["OFF"] != nil) {
			no = "hidden layer"
		}
	case "Markup":
		if g.Policy.Comments == "remove" {
			no = "comment"
		}
	}
	if no != "" {
		return g.no("", "%s that the route does not want", no)
	}
	return nil
}

// attached has an attached file checked by the family that its name promises.
func (g *graph) attached(d *node) error {
	o := g.objects[d.key("EF").key("F").i]
	if o == nil || !o.stream {
		return g.no("", "attached file")
	}
	b, err := g.content(o, maxStream)
	if err != nil {
		return err
	}
	name, ok := spelled(d.key("UF").s)
	if !ok || d.key("F").t != '0' && d.key("F").s != d.key("UF").s {
		return g.no("", "name of an attached file")
	}
	return g.Member(name, name, b)
}

// spelled reads a text string: ASCII, or UTF-16 with a mark.
func spelled(s string) (string, bool) {
	u, wide := strings.CutPrefix(s, "\xFE\xFF")
	if !wide {
		for i := range len(s) {
			if s[i] < 0x20 || s[i] > 0x7E {
				return "", false
			}
		}
		return s, true
	}
	var out []rune
	high := rune(0)
	for i := 0; i+1 < len(u); i += 2 {
		r := rune(u[i])<<8 | rune(u[i+1])
		switch {
		case r >= 0xD800 && r < 0xDC00 && high == 0:
			high = r
			continue
		case r >= 0xDC00 && r < 0xE000 && high != 0:
			r, high = 0x10000+(high-0xD800)<<10+r-0xDC00, 0
		case high != 0 || r >= 0xD800 && r < 0xE000:
			return "", false
		}
		out = append(out, r)
	}
	return string(out), high == 0 && len(u)%2 == 0
}

// direct follows a reference to a value that is no dictionary or stream.
func (g *graph) direct(n *node) *node {
	if n.t == 'r' {
		if o := g.objects[n.i]; o != nil && !o.stream {
			return o.v
		}
	}
	return n
}

// match holds a value to what is wanted in its place.
func (g *graph) match(v *node, w *want, level int) error {
	if level > maxLevels {
		return g.no("", "nested too deep")
	}
	switch w.t {
	case '|':
		var last error
		for _, k := range w.kids {
			if last = g.match(v, k, level); last == nil {
				return nil
			}
		}
		return last
	case '/':
		if v.t == 'N' && v.s == w.s {
			return nil
		}
	case '@':
		switch {
		case v.t == 'r':
			return g.reach(v, w.s)
		case v.t == 'd':
			kind := part(w.s, v, false)
			if s := table()[kind]; s != nil && !s.stream {
				return g.keys(v, kind, s, level+1)
			}
		}
	case '[':
		if v.t == 'r' { // an array that several share
			o := g.objects[v.i]
			if o == nil || o.stream || o.v.t != 'a' || o.kind != "" && o.kind != "array of "+w.s {
				break
			}
			if o.kind != "" {
				return nil // looked at already
			}
			if err := g.match(o.v, w, level+1); err != nil {
				return err
			}
			o.kind = "array of " + w.s
			return nil
		}
		if v.t != 'a' {
			break
		}
		for _, k := range v.kids {
			if err := g.match(k, w.kids[0], level+1); err != nil {
				return err
			}
		}
		return nil
	case '{':
		if v.t != 'd' {
			break
		}
		for _, k := range v.keys {
			if err := g.match(k, w.kids[0], level+1); err != nil {
				return err
			}
		}
		return nil
	case '(':
		return g.check(w.s, v, level+1)
	case 'v':
		ok := false
		switch w.s {
		case "num":
			ok = v.t == 'n' || v.t == 'i'
		case "int":
			ok = v.t == 'i'
		case "bool":
			ok = v.t == 'b'
		case "str":
			ok = v.t == 's'
		case "name":
			ok = v.t == 'N'
		}
		if ok {
			return nil
		}
	}
	return errNot{fmt.Sprintf("%c where %c%s is wanted", v.t, w.t, w.s)}
}

// check is for what a shape cannot say.
func (g *graph) check(what string, v *node, level int) error {
	ok := false
	switch what {
	case "colour":
		return g.colour(v, level)
	case "dest":
		switch v.t {
		case 'N', 's':
			ok = true
		case 'a':
			ok = len(v.kids) >= 2 && len(v.kids) <= 6 && v.kids[0].t == 'r' && v.kids[1].t == 'N'
			if ok {
				if err := g.reach(v.kids[0], "Page"); err != nil {
					return err
				}
				for _, k := range v.kids[2:] {
					ok = ok && (k.t == 'i' || k.t == 'n' || k.t == '0')
				}
			}
		}
	case "address":
		s := strings.ToLower(v.s)
		ok = v.t == 's' && (strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "mailto:"))
		for i := range len(s) {
			ok = ok && s[i] > 0x20 && s[i] < 0x7F
		}
	case "appearance":
		return operators(g.Ctx, []byte(v.s))
	case "expression":
		ok = v.t == 'a' && len(v.kids) >= 2 && v.kids[0].t == 'N'
		if ok {
			return g.eachLayer(v.kids[1:], what, level)
		}
	case "order":
		if ok = v.t == 'a' || v.t == 's'; ok {
			return g.eachLayer(v.kids, what, level)
		}
	}
	if !ok {
		return errNot{"no " + what}
	}
	return nil
}

func (g *graph) eachLayer(kids []*node, what string, level int) error {
	if level > maxLevels {
		return g.no("", "nested too deep")
	}
	for _, k := range kids {
		var err error
		if k.t == 'r' {
			err = g.reach(k, "Layer")
		} else {
			err = g.check(what, k, level+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// colour holds a colour space to those that are written.
func (g *graph) colour(v *node, level int) error {
	if level > maxLevels {
		return g.no("", "nested too deep")
	}
	if v.t == 'N' {
		return nil
	}
	if v.t != 'a' || len(v.kids) < 2 || v.kids[0].t != 'N' {
		return errNot{"no colour space"}
	}
	want, ok := map[string]string{
		"Pattern": "(colour)", "CalGray": "@CalGray", "CalRGB": "@CalRGB", "Lab": "@Lab", "ICCBased": "@Profile", "Indexed": "(colour) int str|@Lookup", "I": "(colour) int str|@Lookup",
		"Separation": "name (colour) @Function", "DeviceN": "[name] (colour) @Function @Colorants",
	}[v.kids[0].s]
	words := strings.Fields(want)
	if !ok || len(v.kids)-1 > len(words) || len(v.kids)-1 < min(len(words), 3) {
		return errNot{"no colour space of a known kind"}
	}
	for i, k := range v.kids[1:] {
		w, _ := wanted(words[i])
		if err := g.match(k, w, level+1); err != nil {
			return err
		}
	}
	return nil
}
