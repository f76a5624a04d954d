package office

import (
	"maps"
	"strings"
	"sync"

	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/schema"
)

// The allow-lists of office documents. What is not named here does not pass: a namespace that is missing loses its elements,
// a relationship that is missing loses its target. Sources: ECMA-376 parts 1 and 4 (transitional and strict), [MS-OI29500],
// [MS-DOCX], [MS-XLSX], [MS-PPTX], [MS-ODRAWXML].

// spaces maps the namespaces that may pass to the short names that the rules use. Strict and transitional share one.
var spaces = func() map[string]string {
	m := map[string]string{
		markup.Namespace: "xml",
		"http://schemas.openxmlformats.org/package/2006/relationships":      "rel",
		"http://schemas.openxmlformats.org/package/2006/content-types":      "ct",
		"http://schemas.openxmlformats.org/markup-compatibility/2006":       "mc",
		"urn:schemas-microsoft-com:vml":                                     "v",
		"urn:schemas-microsoft-com:office:office":                           "o",
		"urn:schemas-microsoft-com:office:word":                             "w10",
		"urn:schemas-microsoft-com:office:excel":                            "xvml",
		"urn:schemas-microsoft-com:office:powerpoint":                       "pvml",
		"urn:schemas-microsoft-com:mac:vml":                                 "mv",
		"http://schemas.microsoft.com/office/thememl/2012/main":             "thm15",
		"http://schemas.microsoft.com/office/2019/extlst":                   "oel",
		"http://schemas.microsoft.com/office/excel/2006/main":               "xm",
		"http://schemas.microsoft.com/office/excel/2010/spreadsheetDrawing": "xdr14",
		"http://schemas.microsoft.com/office/mac/office/2008/main":          "mo",
		"http://schemas.microsoft.com/office/mac/excel/2008/main":           "mx",
		"http://schemas.microsoft.com/office/mac/powerpoint/2008/main":      "mp",
		"http://schemas.microsoft.com/office/mac/drawingml/2011/main":       "ma14",
	}
	for tail, short := range map[string]string{
		"wordprocessingml/2006/main": "w", "spreadsheetml/2006/main": "x", "presentationml/2006/main": "p",
		"officeDocument/2006/relationships": "r", "officeDocument/2006/math": "m",
		"drawingml/2006/main": "a", "drawingml/2006/wordprocessingDrawing": "wp", "drawingml/2006/spreadsheetDrawing": "xdr",
		"drawingml/2006/picture": "pic", "drawingml/2006/chart": "c", "drawingml/2006/chartDrawing": "cdr",
		"drawingml/2006/diagram": "dgm", "drawingml/2006/lockedCanvas": "lc", "drawingml/2006/compatibility": "comp",
	} {
		m["http://schemas.openxmlformats.org/"+tail] = short
	}
	for tail, short := range map[string]string{
		"wordprocessingml/main": "w", "spreadsheetml/main": "x", "presentationml/main": "p",
		"officeDocument/relationships": "r", "officeDocument/math": "m",
		"drawingml/main": "a", "drawingml/wordprocessingDrawing": "wp", "drawingml/spreadsheetDrawing": "xdr",
		"drawingml/picture": "pic", "drawingml/chart": "c", "drawingml/chartDrawing": "cdr",
		"drawingml/diagram": "dgm", "drawingml/lockedCanvas": "lc", "drawingml/compatibility": "comp",
	} {
		m["http://purl.oclc.org/ooxml/"+tail] = short
	}
	for _, tail := range []string{
		"word/2010/wordml", "word/2012/wordml", "word/2015/wordml/symex", "word/2016/wordml/cid", "word/2018/wordml", "word/2018/wordml/cex",
		"word/2020/wordml/sdtdatahash", "word/2023/wordml/word16du", "word/2024/wordml/sdtformatlock",
		"word/2010/wordprocessingDrawing", "word/2010/wordprocessingShape", "word/2010/wordprocessingGroup", "word/2010/wordprocessingCanvas",
		"word/2012/wordprocessingDrawing",
		"drawing/2008/diagram", "drawing/2010/main", "drawing/2012/main", "drawing/2014/main", "drawing/2010/diagram", "drawing/2016/11/diagram",
		"drawing/2016/12/diagram", "drawing/2010/picture", "drawing/2010/slicer", "drawing/2012/slicer", "drawing/2012/timeslicer", "drawing/2007/8/2/chart",
		"drawing/2010/chartDrawing", "drawing/2012/chart", "drawing/2012/chartStyle", "drawing/2014/chart", "drawing/2014/chart/ac", "drawing/2015/06/chart",
		"drawing/2017/03/chart", "drawing/2014/chartex", "drawing/2015/9/8/chartex", "drawing/2015/10/21/chartex", "drawing/2016/5/9/chartex",
		"drawing/2016/5/10/chartex", "drawing/2016/5/11/chartex", "drawing/2016/5/12/chartex", "drawing/2016/5/13/chartex", "drawing/2016/5/14/chartex",
		"drawing/2017/decorative", "drawing/2018/hyperlinkcolor", "drawing/2018/sketchyshapes", "drawing/2018/animation", "drawing/2022/imageformula",
		"powerpoint/2010/main", "powerpoint/2012/main", "powerpoint/2015/main", "powerpoint/2015/09/main", "powerpoint/2015/10/main",
		"powerpoint/2017/3/main", "powerpoint/2018/4/main", "powerpoint/2018/8/main", "powerpoint/2019/12/main", "powerpoint/2020/02/main", "powerpoint/2021/06/main", "powerpoint/2022/03/main",
		"powerpoint/2022/08/main", "powerpoint/2023/02/main", "powerpoint/2012/roamingSettings",
		"spreadsheetml/2009/9/main", "spreadsheetml/2009/9/ac", "spreadsheetml/2010/11/main", "spreadsheetml/2010/11/ac", "spreadsheetml/2014/11/main",
		"spreadsheetml/2014/revision", "spreadsheetml/2015/revision2", "spreadsheetml/2016/revision3", "spreadsheetml/2016/revision5",
		"spreadsheetml/2016/revision6", "spreadsheetml/2016/revision9", "spreadsheetml/2016/revision10", "spreadsheetml/2015/02/main", "spreadsheetml/2016/01/main",
		"spreadsheetml/2016/pivotdefaultlayout", "spreadsheetml/2017/dynamicarray", "spreadsheetml/2017/richdata", "spreadsheetml/2017/richdata2",
		"spreadsheetml/2018/calcfeatures", "spreadsheetml/2018/threadedcomments", "spreadsheetml/2019/namedsheetviews", "spreadsheetml/2020/threadedcomments2",
		"spreadsheetml/2022/featurepropertybag", "spreadsheetml/2022/richvaluerel", "spreadsheetml/2023/showDataTypeIcons",
	} {
		m["http://schemas.microsoft.com/office/"+tail] = "ms:" + tail
	}
	return m
}()

// element is a namespace's short name and a local name.
type element struct{ ns, local string }

// knownElements are those that a standard defines, of the namespaces that may pass. An unknown one goes with all that is in it, as in
// a program that does not know it (ECMA-376 part 3, 9.3).
var knownElements = sync.OnceValue(func() map[element]bool {
	m := map[element]bool{{"", "xml"}: true} // the root of a VML drawing
	for uri, names := range schema.OOXML() {
		for _, n := range names {
			if ns := spaces[uri]; ns != "" {
				m[element{ns, n}] = true
			}
		}
	}
	return m
})

// plainElements are the known ones that no rule removes by their name: nearly all that a part has.
var plainElements = sync.OnceValue(func() map[element]bool {
	m := maps.Clone(knownElements())
	for e := range removedElements {
		delete(m, e)
	}
	return m
})

// removedElements never pass, with all that is in them. The code is reported; a silent removal has none, because what it
// belongs to is reported elsewhere.
var removedElements = map[element]string{
	{"w", "attachedTemplate"}: "ooxml.template", {"w", "saveThroughXslt"}: "ooxml.external", {"w", "mailMerge"}: "ooxml.connection",
	{"w", "altChunk"}: "ooxml.import", {"w", "subDoc"}: "ooxml.import", {"w", "frameset"}: "ooxml.external",
	{"w", "control"}: "ooxml.activex", {"w", "objectEmbed"}: "ooxml.ole", {"w", "objectLink"}: "ooxml.ole", {"w", "movie"}: "ooxml.media",
	{"w", "contentPart"}: "ooxml.ink", {"w", "dataBinding"}: "", {"w", "attachedSchema"}: "", {"w", "printerSettings"}: "ooxml.printer",
	{"w", "embedRegular"}: "ooxml.font", {"w", "embedBold"}: "ooxml.font", {"w", "embedItalic"}: "ooxml.font", {"w", "embedBoldItalic"}: "ooxml.font",
	{"w", "entryMacro"}: "ooxml.macro-call", {"w", "exitMacro"}: "ooxml.macro-call",
	{"ms:word/2012/wordml", "webExtensionLinked"}: "", {"ms:word/2012/wordml", "webExtensionCreated"}: "", {"ms:word/2012/wordml", "dataBinding"}: "",
	{"o", "OLEObject"}: "ooxml.ole", {"o", "ink"}: "ooxml.ink", {"pvml", "iscomment"}: "",
	{"xvml", "FmlaMacro"}: "ooxml.macro-call", {"xvml", "FmlaPict"}: "ooxml.activex", {"xvml", "MacroName"}: "ooxml.macro-call", {"xvml", "ScriptText"}: "ooxml.macro-call",
	{"xvml", "ScriptLanguage"}: "", {"xvml", "ScriptExtended"}: "", {"xvml", "ScriptLocation"}: "",

	{"x", "oleObjects"}: "ooxml.ole", {"x", "controls"}: "ooxml.activex", {"x", "externalReferences"}: "ooxml.external-book",
	{"x", "webPublishing"}: "", {"x", "webPublishItems"}: "ooxml.external", {"x", "webPublishObjects"}: "ooxml.external", {"x", "customProperties"}: "ooxml.custom-xml",
	{"x", "functionGroups"}: "ooxml.macro-call", {"x", "smartTagTypes"}: "", {"x", "smartTagPr"}: "", {"x", "smartTags"}: "", {"x", "xmlColumnPr"}: "ooxml.custom-xml",
	{"x", "dataConsolidate"}: "", {"x", "ddeLink"}: "ooxml.external-book", {"x", "oleLink"}: "ooxml.external-book",
	{"ms:spreadsheetml/2010/11/main", "dataModel"}: "ooxml.connection", {"ms:spreadsheetml/2010/11/main", "webExtensions"}: "ooxml.web-extension",
	{"ms:spreadsheetml/2010/11/main", "connection"}: "ooxml.connection", {"ms:spreadsheetml/2010/11/main", "timelineCachePivotCaches"}: "ooxml.connection",

	{"p", "controls"}: "ooxml.activex", {"p", "control"}: "ooxml.activex", {"p", "oleObj"}: "ooxml.ole", {"p", "custDataLst"}: "ooxml.custom-xml",
	{"p", "embeddedFontLst"}: "ooxml.font", {"p", "smartTags"}: "", {"p", "contentPart"}: "ooxml.ink", {"p", "sndAc"}: "ooxml.media", {"p", "snd"}: "ooxml.media",
	{"p", "audio"}: "ooxml.media", {"p", "video"}: "ooxml.media", {"p", "htmlPubPr"}: "", {"p", "webPr"}: "",
	{"ms:powerpoint/2010/main", "media"}: "ooxml.media", {"ms:powerpoint/2010/main", "bmkTgt"}: "",
	{"a", "videoFile"}: "ooxml.media", {"a", "audioFile"}: "ooxml.media", {"a", "quickTimeFile"}: "ooxml.media", {"a", "wavAudioFile"}: "ooxml.media",
	{"a", "audioCd"}: "ooxml.media", {"a", "snd"}: "ooxml.media", {"ms:drawing/2010/main", "imgLayer"}: "",
	{"w", "frame"}: "ooxml.external", {"w", "framesetSplitbar"}: "", {"w", "sourceFileName"}: "ooxml.external", {"w", "linkedToFile"}: "", {"w", "headerSource"}: "ooxml.connection",
	{"w", "recipients"}: "ooxml.connection", {"w", "recipientData"}: "ooxml.connection", {"w", "odso"}: "ooxml.connection", {"w", "udl"}: "ooxml.connection",
	{"w", "src"}: "ooxml.external", {"w", "dataSource"}: "ooxml.connection", {"w", "query"}: "ooxml.connection", {"w", "connectString"}: "ooxml.connection",
	{"ms:word/2010/wordml", "contentPart"}: "ooxml.ink", {"ms:powerpoint/2010/main", "contentPart"}: "ooxml.ink", {"ms:drawing/2010/main", "contentPart"}: "ooxml.ink",
	{"o", "LinkType"}: "", {"x", "oleObject"}: "ooxml.ole", {"x", "control"}: "ooxml.activex", {"x", "externalReference"}: "ooxml.external-book", {"x", "ddeItems"}: "ooxml.external-book",
	{"x", "xmlCellPr"}: "ooxml.custom-xml", {"x", "dbPr"}: "ooxml.connection", {"x", "olapPr"}: "ooxml.connection", {"x", "webPr"}: "ooxml.connection", {"x", "textPr"}: "ooxml.connection",
	{"x", "connection"}: "ooxml.connection", {"x", "connections"}: "ooxml.connection", {"x", "queryTable"}: "ooxml.connection", {"x", "revisionHeaders"}: "ooxml.history", {"x", "volTypes"}: "ooxml.connection",
	{"ms:spreadsheetml/2010/11/main", "modelTimeGroupings"}: "", {"ms:spreadsheetml/2009/9/main", "oleObject"}: "ooxml.ole", {"ms:spreadsheetml/2009/9/main", "control"}: "ooxml.activex",
	{"p", "embed"}: "", {"p", "link"}: "", {"p", "custData"}: "ooxml.custom-xml", {"p", "stSnd"}: "ooxml.media", {"p", "externalLink"}: "ooxml.external",
	{"c", "externalData"}: "ooxml.chart-data", {"ms:drawing/2014/chartex", "externalData"}: "ooxml.chart-data",
}

// removedSpaces: a namespace that is wholly active or wholly unknown to a reader of the report gets a better word than
// "unknown".
var removedSpaces = map[string]string{
	"http://schemas.microsoft.com/office/drawing/2016/SVG/main":           "image.svg",
	"http://schemas.microsoft.com/office/drawing/2016/ink":                "ooxml.ink",
	"http://schemas.microsoft.com/office/word/2010/wordprocessingInk":     "ooxml.ink",
	"http://schemas.microsoft.com/office/powerpoint/2014/inkAction":       "ooxml.ink",
	"http://schemas.microsoft.com/office/drawing/2017/model3d":            "ooxml.media",
	"http://schemas.microsoft.com/office/drawing/2021/oembed":             "ooxml.external",
	"http://schemas.microsoft.com/office/drawing/2021/scriptlink":         "ooxml.macro-call",
	"http://schemas.openxmlformats.org/schemaLibrary/2006/main":           "ooxml.custom-xml",
	"http://schemas.microsoft.com/office/2006/activeX":                    "ooxml.activex",
	"http://schemas.microsoft.com/office/spreadsheetml/2021/extlinks2021": "ooxml.external-book",
}

// prunedWhenEmptied elements must not stay without content when all of it was removed.
var prunedWhenEmptied = map[string]bool{
	"ext": true, "extLst": true, "imgProps": true, "hyperlinks": true, "tableParts": true, "pivotCaches": true, "definedNames": true,
	"slicerList": true, "timelineRefs": true, "slicerCaches": true, "pict": true, "object": true, "Choice": true, "ffData": true,
}

// keptWithoutRelation are elements that mean something without the relationship that was removed: only the attribute goes.
// Every other element whose r:id points nowhere goes as a whole.
var keptWithoutRelation = map[element]bool{
	{"w", "hyperlink"}: true, {"x", "pageSetup"}: true, {"x", "pivotCacheDefinition"}: true,
}

// relation says which content types a relationship may lead to; the parts that they name are read, filtered and kept.
type relation struct {
	parts []string // allowed content types
	code  string   // reported when the relationship is removed whatever it leads to
}

const (
	ctWord  = "application/vnd.openxmlformats-officedocument.wordprocessingml."
	ctExcel = "application/vnd.openxmlformats-officedocument.spreadsheetml."
	ctPoint = "application/vnd.openxmlformats-officedocument.presentationml."
	ctDraw  = "application/vnd.openxmlformats-officedocument.drawingml."
	ctVML   = "application/vnd.openxmlformats-officedocument.vmldrawing"
	ctPivot = ctExcel + "pivotcachedefinition+xml"
)

// relations by the last element of the relationship type, for types of the standard (both forms), and by the part of the URI
// after schemas.microsoft.com/office/ for Microsoft's.
var relations = map[string]relation{
	// all families
	"theme": {parts: []string{"application/vnd.openxmlformats-officedocument.theme+xml"}}, "themeOverride": {parts: []string{"application/vnd.openxmlformats-officedocument.themeoverride+xml"}},
	"chart": {parts: []string{ctDraw + "chart+xml"}}, "chartUserShapes": {parts: []string{ctDraw + "chartshapes+xml"}},
	"diagramData": {parts: []string{ctDraw + "diagramdata+xml"}}, "diagramLayout": {parts: []string{ctDraw + "diagramlayout+xml"}},
	"diagramQuickStyle": {parts: []string{ctDraw + "diagramstyle+xml"}}, "diagramColors": {parts: []string{ctDraw + "diagramcolors+xml"}},
	"2007/relationships/diagramDrawing":  {parts: []string{"application/vnd.ms-office.drawingml.diagramdrawing+xml"}},
	"2011/relationships/chartStyle":      {parts: []string{"application/vnd.ms-office.chartstyle+xml"}},
	"2011/relationships/chartColorStyle": {parts: []string{"application/vnd.ms-office.chartcolorstyle+xml"}},
	"2014/relationships/chartEx":         {parts: []string{"application/vnd.ms-office.chartex+xml"}},
	"drawing":                            {parts: []string{"application/vnd.openxmlformats-officedocument.drawing+xml"}},
	"vmlDrawing":                         {parts: []string{ctVML}}, "legacyDrawing": {parts: []string{ctVML}},
	"comments": {parts: []string{ctWord + "comments+xml", ctExcel + "comments+xml", ctPoint + "comments+xml"}},
	// Word
	"styles": {parts: []string{ctWord + "styles+xml", ctExcel + "styles+xml"}}, "2007/relationships/stylesWithEffects": {parts: []string{"application/vnd.ms-word.styleswitheffects+xml"}},
	"numbering": {parts: []string{ctWord + "numbering+xml"}}, "settings": {parts: []string{ctWord + "settings+xml"}}, "webSettings": {parts: []string{ctWord + "websettings+xml"}},
	"fontTable": {parts: []string{ctWord + "fonttable+xml"}}, "footnotes": {parts: []string{ctWord + "footnotes+xml"}}, "endnotes": {parts: []string{ctWord + "endnotes+xml"}},
	"header": {parts: []string{ctWord + "header+xml"}}, "footer": {parts: []string{ctWord + "footer+xml"}}, "glossaryDocument": {parts: []string{ctWord + "document.glossary+xml"}},
	"2011/relationships/commentsExtended":      {parts: []string{ctWord + "commentsextended+xml"}},
	"2016/09/relationships/commentsIds":        {parts: []string{ctWord + "commentsids+xml"}},
	"2018/08/relationships/commentsExtensible": {parts: []string{ctWord + "commentsextensible+xml"}},
	// Excel
	"worksheet": {parts: []string{ctExcel + "worksheet+xml"}}, "chartsheet": {parts: []string{ctExcel + "chartsheet+xml"}}, "sharedStrings": {parts: []string{ctExcel + "sharedstrings+xml"}},
	"table": {parts: []string{ctExcel + "table+xml"}}, "pivotTable": {parts: []string{ctExcel + "pivottable+xml"}}, "pivotCacheDefinition": {parts: []string{ctPivot}},
	"pivotCacheRecords": {parts: []string{ctExcel + "pivotcacherecords+xml"}}, "sheetMetadata": {parts: []string{ctExcel + "sheetmetadata+xml"}},
	"2017/10/relationships/threadedComment": {parts: []string{"application/vnd.ms-excel.threadedcomments+xml"}}, "2017/10/relationships/person": {parts: []string{"application/vnd.ms-excel.person+xml"}},
	"2007/relationships/slicer": {parts: []string{"application/vnd.ms-excel.slicer+xml"}}, "2007/relationships/slicerCache": {parts: []string{"application/vnd.ms-excel.slicercache+xml"}},
	"2011/relationships/timeline": {parts: []string{"application/vnd.ms-excel.timeline+xml"}}, "2011/relationships/timelineCache": {parts: []string{"application/vnd.ms-excel.timelinecache+xml"}},
	"2019/04/relationships/namedSheetView": {parts: []string{"application/vnd.ms-excel.namedsheetviews+xml"}},
	"2017/06/relationships/rdRichValue":    {parts: []string{"application/vnd.ms-excel.rdrichvalue+xml"}}, "2017/06/relationships/rdRichValueStructure": {parts: []string{"application/vnd.ms-excel.rdrichvaluestructure+xml"}},
	"2017/06/relationships/rdRichValueTypes": {parts: []string{"application/vnd.ms-excel.rdrichvaluetypes+xml"}}, "2022/10/relationships/richValueRel": {parts: []string{"application/vnd.ms-excel.richvaluerel+xml"}},
	"2017/06/relationships/rdArray": {parts: []string{"application/vnd.ms-excel.rdarray+xml"}}, "2017/06/relationships/richStyles": {parts: []string{"application/vnd.ms-excel.richstyles+xml"}},
	"2022/11/relationships/FeaturePropertyBag": {parts: []string{"application/vnd.ms-excel.featurepropertybag+xml"}},
	// PowerPoint
	"slide": {parts: []string{ctPoint + "slide+xml"}}, "slideLayout": {parts: []string{ctPoint + "slidelayout+xml"}}, "slideMaster": {parts: []string{ctPoint + "slidemaster+xml"}},
	"notesMaster": {parts: []string{ctPoint + "notesmaster+xml"}}, "notesSlide": {parts: []string{ctPoint + "notesslide+xml"}}, "handoutMaster": {parts: []string{ctPoint + "handoutmaster+xml"}},
	"presProps": {parts: []string{ctPoint + "presprops+xml"}}, "viewProps": {parts: []string{ctPoint + "viewprops+xml"}}, "tableStyles": {parts: []string{ctPoint + "tablestyles+xml"}},
	"commentAuthors": {parts: []string{ctPoint + "commentauthors+xml"}}, "2018/10/relationships/comments": {parts: []string{"application/vnd.ms-powerpoint.comments+xml"}},
	"2018/10/relationships/authors": {parts: []string{"application/vnd.ms-powerpoint.authors+xml"}},

	// never kept
	"2006/relationships/vbaProject": {code: "ooxml.vba"}, "2006/relationships/wordVbaData": {code: "ooxml.vba"}, "2006/relationships/keyMapCustomizations": {code: "ooxml.vba"},
	"2006/relationships/attachedToolbars": {code: "ooxml.vba"}, "2006/relationships/vbaProjectSignature": {code: "ooxml.vba"},
	"2006/relationships/xlMacrosheet": {code: "ooxml.macro-sheet"}, "2006/relationships/xlIntlMacrosheet": {code: "ooxml.macro-sheet"}, "dialogsheet": {code: "ooxml.macro-sheet"},
	"oleObject": {code: "ooxml.ole"}, "package": {code: "ooxml.ole"}, "control": {code: "ooxml.activex"}, "ctrlProp": {code: "ooxml.activex"},
	"2006/relationships/activeXControlBinary": {code: "ooxml.activex"}, "2006/relationships/legacyDiagramText": {code: "ooxml.ole"},
	"attachedTemplate": {code: "ooxml.template"}, "subDocument": {code: "ooxml.import"}, "aFChunk": {code: "ooxml.import"}, "frame": {code: "ooxml.external"},
	"mailMergeSource": {code: "ooxml.connection"}, "mailMergeHeaderSource": {code: "ooxml.connection"}, "recipientData": {code: "ooxml.connection"}, "transform": {code: "ooxml.external"},
	"externalLink": {code: "ooxml.external-book"}, "externalLinkPath": {code: "ooxml.external-book"}, "2006/relationships/xlExternalLinkPath/xlPathMissing": {code: "ooxml.external-book"},
	"connections": {code: "ooxml.connection"}, "queryTable": {code: "ooxml.connection"}, "volatileDependencies": {code: "ooxml.connection"}, "2011/relationships/powerPivotData": {code: "ooxml.connection"},
	"xmlMaps": {code: "ooxml.custom-xml"}, "tableSingleCells": {code: "ooxml.custom-xml"}, "customXml": {code: "ooxml.custom-xml"}, "customXmlProps": {code: "ooxml.custom-xml"},
	"customProperty": {code: "ooxml.custom-xml"}, "tags": {code: "ooxml.custom-xml"}, "2011/relationships/people": {code: "ooxml.properties"}, "2019/05/relationships/documenttasks": {code: "ooxml.properties"},
	"printerSettings": {code: "ooxml.printer"}, "font": {code: "ooxml.font"}, "calcChain": {}, "revisionHeaders": {code: "ooxml.history"}, "revisionLog": {code: "ooxml.history"}, "usernames": {code: "ooxml.history"},
	"2015/10/relationships/revisionInfo": {code: "ooxml.history"}, "2016/11/relationships/changesInfo": {code: "ooxml.history"},
	"audio": {code: "ooxml.media"}, "video": {code: "ooxml.media"}, "2007/relationships/media": {code: "ooxml.media"}, "2017/06/relationships/model3d": {code: "ooxml.media"},
	"slideUpdateInfo": {code: "ooxml.external"}, "slideUpdateUrl": {code: "ooxml.external"}, "2020/07/relationships/rdRichValueWebImage": {code: "ooxml.external"},
	"2007/relationships/hdphoto": {code: "image.original"}, "2011/relationships/webextension": {code: "ooxml.web-extension"}, "2011/relationships/webextensiontaskpanes": {code: "ooxml.web-extension"},
	"2006/relationships/ui/extensibility": {code: "ooxml.custom-ui"}, "2007/relationships/ui/extensibility": {code: "ooxml.custom-ui"}, "2006/relationships/ui/userCustomization": {code: "ooxml.custom-ui"},
	"2006/relationships/officeThemePreset": {},
	"extended-properties":                  {code: "ooxml.properties"}, "core-properties": {code: "ooxml.properties"}, "custom-properties": {code: "ooxml.properties"}, "extendedProperties": {code: "ooxml.properties"}, "customProperties": {code: "ooxml.properties"}, "metadata/core-properties": {code: "ooxml.properties"},
	"classificationlabels": {code: "ooxml.properties"}, "thumbnail": {code: "ooxml.thumbnail"}, "metadata/thumbnail": {code: "ooxml.thumbnail"}, "metadata/extended-properties": {code: "ooxml.properties"},
	"digital-signature/origin": {code: "ooxml.signature"}, "digital-signature/signature": {code: "ooxml.signature"}, "digital-signature/certificate": {code: "ooxml.signature"},
}

// vmlSpaces draw the old way; their attributes hold addresses and, in old files, scripts.
var vmlSpaces = map[string]bool{"v": true, "o": true, "w10": true, "xvml": true, "pvml": true, "mv": true}

// followed are elements whose link a person follows; anywhere else what a hyperlink leads to is fetched.
var followed = map[string]bool{"hyperlink": true, "hlinkClick": true, "hlinkHover": true, "hlinkMouseOver": true}

// vmlFetches are elements whose href is where a picture is fetched from; that of a shape is a link that a person follows.
var vmlFetches = map[string]bool{"imagedata": true, "fill": true, "stroke": true, "background": true, "image": true, "path": true}

// mainTypes is the content type of the main part by the extension that the result gets.
var mainTypes = map[string]string{
	".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
	".dotx": "application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml",
	".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml",
	".xltx": "application/vnd.openxmlformats-officedocument.spreadsheetml.template.main+xml",
	".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml",
	".potx": "application/vnd.openxmlformats-officedocument.presentationml.template.main+xml",
	".ppsx": "application/vnd.openxmlformats-officedocument.presentationml.slideshow.main+xml",
}

// MainTypes tells the family by the content type of the main part.
var MainTypes = map[string]string{
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml":   "docx",
	"application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml":   "docx",
	"application/vnd.ms-word.document.macroenabled.main+xml":                             "docx",
	"application/vnd.ms-word.template.macroenabledtemplate.main+xml":                     "docx",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml":         "xlsx",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.template.main+xml":      "xlsx",
	"application/vnd.ms-excel.sheet.macroenabled.main+xml":                               "xlsx",
	"application/vnd.ms-excel.template.macroenabled.main+xml":                            "xlsx",
	"application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml": "pptx",
	"application/vnd.openxmlformats-officedocument.presentationml.template.main+xml":     "pptx",
	"application/vnd.openxmlformats-officedocument.presentationml.slideshow.main+xml":    "pptx",
	"application/vnd.ms-powerpoint.presentation.macroenabled.main+xml":                   "pptx",
	"application/vnd.ms-powerpoint.template.macroenabled.main+xml":                       "pptx",
	"application/vnd.ms-powerpoint.slideshow.macroenabled.main+xml":                      "pptx",
}

// Plain maps a macro kind to the kind without macros.
var Plain = map[string]string{".docm": ".docx", ".dotm": ".dotx", ".xlsm": ".xlsx", ".xltm": ".xltx", ".pptm": ".pptx", ".potm": ".potx", ".ppsm": ".ppsx"}

// set makes a set of words.
func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}
