package ledger

import (
	"net/netip"
	"slices"
	"strings"
)

// near suggests a known name for one that is not.
func (r *reading) near(name string, kinds []kind) string {
	key, best := plain(name), ""
	for id, refs := range r.d.ids {
		for _, x := range refs {
			if slices.Contains(kinds, x.kind) && alike(key, id) && (best == "" || id < best) {
				best = id
			}
		}
	}
	if best == "" {
		return "-"
	}
	return best
}

// alike tells words that differ in one character, or where one begins with the other.
func alike(a, b string) bool {
	x, y := []rune(a), []rune(b)
	if len(x) < 2 || len(y) < 2 || len(x)-len(y) > 1 || len(y)-len(x) > 1 {
		return false
	}
	i := 0
	for i < min(len(x), len(y)) && x[i] == y[i] {
		i++
	}
	j := 0
	for j < min(len(x), len(y))-i && x[len(x)-1-j] == y[len(y)-1-j] {
		j++
	}
	return max(len(x), len(y))-i-j <= 1
}

func refList(list []ref) string {
	out := make([]string, len(list))
	for i, r := range list {
		out[i] = r.id
	}
	return strings.Join(out, ", ")
}

func addrList(list []netip.Addr) string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = a.String()
	}
	return strings.Join(out, ", ")
}
