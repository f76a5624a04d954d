package proof

import (
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

const town = `version: 1
name: Umiyama
segments:
- {id: mn-office, zone: my-number, attach: port, port: mn0, prefixes: [198.18.10.0/24, "2001:db8:10::/64"], gate: [198.18.10.1], strict: true}
- id: lg-core
  zone: lgwan
  attach: port
  port: lg0
  vlan: 20
  prefixes: [198.18.20.0/24, 198.19.0.0/16]
  gate: [198.18.20.1]
  strict: true
  routers:
  - {mac: "02:00:5e:20:00:fe", addresses: [198.18.20.254], behind: [198.19.0.0/16]}
- {id: in-net, zone: internet, attach: port, port: in0, prefixes: [203.0.113.0/24, "2001:db8:31::/64"], gate: [203.0.113.1]}
- {id: mg-net, zone: management, attach: port, port: mg0, prefixes: [198.18.40.0/24], gate: [198.18.40.1], strict: true}
- {id: line1, zone: uplink, attach: port, port: wan0, prefixes: [192.0.2.0/24], gate: [192.0.2.1]}
- {id: tokyo, zone: my-number, attach: tunnel, port: wg0, prefixes: [198.51.100.0/26], gate: [198.51.100.62]}
- {id: lg-portal, zone: lgwan, attach: portal, port: pt-lg, prefixes: [198.18.120.0/29], gate: [198.18.120.1], strict: true}
tunnels:
- device: wg0
  line: line1
  listen: 51820
  peers:
  - {id: tokyo, segment: tokyo, public-key: "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "192.0.2.11:51820", allowed: [198.51.100.0/26], probe: 198.51.100.2}
services:
- {id: echo-mn, segment: mn-office, proto: icmp, port: 8}
- {id: echo6-mn, segment: mn-office, proto: icmp6, port: 128}
- {id: wireguard-in, segment: line1, proto: udp, port: 51820, from: [192.0.2.11/32]}
- {id: wireguard-out, segment: line1, proto: udp, port: 51820, from: [192.0.2.11/32], out: true}
- {id: probe, segment: tokyo, proto: udp, port: 7, from: [198.51.100.2/32], out: true}
`

// Segment numbers of the town.
const (
	mn = iota + 1
	lg
	in
	mg
	line
	tokyo
	portal
)

// Classes of the sound tables.
const (
	mnPC = iota + 1
	mnRest
	mnGate
	lgPC
	lgRest
	lgFar // behind the router
	asp   // a host behind the router
	lgGate
	inRest
	web
	inGate
	noc
	mgRest
	mgGate
	endpoint
	lineRest
	lineGate
	resident
	tokyoRest
	tokyoGate
	probed
	portalHost
	portalRest
	portalGate
	lgRouter
)

// Port classes of the sound tables.
const (
	https = iota + 1
	wireguard
	probing
	echo
	many
)

var (
	pcMAC     = packet.MAC{2, 0, 0x5e, 0x10, 0, 0x11}
	lgMAC     = packet.MAC{2, 0, 0x5e, 0x20, 0, 0x11}
	routerMAC = packet.MAC{2, 0, 0x5e, 0x20, 0, 0xfe}
	nocMAC    = packet.MAC{2, 0, 0x5e, 0x40, 0, 0x11}
	portalMAC = packet.MAC{2, 0x53, 0x4b, 0, 2, 2}
)

func addr(s string) netip.Addr  { return netip.MustParseAddr(s) }
func pre(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func townAnchors(t testing.TB) *anchors.Anchors {
	a, err := anchors.Parse([]byte(town))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var limits = packet.Limits{Flows: 100, Rate: 10, StationFlows: 10, StationRate: 1}

// sound makes tables by hand that hold every invariant.
func sound() *packet.Tables {
	via := []netip.Addr{addr("198.18.20.254")}
	f, tu, lo := packet.KindForward, packet.KindTunnel, packet.KindLocal
	return &packet.Tables{
		Segments: []packet.Segment{
			{ID: mn, Name: "mn-office", Zone: anchors.MyNumber, Port: "mn0", Strict: true, Limits: limits},
			{ID: lg, Name: "lg-core", Zone: anchors.LGWAN, Port: "lg0", VLAN: 20, Strict: true, Limits: limits},
			{ID: in, Name: "in-net", Zone: anchors.Internet, Port: "in0", Limits: limits},
			{ID: mg, Name: "mg-net", Zone: anchors.Management, Port: "mg0", Strict: true, Limits: limits},
			{ID: line, Name: "line1", Zone: anchors.Uplink, Port: "wan0", Limits: limits},
			{ID: tokyo, Name: "tokyo", Zone: anchors.MyNumber, Port: "wg0", Tunnel: true, Limits: limits},
			{ID: portal, Name: "lg-portal", Zone: anchors.LGWAN, Port: "pt-lg", Strict: true, Limits: limits},
		},
		Hosts: []packet.Host{
			{Addr: addr("198.18.10.11"), Class: mnPC, Segment: mn, MAC: pcMAC},
			{Addr: addr("2001:db8:10::11"), Class: mnPC, Segment: mn, MAC: pcMAC},
			{Addr: addr("198.18.10.1"), Class: mnGate, Segment: mn},
			{Addr: addr("198.18.20.11"), Class: lgPC, Segment: lg, MAC: lgMAC},
			{Addr: addr("198.19.0.11"), Class: asp, Segment: lg, MAC: routerMAC},
			{Addr: addr("198.18.20.254"), Class: lgRouter, Segment: lg, MAC: routerMAC},
			{Addr: addr("198.18.20.1"), Class: lgGate, Segment: lg},
			{Addr: addr("203.0.113.11"), Class: web, Segment: in},
			{Addr: addr("2001:db8:31::11"), Class: web, Segment: in},
			{Addr: addr("203.0.113.1"), Class: inGate, Segment: in},
			{Addr: addr("198.18.40.11"), Class: noc, Segment: mg, MAC: nocMAC},
			{Addr: addr("198.18.40.1"), Class: mgGate, Segment: mg},
			{Addr: addr("192.0.2.11"), Class: endpoint, Segment: line},
			{Addr: addr("192.0.2.1"), Class: lineGate, Segment: line},
			{Addr: addr("198.51.100.11"), Class: resident, Segment: tokyo},
			{Addr: addr("198.51.100.2"), Class: probed, Segment: tokyo},
			{Addr: addr("198.51.100.62"), Class: tokyoGate, Segment: tokyo},
			{Addr: addr("198.18.120.2"), Class: portalHost, Segment: portal, MAC: portalMAC},
			{Addr: addr("198.18.120.1"), Class: portalGate, Segment: portal},
		},
		Prefixes: []packet.Prefix{
			{Prefix: pre("198.18.10.0/24"), Class: mnRest, Segment: mn},
			{Prefix: pre("2001:db8:10::/64"), Class: mnRest, Segment: mn},
			{Prefix: pre("198.18.20.0/24"), Class: lgRest, Segment: lg},
			{Prefix: pre("198.19.0.0/16"), Class: lgFar, Segment: lg, MAC: routerMAC},
			{Prefix: pre("203.0.113.0/24"), Class: inRest, Segment: in},
			{Prefix: pre("2001:db8:31::/64"), Class: inRest, Segment: in},
			{Prefix: pre("198.18.40.0/24"), Class: mgRest, Segment: mg},
			{Prefix: pre("192.0.2.0/24"), Class: lineRest, Segment: line},
			{Prefix: pre("198.51.100.0/26"), Class: tokyoRest, Segment: tokyo},
			{Prefix: pre("198.18.120.0/29"), Class: portalRest, Segment: portal},
		},
		Classes: []packet.Class{
			{ID: mnPC, Segment: mn, Kind: f, Port: "mn0", OnLink: true},
			{ID: mnRest, Segment: mn, Kind: f, Port: "mn0", OnLink: true},
			{ID: mnGate, Segment: mn, Kind: lo, Port: "mn0"},
			{ID: lgPC, Segment: lg, Kind: f, Port: "lg0", VLAN: 20, OnLink: true},
			{ID: lgRest, Segment: lg, Kind: f, Port: "lg0", VLAN: 20, OnLink: true},
			{ID: lgFar, Segment: lg, Kind: f, Port: "lg0", VLAN: 20, Via: via},
			{ID: asp, Segment: lg, Kind: f, Port: "lg0", VLAN: 20, Via: via},
			{ID: lgGate, Segment: lg, Kind: lo, Port: "lg0", VLAN: 20},
			{ID: lgRouter, Segment: lg, Kind: f, Port: "lg0", VLAN: 20, OnLink: true},
			{ID: inRest, Segment: in, Kind: f, Port: "in0", OnLink: true},
			{ID: web, Segment: in, Kind: f, Port: "in0", OnLink: true},
			{ID: inGate, Segment: in, Kind: lo, Port: "in0"},
			{ID: noc, Segment: mg, Kind: f, Port: "mg0", OnLink: true},
			{ID: mgRest, Segment: mg, Kind: f, Port: "mg0", OnLink: true},
			{ID: mgGate, Segment: mg, Kind: lo, Port: "mg0"},
			{ID: endpoint, Segment: line, Kind: f, Port: "wan0", OnLink: true},
			{ID: lineRest, Segment: line, Kind: f, Port: "wan0", OnLink: true},
			{ID: lineGate, Segment: line, Kind: lo, Port: "wan0"},
			{ID: resident, Segment: tokyo, Kind: tu, Port: "wg0", OnLink: true},
			{ID: tokyoRest, Segment: tokyo, Kind: tu, Port: "wg0", OnLink: true},
			{ID: tokyoGate, Segment: tokyo, Kind: lo, Port: "wg0"},
			{ID: probed, Segment: tokyo, Kind: tu, Port: "wg0", OnLink: true},
			{ID: portalHost, Segment: portal, Kind: f, Port: "pt-lg", OnLink: true},
			{ID: portalRest, Segment: portal, Kind: f, Port: "pt-lg", OnLink: true},
			{ID: portalGate, Segment: portal, Kind: lo, Port: "pt-lg"},
		},
		Ports: []packet.PortRange{
			{Proto: 6, Lo: 443, Hi: 443, Class: https}, {Proto: 17, Lo: 51820, Hi: 51820, Class: wireguard}, {Proto: 17, Lo: 7, Hi: 7, Class: probing},
			{Proto: 1, Lo: 8, Hi: 8, Class: echo}, {Proto: 58, Lo: 128, Hi: 128, Class: echo}, {Proto: 6, Lo: 1000, Hi: 2000, Class: many},
		},
		Cells: []packet.Cell{
			{Src: mnPC, Dst: asp, Port: https, Rule: 1},
			{Src: lgPC, Dst: web, Port: https, Rule: 2},
			{Src: lgPC, Dst: inRest, Port: many, Rule: 2},
			{Src: lgPC, Dst: portalHost, Port: https, Rule: 3},
			{Src: mnPC, Dst: resident, Port: https, Rule: 4, BWClass: 1},
			{Src: endpoint, Dst: lineGate, Port: wireguard, Rule: 5},
			{Src: lineGate, Dst: endpoint, Port: wireguard, Rule: 6},
			{Src: tokyoGate, Dst: probed, Port: probing, Rule: 7},
			{Src: mnPC, Dst: mnGate, Port: echo, Rule: 8},
			{Src: mnRest, Dst: mnGate, Port: echo, Rule: 8},
		},
		Rules: []packet.Rule{
			{ID: 1, Records: []string{"eltax"}}, {ID: 2, Records: []string{"web-use"}}, {ID: 3, Records: []string{"gate:portal-lgwan"}}, {ID: 4, Records: []string{"resident"}},
			{ID: 5, Records: []string{"gate:wireguard-in"}}, {ID: 6, Records: []string{"gate:wireguard-out"}}, {ID: 7, Records: []string{"gate:probe"}}, {ID: 8, Records: []string{"gate:echo"}},
		},
	}
}

func TestRecordsForEchoAreSilent(t *testing.T) {
	tables := sound()
	tables.Ports[3].Lo, tables.Ports[3].Hi = 6, 10
	tables.Ports[4].Hi = 136
	tables.Cells = slices.DeleteFunc(tables.Cells, func(c packet.Cell) bool { return c.Port == echo })
	permit(lgPC, web, echo)(tables)
	if got := Check(tables, townAnchors(t)); len(got) > 0 {
		t.Fatalf("got %v, want nothing", got)
	}
}

func TestSoundTablesAreSilent(t *testing.T) {
	if got := Check(sound(), townAnchors(t)); len(got) > 0 {
		t.Fatalf("got %v, want nothing", got)
	}
}

func host(t *packet.Tables, a string) *packet.Host {
	i := slices.IndexFunc(t.Hosts, func(h packet.Host) bool { return h.Addr == addr(a) })
	return &t.Hosts[i]
}

func class(t *packet.Tables, id uint16) *packet.Class {
	i := slices.IndexFunc(t.Classes, func(c packet.Class) bool { return c.ID == id })
	return &t.Classes[i]
}

func permit(src, dst, port uint16) func(*packet.Tables) {
	return func(t *packet.Tables) {
		t.Cells = append(t.Cells, packet.Cell{Src: src, Dst: dst, Port: port, Rule: 9})
		t.Rules = append(t.Rules, packet.Rule{ID: 9, Records: []string{"new"}})
	}
}

// Each fault is one lie or slip; it must be found, under the invariant that it breaks.
var seeded = []struct {
	name    string
	spoil   func(*packet.Tables)
	want    string
	packet  string // part of the counterexample; "" = none asked
	records string
}{
	{"My Number to internet", permit(mnPC, web, https), "I1", "port mn0 MAC 02:00:5e:10:00:11: 198.18.10.11 (my-number) -> 203.0.113.11 (internet) tcp/443", "new"},
	{"internet to My Number", permit(web, mnPC, https), "I1", "203.0.113.11 (internet) -> 198.18.10.11 (my-number)", "new"},
	{"internet to a region of My Number", permit(inRest, resident, https), "I1", "-> 198.51.100.11 (my-number)", "new"},
	{"region of My Number to internet", permit(resident, inRest, https), "I1", "port wg0: 198.51.100.11", "new"},
	{"My Number to internet over IPv6 only", func(t *packet.Tables) {
		host(t, "2001:db8:10::11").Class = 90
		t.Classes = append(t.Classes, packet.Class{ID: 90, Segment: mn, Kind: packet.KindForward, Port: "mn0", OnLink: true})
		permit(90, web, https)(t)
	}, "I1", "2001:db8:10::11 (my-number) -> 2001:db8:31::11 (internet)", "new"},
	{"an internet host in a class of LGWAN that My Number reaches", func(t *packet.Tables) { host(t, "203.0.113.11").Class = asp }, "I1", "", "eltax"},
	{"an internet host entered for My Number", func(t *packet.Tables) { h := host(t, "203.0.113.11"); h.Segment, h.Class = mn, mnPC }, "I4", "203.0.113.11", ""},
	{"an internet prefix entered for My Number", func(t *packet.Tables) {
		t.Prefixes[4].Segment, t.Prefixes[4].Class = mn, mnRest
	}, "I4", "203.0.113.", ""},
	{"a prefix that reaches over two zones", func(t *packet.Tables) { t.Prefixes[0].Prefix = pre("198.18.0.0/18") }, "I4", "", ""},
	{"a prefix beyond its segment", func(t *packet.Tables) { t.Prefixes[0].Prefix = pre("198.18.10.0/23") }, "I4", "", ""},
	{"an internet class relabelled as LGWAN's", func(t *packet.Tables) { class(t, web).Segment = lg }, "I4", "", ""},
	{"the segment table relabels a zone", func(t *packet.Tables) { t.Segments[2].Zone = anchors.MyNumber }, "I10", "", ""},
	{"the segment table swaps two ports", func(t *packet.Tables) {
		t.Segments[0].Port, t.Segments[2].Port = t.Segments[2].Port, t.Segments[0].Port
	}, "I10", "", ""},
	{"the segment table swaps two names", func(t *packet.Tables) {
		t.Segments[0].Name, t.Segments[2].Name = t.Segments[2].Name, t.Segments[0].Name
	}, "I10", "", ""},
	{"the segment table swaps two numbers", func(t *packet.Tables) {
		t.Segments[0].ID, t.Segments[2].ID = t.Segments[2].ID, t.Segments[0].ID
	}, "I10", "", ""},
	{"another VLAN", func(t *packet.Tables) { t.Segments[1].VLAN = 21 }, "I10", "", ""},
	{"no longer strict", func(t *packet.Tables) { t.Segments[0].Strict = false }, "I10", "", ""},
	{"a port posing as a tunnel", func(t *packet.Tables) { t.Segments[2].Tunnel = true }, "I10", "", ""},
	{"a segment that the anchors lack", func(t *packet.Tables) {
		t.Segments = append(t.Segments, packet.Segment{ID: 8, Name: "back-door", Zone: anchors.LGWAN, Port: "x0"})
	}, "I10", "", ""},
	{"a segment of the anchors left out", func(t *packet.Tables) { t.Segments = t.Segments[:6] }, "I10", "", ""},
	{"a segment of the anchors left out with all that is in it", func(t *packet.Tables) {
		t.Segments = t.Segments[:6]
		t.Hosts, t.Prefixes = t.Hosts[:17], t.Prefixes[:9]
		t.Classes = slices.DeleteFunc(t.Classes, func(c packet.Class) bool { return c.Segment == portal })
		t.Cells = slices.DeleteFunc(t.Cells, func(c packet.Cell) bool { return c.Dst == portalHost })
	}, "I10", "", ""},
	{"a host that the anchors give to no zone", func(t *packet.Tables) { host(t, "203.0.113.11").Addr = addr("198.18.99.9") }, "I10", "198.18.99.9", "web-use"},
	{"a segment twice", func(t *packet.Tables) { t.Segments = append(t.Segments, t.Segments[0]) }, Tables, "", ""},

	{"My Number opens to a whole prefix of LGWAN", permit(mnPC, lgFar, https), "I2", "198.18.10.11", "new"},
	{"a whole prefix of My Number opens to LGWAN", permit(mnRest, asp, https), "I2", "-> 198.19.0.11", "new"},
	{"LGWAN opens to a whole region of My Number", permit(lgPC, tokyoRest, https), "I2", "198.18.20.11", "new"},
	{"a range of ports between My Number and LGWAN", permit(mnPC, asp, many), "I2", "tcp/1000", "new"},
	{"a whole protocol between My Number and LGWAN", func(t *packet.Tables) {
		t.Ports = append(t.Ports, packet.PortRange{Proto: 50, Class: 91})
		permit(mnPC, asp, 91)(t)
	}, "I2", "esp", "new"},
	{"a protocol beside single services between LGWAN and My Number", func(t *packet.Tables) {
		t.Ports = append(t.Ports, packet.PortRange{Proto: 47, Class: https})
	}, "I2", "", "eltax"},
	{"a strict station of LGWAN without MAC is opened by My Number", func(t *packet.Tables) {
		host(t, "198.18.20.11").MAC = packet.MAC{}
		permit(mnPC, lgPC, https)(t)
	}, "I4", "198.18.20.11", ""},
	{"a station without MAC opens into LGWAN", func(t *packet.Tables) { host(t, "198.18.10.11").MAC = packet.MAC{} }, "I2", "198.18.10.11", "eltax"},
	{"LGWAN to internet without a record", func(t *packet.Tables) { t.Rules[1].Records = nil }, "I3", "", ""},
	{"LGWAN to internet by a record of the gate", func(t *packet.Tables) { t.Rules[1].Records = []string{"gate:portal-lgwan"} }, "I3", "198.18.20.11", "gate:portal-lgwan"},
	{"My Number to LGWAN by a record of the gate", func(t *packet.Tables) { t.Rules[0].Records = []string{"gate:x"} }, "I3", "198.19.0.11", "gate:x"},
	{"a rule without records inside a zone", func(t *packet.Tables) { t.Rules[3].Records = nil }, "I3", "", ""},
	{"a rule of empty records", func(t *packet.Tables) { t.Rules[1].Records = []string{""} }, "I3", "", ""},

	{"a strict station without MAC", func(t *packet.Tables) { host(t, "198.18.20.11").MAC = packet.MAC{} }, "I4", "198.18.20.11", "web-use"},
	{"a station with a group MAC", func(t *packet.Tables) { host(t, "198.18.20.11").MAC = packet.MAC{1} }, "I4", "198.18.20.11", ""},
	{"a strict prefix bound to a MAC that is no router's", func(t *packet.Tables) { t.Prefixes[0].MAC = pcMAC }, "I4", "", ""},
	{"a routed prefix bound to a stranger", func(t *packet.Tables) { t.Prefixes[3].MAC = pcMAC }, "I4", "", ""},
	{"a routed host bound to a stranger", func(t *packet.Tables) { host(t, "198.19.0.11").MAC = pcMAC }, "I4", "198.19.0.11", "eltax"},
	{"a MAC behind the tunnel", func(t *packet.Tables) { host(t, "198.51.100.11").MAC = pcMAC }, "I4", "", ""},
	{"the gate's address left to a prefix", func(t *packet.Tables) {
		t.Hosts = slices.DeleteFunc(t.Hosts, func(h packet.Host) bool { return h.Addr == addr("203.0.113.1") })
	}, "I4", "", ""},

	{"a multicast group as a station", func(t *packet.Tables) { host(t, "203.0.113.11").Addr = addr("224.0.0.251") }, "I4", "224.0.0.251", ""},
	{"a multicast group of IPv6 as a station", func(t *packet.Tables) { host(t, "2001:db8:31::11").Addr = addr("ff02::fb") }, "I4", "", ""},
	{"everybody's broadcast as a station", func(t *packet.Tables) { host(t, "203.0.113.11").Addr = addr("255.255.255.255") }, "I4", "", ""},

	{"a record for ICMP errors", func(t *packet.Tables) {
		t.Ports = append(t.Ports, packet.PortRange{Proto: 1, Lo: 3, Hi: 3, Class: 91})
		permit(web, lgPC, 91)(t)
	}, "I12", "icmp type 3", "new"},
	{"a record for errors of ICMPv6", func(t *packet.Tables) {
		t.Ports = append(t.Ports, packet.PortRange{Proto: 58, Lo: 127, Hi: 127, Class: 91})
		permit(web, lgPC, 91)(t)
	}, "I12", "", "new"},
	{"a record for echo and what lies around it", func(t *packet.Tables) {
		t.Ports[3].Lo, t.Ports[3].Hi = 8, 11
		permit(web, lgPC, echo)(t)
	}, "I12", "", "new"},

	{"the far side may open, by the same record", func(t *packet.Tables) {
		t.Cells = append(t.Cells, packet.Cell{Src: web, Dst: lgPC, Port: https, Rule: 2})
	}, "I5", "198.18.20.11", "web-use"},
	{"the far side may open on another port, by a rule that shares the record", func(t *packet.Tables) {
		t.Rules = append(t.Rules, packet.Rule{ID: 9, Records: []string{"other", "web-use"}})
		t.Cells = append(t.Cells, packet.Cell{Src: web, Dst: lgPC, Port: many, Rule: 9})
	}, "I5", "tcp/1000", "web-use"},
	{"a class opens to itself", permit(lgPC, lgPC, https), "I5", "198.18.20.11", "new"},
	{"a station's address as the gate's", func(t *packet.Tables) { class(t, lgPC).Kind = packet.KindLocal }, "I5", "", ""},
	{"the gate's address as a station's", func(t *packet.Tables) { class(t, inGate).Kind = packet.KindForward }, "I5", "", ""},
	{"a prefix as the gate's", func(t *packet.Tables) { class(t, inRest).Kind = packet.KindLocal }, "I5", "", ""},
	{"a prefix without cells as the gate's", func(t *packet.Tables) { class(t, mgRest).Kind = packet.KindLocal }, "I5", "", ""},
	{"the gate opens what the anchors do not name", permit(lgGate, lgPC, https), "I5", "the gate: 198.18.20.1 (lgwan) -> 198.18.20.11", "new"},
	{"the gate opens to a peer that the anchors do not name", permit(tokyoGate, tokyoRest, probing), "I5", "198.51.100.62", "new"},
	{"the gate opens the anchored service, but on a wider port class", func(t *packet.Tables) {
		t.Ports = append(t.Ports, packet.PortRange{Proto: 17, Lo: 9, Hi: 9, Class: probing})
	}, "I5", "", "gate:probe"},
	{"the gate serves what the anchors do not name", permit(lgPC, lgGate, https), "I5", "-> 198.18.20.1 (lgwan) tcp/443", "new"},
	{"the gate serves another segment", permit(lgPC, mnGate, echo), "I5", "", "new"},
	{"the gate opens to itself", permit(mnGate, inGate, https), "I5", "", "new"},
	{"the gate serves another zone", permit(lgPC, mnGate, echo), "I9", "198.18.20.11 (lgwan) -> 198.18.10.1 (my-number)", "new"},
	{"the gate opens into another zone", permit(lgGate, web, https), "I9", "the gate: 198.18.20.1 (lgwan) -> 203.0.113.11 (internet)", "new"},
	{"a portal serves another zone, by a designated communication", permit(mnPC, portalHost, https), "I9", "198.18.10.11 (my-number) -> 198.18.120.2 (lgwan)", "new"},
	{"a portal opens into another zone", permit(portalHost, web, https), "I9", "198.18.120.2 (lgwan) -> 203.0.113.11 (internet)", "new"},
	{"one local process in two zones", func(t *packet.Tables) { host(t, "203.0.113.1").Class = mnGate }, "I9", "203.0.113.1", "gate:echo"},
	{"a local process in the class of another of its zone", func(t *packet.Tables) { host(t, "198.18.120.1").Class = lgGate }, "I9", "", ""},
	{"a portal opens", permit(portalHost, lgPC, https), "I5", "port pt-lg MAC 02:53:4b:00:02:02: 198.18.120.2", "new"},

	{"a class that leaves by another port", func(t *packet.Tables) { class(t, asp).Port = "in0" }, "I7", "-> 198.19.0.11", "eltax"},
	{"a class that leaves by another VLAN", func(t *packet.Tables) { class(t, asp).VLAN = 0 }, "I7", "-> 198.19.0.11", "eltax"},
	{"a class that leaves by another next hop", func(t *packet.Tables) { class(t, asp).Via = []netip.Addr{addr("198.18.20.9")} }, "I7", "198.19.0.11", "eltax"},
	{"a next hop for what is reached directly", func(t *packet.Tables) { class(t, web).Via = []netip.Addr{addr("203.0.113.9")} }, "I7", "203.0.113.11", "web-use"},
	{"a routed class that may go directly", func(t *packet.Tables) { class(t, asp).OnLink = true }, "I7", "198.19.0.11", "eltax"},
	{"a direct class that may not go directly", func(t *packet.Tables) { class(t, web).OnLink = false }, "I7", "203.0.113.11", "web-use"},
	{"a region's class that is forwarded in clear", func(t *packet.Tables) { class(t, resident).Kind = packet.KindForward }, "I7", "198.51.100.11", "resident"},
	{"a region's class on the line's port", func(t *packet.Tables) { class(t, resident).Port = "wan0" }, "I7", "198.51.100.11", "resident"},
	{"an office's class into the tunnel", func(t *packet.Tables) { class(t, web).Kind = packet.KindTunnel }, "I7", "", ""},
	{"a next hop in the tunnel", func(t *packet.Tables) { class(t, resident).Via = []netip.Addr{addr("198.51.100.2")} }, "I7", "", ""},
	{"an empty class with a stranger's next hop", func(t *packet.Tables) {
		t.Classes = append(t.Classes, packet.Class{ID: 90, Segment: lg, Kind: packet.KindForward, Port: "lg0", VLAN: 20, Via: []netip.Addr{addr("198.18.20.9")}})
	}, "I7", "", ""},
	{"a routed prefix left to a wider one", func(t *packet.Tables) { t.Prefixes = slices.Delete(t.Prefixes, 3, 4) }, "I7", "", ""},

	{"management into LGWAN", permit(noc, lgPC, https), "I13", "198.18.40.11 (management)", "new"},
	{"LGWAN into management", permit(lgPC, noc, https), "I13", "-> 198.18.40.11", "new"},
	{"the uplink into My Number", permit(endpoint, mnPC, https), "I10", "port wan0 MAC 02:00:00:00:00:01: 192.0.2.11 (uplink)", "new"},
	{"LGWAN out of the uplink", permit(lgPC, lineRest, https), "I10", "-> 192.0.2.", "new"},
	{"forwarding on the uplink", permit(endpoint, lineRest, https), "I10", "", "new"},
	{"a stranger on the uplink reaches WireGuard", permit(lineRest, lineGate, wireguard), "I5", "192.0.2.", "new"},
	{"the line reaches HTTPS on the gate", permit(endpoint, lineGate, https), "I5", "tcp/443", "new"},

	{"a host twice, once in each zone", func(t *packet.Tables) {
		t.Hosts = append(t.Hosts, packet.Host{Addr: addr("203.0.113.11"), Class: mnPC, Segment: mn, MAC: pcMAC})
	}, Tables, "", ""},
	{"an IPv4-mapped host", func(t *packet.Tables) {
		t.Hosts = append(t.Hosts, packet.Host{Addr: addr("::ffff:203.0.113.11"), Class: web, Segment: in})
	}, Tables, "", ""},
	{"a prefix twice", func(t *packet.Tables) { t.Prefixes = append(t.Prefixes, t.Prefixes[0]) }, Tables, "", ""},
	{"a prefix with host bits", func(t *packet.Tables) {
		t.Prefixes[0].Prefix = netip.PrefixFrom(addr("198.18.10.7"), 24)
	}, Tables, "", ""},
	{"a class twice", func(t *packet.Tables) { t.Classes = append(t.Classes, t.Classes[0]) }, Tables, "", ""},
	{"a class of an unknown kind", func(t *packet.Tables) { class(t, web).Kind = 9 }, Tables, "", ""},
	{"a class in an unknown segment", func(t *packet.Tables) { class(t, web).Segment = 99 }, Tables, "", ""},
	{"a host in an unknown class", func(t *packet.Tables) { host(t, "203.0.113.11").Class = 99 }, Tables, "", ""},
	{"a host in an unknown segment", func(t *packet.Tables) { host(t, "203.0.113.11").Segment = 99 }, Tables, "", ""},
	{"a cell of unknown classes", permit(98, 99, https), Tables, "", ""},
	{"a cell of an unknown port class", permit(lgPC, web, 99), Tables, "", ""},
	{"a cell of an unknown rule", func(t *packet.Tables) { t.Cells[1].Rule = 99 }, Tables, "", ""},
	{"a cell twice", func(t *packet.Tables) { t.Cells = append(t.Cells, t.Cells[0]) }, Tables, "", ""},
	{"a bandwidth class out of range", func(t *packet.Tables) { t.Cells[0].BWClass = 64 }, Tables, "", ""},
	{"a rule twice", func(t *packet.Tables) { t.Rules = append(t.Rules, t.Rules[0]) }, Tables, "", ""},
	{"a port in two classes", func(t *packet.Tables) {
		t.Ports = append(t.Ports, packet.PortRange{Proto: 6, Lo: 440, Hi: 450, Class: many})
	}, Tables, "", ""},
	{"ports backwards", func(t *packet.Tables) { t.Ports[5].Lo, t.Ports[5].Hi = 2000, 1000 }, Tables, "", ""},
	{"an ICMP type beyond a byte", func(t *packet.Tables) { t.Ports[3].Hi = 300 }, Tables, "", ""},
	{"a port without a class", func(t *packet.Tables) { t.Ports[0].Class = 0 }, Tables, "", ""},
}

func TestSeededFaultsAreFound(t *testing.T) {
	for _, f := range seeded {
		t.Run(f.name, func(t *testing.T) {
			tables := sound()
			f.spoil(tables)
			got := Check(tables, townAnchors(t))
			for _, v := range got {
				if v.Invariant != f.want {
					continue
				}
				if f.packet != "" && (v.Counterexample == nil || !strings.Contains(v.Counterexample.String(), f.packet)) {
					continue
				}
				if f.records != "" && !slices.Contains(v.Records, f.records) {
					continue
				}
				return
			}
			t.Fatalf("want %s with a packet %q permitted by %q; got %d:\n%v", f.want, f.packet, f.records, len(got), got)
		})
	}
}

// What single services there are may be named between My Number and LGWAN.
func TestSingleServicesAreSilent(t *testing.T) {
	tables := sound()
	for i, r := range []packet.PortRange{{Proto: 6, Lo: 22, Hi: 22}, {Proto: 17, Lo: 53, Hi: 53}, {Proto: 1, Lo: 13, Hi: 13}, {Proto: 58, Lo: 129, Hi: 129}, {Proto: 132, Lo: 3868, Hi: 3868}} {
		r.Class = uint16(90 + i)
		tables.Ports = append(tables.Ports, r)
		permit(mnPC, asp, r.Class)(tables)
		tables.Rules = tables.Rules[:9]
	}
	if got := Check(tables, townAnchors(t)); len(got) > 0 {
		t.Errorf("got %v, want nothing", got)
	}
}

// A record of a whole strict segment covers registered and unregistered addresses; the packet that is shown must be one that
// the station check would let by.
func TestCounterexampleComesFromARegisteredStation(t *testing.T) {
	tables := sound()
	tables.Rules = append(tables.Rules, packet.Rule{ID: 9, Records: []string{"new"}})
	for _, src := range []uint16{mnRest, mnPC} { // the prefix first
		tables.Cells = append(tables.Cells, packet.Cell{Src: src, Dst: web, Port: https, Rule: 9})
	}
	got := Check(tables, townAnchors(t))
	if len(got) != 1 || got[0].Invariant != "I1" || got[0].Counterexample == nil || got[0].Counterexample.SMAC != pcMAC {
		t.Fatalf("got %v, want one I1 with a packet from MAC %s", got, pcMAC)
	}
}

func TestViolationsAreBounded(t *testing.T) {
	tables := sound()
	for i := range 5000 {
		tables.Rules = append(tables.Rules, packet.Rule{ID: uint32(100 + i), Records: []string{"r"}})
		tables.Ports = append(tables.Ports, packet.PortRange{Proto: 17, Lo: uint16(10000 + i), Hi: uint16(10000 + i), Class: uint16(100 + i)})
		tables.Cells = append(tables.Cells, packet.Cell{Src: mnPC, Dst: web, Port: uint16(100 + i), Rule: uint32(100 + i)})
	}
	got := Check(tables, townAnchors(t))
	if len(got) != MaxViolations+1 || !strings.Contains(got[MaxViolations].Message, "more violations") {
		t.Fatalf("got %d violations, want %d and a last one that counts the rest", len(got), MaxViolations+1)
	}
}

// flood is a city's worth of cells: LGWAN to internet, each permitted.
func flood(cells int) *packet.Tables {
	tables := sound()
	const perClass = 50_000
	for i := range perClass {
		tables.Ports = append(tables.Ports, packet.PortRange{Proto: 17, Lo: uint16(8 + i), Hi: uint16(8 + i), Class: uint16(100 + i)})
	}
	tables.Ports = slices.DeleteFunc(tables.Ports, func(r packet.PortRange) bool { return r.Class == wireguard || r.Class == probing })
	tables.Cells = slices.DeleteFunc(tables.Cells, func(c packet.Cell) bool { return c.Port == wireguard || c.Port == probing })
	for d := range cells / perClass {
		id := uint16(200 + d)
		tables.Classes = append(tables.Classes, packet.Class{ID: id, Segment: in, Kind: packet.KindForward, Port: "in0", OnLink: true})
		for i := range perClass {
			tables.Cells = append(tables.Cells, packet.Cell{Src: lgPC, Dst: id, Port: uint16(100 + i), Rule: 2})
		}
	}
	return tables
}

// A control process that lies as much as it can must not keep the gate busy.
func TestManyFaultsCostLittleMoreThanNone(t *testing.T) {
	sorry := func(what string, tables *packet.Tables) {
		c, begin := newChecker(tables, townAnchors(t)), time.Now()
		found := c.run()
		if len(found) != MaxViolations+1 {
			t.Errorf("%s: %d violations, want %d and the count of the rest", what, len(found), MaxViolations)
		}
		if spent := time.Since(begin); spent > 20*time.Second || c.effort > maxEffort+len(tables.Cells)*2*MaxViolations {
			t.Errorf("%s: refused after %s and %d entries looked at", what, spent, c.effort)
		}
	}
	hosts := flood(500_000)
	for i := range 65_000 {
		hosts.Hosts = append(hosts.Hosts, packet.Host{Addr: netip.AddrFrom4([4]byte{198, 19, byte(1 + i/250), byte(1 + i%250)}), Class: lgFar, Segment: lg})
	}
	sorry("65,000 hosts without MAC", hosts)

	nested := flood(0)
	for i := range 65_000 { // a prefix that others fill wholly has no address of its own
		a := netip.AddrFrom4([4]byte{203, 0, byte(i / 250), byte(i % 250)})
		nested.Prefixes = append(nested.Prefixes, packet.Prefix{Prefix: netip.PrefixFrom(a, 32), Class: inRest, Segment: in})
	}
	for i := range 5000 {
		nested.Cells = append(nested.Cells, packet.Cell{Src: mnPC, Dst: inRest, Port: uint16(100 + i), Rule: uint32(100 + i)})
		nested.Rules = append(nested.Rules, packet.Rule{ID: uint32(100 + i), Records: []string{"r"}})
	}
	sorry("65,000 prefixes", nested)
}

func TestEmptyTablesAreRefused(t *testing.T) {
	if got := Check(&packet.Tables{}, townAnchors(t)); len(got) == 0 {
		t.Fatal("got nothing, want the missing segments")
	}
}

// The proof stands on its own: it may know tables and anchors, and nothing of the compiler or the configuration.
func TestProofIsIndependent(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{"github.com/sekisho/sekisho/dataplane/anchors", "github.com/sekisho/sekisho/dataplane/packet"}
	for _, p := range strings.Fields(string(out)) {
		if strings.Contains(p, ".") && !slices.Contains(allowed, p) {
			t.Errorf("imports %s: want only tables and anchors", p)
		}
	}
}

// Where hosts hold all but the network's own address, that one is shown.
func TestCounterexampleMayBeTheNetworksOwnAddress(t *testing.T) {
	tab := sound()
	tab.Prefixes = append(tab.Prefixes, packet.Prefix{Prefix: pre("203.0.113.128/30"), Class: 99, Segment: in})
	tab.Classes = append(tab.Classes, packet.Class{ID: 99, Segment: in, Kind: packet.KindForward, Port: "in0", OnLink: true})
	for _, a := range []string{"203.0.113.129", "203.0.113.130", "203.0.113.131"} {
		tab.Hosts = append(tab.Hosts, packet.Host{Addr: addr(a), Class: web, Segment: in})
	}
	permit(mnPC, 99, https)(tab)
	got := Check(tab, townAnchors(t))
	if len(got) == 0 || got[0].Counterexample == nil || got[0].Counterexample.Dst != addr("203.0.113.128") {
		t.Fatalf("got %v, want a packet to 203.0.113.128", got)
	}
}
