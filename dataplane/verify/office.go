package verify

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/verify/picture"
	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// checkOffice reads a rebuilt document: the package, its content types, every relationship, and then every part by the kind that
// relationship, content type and root element agree on. A part that no relationship reaches does not belong.
func checkOffice(ctx context.Context, family, name string, in []byte) error {
	members, err := readDirectory(in)
	if err != nil {
		return err
	}
	d := &document{parts: map[string]*part{}, family: family}
	for _, m := range members {
		p := &part{member: m}
		if p.body, err = m.unpack(ctx); err != nil {
			return err
		}
		d.parts[strings.ToLower(m.name)] = p
	}
	if err := d.readTypes(ctx); err != nil {
		return err
	}
	if err := d.readRelations(ctx); err != nil {
		return err
	}
	if err := d.checkMain(name); err != nil {
		return err
	}
	for _, m := range members {
		p := d.parts[strings.ToLower(m.name)]
		if p.name == typesName || p.isRels() {
			continue
		}
		if !p.reached {
			return rule.Refuse(codePart, p.name, "no relationship leads to it")
		}
		if err := d.checkPart(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

const typesName = "[Content_Types].xml"

type document struct {
	family string
	parts  map[string]*part // by name in lower case
	main   *part
}

type part struct {
	member
	body    []byte
	typ     string // content type, lower case
	kind    kind
	reached bool
	ids     map[string]bool // of its relationships
}

func (p *part) isRels() bool { return strings.HasSuffix(p.name, ".rels") }

// readTypes gives every part its content type. Each entry must be of a known type; each override names a part that is there.
func (d *document) readTypes(ctx context.Context) error {
	types, ok := d.parts[strings.ToLower(typesName)]
	if !ok || types.name != typesName {
		return rule.Refuse(codePackage, "", "no %s", typesName)
	}
	const relsType = "application/vnd.openxmlformats-package.relationships+xml"
	byExtension := map[string]string{}
	err := walk(ctx, typesName, types.body, visitor{start: func(n node, path []string) error {
		typ := strings.ToLower(n.get("ContentType"))
		switch {
		case n.name == "ct:Types" && len(path) == 1:
			return nil
		case n.name == "ct:Default" && len(path) == 2:
			ext := strings.ToLower(n.get("Extension"))
			if want, ok := map[string]string{"png": "image/png", "jpeg": "image/jpeg", "jpg": "image/jpeg", "rels": relsType, "xml": "application/xml", "vml": officeType + "vmldrawing"}[ext]; !ok || typ != want {
				return rule.Refuse(codePart, typesName, "extension %q is %q", ext, typ)
			}
			byExtension[ext] = typ
			return nil
		case n.name == "ct:Override" && len(path) == 2:
			key, ok := strings.CutPrefix(n.get("PartName"), "/")
			p := d.parts[strings.ToLower(key)]
			if !ok || p == nil || p.typ != "" || p == types || p.isRels() {
				return rule.Refuse(codePart, typesName, "override of %q", n.get("PartName"))
			}
			p.typ = typ
			return nil
		}
		return rule.Refuse(codeMarkup, typesName, "element %s", n.name)
	}})
	if err != nil {
		return err
	}
	for _, p := range d.parts {
		if p == types {
			continue
		}
		if p.typ == "" {
			p.typ = byExtension[strings.ToLower(strings.TrimPrefix(path.Ext(p.name), "."))]
		}
		if p.isRels() {
			if p.typ != relsType {
				return rule.Refuse(codePart, p.name, "content type %q", p.typ)
			}
			continue
		}
		if p.kind, ok = kinds[p.typ]; !ok {
			return rule.Refuse(codePart, p.name, "content type %q", p.typ)
		}
	}
	return nil
}

// readRelations follows every .rels part and marks what is reached.
func (d *document) readRelations(ctx context.Context) error {
	root := d.parts["_rels/.rels"]
	if root == nil {
		return rule.Refuse(codePackage, "", "no _rels/.rels")
	}
	for _, rels := range d.parts {
		if !rels.isRels() {
			continue
		}
		var owner *part
		dir, base := path.Split(rels.name)
		if rels != root {
			up, ok := strings.CutSuffix(strings.TrimSuffix(dir, "/"), "_rels")
			owner = d.parts[strings.ToLower(up+strings.TrimSuffix(base, ".rels"))]
			if !ok || owner == nil || owner.isRels() || owner.name == typesName {
				return rule.Refuse(codePart, rels.name, "relationships of a part that is not there")
			}
			owner.ids = map[string]bool{}
		}
		if err := d.readRels(ctx, rels, owner); err != nil {
			return err
		}
	}
	return nil
}

func (d *document) readRels(ctx context.Context, rels, owner *part) error {
	ids := map[string]bool{}
	return walk(ctx, rels.name, rels.body, visitor{start: func(n node, path []string) error {
		if n.name == "rel:Relationships" && len(path) == 1 {
			return nil
		}
		if n.name != "rel:Relationship" || len(path) != 2 {
			return rule.Refuse(codeMarkup, rels.name, "element %s", n.name)
		}
		id, typ, target, mode := n.get("Id"), n.get("Type"), n.get("Target"), n.get("TargetMode")
		if id == "" || ids[id] || len(ids) > 2*maxParts {
			return rule.Refuse(codeLink, rels.name, "relationship %q twice or unnamed", id)
		}
		ids[id] = true
		if owner != nil {
			owner.ids[id] = true
		}
		if hyperlinkRelations[typ] {
			if owner == nil || !safeAddress(target) || mode != "External" && !strings.HasPrefix(target, "#") {
				return rule.Refuse(codeLink, rels.name, "hyperlink to %q", target)
			}
			return nil
		}
		if mode != "" && mode != "Internal" {
			return rule.Refuse(codeLink, rels.name, "%q leads out to %q", typ, target)
		}
		p := d.target(owner, target)
		if p == nil {
			return rule.Refuse(codeLink, rels.name, "%q leads nowhere: %q", typ, target)
		}
		if !slices.Contains(p.kind.relations, typ) {
			return rule.Refuse(codeLink, rels.name, "%q leads to a part of type %q", typ, p.typ)
		}
		if owner == nil {
			if d.main != nil || !strings.HasSuffix(typ, "/officeDocument") {
				return rule.Refuse(codeLink, rels.name, "%q beside the main part", typ)
			}
			d.main = p
		} else if strings.HasSuffix(typ, "/officeDocument") {
			return rule.Refuse(codeLink, rels.name, "a second main part")
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
			dir = "/" + path.Dir(owner.name)
		}
		abs = path.Join(dir, target)
	}
	p := d.parts[strings.ToLower(strings.TrimPrefix(path.Clean(abs), "/"))]
	if p == nil || p.isRels() || p.name == typesName {
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
		return rule.Refuse(codePart, "", "main part is %q, the name wants %q", typ, want)
	}
	return nil
}

func (d *document) checkPart(ctx context.Context, p *part) error {
	switch p.typ {
	case "image/png":
		return picture.PNG(ctx, p.body, p.name)
	case "image/jpeg":
		return picture.JPEG(ctx, p.body, p.name)
	}
	fields := &fieldReader{place: p.name}
	var text strings.Builder // of the formula that is being read
	err := walk(ctx, p.name, p.body, visitor{
		start: func(n node, path []string) error {
			if root := p.kind.root; len(path) == 1 && n.name != root && (root != ":xml" || n.name != "none:xml") {
				return rule.Refuse(codePart, p.name, "begins with %s", n.name)
			}
			if strings.HasPrefix(n.name, "none:") && (p.kind.root != ":xml" || !vmlMarkup[n.name] || (n.name == "none:xml") != (len(path) == 1)) {
				return rule.Refuse(codeMarkup, p.name, "element %s without a namespace", n.name)
			}
			if len(path) > 1 && textOnly(path[len(path)-2]) {
				return rule.Refuse(codeMarkup, p.name, "element %s inside %s", n.name, path[len(path)-2])
			}
			if err := checkActive(p.name, n); err != nil {
				return err
			}
			switch n.name {
			case "w:fldChar":
				if err := fields.char(n.get("w:fldCharType")); err != nil {
					return err
				}
			case "mc:Choice", "mc:Fallback":
				fields.enter()
			}
			return p.checkIDs(n)
		},
		text: func(in, s string) error {
			switch {
			case in == "w:instrText" || in == "w:delInstrText":
				return fields.instruction(s)
			case in == "w:t" || in == "w:delText":
				return fields.shown(s)
			case isFormula(in):
				text.WriteString(s)
			}
			return nil
		},
		end: func(name string) error {
			if name == "mc:Choice" || name == "mc:Fallback" {
				return fields.leave()
			}
			if !isFormula(name) {
				return nil
			}
			f := text.String()
			text.Reset()
			return checkFormula(p.name, f)
		},
	})
	if err != nil {
		return err
	}
	return fields.finish()
}

// vmlMarkup is what stands in a VML drawing without a namespace: its root, and the text of a note or a button.
var vmlMarkup = words("none:xml none:div none:span none:p none:font none:br none:b none:i none:u none:s none:sub none:sup none:center")

// checkIDs holds every attribute that names a relationship to one that is there.
func (p *part) checkIDs(n node) error {
	for _, a := range n.attrs {
		if strings.HasPrefix(a.name, "r:") || a.name == "o:relid" {
			if a.value != "" && !p.ids[a.value] {
				return rule.Refuse(codeLink, p.name, "%s %s=%q names no relationship", n.name, a.name, a.value)
			}
		}
	}
	return nil
}
