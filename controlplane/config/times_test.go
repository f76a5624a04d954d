package config

import (
	"strings"
	"testing"
)

// timed is the lab with what it does not use itself: windows, moments, limits, guests and protocols without ports.
func timed(t testing.TB) string {
	doc := read(t, "lab")
	for _, r := range [][2]string{
		{"communications:\n", `windows:
  - {id: office-hours, name: {ja: 開庁時間}, days: [mon, tue, wed, thu, fri], from: "08:30", to: "17:15"}
  - {id: nights, days: [sun], from: 22:00, to: 06:00}
communications:
`},
		{"    purpose: 地方税の電子申告の受付", "    since: 2026-04-01 08:30\n    window: office-hours\n    purpose: 地方税の電子申告の受付"},
		{"port: inw0, prefixes", "port: inw0, vlan: 7, outer-vlan: 100, multicast: true, router-advertisements: true, dhcp-servers: true, limits: {flows: 4000, station-flows: 400, flows-per-second: 50, station-flows-per-second: 5}, prefixes"},
		{"{id: web, segment: in-net, addresses: [203.0.113.11, \"2001:db8:31::11\"], ports: [tcp/80,", "{id: web, segment: in-net, addresses: [203.0.113.11, \"2001:db8:31::11\"], ports: [sctp/3868, esp, ah, gre, tcp/80,"},
	} {
		out := strings.Replace(doc, r[0], r[1], 1)
		if out == doc {
			t.Fatalf("%q is not in the lab", r[0])
		}
		doc = out
	}
	return doc
}

func TestTimesGuestsAndLimitsAreRead(t *testing.T) {
	cfg, errs := Parse([]byte(timed(t)))
	if errs != nil {
		t.Fatal(errs)
	}
	c := cfg.Communications[0]
	if c.Since.String() != "2026-04-01 08:30" || c.Window != "office-hours" || c.Since.Begin() != 29583330 || c.Since.End() != c.Since.Begin() {
		t.Errorf("got since %q (minute %d), window %q", c.Since, c.Since.Begin(), c.Window)
	}
	if c.Until.String() != "2036-03-31" || c.Until.End()-c.Until.Begin() != 24*60 {
		t.Errorf("got until %q, minutes %d to %d", c.Until, c.Until.Begin(), c.Until.End())
	}
	if w := cfg.Windows[1]; w.From != 22*60 || w.To != 6*60 || w.Days[0] != 7 {
		t.Errorf("got %+v", w)
	}
	var in *Segment
	for i := range cfg.Segments {
		if cfg.Segments[i].ID == "in-net" {
			in = &cfg.Segments[i]
		}
	}
	if in.Outer != 100 || !in.Multicast || !in.Advertising || !in.DHCPServers || in.Limits != (Limits{4000, 50, 400, 5}) {
		t.Errorf("got %+v", in)
	}
}

var timeFaults = []fault{
	{"minute that does not exist", "since: 2026-04-01 08:30", "since: 2026-04-01 24:30", "2026-04-01 24:30", "existing day or minute"},
	{"moment with seconds", "since: 2026-04-01 08:30", "since: 2026-04-01 08:30:00", "2026-04-01 08:30:00", "existing day or minute"},
	{"over before it begins", "since: 2026-04-01 08:30", "since: 2036-04-01", "2036-03-31", "never be in force"},
	{"dangling window", "window: office-hours", "window: ofice-hours", "ofice-hours", "did you mean office-hours?"},
	{"window given twice", "{id: nights", "{id: office-hours", "office-hours", "given twice"},
	{"unknown day", "days: [mon, tue,", "days: [mon, teu,", "teu", "did you mean tue?"},
	{"day given twice", "days: [mon, tue,", "days: [mon, mon,", "mon", "mon is given twice"},
	{"no days", "days: [sun]", "days: []", "[", "at least one of mon"},
	{"window without an end", ", to: 06:00", "", "{id: nights", `key "to" is missing`},
	{"window that ends when it begins", "to: 06:00", "to: 22:00", "22:00", "ends when it begins"},
	{"window from midnight at the end", "from: 22:00", `from: "24:00"`, "24:00", "cannot begin at 24:00"},
	{"hour that does not exist", "from: 22:00", `from: "25:00"`, "25:00", "time of day as hh:mm"},
	{"hour with one digit", "from: 22:00", `from: "8:30"`, "8:30", "time of day as hh:mm"},
	{"outer tag without an inner", "vlan: 7, outer-vlan: 100", "outer-vlan: 100", "100", "give vlan, too"},
	{"outer tag out of range", "outer-vlan: 100", "outer-vlan: 4095", "4095", "want 1 to 4094"},
	{"outer tag of nothing", "outer-vlan: 100", "outer-vlan: 0", "0", "want 1 to 4094"},
	{"a device name too long", "segments:\n", "segments:\n  - {id: far, zone: internet, port: internet-wan-0, vlan: 7, prefixes: [203.0.114.0/24], gate: [203.0.114.1]}\n", "7", "at most 15 characters"},
	{"two segments behind the same two tags", "segments:\n", "segments:\n  - {id: twin, zone: internet, port: inw0, vlan: 7, outer-vlan: 100, prefixes: [203.0.114.0/24], gate: [203.0.114.1]}\n", "inw0", "VLAN 7 in 100 is already that of segment"},
	{"multicast in the My Number zone", "port: mn0,", "port: mn0, multicast: true,", "true", "no group addresses in the My Number zone"},
	{"router advertisements in the My Number zone", "port: mn0,", "port: mn0, router-advertisements: true,", "true", "no router advertisements in the My Number zone"},
	{"DHCP servers in the My Number zone", "port: mn0,", "port: mn0, dhcp-servers: true,", "true", "no DHCP servers in the My Number zone"},
	{"multicast on a line", "port: wan0,", "port: wan0, multicast: true,", "true", "on a line"},
	{"multicast in a tunnel", "tunnel: wg0, prefixes: [198.51.100.0/26]", "tunnel: wg0, multicast: true, prefixes: [198.51.100.0/26]", "true", "only segments on ports"},
	{"limit of nothing", "station-flows: 400", "station-flows: 0", "0", "want 1 or more"},
	{"station beyond its segment", "station-flows: 400", "station-flows: 4001", "4001", "bounds the whole segment (4000)"},
	{"station faster than its segment", "station-flows-per-second: 5", "station-flows-per-second: 51", "51", "bounds the whole segment (50)"},
	{"protocol without ports that has one", "esp, ah", "esp/1, ah", "esp/1", "esp, ah or gre"},
	{"protocol without its port", "sctp/3868", "sctp", "sctp", "sctp/3868"},
}

func TestTimesGuestsAndLimitsAreChecked(t *testing.T) {
	doc := timed(t)
	for _, f := range timeFaults {
		t.Run(f.name, func(t *testing.T) { f.check(t, doc) })
	}
}

func TestMomentsAreWrittenAsTheyAreRead(t *testing.T) {
	for _, s := range []string{"2027-03-31", "2027-03-31 00:00", "2027-03-31 23:59"} {
		var m Moment
		if err := m.UnmarshalText([]byte(s)); err != nil || m.String() != s {
			t.Errorf("moment %s: got %s, %v", s, m, err)
		}
	}
	for _, s := range []string{"00:00", "08:30", "24:00"} {
		var c Clock
		if err := c.UnmarshalText([]byte(s)); err != nil || c.String() != s {
			t.Errorf("time %s: got %s, %v", s, c, err)
		}
	}
	for _, s := range []string{"sctp/3868", "sctp/1-2", "esp", "ah", "gre"} {
		var p PortSpec
		if err := p.UnmarshalText([]byte(s)); err != nil || p.String() != s {
			t.Errorf("port %s: got %s, %v", s, p, err)
		}
	}
}
