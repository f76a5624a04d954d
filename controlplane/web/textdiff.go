package web

import (
	"slices"
	"strings"
)

// hunk is a stretch of two texts with its changed lines and some lines around them.
type hunk struct {
	Old, New int // numbers of the first lines, from 1
	Lines    []edit
}

// edit is one line: of both texts, of the old one alone (del) or of the new one alone (ins).
type edit struct{ Mark, Text string }

const (
	aroundLines = 3    // unchanged lines shown around a change
	mostEdits   = 1500 // lines of difference that are looked for: memory grows with the square
)

// hunks sets two texts against each other, line by line; tooLong when they differ in too many lines.
func hunks(old, new string) (all []hunk, tooLong bool) {
	a, b := splitLines(old), splitLines(new)
	edits, ok := edits(a, b)
	if !ok {
		return nil, true
	}
	i, j := 1, 1 // line numbers of the next edit
	end := -1    // the last hunk goes on to before this edit
	for n, e := range edits {
		if e.Mark != "" && n >= end {
			from := max(n-aroundLines, end, 0)
			all = append(all, hunk{Old: i - (n - from), New: j - (n - from), Lines: slices.Clone(edits[from:n])})
		}
		if e.Mark != "" {
			end = n + aroundLines + 1
		}
		if n < end {
			h := &all[len(all)-1]
			h.Lines = append(h.Lines, e)
		}
		if e.Mark != "ins" {
			i++
		}
		if e.Mark != "del" {
			j++
		}
	}
	return all, false
}

func splitLines(s string) []string {
	return slices.Collect(func(yield func(string) bool) {
		for l := range strings.Lines(s) {
			if !yield(strings.TrimRight(l, "\r\n")) {
				return
			}
		}
	})
}

// edits is a shortest way from a to b (Myers 1986): far[d] holds, for each diagonal, how far into a one gets with d edits.
func edits(a, b []string) ([]edit, bool) {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	x, y := a[head:len(a)-tail], b[head:len(b)-tail]
	middle, ok := shortest(x, y)
	if !ok {
		return nil, false
	}
	var out []edit
	for _, l := range a[:head] {
		out = append(out, edit{"", l})
	}
	out = append(out, middle...)
	for _, l := range a[len(a)-tail:] {
		out = append(out, edit{"", l})
	}
	return out, true
}

func shortest(a, b []string) ([]edit, bool) {
	var steps [][]int // steps[d][k+d]: for k = -d..d
	at := func(d, k int) int {
		if d < 0 || k < -d || k > d {
			return -1
		}
		return steps[d][k+d]
	}
	// from tells where on the diagonal before one comes from, and how far that is into a.
	from := func(d, k int) (before, x int) {
		down, right := at(d-1, k+1), at(d-1, k-1)+1
		if d == 0 {
			return 0, 0
		}
		if k == -d || k != d && right <= down {
			return k + 1, down
		}
		return k - 1, right
	}
	for d := 0; d <= min(mostEdits, len(a)+len(b)); d++ {
		steps = append(steps, make([]int, 2*d+1))
		for k := -d; k <= d; k++ {
			_, x := from(d, k)
			for x < len(a) && x-k < len(b) && x-k >= 0 && a[x] == b[x-k] {
				x++
			}
			steps[d][k+d] = x
			if x < len(a) || x-k < len(b) {
				continue
			}
			var out []edit // backwards
			for x, y := len(a), len(b); d >= 0; d-- {
				before, start := from(d, x-y)
				for x > start && x > 0 && y > 0 {
					x, y = x-1, y-1
					out = append(out, edit{"", a[x]})
				}
				switch {
				case d == 0:
				case before == x-y+1: // a line of b was put in
					y--
					out = append(out, edit{"ins", b[y]})
				default:
					x--
					out = append(out, edit{"del", a[x]})
				}
			}
			slices.Reverse(out)
			return out, true
		}
	}
	return nil, false
}
