package config

import (
	"fmt"
	"strings"
	"testing"
)

var lineFaults = []fault{
	// Ends.
	{"end on an unknown tunnel", "{id: tokyo-a, tunnel: wg0", "{id: tokyo-a, tunnel: wg9", "wg9", "there is no tunnel"},
	{"end id used by another region", "{id: osaka-a,", "{id: tokyo-a,", "tokyo-a", "already that of another end (line"},
	{"end id of a region that is its own end", "{id: osaka-a,", "{id: prefecture,", "prefecture", "already that of another end"},
	{"malformed end id", "{id: osaka-a,", "{id: Osaka A,", "Osaka A", "1 to 63 small letters"},
	{"key of another region", "cHJlZmVjdHVyZS1leGFtcGxlLXB1YmxpYy1rZXktMDE=", "b3Nha2EtcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", "b3Nha2EtcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", `its public key is that of region "osaka" end "osaka-a"`},
	{"key twice on one tunnel", "dG9reW8tc2Vjb25kLWJveC1leGFtcGxlLWtleS0wMTI=", "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", "on the same tunnel: WireGuard tells peers by their keys"},
	{"endpoint twice", `"192.0.2.140:51820"`, `"192.0.2.139:51821"`, "192.0.2.139:51821", `is that of region "tokyo" end "tokyo-b"`},
	{"endpoint on the other line", `"192.0.2.140:51820"`, `"192.0.2.40:51820"`, "192.0.2.40:51820", "outside segment line-b"},
	{"probe outside the region", "probe: 198.51.100.2,", "probe: 198.51.100.66,", "198.51.100.66", "lies outside its segment"},
	{"probe shared on one tunnel", "probe: 198.51.100.2,", "probe: 198.51.100.1,", "198.51.100.1", "on the same tunnel: each end there needs an address of its own"},
	{"probe of the gate", "probe: 198.51.100.2,", "probe: 198.51.100.62,", "198.51.100.62", "the gate's own address"},
	{"several ends without a probe", "probe: 198.51.100.65\n", "share: 1\n", "{id: osaka-a", `key "probe" is missing`},
	{"ends and a tunnel beside them", "share: 2\n", "share: 2\n    tunnel: wg0\n", "wg0", "belongs to each of them"},
	{"no ends", "{id: prefecture, tunnel: wg1, public-key: \"cHJlZmVjdHVyZS1leGFtcGxlLXB1YmxpYy1rZXktMDE=\", endpoint: \"192.0.2.142:51820\", probe: 198.51.100.129, plain: true}", "{id: prefecture, ends: []}", "", "at least one, with id, tunnel"},
	{"neither ends nor endpoint", `endpoint: "192.0.2.142:51820", `, "", "{id: prefecture", `key "endpoint" is missing: give tunnel, public-key and endpoint, or several ends`},
	{"segment on the second tunnel", "{id: tokyo, zone: my-number, tunnel: wg0", "{id: tokyo, zone: my-number, tunnel: wg1", "wg1", `not "wg0", the first by which it is reached`},
	{"share zero", "share: 2", "share: 0", "0", "a weight of 1 to 1000"},
	{"share too large", "share: 2", "share: 1001", "1001", "a weight of 1 to 1000"},

	// Taking over.
	{"taking over nobody", "takes-over: [tokyo]", "takes-over: [kyoto]", "kyoto", "there is no region"},
	{"taking over itself", "takes-over: [tokyo]", "takes-over: [osaka]", "osaka", "takes over itself"},
	{"taking over another zone", "takes-over: [tokyo]", "takes-over: [prefecture]", "prefecture", "only what belongs to its own zone"},
	{"taking over twice", "takes-over: [tokyo]", "takes-over: [tokyo, tokyo]", "tokyo", "given twice"},

	// NAT.
	{"NAT of two lengths", "outside: 203.0.113.0/24", "outside: 203.0.113.0/25", "203.0.113.0/25", "give both the same length, /24"},
	{"NAT onto a segment", "outside: 203.0.113.0/24", "outside: 198.18.20.0/24", "198.18.20.0/24", `overlaps 198.18.20.0/24 of segment "lg-office"`},
	{"NAT of nobody's addresses", "inside: 198.18.10.0/24", "inside: 198.18.90.0/24", "198.18.90.0/24", "lies in no segment of the town"},
	{"NAT of a region's addresses", "nat: [{inside: 198.18.10.0/24, outside: 203.0.113.0/24}]", "nat: [{inside: 198.51.100.64/26, outside: 203.0.113.0/26}]", "198.51.100.64/26", "lies in no segment of the town"},
	{"NAT of IPv6", "nat: [{inside: 198.18.10.0/24, outside: 203.0.113.0/24}]", "nat: [{inside: \"2001:db8:10::/64\", outside: \"2001:db8:99::/64\"}]", "2001:db8:10::/64", "only IPv4 prefixes are translated"},
	{"NAT twice from one inside", "nat: [{inside: 198.18.10.0/24, outside: 203.0.113.0/24}]", "nat: [{inside: 198.18.10.0/24, outside: 203.0.113.0/24}, {inside: 198.18.10.0/25, outside: 192.0.0.0/25}]", "198.18.10.0/25", "an address has one translation"},
	{"NAT twice onto one outside", "takes-over: [tokyo]", "takes-over: [tokyo]\n    nat: [{inside: 198.18.20.0/24, outside: 203.0.113.0/24}]", "203.0.113.0/24", `overlaps 203.0.113.0/24 of region "tokyo"`},
	{"NAT with host bits", "outside: 203.0.113.0/24", "outside: 203.0.113.7/24", "203.0.113.7/24", "did you mean 203.0.113.0/24?"},

	// Classes.
	{"class with line and lines", "{id: backup, lines:", "{id: backup, line: line-a, lines:", "", "give either line, for one, or lines"},
	{"class on no line", "lines: [{line: line-b, guarantee: 2Mbit, ceiling: 20Mbit}, {line: line-a, guarantee: 5Mbit, ceiling: 40Mbit}]", "lines: [], guarantee: 1Mbit, ceiling: 2Mbit", "", "at least one line, or no lines for every line"},
	{"class twice on a line", "{line: line-a, guarantee: 5Mbit, ceiling: 40Mbit}]", "{line: line-b, guarantee: 5Mbit, ceiling: 20Mbit}]", "line-b", "is given twice"},
	{"class on an unknown line", "{id: bulletin, line: line-b", "{id: bulletin, line: line-c", "line-c", "there is no line"},
	{"class without a guarantee", "{id: bulletin, line: line-b, guarantee: 1Mbit,", "{id: bulletin, line: line-b,", "{id: bulletin", `key "guarantee" is missing`},
	{"class without a ceiling on one of its lines", "guarantee: 2Mbit, ceiling: 20Mbit}", "guarantee: 2Mbit}", "{id: backup", `key "ceiling" is missing`},
	{"ceiling beyond one of its lines in both directions", "guarantee: 2Mbit, ceiling: 20Mbit}", "guarantee: 2Mbit, ceiling: 41Mbit}", "41Mbit", `more than line "line-b" carries (40Mbit): lower it`},
	{"ceiling below the guarantee on one of its lines", "guarantee: 2Mbit, ceiling: 20Mbit}", "guarantee: 2Mbit, ceiling: 1Mbit}", "1Mbit", `class "backup" on line "line-b": ceiling 1Mbit is less`},
	{"promised beyond the slower line", "guarantee: 2Mbit, ceiling: 20Mbit}", "guarantee: 4Mbit, ceiling: 20Mbit}", "1Mbit", "core 10Mbit + general 5Mbit + backup 4Mbit + bulletin 1Mbit = 20Mbit up, but the line carries 20Mbit, of which 97 % (19400kbit) can be promised, the tunnel's 60 bytes a packet (80 over IPv6) included: take 600kbit off"},
	{"promised beyond what comes down", "down: 40Mbit", "down: 12Mbit", "1Mbit", "= 9Mbit down, but region tokyo's part of the line, 2 of 4, carries 6Mbit, of which 97 % (5820kbit)"},
	{"default class only on the other line", "priority: 1, default: true}", "priority: 1}\n  - {id: rest, line: line-a, guarantee: 1Mbit, ceiling: 5Mbit, priority: 4, default: true}", "{id: line-b", "none of its classes is the default"},
	{"two default classes on one line", "ceiling: 5Mbit, priority: 2}", "ceiling: 5Mbit, priority: 2, default: true}", "true", `line "line-b" already has the default class "general"`},
	{"more classes on a line than a far end counts", "  - {id: bulletin, line: line-b", extraClasses(13) + "  - {id: bulletin, line: line-b", "bulletin", `line "line-b" has 16 classes already`},
	{"unknown latency", "latency: interactive", "latency: interactiv", "interactiv", "did you mean interactive?"},
	{"unknown kind of line", "kind: pppoe", "kind: pppo", "pppo", "did you mean pppoe?"},
	{"DSCP of two classes", "dscp: [cs1]", "dscp: [46]", "46", `already that of class "core"`},
	{"DSCP twice in one class", "dscp: [ef, af41]", "dscp: [ef, ef]", "ef", "already that of class"},
	{"DSCP of unmarked packets", "dscp: [cs1]", "dscp: [0]", "0", "nobody marked"},
	{"DSCP out of range", "dscp: [cs1]", "dscp: [64]", "64", "0 to 63, or a name like ef"},
	{"unknown DSCP", "dscp: [cs1]", "dscp: [cs9]", "cs9", "0 to 63, or a name like ef"},
	{"service of an unknown class", "ports: [tcp/443], class: core, name", "ports: [tcp/443], class: cor, name", "cor", "did you mean core?"},
	{"one port in two classes", "ports: [tcp/8443], class: backup", "ports: [tcp/443], class: backup", "backup", `service "resident" (line 32) offers the same ports at 198.51.100.11 in class "core"`},
	{"station and service of a class in one communication", "communications:\n", "groups:\n  - {id: machines, stations: [resident-host]}\n  - {id: offers, services: [resident]}\ncommunications:\n  - {id: twofold, from: {stations: [mn-pc1]}, to: {groups: [machines, offers]}, ports: [tcp/443], purpose: p, owner: o}\n", "machines", `as station "resident-host", without a bandwidth class, and as service "resident" of class "core"`},
	{"trust on a line", "{id: line-a, zone: uplink, port: wan0,", "{id: line-a, zone: uplink, port: wan0, trust-dscp: true,", "true", "only segments of stations"},
	{"trust in a region", "{id: osaka, zone: my-number, tunnel: wg0,", "{id: osaka, zone: my-number, tunnel: wg0, trust-dscp: true,", "true", "only segments of stations"},

	{"MTU beyond a PPPoE line", "mtu: 1394", "mtu: 1420", "1420", "a PPPoE line carries 1454 bytes, of which the tunnel takes 60"},
}

// extraClasses are so many more classes of line-b.
func extraClasses(n int) (text string) {
	for i := range n {
		text += fmt.Sprintf("  - {id: extra%d, line: line-b, guarantee: 1kbit, ceiling: 1Mbit, priority: 5}\n", i)
	}
	return text
}

func TestLinesReportEachFaultAtItsPlace(t *testing.T) {
	clean := read(t, "lines")
	for _, f := range lineFaults {
		t.Run(f.name, func(t *testing.T) { f.check(t, clean) })
	}
}

// A region that lists its one end says the same as one that describes it.
func TestShortFormOfARegion(t *testing.T) {
	doc := read(t, "lines")
	short, errs := Parse([]byte(doc))
	if errs != nil {
		t.Fatal(errs)
	}
	long := strings.Replace(doc, "{id: prefecture, tunnel: wg1, public-key: \"cHJlZmVjdHVyZS1leGFtcGxlLXB1YmxpYy1rZXktMDE=\", endpoint: \"192.0.2.142:51820\", probe: 198.51.100.129, plain: true}",
		"{id: prefecture, ends: [{id: prefecture, tunnel: wg1, public-key: \"cHJlZmVjdHVyZS1leGFtcGxlLXB1YmxpYy1rZXktMDE=\", endpoint: \"192.0.2.142:51820\", probe: 198.51.100.129, plain: true}]}", 1)
	listed, errs := Parse([]byte(long))
	if errs != nil || long == doc {
		t.Fatal(errs)
	}
	if got, want := listed.Regions[2].Reached(), short.Regions[2].Reached(); len(got) != 1 || got[0] != want[0] {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestEndsTakeTheirRegionsProbe(t *testing.T) {
	cfg, errs := Parse([]byte(read(t, "lines")))
	if errs != nil {
		t.Fatal(errs)
	}
	for _, e := range cfg.Regions[1].Reached() {
		if e.Probe.String() != "198.51.100.65" {
			t.Errorf("end %s: got probe %s", e.ID, e.Probe)
		}
	}
	if got := cfg.Regions[0].Reached()[2].Probe.String(); got != "198.51.100.2" {
		t.Errorf("end with a probe of its own: got %s", got)
	}
}

func TestAdmissionSharesWhatComesDown(t *testing.T) {
	cfg, errs := Parse([]byte(read(t, "lines")))
	if errs != nil {
		t.Fatal(errs)
	}
	a := cfg.Admission(&cfg.Lines[1]) // 20 up, 40 down; tokyo weighs 2, osaka and prefecture 1 each
	if len(a) != 4 || a[0].Down || a[0].Rate != 20e6 || a[0].Sum() != 18e6 || a[0].Over() != 0 {
		t.Fatalf("got %v", a)
	}
	for i, want := range []struct {
		region string
		rate   Rate
		core   Rate
	}{{"tokyo", 20e6, 5e6}, {"osaka", 10e6, 2.5e6}, {"prefecture", 10e6, 2.5e6}} {
		got := a[i+1]
		if !got.Down || got.Region.ID != want.region || got.Rate != want.rate || got.Terms[0].Guarantee != want.core {
			t.Errorf("got %s", got)
		}
	}
}

func TestDSCPNames(t *testing.T) {
	for name, want := range map[string]DSCP{"ef": 46, "EF": 46, "af41": 34, "af11": 10, "cs1": 8, "cs7": 56, "le": 1, "63": 63} {
		var d DSCP
		if err := d.UnmarshalText([]byte(name)); err != nil || d != want {
			t.Errorf("%s: got %d, %v; want %d", name, d, err, want)
		}
	}
}
