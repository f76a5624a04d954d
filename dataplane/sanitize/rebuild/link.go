package rebuild

import (
	"strings"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
)

// SafeURL tells links that a person may follow: web and mail addresses, and places in the same document.
func SafeURL(s string) bool {
	if len(s) > 4096 || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r < 0x20 || r == 0x7F || charset.Hidden(r) {
			return false
		}
	}
	if strings.HasPrefix(s, "#") {
		return true
	}
	lower := strings.ToLower(s)
	for _, scheme := range []string{"http://", "https://"} {
		if rest, ok := strings.CutPrefix(lower, scheme); ok {
			host := rest[:strings.IndexAny(rest+"/", "/?#")]
			return host != "" && !strings.ContainsAny(host, `\@`) // what stands before an @ looks like the host and is none
		}
	}
	return strings.HasPrefix(lower, "mailto:") && len(s) > len("mailto:") && !strings.Contains(lower, "attach=")
}
