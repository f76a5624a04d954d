package ledger

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
)

// Bounds of what one exported cell lists; a record with more takes several rows.
const (
	cellNames = 50
	cellAddrs = 200
)

// sheetName is how an exported sheet is called.
const sheetName = "特定通信管理台帳"

// Format of an exported file.
type Format struct {
	CSV      bool
	Encoding string   // of CSV: UTF8 or ShiftJIS
	Map      *MapFile // nil: all fields, with their usual titles
}

// Export writes a document's communications as a ledger that Import reads back to the same. The error is a *Fault, or that of w.
func Export(w io.Writer, cfg *config.Config, f Format) error {
	x := &exporter{dir: newDirectory(cfg), columns: columnsFor(f.Map)}
	rows := [][]string{x.heading()}
	for i := range cfg.Communications {
		more, err := x.record(&cfg.Communications[i])
		if err != nil {
			return err
		}
		rows = append(rows, more...)
	}
	if len(rows) > MaxRows {
		return fault("export.rows", fmt.Sprint(len(rows)), fmt.Sprint(MaxRows))
	}
	if f.CSV {
		return writeCSV(w, sheetName, rows, cmp.Or(f.Encoding, UTF8))
	}
	return writeWorkbook(w, rows)
}

// exportColumn is one column of an exported ledger.
type exportColumn struct {
	title string
	field Field
}

type exporter struct {
	dir     *directory
	columns []exportColumn
}

// columnsFor lays a mapping file's columns out: letters say where, titles follow one another in what is free.
func columnsFor(m *MapFile) []exportColumn {
	title := func(f Field) string { return sentences.Sentence(f.said(), "ja") }
	if m == nil {
		var out []exportColumn
		for _, f := range Fields {
			if f != Protocol && f != Ignore {
				out = append(out, exportColumn{title(f), f})
			}
		}
		return append(out, exportColumn{"備考", Ignore})
	}
	at := map[int]exportColumn{}
	var titled []MapColumn
	last := 0
	for _, c := range m.Columns {
		if n := columnOf(c.Key); n > 0 && n <= MaxColumns && exactTitle[titleKey(c.Key)] == "" {
			t := title(c.Field)
			if c.Field == Ignore {
				t = "備考"
			}
			at[n] = exportColumn{t, c.Field}
			last = max(last, n)
			continue
		}
		titled = append(titled, c)
	}
	for _, c := range titled {
		n := 1
		for at[n].title != "" {
			n++
		}
		at[n] = exportColumn{c.Key, c.Field}
		last = max(last, n)
	}
	out := make([]exportColumn, last)
	for n, c := range at {
		out[n-1] = c
	}
	return out
}

func (x *exporter) heading() []string {
	out := make([]string, len(x.columns))
	for i, c := range x.columns {
		out[i] = c.title
	}
	return out
}

func (x *exporter) has(f Field) bool {
	return slices.ContainsFunc(x.columns, func(c exportColumn) bool { return c.field == f })
}

// record writes one communication: a row, or several when its lists are long.
func (x *exporter) record(c *config.Communication) ([][]string, error) {
	cells, err := x.common(c)
	if err != nil {
		return nil, err
	}
	from, err := x.from(c)
	if err != nil {
		return nil, err
	}
	to, err := x.to(c)
	if err != nil {
		return nil, err
	}
	ports, err := x.ports(c)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, f := range from {
		for _, t := range to {
			for _, p := range ports {
				row := make([]string, len(x.columns))
				for i, col := range x.columns {
					row[i] = cmp.Or(cells[col.field], f[col.field], t[col.field], p[col.field])
				}
				rows = append(rows, row)
				cells = map[Field]string{ID: cells[ID]} // the rest stands in the first row
			}
		}
	}
	return rows, nil
}

func (x *exporter) common(c *config.Communication) (map[Field]string, error) {
	cells := map[Field]string{
		ID: number(c.ID), Name: c.Name.JA, NameEN: c.Name.EN, State: stateNames[cmp.Or(c.State, config.Active)], Class: c.Class,
		Purpose: c.Purpose, Basis: c.Basis, Owner: c.Owner, ApprovedBy: c.Approved.By, ApprovedOn: c.Approved.On.String(),
		Since: c.Since.String(), Until: c.Until.String(), Review: c.Review.String(), Window: c.Window,
	}
	if !x.has(ID) {
		return nil, fault("export.column", c.ID, ID.said(), string(ID))
	}
	if c.Approved.By != "" && x.has(ApprovedBy) != x.has(ApprovedOn) { // half of it would not be read back
		return nil, fault("export.column", c.ID, ApprovedBy.said(), string(ApprovedBy)+", "+string(ApprovedOn))
	}
	if !c.Active() && !x.has(State) {
		return nil, fault("export.column", c.ID, State.said(), string(State))
	}
	return cells, nil
}

// from writes who opens, in as many parts as its names need.
func (x *exporter) from(c *config.Communication) ([]map[Field]string, error) {
	if len(c.From.Segments) > 0 {
		f := FromSegment
		if !x.has(f) {
			f = From
		}
		if !x.has(f) {
			return nil, fault("export.column", c.ID, From.said(), string(FromSegment))
		}
		return x.named(f, segment, c.From.Segments, fromSide), nil
	}
	if !x.has(From) {
		return nil, fault("export.column", c.ID, From.said(), string(From))
	}
	if len(c.From.Groups) > 0 {
		return x.named(From, group, c.From.Groups, fromSide), nil
	}
	return x.named(From, station, c.From.Stations, fromSide), nil
}

// to writes what is opened.
func (x *exporter) to(c *config.Communication) ([]map[Field]string, error) {
	if len(c.To.Prefixes) > 0 {
		if !x.has(ToNetwork) {
			return nil, fault("export.column", c.ID, ToNetwork.said(), string(ToNetwork))
		}
		var out []map[Field]string
		for part := range slices.Chunk(texts(c.To.Prefixes), cellNames) {
			out = append(out, map[Field]string{ToNetwork: strings.Join(part, "\n")})
		}
		return out, nil
	}
	if !x.has(To) {
		return nil, fault("export.column", c.ID, To.said(), string(To))
	}
	for k, ids := range map[kind][]string{service: c.To.Services, station: c.To.Stations, group: c.To.Groups} {
		if len(ids) > 0 {
			return x.named(To, k, ids, toSide), nil
		}
	}
	return []map[Field]string{{}}, nil
}

// named writes names, and where they lie and how they are known.
func (x *exporter) named(f Field, k kind, ids []string, s side) []map[Field]string {
	var out []map[Field]string
	for part := range slices.Chunk(ids, cellNames) {
		cells := map[Field]string{}
		var titles, bare, addrs, macs, segments []string
		for _, id := range part {
			name, only := x.call(k, id, s)
			titles, bare = append(titles, name), append(bare, only)
			for _, h := range x.dir.members(ref{k, id}) {
				for _, a := range h.addresses {
					addrs = appendNew(addrs, a.String())
				}
				if !h.mac.IsZero() {
					macs = appendNew(macs, h.mac.String())
				}
				segments = appendNew(segments, h.segment)
			}
		}
		cells[f] = strings.Join(titles, "\n")
		if len(cells[f]) > MaxCell {
			cells[f] = strings.Join(bare, "\n")
		}
		if k != segment && len(addrs) <= cellAddrs {
			cells[s.ip], cells[s.mac] = strings.Join(addrs, "\n"), strings.Join(macs, "\n")
			cells[s.segment] = strings.Join(segments, "\n")
		}
		out = append(out, cells)
	}
	return out
}

// call names a thing so that it is found again: its id, with its kind when others have that id, and its name for people.
func (x *exporter) call(k kind, id string, s side) (titled, bare string) {
	bare = id
	if found := x.dir.find(id, s.kinds); len(found) > 1 || len(found) == 0 || found[0].kind != k {
		bare = kindNames[k] + ":" + id
	}
	if bare != id {
		return bare, bare
	}
	if name := x.dir.title(ref{k, id}); name != "" {
		if t := bare + "（" + name + "）"; !strings.ContainsAny(name, "()（）:：\n\r\t,、;，､；・/／") && slices.Equal(x.dir.find(t, s.kinds), []ref{{k, id}}) {
			return t, bare
		}
	}
	return bare, bare
}

// title is the Japanese name of a thing, "" for none.
func (d *directory) title(r ref) string {
	name := ""
	switch h := d.hosts[r]; {
	case r.kind == group:
		name = d.groups[r.id].Name.JA
	case r.kind == segment:
		name = d.segments[r.id].Name.JA
	case h != nil:
		name = h.name.JA
	}
	return strings.TrimSpace(name)
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// ports writes what is opened there; 既定 stands for the services' own.
func (x *exporter) ports(c *config.Communication) ([]map[Field]string, error) {
	if !x.has(Ports) {
		return nil, fault("export.column", c.ID, Ports.said(), string(Ports))
	}
	name := func(p config.PortSpec) string {
		proto, rest, ok := strings.Cut(p.String(), "/")
		if ok {
			return strings.ToUpper(proto) + "/" + rest
		}
		return strings.ToUpper(proto)
	}
	protocols := func(list []config.PortSpec) string {
		var out []string
		for _, p := range list {
			out = appendNew(out, strings.ToUpper(p.Proto))
		}
		return strings.Join(out, "\n")
	}
	if len(c.Ports) == 0 {
		var own []string
		var list []config.PortSpec
		for k, ids := range map[kind][]string{service: c.To.Services, group: c.To.Groups} {
			for _, id := range ids {
				for _, h := range x.dir.members(ref{k, id}) {
					for _, p := range h.ports {
						own, list = appendNew(own, name(p)), append(list, p)
					}
				}
			}
		}
		text := "既定（" + strings.Join(own, "、") + "）"
		if len(own) > cellNames {
			text = "既定"
		}
		return []map[Field]string{{Ports: text, Protocol: protocols(list)}}, nil
	}
	var out []map[Field]string
	for part := range slices.Chunk(c.Ports, cellNames) {
		names := make([]string, len(part))
		for i, p := range part {
			names[i] = name(p)
		}
		out = append(out, map[Field]string{Ports: strings.Join(names, "\n"), Protocol: protocols(part)})
	}
	return out, nil
}
