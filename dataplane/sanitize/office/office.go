// Package office rebuilds Word, Excel and PowerPoint documents (OOXML, ECMA-376).
//
// Problem: such a document is a package of parts, and what acts in it hides in parts, in relationships, in elements, in attributes and
// in the text of fields and formulas; programs add new kinds every year. Mechanism: from the main part the relationships that
// rules.go allows are followed; each part that is reached is written again token by token, as far as its namespaces and elements are
// on the lists; each picture is rebuilt by its own family. Life cycle: one call of Rebuild. Invariant: a part that no allowed
// relationship reaches, and a namespace that is not named, do not exist in the result; the result rebuilt again is the same.
package office

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/compound"
	"github.com/sekisho/sekisho/dataplane/sanitize/container"
	"github.com/sekisho/sekisho/dataplane/sanitize/crypt"
	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Rebuild rebuilds a Word, Excel or PowerPoint document: from the main part it follows the relationships that rules.go allows,
// filters each part that it reaches token by token, rebuilds each picture, and writes a new package of those. A part that no
// allowed relationship reaches does not exist for it.
func Rebuild(j *rebuild.Job) (rebuild.Result, error) {
	if bytes.HasPrefix(j.In, []byte(compound.Magic)) {
		plain, err := crypt.Open(j.Ctx, j.In, j.Keys)
		if err != nil {
			return rebuild.Result{}, err
		}
		if err := j.Budget.Spend(int64(len(plain))); err != nil {
			return rebuild.Result{}, err
		}
		if err := j.Opened(plain); err != nil {
			return rebuild.Result{}, err
		}
		j.Found.Add("legacy.opened", "", verdict.Changed, "")
		j.In = plain
	}
	if !bytes.HasPrefix(j.In, []byte("PK\x03\x04")) {
		return rebuild.Result{}, brokenPart("ZIP does not begin with a member")
	}
	z, err := container.Open(j.Ctx, j.In)
	if err != nil {
		return rebuild.Result{}, err
	}
	a := &archive{Archive: z}
	if err := a.readTypes(); err != nil {
		return rebuild.Result{}, err
	}
	o := &office{Job: j, archive: a, parts: map[string]*part{}, outNames: map[string]bool{}, before: &rebuild.Excerpt{}, after: &rebuild.Excerpt{}}
	main, err := o.mainPart()
	if err != nil {
		return rebuild.Result{}, err
	}
	outExt := j.Ext
	if p, macro := Plain[j.Ext]; macro {
		outExt = p
	}
	if family := MainTypes[main.contentType]; family != MainTypes[mainTypes[outExt]] {
		return rebuild.Result{}, rebuild.Refuse("type.mismatch", "", family+" / "+j.Ext)
	}
	main.contentType = mainTypes[outExt]
	if err := o.follow(main); err != nil {
		return rebuild.Result{}, err
	}
	if o.asked {
		return rebuild.Result{}, rebuild.ErrAsked
	}
	o.unreached()
	if err := o.write(main); err != nil {
		return rebuild.Result{}, err
	}
	out := j.Out()
	if err := container.Write(out, typesName, o.out); err != nil {
		return rebuild.Result{}, err
	}
	return rebuild.Result{Body: out.Bytes(), Original: &verdict.Preview{Text: strings.TrimRight(o.before.String(), "\n")}, Result: &verdict.Preview{Text: strings.TrimRight(o.after.String(), "\n")}}, nil
}

// office is one document on its way.
type office struct {
	*rebuild.Job
	*archive
	order    []*part          // in order of discovery
	parts    map[string]*part // by key of the original
	outNames map[string]bool  // keys of the names given out
	out      []container.Part

	books         *workbook // of a spreadsheet
	strings       []string  // shared by its sheets, where somebody hears them
	blank         *part     // placeholder picture, once it is needed
	before, after *rebuild.Excerpt
	asked         bool // a helper, about a picture: what is made in this call is thrown away
	noPivots      bool // some pivot cache lives on outside data
}

// part is one that will be in the result.
type part struct {
	name        string // in the result
	key         string // of the original; empty for the placeholder
	contentType string // lower case as read, for the main part as it will be written
	title       string // of a sheet, as its tab says
	picture     bool
	links       []link
	byID        map[string]*link
}

// place is what a reader knows the part by.
func (p *part) place() string {
	if p.title != "" {
		return p.title
	}
	return path.Base(p.name)
}

// link is a relationship of a part. to is nil when it was removed, or when the target is an address (keepTarget).
type link struct {
	rel
	to         *part
	keepTarget bool
	blank      bool // an outside picture, now the placeholder
}

func (l *link) kept() bool { return l != nil && (l.to != nil || l.keepTarget) }

// shortType brings a relationship type into the form of the rules.
func shortType(typ string) string {
	for _, prefix := range []string{
		"http://schemas.openxmlformats.org/officeDocument/2006/relationships/",
		"http://purl.oclc.org/ooxml/officeDocument/relationships/",
		"http://schemas.microsoft.com/office/",
		"http://schemas.openxmlformats.org/package/2006/relationships/",
		"http://schemas.openxmlformats.org/officeDocument/2006/",
	} {
		if tail, ok := strings.CutPrefix(typ, prefix); ok {
			return tail
		}
	}
	return "?"
}

// mainPart finds the one part that the package is about, and reports what else hangs on the package.
func (o *office) mainPart() (*part, error) {
	rels, err := o.relsOf("")
	if err != nil {
		return nil, err
	}
	var main *part
	for _, r := range rels {
		short := shortType(r.typ)
		if short != "officeDocument" {
			if rule, ok := relations[short]; ok && rule.code != "" {
				o.Found.Add(rule.code, "", verdict.Removed, "")
			} else if !ok {
				o.Found.Add("ooxml.unknown-part", "", verdict.Removed, path.Base(r.typ))
			}
			continue
		}
		key := o.resolve("", r.target)
		if r.external || key == "" || main != nil {
			return nil, brokenPart("main part")
		}
		ct := o.typeOf(key)
		if MainTypes[ct] == "" {
			return nil, rebuild.Refuse("type.mismatch", "", ct)
		}
		main = o.add(key, ct)
	}
	if main == nil {
		return nil, brokenPart("no main part")
	}
	return main, nil
}

// add takes a part into the result under its own name.
func (o *office) add(key, contentType string) *part {
	name := strings.TrimPrefix(strings.ReplaceAll(o.Members[key].Name, `\`, "/"), "/")
	p := &part{name: name, key: key, contentType: contentType}
	o.parts[key] = p
	o.order = append(o.order, p)
	o.outNames[container.Key(name)] = true
	return p
}

// follow decides on every relationship of every part that is reached from main.
func (o *office) follow(main *part) error {
	if err := o.checkPivots(); err != nil {
		return err
	}
	for i := 0; i < len(o.order); i++ {
		p := o.order[i]
		if p.picture {
			continue
		}
		rels, err := o.relsOf(p.key)
		if err != nil {
			return err
		}
		p.links = make([]link, 0, len(rels))
		p.byID = make(map[string]*link, len(rels))
		for _, r := range rels {
			l, code, err := o.decide(p, r)
			if err != nil {
				return err
			}
			if code != "" {
				o.Found.Add(code, p.name, verdict.Removed, detailOf(r))
			}
			p.links = append(p.links, l)
		}
		for i := range p.links {
			p.byID[p.links[i].id] = &p.links[i]
		}
		if p == main && strings.Contains(main.contentType, "spreadsheetml") {
			if err := o.readWorkbook(main); err != nil {
				return err
			}
		}
	}
	return nil
}

func detailOf(r rel) string {
	if r.external {
		return r.target
	}
	return path.Base(r.target)
}

// decide answers what becomes of a relationship, and the code to report when it goes.
func (o *office) decide(from *part, r rel) (link, string, error) {
	l := link{rel: r}
	short := shortType(r.typ)
	rule, known := relations[short]
	switch {
	case short == "hyperlink":
		if rebuild.SafeURL(r.target) && !o.noLink(r.target) && (r.external || strings.HasPrefix(r.target, "#")) {
			l.keepTarget = true
			return l, "", nil
		}
		return l, "ooxml.link", nil
	case r.external && short == "image":
		l.to, l.blank = o.placeholder(), true
		return l, "ooxml.external", nil
	case o.noComments() && comments[short]:
		return l, "ooxml.comments", nil
	case known && rule.parts == nil:
		return l, rule.code, nil
	case r.external:
		return l, "ooxml.external", nil
	case !known && short != "image":
		return l, "ooxml.unknown-part", nil
	}
	key := o.resolve(from.name, r.target)
	if key == "" {
		if short == "image" {
			l.to = o.placeholder()
		}
		return l, "", nil // it led nowhere before
	}
	ct := o.typeOf(key)
	if p := o.parts[key]; p != nil {
		if p.picture == (short == "image") && (p.picture || slices.Contains(rule.parts, ct)) {
			l.to = p
		}
		return l, "", nil
	}
	if short == "image" {
		p, code, err := o.picture(key)
		l.to = p
		return l, code, err
	}
	if !slices.Contains(rule.parts, ct) {
		return l, "ooxml.unknown-part", nil
	}
	if o.noPivots && (strings.Contains(short, "ivot") || strings.Contains(short, "slicer") || strings.Contains(short, "timeline")) {
		return l, "ooxml.pivot", nil
	}
	if ct == ctVML && !o.wellFormed(key) {
		return l, "ooxml.unknown-part", nil // Excel writes <br> into it
	}
	if short == "slide" && o.hiddenSlide(key) {
		if o.noHidden() {
			return l, "ooxml.hidden-gone", nil
		}
		o.Found.First("ooxml.hidden-slide", path.Base(o.Members[key].Name), verdict.Reported, "")
	}
	l.to = o.add(key, ct)
	return l, "", nil
}

func (o *office) wellFormed(key string) bool {
	b, err := o.Unpack(o.Members[key])
	return err == nil && eachElement(b, "", func(*markup.Reader, *markup.Token) error { return nil }) == nil
}

// checkPivots looks for pivot caches that are fed from outside the workbook: then no pivot table stays alive, only its values.
func (o *office) checkPivots() error {
	for key, f := range o.Members {
		if o.typeOf(key) != ctPivot {
			continue
		}
		b, err := o.Unpack(f)
		if err != nil {
			return err
		}
		err = eachElement(b, f.Name, func(x *markup.Reader, t *markup.Token) error {
			switch (element{t.NS, t.Local}) {
			case element{"x", "cacheSource"}:
				if attr(t, "type") != "worksheet" {
					o.noPivots = true
				}
			case element{"x", "worksheetSource"}, element{"x", "rangeSet"}:
				for _, a := range t.Attrs {
					if ns, _, err := x.AttrName(a); err == nil && ns == "r" {
						o.noPivots = true
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// unreached reports parts that nothing allowed leads to and that no finding speaks of yet.
func (o *office) unreached() {
	count := 0
	for key := range o.Members {
		ct := o.typeOf(key)
		switch {
		case key == container.Key(typesName), strings.HasSuffix(key, ".rels"), o.parts[key] != nil:
		case strings.Contains(ct, "vbaproject"):
			if !o.Found.Reported("ooxml.vba") {
				o.Found.Add("ooxml.vba", "", verdict.Removed, "")
			}
		case strings.Contains(ct, "docprops"), strings.Contains(ct, "-properties+xml"):
		default:
			count++
		}
	}
	if count > 0 && o.Found.Mark() == 0 {
		o.Found.Add("ooxml.unknown-part", "", verdict.Removed, fmt.Sprint(count))
	}
}

// write filters and packs every part, then writes the relationships and the content types anew.
func (o *office) write(main *part) error {
	if err := o.readStrings(); err != nil {
		return err
	}
	for _, p := range o.order {
		if err := o.Ctx.Err(); err != nil {
			return err
		}
		if p.picture {
			continue // packed when it was rebuilt
		}
		b, err := o.Unpack(o.Members[p.key])
		if err != nil {
			return err
		}
		if b, err = o.filter(p, b); err != nil {
			return rebuild.At(err, p.name)
		}
		if err := o.emit(p.name, b); err != nil {
			return err
		}
		if rels := relationships(p); rels != nil {
			if err := o.emit(path.Join(path.Dir(p.name), "_rels", path.Base(p.name)+".rels"), rels); err != nil {
				return err
			}
		}
	}
	root := fmt.Sprintf(xmlHead+`<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="%s" Target="%s"/></Relationships>`,
		o.rootType(), markup.Escape([]byte(main.name)))
	if err := o.emit("_rels/.rels", []byte(root)); err != nil {
		return err
	}
	return o.emit(typesName, o.contentTypes())
}

const xmlHead = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\r\n"

// rootType is the relationship type of the main part: strict documents have their own.
func (o *office) rootType() string {
	if rels, err := o.relsOf(""); err == nil {
		for _, r := range rels {
			if shortType(r.typ) == "officeDocument" {
				return string(markup.Escape([]byte(r.typ)))
			}
		}
	}
	return "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
}

func (o *office) emit(name string, b []byte) error {
	p, err := container.Pack(name, b)
	if err != nil {
		return err
	}
	o.out = append(o.out, p)
	return nil
}

func relationships(p *part) []byte {
	var b bytes.Buffer
	n := 0
	b.WriteString(xmlHead + `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`)
	for i := range p.links {
		l := &p.links[i]
		if !l.kept() {
			continue
		}
		n++
		target, mode := l.target, ""
		if l.to != nil {
			target = relative(p.name, l.to.name)
		} else if l.external {
			mode = ` TargetMode="External"`
		}
		fmt.Fprintf(&b, `<Relationship Id="%s" Type="%s" Target="%s"%s/>`, markup.Escape([]byte(l.id)), markup.Escape([]byte(l.typ)), markup.Escape([]byte(target)), mode)
	}
	if n == 0 {
		return nil
	}
	b.WriteString(`</Relationships>`)
	return b.Bytes()
}

// relative is the way from one part to another.
func relative(from, to string) string {
	f, t := strings.Split(path.Dir(from), "/"), strings.Split(to, "/")
	if f[0] == "." {
		f = nil
	}
	for len(f) > 0 && len(t) > 1 && f[0] == t[0] {
		f, t = f[1:], t[1:]
	}
	return strings.Repeat("../", len(f)) + strings.Join(t, "/")
}

// contentTypes gives content types back the spelling of the standard; they are compared in lower case.
func (o *office) contentTypes() []byte {
	names := map[string]string{} // lower case -> as the document spells it
	if b, err := o.Unpack(o.Members[container.Key(typesName)]); err == nil {
		_ = eachElement(b, typesName, func(x *markup.Reader, t *markup.Token) error {
			ct := attr(t, "ContentType")
			names[mediaType(ct)] = strings.TrimSpace(ct)
			return nil
		})
	}
	spell := func(ct string) string {
		if s, ok := names[ct]; ok {
			return s
		}
		return ct
	}
	var b bytes.Buffer
	b.WriteString(xmlHead + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">`)
	b.WriteString(`<Default Extension="jpeg" ContentType="image/jpeg"/><Default Extension="png" ContentType="image/png"/>`)
	b.WriteString(`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="vml" ContentType="application/vnd.openxmlformats-officedocument.vmlDrawing"/>`)
	b.WriteString(`<Default Extension="xml" ContentType="application/xml"/>`)
	ps := slices.Clone(o.order)
	slices.SortFunc(ps, func(a, b *part) int { return strings.Compare(a.name, b.name) })
	for _, p := range ps {
		if p.picture || p.contentType == ctVML && strings.HasSuffix(p.name, ".vml") {
			continue
		}
		fmt.Fprintf(&b, `<Override PartName="/%s" ContentType="%s"/>`, markup.Escape([]byte(p.name)), markup.Escape([]byte(spell(p.contentType))))
	}
	b.WriteString(`</Types>`)
	return b.Bytes()
}
