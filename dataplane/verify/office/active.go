package office

import (
	"regexp"
	"strings"

	"github.com/sekisho/sekisho/dataplane/verify/container"
	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// active elements do something, load something, or hold something that does. None may stand in a rebuilt document.
var active = words(`
	w:control w:objectEmbed w:objectLink w:altChunk w:attachedTemplate w:subDoc w:mailMerge w:frameset w:movie w:entryMacro w:exitMacro
	w:saveThroughXslt w:attachedSchema w:dataBinding w15:dataBinding w:contentPart w14:contentPart w:embedRegular w:embedBold w:embedItalic w:embedBoldItalic
	w:printerSettings w:src w:dataSource w:query w:connectString w:object w:frame w:framesetSplitbar w:sourceFileName w:linkedToFile w:headerSource
	w:recipients w:recipientData w:odso w:udl
	o:OLEObject o:ink o:LinkType xv:FmlaMacro xv:FmlaPict xv:MacroName xv:ScriptText xv:ScriptLanguage xv:ScriptExtended xv:ScriptLocation
	x:oleObjects x:oleObject x:controls x:control x:externalReferences x:externalReference x:ddeLink x:ddeItems x:oleLink x:webPublishing x:webPublishItems
	x:webPublishObjects x:customProperties x:functionGroups x:xmlColumnPr x:xmlCellPr x:dbPr x:olapPr x:webPr x:textPr x:connection x:connections
	x:queryTable x:smartTags x:revisionHeaders x:volTypes x15:dataModel x15:connection x15:webExtensions x15:modelTimeGroupings x14:oleObject x14:control
	p:controls p:control p:oleObj p:embed p:link p:custDataLst p:custData p:embeddedFontLst p:contentPart p14:contentPart p:sndAc p:snd p:stSnd p:audio p:video
	p:htmlPubPr p:webPr p:externalLink p14:media p14:bmkTgt p:smartTags
	a:videoFile a:audioFile a:quickTimeFile a:wavAudioFile a:audioCd a:snd a14:imgLayer a14:contentPart
	c:externalData cx:externalData
`)

// formulas are the elements whose text is a formula, besides every f, see isFormula.
var formulas = words(`x:f x:formula x:formula1 x:formula2 x:definedName x:calculatedColumnFormula x:totalsRowFormula x:oldFormula
	x14:formula c15:sqref xv:FmlaLink xv:FmlaRange xv:FmlaGroup xv:FmlaTxbx`)

// isFormula tells elements whose text is a formula: those named, and every f but a fraction and a step of a shape's geometry.
func isFormula(name string) bool {
	return formulas[name] || strings.HasSuffix(name, ":f") && name != "m:f" && name != "v:f"
}

// textOnly tells elements that hold a formula, an instruction, or what Word may take for one. Text is judged whole, so nothing may
// stand in it that a reader could see as its end, or as not there.
func textOnly(name string) bool { return isFormula(name) || fieldText[name] }

var fieldText = words("w:instrText w:delInstrText w:t w:delText")

// actions of a click that stay inside the presentation (ECMA-376 part 1, 21.1.2.3.5, and [MS-OI29500] 2.1.1251).
var actions = regexp.MustCompile(`^(ppaction://(hlinksldjump|noaction|hlinkshowjump(\?jump=[a-z]+)?|customshow\?id=[0-9]+(&return=(true|false))?))?$`)

// mediaCalls are the commands of a timing container.Node that play what is on the slide.
var mediaCalls = regexp.MustCompile(`^(playFrom\([0-9.]*\)|play|pause|resume|stop|togglePause|goToAndPlay|onstopaudio|seek.*)$`)

// checkActive judges one element of any part.
func checkActive(place string, n container.Node) error {
	no := func(format string, args ...any) error {
		return rule.Refuse(container.CodeActive, place, format, args...)
	}
	if active[n.Name] {
		return no("element %s", n.Name)
	}
	space, local, _ := strings.Cut(n.Name, ":")
	switch n.Name {
	case "x:definedName":
		for _, a := range []string{"xlm", "vbProcedure", "function"} {
			if truth(n.Get(a)) {
				return no("a name that is a macro")
			}
		}
	case "x:cfvo", "x14:cfvo":
		if err := checkFormula(place, n.Get("val")); err != nil {
			return err
		}
	case "x:cacheField", "x:calculatedItem":
		if err := checkFormula(place, n.Get("formula")); err != nil {
			return err
		}
	case "p:cmd":
		if n.Get("type") == "verb" || !mediaCalls.MatchString(n.Get("cmd")) {
			return no("command %q", n.Get("cmd"))
		}
	case "x:worksheetSource", "x:rangeSet":
		if n.Get("r:id") != "" {
			return rule.Refuse(container.CodeLink, place, "a pivot table fed from outside")
		}
	case "x:cacheSource":
		if t := n.Get("type"); t != "worksheet" && t != "consolidation" {
			return rule.Refuse(container.CodeLink, place, "a pivot table fed by %q", t)
		}
	case "w:fldSimple":
		if err := checkField(place, n.Get("w:instr"), -1); err != nil {
			return err
		}
	case "xv:ClientData":
		switch t := n.Get("ObjectType"); t {
		case "Note", "Pict", "Shape", "Rect", "Group", "Label", "GBox", "Drop", "Checkbox", "Radio", "Button", "List", "Scroll", "Spin", "Line", "Text", "Dialog", "Edit", "RectA", "LineA", "ArcA", "Oval", "Arc", "Polygon":
		default:
			return no("form object %q", t)
		}
	}
	vml := space == "none" || space == "v" || space == "o" || space == "w10" || space == "xv" || space == "pv"
	for _, a := range n.Attrs {
		_, name, prefixed := strings.Cut(a.Name, ":")
		if !prefixed {
			name = a.Name
		}
		switch low := strings.ToLower(name); {
		case (low == "macro" || low == "fmlamacro" || low == "macroname") && a.Value != "":
			return no("a macro behind %s", local)
		case low == "action" && (local == "hlinkClick" || local == "hlinkHover" || local == "hlinkMouseOver"):
			if !actions.MatchString(a.Value) {
				return no("action %q", a.Value)
			}
		case vml && low == "href":
			if shape := vmlShapes[local]; a.Value != "" && (!shape || !container.SafeAddress(a.Value)) { // elsewhere it is where a picture comes from
				return rule.Refuse(container.CodeLink, place, "%s links to %q", n.Name, a.Value)
			}
		case vml && (low == "src" || low == "althref"):
			if a.Value != "" {
				return rule.Refuse(container.CodeLink, place, "%s loads %q", n.Name, a.Value)
			}
		case space == "none" && !vmlAttributes[low]:
			return no("attribute %s of %s", a.Name, local)
		case vml && low == "style":
			if v := strings.ToLower(a.Value); strings.Contains(v, "url(") || strings.Contains(v, "expression(") {
				return rule.Refuse(container.CodeLink, place, "a style that loads")
			}
		case low == "textlink":
			if err := checkFormula(place, a.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// vmlAttributes of the markup without namespace: looks only.
var vmlAttributes = words("style align color face size class dir lang")

func truth(s string) bool { return s == "1" || s == "true" || s == "on" }

// vmlShapes may be links that a person follows.
var vmlShapes = words("shape shapetype group rect roundrect oval line polyline arc curve diagram")
