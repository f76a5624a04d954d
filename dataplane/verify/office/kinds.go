package office

import "strings"

// kind is what a part may be: by which relationship it is reached, how its content type is called, and which element it begins
// with. All three must agree, so that no reader takes a part for something else than this package did.
type kind struct {
	relations []string // full URIs
	root      string
}

// kinds by content type, in lower case. Sources as in spaces.go. A part whose type is not here does not belong.
var kinds = kindTable(`
	# all
	D:theme+xml                          a:theme             R:theme
	D:themeoverride+xml                  a:themeOverride     R:themeOverride
	D:drawingml.chart+xml                c:chartSpace        R:chart
	D:drawingml.chartshapes+xml          c:userShapes        R:chartUserShapes
	D:drawingml.diagramdata+xml          dgm:dataModel       R:diagramData
	D:drawingml.diagramlayout+xml        dgm:layoutDef       R:diagramLayout
	D:drawingml.diagramstyle+xml         dgm:styleDef        R:diagramQuickStyle
	D:drawingml.diagramcolors+xml        dgm:colorsDef       R:diagramColors
	O:drawingml.diagramdrawing+xml       dsp:drawing         M:2007/relationships/diagramDrawing
	O:chartstyle+xml                     cs:chartStyle       M:2011/relationships/chartStyle
	O:chartcolorstyle+xml                cs:colorStyle       M:2011/relationships/chartColorStyle
	O:chartex+xml                        cx:chartSpace       M:2014/relationships/chartEx
	D:drawing+xml                        xdr:wsDr            R:drawing
	D:vmldrawing                         :xml                R:vmlDrawing R:legacyDrawing
	# Word
	D:wordprocessingml.document.main+xml w:document          R:officeDocument
	D:wordprocessingml.template.main+xml w:document          R:officeDocument
	D:wordprocessingml.document.glossary+xml w:glossaryDocument R:glossaryDocument
	D:wordprocessingml.styles+xml        w:styles            R:styles
	V:word.styleswitheffects+xml         w:styles            M:2007/relationships/stylesWithEffects
	D:wordprocessingml.numbering+xml     w:numbering         R:numbering
	D:wordprocessingml.settings+xml      w:settings          R:settings
	D:wordprocessingml.websettings+xml   w:webSettings       R:webSettings
	D:wordprocessingml.fonttable+xml     w:fonts             R:fontTable
	D:wordprocessingml.footnotes+xml     w:footnotes         R:footnotes
	D:wordprocessingml.endnotes+xml      w:endnotes          R:endnotes
	D:wordprocessingml.header+xml        w:hdr               R:header
	D:wordprocessingml.footer+xml        w:ftr               R:footer
	D:wordprocessingml.comments+xml      w:comments          R:comments
	D:wordprocessingml.commentsextended+xml   w15:commentsEx          M:2011/relationships/commentsExtended
	D:wordprocessingml.commentsids+xml        w16:commentsIds         M:2016/09/relationships/commentsIds
	D:wordprocessingml.commentsextensible+xml w16:commentsExtensible  M:2018/08/relationships/commentsExtensible
	# Excel
	D:spreadsheetml.sheet.main+xml       x:workbook          R:officeDocument
	D:spreadsheetml.template.main+xml    x:workbook          R:officeDocument
	D:spreadsheetml.worksheet+xml        x:worksheet         R:worksheet
	D:spreadsheetml.chartsheet+xml       x:chartsheet        R:chartsheet
	D:spreadsheetml.styles+xml           x:styleSheet        R:styles
	D:spreadsheetml.sharedstrings+xml    x:sst               R:sharedStrings
	D:spreadsheetml.table+xml            x:table             R:table
	D:spreadsheetml.comments+xml         x:comments          R:comments
	D:spreadsheetml.pivottable+xml       x:pivotTableDefinition R:pivotTable
	D:spreadsheetml.pivotcachedefinition+xml x:pivotCacheDefinition R:pivotCacheDefinition
	D:spreadsheetml.pivotcacherecords+xml x:pivotCacheRecords R:pivotCacheRecords
	D:spreadsheetml.sheetmetadata+xml    x:metadata          R:sheetMetadata
	V:excel.threadedcomments+xml         xtc:ThreadedComments M:2017/10/relationships/threadedComment
	V:excel.person+xml                   xtc:personList      M:2017/10/relationships/person
	V:excel.slicer+xml                   x14:slicers         M:2007/relationships/slicer
	V:excel.slicercache+xml              x14:slicerCacheDefinition M:2007/relationships/slicerCache
	V:excel.timeline+xml                 x15:timelines       M:2011/relationships/timeline
	V:excel.timelinecache+xml            x15:timelineCacheDefinition M:2011/relationships/timelineCache
	V:excel.namedsheetviews+xml          xnsv:namedSheetViews M:2019/04/relationships/namedSheetView
	V:excel.rdrichvalue+xml              xlrd:rvData         M:2017/06/relationships/rdRichValue
	V:excel.rdrichvaluestructure+xml     xlrd:rvStructures   M:2017/06/relationships/rdRichValueStructure
	V:excel.rdrichvaluetypes+xml         xlrd2:rvTypesInfo   M:2017/06/relationships/rdRichValueTypes
	V:excel.richvaluerel+xml             xlrd:richValueRels  M:2022/10/relationships/richValueRel
	V:excel.rdarray+xml                  xlrd2:arrayData     M:2017/06/relationships/rdArray
	V:excel.richstyles+xml               xlrd2:richStyleSheet M:2017/06/relationships/richStyles
	V:excel.featurepropertybag+xml       xfpb:FeaturePropertyBags M:2022/11/relationships/FeaturePropertyBag
	# PowerPoint
	D:presentationml.presentation.main+xml p:presentation    R:officeDocument
	D:presentationml.template.main+xml   p:presentation      R:officeDocument
	D:presentationml.slideshow.main+xml  p:presentation      R:officeDocument
	D:presentationml.slide+xml           p:sld               R:slide
	D:presentationml.slidelayout+xml     p:sldLayout         R:slideLayout
	D:presentationml.slidemaster+xml     p:sldMaster         R:slideMaster
	D:presentationml.notesmaster+xml     p:notesMaster       R:notesMaster
	D:presentationml.notesslide+xml      p:notes             R:notesSlide
	D:presentationml.handoutmaster+xml   p:handoutMaster     R:handoutMaster
	D:presentationml.presprops+xml       p:presentationPr    R:presProps
	D:presentationml.viewprops+xml       p:viewPr            R:viewProps
	D:presentationml.tablestyles+xml     a:tblStyleLst       R:tableStyles
	D:presentationml.commentauthors+xml  p:cmAuthorLst       R:commentAuthors
	D:presentationml.comments+xml        p:cmLst             R:comments
	V:powerpoint.comments+xml            p188:cmLst          M:2018/10/relationships/comments
	V:powerpoint.authors+xml             p188:authorLst      M:2018/10/relationships/authors
	# pictures
	image/png                            -                   R:image
	image/jpeg                           -                   R:image
`)

// mainType of each extension that a rebuilder writes.
var mainType = map[string]string{
	".docx": officeType + "wordprocessingml.document.main+xml",
	".dotx": officeType + "wordprocessingml.template.main+xml",
	".xlsx": officeType + "spreadsheetml.sheet.main+xml",
	".xltx": officeType + "spreadsheetml.template.main+xml",
	".pptx": officeType + "presentationml.presentation.main+xml",
	".potx": officeType + "presentationml.template.main+xml",
	".ppsx": officeType + "presentationml.slideshow.main+xml",
}

const officeType = "application/vnd.openxmlformats-officedocument."

func kindTable(s string) map[string]kind {
	types := strings.NewReplacer("D:", officeType, "O:", "application/vnd.ms-office.", "V:", "application/vnd.ms-")
	m := map[string]kind{}
	for line := range strings.Lines(s) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] == "#" {
			continue
		}
		k := kind{root: strings.TrimPrefix(f[1], "-")}
		for _, r := range f[2:] {
			if tail, ok := strings.CutPrefix(r, "R:"); ok {
				k.relations = append(k.relations, "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"+tail,
					"http://purl.oclc.org/ooxml/officeDocument/relationships/"+tail)
				continue
			}
			k.relations = append(k.relations, strings.Replace(r, "M:", "http://schemas.microsoft.com/office/", 1))
		}
		m[types.Replace(f[0])] = k
	}
	return m
}

// hyperlink relationships are the only ones that may lead out.
var hyperlinkRelations = map[string]bool{
	"http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink": true,
	"http://purl.oclc.org/ooxml/officeDocument/relationships/hyperlink":             true,
}
