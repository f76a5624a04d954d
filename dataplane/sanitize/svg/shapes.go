package svg

import (
	"fmt"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// shapes counts what is drawn when every use, pattern, marker, mask and filter is followed, and refuses a drawing that uses itself or
// grows beyond all measure. Each element is counted once, so the count costs no more than the file is long.
func shapes(root *node) error {
	ids := map[string]*node{}
	var name func(n *node)
	name = func(n *node) {
		if id := n.get("id"); id != "" && ids[id] == nil {
			ids[id] = n
		}
		for _, c := range n.children {
			name(c)
		}
	}
	name(root)
	done, open := map[*node]int{}, map[*node]bool{}
	var count func(n *node, depth int) (int, error)
	count = func(n *node, depth int) (int, error) {
		if c, ok := done[n]; ok {
			return c, nil
		}
		if open[n] || depth > 2000 {
			return 0, rebuild.Refuse("svg.loop", n.get("id"), n.name)
		}
		open[n] = true
		defer delete(open, n)
		sum := 1
		add := func(m *node, times int) error {
			c, err := count(m, depth+1)
			if err != nil {
				return err
			}
			if sum += c * times; sum > maxShapes {
				return rebuild.Refuse("limit.expansion", n.get("id"), fmt.Sprintf("more than %d shapes", maxShapes))
			}
			return nil
		}
		for _, c := range n.children {
			if err := add(c, 1); err != nil {
				return 0, err
			}
		}
		for _, a := range n.attrs {
			times := 1
			if strings.HasPrefix(a.name, "marker") || a.name == "style" && strings.Contains(a.value, "marker") {
				times += (len(n.get("d")) + len(n.get("points"))) / 4 // one at each corner
			}
			for _, id := range places(a) {
				if m := ids[id]; m != nil && n.name != "a" {
					if err := add(m, times); err != nil {
						return 0, err
					}
				}
			}
		}
		done[n] = sum
		return sum, nil
	}
	_, err := count(root, 0)
	return err
}

// places are the names that an attribute takes from the drawing.
func places(a attr) []string {
	if a.name == "href" {
		id, ok := strings.CutPrefix(a.value, "#")
		if !ok {
			return nil
		}
		return []string{id}
	}
	var out []string
	for _, part := range strings.Split(a.value, "url(#")[1:] {
		id, _, _ := strings.Cut(part, ")")
		out = append(out, id)
	}
	return out
}
