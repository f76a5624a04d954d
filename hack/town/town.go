// Package town is a whole town hall in network namespaces, with the real programs.
//
// Problem: a gate between networks can only be judged between networks, and a developer has one machine. Mechanism: every
// host is a network namespace, every segment a wire of veth pairs (a bridge where several hosts share one), the gate's
// namespace runs the real daemons under their real users. Life cycle: Up writes a record, starts a janitor that outlives
// it, makes hosts, wires and daemons in that order and waits for each to answer; Down, from any process, removes
// everything by the record's name alone. Invariant: nothing of a town exists without its record, nothing leaves its
// namespaces, and what is not the lab's (no record) is never touched.
package town

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/place"
)

// Name is a town's name: the instance of its gate and the prefix of its namespaces. Without hyphens, so that no town's
// name is the beginning of another's namespaces.
type Name string

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9]{0,15}$`)

// ParseName checks a name from the command line.
func ParseName(s string) (Name, error) {
	if !nameForm.MatchString(s) {
		return "", fmt.Errorf("lab name %q: want 1 to 16 lower-case letters and digits, a letter first", s)
	}
	return Name(s), nil
}

// Instance is the town's gate.
func (n Name) Instance() place.Instance { return place.Instance(n) }

// Netns names the namespace of one of the town's hosts.
func (n Name) Netns(host string) string { return string(n) + "-" + host }

// Gate is the host that runs the appliance.
const Gate = "gw"

// wire is one broadcast domain. A wire with a port ends at the gate.
type wire struct {
	name   string // also the name of its switch's namespace: sw-NAME
	port   string // device in the gate's namespace; empty: the wire does not touch the gate
	number byte   // fourth byte of its hosts' MACs
	dev    string // device of its hosts; empty: eth0, the first of a host of its own
	hosts  []Host
}

// device is what the wire's hosts call it.
func (w wire) device() string { return cmp.Or(w.dev, "eth0") }

// Host is one machine beside the gate.
type Host struct {
	Name    string
	Addrs   []netip.Prefix
	Routers []netip.Addr // default routes
	MAC     packet.MAC   // of eth0; made from the wire and the place on it
	Serves  []string     // arguments of `lab serve`, none: the host serves nothing
	Strange bool         // registered nowhere
}

func at(name string, addrs ...string) Host {
	h := Host{Name: name}
	for _, a := range addrs {
		h.Addrs = append(h.Addrs, netip.MustParsePrefix(a))
	}
	return h
}

func (h Host) via(routers ...string) Host {
	for _, r := range routers {
		h.Routers = append(h.Routers, netip.MustParseAddr(r))
	}
	return h
}

func (h Host) serving(args ...string) Host { h.Serves = args; return h }

func (h Host) strange() Host { h.Strange = true; return h }

// wires is the town. Addresses and MACs are those of the example configuration (package examples).
func wires() []wire {
	ws := []wire{
		{name: "mn", number: 0x10, port: "mn0", hosts: []Host{
			at("mn-pc1", "198.18.10.11/24", "2001:db8:10::11/64").via("198.18.10.1", "2001:db8:10::1"),
			at("mn-pc2", "198.18.10.12/24", "2001:db8:10::12/64").via("198.18.10.1", "2001:db8:10::1"),
			at("mn-rogue", "198.18.10.66/24", "2001:db8:10::66/64").via("198.18.10.1", "2001:db8:10::1").strange(),
		}},
		{name: "lg", number: 0x20, port: "lg0", hosts: []Host{
			at("lg-pc1", "198.18.20.11/24", "2001:db8:20::11/64").via("198.18.20.1", "2001:db8:20::1"),
			at("lg-pc2", "198.18.20.12/24", "2001:db8:20::12/64").via("198.18.20.1", "2001:db8:20::1"),
		}},
		{name: "lga", number: 0x21, port: "lga0", hosts: []Host{
			at("lg-asp", "198.18.21.11/24", "2001:db8:21::11/64").via("198.18.21.1", "2001:db8:21::1").serving("--https", "443"),
		}},
		{name: "in", number: 0x30, port: "in0", hosts: []Host{
			at("in-pc1", "198.18.30.11/24", "2001:db8:30::11/64").via("198.18.30.1", "2001:db8:30::1"),
		}},
		{name: "inw", number: 0x31, port: "inw0", hosts: []Host{
			at("in-web", "203.0.113.11/24", "2001:db8:31::11/64").via("203.0.113.1", "2001:db8:31::1").serving("--http", "80", "--https", "443"),
		}},
		{name: "mg", number: 0x40, port: "mg0", hosts: []Host{
			at("noc", "198.18.40.11/24").via("198.18.40.1"),
		}},
		{name: "wan", number: 0x60, port: "wan0", hosts: []Host{
			at("region1", "192.0.2.11/24"),
			at("region2", "192.0.2.12/24"),
		}},
		// The same machines on the second line.
		{name: "wanb", number: 0x63, port: "wan1", dev: "eth1", hosts: []Host{
			at("region1", "198.18.60.11/24"),
			at("region2", "198.18.60.12/24"),
		}},
		{name: "app1", number: 0x61, hosts: []Host{
			at("region1-app", "198.51.100.11/26").via("198.51.100.1").serving("--https", "443"),
		}},
		{name: "app2", number: 0x62, hosts: []Host{
			at("region2-app", "198.51.100.75/26").via("198.51.100.65").serving("--https", "443"),
		}},
	}
	for _, w := range ws {
		for i := range w.hosts {
			w.hosts[i].MAC = packet.MAC{0x02, 0x53, 0x4b, w.number, 0, byte(0x11 + i)}
		}
	}
	return ws
}

// Hosts are the machines beside the gate, in the order of the wires; one that hangs on several has all its addresses, those of
// eth0 first.
func Hosts() []Host {
	var hs []Host
	for _, w := range wires() {
		for _, h := range w.hosts {
			if i := slices.IndexFunc(hs, func(o Host) bool { return o.Name == h.Name }); i >= 0 {
				hs[i].Addrs = append(hs[i].Addrs, h.Addrs...)
				continue
			}
			hs = append(hs, h)
		}
	}
	return hs
}

// HostNamed finds a machine beside the gate.
func HostNamed(name string) (Host, error) {
	for _, h := range Hosts() {
		if h.Name == name {
			return h, nil
		}
	}
	return Host{}, fmt.Errorf("host %q: the town has none of that name; see `lab status`", name)
}

// Addr4 and Addr6 are a host's addresses; zero when it has none of the family.
func (h Host) Addr4() netip.Addr { return h.addr(netip.Addr.Is4) }

// Addr6 is the host's IPv6 address.
func (h Host) Addr6() netip.Addr { return h.addr(netip.Addr.Is6) }

func (h Host) addr(want func(netip.Addr) bool) netip.Addr {
	for _, p := range h.Addrs {
		if want(p.Addr()) {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

// region is a cloud region's gateway: the far end of a tunnel.
type region struct {
	host, app string       // namespaces
	segment   string       // id in the configuration
	inner     netip.Prefix // the region's own network; its gateway answers probes
	gate      netip.Addr   // the gate's address inside the tunnel
}

func regions() []region {
	return []region{
		{host: "region1", app: "region1-app", segment: "tokyo",
			inner: netip.MustParsePrefix("198.51.100.1/26"), gate: netip.MustParseAddr("198.51.100.62")},
		{host: "region2", app: "region2-app", segment: "osaka",
			inner: netip.MustParsePrefix("198.51.100.65/26"), gate: netip.MustParseAddr("198.51.100.126")},
	}
}

// Portal is one portal's address, name and the host of its zone that people use it from.
type Portal struct {
	Zone anchors.Zone
	Addr netip.Addr
	Name string // DNS name in its certificate
	From string // an ordinary station of the zone
}

// stationOf is the host from which a zone's portal is opened.
var stationOf = map[anchors.Zone]string{
	anchors.MyNumber: "mn-pc1", anchors.LGWAN: "lg-pc1", anchors.Internet: "in-pc1", anchors.Management: "noc",
}

// Portals lists the gate's web listeners as the example configuration has them.
func Portals() ([]Portal, error) {
	cfg, errs := config.Parse(examples.Lab)
	if len(errs) > 0 {
		return nil, fmt.Errorf("example configuration of the lab: %w", errs)
	}
	var ps []Portal
	for _, p := range cfg.Portals {
		ps = append(ps, Portal{Zone: p.Zone, Addr: p.Address, Name: p.Name, From: stationOf[p.Zone]})
	}
	return ps, nil
}
