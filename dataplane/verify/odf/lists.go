package odf

import (
	"strings"
	"sync"

	"github.com/sekisho/sekisho/dataplane/schema"
	"github.com/sekisho/sekisho/dataplane/verify/container"
	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// spaces maps the namespaces in which elements and attributes may stand to short names (ODF 1.3 part 3, and LibreOffice's extensions).
var spaces = func() map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(`
		xml       http://www.w3.org/XML/1998/namespace
		xlink     http://www.w3.org/1999/xlink
		dc        http://purl.org/dc/elements/1.1/
		math      http://www.w3.org/1998/Math/MathML
		css3t     http://www.w3.org/TR/css3-text/
		field     urn:openoffice:names:experimental:ooo-ms-interop:xmlns:field:1.0
		formx     urn:openoffice:names:experimental:ooxml-odf-interop:xmlns:form:1.0
		calcext   urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0
		loext     urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0
		ooo       http://openoffice.org/2004/office
		ooow      http://openoffice.org/2004/writer
		oooc      http://openoffice.org/2004/calc
		tableooo  http://openoffice.org/2009/table
		drawooo   http://openoffice.org/2010/draw
		officeooo http://openoffice.org/2009/office
		of        urn:oasis:names:tc:opendocument:xmlns:of:1.2
		fo        O:xsl-fo-compatible
		svg       O:svg-compatible
		smil      O:smil-compatible
		number    O:datastyle
		draw      O:drawing
		anim      O:animation
		manifest  O:manifest
		script    O:script
		office    O:office
		style     O:style
		text      O:text
		table     O:table
		meta      O:meta
		config    O:config
		presentation O:presentation
		dr3d      O:dr3d
		chart     O:chart
		form      O:form
	`) {
		if f := strings.Fields(line); len(f) == 2 {
			if tail, ok := strings.CutPrefix(f[1], "O:"); ok {
				f[1] = "urn:oasis:names:tc:opendocument:xmlns:" + tail + ":1.0"
			}
			m[f[1]] = f[0]
		}
	}
	return m
}()

// known are the elements that a standard defines, of the namespaces that may stand in a document.
var known = sync.OnceValue(func() map[string]bool {
	m := map[string]bool{}
	for uri, names := range schema.ODF() {
		for _, n := range names {
			if space := spaces[uri]; space != "" {
				m[space+":"+n] = true
			}
		}
	}
	return m
})

// active elements do something, load something, or hold something that does.
var active = words(`office:scripts office:script office:dde-source office:binary-data text:section-source text:dde-connection-decls text:dde-connection-decl text:dde-connection
	text:execute-macro text:script text:database-display text:database-next text:database-row-select text:database-row-number text:database-name
	text:alphabetical-index-auto-mark-file table:table-source table:dde-links table:dde-link table:cell-range-source table:database-source-sql
	table:database-source-table table:database-source-query table:source-service draw:object-ole draw:plugin draw:applet draw:floating-frame draw:param
	presentation:sound anim:audio anim:command svg:font-face-src svg:definition-src form:properties form:property form:list-property form:connection-resource
	form:image-frame form:file form:frame math:annotation-xml math:maction math:mglyph office:document`)

// remarks are what people wrote beside the document, and what it was before; unseen and hiding are elements and values that keep
// something from its reader's eyes. A route may not want them.
var (
	remarks = words("office:annotation office:annotation-end text:tracked-changes table:tracked-changes text:change text:change-start text:change-end")
	unseen  = words("text:hidden-text text:hidden-paragraph")
	hiding  = map[string]string{"table:display": "false", "text:display": "none", "presentation:visibility": "hidden"}
)

// follows are elements whose reference a person follows; shows are those that show a picture.
var (
	follows = words("text:a draw:a draw:area-rectangle draw:area-circle draw:area-polygon presentation:event-listener")
	shows   = words("draw:image draw:fill-image style:background-image text:list-level-style-image chart:symbol-image form:image-data table:background-image")
)

// actions of a click that stay in the show.
var actions = words("none previous-page next-page first-page last-page hide show fade-out stop")

// loading attributes name data sources, programs, or where something is sent.
var loading = words(`form:command form:command-type form:datasource form:filter form:order form:target-frame form:method form:enctype form:image-data form:bind
	form:xforms-submission form:xforms-list-source text:connection-name text:database-name table:database-name xlink:role xlink:arcrole draw:class-id draw:code
	draw:archive draw:may-script presentation:verb table:filter-name table:filter-options xml:base`)

// calculated attributes hold a formula.
var calculated = words("table:formula text:formula table:condition table:expression calcext:value calcext:formula text:condition style:condition")

// callsOut are functions that reach outside the document.
var callsOut = words(`DDE WEBSERVICE COM.MICROSOFT.WEBSERVICE ORG.LIBREOFFICE.WEBSERVICE CALL COM.MICROSOFT.CALL REGISTER REGISTER.ID RTD COM.MICROSOFT.RTD SQL.REQUEST IMAGE
	EXTERNAL CUBEMEMBER CUBEVALUE CUBESET COM.MICROSOFT.CUBEMEMBER`)

// checkFormula reads a formula (ODF part 4) just well enough to see what reaches outside: another document before '#', functions that
// call out, and addresses of HYPERLINK. Text in quotes is text.
func (d *document) checkFormula(place, f string) error {
	if strings.HasPrefix(f, "msoxl:") {
		return rule.Refuse(container.CodeLink, place, "formula in Excel's grammar")
	}
	var bare strings.Builder // without text; a quoted name is its quotes
	var first []string       // text that follows each opening parenthesis
	for i := 0; i < len(f); i++ {
		c := f[i]
		if c != '"' && c != '\'' {
			bare.WriteByte(c)
			continue
		}
		end := i + 1
		for end < len(f) {
			if f[end] == c {
				if end+1 < len(f) && f[end+1] == c {
					end += 2
					continue
				}
				break
			}
			end++
		}
		if c == '"' {
			bare.WriteString("\x01")
			first = append(first, strings.ReplaceAll(f[i+1:min(end, len(f))], `""`, `"`))
		} else {
			bare.WriteString("\x02")
		}
		i = end
	}
	s := strings.ToUpper(bare.String())
	for _, out := range []string{"\x02#", "#$", "#.", "#\x02", "://"} {
		if strings.Contains(s, out) {
			return rule.Refuse(container.CodeLink, place, "formula refers to another document")
		}
	}
	texts := 0
	for i := 0; i < len(s); i++ {
		if s[i] == '\x01' {
			texts++
		}
		if s[i] != '(' {
			continue
		}
		name := strings.TrimRight(s[:i], " \t\r\n")
		start := len(name)
		for start > 0 && (s[start-1] == '.' || s[start-1] == '_' || s[start-1] >= 0x80 || '0' <= s[start-1] && s[start-1] <= '9' || 'A' <= s[start-1] && s[start-1] <= 'Z') {
			start--
		}
		switch name = name[start:]; {
		case callsOut[name]:
			return rule.Refuse(container.CodeActive, place, "function %s", name)
		case name == "HYPERLINK":
			args := strings.TrimLeft(s[i+1:], " \t\r\n")
			if !strings.HasPrefix(args, "\x01") || texts >= len(first) || !d.mayLink(first[texts]) {
				return rule.Refuse(container.CodeLink, place, "HYPERLINK to an address that may not be followed")
			}
		}
	}
	return nil
}

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}
