package hostile

import (
	"cmp"
	"slices"
)

// sorted puts files whose techniques came from a map in order.
func sorted(files []File) []File {
	slices.SortStableFunc(files, func(a, b File) int { return cmp.Compare(a.Technique+a.Name, b.Technique+b.Name) })
	return files
}

const (
	ctPoint = "application/vnd.openxmlformats-officedocument.presentationml."
	showing = "ppt/presentation.xml"
	slide1  = "ppt/slides/slide1.xml"
)

// presentation has one slide with one text that stays, and shapes beside it.
func presentation(shapes, after string) *ooxml {
	d := &ooxml{map[string]string{}, map[string]string{}, map[string][]rel{}}
	names := `xmlns:p="` + nsSlide + `" xmlns:a="` + nsDraw + `" xmlns:r="` + nsOffice + `"`
	d.add(showing, ctPoint+"presentation.main+xml", `<p:presentation `+names+`><p:sldIdLst><p:sldId id="256" r:id="rId1"/></p:sldIdLst><p:notesSz cx="1" cy="1"/></p:presentation>`)
	d.add(slide1, ctPoint+"slide+xml", `<p:sld `+names+`><p:cSld><p:spTree><p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>`+shape("", "")+shapes+`</p:spTree></p:cSld>`+after+`</p:sld>`)
	return d.relate("", "rId1", "officeDocument", showing, false).relate(showing, "rId1", "slide", "slides/slide1.xml", false)
}

func shape(inName, inRun string) string {
	return `<p:sp><p:nvSpPr><p:cNvPr id="2" name="t">` + inName + `</p:cNvPr><p:cNvSpPr/><p:nvPr/></p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/><a:p><a:r><a:rPr>` + inRun + `</a:rPr><a:t>` + Kept + `</a:t></a:r></a:p></p:txBody></p:sp>`
}

func powerpoint() []File {
	var out []File
	add := func(technique, ext string, d *ooxml) {
		out = append(out, File{Name: "発表" + ext, Technique: technique, Nesting: "bare", Body: d.bytes()})
	}
	macros := presentation("", "").add("ppt/vbaProject.bin", "application/vnd.ms-office.vbaProject", ole).relate(showing, "rIdV", msRel+"vbaProject", "vbaProject.bin", false)
	macros.types[showing] = "application/vnd.ms-powerpoint.presentation.macroEnabled.main+xml"
	add("VBA macros", ".pptm", macros)
	show := presentation("", "").add("ppt/vbaProject.bin", "application/vnd.ms-office.vbaProject", ole).relate(showing, "rIdV", msRel+"vbaProject", "vbaProject.bin", false)
	show.types[showing] = "application/vnd.ms-powerpoint.slideshow.macroEnabled.main+xml"
	add("VBA macros", ".ppsm", show)
	for name, action := range map[string]string{"macro": "ppaction://macro?name=" + Marker, "program": "ppaction://program", "OLE verb": "ppaction://ole?verb=0&amp;" + Marker, "media": "ppaction://media"} {
		d := presentation(shape(`<a:hlinkClick r:id="rId9" action="`+action+`"/>`, ""), "").relate(slide1, "rId9", "hyperlink", "file:///c:/"+Marker+".exe", true)
		out = append(out, File{Name: "発表.pptx", Technique: "click starts " + name, Nesting: "bare", Body: d.bytes()})
	}
	add("hovering starts a program", ".pptx", presentation(shape(`<a:hlinkHover r:id="rId9" action="ppaction://program"/>`, ""), "").relate(slide1, "rId9", "hyperlink", Marker+".exe", true))
	add("link to a script", ".pptx", presentation(shape("", `<a:hlinkClick r:id="rId9"/>`), "").relate(slide1, "rId9", "hyperlink", "vbscript:"+Marker, true))
	frame := func(inside string) string {
		return `<p:graphicFrame><p:nvGraphicFramePr><p:cNvPr id="4" name="o"/><p:cNvGraphicFramePr/><p:nvPr/></p:nvGraphicFramePr><p:xfrm><a:off x="0" y="0"/><a:ext cx="1" cy="1"/></p:xfrm><a:graphic><a:graphicData uri="http://schemas.openxmlformats.org/presentationml/2006/ole">` + inside + `</a:graphicData></a:graphic></p:graphicFrame>`
	}
	add("OLE object", ".pptx", presentation(frame(`<p:oleObj r:id="rId9" progId="Package" name="o"><p:embed/></p:oleObj>`), "").add("ppt/embeddings/o.bin", "application/vnd.openxmlformats-officedocument.oleObject", ole).relate(slide1, "rId9", "oleObject", "../embeddings/o.bin", false))
	add("linked OLE object", ".pptx", presentation(frame(`<p:oleObj r:id="rId9" progId="htmlfile"><p:link updateAutomatic="1"/></p:oleObj>`), "").relate(slide1, "rId9", "oleObject", remote, true))
	add("ActiveX control", ".pptx", presentation("", `<p:controls><p:control r:id="rId9" name="c"/></p:controls>`).add("ppt/activeX/a.xml", "application/vnd.ms-office.activeX+xml", `<ax:ocx xmlns:ax="http://schemas.microsoft.com/office/2006/activeX" ax:classid="{`+Marker+`}"/>`).relate(slide1, "rId9", "control", "../activeX/a.xml", false))
	add("linked film", ".pptx", presentation(`<p:pic><p:nvPicPr><p:cNvPr id="5" name="v"/><p:cNvPicPr/><p:nvPr><a:videoFile r:link="rId9"/></p:nvPr></p:nvPicPr><p:blipFill/><p:spPr/></p:pic>`, "").relate(slide1, "rId9", "video", remote+".mp4", true))
	add("embedded sound", ".pptx", presentation("", `<p:transition><p:sndAc><p:stSnd><p:snd r:embed="rId9" name="s"/></p:stSnd></p:sndAc></p:transition>`).add("ppt/media/s.wav", "", "RIFF"+Marker).relate(slide1, "rId9", "audio", "../media/s.wav", false))
	add("linked picture", ".pptx", presentation(`<p:pic><p:nvPicPr><p:cNvPr id="5" name="v"/><p:cNvPicPr/><p:nvPr/></p:nvPicPr><p:blipFill><a:blip r:link="rId9"/></p:blipFill><p:spPr/></p:pic>`, "").relate(slide1, "rId9", "image", remote+".png", true))
	add("tags", ".pptx", presentation("", "").add("ppt/tags/t.xml", ctPoint+"tags+xml", `<p:tagLst xmlns:p="`+nsSlide+`"><p:tag name="x" val="`+Marker+`"/></p:tagLst>`).relate(slide1, "rId9", "tags", "../tags/t.xml", false))
	add("custom ribbon", ".pptx", presentation("", "").add("customUI/c.xml", "", `<customUI xmlns="http://schemas.microsoft.com/office/2006/01/customui" onLoad="`+Marker+`"/>`).relate("", "rIdU", msRel+"ui/extensibility", "customUI/c.xml", false))
	add("embedded font", ".pptx", presentation("", "").add("ppt/fonts/f.fntdata", "application/x-fontdata", Marker).relate(showing, "rIdF", "font", "fonts/f.fntdata", false))
	add("command of an animation", ".pptx", presentation("", `<p:timing><p:tnLst><p:par><p:cTn id="1"><p:childTnLst><p:cmd type="verb" cmd="`+Marker+`"><p:cBhvr><p:cTn id="2"/><p:tgtEl><p:spTgt spid="2"/></p:tgtEl></p:cBhvr></p:cmd></p:childTnLst></p:cTn></p:par></p:tnLst></p:timing>`))
	add("slide kept elsewhere", ".pptx", presentation("", "").relate(slide1, "rId9", "slideUpdateUrl", remote, true))
	return sorted(out)
}
