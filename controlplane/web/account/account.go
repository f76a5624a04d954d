// Package account tells a reader what was done to a file, from the sanitizer's report.
//
// Problem: a report lists each finding by itself, hundreds of them at times, in the order of the file; a clerk and the head of a section
// want to know what kinds of things happened, how often, and where to look. Mechanism: findings are gathered by how they were answered
// and by what they are, each with its places; the texts before and after are compared line by line; previews become pictures here,
// since what comes out of a sandbox is never a file. Life cycle: made anew for each page, of control's (package web) and of the
// portal's own, which show the same report from two sources. Invariant: nothing of a report is left out: what is not shown is counted.
package account

import (
	"bytes"
	_ "embed"
	"image"
	"image/png"
	"strings"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Part is a template "account", called with what Groups gives. It needs the functions t, finding and where.
//
//go:embed account.html
var Part string

// Group is what was answered in one way.
type Group struct {
	Action verdict.Action
	Kinds  []Kind
}

// Kind is one thing that was found, once or often.
type Kind struct {
	Code  string
	Count int
	Spots []Spot // the first few
	More  []Spot // the others
}

// Spot is where it was found, and the file's own words for it.
type Spot struct {
	Place, Detail string
	Count         int
}

// few is how many spots a reader sees at once.
const few = 3

// Groups puts first what a reader must see first; kinds keep the order of the report.
func Groups(fs []verdict.Finding) []Group {
	var gs []Group
	for _, a := range []verdict.Action{verdict.Refused, verdict.Removed, verdict.Changed, verdict.Reported} {
		g := Group{Action: a}
		at := map[string]int{}
		for _, f := range fs {
			if f.Action != a {
				continue
			}
			i, known := at[f.Code]
			if !known {
				i = len(g.Kinds)
				at[f.Code] = i
				g.Kinds = append(g.Kinds, Kind{Code: f.Code})
			}
			k := &g.Kinds[i]
			k.Count += max(1, f.Count)
			switch s := (Spot{f.Place, f.Detail, f.Count}); {
			case f.Place == "" && f.Detail == "":
			case len(k.Spots) < few:
				k.Spots = append(k.Spots, s)
			default:
				k.More = append(k.More, s)
			}
		}
		if g.Kinds != nil {
			gs = append(gs, g)
		}
	}
	return gs
}

// Comparison is the file before and after, side by side.
type Comparison struct {
	Picture       bool
	Before, After []Line
	Same          bool // nothing that can be seen here changed
}

// Line of a text preview; Changed ones are on one side only.
type Line struct {
	Text    string
	Changed bool
}

// Compare gives nil where there is nothing to look at.
func Compare(r *verdict.Report) *Comparison {
	if pictured(r.Original) || pictured(r.Result) {
		return &Comparison{Picture: true}
	}
	if r.Original == nil || r.Result == nil || r.Original.Text == "" && r.Result.Text == "" {
		return nil
	}
	c := &Comparison{Same: r.Original.Text == r.Result.Text}
	c.Before, c.After = difference(lines(r.Original.Text), lines(r.Result.Text))
	return c
}

// lines splits a preview, at most 400: more is not looked at.
func lines(s string) []string {
	ls := strings.Split(strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), "\n"), "\n")
	return ls[:min(len(ls), 400)]
}

// difference marks the lines that are not in a longest common subsequence.
func difference(a, b []string) (before, after []Line) {
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
			before, after = append(before, Line{Text: a[i]}), append(after, Line{Text: b[j]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			before = append(before, Line{a[i], true})
			i++
		default:
			after = append(after, Line{b[j], true})
			j++
		}
	}
	return before, after
}

// maxPreview bounds a picture that came out of a sandbox, in pixels.
const maxPreview = 4 << 20

// pictured tells whether a preview holds a picture that is what it says.
func pictured(p *verdict.Preview) bool {
	return p != nil && p.Width > 0 && p.Height > 0 && p.Width <= maxPreview && p.Height <= maxPreview/p.Width &&
		len(p.RGBA) == 4*p.Width*p.Height
}

// PNG encodes a preview's raw pixels: the sandbox may have been taken over, so what it sends is never a file.
func PNG(p *verdict.Preview) ([]byte, bool) {
	if !pictured(p) {
		return nil, false
	}
	var b bytes.Buffer
	img := &image.NRGBA{Pix: p.RGBA, Stride: 4 * p.Width, Rect: image.Rect(0, 0, p.Width, p.Height)}
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, img); err != nil {
		return nil, false
	}
	return b.Bytes(), true
}
