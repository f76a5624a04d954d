// Package odf checks rebuilt OpenDocument texts, spreadsheets and presentations.
//
// Problem: what acts in such a document hides in parts, elements, attributes and formulas, and a rebuilder may have overlooked one.
// Mechanism: other eyes, from the package's own lists: mimetype in clear at the front, a manifest that names each part and nothing
// else, XML of known namespaces only, without an element or an attribute that does, loads or holds something, and references that
// lead to a picture or an object that is there. Life cycle: one call of Check. Invariant: nil means that each part was named and read
// to its end.
package odf

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/verify/container"
	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

const mediaBase = "application/vnd.oasis.opendocument."

// mediaOf each extension that a rebuilder writes.
var mediaOf = map[string]string{
	".odt": "text", ".ott": "text-template", ".ods": "spreadsheet", ".ots": "spreadsheet-template", ".odp": "presentation", ".otp": "presentation-template",
}

const manifestName = "META-INF/manifest.xml"

type document struct {
	file  *rule.File
	parts map[string][]byte // by name
	media map[string]string // by full path, as the manifest says
	used  map[string]bool   // parts and directories that something refers to
}

// Check reads one document.
func Check(f *rule.File) error {
	members, err := container.Read(f.In)
	if err != nil {
		return err
	}
	d := &document{file: f, parts: map[string][]byte{}, media: map[string]string{}, used: map[string]bool{}}
	for i, m := range members {
		if (i == 0) != (m.Name == "mimetype") {
			return rule.Refuse(container.CodePackage, m.Name, "mimetype is not the first part")
		}
		if d.parts[m.Name], err = m.Unpack(f.Ctx); err != nil {
			return err
		}
	}
	kind := mediaBase + mediaOf[strings.ToLower(path.Ext(f.Name))]
	if string(d.parts["mimetype"]) != kind || kind == mediaBase || members[0].Stored() == nil {
		return rule.Refuse(container.CodePart, "mimetype", "it is not %q in clear", kind)
	}
	if err := d.readManifest(kind); err != nil {
		return err
	}
	for _, m := range members {
		if err := d.checkPart(m.Name); err != nil {
			return err
		}
	}
	for name := range d.media {
		if top := strings.HasSuffix(name, "content.xml") || strings.HasSuffix(name, "styles.xml") || strings.HasSuffix(name, "settings.xml"); name != "/" && !top && !d.used[name] {
			return rule.Refuse(container.CodePart, name, "nothing refers to it")
		}
	}
	return nil
}

// readManifest holds the manifest to the parts: each is named once with the type that its name promises, and nothing else is.
func (d *document) readManifest(kind string) error {
	err := container.Walk(d.file.Ctx, manifestName, d.parts[manifestName], spaces, container.Visitor{Start: func(n container.Node, above []string) error {
		if n.Name == "manifest:manifest" && len(above) == 1 {
			return nil
		}
		name, typ := n.Get("manifest:full-path"), n.Get("manifest:media-type")
		if n.Name != "manifest:file-entry" || len(above) != 2 || d.media[name] != "" || typ == "" {
			return rule.Refuse(container.CodeMarkup, manifestName, "element %s for %q", n.Name, name)
		}
		d.media[name] = typ
		return nil
	}})
	if err != nil {
		return err
	}
	if d.media["/"] != kind {
		return rule.Refuse(container.CodePart, manifestName, "the document is %q", d.media["/"])
	}
	for name, typ := range d.media {
		_, there := d.parts[name]
		base := path.Base(name)
		switch {
		case name == "/":
		case strings.HasSuffix(name, "/"):
			sub, ok := strings.CutPrefix(typ, mediaBase)
			if _, content := d.parts[name+"content.xml"]; !ok || !content || !slices.Contains([]string{"text", "spreadsheet", "presentation", "graphics", "chart", "formula"}, sub) {
				return rule.Refuse(container.CodePart, name, "object of type %q", typ)
			}
		case there && typ == "text/xml" && (base == "content.xml" || base == "styles.xml" || base == "settings.xml"):
			if dir := strings.TrimSuffix(name, base); dir != "" && d.media[dir] == "" {
				return rule.Refuse(container.CodePart, name, "of no object")
			}
		case there && (typ == "image/png" && path.Ext(name) == ".png" || typ == "image/jpeg" && path.Ext(name) == ".jpeg"):
		default:
			return rule.Refuse(container.CodePart, name, "type %q", typ)
		}
	}
	for name := range d.parts {
		if name != "mimetype" && name != manifestName && d.media[name] == "" {
			return rule.Refuse(container.CodePart, name, "the manifest does not name it")
		}
	}
	return nil
}

func (d *document) checkPart(name string) error {
	switch typ := d.media[name]; typ {
	case "image/png", "image/jpeg":
		return d.file.Nested(name, "image."+strings.TrimPrefix(typ, "image/"), d.parts[name])
	case "text/xml":
		return d.checkXML(d.file.Ctx, name)
	}
	return nil
}

// roots by the last element of a part's name.
var roots = map[string]string{"content.xml": "office:document-content", "styles.xml": "office:document-styles", "settings.xml": "office:document-settings"}

func (d *document) checkXML(ctx context.Context, name string) error {
	dir, base := path.Split(name)
	return container.Walk(ctx, name, d.parts[name], spaces, container.Visitor{Start: func(n container.Node, above []string) error {
		if len(above) == 1 && n.Name != roots[base] && !(n.Name == "math:math" && d.media[dir] == mediaBase+"formula") {
			return rule.Refuse(container.CodePart, name, "begins with %s", n.Name)
		}
		space, _, _ := strings.Cut(n.Name, ":")
		switch {
		case space == "none" || space == "manifest" || space == "xlink" || space == "script":
			return rule.Refuse(container.CodeMarkup, name, "element %s", n.Name)
		case active[n.Name]:
			return rule.Refuse(container.CodeActive, name, "element %s", n.Name)
		case !known()[n.Name]:
			return rule.Refuse(container.CodeMarkup, name, "element %s is in no standard", n.Name)
		case d.file.Policy.Comments == "remove" && remarks[n.Name]:
			return rule.Refuse(container.CodePart, name, "%s, which the route does not let pass", n.Name)
		case d.file.Policy.Hidden == "remove" && unseen[n.Name]:
			return rule.Refuse(container.CodePart, name, "%s, which the route does not let pass", n.Name)
		case n.Name == "presentation:event-listener" && !actions[n.Get("presentation:action")]:
			return rule.Refuse(container.CodeActive, name, "action %q", n.Get("presentation:action"))
		case n.Name == "config:config-item" && !plainSetting(n):
			return rule.Refuse(container.CodeActive, name, "setting %q", n.Get("config:name"))
		}
		for _, a := range n.Attrs {
			if err := d.checkAttribute(name, dir, n, a); err != nil {
				return err
			}
		}
		return nil
	}})
}

func (d *document) checkAttribute(place, dir string, n container.Node, a container.Attribute) error {
	_, local, prefixed := strings.Cut(a.Name, ":")
	switch {
	case !prefixed:
		if !strings.HasPrefix(n.Name, "math:") || a.Name == "href" || a.Name == "src" || a.Name == "altimg" || a.Name == "actiontype" || strings.HasPrefix(a.Name, "on") {
			return rule.Refuse(container.CodeMarkup, place, "attribute %s of %s", a.Name, n.Name)
		}
	case a.Name == "xlink:href":
		return d.checkReference(place, dir, n.Name, a.Value)
	case strings.HasPrefix(a.Name, "script:"):
		if n.Name != "presentation:event-listener" || local != "event-name" || !strings.HasPrefix(a.Value, "dom:") {
			return rule.Refuse(container.CodeActive, place, "attribute %s of %s", a.Name, n.Name)
		}
	case loading[a.Name]:
		return rule.Refuse(container.CodeLink, place, "attribute %s of %s", a.Name, n.Name)
	case a.Name == "form:control-implementation":
		if !strings.HasPrefix(strings.TrimPrefix(a.Value, "ooo:"), "com.sun.star.form.component.") {
			return rule.Refuse(container.CodeActive, place, "control %q", a.Value)
		}
	case a.Name == "text:url":
		if !d.mayLink(a.Value) {
			return rule.Refuse(container.CodeLink, place, "address %q", a.Value)
		}
	case calculated[a.Name]:
		return d.checkFormula(place, a.Value)
	case d.file.Policy.Hidden == "remove" && hiding[a.Name] != "" && hiding[a.Name] == a.Value:
		return rule.Refuse(container.CodePart, place, "%s hides, which the route does not let pass", a.Name)
	}
	return nil
}

// mayLink tells an address that a person may follow, on this route.
func (d *document) mayLink(address string) bool {
	return container.SafeAddress(address) && (d.file.Policy.Links != "remove" || strings.HasPrefix(address, "#"))
}

// checkReference holds a reference to what its element may point at, and marks what is used.
func (d *document) checkReference(place, dir, element, href string) error {
	no := func() error { return rule.Refuse(container.CodeLink, place, "%s refers to %q", element, href) }
	inside := path.Join(dir, href)
	if strings.ContainsAny(href, `:\?#`) || strings.HasPrefix(inside, "..") || strings.HasPrefix(href, "/") {
		inside = ""
	}
	switch {
	case follows[element]:
		if !d.mayLink(href) {
			return no()
		}
	case shows[element]:
		if !strings.HasPrefix(d.media[inside], "image/") {
			return no()
		}
		d.used[inside] = true
	case element == "draw:object":
		if inside == "" || d.media[inside+"/"] == "" || !strings.HasPrefix(inside+"/", dir) || inside+"/" == dir {
			return no()
		}
		d.used[inside+"/"] = true
	case element == "chart:chart" && (href == ".." || href == "."):
	default:
		return no()
	}
	return nil
}

// plainSetting tells settings that are numbers and switches of the layout.
func plainSetting(n container.Node) bool {
	name := n.Get("config:name")
	switch n.Get("config:type") {
	case "boolean", "short", "int", "long", "double":
		return !strings.HasPrefix(name, "Printer") || name == "PrinterIndependentLayout" || name == "PrinterPaperFromSetup"
	case "string":
		return slices.Contains([]string{"ViewId", "ActiveTable", "SelectedSheets", "PageKind", "VisibleNotes", "VisibleHandout"}, name)
	}
	return false
}
