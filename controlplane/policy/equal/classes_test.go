package equal_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/policy/equal"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// A record without a class has that of each service that it names; a cell in another is found, also where one cell holds
// several services.
func TestClassesOfServices(t *testing.T) {
	cfg := example(t, "lines")
	const core, backup = 1, 3
	cases := []struct {
		name   string
		change func(t *packet.Tables)
		want   string
	}{
		{"a service without a class gets one", func(t *packet.Tables) { each(t, "standby-use", func(c *packet.Cell) { c.BWClass = core }) }, `"standby-use" has 0`},
		{"a service of a class loses it", func(t *packet.Tables) { each(t, "standby-use", func(c *packet.Cell) { c.BWClass = 0 }) }, `"standby-use" has 1`},
		{"a record of one class, by its service", func(t *packet.Tables) { each(t, "resident-copy", func(c *packet.Cell) { c.BWClass = core }) }, `"resident-copy" has 3`},
		{"a probe of a class", func(t *packet.Tables) {
			each(t, "gate:probe-tokyo-a:core", func(c *packet.Cell) { c.BWClass = backup })
		}, `"gate:probe-tokyo-a:core" has 1`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tables, a := compiled(t, cfg)
			c.change(tables)
			faults := equal.Check(cfg, a, tables)
			if !slices.ContainsFunc(faults, func(f equal.Fault) bool { return strings.Contains(f.What, c.want) && f.Packet != nil }) {
				t.Errorf("got %v, want a fault with %q and a packet", faults, c.want)
			}
		})
	}
}

// What stations may say of their packets' class is the document's word, value by value and segment by segment.
func TestTrustedMarksAreTheDocuments(t *testing.T) {
	cfg := example(t, "lines")
	tables, _ := compiled(t, cfg)
	if tables.DSCP[46] != 1 || tables.DSCP[34] != 1 || tables.DSCP[8] != 3 || tables.DSCP[0] != 0 || !tables.Segments[0].TrustDSCP || tables.Segments[1].TrustDSCP {
		t.Errorf("got code points %v, segments %+v", tables.DSCP, tables.Segments[:2])
	}
	for want, change := range map[string]func(*packet.Tables){
		"DSCP 46 stands for bandwidth class 3 in the tables and for 1": func(t *packet.Tables) { t.DSCP[46] = 3 },
		"DSCP 8 stands for bandwidth class 0 in the tables and for 3":  func(t *packet.Tables) { t.DSCP[8] = 0 },
		"DSCP 12 stands for bandwidth class 1 in the tables and for 0": func(t *packet.Tables) { t.DSCP[12] = 1 },
		`segment "lg-office": trust`:                                   func(t *packet.Tables) { t.Segments[1].TrustDSCP = true },
		`segment "mn-office": trust`:                                   func(t *packet.Tables) { t.Segments[0].TrustDSCP = false },
	} {
		tables, a := compiled(t, cfg)
		change(tables)
		faults := equal.Check(cfg, a, tables)
		if !slices.ContainsFunc(faults, func(f equal.Fault) bool { return strings.Contains(f.What, want) }) {
			t.Errorf("got %v, want a fault with %q", faults, want)
		}
	}
}

// each visits the cells whose rule names a record first.
func each(t *packet.Tables, record string, f func(*packet.Cell)) {
	for i := range t.Cells {
		for _, r := range t.Rules {
			if r.ID == t.Cells[i].Rule && r.Records[0] == record {
				f(&t.Cells[i])
			}
		}
	}
}
