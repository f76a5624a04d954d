package office

import "strings"

// What the route wants done where there is a choice (verdict.Policy).

// noLink tells an address that a person might follow, on a route where none may pass. Places in the document are no addresses.
func (o *office) noLink(address string) bool {
	return o.Policy.Links == "remove" && !strings.HasPrefix(address, "#")
}

// linksOut tells the instruction of a field, or a formula, that holds an address, on a route where none may pass.
func (o *office) linksOut(text string) bool {
	if o.Policy.Links != "remove" {
		return false
	}
	upper := strings.ToUpper(text)
	return strings.Contains(upper, "HYPERLINK") && (strings.Contains(upper, "://") || strings.Contains(upper, "MAILTO:"))
}

// comments are the relationships to what people wrote beside the document, and to who they are.
var comments = map[string]bool{
	"comments": true, "commentAuthors": true, "2011/relationships/commentsExtended": true, "2016/09/relationships/commentsIds": true, "2018/08/relationships/commentsExtensible": true,
	"2017/10/relationships/threadedComment": true, "2017/10/relationships/person": true, "2018/10/relationships/comments": true, "2018/10/relationships/authors": true,
}

// commentMarks are the elements that show where a comment hangs.
var commentMarks = map[element]bool{{"w", "commentRangeStart"}: true, {"w", "commentRangeEnd"}: true, {"w", "commentReference"}: true}

// noComments tells whether comments stay behind.
func (o *office) noComments() bool { return o.Policy.Comments == "remove" }
