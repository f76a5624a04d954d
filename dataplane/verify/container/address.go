package container

import (
	"strings"

	"github.com/sekisho/sekisho/dataplane/verify/text"
)

// SafeAddress tells what a person may follow: web, mail, and places in the same document.
func SafeAddress(s string) bool {
	for _, r := range s {
		if r < 0x20 || r == 0x7F || text.Invisible(r) {
			return false
		}
	}
	low := strings.ToLower(s)
	if strings.HasPrefix(low, "#") {
		return true
	}
	for _, scheme := range []string{"http://", "https://"} {
		if rest, ok := strings.CutPrefix(low, scheme); ok {
			end := strings.IndexAny(rest, "/?#")
			if end < 0 {
				end = len(rest)
			}
			return end > 0 && !strings.ContainsAny(rest[:end], `\@`)
		}
	}
	return strings.HasPrefix(low, "mailto:") && len(s) > len("mailto:") && !strings.Contains(low, "attach=")
}
