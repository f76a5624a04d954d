// Package odftest makes the OpenDocument files that tests rebuild.
//
// Problem: tests of several packages need small documents with one thing wrong in them. Mechanism: an inner piece of content and a map
// of parts become a package; parts named in it replace and add. Life cycle: one call a test. Invariant: what is not named is right.
package odftest

import (
	"archive/zip"
	"bytes"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize/office/officetest"
)

// names declares all namespaces that tests use.
var names = func() string {
	var b strings.Builder
	for _, n := range strings.Fields("office style text table config presentation chart form script") {
		b.WriteString(` xmlns:` + n + `="urn:oasis:names:tc:opendocument:xmlns:` + n + `:1.0"`)
	}
	b.WriteString(` xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" xmlns:anim="urn:oasis:names:tc:opendocument:xmlns:animation:1.0" xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0"` +
		` xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0" xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:dc="http://purl.org/dc/elements/1.1/"` +
		` xmlns:loext="urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0"`)
	return b.String()
}()

// Content, Styles and Settings are whole parts with the elements inside.
func Content(body string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><office:document-content` + names + ` office:version="1.2"><office:scripts/><office:body>` + body + `</office:body></office:document-content>`
}

// Styles is styles.xml.
func Styles(inner string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><office:document-styles` + names + ` office:version="1.2"><office:styles>` + inner + `</office:styles></office:document-styles>`
}

// Settings is settings.xml.
func Settings(items string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><office:document-settings` + names + ` office:version="1.2"><office:settings><config:config-item-set config:name="ooo:view-settings">` + items + `</config:config-item-set></office:settings></office:document-settings>`
}

// Text, Sheet and Show are documents with the elements in their bodies; files replace and add parts.
func Text(t testing.TB, inner string, files map[string]string) []byte {
	return document(t, "text", inner, files)
}

// Sheet is a spreadsheet.
func Sheet(t testing.TB, inner string, files map[string]string) []byte {
	return document(t, "spreadsheet", inner, files)
}

// Show is a presentation.
func Show(t testing.TB, inner string, files map[string]string) []byte {
	return document(t, "presentation", inner, files)
}

func document(t testing.TB, kind, inner string, files map[string]string) []byte {
	all := map[string]string{
		"mimetype":    "application/vnd.oasis.opendocument." + kind,
		"content.xml": Content(`<office:` + kind + `>` + inner + `</office:` + kind + `>`),
		"styles.xml":  Styles(""),
		"META-INF/manifest.xml": `<?xml version="1.0" encoding="UTF-8"?><manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" manifest:version="1.2"><manifest:file-entry manifest:full-path="/" manifest:media-type="application/vnd.oasis.opendocument.` + kind + `"/>` +
			`<manifest:file-entry manifest:full-path="Object 1/" manifest:media-type="application/vnd.oasis.opendocument.chart"/></manifest:manifest>`,
	}
	maps.Copy(all, files)
	return Zip(t, all)
}

// Zip packs files, mimetype in front and stored.
func Zip(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	order := slices.Sorted(maps.Keys(files))
	if i := slices.Index(order, "mimetype"); i > 0 {
		order = append([]string{"mimetype"}, slices.Delete(order, i, i+1)...)
	}
	for _, n := range order {
		h := &zip.FileHeader{Name: n, Method: zip.Deflate}
		if n == "mimetype" {
			h.Method = zip.Store
		}
		w, err := z.CreateHeader(h)
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

// Parts unpacks a package.
func Parts(t testing.TB, b []byte) map[string]string { return officetest.Parts(t, b) }
