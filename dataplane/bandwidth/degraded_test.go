package bandwidth

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const mbit = 1_000_000

func twoLines() []Tree {
	class := func(id uint8, name string, guarantee uint64, priority uint8, order uint8) Class {
		return Class{ID: id, Name: name, Guarantee: guarantee * mbit, Ceiling: 50 * mbit, Priority: priority, Order: order, Default: id == 2}
	}
	return []Tree{
		{Device: "wg0", Rate: 50 * mbit, Overhead: 60, Classes: []Class{class(1, "core", 30, 0, 0), class(2, "general", 10, 1, 0), class(3, "backup", 5, 2, 1), class(4, "cameras", 2, 3, 0)}},
		{Device: "wg1", Rate: 50 * mbit, Overhead: 60, Classes: []Class{class(1, "core", 10, 0, 1), class(2, "general", 5, 1, 1), class(3, "backup", 30, 2, 0)}},
	}
}

func TestDegraded(t *testing.T) {
	cases := []struct {
		down []string
		want map[string]float64 // Mbit/s by "device class"
		say  []string
	}{
		{nil, map[string]float64{"wg0 core": 30, "wg1 backup": 30}, nil},
		{[]string{"wg0"}, map[string]float64{"wg1 core": 30, "wg1 general": 10, "wg1 backup": 9.5},
			[]string{"class cameras: no line is left", "class core: 30.00 Mbit/s guaranteed on wg1, which was promised 10.00 Mbit/s there", "class backup: 9.50 Mbit/s guaranteed on wg1 instead of 30.00 Mbit/s"}},
		{[]string{"wg1"}, map[string]float64{"wg0 core": 30, "wg0 general": 10, "wg0 backup": 9.484, "wg0 cameras": 0.016},
			[]string{"class backup: 9.48 Mbit/s guaranteed on wg0 instead of 30.00", "class cameras: 0.02 Mbit/s guaranteed on wg0 instead of 2.00"}},
		{[]string{"wg0", "wg1"}, map[string]float64{}, []string{"class core: no line is left for it: 30.00 Mbit/s before, nothing now", "class backup: no line"}},
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c.down), func(t *testing.T) {
			trees, changes := Degraded(twoLines(), c.down)
			got := map[string]float64{}
			for _, tree := range trees {
				if err := tree.Check(); err != nil {
					t.Error(err)
				}
				for _, x := range tree.Classes {
					got[tree.Device+" "+x.Name] = float64(x.Guarantee) / mbit
				}
			}
			for k, w := range c.want {
				if g := got[k]; g < w-0.01 || g > w+0.01 {
					t.Errorf("%s: %.3f Mbit/s, want %.3f", k, g, w)
				}
			}
			var text strings.Builder
			for _, x := range changes {
				fmt.Fprintln(&text, x)
			}
			for _, w := range c.say {
				if !strings.Contains(text.String(), w) {
					t.Errorf("want %q in:\n%s", w, &text)
				}
			}
			if c.say == nil && len(changes) > 0 {
				t.Errorf("changes while every line stands:\n%s", &text)
			}
		})
	}
}

// drawTrees gives some lines with some of the classes each, all within their promise.
func drawTrees(t *rapid.T) (trees []Tree, down []string) {
	for i := range rapid.IntRange(1, 4).Draw(t, "lines") {
		tree := Tree{Device: fmt.Sprintf("wg%d", i), Rate: rapid.Uint64Range(10*mbit, 1000*mbit).Draw(t, "rate")}
		left := tree.Promise()
		for id := uint8(1); id <= 4; id++ {
			if id > 1 && rapid.IntRange(0, 3).Draw(t, "without") == 0 {
				continue
			}
			g := rapid.Uint64Range(1, left-10).Draw(t, "guarantee")
			left -= g
			tree.Classes = append(tree.Classes, Class{ID: id, Name: fmt.Sprint(id), Guarantee: g, Ceiling: tree.Rate,
				Priority: (id - 1) / 2, Order: uint8(rapid.IntRange(0, 3).Draw(t, "order")), Default: id == 1})
			if left < 20 {
				break
			}
		}
		trees = append(trees, tree)
		if rapid.Bool().Draw(t, "down") {
			down = append(down, tree.Device)
		}
	}
	return trees, down
}

func TestDegradedKeepsWhatItPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, down := drawTrees(t)
		after, changes := Degraded(before, down)
		if len(after)+len(down) != len(before) {
			t.Fatalf("%d lines, %d down, %d left", len(before), len(down), len(after))
		}
		said := map[string]bool{}
		for _, c := range changes {
			if c.String() == "" || c.Is > c.Wanted {
				t.Errorf("change %+v", c)
			}
			said[c.Device+" "+c.Class] = true
		}
		for _, tree := range after {
			if err := tree.Check(); err != nil {
				t.Error(err)
			}
			var sum uint64
			was := before[indexOf(before, tree.Device)]
			for i, c := range tree.Classes {
				sum += c.Guarantee
				if c.Guarantee != was.Classes[i].Guarantee && !said[tree.Device+" "+c.Name] {
					t.Errorf("%s: class %s from %d to %d without a word", tree.Device, c.Name, was.Classes[i].Guarantee, c.Guarantee)
				}
				if c.Priority > 0 || c.Guarantee >= was.Classes[i].Guarantee {
					continue
				}
				// A class of the first priority shrank: the later ones must be down to their least.
				for _, o := range tree.Classes {
					if o.Priority > 0 && o.Guarantee > least+8 { // rounding
						t.Errorf("%s: class %s of priority 0 shrank while class %s keeps %d bit/s", tree.Device, c.Name, o.Name, o.Guarantee)
					}
				}
			}
			if sum > tree.Promise() {
				t.Errorf("%s promises %d of %d bit/s", tree.Device, sum, tree.Promise())
			}
		}
	})
}

func indexOf(trees []Tree, device string) int {
	for i, t := range trees {
		if t.Device == device {
			return i
		}
	}
	return -1
}
