package equal_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/policy/equal"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// A fault names the packet that shows it, the record, and what each side answers.
func TestFaultsNameTheirWitness(t *testing.T) {
	cfg := example(t, "lab")
	sound, a := compiled(t, cfg)
	number := func(record string) uint32 {
		return sound.Rules[slices.IndexFunc(sound.Rules, func(r packet.Rule) bool { return r.Records[0] == record })].ID
	}
	first := func(t *packet.Tables, record string) int {
		return slices.IndexFunc(t.Cells, func(c packet.Cell) bool { return c.Rule == number(record) })
	}
	cases := []struct {
		name         string
		do           func(t *packet.Tables)
		what, record string
		packet       string // "" = none
		tables, says string
		minute       int64
	}{
		{"a cell is missing", func(t *packet.Tables) { i := first(t, "eltax-submit"); t.Cells = slices.Delete(t.Cells, i, i+1) },
			"a cell is missing", "eltax-submit", "198.18.10.11 -> 198.18.21.11 tcp/443", "refused", "permitted by eltax-submit in bandwidth class 1", 0},
		{"a cell too many", func(t *packet.Tables) {
			c := t.Cells[first(t, "eltax-submit")]
			c.Port = t.Ports[slices.IndexFunc(t.Ports, func(r packet.PortRange) bool { return r.Lo == 80 })].Class
			t.Cells = append(t.Cells, c)
		}, "permits what no record", "", "198.18.10.11 -> 198.18.21.11 tcp/80", "permitted by eltax-submit in bandwidth class 1", "refused", 0},
		{"an end a minute late", func(t *packet.Tables) { t.Rules[number("web-use")-1].Until++ },
			"as at 2036-04-01 00:00: the tables permit then", "web-use", "198.18.30.11 -> 203.0.113.11 tcp/80", "permitted by web-use", "refused", 34843140},
		{"a beginning a minute late", func(t *packet.Tables) { t.Rules[number("web-use")-1].From = 1 },
			"as at 1970-01-01 09:00: a record permits then", "web-use", "198.18.30.11 -> 203.0.113.11 tcp/80", "refused", "permitted by web-use", 0},
		{"another bandwidth class", func(t *packet.Tables) { t.Cells[first(t, "resident-general")].BWClass = 3 },
			"has bandwidth class 3", "resident-general", "198.18.10.11 -> 198.51.100.11 tcp/5202", "permitted by resident-general in bandwidth class 3", "permitted by resident-general in bandwidth class 2", 0},
		{"another's name", func(t *packet.Tables) { t.Cells[first(t, "web-use")].Rule = number("asp-use") },
			"does not name it", "web-use", "198.18.30.11 -> 203.0.113.11 tcp/80", "permitted by asp-use", "permitted by web-use", 0},
		{"a MAC", func(t *packet.Tables) {
			t.Hosts[slices.IndexFunc(t.Hosts, func(h packet.Host) bool { return h.Addr.String() == "198.18.10.11" })].MAC[5]++
		}, `host 198.18.10.11 has MAC "02:53:4b:10:00:12" in the tables and "02:53:4b:10:00:11" in the configuration`, "", "", "", "", 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bad := clone(sound)
			c.do(&bad)
			found := equal.Check(cfg, a, &bad)
			i := slices.IndexFunc(found, func(f equal.Fault) bool { return strings.Contains(f.What, c.what) })
			if i < 0 {
				t.Fatalf("no fault about %q: %v", c.what, found)
			}
			f := found[i]
			if c.packet == "" {
				if f.Packet != nil {
					t.Errorf("a packet for it: %v", f)
				}
				return
			}
			if f.Packet == nil || f.Packet.String() != c.packet || f.Record != c.record || f.Tables.String() != c.tables || f.Records.String() != c.says || f.Minute != c.minute {
				t.Errorf("got %+v: %v", f, f)
			}
			if v := f.Violation(&bad, a); v.Counterexample == nil || v.Invariant != equal.Invariant || v.Counterexample.Port == "" {
				t.Errorf("as a violation: %+v", v)
			}
		})
	}
}

// Tables full of faults are answered for soon, and the answer is bounded.
func TestManyFaultsAreCounted(t *testing.T) {
	cfg := example(t, "town")
	sound, a := compiled(t, cfg)
	bad := clone(sound)
	bad.Cells = nil
	found := equal.Check(cfg, a, &bad)
	if len(found) != equal.MaxFaults+1 || !strings.Contains(found[equal.MaxFaults].What, "more differences") {
		t.Errorf("got %d faults, the last %v", len(found), found[len(found)-1])
	}
	if n := len(equal.Check(cfg, a, &packet.Tables{})); n != equal.MaxFaults+1 {
		t.Errorf("empty tables: got %d faults", n)
	}
}
