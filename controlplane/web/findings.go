package web

import (
	"strings"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// group is the findings that were answered in one way.
type group struct {
	Action   verdict.Action
	Findings []verdict.Finding
}

// groups puts first what a reader must see first.
func groups(fs []verdict.Finding) []group {
	var gs []group
	for _, a := range []verdict.Action{verdict.Refused, verdict.Removed, verdict.Changed, verdict.Reported} {
		g := group{Action: a}
		for _, f := range fs {
			if f.Action == a {
				g.Findings = append(g.Findings, f)
			}
		}
		if g.Findings != nil {
			gs = append(gs, g)
		}
	}
	return gs
}

// comparison is the file before and after, side by side.
type comparison struct {
	Picture       bool
	Before, After []line
	Same          bool // nothing that can be seen here changed
}

// line of a text preview; Changed ones are on one side only.
type line struct {
	Text    string
	Changed bool
}

func compare(r *verdict.Report) *comparison {
	if pictured(r.Original) || pictured(r.Result) {
		return &comparison{Picture: true}
	}
	if r.Original == nil || r.Result == nil || r.Original.Text == "" && r.Result.Text == "" {
		return nil
	}
	c := &comparison{Same: r.Original.Text == r.Result.Text}
	c.Before, c.After = difference(lines(r.Original.Text), lines(r.Result.Text))
	return c
}

// lines splits a preview, at most 400: more is not looked at.
func lines(s string) []string {
	ls := strings.Split(strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), "\n"), "\n")
	return ls[:min(len(ls), 400)]
}

// difference marks the lines that are not in a longest common subsequence.
func difference(a, b []string) (before, after []line) {
	common := make([][]int, len(a)+1) // common[i][j]: length for a[i:] and b[j:]
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			before, after = append(before, line{Text: a[i]}), append(after, line{Text: b[j]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			before = append(before, line{a[i], true})
			i++
		default:
			after = append(after, line{b[j], true})
			j++
		}
	}
	return before, after
}
