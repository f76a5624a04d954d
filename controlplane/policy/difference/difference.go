// Package difference says what changes between two configurations, in packets.
//
// Problem: a text diff shows which lines somebody touched, not what may pass afterwards: a name moved into a group can open a
// thousand packets, and fifty changed lines none. Mechanism: both documents are read (package reading), their addresses cut into
// atoms that every record of either treats alike, and for every pair of atoms at which the records differ the ports and times
// are subtracted both ways; what is left is put together again into few boxes (package space) and told with the names that
// stations, services, groups and segments have. Beside it stands what packets do not show: MAC addresses, bandwidth classes,
// what became of each record, and the sections of the document that differ in anything at all. Life cycle: Of is a pure function. Invariant: what the older permits, with Permitted and
// without Refused, is what the newer permits, at every minute; both are empty exactly when the two permit the same; and all lists are empty exactly when the documents say the same.
//
// Costs: n log n in the addresses of all records, and one step for each pair of atoms that a record joins; of changed pairs, only
// those with different records are subtracted. Lists for people are bounded (Most), what is left out is counted.
package difference

import (
	"cmp"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy/reading"
	"github.com/sekisho/sekisho/controlplane/policy/space"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// Most is how many entries of each list are told.
const Most = 50

// Difference is what a newer configuration changes. Each list holds the first Most entries.
type Difference struct {
	Permitted List[Part]    `json:"permitted"` // newly
	Refused   List[Part]    `json:"refused"`   // newly
	Records   List[Record]  `json:"records"`   // what became of them
	Bindings  List[Binding] `json:"bindings"`  // MAC addresses
	Sections  []string      `json:"sections"`  // of the document that differ in anything, also in what no packet shows
}

// List is the first entries of a list, and how much more there is.
type List[T any] struct {
	First []T     `json:"first"`
	More  int     `json:"more"`            // entries left out
	Size  float64 `json:"pairs,omitempty"` // pairs of addresses in the parts left out
}

// Part is packets that one revision permits and the other does not.
type Part struct {
	space.Box `json:"-"`
	From      []Name   `json:"from"`
	To        []Name   `json:"to"`
	Ports     []string `json:"ports"`
	Times     []Time   `json:"times"`   // none: always
	Records   []string `json:"records"` // that permit them, in the revision that does
}

// Binding is an address whose registration changes.
type Binding struct {
	Address netip.Addr `json:"address"`
	Name    Name       `json:"name"`
	Was     packet.MAC `json:"was"` // zero: none was registered
	Is      packet.MAC `json:"is"`  // zero: none is any more
	Added   bool       `json:"added,omitempty"`
	Removed bool       `json:"removed,omitempty"`
}

// Record is a designated communication that changes.
type Record struct {
	ID      string   `json:"id"`
	Added   bool     `json:"added,omitempty"`
	Removed bool     `json:"removed,omitempty"`
	Changes []Change `json:"changes,omitempty"`
}

// Change is one property of a record: state, since, until, window or class. "" means none is written.
type Change struct {
	Key string `json:"key"`
	Was string `json:"was"`
	Is  string `json:"is"`
}

// Empty tells whether nothing changes but the layout and the comments of the text.
func (d *Difference) Empty() bool {
	return d.Permitted.empty() && d.Refused.empty() && d.Records.empty() && d.Bindings.empty() && len(d.Sections) == 0
}

func (l List[T]) empty() bool { return len(l.First) == 0 }

// Of compares two configurations without errors.
func Of(older, newer *config.Config) *Difference {
	was, is := reading.Of(older), reading.Of(newer)
	refused, permitted := exact(was, is)
	return &Difference{
		Permitted: told(permitted, is), Refused: told(refused, was),
		Records: bounded(records(older, newer)), Bindings: bounded(bindings(was, is)),
		Sections: Sections(older, newer),
	}
}

// Sections names the document's sections that differ, as the document calls them and in its order.
func Sections(older, newer *config.Config) []string {
	out := []string{}
	was, is := reflect.ValueOf(older).Elem(), reflect.ValueOf(newer).Elem()
	for i := range was.NumField() {
		f := was.Type().Field(i)
		if f.IsExported() && !reflect.DeepEqual(was.Field(i).Interface(), is.Field(i).Interface()) {
			name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			out = append(out, name)
		}
	}
	return out
}

// Sets gives all packets that only the newer permits, and all that only the older does.
func Sets(older, newer *config.Config) (permitted, refused space.Set) {
	less, more := exact(reading.Of(older), reading.Of(newer))
	for _, p := range more {
		permitted = append(permitted, p.Box)
	}
	for _, p := range less {
		refused = append(refused, p.Box)
	}
	return permitted, refused
}

func exact(was, is *reading.Document) (refused, permitted []Part) {
	both := parts([2]*side{newSide(was), newSide(is)})
	return both[0], both[1]
}

// told puts parts into the order of their records and gives the first their names.
func told(all []Part, d *reading.Document) List[Part] {
	place := make(map[string]int, len(d.Permits))
	for i := range d.Permits {
		place[d.Permits[i].Record] = i
	}
	slices.SortFunc(all, func(a, b Part) int {
		c := cmp.Or(cmp.Compare(place[a.Records[0]], place[b.Records[0]]), cmp.Compare(len(a.Records), len(b.Records)),
			a.Box.From[0].Lo.Compare(b.Box.From[0].Lo), a.Box.To[0].Lo.Compare(b.Box.To[0].Lo), cmp.Compare(a.Box.Ports[0].Lo, b.Box.Ports[0].Lo))
		if c == 0 {
			c = cmp.Compare(a.Box.Key(), b.Box.Key())
		}
		return c
	})
	n := newNamer(d)
	// Parts of the two IP versions may become one: more are named than are told.
	first := all[:min(len(all), 4*Most)]
	for i := range first {
		n.tell(&first[i])
	}
	first = versions(first)
	out := List[Part]{First: first[:min(len(first), Most)]}
	rest := append(slices.Clone(first[len(out.First):]), all[min(len(all), 4*Most):]...)
	out.More = len(rest)
	for _, p := range rest {
		out.Size += pairs(p.Box)
	}
	return out
}

func bounded[T any](all []T) List[T] {
	n := min(len(all), Most)
	return List[T]{First: all[:n:n], More: len(all) - n}
}

// pairs is how many pairs of a source and a destination a box has, about.
func pairs(b space.Box) float64 {
	sum := 0.0
	for _, f := range space.Families {
		sum += count(space.OfFamily(b.From, f)) * count(space.OfFamily(b.To, f))
	}
	return sum
}

func count(a space.Addrs) float64 {
	sum := 0.0
	for _, v := range a {
		lo, hi := v.Lo.As16(), v.Hi.As16()
		n := 0.0
		for i := range lo {
			n = n*256 + float64(hi[i]) - float64(lo[i])
		}
		sum += n + 1
	}
	return math.Min(sum, math.Pow(2, 128))
}

// records lists those that are added, removed, or changed in what a person sets: the rest shows in the packets.
func records(older, newer *config.Config) []Record {
	was := map[string]*config.Communication{}
	for i := range older.Communications {
		was[older.Communications[i].ID] = &older.Communications[i]
	}
	var out []Record
	for i := range newer.Communications {
		is := &newer.Communications[i]
		before := was[is.ID]
		delete(was, is.ID)
		if before == nil {
			out = append(out, Record{ID: is.ID, Added: true, Changes: changes(&config.Communication{}, is)})
		} else if c := changes(before, is); len(c) > 0 {
			out = append(out, Record{ID: is.ID, Changes: c})
		}
	}
	for i := range older.Communications {
		if c := &older.Communications[i]; was[c.ID] != nil {
			out = append(out, Record{ID: c.ID, Removed: true})
		}
	}
	return out
}

func changes(was, is *config.Communication) []Change {
	var out []Change
	for _, c := range []Change{
		{"state", state(was), state(is)}, {"since", was.Since.String(), is.Since.String()}, {"until", was.Until.String(), is.Until.String()},
		{"window", was.Window, is.Window}, {"class", was.Class, is.Class},
	} {
		if c.Was != c.Is {
			out = append(out, c)
		}
	}
	return out
}

func state(c *config.Communication) string {
	if c.Active() {
		return string(config.Active)
	}
	return string(c.State)
}

// bindings lists addresses that are registered otherwise, or by one side only.
func bindings(was, is *reading.Document) []Binding {
	before, after := was.Bindings(), is.Bindings()
	var out []Binding
	names := [2]*namer{newNamer(was), newNamer(is)}
	for a, mac := range after {
		if old, known := before[a]; !known || old != mac {
			out = append(out, Binding{Address: a, Name: names[1].of(a), Was: old, Is: mac, Added: !known})
		}
	}
	for a, mac := range before {
		if _, left := after[a]; !left {
			out = append(out, Binding{Address: a, Name: names[0].of(a), Was: mac, Removed: true})
		}
	}
	slices.SortFunc(out, func(a, b Binding) int { return a.Address.Compare(b.Address) })
	return out
}
