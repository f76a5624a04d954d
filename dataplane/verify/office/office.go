// Package office checks rebuilt Word, Excel and PowerPoint documents.
//
// Problem: what acts in such a document can hide in a part, a relationship, an element, an attribute, the text of a field or a formula,
// and a rebuilder may have overlooked one. Mechanism: other eyes, from the package's own lists: each part must be what relationship,
// content type and root element agree on, and hold no element that does, loads or holds something. Life cycle: one call of Check.
// Invariant: nil means that each part was reached by a relationship and read to its end.
package office

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/verify/container"
	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// Check reads a rebuilt document: the package, its content types, every relationship, and then every part by the kind that
// relationship, content type and root element agree on. A part that no relationship reaches does not belong.
func Check(f *rule.File) error {
	ctx := f.Ctx
	members, err := container.Read(f.In)
	if err != nil {
		return err
	}
	d := &document{parts: map[string]*part{}, file: f, elements: map[string]*traits{}, attributes: map[string]concern{}}
	for _, m := range members {
		d.parts[strings.ToLower(m.Name)] = &part{Member: m}
	}
	if err := d.readTypes(ctx); err != nil {
		return err
	}
	if err := d.readRelations(ctx); err != nil {
		return err
	}
	if err := d.checkMain(f.Name); err != nil {
		return err
	}
	for _, m := range members {
		p := d.parts[strings.ToLower(m.Name)]
		if p.Name == typesName || p.isRels() {
			continue
		}
		if !p.reached {
			return rule.Refuse(container.CodePart, p.Name, "no relationship leads to it")
		}
		if err := d.checkPart(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

const typesName = "[Content_Types].xml"

type document struct {
	file  *rule.File
	parts map[string]*part // by name in lower case
	main  *part

	elements   map[string]*traits // by name, as far as met
	attributes map[string]concern
}

type part struct {
	container.Member
	typ     string // content type, lower case
	kind    kind
	reached bool
	ids     map[string]bool // of its relationships
	out     map[string]bool // those of them that are hyperlinks
}

func (p *part) isRels() bool { return strings.HasSuffix(p.Name, ".rels") }

// readTypes gives every part its content type. Each entry must be of a known type; each override names a part that is there.
func (d *document) readTypes(ctx context.Context) error {
	types, ok := d.parts[strings.ToLower(typesName)]
	if !ok || types.Name != typesName {
		return rule.Refuse(container.CodePackage, "", "no %s", typesName)
	}
	const relsType = "application/vnd.openxmlformats-package.relationships+xml"
	byExtension := map[string]string{}
	body, err := types.Unpack(ctx)
	if err != nil {
		return err
	}
	err = container.Walk(ctx, typesName, body, spaces, container.Visitor{Start: func(n container.Node, path []string) error {
		typ := strings.ToLower(n.Get("ContentType"))
		switch {
		case n.Name == "ct:Types" && len(path) == 1:
			return nil
		case n.Name == "ct:Default" && len(path) == 2:
			ext := strings.ToLower(n.Get("Extension"))
			if want, ok := map[string]string{"png": "image/png", "jpeg": "image/jpeg", "jpg": "image/jpeg", "rels": relsType, "xml": "application/xml", "vml": officeType + "vmldrawing"}[ext]; !ok || typ != want {
				return rule.Refuse(container.CodePart, typesName, "extension %q is %q", ext, typ)
			}
			byExtension[ext] = typ
			return nil
		case n.Name == "ct:Override" && len(path) == 2:
			key, ok := strings.CutPrefix(n.Get("PartName"), "/")
			p := d.parts[strings.ToLower(key)]
			if !ok || p == nil || p.typ != "" || p == types || p.isRels() {
				return rule.Refuse(container.CodePart, typesName, "override of %q", n.Get("PartName"))
			}
			p.typ = typ
			return nil
		}
		return rule.Refuse(container.CodeMarkup, typesName, "element %s", n.Name)
	}})
	if err != nil {
		return err
	}
	for _, p := range d.parts {
		if p == types {
			continue
		}
		if p.typ == "" {
			p.typ = byExtension[strings.ToLower(strings.TrimPrefix(path.Ext(p.Name), "."))]
		}
		if p.isRels() {
			if p.typ != relsType {
				return rule.Refuse(container.CodePart, p.Name, "content type %q", p.typ)
			}
			continue
		}
		if p.kind, ok = kinds[p.typ]; !ok {
			return rule.Refuse(container.CodePart, p.Name, "content type %q", p.typ)
		}
	}
	return nil
}

// readRelations follows every .rels part and marks what is reached.
func (d *document) readRelations(ctx context.Context) error {
	root := d.parts["_rels/.rels"]
	if root == nil {
		return rule.Refuse(container.CodePackage, "", "no _rels/.rels")
	}
	for _, rels := range d.parts {
		if !rels.isRels() {
			continue
		}
		var owner *part
		dir, base := path.Split(rels.Name)
		if rels != root {
			up, ok := strings.CutSuffix(strings.TrimSuffix(dir, "/"), "_rels")
			owner = d.parts[strings.ToLower(up+strings.TrimSuffix(base, ".rels"))]
			if !ok || owner == nil || owner.isRels() || owner.Name == typesName {
				return rule.Refuse(container.CodePart, rels.Name, "relationships of a part that is not there")
			}
			owner.ids, owner.out = map[string]bool{}, map[string]bool{}
		}
		if err := d.readRels(ctx, rels, owner); err != nil {
			return err
		}
	}
	return nil
}

func (d *document) readRels(ctx context.Context, rels, owner *part) error {
	ids := map[string]bool{}
	body, err := rels.Unpack(ctx)
	if err != nil {
		return err
	}
	return container.Walk(ctx, rels.Name, body, spaces, container.Visitor{Start: func(n container.Node, path []string) error {
		if n.Name == "rel:Relationships" && len(path) == 1 {
			return nil
		}
		if n.Name != "rel:Relationship" || len(path) != 2 {
			return rule.Refuse(container.CodeMarkup, rels.Name, "element %s", n.Name)
		}
		id, typ, target, mode := n.Get("Id"), n.Get("Type"), n.Get("Target"), n.Get("TargetMode")
		if id == "" || ids[id] || len(ids) > 2*container.MaxParts {
			return rule.Refuse(container.CodeLink, rels.Name, "relationship %q twice or unnamed", id)
		}
		ids[id] = true
		if owner != nil {
			owner.ids[id] = true
		}
		if hyperlinkRelations[typ] {
			if owner != nil {
				owner.out[id] = true
			}
			if owner == nil || !container.SafeAddress(target) || mode != "External" && !strings.HasPrefix(target, "#") || d.noLinks() && out(target) {
				return rule.Refuse(container.CodeLink, rels.Name, "hyperlink to %q", target)
			}
			return nil
		}
		if mode != "" && mode != "Internal" {
			return rule.Refuse(container.CodeLink, rels.Name, "%q leads out to %q", typ, target)
		}
		p := d.target(owner, target)
		if p == nil {
			return rule.Refuse(container.CodeLink, rels.Name, "%q leads nowhere: %q", typ, target)
		}
		if !slices.Contains(p.kind.relations, typ) {
			return rule.Refuse(container.CodeLink, rels.Name, "%q leads to a part of type %q", typ, p.typ)
		}
		if owner == nil {
			if d.main != nil || !strings.HasSuffix(typ, "/officeDocument") {
				return rule.Refuse(container.CodeLink, rels.Name, "%q beside the main part", typ)
			}
			d.main = p
		} else if strings.HasSuffix(typ, "/officeDocument") {
			return rule.Refuse(container.CodeLink, rels.Name, "a second main part")
		}
		p.reached = true
		return nil
	}})
}

// target finds the part that a relative or absolute target names.
func (d *document) target(owner *part, target string) *part {
	if target == "" || strings.ContainsAny(target, `\:?#`) {
		return nil
	}
	abs := target
	if !strings.HasPrefix(target, "/") {
		dir := "/"
		if owner != nil {
			dir = "/" + path.Dir(owner.Name)
		}
		abs = path.Join(dir, target)
	}
	p := d.parts[strings.ToLower(strings.TrimPrefix(path.Clean(abs), "/"))]
	if p == nil || p.isRels() || p.Name == typesName {
		return nil
	}
	return p
}

// checkMain holds the main part to the kind that the file's name promises: a macro kind never passes.
func (d *document) checkMain(name string) error {
	want := mainType[strings.ToLower(path.Ext(name))]
	if d.main == nil || want == "" || d.main.typ != want {
		typ := ""
		if d.main != nil {
			typ = d.main.typ
		}
		return rule.Refuse(container.CodePart, "", "main part is %q, the name wants %q", typ, want)
	}
	return nil
}

func (d *document) checkPart(ctx context.Context, p *part) error {
	switch p.typ {
	case "image/png", "image/jpeg":
		b, err := p.Unpack(ctx)
		if err != nil {
			return err
		}
		return d.file.Nested(p.Name, "image."+strings.TrimPrefix(p.typ, "image/"), b)
	}
	body, err := p.Unpack(ctx)
	if err != nil {
		return err
	}
	fields := &fieldReader{place: p.Name, noLinks: d.noLinks()}
	var text strings.Builder // of the formula that is being read
	var open []*traits
	err = container.Walk(ctx, p.Name, body, spaces, container.Visitor{
		Start: func(n container.Node, path []string) error {
			t := d.traitsOf(n.Name)
			if root := p.kind.root; len(path) == 1 && n.Name != root && (root != ":xml" || n.Name != "none:xml") {
				return rule.Refuse(container.CodePart, p.Name, "begins with %s", n.Name)
			}
			if t.space == "none" && (p.kind.root != ":xml" || !vmlMarkup[n.Name] || (n.Name == "none:xml") != (len(path) == 1)) {
				return rule.Refuse(container.CodeMarkup, p.Name, "element %s without a namespace", n.Name)
			}
			if len(open) > 0 && open[len(open)-1].textOnly {
				return rule.Refuse(container.CodeMarkup, p.Name, "element %s inside %s", n.Name, path[len(path)-2])
			}
			open = append(open, t)
			if err := d.checkActive(p, n, t); err != nil {
				return err
			}
			if t.alternative {
				fields.enter()
			}
			if n.Name == "w:fldChar" {
				return fields.char(n.Get("w:fldCharType"))
			}
			return nil
		},
		Text: func(_, s string) error {
			switch t := open[len(open)-1]; {
			case t.instruction:
				return fields.instruction(s)
			case t.shown:
				return fields.shown(s)
			case t.formula:
				text.WriteString(s)
			}
			return nil
		},
		End: func(string) error {
			t := open[len(open)-1]
			open = open[:len(open)-1]
			switch {
			case t.alternative:
				return fields.leave()
			case t.formula:
				f := text.String()
				text.Reset()
				return d.checkFormula(p.Name, f)
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	return fields.finish()
}

// vmlMarkup is what stands in a VML drawing without a namespace: its root, and the text of a note or a button.
var vmlMarkup = words("none:xml none:div none:span none:p none:font none:br none:b none:i none:u none:s none:sub none:sup none:center")

// clicked are elements whose link a person follows.
var clicked = words("hyperlink hlinkClick hlinkHover hlinkMouseOver")

// checkID holds an attribute that names a relationship to one that is there.
func (p *part) checkID(element string, t *traits, a container.Attribute) error {
	if a.Value != "" && !p.ids[a.Value] {
		return rule.Refuse(container.CodeLink, p.Name, "%s %s=%q names no relationship", element, a.Name, a.Value)
	}
	if p.out[a.Value] && (a.Name != "r:id" || !clicked[t.local]) {
		return rule.Refuse(container.CodeLink, p.Name, "%s fetches what a hyperlink leads to", element)
	}
	return nil
}
