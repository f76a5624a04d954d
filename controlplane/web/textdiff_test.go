package web

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestEditsLeadFromOneTextToTheOther: without the new lines the old text is left, without the old ones the new text.
func TestEditsLeadFromOneTextToTheOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "", "d"}), 0, 30)
		a, b := lines.Draw(t, "a"), lines.Draw(t, "b")
		es, ok := edits(a, b)
		if !ok {
			t.Fatal("given up")
		}
		var old, new []string
		n := 0
		for _, e := range es {
			if e.Mark != "ins" {
				old = append(old, e.Text)
			}
			if e.Mark != "del" {
				new = append(new, e.Text)
			}
			if e.Mark != "" {
				n++
			}
		}
		if strings.Join(old, "\n") != strings.Join(a, "\n") || strings.Join(new, "\n") != strings.Join(b, "\n") || len(old) != len(a) || len(new) != len(b) {
			t.Fatalf("from %q to %q: %v", a, b, es)
		}
		if least := len(a) + len(b) - 2*common(a, b); n != least {
			t.Fatalf("from %q to %q: %d edits, want %d", a, b, n, least)
		}
	})
}

// common is the length of a longest common subsequence.
func common(a, b []string) int {
	row := make([]int, len(b)+1)
	for i := range a {
		corner := 0
		for j := range b {
			above := row[j+1]
			if a[i] == b[j] {
				row[j+1] = corner + 1
			} else {
				row[j+1] = max(row[j], above)
			}
			corner = above
		}
	}
	return row[len(b)]
}

func TestHunks(t *testing.T) {
	old := "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n"
	got, tooLong := hunks(old, strings.Replace(strings.Replace(old, "5\n", "five\n", 1), "14\n", "", 1))
	if tooLong || len(got) != 2 || got[0].Old != 2 || got[0].New != 2 || got[1].Old != 11 || got[1].New != 11 {
		t.Fatalf("got %+v", got)
	}
	want := " 2 3 4 -5 +five 6 7 8"
	var line strings.Builder
	for _, e := range got[0].Lines {
		line.WriteString(" " + map[string]string{"del": "-", "ins": "+"}[e.Mark] + e.Text)
	}
	if line.String() != want {
		t.Errorf("got %q, want %q", line.String(), want)
	}
	if _, tooLong := hunks(strings.Repeat("a\n", 2000), strings.Repeat("b\n", 2000)); !tooLong {
		t.Error("four thousand edits were looked for")
	}
	if got, _ := hunks(old, old); len(got) != 0 {
		t.Errorf("the same: %+v", got)
	}
}
