package office

import "strings"

// spaces maps the namespaces in which elements and attributes may stand to short names. Strict and transitional are one. Sources:
// ECMA-376 parts 1, 2 and 4, [MS-OE376], [MS-OI29500], [MS-DOCX], [MS-XLSX], [MS-PPTX], [MS-ODRAWXML]. Missing on purpose: activeX,
// customUI, webextensions, ink, model3d, SVG, oembed, scriptlink, extlinks, schemaLibrary, custom XML of any kind.
var spaces = spaceTable(`
	xml   http://www.w3.org/XML/1998/namespace
	ct    http://schemas.openxmlformats.org/package/2006/content-types
	rel   http://schemas.openxmlformats.org/package/2006/relationships
	mc    http://schemas.openxmlformats.org/markup-compatibility/2006
	w     T:wordprocessingml/2006/main                   S:wordprocessingml/main
	x     T:spreadsheetml/2006/main                      S:spreadsheetml/main
	p     T:presentationml/2006/main                     S:presentationml/main
	r     T:officeDocument/2006/relationships            S:officeDocument/relationships
	m     T:officeDocument/2006/math                     S:officeDocument/math
	a     T:drawingml/2006/main                          S:drawingml/main
	wp    T:drawingml/2006/wordprocessingDrawing         S:drawingml/wordprocessingDrawing
	xdr   T:drawingml/2006/spreadsheetDrawing            S:drawingml/spreadsheetDrawing
	pic   T:drawingml/2006/picture                       S:drawingml/picture
	c     T:drawingml/2006/chart                         S:drawingml/chart
	cdr   T:drawingml/2006/chartDrawing                  S:drawingml/chartDrawing
	dgm   T:drawingml/2006/diagram                       S:drawingml/diagram
	lc    T:drawingml/2006/lockedCanvas                  S:drawingml/lockedCanvas
	comp  T:drawingml/2006/compatibility                 S:drawingml/compatibility
	v     urn:schemas-microsoft-com:vml
	o     urn:schemas-microsoft-com:office:office
	w10   urn:schemas-microsoft-com:office:word
	xv    urn:schemas-microsoft-com:office:excel
	pv    urn:schemas-microsoft-com:office:powerpoint
	mv    urn:schemas-microsoft-com:mac:vml
	w14   M:word/2010/wordml
	w15   M:word/2012/wordml
	w16   M:word/2018/wordml M:word/2018/wordml/cex M:word/2016/wordml/cid M:word/2015/wordml/symex M:word/2020/wordml/sdtdatahash
	w16   M:word/2023/wordml/word16du M:word/2024/wordml/sdtformatlock
	wp14  M:word/2010/wordprocessingDrawing M:word/2012/wordprocessingDrawing
	wps   M:word/2010/wordprocessingShape
	wpg   M:word/2010/wordprocessingGroup
	wpc   M:word/2010/wordprocessingCanvas
	x14   M:spreadsheetml/2009/9/main
	x14ac M:spreadsheetml/2009/9/ac
	x15   M:spreadsheetml/2010/11/main
	x15ac M:spreadsheetml/2010/11/ac
	xr    M:spreadsheetml/2014/revision M:spreadsheetml/2015/revision2 M:spreadsheetml/2016/revision3 M:spreadsheetml/2016/revision5
	xr    M:spreadsheetml/2016/revision6 M:spreadsheetml/2016/revision9 M:spreadsheetml/2016/revision10
	x16   M:spreadsheetml/2014/11/main M:spreadsheetml/2015/02/main M:spreadsheetml/2016/01/main M:spreadsheetml/2016/pivotdefaultlayout
	xda   M:spreadsheetml/2017/dynamicarray
	xlrd  M:spreadsheetml/2017/richdata M:spreadsheetml/2022/richvaluerel
	xlrd2 M:spreadsheetml/2017/richdata2
	xcalc M:spreadsheetml/2018/calcfeatures
	xtc   M:spreadsheetml/2018/threadedcomments M:spreadsheetml/2020/threadedcomments2
	xnsv  M:spreadsheetml/2019/namedsheetviews
	xfpb  M:spreadsheetml/2022/featurepropertybag M:spreadsheetml/2023/showDataTypeIcons
	xm    M:excel/2006/main
	xdr14 M:excel/2010/spreadsheetDrawing
	p14   M:powerpoint/2010/main
	p15   M:powerpoint/2012/main M:powerpoint/2015/main M:powerpoint/2015/09/main M:powerpoint/2015/10/main M:powerpoint/2012/roamingSettings
	p16   M:powerpoint/2017/3/main M:powerpoint/2018/4/main M:powerpoint/2019/12/main M:powerpoint/2020/02/main
	p16   M:powerpoint/2021/06/main M:powerpoint/2022/03/main M:powerpoint/2022/08/main M:powerpoint/2023/02/main
	p188  M:powerpoint/2018/8/main
	dsp   M:drawing/2008/diagram
	dgm14 M:drawing/2010/diagram M:drawing/2016/11/diagram M:drawing/2016/12/diagram
	a14   M:drawing/2010/main
	a15   M:drawing/2012/main
	a16   M:drawing/2014/main M:drawing/2017/decorative M:drawing/2018/hyperlinkcolor M:drawing/2018/sketchyshapes M:drawing/2018/animation
	a16   M:drawing/2022/imageformula
	pic14 M:drawing/2010/picture
	sle   M:drawing/2010/slicer M:drawing/2012/slicer M:drawing/2012/timeslicer
	c14   M:drawing/2007/8/2/chart M:drawing/2010/chartDrawing
	c15   M:drawing/2012/chart
	c16   M:drawing/2014/chart M:drawing/2014/chart/ac M:drawing/2015/06/chart M:drawing/2017/03/chart
	cs    M:drawing/2012/chartStyle
	cx    M:drawing/2014/chartex
	cx1   M:drawing/2015/9/8/chartex M:drawing/2015/10/21/chartex M:drawing/2016/5/9/chartex M:drawing/2016/5/10/chartex
	cx1   M:drawing/2016/5/11/chartex M:drawing/2016/5/12/chartex M:drawing/2016/5/13/chartex M:drawing/2016/5/14/chartex
	thm15 M:thememl/2012/main
	oel   M:2019/extlst
	mac   M:mac/office/2008/main M:mac/excel/2008/main M:mac/powerpoint/2008/main M:mac/drawingml/2011/main
`)

func spaceTable(s string) map[string]string {
	long := strings.NewReplacer("T:", "http://schemas.openxmlformats.org/", "S:", "http://purl.oclc.org/ooxml/", "M:", "http://schemas.microsoft.com/office/")
	m := map[string]string{}
	for line := range strings.Lines(s) {
		f := strings.Fields(line)
		for i, uri := range f {
			if i > 0 {
				m[long.Replace(uri)] = f[0]
			}
		}
	}
	return m
}
