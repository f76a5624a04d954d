package bandwidth

import (
	"cmp"
	"fmt"
	"slices"
)

// Change is what becomes of one class when lines are down.
type Change struct {
	Device string `json:"device"` // line on which the class goes on; "" when it has none left
	Class  string `json:"class"`
	Was    uint64 `json:"was"`    // bit/s that the class was promised on this line while all lines stood
	Wanted uint64 `json:"wanted"` // bit/s that it was promised on the best of the lines it had
	Is     uint64 `json:"is"`     // bit/s that it is promised now
	Cause  string `json:"cause"`  // "moved", "shrunk", "cut"
}

func (c Change) String() string {
	switch c.Cause {
	case "cut":
		return fmt.Sprintf("class %s: no line is left for it: %s before, nothing now", c.Class, mbits(c.Wanted))
	case "moved":
		return fmt.Sprintf("class %s: %s guaranteed on %s, which was promised %s there before, because its own line is down", c.Class, mbits(c.Is), c.Device, mbits(c.Was))
	}
	return fmt.Sprintf("class %s: %s guaranteed on %s instead of %s: what is left of the line goes to classes that come before it", c.Class, mbits(c.Is), c.Device, mbits(c.Wanted))
}

func mbits(bits uint64) string { return fmt.Sprintf("%.2f Mbit/s", float64(bits)/1e6) }

// least is what a class keeps when nothing is left for it, bit/s: a guarantee of 0 would be no class to the kernel, and its
// probes must still go through.
const least = 16_000

// Degraded is what the lines that stand promise while those in down do not. A class whose own line is down takes its guarantee
// to the line that it prefers of those left. When a line cannot keep all that it is then asked for, the classes of the last
// priority give way first; within one priority all give way by the same part. No line promises more than what it can keep.
func Degraded(trees []Tree, down []string) ([]Tree, []Change) {
	var out []Tree
	var changes []Change
	for _, t := range trees {
		if slices.Contains(down, t.Device) {
			continue
		}
		t.Classes = slices.Clone(t.Classes)
		out = append(out, t)
	}
	moved := map[seat]uint64{}
	for _, id := range homeless(trees, down) {
		wanted, name := best(trees, id)
		to := home(out, id)
		if to < 0 {
			changes = append(changes, Change{Class: name, Was: wanted, Wanted: wanted, Cause: "cut"})
			continue
		}
		moved[seat{to, id}] = wanted
	}
	for i := range out {
		changes = append(changes, fit(&out[i], func(id uint8) uint64 { return moved[seat{i, id}] })...)
	}
	return out, changes
}

type seat struct {
	tree  int
	class uint8
}

// homeless are the classes whose first line is down, each once, in the order of the trees.
func homeless(trees []Tree, down []string) []uint8 {
	first := map[uint8]int{}
	var order []uint8
	for i, t := range trees {
		for _, c := range t.Classes {
			j, known := first[c.ID]
			if !known {
				order = append(order, c.ID)
			}
			if !known || c.Order < of(trees[j], c.ID).Order {
				first[c.ID] = i
			}
		}
	}
	return slices.DeleteFunc(order, func(id uint8) bool { return !slices.Contains(down, trees[first[id]].Device) })
}

func of(t Tree, id uint8) *Class {
	if i := slices.IndexFunc(t.Classes, func(c Class) bool { return c.ID == id }); i >= 0 {
		return &t.Classes[i]
	}
	return nil
}

// best is the greatest guarantee that a class has on any line.
func best(trees []Tree, id uint8) (most uint64, name string) {
	for _, t := range trees {
		if c := of(t, id); c != nil {
			most, name = max(most, c.Guarantee), c.Name
		}
	}
	return most, name
}

// home is the line that a class prefers of those that stand, -1 when none carries it.
func home(trees []Tree, id uint8) int {
	to := -1
	for i, t := range trees {
		if c := of(t, id); c != nil && (to < 0 || c.Order < of(trees[to], id).Order) {
			to = i
		}
	}
	return to
}

// fit gives the classes of one line what they want, or what is left by priority.
func fit(t *Tree, moved func(id uint8) uint64) []Change {
	type claim struct {
		at          int
		was, wanted uint64
		floor       uint64
	}
	var claims []claim
	left := t.Promise()
	for i, c := range t.Classes {
		// A line that is slower than the one that is down cannot give more than itself.
		w := min(max(c.Guarantee, moved(c.ID)), t.Promise())
		claims = append(claims, claim{i, c.Guarantee, w, min(w, least, left/uint64(len(t.Classes)))})
	}
	for _, c := range claims {
		left -= min(c.floor, left)
	}
	slices.SortStableFunc(claims, func(a, b claim) int { return cmp.Compare(t.Classes[a.at].Priority, t.Classes[b.at].Priority) })
	for from := 0; from < len(claims); {
		to := from
		var sum uint64
		for to < len(claims) && t.Classes[claims[to].at].Priority == t.Classes[claims[from].at].Priority {
			sum += claims[to].wanted - claims[to].floor
			to++
		}
		part := 1.0
		if sum > left {
			part = float64(left) / float64(sum)
		}
		for _, c := range claims[from:to] {
			x := &t.Classes[c.at]
			more := min(uint64(float64(c.wanted-c.floor)*part), left)
			if part == 1 {
				more = c.wanted - c.floor
			}
			left -= more
			x.Guarantee = c.floor + more
			x.Ceiling = max(x.Ceiling, x.Guarantee)
		}
		from = to
	}
	var changes []Change
	for _, c := range claims {
		x := t.Classes[c.at]
		wanted := max(c.wanted, moved(x.ID))
		switch {
		case x.Guarantee < wanted:
			changes = append(changes, Change{t.Device, x.Name, c.was, wanted, x.Guarantee, "shrunk"})
		case x.Guarantee > c.was:
			changes = append(changes, Change{t.Device, x.Name, c.was, wanted, x.Guarantee, "moved"})
		}
	}
	return changes
}
