// Package equal proves that tables permit exactly what the configuration permits.
//
// Problem: package proof shows that tables keep the zones apart, not that they are the tables of this configuration: a compiler
// that forgets a cell, adds one inside a zone, or takes a minute off breaks no invariant. Mechanism: both sides are cut into the
// same atoms. All addresses at which a table or the document (package reading) changes its mind make units; a class of the
// tables, taken for each IP version by itself, must be whole units that each record treats alike, a port class likewise; then a
// cell stands for one product of sets, and the expected records of each cell are counted off against those that its rule names.
// Every product of the document is looked up among the cells, and every cell must be used up: that is both inclusions, for all
// packets, without trying one. Times are compared as sets of minutes, once for each rule. Life cycle: a function over the
// decoded tables; control calls it at every commit beside proof.Check, which has already refused tables that could be read in
// two ways. Invariant: if Check is silent, then for every packet and minute the tables permit the opening of a flow exactly when
// a record does, by a rule that names exactly the records that permit it, in the bandwidth class of the first of them; every
// registered address has its host entry with its MAC; no cell is dead.
//
// Costs: n log n for the units, and one step for each expected cell and each station of a record: 10,000 records of 200,000 cells
// take a few hundredths of a second.
package equal

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy/reading"
	"github.com/sekisho/sekisho/controlplane/policy/space"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
)

// MaxFaults bounds the answer.
const MaxFaults = 100

// Invariant is the name under which faults stand among the proof's violations.
const Invariant = "equality"

// Fault is one difference between tables and configuration.
type Fault struct {
	What    string        `json:"what"`             // for people
	Record  string        `json:"record,omitempty"` // whose; empty when it is nobody's
	Packet  *space.Packet `json:"packet,omitempty"` // a witness, nil where the fault is not one of packets
	Minute  int64         `json:"minute,omitempty"` // at which, since 1970 UTC, where the fault is one of time
	Tables  Answer        `json:"tables"`           // what the tables say of the witness
	Records Answer        `json:"records"`          // what the configuration says of it
}

// Answer is what one side says.
type Answer struct {
	Permits []string `json:"permits"`         // the records behind the permission; none: refused
	Class   uint8    `json:"class,omitempty"` // bandwidth class
}

func (a Answer) String() string {
	if len(a.Permits) == 0 {
		return "refused"
	}
	s := "permitted by " + strings.Join(a.Permits, ", ")
	if a.Class != 0 {
		s += fmt.Sprintf(" in bandwidth class %d", a.Class)
	}
	return s
}

func (f Fault) String() string {
	s := f.What
	if f.Packet != nil {
		s += fmt.Sprintf(": packet %s is %s in the tables, %s in the configuration", f.Packet, f.Tables, f.Records)
	}
	return s
}

// Violation is the fault as the proof's callers show it.
func (f Fault) Violation(t *packet.Tables, a *anchors.Anchors) proof.Violation {
	v := proof.Violation{Invariant: Invariant, Message: f.What}
	if f.Record != "" {
		v.Records = []string{f.Record}
	}
	if f.Packet == nil {
		return v
	}
	v.Message += fmt.Sprintf(": %s in the tables, %s in the configuration", f.Tables, f.Records)
	x := &proof.Counterexample{Src: f.Packet.Src, Dst: f.Packet.Dst, Proto: f.Packet.Port.Proto(), DPort: f.Packet.Port.Number()}
	if s, ok := a.SegmentOf(x.Dst); ok {
		x.DstZone = s.Zone
	}
	if s, ok := a.SegmentOf(x.Src); ok {
		x.SrcZone = s.Zone
		if !slices.Contains(s.Gate, x.Src) {
			x.Port, x.VLAN, x.Outer = s.Port, s.VLAN, s.Outer
			if i := slices.IndexFunc(t.Hosts, func(h packet.Host) bool { return h.Addr == x.Src }); i >= 0 {
				x.SMAC = t.Hosts[i].MAC
			}
		}
	}
	v.Counterexample = x
	return v
}

// Violations are the faults of Compare as the proof's callers show them.
func Violations(d *reading.Document, t *packet.Tables, a *anchors.Anchors) []proof.Violation {
	var out []proof.Violation
	for _, f := range Compare(d, a, t) {
		out = append(out, f.Violation(t, a))
	}
	return out
}

// Check compares decoded tables with the configuration that they were compiled from. An empty answer means that they permit the
// same. The anchors number the segments. Tables of any content are answered for.
func Check(c *config.Config, a *anchors.Anchors, t *packet.Tables) []Fault {
	return Compare(reading.Of(c), a, t)
}

// Compare is Check for a configuration that was read already, for this one comparison.
func Compare(d *reading.Document, a *anchors.Anchors, t *packet.Tables) []Fault {
	k := &checker{t: t, d: d, a: a, joined: map[[2]int]*reading.Ports{}}
	k.cut()
	k.places()
	k.bindings()
	k.codePoints()
	k.portClasses()
	k.rules()
	k.index()
	for _, f := range space.Families {
		k.expect(f)
	}
	k.justify()
	k.times()
	if k.more > 0 {
		k.faults = append(k.faults, Fault{What: fmt.Sprintf("%d more differences are not listed", k.more)})
	}
	return k.faults
}

// checker holds both sides over the same atoms. What is kept for each IP version has that version's number first.
type checker struct {
	t *packet.Tables
	d *reading.Document
	a *anchors.Anchors

	units   []unit
	ends    [versions][][]run            // units of the reading's Ends
	members [versions][]int32            // units of each class
	sample  [versions][]int32            // one of them
	segment []int32                      // of each class, by its units
	in      [versions]map[uint16][]int32 // units of each class, once somebody asked

	ranges  []packet.PortRange // in order
	sizes   [versions][]int32  // ports of each port class
	example [versions][]space.Port
	ported  [versions][]*ported // by the reading's Ports
	joined  map[[2]int]*reading.Ports

	cells []packet.Cell // in order of their keys
	begin []int32       // where the cells of a class begin
	rule  []*named      // of each cell; nil: missing
	lists lists
	used  [versions][]int32 // expected records counted off, of each cell

	marks
	rows
	faults  []Fault
	more    int // not listed
	unshown int // for which there is no witness
}

const (
	versions = len(space.Families)
	numbers  = 1 << 16 // of classes and port classes
)

func (k *checker) fault(f Fault) {
	if len(k.faults) < MaxFaults {
		k.faults = append(k.faults, f)
		return
	}
	k.more++
}

// full tells that further faults are only counted, so that no witness is needed.
func (k *checker) full() bool { return len(k.faults) >= MaxFaults }
