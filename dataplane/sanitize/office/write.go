package office

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/container"
	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

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
