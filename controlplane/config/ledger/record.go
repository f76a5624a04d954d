package ledger

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
)

// scalars are the fields that a record has once, however many rows it takes.
var scalars = []Field{Name, NameEN, State, Class, Purpose, Basis, Owner, ApprovedBy, ApprovedOn, Since, Until, Review, Window}

// box is what one row permits: everybody of from may open every port to everybody of to.
type box struct {
	from, to end
	ports    []config.PortSpec // none: the services' own
}

// decoded is a record as the ledger has it, in the document's terms. Its parts differ in who opens what only.
type decoded struct {
	common config.Communication
	parts  []box
}

// decode reads the rows of a record. Faults are left at the rows; what the rows bring is entered, and taken out again when there
// are any.
func (im *importer) decode(r *rows) (*decoded, bool) {
	out := &decoded{}
	var boxes []box
	for i, e := range r.list {
		if i > 0 {
			e.carry(r.list[i-1], r.list[0])
		}
		boxes = append(boxes, im.boxes(e)...)
	}
	im.scalars(r, &out.common)
	for _, e := range r.list {
		if len(e.faults) > 0 {
			im.undo(r)
			return nil, false
		}
	}
	out.parts = join(boxes)
	return out, true
}

// undo takes out again what a record's rows have brought.
func (im *importer) undo(r *rows) {
	for _, e := range r.list {
		for _, h := range e.added {
			im.dir.remove(h)
		}
		e.added = nil
	}
}

// carry fills what a further row of a record leaves blank: an end or the ports that are those of the row above.
func (e *entry) carry(above, first *entry) {
	blankAll := func(fields []Field) bool {
		return !slices.ContainsFunc(fields, func(f Field) bool { return e.own[f] })
	}
	take := func(fields []Field) {
		if blankAll(fields) {
			for _, f := range fields {
				if c, ok := above.cells[f]; ok {
					e.cells[f] = c
				}
			}
		}
	}
	take(fromSide.fields())
	take(toSide.fields())
	take([]Field{Protocol, Ports})
	for _, f := range scalars {
		if e.own[f] && plain(e.cells[f].Text) != plain(first.cells[f].Text) {
			e.fault(f, "row.differs", f.said(), first.cells[f].Text)
		}
	}
}

// boxes reads who opens what in one row.
func (im *importer) boxes(e *entry) []box {
	ports, own, note := portsOf(e.cells[Protocol], e.cells[Ports])
	if note != nil {
		f := Ports
		if !e.own[Ports] {
			f = Protocol
		}
		e.note(f, note)
	}
	from := im.dir.read(e, fromSide, nil, false)
	if note != nil { // what is opened depends on the ports
		return nil
	}
	to := im.dir.read(e, toSide, ports, own)
	var out []box
	for _, t := range to {
		b := box{to: t, ports: ports}
		switch {
		case im.ownPorts(t) && (own || len(ports) == 0):
			b.ports = nil
			if own && len(ports) > 0 && !slices.Equal(sortedPorts(im.offered(t)), sortedPorts(ports)) {
				e.fault(Ports, "port.own", portList(im.offered(t)), portList(ports))
			}
		case own || len(ports) == 0:
			e.fault(Ports, "port.missing")
		default:
			im.within(e, t, ports)
		}
		for _, f := range from {
			b.from = f
			out = append(out, b)
		}
	}
	return out
}

// ownPorts tells whether everything of an end has ports of its own.
func (im *importer) ownPorts(t end) bool {
	switch t.kind {
	case service:
		return true
	case group:
		return !slices.ContainsFunc(t.ids, func(id string) bool { return len(im.dir.groups[id].Stations) > 0 })
	}
	return false
}

// offered lists the ports of all services of an end.
func (im *importer) offered(t end) (out []config.PortSpec) {
	for _, id := range t.ids {
		for _, h := range im.dir.members(ref{t.kind, id}) {
			for _, p := range h.ports {
				if !slices.Contains(out, p) {
					out = append(out, p)
				}
			}
		}
	}
	return out
}

// within refuses ports that a service does not offer. Services of this import grow with their rows.
func (im *importer) within(e *entry, t end, ports []config.PortSpec) {
	for _, id := range t.ids {
		for _, h := range im.dir.members(ref{t.kind, id}) {
			switch {
			case h.kind != service || offers(h, ports):
			case h.fresh:
				for _, p := range ports {
					if !p.Among(h.ports) {
						h.ports = append(h.ports, p)
					}
				}
			default:
				e.fault(Ports, "service.ports", h.id, portList(h.ports), portList(ports))
			}
		}
	}
}

func sortedPorts(list []config.PortSpec) []string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = p.String()
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// scalars reads what a record says of itself.
func (im *importer) scalars(r *rows, c *config.Communication) {
	e := r.list[0]
	text := func(f Field, into *string) {
		s, note := textOf(e.cells[f])
		e.note(f, note)
		*into = s
	}
	moment := func(f Field, into *config.Moment) {
		m, _, note := e.sheet.era.moment(e.cells[f])
		e.note(f, note)
		*into = m
	}
	text(Name, &c.Name.JA)
	text(NameEN, &c.Name.EN)
	if c.Name.EN != "" && c.Name.JA == "" {
		e.fault(Name, "name.english")
	}
	text(Purpose, &c.Purpose)
	text(Basis, &c.Basis)
	text(Owner, &c.Owner)
	for _, need := range []struct {
		f    Field
		text string
	}{{Purpose, c.Purpose}, {Owner, c.Owner}} {
		if need.text == "" && (e.m.has(need.f) || !im.there[r.id]) { // without a column, the document's stays
			e.fault(need.f, "field.missing", need.f.said())
		}
	}
	moment(Since, &c.Since)
	moment(Until, &c.Until)
	moment(Review, &c.Review)
	text(ApprovedBy, &c.Approved.By)
	moment(ApprovedOn, &c.Approved.On)
	if absent(plain(c.Approved.By)) && c.Approved.On.IsZero() {
		c.Approved.By = ""
	}
	switch {
	case !e.m.has(ApprovedBy) || !e.m.has(ApprovedOn):
		c.Approved = config.Approval{}
	case c.Approved.By != "" && c.Approved.On.IsZero() && len(e.faults) == 0:
		e.fault(ApprovedOn, "approved.half", ApprovedOn.said(), ApprovedBy.said())
	case c.Approved.By == "" && !c.Approved.On.IsZero():
		e.fault(ApprovedBy, "approved.half", ApprovedBy.said(), ApprovedOn.said())
	}
	s, note := stateOf(e.cells[State])
	e.note(State, note)
	c.State = s
	if name := e.cells[Class].Text; !absent(plain(name)) {
		c.Class = im.class(e, name)
	}
	if name := e.cells[Window].Text; !anyTime[plain(name)] {
		c.Window = im.window(e, name)
	}
}

func (im *importer) class(e *entry, name string) string {
	var known []string
	for i := range im.cfg.Classes {
		c := &im.cfg.Classes[i]
		if plain(name) == c.ID || plain(name) == plain(c.Name.JA) || plain(name) == plain(c.Name.EN) {
			return c.ID
		}
		known = append(known, c.ID)
	}
	e.fault(Class, "class.unknown", name, strings.Join(known, ", "))
	return ""
}

// window finds the weekly window of a name, or of a text like 平日 8:30～17:15; a window that the document does not have is new.
func (im *importer) window(e *entry, name string) string {
	for _, w := range slices.Concat(im.cfg.Windows, im.windows) {
		if plain(name) == w.ID || plain(name) == plain(w.Name.JA) || plain(name) == plain(w.Name.EN) {
			return w.ID
		}
	}
	t, ok := windowText(name)
	if !ok {
		e.fault(Window, "window.form", name)
		return ""
	}
	for _, w := range slices.Concat(im.cfg.Windows, im.windows) {
		days := slices.Clone(w.Days)
		slices.Sort(days)
		if slices.Equal(days, t.days) && w.From == t.from && w.To == t.to {
			return w.ID
		}
	}
	days := make([]string, len(t.days))
	for i, d := range t.days {
		days[i] = d.String()
	}
	id := strings.Join(days, "-")
	if n := len(days); n > 2 && int(t.days[n-1]-t.days[0]) == n-1 {
		id = days[0] + "-" + days[n-1]
	}
	id = fmt.Sprintf("%s-%s-%s", id, strings.ReplaceAll(t.from.String(), ":", ""), strings.ReplaceAll(t.to.String(), ":", ""))
	title, note := textOf(Cell{Text: name})
	e.note(Window, note)
	im.windows = append(im.windows, config.Window{ID: id, Name: config.Text{JA: title}, Days: t.days, From: t.from, To: t.to})
	im.brought[ref{"window", id}] = e
	return id
}

// join makes as few boxes as say the same: two that differ in one respect only become one.
func join(boxes []box) []box {
	fromKey := func(b box) string { return b.from.key() }
	toKey := func(b box) string { return b.to.key() }
	portKey := func(b box) string { return strings.Join(sortedPorts(b.ports), " ") }
	kinds := func(b box) string {
		return string(b.from.kind) + " " + string(b.to.kind) + fmt.Sprint(len(b.ports) == 0)
	}
	for before := -1; before != len(boxes); {
		before = len(boxes)
		boxes = fold(boxes, func(b box) string { return kinds(b) + "|" + fromKey(b) + "|" + toKey(b) }, func(b *box, o box) { b.ports = union(b.ports, o.ports) })
		boxes = fold(boxes, func(b box) string { return kinds(b) + "|" + fromKey(b) + "|" + portKey(b) }, func(b *box, o box) { b.to = b.to.with(o.to) })
		boxes = fold(boxes, func(b box) string { return kinds(b) + "|" + toKey(b) + "|" + portKey(b) }, func(b *box, o box) { b.from = b.from.with(o.from) })
	}
	return boxes
}

// fold joins the boxes of one key into the first of them.
func fold(boxes []box, key func(box) string, into func(*box, box)) []box {
	var out []box
	at := map[string]int{}
	for _, b := range boxes {
		k := key(b)
		if i, ok := at[k]; ok {
			into(&out[i], b)
			continue
		}
		at[k] = len(out)
		out = append(out, b)
	}
	return out
}

func (e end) key() string {
	list := slices.Clone(e.ids)
	for _, p := range e.prefixes {
		list = append(list, p.String())
	}
	slices.Sort(list)
	return string(e.kind) + ":" + strings.Join(slices.Compact(list), " ")
}

func (e end) with(o end) end {
	return end{e.kind, union(e.ids, o.ids), union(e.prefixes, o.prefixes)}
}

// union keeps the order in which things came.
func union[T string | netip.Prefix | config.PortSpec](a, b []T) []T {
	seen := make(map[T]bool, len(a)+len(b))
	var out []T
	for _, list := range [][]T{a, b} {
		for _, x := range list {
			if !seen[x] {
				seen[x] = true
				out = append(out, x)
			}
		}
	}
	return out
}
