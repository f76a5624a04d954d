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
func (d *document) checkActive(p *part, n container.Node, t *traits) error {
	place := p.Name
	no := func(format string, args ...any) error {
		return rule.Refuse(container.CodeActive, place, format, args...)
	}
	if t.active {
		return no("element %s", n.Name)
	}
	if !t.known {
		return rule.Refuse(container.CodeMarkup, place, "element %s is in no standard", n.Name)
	}
	if err := d.checkChoices(place, n); err != nil {
		return err
	}
	switch n.Name {
	case "x:definedName":
		for _, a := range []string{"xlm", "vbProcedure", "function"} {
			if truth(n.Get(a)) {
				return no("a name that is a macro")
			}
		}
	case "x:cfvo", "x14:cfvo":
		if err := d.checkFormula(place, n.Get("val")); err != nil {
			return err
		}
	case "x:cacheField", "x:calculatedItem":
		if err := d.checkFormula(place, n.Get("formula")); err != nil {
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
		if err := checkField(place, n.Get("w:instr"), -1, d.noLinks()); err != nil {
			return err
		}
	case "xv:ClientData":
		if !formObjects[n.Get("ObjectType")] {
			return no("form object %q", n.Get("ObjectType"))
		}
	}
	for _, a := range n.Attrs {
		if t.drawing {
			if err := d.checkDrawn(place, n.Name, t, a); err != nil {
				return err
			}
		}
		switch d.concernOf(a.Name) {
		case macros:
			if a.Value != "" {
				return no("a macro behind %s", t.local)
			}
		case clicks:
			if (t.local == "hlinkClick" || t.local == "hlinkHover" || t.local == "hlinkMouseOver") && !actions.MatchString(a.Value) {
				return no("action %q", a.Value)
			}
		case formulaText:
			if err := d.checkFormula(place, a.Value); err != nil {
				return err
			}
		case relations:
			if err := p.checkID(n.Name, t, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// formObjects are what a form in a sheet may be made of.
var formObjects = words(`Note Pict Shape Rect Group Label GBox Drop Checkbox Radio Button List Scroll Spin Line Text Dialog Edit RectA LineA ArcA Oval Arc Polygon`)

// vmlSpaces are those in which VML draws, and none.
var vmlSpaces = words("none v o w10 xv pv")

// checkDrawn judges an attribute of a drawing in VML.
func (d *document) checkDrawn(place, element string, t *traits, a container.Attribute) error {
	_, low, prefixed := strings.Cut(strings.ToLower(a.Name), ":")
	if !prefixed {
		low = strings.ToLower(a.Name)
	}
	switch low {
	case "href":
		if shape := vmlShapes[t.local]; a.Value != "" && (!shape || !container.SafeAddress(a.Value) || d.noLinks() && out(a.Value)) { // elsewhere it is where a picture comes from
			return rule.Refuse(container.CodeLink, place, "%s links to %q", element, a.Value)
		}
	case "src", "althref":
		if a.Value != "" {
			return rule.Refuse(container.CodeLink, place, "%s loads %q", element, a.Value)
		}
	case "style":
		if v := strings.ToLower(a.Value); strings.Contains(v, "url(") || strings.Contains(v, "expression(") {
			return rule.Refuse(container.CodeLink, place, "a style that loads")
		}
	default:
		if t.space == "none" && !vmlAttributes[low] {
			return rule.Refuse(container.CodeActive, place, "attribute %s of %s", a.Name, t.local)
		}
	}
	return nil
}

// vmlAttributes of the markup without namespace: looks only.
var vmlAttributes = words("style align color face size class dir lang")

func truth(s string) bool { return s == "1" || s == "true" || s == "on" }

// vmlShapes may be links that a person follows.
var vmlShapes = words("shape shapetype group rect roundrect oval line polyline arc curve diagram")
