package office

import (
	"fmt"

	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// spot is where in a Word part one is, counted as hearing counts what the part says: paragraphs outside of tables and rows of outermost
// tables have one number after the other.
type spot struct {
	number, rows, column int
	paragraphs           int // open ones
}

func (s *spot) begin(e element) {
	switch e {
	case element{"w", "p"}:
		s.paragraphs++
	case element{"w", "tr"}:
		if s.rows++; s.rows == 1 {
			s.column = 0
		}
	case element{"w", "tc"}:
		if s.rows == 1 {
			s.column++
		}
	}
}

func (s *spot) end(e element) {
	switch e {
	case element{"w", "p"}:
		if s.paragraphs--; s.rows == 0 {
			s.number++
		}
	case element{"w", "tr"}:
		if s.rows--; s.rows == 0 {
			s.number++
		}
	}
}

// String is empty outside of paragraphs and tables.
func (s *spot) String() string {
	switch {
	case s.rows > 0 && s.column > 0:
		return fmt.Sprintf(" R%dC%d", s.number+1, s.column)
	case s.rows > 0:
		return fmt.Sprintf(" R%d", s.number+1)
	case s.paragraphs > 0:
		return fmt.Sprintf(" L%d", s.number+1)
	}
	return ""
}

// pay tells of links out of the package that are gone, where an element names them.
func (f *partFilter) pay(t *markup.Token) {
	if f.part.owed == 0 {
		return
	}
	for _, a := range t.Attrs {
		ns, local, err := f.x.AttrName(a)
		if err != nil || ns != "r" && (ns != "o" || string(local) != "relid") {
			continue
		}
		l := f.part.byID[string(markup.Unescape(a.Value))]
		if l == nil || l.owed == "" {
			continue
		}
		where := f.where()
		if ref := attr(t, "ref"); t.NS == "x" && t.Local == "hyperlink" && f.part.title != "" && ref != "" {
			where = f.part.title + "!" + ref
		}
		f.settle(l, where)
	}
}

// payRest tells of those that nothing in the part names.
func (f *partFilter) payRest() {
	for i := range f.part.links {
		if l := &f.part.links[i]; l.owed != "" {
			f.settle(l, f.part.at())
		}
	}
}

func (f *partFilter) settle(l *link, where string) {
	f.Found.Add(l.owed, where, verdict.Removed, detailOf(l.rel))
	l.owed = ""
	f.part.owed--
}
