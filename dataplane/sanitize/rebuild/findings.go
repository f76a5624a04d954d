package rebuild

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Findings collects what a reader should know, bounded: the same code at the same place is counted, not repeated, and beyond
// maxFindings only the counts grow. Those of a file in a file go to the same list, with where it lies before their place.
type Findings struct {
	List   []verdict.Finding
	within string
	outer  *Findings
}

const maxFindings = 200

// Within is the view of a file that lies at place.
func (f *Findings) Within(place string) *Findings {
	return &Findings{within: Printable(place, 100) + "/", outer: f}
}

func (f *Findings) root() (*Findings, string) {
	if f.outer == nil {
		return f, ""
	}
	top, path := f.outer.root()
	return top, path + f.within
}

// Add notes a finding. Detail may be an attacker's text.
func (f *Findings) Add(code, place string, action verdict.Action, detail string) {
	top, path := f.root()
	top.add(code, path+place, action, detail)
}

func (f *Findings) add(code, place string, action verdict.Action, detail string) {
	place = Printable(strings.TrimSuffix(place, "/"), 200)
	last := -1
	for i := range f.List {
		if f.List[i].Code == code && f.List[i].Action == action {
			last = i
			if f.List[i].Place == place {
				f.List[i].Count++
				return
			}
		}
	}
	if last >= 0 && len(f.List) >= maxFindings {
		f.List[last].Count++
		return
	}
	f.List = append(f.List, verdict.Finding{Code: code, Place: place, Action: action, Count: 1, Detail: Printable(detail, 200)})
}

// Counted notes a finding that stands n times at its place.
func (f *Findings) Counted(code, place string, action verdict.Action, detail string, n int) {
	top, path := f.root()
	top.add(code, path+place, action, detail)
	place = Printable(path+place, 200)
	for i := range top.List {
		if x := &top.List[i]; x.Code == code && x.Action == action && x.Place == place {
			x.Count += n - 1
			return
		}
	}
}

// First counts a finding that can come once a character: only its first place is kept.
func (f *Findings) First(code, place string, action verdict.Action, detail string) {
	top, path := f.root()
	for i := range top.List {
		if top.List[i].Code == code && top.List[i].Action == action {
			top.List[i].Count++
			return
		}
	}
	top.add(code, path+place, action, detail)
}

// Reported tells whether the code was noted already.
func (f *Findings) Reported(code string) bool {
	top, _ := f.root()
	return slices.ContainsFunc(top.List, func(x verdict.Finding) bool { return x.Code == code })
}

// Mark is what was noted up to a moment.
type Mark []verdict.Finding

// Mark and Back take back what was noted since: a part that could not be rebuilt is replaced, and says nothing.
func (f *Findings) Mark() Mark {
	top, _ := f.root()
	return slices.Clone(top.List)
}

// Back forgets what was noted after the mark, also what was counted to a finding of before.
func (f *Findings) Back(m Mark) {
	top, _ := f.root()
	top.List = append(top.List[:0], m...)
}

// Any tells whether anything was noted.
func (f *Findings) Any() bool {
	top, _ := f.root()
	return len(top.List) > 0
}

// Block records the reason of a block. An error that is no refusal is ours.
func (f *Findings) Block(err error) {
	var r *Refusal
	switch {
	case errors.As(err, &r):
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		r = &Refusal{Code: "limit.time"}
	default:
		r = &Refusal{Code: "internal", Detail: err.Error()}
	}
	f.Add(r.Code, r.Place, verdict.Refused, r.Detail)
}
