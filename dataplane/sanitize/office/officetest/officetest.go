// Package officetest makes the documents that tests rebuild.
//
// Problem: tests of several packages need small documents with one thing wrong in them. Mechanism: a map of parts becomes a package;
// files named in it replace and add parts. Life cycle: one call a test. Invariant: what is not named is right.
package officetest

import (
	"archive/zip"
	"bytes"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
)

// Namespaces and what relationship types begin with.
const (
	RelBase = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
	MSBase  = "http://schemas.microsoft.com/office/"
	W       = `xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"`
	R       = `xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"`
	MC      = `xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"`
	V       = `xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office"`
	P       = `xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"`
	X       = `xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"`
)

// Zip packs files as programs do: sorted, the content types in front.
func Zip(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	names := slices.Sorted(maps.Keys(files))
	slices.SortStableFunc(names, func(a, b string) int { // content types in front, as programs write them
		return strings.Compare(strings.TrimPrefix(a, "["), strings.TrimPrefix(b, "["))
	})
	for _, n := range names {
		w, err := z.Create(n)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[n]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Rels is a part of relationships.
func Rels(entries ...string) string { // "id type target" or "id type target External"
	var b strings.Builder
	b.WriteString(`<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`)
	for _, e := range entries {
		f := strings.Split(e, " ")
		typ, mode := RelBase+f[1], ""
		if strings.Contains(f[1], "/") {
			typ = MSBase + f[1]
		}
		if len(f) > 3 {
			mode = ` TargetMode="External"`
		}
		b.WriteString(`<Relationship Id="` + f[0] + `" Type="` + typ + `" Target="` + f[2] + `"` + mode + `/>`)
	}
	return b.String() + `</Relationships>`
}

// Types is the part of content types.
func Types(overrides map[string]string) string {
	var b strings.Builder
	b.WriteString(`<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
		`<Default Extension="xml" ContentType="application/xml"/><Default Extension="bin" ContentType="application/octet-stream"/><Default Extension="png" ContentType="image/png"/><Default Extension="jpg" ContentType="image/jpeg"/><Default Extension="emf" ContentType="image/x-emf"/><Default Extension="gif" ContentType="image/gif"/><Default Extension="vml" ContentType="application/vnd.openxmlformats-officedocument.vmlDrawing"/>`)
	for _, p := range slices.Sorted(maps.Keys(overrides)) {
		b.WriteString(`<Override PartName="/` + p + `" ContentType="` + overrides[p] + `"/>`)
	}
	return b.String() + `</Types>`
}

// Docx is a small document; files replace and add parts, an empty one takes a part away.
func Docx(t testing.TB, files map[string]string) []byte {
	all := map[string]string{
		"[Content_Types].xml": Types(map[string]string{"word/document.xml": "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"}),
		"_rels/.rels":         Rels("rId1 officeDocument word/document.xml"),
		"word/document.xml":   `<w:document ` + W + `><w:body><w:p><w:r><w:t>本文</w:t></w:r></w:p></w:body></w:document>`,
	}
	maps.Copy(all, files)
	return Zip(t, all)
}

// Body is a document with the elements inside.
func Body(inner string) map[string]string {
	return map[string]string{"word/document.xml": `<w:document ` + W + ` ` + R + ` ` + MC + ` ` + V + `><w:body>` + inner + `</w:body></w:document>`}
}

// Xlsx is a macro workbook with sheets of these kinds; SHEETS in workbook stands for them.
func Xlsx(t testing.TB, kinds []string, files map[string]string, workbook string) []byte {
	overrides := map[string]string{"xl/workbook.xml": "application/vnd.ms-excel.sheet.macroEnabled.main+xml", "xl/externalLinks/externalLink1.xml": "application/vnd.openxmlformats-officedocument.spreadsheetml.externalLink+xml",
		"xl/calcChain.xml": "application/vnd.openxmlformats-officedocument.spreadsheetml.calcChain+xml"}
	all := map[string]string{"_rels/.rels": Rels("rId1 officeDocument xl/workbook.xml"), "xl/calcChain.xml": "<calcChain/>",
		"xl/externalLinks/externalLink1.xml": `<externalLink ` + X + `><ddeLink ddeService="cmd" ddeTopic="/c calc"/></externalLink>`}
	var sheets strings.Builder
	entries := []string{"rId90 externalLink externalLinks/externalLink1.xml", "rId91 calcChain calcChain.xml", "rId92 2006/relationships/vbaProject vbaProject.bin"}
	all["xl/vbaProject.bin"] = "inert"
	for i, k := range kinds {
		n := string(rune('1' + i))
		state := ""
		switch k {
		case "macro":
			entries = append(entries, "rId"+n+" 2006/relationships/xlMacrosheet macrosheets/sheet"+n+".xml")
			overrides["xl/macrosheets/sheet"+n+".xml"] = "application/vnd.ms-excel.macrosheet+xml"
			all["xl/macrosheets/sheet"+n+".xml"] = `<xm:macrosheet xmlns:xm="http://schemas.microsoft.com/office/excel/2006/main"/>`
		case "hidden":
			state = ` state="hidden"`
			fallthrough
		default:
			entries = append(entries, "rId"+n+" worksheet worksheets/sheet"+n+".xml")
			overrides["xl/worksheets/sheet"+n+".xml"] = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"
			all["xl/worksheets/sheet"+n+".xml"] = `<worksheet ` + X + `><sheetData/></worksheet>`
		}
		sheets.WriteString(`<sheet name="S` + n + `" sheetId="` + n + `"` + state + ` r:id="rId` + n + `"/>`)
	}
	all["xl/_rels/workbook.xml.rels"] = Rels(entries...)
	all["[Content_Types].xml"] = Types(overrides)
	all["xl/workbook.xml"] = `<workbook ` + X + ` ` + R + `>` + strings.Replace(workbook, "SHEETS", `<sheets>`+sheets.String()+`</sheets>`, 1) + `</workbook>`
	maps.Copy(all, files)
	return Zip(t, all)
}

// Pptx is a macro presentation with one slide.
func Pptx(t testing.TB, slide string, slideRels []string, files map[string]string) []byte {
	all := map[string]string{
		"[Content_Types].xml":             Types(map[string]string{"ppt/presentation.xml": "application/vnd.ms-powerpoint.presentation.macroEnabled.main+xml", "ppt/slides/slide1.xml": "application/vnd.openxmlformats-officedocument.presentationml.slide+xml"}),
		"_rels/.rels":                     Rels("rId1 officeDocument ppt/presentation.xml"),
		"ppt/presentation.xml":            `<p:presentation ` + P + ` ` + R + `><p:sldIdLst><p:sldId id="256" r:id="rId1"/></p:sldIdLst><p:embeddedFontLst/><p:custDataLst/></p:presentation>`,
		"ppt/_rels/presentation.xml.rels": Rels("rId1 slide slides/slide1.xml", "rId2 2006/relationships/vbaProject vbaProject.bin", "rId3 font fonts/f.fntdata", "rId4 tags tags/tag1.xml"),
		"ppt/vbaProject.bin":              "inert", "ppt/fonts/f.fntdata": "x", "ppt/tags/tag1.xml": "<x/>",
		"ppt/slides/slide1.xml":            `<p:sld ` + P + ` ` + R + ` ` + MC + ` xmlns:v="urn:schemas-microsoft-com:vml">` + slide + `</p:sld>`,
		"ppt/slides/_rels/slide1.xml.rels": Rels(slideRels...),
	}
	maps.Copy(all, files)
	return Zip(t, all)
}

// Parts unpacks a package.
func Parts(t testing.TB, b []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		parts[f.Name] = string(body)
	}
	return parts
}
