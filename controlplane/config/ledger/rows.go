package ledger

import (
	"fmt"
	"slices"
	"strings"
)

// entry is one row of data. cells are those of the mapped columns, signs for the cell above replaced.
type entry struct {
	sheet *Sheet
	m     *Mapping
	said  *RowReport
	cells map[Field]Cell
	own   map[Field]bool // the cell is not blank by itself

	faults []Note
	notes  []Note
	added  []*host // that the row brings
}

// number is the rows of one record.
type rows struct {
	number string // as the ledger writes it
	id     string
	list   []*entry
	// refused is set when the record is out; it stays so.
	refused bool
}

// where names the cell of a field, or that of the row's number when the field has no column.
func (e *entry) where(f Field) string {
	column := e.m.of(f)
	if column == 0 && f == Ports {
		column = e.m.of(Protocol)
	}
	for _, s := range []side{fromSide, toSide} {
		for _, other := range s.fields() {
			if column == 0 && slices.Contains(s.fields(), f) && e.own[other] {
				column = e.m.of(other)
			}
		}
	}
	if column == 0 {
		column = max(e.m.of(ID), 1)
	}
	return e.sheet.cell(e.said.Row, column)
}

func (e *entry) fault(f Field, code string, args ...string) {
	e.faults = append(e.faults, Note{e.where(f), code, args})
}

func (e *entry) note(f Field, n *Note) {
	if n != nil {
		e.fault(f, n.Code, n.Args...)
	}
}

func (e *entry) remark(f Field, code string, args ...string) {
	n := Note{e.where(f), code, args}
	if !slices.ContainsFunc(e.notes, func(o Note) bool { return o.Cell == n.Cell && o.Code == code && slices.Equal(o.Args, args) }) {
		e.notes = append(e.notes, n)
	}
}

// table sorts a sheet's rows into records, and into those that hold none; every row below the heading gets a report.
func table(s *Sheet, m *Mapping) (records []*rows, said []*RowReport) {
	last := m.Header[len(m.Header)-1]
	byID := map[string]*rows{}
	var above *entry
	var current *rows
	for i := range s.Rows {
		row := &s.Rows[i]
		if row.Number <= last {
			continue
		}
		e := newEntry(s, m, row)
		said = append(said, e.said)
		if why := skip(s, m, row); why != "" {
			e.said.Fate = Skipped
			e.said.Notes = append(e.said.Notes, Note{Code: why})
			continue
		}
		e.inherit(above)
		e.suspect(row)
		id := identifier(e.cells[ID].Text)
		e.said.Number = strings.TrimSpace(e.cells[ID].Text)
		switch {
		case id == "" && current != nil && e.continues(current):
			id = current.id
			e.said.Number = current.number
		case id == "":
			e.fault(ID, "id.missing")
			id = "\x00" + e.said.Cell // alone
		case !idForm.MatchString(id) || strings.HasPrefix(id, "gate:"):
			e.fault(ID, "id.form", e.said.Number, id)
		}
		r := byID[id]
		if r == nil {
			r = &rows{number: e.said.Number, id: id}
			byID[id] = r
			records = append(records, r)
		} else if folded(r.number) != folded(e.said.Number) {
			e.fault(ID, "id.twins", e.said.Number, r.number, id)
		}
		r.list = append(r.list, e)
		current, above = r, e
	}
	return records, said
}

func newEntry(s *Sheet, m *Mapping, row *Row) *entry {
	e := &entry{sheet: s, m: m, cells: map[Field]Cell{}, own: map[Field]bool{}}
	e.said = &RowReport{Row: row.Number, Cell: s.cell(row.Number, max(m.of(ID), 1)), Hidden: row.Hidden}
	for _, c := range m.Columns {
		if c.Field == Ignore {
			continue
		}
		cell := row.at(c.Column)
		if cell.Anchor.Column != 0 && cell.Anchor.Column != c.Column {
			cell = Cell{} // the right part of a cell merged sideways
		}
		e.cells[c.Field] = cell
		e.own[c.Field] = strings.TrimSpace(cell.Text) != ""
	}
	for f, v := range m.Defaults {
		if strings.TrimSpace(e.cells[f].Text) == "" && f != ID {
			e.cells[f] = Cell{Text: v, Raw: v}
		}
	}
	return e
}

// inherit replaces the signs that stand for the cell above.
func (e *entry) inherit(above *entry) {
	for f, c := range e.cells {
		if c.Literal || !ditto(c.Text) {
			continue
		}
		if above == nil {
			e.fault(f, "ditto.top", c.Text)
			continue
		}
		c = above.cells[f]
		c.Formula = false
		if c.Struck {
			e.fault(f, "cell.struck", c.Text)
		}
		e.cells[f] = c
	}
}

// suspect looks at what a cell is beside its text: formulas, their failures, struck out text, ports that became something else.
func (e *entry) suspect(row *Row) {
	for _, c := range e.m.Columns {
		cell := row.at(c.Column)
		if c.Field == Ignore || cell.Text == "" {
			continue
		}
		switch {
		case failed(cell):
			e.fault(c.Field, "cell.failed", cell.Text)
		case cell.Struck:
			e.fault(c.Field, "cell.struck", cell.Text)
		case cell.Formula:
			e.remark(c.Field, "cell.formula", cell.Text)
		case strings.ContainsRune(cell.Text, '\uFFFD'):
			e.fault(c.Field, "text.gaiji", cell.Text)
		case strings.IndexFunc(cell.Text, func(r rune) bool { return control(r) && !strings.ContainsRune("\n\r\t", r) }) >= 0:
			e.fault(c.Field, "text.control", cell.Text)
		case !slices.Contains(scalars, c.Field) && crowded(cell.Text):
			e.fault(c.Field, "cell.items", fmt.Sprint(mostItems))
		}
	}
	for _, f := range []Field{Protocol, Ports} { // inherited ones, too
		if c := e.cells[f]; plain(c.Text) != plain(c.Raw) {
			e.fault(f, "port.shown", c.Text, c.Raw)
		}
	}
	if row.Hidden {
		e.remark(ID, "row.hidden")
	}
}

// mostItems bounds the values of one cell.
const mostItems = 300

// crowded tells a cell that lists more than that.
func crowded(s string) bool {
	return strings.Count(s, "\n")+strings.Count(s, ",")+strings.Count(s, "、")+strings.Count(s, "・")+strings.Count(s, ";")+strings.Count(s, "/") > mostItems
}

// continues tells a row without a number that only goes on with the one above: it says nothing else of the record itself.
func (e *entry) continues(r *rows) bool {
	first := r.list[0]
	for _, f := range scalars {
		if e.own[f] && plain(e.cells[f].Text) != plain(first.cells[f].Text) {
			return false
		}
	}
	return true
}

// Rows that hold no record.
var (
	closing = map[string]bool{"以上": true, "以下余白": true, "余白": true, "計": true, "合計": true, "end": true}
	heading = "【■□●○◆◇◎※＜〈《▼▽★☆*（"
)

// skip tells why a row holds no record; "" when it does.
func skip(s *Sheet, m *Mapping, row *Row) string {
	var texts []string
	wide := 0
	for i, c := range row.Cells {
		t := strings.TrimSpace(c.Text)
		if t == "" || c.Anchor.Column != 0 && c.Anchor.Column != i+1 {
			if t != "" {
				wide++
			}
			continue
		}
		texts = append(texts, t)
	}
	switch {
	case len(texts) == 0:
		return "skip.empty"
	case repeats(s, m, row):
		return "skip.heading"
	case len(texts) == 1 && (wide >= 2 || strings.ContainsRune(heading, firstRune(texts[0]))):
		return "skip.title"
	case len(texts) == 1 && closing[plain(texts[0])]:
		return "skip.closing"
	case strings.HasPrefix(plain(row.at(max(m.of(ID), 1)).Text), "記入例"), plain(row.at(max(m.of(ID), 1)).Text) == "例", plain(row.at(max(m.of(ID), 1)).Text) == "(例)":
		return "skip.example"
	}
	return ""
}

// repeats tells a heading that is printed again on a later page. Merged cells may be blank there.
func repeats(s *Sheet, m *Mapping, row *Row) bool {
	for _, n := range m.Header {
		head, same := s.row(n), 0
		for i := range row.Cells {
			t := titleKey(row.at(i + 1).Text)
			if t != "" && t != titleKey(head.at(i+1).Text) {
				same = -1
				break
			}
			if t != "" {
				same++
			}
		}
		if same > 1 {
			return true
		}
	}
	return false
}
