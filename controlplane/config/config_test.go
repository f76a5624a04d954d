package config

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func read(t testing.TB, name string) string {
	t.Helper()
	doc, err := os.ReadFile("examples/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

func TestExamplesAreClean(t *testing.T) {
	for _, name := range []string{"lab", "town", "city", "lines"} {
		t.Run(name, func(t *testing.T) {
			cfg, errs := Parse([]byte(read(t, name)))
			if errs != nil {
				t.Fatalf("got errors, want none:\n%v", errs)
			}
			for i := range cfg.Communications {
				if p, ok := cfg.PosOf(&cfg.Communications[i]); !ok || p.Line == 0 {
					t.Fatalf("communication %d has no place", i)
				}
			}
		})
	}
}

// fault is one slip of the pen in the lab's configuration.
type fault struct {
	name     string
	old, new string // what is replaced, first occurrence; old "" = appended
	at       string // the offending text at the reported place
	want     string // part of the message
}

var faults = []fault{
	// The form of the document.
	{"unknown key", "strict: true}", "strickt: true}", "strickt", `unknown key "strickt"; did you mean strict?`},
	{"unknown key at the top", "regions:", "region:", "region", "did you mean regions?"},
	{"key given twice", "model: alpha", "model: alpha\nmodel: beta", "model", `key "model" is given twice (first in line 4)`},
	{"missing key", "purpose: 地方税の電子申告の受付", "# purpose", "id", `key "purpose" is missing`},
	{"list where a text belongs", "model: alpha", "model: [alpha]", "[", "this is a list, but want text"},
	{"text where a list belongs", "reach: [mn-office]", "reach: mn-office", "mn-office", "want a list"},
	{"text where a map belongs", "town: {ja: 海山町, en: Umiyama}", "town: 海山町", "海山町", "want a map with ja, en"},
	{"number where text belongs", "owner: 税務課}", "owner: 12}", "12", `put it in quotes, "12"`},
	{"text where a number belongs", "listen: 51820", "listen: many", "many", "whole number from 0 to 65535"},
	{"octal number", "listen: 51820", "listen: 0777", "0777", "whole number"},
	{"number out of range", "listen: 51820", "listen: 70000", "70000", "whole number from 0 to 65535"},
	{"text where a truth value belongs", "strict: true}", "strict: ja}", "ja", "true or false"},
	{"empty value", "owner: 税務課}", "owner: }", "", "empty"},
	{"line break in a name", "purpose: 地方税の電子申告の受付", "purpose: |\n      a\n      b", "|", "line break"},
	{"wrong version", "version: 1", "version: 2", "2", "reads version 1"},
	{"picking up connections for ever", "model: alpha", "model: alpha\npick-up-seconds: 601", "601", "want that, or no pick-up-seconds"},
	{"picking up connections for no time", "model: alpha", "model: alpha\npick-up-seconds: 0", "0", "for 1 to 600 seconds"},
	{"unknown model", "model: alpha", "model: alfa", "alfa", "did you mean alpha?"},
	{"YAML anchor", "model: alpha", "model: &m alpha", "&", "anchors and aliases"},
	{"YAML alias", "model: alpha", "model: *m", "*", "anchors and aliases"},
	{"YAML tag", "model: alpha", "model: !!str alpha", "!!str", "tags"},
	{"merge key", "model: alpha", "<<: {model: alpha}", "<<", "anchors and aliases"},
	{"unbalanced bracket", "reach: [mn-office]", "reach: [mn-office", "", "not YAML"},
	{"tab", "model: alpha", "model:\talpha", "\t", "a tab"},
	{"control character", "model: alpha", "model: alp\x01ha", "", "control character U+0001"},
	{"Shift_JIS", "海山町", "\x8aC\x8eR\x92\xac", "", "not UTF-8"},
	{"second document", "\nregions:", "\n---\nregions:", "", "second document"},

	// Values with a form of their own.
	{"MAC with hyphens", `"02:53:4b:10:00:11"`, `"02-53-4b-10-00-1g"`, "02-53-4b-10-00-1g", "MAC address of six"},
	{"MAC in dots", `"02:53:4b:10:00:11"`, `"0253.4b10.0011.9"`, "0253.4b10.0011.9", "MAC address of six"},
	{"MAC without colons", `"02:53:4b:10:00:11"`, `"0253-4b10-0011"`, "0253-4b10-0011", "did you mean 02:53:4b:10:00:11?"},
	{"multicast MAC", `"02:53:4b:10:00:11"`, `"03:53:4b:10:00:11"`, "03:53:4b:10:00:11", "group address"},
	{"zero MAC", `"02:53:4b:10:00:11"`, `"00:00:00:00:00:00"`, "00:00:00:00:00:00", "belongs to no card"},
	{"address that is none", "addresses: [198.18.10.11,", "addresses: [198.18.10.311,", "198.18.10.311", "want an IP address"},
	{"address with a length", "addresses: [198.18.10.11,", "addresses: [198.18.10.11/24,", "198.18.10.11/24", "did you mean 198.18.10.11?"},
	{"prefix without a length", "prefixes: [198.18.40.0/24]", "prefixes: [198.18.40.0]", "198.18.40.0", "did you mean 198.18.40.0/32?"},
	{"prefix with host bits", "prefixes: [198.18.40.0/24]", "prefixes: [198.18.40.7/24]", "198.18.40.7/24", "did you mean 198.18.40.0/24?"},
	{"unknown zone", "{id: mn0, zone: my-number", "{id: mn0, zone: mynumber", "mynumber", "did you mean my-number?"},
	{"bad port", "ports: [tcp/443], name: {ja: eLTAX", "ports: [tcp/44300000], name: {ja: eLTAX", "tcp/44300000", "tcp/443, udp/5000-5010"},
	{"ports backwards", "ports: [tcp/443], name: {ja: eLTAX", "ports: [tcp/20-10], name: {ja: eLTAX", "tcp/20-10", "low to high"},
	{"bad rate", "rate: 50Mbit", "rate: 50 Mbps", "50 Mbps", "like 50Mbit"},
	{"rate of nothing", "rate: 50Mbit", "rate: 0Mbit", "0Mbit", "above 0"},
	{"rate beyond all measure", "rate: 50Mbit", "rate: 99999999999999Gbit", "99999999999999Gbit", "rate"},
	{"bad size", "max-size: 50MB", "max-size: 50MiB", "50MiB", "like 50MB"},
	{"day that does not exist", "until: 2036-03-31", "until: 2027-02-30", "2027-02-30", "existing day"},
	{"bad public key", "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", "c2hvcnQ=", "c2hvcnQ=", "32 bytes in base64"},
	{"bad endpoint", `"192.0.2.11:51820"`, `"192.0.2.11"`, "192.0.2.11", "address and port"},

	// Ids and references.
	{"malformed id", "{id: mn-pc1, segment", "{id: MN_PC1, segment", "MN_PC1", "small letters"},
	{"reserved record name", "- id: eltax-submit", "- id: gate:eltax", "gate:eltax", "reserved"},
	{"reserved device", "{id: inw0, zone", "{id: pt-in, zone", "pt-in", "reserved"},
	{"device name too long", "{id: inw0, zone", "{id: internet-wan-port-0, zone", "internet-wan-port-0", "at most 15"},
	{"id given twice", "{id: lg-pc2,", "{id: lg-pc1,", "lg-pc1", "given twice (first in line 35)"},
	{"dangling station", "from: {stations: [mn-pc1]}", "from: {stations: [mn-pc3]}", "mn-pc3", `there is no station "mn-pc3"; did you mean mn-pc1?`},
	{"dangling service", "to: {services: [eltax]}", "to: {services: [eltacs]}", "eltacs", "did you mean eltax?"},
	{"dangling segment", "{id: noc, segment: mg-net", "{id: noc, segment: mgmt", "mgmt", `there is no segment "mgmt"`},
	{"dangling port", "port: mg0", "port: mg9", "mg9", "did you mean mg0?"},
	{"dangling class", "class: backup", "class: bakcup", "bakcup", "did you mean backup?"},
	{"dangling line", "{id: wg0, line: line1", "{id: wg0, line: line2", "line2", "did you mean line1?"},
	{"dangling tunnel", "{id: tokyo, tunnel: wg0", "{id: tokyo, tunnel: wg1", "wg1", "did you mean wg0?"},
	{"dangling group member", "{id: tax-desks, stations: [mn-pc1]", "{id: tax-desks, stations: [mn-pc9]", "mn-pc9", "there is no station"},
	{"name given twice in a list", "stations: [mn-pc1, mn-pc2]}", "stations: [mn-pc1, mn-pc1]}", "mn-pc1", "given twice"},

	// Segments.
	{"port of another zone", "{id: in-net, zone: internet", "{id: in-net, zone: lgwan", "lgwan", "its port inw0 belongs to zone internet"},
	{"port and VLAN used twice", "port: inw0", "port: in0", "in0", `already that of segment "in-office"`},
	{"VLAN out of range", "port: mg0,", "port: mg0, vlan: 4095,", "4095", "1 to 4094"},
	{"VLAN zero", "port: mg0,", "port: mg0, vlan: 0,", "0", "1 to 4094"},
	{"VLAN in a tunnel", "tunnel: wg0, prefixes: [198.51.100.0/26]", "tunnel: wg0, vlan: 7, prefixes: [198.51.100.0/26]", "7", "only ports carry VLANs"},
	{"two attachments", "port: mg0,", "port: mg0, tunnel: wg0,", "", "exactly one of port, tunnel, portal"},
	{"no attachment", "port: mg0, ", "", "", "exactly one of port, tunnel, portal"},
	{"overlap of two segments", "prefixes: [198.18.40.0/24]", "prefixes: [198.18.30.128/25]", "198.18.30.128/25", `overlaps 198.18.30.0/24 of segment "in-office"`},
	{"prefix given twice", "prefixes: [198.18.40.0/24]", "prefixes: [198.18.40.0/24, 198.18.40.0/24]", "198.18.40.0/24", "given twice"},
	{"no prefix", "prefixes: [198.18.40.0/24]", "prefixes: []", "", "at least one prefix"},
	{"multicast prefix", "prefixes: [198.18.40.0/24]", "prefixes: [224.0.1.0/24]", "224.0.1.0/24", "multicast"},
	{"loopback prefix", "prefixes: [198.18.40.0/24]", "prefixes: [127.0.1.0/24]", "127.0.1.0/24", "loopback"},
	{"the whole internet as a segment", "prefixes: [203.0.113.0/24,", "prefixes: [0.0.0.0/0,", "0.0.0.0/0", "unicast addresses only"},
	{"gate address outside", "gate: [198.18.40.1]", "gate: [198.18.41.1]", "198.18.41.1", "outside the segment's prefixes (198.18.40.0/24)"},
	{"gate address in another segment", "gate: [198.18.40.1]", "gate: [198.18.30.9]", "198.18.30.9", "it lies in segment in-office"},
	{"gate address is the network's", "gate: [198.18.40.1]", "gate: [198.18.40.0]", "198.18.40.0", "network address"},
	{"no gate address", "gate: [198.18.40.1]", "gate: []", "", "needs an address of its own"},
	{"strict tunnel", "gate: [198.51.100.62]", "gate: [198.51.100.62], strict: true", "true", "cannot be strict"},
	{"region in the management zone", "{id: osaka, zone: my-number", "{id: osaka, zone: management", "management", "a region cannot lie in zone management"},
	{"second portal segment", "{id: mg-portal, zone: management", "{id: mg-portal, zone: lgwan", "true", "already has the portal segment"},
	{"router outside", "gate: [198.18.40.1]", `gate: [198.18.40.1], routers: [{mac: "02:00:5e:00:00:01", addresses: [198.18.41.2], behind: [198.18.40.128/25]}]`, "198.18.41.2", "outside the segment's prefixes"},
	{"router behind itself", "gate: [198.18.40.1]", `gate: [198.18.40.1], routers: [{mac: "02:00:5e:00:00:01", addresses: [198.18.40.130], behind: [198.18.40.128/25]}]`, "198.18.40.130", "behind a router itself"},
	{"prefix behind a router outside", "gate: [198.18.40.1]", `gate: [198.18.40.1], routers: [{mac: "02:00:5e:00:00:01", addresses: [198.18.40.2], behind: [198.18.41.0/24]}]`, "198.18.41.0/24", "add it to them"},
	{"router with a station's MAC", "gate: [198.18.40.1]", `gate: [198.18.40.1], routers: [{mac: "02:53:4b:40:00:11", addresses: [198.18.40.2], behind: [198.18.40.128/25]}]`, "02:53:4b:40:00:11", "already that of router in segment"},

	// Stations and services.
	{"station outside its segment", "addresses: [198.18.40.11]", "addresses: [198.18.30.77]", "198.18.30.77", "outside segment mg-net (198.18.40.0/24); it lies in segment in-office"},
	{"station with a multicast address", "addresses: [198.18.40.11]", "addresses: [224.0.0.5]", "224.0.0.5", "multicast"},
	{"station with the broadcast address", "addresses: [198.18.40.11]", "addresses: [198.18.40.255]", "198.18.40.255", "broadcast address"},
	{"address used twice", "addresses: [198.18.20.12,", "addresses: [198.18.20.11,", "198.18.20.11", `already that of station "lg-pc1"`},
	{"address of the gate", "addresses: [198.18.40.11]", "addresses: [198.18.40.1]", "198.18.40.1", "already that of the gate in segment"},
	{"MAC used twice", `"02:53:4b:20:00:12"`, `"02:53:4b:20:00:11"`, "02:53:4b:20:00:11", `already that of station "lg-pc1"`},
	{"strict segment without MAC", `mac: "02:53:4b:40:00:11", `, "", "{id: noc", `key "mac" is missing: segment "mg-net" is strict`},
	{"service in a strict segment without MAC", "{id: eltax, segment: lg-asp-net, addresses: [198.18.21.11, \"2001:db8:21::11\"]", "{id: eltax, segment: lg-office, addresses: [198.18.20.99]", "{id: eltax", "strict, so its hosts are registered"},
	{"MAC in a tunnel", "segment: tokyo\n", "segment: tokyo\n    mac: \"02:53:4b:00:00:77\"\n", "02:53:4b:00:00:77", "no MAC address arrives"},
	{"station on the line", "{id: noc, segment: mg-net", "{id: noc, segment: line1", "line1", "nothing but the gate's own traffic"},
	{"ports that overlap", "udp/5203, icmp/echo]", "udp/5200-5203, icmp/echo]", "udp/5200-5203", "overlaps udp/5201"},

	// Communications.
	{"two kinds of initiators", "from: {stations: [mn-pc1]}", "from: {stations: [mn-pc1], groups: [tax-desks]}", "", "exactly one of stations, groups, segments (2 are given)"},
	{"no initiator", "from: {stations: [mn-pc1]}", "from: {stations: []}", "", "at least one name"},
	{"portal as initiator", "from: {segments: [in-office]}", "from: {segments: [in-portal]}", "in-portal", "opens nothing"},
	{"port that the service lacks", "ports: [tcp/5203, udp/5203]", "ports: [tcp/5203, udp/5204]", "udp/5204", `service "resident" does not offer udp/5204`},
	{"stations without ports", "to: {services: [web]}", "to: {stations: [mn-pc2]}", "", "ports is empty"},
	{"prefix in no segment", "to: {services: [web]}\n    ports: []", "to: {prefixes: [198.19.0.0/24]}\n    ports: [tcp/80]", "198.19.0.0/24", "inside no segment"},
	{"the same station on both sides", "to: {services: [web]}\n    ports: []", "to: {stations: [in-pc1]}\n    ports: [tcp/80]", "in-pc1", "named on both sides"},
	{"a prefix on both sides", "to: {services: [web]}\n    ports: []", "to: {prefixes: [198.18.30.64/26]}\n    ports: [tcp/80]", "198.18.30.64/26", "named on both sides"},
	{"both sides in one segment", "from: {stations: [mn-pc1]}\n    to: {services: [eltax]}\n    ports: []", "from: {stations: [mn-pc1]}\n    to: {stations: [mn-pc2]}\n    ports: [tcp/80]", "id: eltax-submit", "they speak directly"},
	{"sides of different IP versions", "from: {stations: [mn-pc1]}\n    to: {services: [eltax]}\n    ports: []", "from: {stations: [noc]}\n    to: {prefixes: [\"2001:db8:21::/64\"]}\n    ports: [tcp/80]", "id: eltax-submit", "no packet could use it"},

	// Lines, classes, tunnels.
	{"guarantees beyond the line", "guarantee: 25Mbit", "guarantee: 35Mbit", "5Mbit", "core 35Mbit + general 15Mbit + backup 5Mbit = 55Mbit up, but the line carries 50Mbit, of which 97 % (48500kbit) can be promised"},
	{"ceiling below guarantee", "guarantee: 25Mbit, ceiling: 50Mbit", "guarantee: 25Mbit, ceiling: 20Mbit", "20Mbit", "less than its guarantee 25Mbit"},
	{"ceiling beyond the line", "guarantee: 25Mbit, ceiling: 50Mbit", "guarantee: 25Mbit, ceiling: 60Mbit", "60Mbit", "more than line"},
	{"no default class", "default: true, ", "", "{id: line1", "none of its classes is the default"},
	{"two default classes", "priority: 2,", "priority: 2, default: true,", "true", "already has the default class"},
	{"priority out of range", "priority: 2,", "priority: 9,", "9", "0 (first) to 7 (last)"},
	{"line that is no uplink", "{id: line1, segment: line1", "{id: line1, segment: in-net", "in-net", "a line is a port segment of zone uplink"},
	{"region without a segment", "  - {id: osaka, tunnel: wg0", "  - {id: nagoya, tunnel: wg0", "nagoya", "there is no segment of that id"},
	{"segment without a region", "  - {id: osaka, tunnel: wg0", "  - {id: nagoya, tunnel: wg0", "wg0", `there is no region "osaka"`},
	{"endpoint outside the line", `"192.0.2.11:51820"`, `"203.0.113.50:51820"`, "203.0.113.50:51820", "outside segment line1"},
	{"endpoint without a port", `"192.0.2.11:51820"`, `"192.0.2.11:0"`, "192.0.2.11:0", "port from 1 to 65535"},
	{"two regions with one key", "b3Nha2EtcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", "its public key is that of region"},
	{"two regions with one endpoint", "192.0.2.12:51820", "192.0.2.11:51820", "192.0.2.11:51820", "is that of region"},
	{"probe outside the region", "probe: 198.51.100.65", "probe: 198.51.100.1", "198.51.100.1", "lies outside its segment"},
	{"probe of the gate itself", "probe: 198.51.100.65", "probe: 198.51.100.126", "198.51.100.126", "the gate's own address"},
	{"probe without a source", "gate: [198.51.100.62]", "gate: []", "198.51.100.1", "the probe needs a source"},
	{"MTU too small", "listen: 51820}", "listen: 51820, mtu: 500}", "500", "1280 to 8896"},

	// Portals and transfers.
	{"portal outside its segment", "address: 198.18.120.2", "address: 198.18.130.3", "198.18.130.3", "it lies in segment in-portal"},
	{"portal at the gate's address", "address: 198.18.120.2", "address: 198.18.120.1", "198.18.120.1", "already that of the gate"},
	{"portal reached from another zone", "reach: [lg-office]", "reach: [lg-office, in-office]", "in-office", "from its own zone only"},
	{"two portals in a zone", "{zone: internet, address", "{zone: lgwan, address", "lgwan", "given twice"},
	{"bad portal name", "name: console.umiyama.example", "name: portal_18", "portal_18", "no DNS name"},
	{"F1 outwards", "{from: lgwan, to: internet", "{from: my-number, to: internet", "internet", "no file route may join My Number and internet (F1)"},
	{"F1 inwards", "{from: internet, to: lgwan", "{from: internet, to: my-number", "my-number", "no file route may join My Number and internet (F1)"},
	{"route to itself", "{from: lgwan, to: internet", "{from: lgwan, to: lgwan", "lgwan", "two different zones"},
	{"route given twice", "{from: internet, to: lgwan", "{from: lgwan, to: internet", "lgwan", "given twice"},
	{"route from the management zone", "{from: internet, to: lgwan", "{from: management, to: lgwan", "management", "sends no files"},
	{"unknown format", "formats: [txt, csv", "formats: [text, csv", "text", `"text" is no known format; did you mean txt?`},
	{"unknown role", "approvals: [section-head]", "approvals: [section-heat]", "section-heat", "did you mean section-head?"},
	{"no approval inward, and no decision", "{from: internet, to: lgwan, approvals: [section-head]", "{from: internet, to: lgwan, approvals: []", "", "recorded decision under the key decision (F5)"},
	{"no approval inward, and an empty decision", "{from: internet, to: lgwan, approvals: [section-head]", "{from: internet, to: lgwan, decision: '  ', approvals: []", "", "recorded decision under the key decision (F5)"},
	{"decision on the way out", "{from: lgwan, to: internet, approvals: [section-head]", "{from: lgwan, to: internet, decision: 'CISO 2026-1', approvals: [section-head]", "'CISO 2026-1'", "only files from internet to lgwan"},
	{"decision on the way to My Number", "{from: lgwan, to: my-number, approvals: [section-head]", "{from: lgwan, to: my-number, decision: 'CISO 2026-1', approvals: []", "'CISO 2026-1'", "only files from internet to lgwan"},
	{"no approval", "approvals: [section-head]", "approvals: []", "", "prior approval is needed on every route (F5)"},
	{"file too large", "max-size: 50MB", "max-size: 5GB", "5GB", "at most 1GB"},
	{"unknown choice", "keep-days: 7", "keep-days: 7, sanitize: {links: removed}", "removed", "links: \"removed\": want keep or remove; did you mean remove?"},
	{"no code of a finding", "keep-days: 7", "keep-days: 7, sanitize: {block: [ooxml.vba, macros]}", "macros", "no code of a finding"},
	{"unknown key of sanitize", "keep-days: 7", "keep-days: 7, sanitize: {macros: remove}", "macros", ""},
	{"kept for no time", "keep-days: 7", "keep-days: 0", "0", "1 to 366"},
}

func TestParseReportsEachFaultAtItsPlace(t *testing.T) {
	lab := read(t, "lab")
	names := map[string]bool{}
	for _, f := range faults {
		if names[f.name] {
			t.Fatalf("two cases are named %q", f.name)
		}
		names[f.name] = true
		t.Run(f.name, func(t *testing.T) { f.check(t, lab) })
	}
}

// check makes the slip in a clean document and wants it reported at its place.
func (f fault) check(t *testing.T, clean string) {
	doc := strings.Replace(clean, f.old, f.new, 1)
	if doc == clean {
		t.Fatalf("the case changes nothing: %q is not in the document", f.old)
	}
	_, errs := Parse([]byte(doc))
	for _, e := range errs {
		if !strings.Contains(e.Message, f.want) {
			continue
		}
		if f.at != "" && !strings.HasPrefix(at(e), f.at) && !strings.HasPrefix(strings.Trim(at(e), `"`), f.at) {
			t.Errorf("got place %d:%d, which reads %q; want %q there", e.Line, e.Column, at(e), f.at)
		}
		return
	}
	t.Fatalf("got %d errors, none with %q:\n%v", len(errs), f.want, errs)
}

// at is what stands at an error's place.
func at(e Error) string {
	r := []rune(e.Source)
	return string(r[min(e.Column-1, len(r)):])
}

func TestParseReportsAllFaultsAtOnce(t *testing.T) {
	doc := read(t, "lab")
	for _, r := range [][2]string{
		{"model: alpha", "model: omega"}, {"198.18.40.0/24", "198.18.30.128/25"}, {"to: {services: [eltax]}", "to: {services: [eltacs]}"},
		{"guarantee: 25Mbit", "guarantee: 45Mbit"}, {"{from: lgwan, to: internet", "{from: my-number, to: internet"}, {"strict: true}", "strickt: true}"},
		{"purpose: 情報収集", "porpose: 情報収集"},
	} {
		doc = strings.Replace(doc, r[0], r[1], 1)
	}
	_, errs := Parse([]byte(doc))
	for _, want := range []string{"omega", "overlaps", "eltacs", "exceed the line", "F1", "strickt", "porpose", `"purpose" is missing`} {
		if !strings.Contains(errs.Error(), want) {
			t.Errorf("got no error with %q in\n%v", want, errs)
		}
	}
	for i := 1; i < len(errs); i++ {
		if errs[i].Line < errs[i-1].Line {
			t.Fatalf("errors are not in the order of the document: line %d after line %d", errs[i].Line, errs[i-1].Line)
		}
	}
}

func TestPrintPointsAtTheFault(t *testing.T) {
	doc := strings.Replace(read(t, "lab"), "{ja: 庁内 個人番号系, en: ", "{ja: 庁内 個人番号系, eng: ", 1)
	_, errs := Parse([]byte(doc))
	var b bytes.Buffer
	errs.Print(&b, "lab.yaml")
	want := `lab.yaml:7:53: port "mn0" name: unknown key "eng"; did you mean en?
      - {id: mn0, zone: my-number, name: {ja: 庁内 個人番号系, eng: "Town hall, My Number"}}
                                                               ^^^
`
	if b.String() != want {
		t.Fatalf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestPrintKeepsHostileTextOffTheTerminal(t *testing.T) {
	_, errs := Parse([]byte("version: 1\n\"\\e[31mred\u202e\": 1\n# \u202eevil\n"))
	var b bytes.Buffer
	errs.Print(&b, "x.yaml")
	if strings.ContainsAny(b.String(), "\x1b\u202e") {
		t.Fatalf("got control characters in %q", b.String())
	}
}

// spent is the CPU time of this process so far, in which time that the machine gives to others does not count.
func spent(t testing.TB) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestParseIsBounded(t *testing.T) {
	cases := []struct{ name, doc, want string }{
		{"too many bytes", strings.Repeat("# filler\n", MaxBytes/9+1), "at most"},
		{"a line too long", "model: " + strings.Repeat("x", MaxLine), "at most"},
		{"flow nesting", "ports: " + strings.Repeat("[", 1000) + strings.Repeat("]", 1000), "nested more than"},
		{"block nesting", nested(200), "nested more than"},
		{"list nesting in one line", strings.Repeat("- ", 1500) + "x", ""},
		{"alias bomb", "a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\n", "anchors and aliases"},
		{"text too long", strings.Replace(read(t, "lab"), "海山町", strings.Repeat("海", 400), 1), "at most 1024"},
		{"thousands of keys", "version: 1\n" + strings.Repeat("x: 1\n", 100_000), "more than 64 keys"},
		{"thousands of keys in braces", "a: {" + strings.Repeat("x: 1,\n", 100_000) + "}", "more than 64 keys"},
		{"thousands of explicit keys", strings.Repeat("? x\n: 1\n", 100_000), "explicit keys"},
		{"a long literal", "model: |\n" + strings.Repeat("  x\n", 200_000), "at most 1024"},
		{"a long plain text", "model: x\n" + strings.Repeat("  x\n", 200_000), "at most 1024"},
		{"a long quoted text", "model: \"x\n" + strings.Repeat("  x\n", 200_000) + "\"", "at most 1024"},
		{"a long list", "ports: [\n" + strings.Repeat("x,\n", 200_000) + "]", "want a map"},
		{"a long list of lists", "ports:\n" + strings.Repeat("- []\n", 200_000), "want a map"},
		{"thousands of comments", strings.Repeat("# x\n", 200_000) + "a: 1", "unknown key"},
		{"thousands of documents", strings.Repeat("---\na: 1\n", 50_000), ""},
		{"thousands of colons", strings.Repeat(":\n", 100_000), ""},
		{"thousands of faults", "version: 1\nstations:\n" + strings.Repeat("  - {x: 1}\n", 50_000), "more errors are not shown"},
		{"empty", "", "the document is empty"},
		{"only comments", "# nothing\n", "the document is empty"},
		{"a list", "- a\n- b\n", "want a map"},
		{"a scalar", "hello", "want a map"},
		{"many braces", strings.Repeat("{", 4000), "nested more than"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			start := spent(t)
			_, errs := Parse([]byte(c.doc))
			if took := spent(t) - start; took > 5*time.Second {
				t.Errorf("took %v of a CPU, want less than 5 s", took)
			}
			if len(errs) == 0 || !strings.Contains(errs.Error(), c.want) {
				t.Fatalf("got %.300v, want an error with %q", errs, c.want)
			}
			if len(errs) > MaxErrors+1 {
				t.Fatalf("got %d errors, want at most %d", len(errs), MaxErrors+1)
			}
		})
	}
}

func nested(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%sa:\n", strings.Repeat(" ", i))
	}
	return b.String() + strings.Repeat(" ", n) + "x"
}

func TestServicesMayShareAHost(t *testing.T) {
	doc := strings.Replace(read(t, "lab"), "services:\n", `services:
  - {id: desk-share, segment: lg-office, addresses: [198.18.20.11], ports: [tcp/8443]}
  - {id: web2, segment: in-net, addresses: [203.0.113.11], ports: [tcp/8080]}
`, 1)
	if _, errs := Parse([]byte(doc)); errs != nil {
		t.Fatalf("got %v, want none: a station's address gives the service its MAC", errs)
	}
	doc = strings.Replace(doc, "{id: desk-share, segment: lg-office,", `{id: desk-share, segment: lg-office, mac: "02:53:4b:20:00:99",`, 1)
	if _, errs := Parse([]byte(doc)); !strings.Contains(errs.Error(), "one host has one") {
		t.Fatalf("got %v, want two MACs for one host to be refused", errs)
	}
}

func TestScalarsAreWrittenAsTheyAreRead(t *testing.T) {
	for _, s := range []string{"1kbit", "1500kbit", "25Mbit", "1Gbit", "7bit"} {
		var r Rate
		if err := r.UnmarshalText([]byte(s)); err != nil || r.String() != s {
			t.Errorf("rate %s: got %s, %v", s, r, err)
		}
	}
	for _, s := range []string{"tcp/443", "udp/5000-5010", "icmp/echo", "icmp/8", "icmp6/128"} {
		var p PortSpec
		if err := p.UnmarshalText([]byte(s)); err != nil || p.String() != s {
			t.Errorf("port %s: got %s, %v", s, p, err)
		}
	}
	for _, s := range []string{"tcp/0", "tcp/+1", "tcp/01", "tcp/", "tcp", "sctp/0", "esp/1", "tcp/1-", "tcp/-1", "tcp/1-2-3", "icmp", "icmp/08", "icmp6/echo", "icmp/256"} {
		if err := new(PortSpec).UnmarshalText([]byte(s)); err == nil {
			t.Errorf("port %s: got no error", s)
		}
	}
}

// A blank line between the entries of a list is no level.
func TestBlankLinesAreNoLevels(t *testing.T) {
	if _, errs := Parse([]byte(strings.ReplaceAll(read(t, "lab"), "\n  - ", "\n\n  - "))); errs != nil {
		t.Errorf("the lab's document with blank lines: %v", errs)
	}
}
