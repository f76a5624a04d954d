package html

import (
	"fmt"
	"strings"

	parser "golang.org/x/net/html"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// Bounds of the tree that a page may become.
const (
	maxNodes  = 2_000_000
	maxActive = 400
)

// formatting are elements that the parser opens again in every block, until they are closed.
var formatting = set("a b big code em font i nobr s small strike strong tt u")

// grown refuses a page whose tree would be far larger than the page: formatting elements that stay open are made anew in each block
// that follows, so a hundred kilobytes become gigabytes. It counts, before anything is parsed, one node for each tag and text, and
// behind each end of a block one for each formatting element that is open.
func grown(src string) error {
	z := parser.NewTokenizer(strings.NewReader(src))
	var open []string // raw start tags; the parser too keeps three of the same at most
	same := map[string]int{}
	nodes, again := 0, false
	for {
		switch z.Next() {
		case parser.ErrorToken:
			return nil
		case parser.StartTagToken:
			raw := string(z.Raw())
			name, _ := z.TagName()
			if !formatting[string(name)] {
				again = true
				break
			}
			if same[raw] < 3 {
				same[raw]++
				open = append(open, raw)
			}
			if len(open) > maxActive {
				return rebuild.Refuse("limit.depth", "", fmt.Sprintf("%d elements are open", len(open)))
			}
		case parser.EndTagToken:
			again = true
			if name, _ := z.TagName(); formatting[string(name)] {
				for i := len(open) - 1; i >= 0; i-- {
					if rest, ok := strings.CutPrefix(strings.ToLower(open[i]), "<"+string(name)); ok && rest != "" && strings.ContainsAny(rest[:1], " \t\r\n\f/>") {
						same[open[i]]--
						open = append(open[:i], open[i+1:]...)
						break
					}
				}
			}
		}
		nodes++
		if again {
			nodes += len(open)
			again = false
		}
		if nodes > maxNodes {
			return rebuild.Refuse("limit.expansion", "", fmt.Sprintf("more than %d elements", maxNodes))
		}
	}
}
