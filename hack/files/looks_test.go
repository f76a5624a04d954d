package files

import (
	"errors"
	"image"
	"image/color"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/hack/files/validator"
)

func sheet(dot ...image.Point) image.Image {
	m := image.NewGray(image.Rect(0, 0, 200, 100))
	for i := range m.Pix {
		m.Pix[i] = 255
	}
	for _, p := range dot {
		for y := range 20 {
			for x := range 20 {
				m.SetGray(p.X+x, p.Y+y, color.Gray{})
			}
		}
	}
	return m
}

// A page that looks another way counts, and has to be in the report.
func TestLooks(t *testing.T) {
	plain, other := sheet(), sheet(image.Pt(150, 70))
	found := func(code string, action verdict.Action) verdict.Report {
		return verdict.Report{Findings: []verdict.Finding{{Code: code, Action: action}}}
	}
	for name, c := range map[string]struct {
		before, after       []image.Image
		report              verdict.Report
		same, told, untold  int
		tiles, equal, files int
	}{
		"the same":                    {before: []image.Image{plain, other}, after: []image.Image{plain, other}, same: 2, files: 1},
		"changed, not told":           {before: []image.Image{plain}, after: []image.Image{other}, untold: 1},
		"changed, told":               {before: []image.Image{plain}, after: []image.Image{other}, report: found("pdf.form", verdict.Changed), told: 1},
		"changed, what else was told": {before: []image.Image{plain}, after: []image.Image{other}, report: found("pdf.metadata", verdict.Removed), untold: 1},
		"changed, told as allowed":    {before: []image.Image{plain}, after: []image.Image{other}, report: found("pdf.form", verdict.Reported), untold: 1},
		"a page is missing":           {before: []image.Image{plain, plain}, after: []image.Image{plain}, same: 1, untold: 1},
		"a page is new":               {before: []image.Image{plain}, after: []image.Image{plain, plain}, same: 1, untold: 1},
		"nothing is drawn":            {before: []image.Image{plain}, untold: 1},
		"told, but nothing is drawn":  {before: []image.Image{plain}, report: found("legacy.converted", verdict.Changed), untold: 1},
		"another size":                {before: []image.Image{plain}, after: []image.Image{image.NewGray(image.Rect(0, 0, 100, 200))}, untold: 1},
	} {
		var l Looks
		l.add("x", c.before, c.after, c.report)
		told := 0
		for _, n := range l.Told {
			told += n
		}
		if l.SamePages != c.same || told != c.told || len(l.Untold) != c.untold || l.SameFiles != c.files {
			t.Errorf("%s: %+v", name, l)
		}
		if c.untold+c.told > 0 && l.Least >= 0.95 {
			t.Errorf("%s: the worst tile is %.3f", name, l.Least)
		}
	}
	var l Looks
	if l.add("x", nil, nil, verdict.Report{}); l.Files != 0 || len(l.Undrawn) != 1 {
		t.Errorf("a document without a page: %+v", l)
	}
	if least, all, equal := tiles(plain, other); all != 8 || equal != 7 && equal != 6 || least > 0.5 {
		t.Errorf("of %d tiles %d are the same, the worst %.3f", all, equal, least)
	}
}

// What the validator could not be asked is an error, and what it no longer opens is worse than before.
func TestValid(t *testing.T) {
	gone := errors.New("no such program")
	for name, c := range map[string]struct {
		before, after []string
		err1, err2    error
		failed        bool
		worse, files  int
	}{
		"the same errors":             {before: []string{"a"}, after: []string{"a"}, files: 1},
		"another error":               {before: []string{"a"}, after: []string{"b"}, files: 1, worse: 1},
		"no program":                  {err1: gone, err2: gone, failed: true},
		"no program after":            {err2: gone, failed: true},
		"opened no more":              {err2: validator.ErrUnread, worse: 1},
		"opened neither time":         {err1: validator.ErrUnread, err2: validator.ErrUnread},
		"opened only what we made":    {err1: validator.ErrUnread, after: []string{"a"}, files: 1},
		"the original without a look": {err1: gone, failed: true},
	} {
		var v Valid
		if err := v.add("x", c.before, c.after, c.err1, c.err2); (err != nil) != c.failed || len(v.New) != c.worse || v.Files != c.files {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
}

// LibreOffice prints a document the same whether alone or among others, also where one of them cannot be read.
func TestPapers(t *testing.T) {
	page := []byte("<html><body><p>" + strings.Repeat("関所 ", 30) + "</p></body></html>")
	csv := []byte("a,b\n1,2\n")
	printers[".html"], printers[".csv"] = "writer", "calc"
	defer func() { delete(printers, ".html"); delete(printers, ".csv") }()
	out, err := papers(t.Context(), []document{{"a.html", page}, {"b.csv", csv}, {"c.docx", []byte("PK\x03\x04 no document")}, {"d.html", page}}, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, true, false, true} {
		if got := out[i] != nil; got != want {
			t.Errorf("document %d is printed: %t, want %t", i, got, want)
		}
	}
}
