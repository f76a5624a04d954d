package hostile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	nsOffice = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	nsWord   = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
	nsSheet  = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
	nsSlide  = "http://schemas.openxmlformats.org/presentationml/2006/main"
	nsDraw   = "http://schemas.openxmlformats.org/drawingml/2006/main"
	nsRel    = "http://schemas.openxmlformats.org/package/2006/relationships"
	nsVML    = "urn:schemas-microsoft-com:vml"
	nsO      = "urn:schemas-microsoft-com:office:office"
	msRel    = "http://schemas.microsoft.com/office/2006/relationships/"
	remote   = "http://198.51.100.66/" + Marker
)

// ooxml is an Office document that is being made: parts, their content types and their relationships.
type ooxml struct {
	parts map[string]string
	types map[string]string // of parts
	rels  map[string][]rel  // by part
}

type rel struct {
	id, typ, target string
	external        bool
}

func (d *ooxml) add(name, typ, body string) *ooxml {
	d.parts[name] = body
	if typ != "" {
		d.types[name] = typ
	}
	return d
}

// relate ties a part to a target; types without a slash are the standard's.
func (d *ooxml) relate(from, id, typ, target string, external bool) *ooxml {
	if !strings.Contains(typ, "/") {
		typ = nsOffice + "/" + typ
	}
	d.rels[from] = append(d.rels[from], rel{id, typ, target, external})
	return d
}

func relsName(part string) string {
	if part == "" {
		return "_rels/.rels"
	}
	dir, base := "", part
	if i := strings.LastIndexByte(part, '/'); i >= 0 {
		dir, base = part[:i+1], part[i+1:]
	}
	return dir + "_rels/" + base + ".rels"
}

func (d *ooxml) bytes() []byte {
	var types strings.Builder
	types.WriteString(`<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
		`<Default Extension="xml" ContentType="application/xml"/><Default Extension="bin" ContentType="application/octet-stream"/><Default Extension="png" ContentType="image/png"/><Default Extension="jpeg" ContentType="image/jpeg"/>` +
		`<Default Extension="vml" ContentType="application/vnd.openxmlformats-officedocument.vmlDrawing"/><Default Extension="html" ContentType="text/html"/><Default Extension="rtf" ContentType="application/rtf"/>` +
		`<Default Extension="svg" ContentType="image/svg+xml"/><Default Extension="wav" ContentType="audio/wav"/><Default Extension="odttf" ContentType="application/vnd.openxmlformats-officedocument.obfuscatedFont"/>`)
	for _, name := range slices.Sorted(maps.Keys(d.types)) {
		fmt.Fprintf(&types, `<Override PartName="/%s" ContentType="%s"/>`, name, d.types[name])
	}
	types.WriteString("</Types>")
	members := []member{{"[Content_Types].xml", []byte(types.String())}}
	for _, from := range slices.Sorted(maps.Keys(d.rels)) {
		var b strings.Builder
		b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><Relationships xmlns="` + nsRel + `">`)
		for _, r := range d.rels[from] {
			mode := ""
			if r.external {
				mode = ` TargetMode="External"`
			}
			fmt.Fprintf(&b, `<Relationship Id="%s" Type="%s" Target="%s"%s/>`, r.id, r.typ, r.target, mode)
		}
		b.WriteString("</Relationships>")
		members = append(members, member{relsName(from), []byte(b.String())})
	}
	for _, name := range slices.Sorted(maps.Keys(d.parts)) {
		members = append(members, member{name, []byte(d.parts[name])})
	}
	return zipped(members...)
}

// ole stands for a compound file: its signature, and the marker.
const ole = "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1" + Marker
