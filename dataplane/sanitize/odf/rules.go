package odf

import (
	"strings"
	"sync"

	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/schema"
)

// The lists, by the short names of namespaces. Sources: OpenDocument 1.3 part 3 (schema), and LibreOffice's documentation of its
// extensions. A namespace that is missing loses its elements and attributes: script, xforms, events, RDFa, GRDDL, reports.

// spaces maps the namespaces that may pass to short names.
var spaces = func() map[string]string {
	m := map[string]string{
		markup.Namespace:                                                       "xml",
		"http://www.w3.org/1999/xlink":                                         "xlink",
		"http://purl.org/dc/elements/1.1/":                                     "dc",
		"http://www.w3.org/1998/Math/MathML":                                   "math",
		"http://www.w3.org/TR/css3-text/":                                      "css3t",
		"urn:openoffice:names:experimental:ooo-ms-interop:xmlns:field:1.0":     "field",
		"urn:openoffice:names:experimental:ooxml-odf-interop:xmlns:form:1.0":   "formx",
		"urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0": "calcext",
		"urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0": "loext",
		"http://openoffice.org/2004/office":                                    "ooo",
		"http://openoffice.org/2004/writer":                                    "ooow",
		"http://openoffice.org/2004/calc":                                      "oooc",
		"http://openoffice.org/2009/table":                                     "tableooo",
		"http://openoffice.org/2010/draw":                                      "drawooo",
		"http://openoffice.org/2009/office":                                    "officeooo",
		"urn:oasis:names:tc:opendocument:xmlns:of:1.2":                         "of",
		"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0":                   "manifest",
		"urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0":          "fo",
		"urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0":             "svg",
		"urn:oasis:names:tc:opendocument:xmlns:smil-compatible:1.0":            "smil",
		"urn:oasis:names:tc:opendocument:xmlns:datastyle:1.0":                  "number",
		"urn:oasis:names:tc:opendocument:xmlns:drawing:1.0":                    "draw",
		"urn:oasis:names:tc:opendocument:xmlns:animation:1.0":                  "anim",
	}
	for _, n := range strings.Fields("script office style text table meta config presentation dr3d chart form") {
		m["urn:oasis:names:tc:opendocument:xmlns:"+n+":1.0"] = n
	}
	return m
}()

// known are the elements that a standard defines, of the namespaces that may pass.
var known = sync.OnceValue(func() map[string]bool {
	m := map[string]bool{}
	for uri, names := range schema.ODF() {
		for _, n := range names {
			if ns := spaces[uri]; ns != "" {
				m[ns+":"+n] = true
			}
		}
	}
	return m
})

// removed elements never pass, with all that is in them, under the code that is reported; empty says nothing, because what it belongs
// to is reported elsewhere or nobody misses it.
var removed = table(`
	odf.macros    office:scripts office:script
	odf.external  text:section-source office:dde-source text:dde-connection-decls text:dde-connection-decl table:table-source table:dde-links table:dde-link
	odf.external  table:cell-range-source table:database-source-sql table:database-source-table table:database-source-query table:source-service
	odf.external  table:source-cell-range-external text:alphabetical-index-auto-mark-file form:connection-resource text:database-name
	odf.object    draw:object-ole draw:plugin draw:applet draw:floating-frame draw:param office:binary-data
	odf.media     presentation:sound anim:audio anim:command
	odf.font      svg:font-face-src svg:definition-src
	odf.form      form:properties form:property form:list-property form:image-frame form:file
	odf.macros    text:script
	-             form:frame
`)

// plainText elements are fields that ask somewhere else for their text: the text stays, in a span.
var plainText = table(`
	odf.macros    text:execute-macro
	odf.external  text:dde-connection text:database-display text:database-next text:database-row-select text:database-row-number text:sheet-name-external
`)

// links are the elements whose xlink:href a person follows; elsewhere it names a part.
var links = words("text:a draw:a draw:area-rectangle draw:area-circle draw:area-polygon presentation:event-listener")

// pictures are the elements that show the part that they name.
var pictures = words("draw:image draw:fill-image style:background-image text:list-level-style-image chart:symbol-image form:image-data table:background-image")

// formulas are attributes that hold one.
var formulas = words("table:formula text:formula table:condition table:expression calcext:value calcext:formula text:condition style:condition")

// droppedAttributes do or load something, or tell of persons or machines; the rest of their element stays.
var droppedAttributes = words(`form:command form:command-type form:datasource form:escape-processing form:filter form:order form:target-frame form:method form:enctype
	form:linked-cell-external form:xforms-submission form:xforms-list-source form:bind form:image-data
	text:connection-name text:database-name table:database-name office:target-frame xlink:role xlink:arcrole
	draw:class-id draw:code draw:archive draw:may-script draw:object-ole-mime-type loext:mime-type draw:mime-type
	presentation:verb table:filter-name table:filter-options table:refresh-delay xml:base`)

// actions of a click that stay in the show (ODF part 3, 19.386).
var actions = words("none previous-page next-page first-page last-page hide show fade-out stop")

// settings are the items of settings.xml that hold a name; the other types are numbers and switches.
var settings = words("ViewId ActiveTable SelectedSheets PageKind VisibleNotes VisibleHandout")

// unwanted settings tell of printers and data sources.
var unwanted = words("PrinterName PrinterSetup PrinterFaxName CurrentDatabaseDataSource CurrentDatabaseCommand CurrentDatabaseCommandType EmbeddedDatabaseName ModifyPasswordInfo LinkUpdateMode UpdateFromTemplate LoadReadonly")

// table reads lines of a code and names; "-" is the empty code.
func table(s string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(s) {
		f := strings.Fields(line)
		for i, name := range f {
			if i > 0 {
				m[name] = strings.TrimPrefix(f[0], "-")
			}
		}
	}
	return m
}

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}
