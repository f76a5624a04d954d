package office

import (
	"strings"

	"github.com/sekisho/sekisho/dataplane/verify/container"
	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// What a route wanted out may not be in its results (verdict.Policy).

func (d *document) noLinks() bool    { return d.file.Policy.Links == "remove" }
func (d *document) noComments() bool { return d.file.Policy.Comments == "remove" }
func (d *document) noHidden() bool   { return d.file.Policy.Hidden == "remove" }

// out tells an address that leads out of the document.
func out(address string) bool { return address != "" && !strings.HasPrefix(address, "#") }

// remarks are the elements that comments are, and that show where one hangs.
var remarks = words(`w:comments w:commentRangeStart w:commentRangeEnd w:commentReference w15:commentsEx w16:commentsIds w16:commentsExtensible
	x:comments xtc:ThreadedComments xtc:personList p:cmLst p:cmAuthorLst p188:cmLst p188:authorLst`)

// vanished are the elements that hide text in Word.
var vanished = words("w:vanish w:specVanish")

// checkChoices holds an element to what the route chose.
func (d *document) checkChoices(place string, n container.Node) error {
	switch {
	case d.noComments() && (remarks[n.Name] || n.Name == "xv:ClientData" && n.Get("ObjectType") == "Note"):
		return rule.Refuse(container.CodePart, place, "a comment (%s), which the route does not let pass", n.Name)
	case !d.noHidden():
	case n.Name == "x:sheet" && n.Get("state") != "" && n.Get("state") != "visible":
		return rule.Refuse(container.CodePart, place, "a hidden sheet, which the route does not let pass")
	case n.Name == "p:sld" && n.Get("show") != "" && !truth(n.Get("show")):
		return rule.Refuse(container.CodePart, place, "a hidden slide, which the route does not let pass")
	case vanished[n.Name] && (n.Get("w:val") == "" || truth(n.Get("w:val"))):
		return rule.Refuse(container.CodePart, place, "hidden text, which the route does not let pass")
	}
	return nil
}
