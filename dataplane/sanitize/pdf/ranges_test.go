package pdf

import "testing"

// Many pages are drawn in fewer dots, so that they fit the room that there is.
func TestDotsByPages(t *testing.T) {
	for n, want := range map[int]int{1: 150, 20: 150, 100: 96, 1000: 30} {
		w := &walk{}
		for i := range n {
			m := &made{page: i + 1}
			m.v = dict{"MediaBox": array{number("0"), number("0"), number("595"), number("842")}}
			w.pages = append(w.pages, m)
		}
		if got := w.dots(w.pages); got != want {
			t.Errorf("%d pages: got %d dots an inch, want %d", n, got, want)
		}
	}
}

// Ranges are few, whatever pages are doubtful, and hold all of them in order.
func TestRangesAreFew(t *testing.T) {
	var pages []*made
	for i := range 100 {
		pages = append(pages, &made{page: 3*i + i/50*100 + 1})
	}
	got := ranges(pages)
	if len(got) != maxRanges {
		t.Errorf("got %d ranges, want %d", len(got), maxRanges)
	}
	n, cut := 0, false
	for _, r := range got {
		for _, m := range r {
			if m != pages[n] {
				t.Fatalf("page %d is missing or not in its place", pages[n].page)
			}
			n++
		}
		cut = cut || n == 50
	}
	if n != 100 || !cut {
		t.Errorf("%d pages; cut at the widest gap: %t", n, cut)
	}
}
