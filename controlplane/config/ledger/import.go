package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Options of an import.
type Options struct {
	Partial bool             // write what is good although rows are refused
	Anchors *anchors.Anchors // to prove the result against; nil: those that the result itself would need
}

// rounds bounds how often the result is made anew after rows were refused.
const rounds = 20

// Import sets a ledger's records into a document. It gives the new document, nil when nothing is to be written: a row was
// refused without Partial, or the result as a whole is at fault; the report says all of it. The error is about doc itself, which
// must be valid before.
func Import(doc []byte, b *Book, m *Mapping, o Options) ([]byte, *Report, error) {
	cfg, errs := config.Parse(doc)
	if errs != nil {
		return nil, nil, errs
	}
	s := b.sheet(m.Sheet)
	im := &importer{cfg: cfg, doc: doc, o: o}
	im.records, im.said = table(s, m)
	im.report = &Report{Encoding: b.Encoding, Sheet: m.Sheet, Header: m.Header, Notes: append([]Note{}, b.Notes...), Rows: im.said, Faults: []Note{}, New: []NewThing{}, Missing: []string{}}
	for _, c := range m.Columns {
		im.report.Columns = append(im.report.Columns, ColumnSaid{letters(c.Column), strings.Join(c.Title, " / "), c.Field})
	}
	im.there = map[string]bool{}
	for i := range cfg.Communications {
		im.there[cfg.Communications[i].ID] = true
	}
	im.outline(m)
	out := im.settle()
	im.sum()
	switch {
	case out == nil || len(im.report.Faults) > 0 || im.report.Totals[Refused] > 0 && !o.Partial:
		return nil, im.report, nil
	}
	im.report.Written = true
	return out, im.report, nil
}

type importer struct {
	cfg     *config.Config
	doc     []byte
	o       Options
	records []*rows
	said    []*RowReport
	report  *Report
	there   map[string]bool // ids that the document had

	// of one round
	dir     *directory
	windows []config.Window
	brought map[ref]*entry   // who brought a new host or window
	ours    map[string]*rows // by id of the document's records
	next    *config.Config   // what the new document must mean
}

// outline notes what the mapping as a whole leaves out.
func (im *importer) outline(m *Mapping) {
	if m.of(ID) == 0 {
		im.report.Faults = append(im.report.Faults, Note{Code: "map.noid"})
	}
	if m.has(ApprovedBy) != m.has(ApprovedOn) {
		im.report.Notes = append(im.report.Notes, Note{Code: "map.approval"})
	}
	if len(im.records) == 0 {
		im.report.Faults = append(im.report.Faults, Note{Code: "map.norows"})
	}
	for _, r := range im.records {
		for _, e := range r.list {
			if len(e.faults) > 0 {
				r.refused = true
			}
			e.said.Faults, e.said.Notes = e.faults, append(e.said.Notes, e.notes...)
			e.faults, e.notes = nil, nil
		}
	}
}

// settle makes the new document from all records that are not refused; when more are refused on the way, once more without them.
func (im *importer) settle() []byte {
	if len(im.report.Faults) > 0 {
		return nil
	}
	for range rounds {
		if out, ok := im.round(); ok {
			return out
		}
		if len(im.report.Faults) > 0 {
			return nil
		}
	}
	im.report.Faults = append(im.report.Faults, Note{Code: "check.many"})
	return nil
}

// round tries once. Not ok: a record was refused, or the whole is.
func (im *importer) round() ([]byte, bool) {
	im.dir, im.windows = newDirectory(im.cfg), nil
	im.brought, im.ours = map[ref]*entry{}, map[string]*rows{}
	next := *im.cfg
	next.Communications = slices.Clone(im.cfg.Communications)
	im.next = &next
	at := map[string]int{}
	for i := range next.Communications {
		at[next.Communications[i].ID] = i
	}
	good := true
	var edits []edit
	numbers := map[string]bool{}
	for _, r := range im.records {
		numbers[r.id] = true
	}
	for _, r := range im.records {
		if r.refused {
			continue
		}
		for _, e := range r.list {
			e.faults, e.notes, e.added, e.said.Changes, e.said.Records = nil, nil, nil, nil, nil
		}
		d, ok := im.decode(r)
		if ok {
			var more []edit
			if more, ok = im.place(r, d, at, numbers); ok {
				edits = append(edits, more...)
			}
		}
		if !ok {
			im.undo(r)
			im.refuse(r)
			good = false
		}
	}
	if !good {
		return nil, false
	}
	edits = append(im.newThings(), edits...)
	out, lay, err := apply(im.doc, edits)
	if err != nil {
		im.report.Faults = append(im.report.Faults, err.(*Fault).Note)
		return nil, false
	}
	return out, im.check(out, lay)
}

// refuse takes a record out for good, with its rows' faults.
func (im *importer) refuse(r *rows) {
	r.refused = true
	for _, e := range r.list {
		e.said.Faults = append(e.said.Faults, e.faults...)
		e.said.Changes = nil
	}
}

// place sets a record's parts among the document's records and gives the edits for that.
func (im *importer) place(r *rows, d *decoded, at map[string]int, numbers map[string]bool) ([]edit, bool) {
	var edits []edit
	first := r.list[0]
	for i, b := range d.parts {
		id := r.id
		if i > 0 {
			id = fmt.Sprintf("%s.%d", r.id, i+1)
			if !idForm.MatchString(id) || numbers[id] {
				first.fault(ID, "id.parts", id)
				return nil, false
			}
		}
		want := d.common
		want.ID, want.Ports = id, b.ports
		want.From, want.To = endsOf(b)
		var old *config.Communication
		if j, ok := at[id]; ok {
			old = &im.next.Communications[j]
			if plain(first.cells[State].Text) == "" && first.m.of(State) > 0 && !old.Active() {
				first.fault(State, "state.blank", string(old.State), stateNames[old.State])
				return nil, false
			}
		}
		c, changes, ok := im.merge(first, old, want)
		if !ok {
			return nil, false
		}
		im.ours[id] = r
		for _, e := range r.list {
			e.said.Records = append(e.said.Records, id)
		}
		switch {
		case old == nil:
			at[id] = len(im.next.Communications)
			im.next.Communications = append(im.next.Communications, c)
			edits = append(edits, edit{list: "communications", id: id, whole: communicationText(&c)})
			for _, e := range r.list {
				e.said.Fate = Added
			}
		case len(changes) > 0:
			*old = c
			edits = append(edits, edit{list: "communications", id: id, fields: changedFields(&c, changes), whole: communicationText(&c)})
			first.said.Changes = append(first.said.Changes, changes...)
		}
	}
	if len(d.parts) > 1 {
		ids := strings.Join(first.said.Records, ", ")
		first.remark(ID, "id.split", r.number, fmt.Sprint(len(d.parts)), ids)
	}
	return edits, true
}

// endsOf writes a box's ends as the document does.
func endsOf(b box) (f config.From, t config.To) {
	switch b.from.kind {
	case station:
		f.Stations = b.from.ids
	case group:
		f.Groups = b.from.ids
	case segment:
		f.Segments = b.from.ids
	}
	switch b.to.kind {
	case service:
		t.Services = b.to.ids
	case station:
		t.Stations = b.to.ids
	case group:
		t.Groups = b.to.ids
	case network:
		t.Prefixes = b.to.prefixes
	}
	return f, t
}

// newThings are the edits for the hosts and windows that the ledger brings, and enters them into what the document must mean.
func (im *importer) newThings() (edits []edit) {
	im.report.New = []NewThing{}
	for _, r := range im.records {
		for _, e := range r.list {
			for _, a := range e.added {
				im.brought[a.ref] = e
			}
		}
	}
	thing := func(list, kind, id, text string, e *entry) {
		edits = append(edits, edit{list: list, id: id, whole: []field{{"", text}}})
		im.report.New = append(im.report.New, NewThing{kind, id, text, e.said.Cell})
	}
	next := im.next
	next.Windows, next.Stations, next.Services = slices.Clone(next.Windows), slices.Clone(next.Stations), slices.Clone(next.Services)
	for _, w := range im.windows {
		next.Windows = append(next.Windows, w)
		thing("windows", "window", w.ID, windowTextOf(&w), im.brought[ref{"window", w.ID}])
	}
	for _, h := range im.dir.added {
		name := config.Text{}
		if t := line(im.dir.titles[h.ref]); t != "" && t != h.id {
			name.JA = t
		}
		if h.kind == station {
			s := config.Station{ID: h.id, Segment: h.segment, MAC: h.mac, Addresses: h.addresses, Name: name}
			next.Stations = append(next.Stations, s)
			thing("stations", "station", h.id, stationText(&s), im.brought[h.ref])
			continue
		}
		s := config.Service{ID: h.id, Segment: h.segment, MAC: h.mac, Addresses: h.addresses, Ports: h.ports, Name: name}
		next.Services = append(next.Services, s)
		thing("services", "service", h.id, serviceText(&s), im.brought[h.ref])
	}
	return edits
}

// sum gives every row its fate and counts.
func (im *importer) sum() {
	for _, r := range im.records {
		for _, e := range r.list {
			e.said.Notes = append(e.said.Notes, e.notes...)
			slices.SortStableFunc(e.said.Faults, byColumn)
			switch {
			case r.refused:
				e.said.Fate = Refused
				if len(e.said.Faults) == 0 {
					e.said.Faults = []Note{{Cell: e.said.Cell, Code: "row.together", Args: []string{r.number}}}
				}
				e.said.Records = nil
			case e.said.Fate == Added:
			case len(r.list[0].said.Changes) > 0:
				e.said.Fate = Changed
			default:
				e.said.Fate = Unchanged
			}
		}
	}
	im.report.Totals = map[Fate]int{}
	for _, f := range Fates {
		im.report.Totals[f] = 0
	}
	held := map[string]bool{}
	for _, row := range im.said {
		im.report.Totals[row.Fate]++
		for _, id := range row.Records {
			held[id] = true
		}
	}
	for _, r := range im.records {
		held[r.id] = true
	}
	for i := range im.cfg.Communications {
		if id := im.cfg.Communications[i].ID; !held[id] {
			im.report.Missing = append(im.report.Missing, id)
		}
	}
}

// byColumn orders what is said of one row.
func byColumn(a, b Note) int {
	return cmp.Or(cmp.Compare(len(a.Cell), len(b.Cell)), cmp.Compare(a.Cell, b.Cell))
}
