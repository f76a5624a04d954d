package hostile

const odfNames = `xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"` +
	` xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:script="urn:oasis:names:tc:opendocument:xmlns:script:1.0" xmlns:form="urn:oasis:names:tc:opendocument:xmlns:form:1.0" xmlns:presentation="urn:oasis:names:tc:opendocument:xmlns:presentation:1.0"` +
	` xmlns:db="urn:oasis:names:tc:opendocument:xmlns:database:1.0" xmlns:of="urn:oasis:names:tc:opendocument:xmlns:of:1.2" office:version="1.3"`

// odf is an OpenDocument file of a kind: its body, and members beside it.
func odf(kind, scripts, body string, more ...member) []byte {
	mime := "application/vnd.oasis.opendocument." + kind
	manifest := `<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" manifest:version="1.3"><manifest:file-entry manifest:full-path="/" manifest:media-type="` + mime + `"/><manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/>`
	for _, m := range more {
		manifest += `<manifest:file-entry manifest:full-path="` + m.name + `" manifest:media-type=""/>`
	}
	members := []member{{"mimetype", []byte(mime)}, {"META-INF/manifest.xml", []byte(manifest + "</manifest:manifest>")},
		{"content.xml", []byte(`<office:document-content ` + odfNames + `>` + scripts + `<office:body><office:` + kind + `>` + body + `</office:` + kind + `></office:body></office:document-content>`)}}
	return zipped(append(members, more...)...)
}

// flatODF is a document that is one XML, with Basic, a listener and a link to a macro.
func flatODF(kind, body string) []byte {
	return []byte(`<?xml version="1.0" encoding="UTF-8"?><office:document ` + odfNames + ` xmlns:ooo="http://openoffice.org/2004/office" office:mimetype="application/vnd.oasis.opendocument.` + kind + `"><office:scripts>` +
		`<office:script script:language="ooo:Basic"><ooo:libraries><ooo:library-embedded ooo:name="Standard"><ooo:module ooo:name="M"><ooo:source-code>Sub Main ' ` + Marker + `</ooo:source-code></ooo:module></ooo:library-embedded></ooo:libraries></office:script>` +
		`<office:event-listeners><script:event-listener script:language="ooo:script" script:event-name="dom:load" xlink:href="vnd.sun.star.script:` + Marker + `" xlink:type="simple"/></office:event-listeners></office:scripts>` +
		`<office:body><office:` + kind + `>` + body + `</office:` + kind + `></office:body></office:document>`)
}

func openDocument() []File {
	var out []File
	paragraph := `<text:p>` + Kept + `</text:p>`
	add := func(technique, name string, body []byte) {
		out = append(out, File{Name: name, Technique: technique, Nesting: "bare", Body: body})
	}
	writer := func(technique, inside string, more ...member) {
		add(technique, "文書.odt", odf("text", "", paragraph+inside, more...))
	}
	basic := []member{{"Basic/Standard/Module1.xml", []byte(`<script:module xmlns:script="http://openoffice.org/2000/script">Sub Main ' ` + Marker + `</script:module>`)}, {"Basic/script-lc.xml", []byte(`<library:libraries xmlns:library="http://openoffice.org/2000/library" x="` + Marker + `"/>`)}}
	writer("Basic macros", "", basic...)
	add("Basic macros", "表.ods", odf("spreadsheet", "", `<table:table><table:table-row><table:table-cell>`+paragraph+`</table:table-cell></table:table-row></table:table>`, basic...))
	writer("Python macros", "", member{"Scripts/python/m.py", []byte("import os # " + Marker)})
	add("macro at opening", "文書.odt", odf("text", `<office:scripts><office:event-listeners><script:event-listener script:language="ooo:script" script:event-name="dom:load" xlink:href="vnd.sun.star.script:`+Marker+`" xlink:type="simple"/></office:event-listeners></office:scripts>`, paragraph))
	for name, inside := range map[string]string{
		"link to a macro":          `<text:p><text:a xlink:type="simple" xlink:href="vnd.sun.star.script:` + Marker + `">x</text:a></text:p>`,
		"link to a script":         `<text:p><text:a xlink:type="simple" xlink:href="javascript:` + Marker + `">x</text:a></text:p>`,
		"link to a file":           `<text:p><text:a xlink:type="simple" xlink:href="file:///c:/` + Marker + `">x</text:a></text:p>`,
		"macro of a link":          `<text:p><text:a xlink:type="simple" xlink:href="http://town.example/"><office:event-listeners><script:event-listener script:language="ooo:script" script:event-name="dom:mouseover" xlink:href="vnd.sun.star.script:` + Marker + `"/></office:event-listeners>x</text:a></text:p>`,
		"section from elsewhere":   `<text:section text:name="s"><text:section-source xlink:type="simple" xlink:href="` + remote + `"/></text:section>`,
		"DDE section":              `<text:section text:name="s"><office:dde-source office:dde-application="cmd" office:dde-topic="` + Marker + `" office:dde-item="a"/></text:section>`,
		"picture from elsewhere":   `<text:p><draw:frame><draw:image xlink:type="simple" xlink:href="` + remote + `.png"/></draw:frame></text:p>`,
		"object from elsewhere":    `<text:p><draw:frame><draw:object xlink:type="simple" xlink:href="` + remote + `"/></draw:frame></text:p>`,
		"plugin":                   `<text:p><draw:frame><draw:plugin xlink:type="simple" xlink:href="` + remote + `" draw:mime-type="application/x"/></draw:frame></text:p>`,
		"applet":                   `<text:p><draw:frame><draw:applet draw:code="` + Marker + `"/></draw:frame></text:p>`,
		"floating frame":           `<text:p><draw:frame><draw:floating-frame xlink:type="simple" xlink:href="` + remote + `"/></draw:frame></text:p>`,
		"form that sends":          `<office:forms><form:form xlink:href="` + remote + `" form:command="` + Marker + `"/></office:forms>`,
		"script in the text":       `<text:p><text:script script:language="JavaScript">` + Marker + `</text:script></text:p>`,
		"macro field":              `<text:p><text:execute-macro text:name="` + Marker + `">x</text:execute-macro></text:p>`,
		"DDE field":                `<text:dde-connection-decls><text:dde-connection-decl office:name="d" office:dde-application="cmd" office:dde-topic="` + Marker + `" office:dde-item="a"/></text:dde-connection-decls><text:p><text:dde-connection text:connection-name="d">x</text:dde-connection></text:p>`,
		"database field":           `<text:p><text:database-display text:table-name="t" text:database-name="` + Marker + `" text:column-name="c">x</text:database-display></text:p>`,
		"element of another space": `<text:p><x:y xmlns:x="urn:x" run="` + Marker + `"/></text:p>`,
	} {
		out = append(out, File{Name: "文書.odt", Technique: name, Nesting: "bare", Body: odf("text", "", paragraph+inside)})
	}
	linked := `<text:p>` + Kept + `<text:a xlink:type="simple" xlink:href="vnd.sun.star.script:` + Marker + `">x</text:a></text:p>`
	add("flat document with macros", "文書.fodt", flatODF("text", linked))
	add("flat document with macros", "表.fods", flatODF("spreadsheet", `<table:table table:name="t"><table:table-row><table:table-cell office:value-type="string">`+linked+`</table:table-cell></table:table-row></table:table>`))
	add("flat document with macros", "説明.fodp", flatODF("presentation", `<draw:page draw:name="p"><draw:frame><draw:text-box>`+linked+`</draw:text-box></draw:frame></draw:page>`))
	cell := func(attributes string) string {
		return `<table:table table:name="t"><table:table-row><table:table-cell>` + paragraph + `</table:table-cell><table:table-cell ` + attributes + ` office:value-type="float" office:value="1"><text:p>1</text:p></table:table-cell></table:table-row></table:table>`
	}
	for name, inside := range map[string]string{
		"formula WEBSERVICE":    cell(`table:formula="of:=WEBSERVICE(&quot;` + remote + `&quot;)"`),
		"formula DDE":           cell(`table:formula="of:=DDE(&quot;cmd&quot;;&quot;` + Marker + `&quot;;&quot;a&quot;)"`),
		"formula of a file":     cell(`table:formula="of:='file:///c:/` + Marker + `.ods'#$t.A1"`),
		"table from elsewhere":  `<table:table table:name="t"><table:table-source xlink:type="simple" xlink:href="` + remote + `"/><table:table-row><table:table-cell>` + paragraph + `</table:table-cell></table:table-row></table:table>`,
		"range from a database": cell("") + `<table:database-ranges><table:database-range table:name="d" table:target-range-address="t.A1:t.B1"><table:database-source-sql table:database-name="d" table:sql-statement="` + Marker + `"/></table:database-range></table:database-ranges>`,
		"DDE links":             cell("") + `<table:dde-links><table:dde-link><office:dde-source office:dde-application="cmd" office:dde-topic="` + Marker + `" office:dde-item="a"/></table:dde-link></table:dde-links>`,
	} {
		out = append(out, File{Name: "表.ods", Technique: name, Nesting: "bare", Body: odf("spreadsheet", "", inside)})
	}
	page := func(inside string) []byte {
		return odf("presentation", "", `<draw:page draw:name="p"><draw:frame><draw:text-box>`+paragraph+`</draw:text-box>`+inside+`</draw:frame></draw:page>`)
	}
	add("click starts a program", "発表.odp", page(`<office:event-listeners><presentation:event-listener script:event-name="dom:click" presentation:action="execute" xlink:href="`+Marker+`"/></office:event-listeners>`))
	add("click starts a macro", "発表.odp", page(`<office:event-listeners><script:event-listener script:event-name="dom:click" script:language="ooo:script" xlink:href="vnd.sun.star.script:`+Marker+`"/></office:event-listeners>`))
	writer("embedded OLE object", `<text:p><draw:frame><draw:object-ole xlink:type="simple" xlink:href="./Object 1"/></draw:frame></text:p>`, member{"Object 1", []byte(ole)})
	writer("toolbar", "", member{"Configurations2/toolbar/custom.xml", []byte(`<toolbar:toolbar xmlns:toolbar="http://openoffice.org/2001/toolbar" x="` + Marker + `"/>`)})
	writer("author's data", "", member{"meta.xml", []byte(`<office:document-meta ` + odfNames + `><office:meta>` + Marker + `</office:meta></office:document-meta>`)})
	writer("printer settings", "", member{"settings.xml", []byte(`<office:document-settings ` + odfNames + ` xmlns:config="urn:oasis:names:tc:opendocument:xmlns:config:1.0"><office:settings><config:config-item-set config:name="ooo:configuration-settings"><config:config-item config:name="PrinterSetup" config:type="base64Binary">` + Marker + `</config:config-item></config:config-item-set></office:settings></office:document-settings>`)})
	writer("member that is not listed", "", member{"hidden.bin", []byte(Marker)})
	writer("thumbnail", "", member{"Thumbnails/thumbnail.png", []byte(string(tinyPNG) + Marker)})
	add("external entity", "文書.odt", zipped(member{"mimetype", []byte("application/vnd.oasis.opendocument.text")},
		member{"META-INF/manifest.xml", []byte(`<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>`)},
		member{"content.xml", []byte(`<!DOCTYPE x [<!ENTITY e SYSTEM "` + remote + `">]><office:document-content ` + odfNames + `><office:body><office:text><text:p>&e;</text:p></office:text></office:body></office:document-content>`)}))
	out[len(out)-1].Blocked = true
	return sorted(out)
}
