package equal_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sekisho/sekisho/controlplane/policy/equal"
	"github.com/sekisho/sekisho/controlplane/policy/internal/drawn"
)

// However often what is noted is looked up, equal tables are equal, and a cell less is missed: that cell alone.
func TestLookingUpInPartsChangesNothing(t *testing.T) {
	usual := *equal.MostNoted
	t.Cleanup(func() { *equal.MostNoted = usual })
	rapid.Check(t, func(t *rapid.T) {
		doc, cfg := drawn.Config(t)
		tables, a := compiled(t, cfg)
		*equal.MostNoted = rapid.IntRange(1, 20).Draw(t, "at most")
		for _, f := range equal.Check(cfg, a, tables) {
			t.Fatalf("looked up by %d: %v\n%s", *equal.MostNoted, f, doc)
		}
		bad := clone(tables)
		n := rapid.IntRange(0, len(bad.Cells)-1).Draw(t, "cell")
		bad.Cells = slices.Delete(bad.Cells, n, n+1)
		found := equal.Check(cfg, a, &bad)
		missed := func(f equal.Fault) bool { return strings.Contains(f.What, "a cell is missing") }
		if i := slices.IndexFunc(found, func(f equal.Fault) bool { return !missed(f) }); i >= 0 || len(found) == 0 {
			t.Fatalf("looked up by %d: cell %v is not missed, and nothing else: %v\n%s", *equal.MostNoted, tables.Cells[n], found, doc)
		}
	})
}

// Rules mean the same by whatever numbers, small or great, in a row or far apart.
func TestNumbersOfRulesMeanNothing(t *testing.T) {
	w := layered(t)
	for name, number := range map[string]func(uint32) uint32{
		"far apart": func(id uint32) uint32 { return id * 1_000_003 },
		"the last":  func(id uint32) uint32 { return 1<<32 - 1000 + id },
		"one off":   func(id uint32) uint32 { return id + 1 },
	} {
		t.Run(name, func(t *testing.T) {
			other := clone(w.tables)
			for i := range other.Cells {
				other.Cells[i].Rule = number(other.Cells[i].Rule)
			}
			for i := range other.Rules {
				r := &other.Rules[i]
				if r.ID = number(r.ID); r.Next != 0 {
					r.Next = number(r.Next)
				}
			}
			for _, f := range equal.Check(w.cfg, w.anchors, &other) {
				t.Error(f)
			}
			other.Rules = append(other.Rules, other.Rules[len(other.Rules)-1])
			if found := equal.Check(w.cfg, w.anchors, &other); !slices.ContainsFunc(found, func(f equal.Fault) bool { return strings.Contains(f.What, "is in the tables twice") }) {
				t.Errorf("a rule listed twice: got %v", found)
			}
		})
	}
}
