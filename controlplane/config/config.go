// Package config reads the one YAML document that says what the gate shall be.
//
// Problem: the document is written by hand, by people who are not network people, and a slip in it can join two networks
// or cut a town hall off. Mechanism: the text is bounded, parsed into a syntax tree with positions, decoded strictly into
// the types below, and then checked as a whole; every fault becomes one Error with its line, column, the offending text
// and what would be right, and all faults are reported at once. Life cycle: Parse makes a Config, package policy compiles
// it, nothing changes it afterwards. Invariant: a Config that Parse returned without errors holds no dangling reference,
// no address outside its segment, no two segments that overlap, and no file route between My Number and the internet.
// Whether its communications keep the zones apart is not decided here: that is proven over the compiled tables.
package config

import (
	"net/netip"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Version of the document that this program reads.
const Version = 1

// Config is the whole document. Fields tagged need:"yes" must be present.
type Config struct {
	Version        int             `yaml:"version" need:"yes"`
	Town           Text            `yaml:"town" need:"yes"`
	Model          string          `yaml:"model" need:"yes"`          // alpha, alpha-prime, beta, beta-prime
	PickUp         uint16          `yaml:"pick-up-seconds,omitempty"` // after a start of the machine, for TCP connections that were open before; 0 = none
	FourEyes       bool            `yaml:"four-eyes,omitempty"`       // what touches My Number needs a second administrator's approval
	Ports          []Port          `yaml:"ports" need:"yes"`
	Segments       []Segment       `yaml:"segments" need:"yes"`
	Stations       []Station       `yaml:"stations,omitempty"`
	Services       []Service       `yaml:"services,omitempty"`
	Groups         []Group         `yaml:"groups,omitempty"`
	Windows        []Window        `yaml:"windows,omitempty"`
	Communications []Communication `yaml:"communications,omitempty"`
	Classes        []Class         `yaml:"classes,omitempty"`
	Lines          []Line          `yaml:"lines,omitempty"`
	Tunnels        []Tunnel        `yaml:"tunnels,omitempty"`
	Regions        []Region        `yaml:"regions,omitempty"`
	Portals        []Portal        `yaml:"portals,omitempty"`
	Transfers      []Transfer      `yaml:"transfers,omitempty"`
	Measures       []Measure       `yaml:"measures,omitempty"`

	src *source // where each value stood; nil when not parsed
}

// Text is a name in both languages of the UI; English may be missing.
type Text struct {
	JA string `yaml:"ja" need:"yes"`
	EN string `yaml:"en,omitempty"`
}

// Port is one guarded device of the box; everything on it belongs to one zone.
type Port struct {
	ID   string       `yaml:"id" need:"yes"` // device name
	Zone anchors.Zone `yaml:"zone" need:"yes"`
	Name Text         `yaml:"name,omitempty"`
}

// Segment is one network: (port, VLAN), a region behind a tunnel, or the link to a portal. Exactly one of Port, Tunnel,
// Portal is given.
type Segment struct {
	ID       string         `yaml:"id" need:"yes"`
	Zone     anchors.Zone   `yaml:"zone" need:"yes"`
	Port     string         `yaml:"port,omitempty"`
	VLAN     uint16         `yaml:"vlan,omitempty"`       // 1..4094; 0 = untagged
	Outer    uint16         `yaml:"outer-vlan,omitempty"` // service tag (802.1ad) around VLAN, 1..4094; 0 = none
	Tunnel   string         `yaml:"tunnel,omitempty"`     // tunnel device
	Portal   bool           `yaml:"portal,omitempty"`
	Prefixes []netip.Prefix `yaml:"prefixes" need:"yes"`
	Gate     []netip.Addr   `yaml:"gate"`             // the gate's own addresses; in a tunnel segment the probe's source
	Strict   bool           `yaml:"strict,omitempty"` // MAC and IP of every sender must be registered
	Routers  []Router       `yaml:"routers,omitempty"`
	Limits   Limits         `yaml:"limits,omitempty"`
	Name     Text           `yaml:"name,omitempty"`

	// What else may come in here; without these it is refused. Only on ports, and not in zones my-number and uplink.
	Multicast   bool `yaml:"multicast,omitempty"`             // group addresses stand for the gate's own
	Advertising bool `yaml:"router-advertisements,omitempty"` // of registered stations and routers
	DHCPServers bool `yaml:"dhcp-servers,omitempty"`          // answers of DHCP servers

	TrustDSCP bool `yaml:"trust-dscp,omitempty"` // what its senders write into the DSCP field names the bandwidth class, where no record or service does
}

// Limits bound what the initiators of a segment may take of the flow table; 0 = what the compiler gives everybody.
type Limits struct {
	Flows        uint32 `yaml:"flows,omitempty"`            // live flows of the segment
	Rate         uint32 `yaml:"flows-per-second,omitempty"` // new ones a second
	StationFlows uint32 `yaml:"station-flows,omitempty"`    // of one source address
	StationRate  uint32 `yaml:"station-flows-per-second,omitempty"`
}

// Router is a registered next hop inside a segment.
type Router struct {
	MAC       packet.MAC     `yaml:"mac" need:"yes"`
	Addresses []netip.Addr   `yaml:"addresses" need:"yes"` // at most one IPv4 and one IPv6
	Behind    []netip.Prefix `yaml:"behind" need:"yes"`    // inside the segment's prefixes
}

// Station is one registered sender: MAC and addresses.
type Station struct {
	ID        string       `yaml:"id" need:"yes"`
	Segment   string       `yaml:"segment" need:"yes"`
	MAC       packet.MAC   `yaml:"mac,omitempty"` // required in strict segments; none in tunnels and behind routers
	Addresses []netip.Addr `yaml:"addresses" need:"yes"`
	Owner     string       `yaml:"owner,omitempty"`
	Name      Text         `yaml:"name,omitempty"`
}

// Service is one host's ports that communications may name.
type Service struct {
	ID        string       `yaml:"id" need:"yes"`
	Segment   string       `yaml:"segment" need:"yes"`
	MAC       packet.MAC   `yaml:"mac,omitempty"` // as for stations
	Addresses []netip.Addr `yaml:"addresses" need:"yes"`
	Ports     []PortSpec   `yaml:"ports" need:"yes"`
	Class     string       `yaml:"class,omitempty"` // bandwidth class of records that name the service and no class of their own
	Owner     string       `yaml:"owner,omitempty"`
	Name      Text         `yaml:"name,omitempty"`
}

// Group names several stations, or several services, at once: exactly one of the lists.
type Group struct {
	ID       string   `yaml:"id" need:"yes"`
	Stations []string `yaml:"stations,omitempty"`
	Services []string `yaml:"services,omitempty"`
	Name     Text     `yaml:"name,omitempty"`
}

// Window is the part of every week in which communications that name it are in force.
type Window struct {
	ID   string `yaml:"id" need:"yes"`
	Name Text   `yaml:"name,omitempty"`
	Days []Day  `yaml:"days" need:"yes"` // on which it begins
	From Clock  `yaml:"from" need:"yes"`
	To   Clock  `yaml:"to" need:"yes"` // first minute outside; not after From: on the next day
}

// Communication is one designated communication (特定通信): who opens what, why, and when.
type Communication struct {
	ID       string     `yaml:"id" need:"yes"`
	Name     Text       `yaml:"name,omitempty"`
	State    State      `yaml:"state,omitempty"` // empty = active; only active ones permit
	From     From       `yaml:"from" need:"yes"`
	To       To         `yaml:"to" need:"yes"`
	Ports    []PortSpec `yaml:"ports"`           // empty with services: the services' own ports
	Class    string     `yaml:"class,omitempty"` // bandwidth class; empty = the service's, else by DSCP, else the line's default
	Purpose  string     `yaml:"purpose" need:"yes"`
	Basis    string     `yaml:"basis,omitempty"`
	Owner    string     `yaml:"owner" need:"yes"`
	Approved Approval   `yaml:"approved,omitempty"`
	Since    Moment     `yaml:"since,omitempty"`  // first day or minute in force; none = at once
	Until    Moment     `yaml:"until,omitempty"`  // last day, or first minute no longer in force; none = no end
	Review   Moment     `yaml:"review,omitempty"` // last day by which somebody looks whether it is still needed
	Window   string     `yaml:"window,omitempty"` // none = at any time
}

// Approval is who let a communication be, and when; the zero value means nobody yet. It permits nothing by itself.
type Approval struct {
	By string `yaml:"by" need:"yes"`
	On Moment `yaml:"on" need:"yes"`
}

// From is who may open: exactly one of the lists. A segment means all of its addresses but the gate's own.
type From struct {
	Stations []string `yaml:"stations,omitempty"`
	Groups   []string `yaml:"groups,omitempty"`
	Segments []string `yaml:"segments,omitempty"`
}

// To is what may be opened: exactly one of the lists. A prefix never means the gate's own addresses.
type To struct {
	Services []string       `yaml:"services,omitempty"`
	Stations []string       `yaml:"stations,omitempty"`
	Groups   []string       `yaml:"groups,omitempty"`
	Prefixes []netip.Prefix `yaml:"prefixes,omitempty"`
}

// Portal is a zone's web listener; it may be opened, and opens nothing.
type Portal struct {
	Zone    anchors.Zone `yaml:"zone" need:"yes"`
	Address netip.Addr   `yaml:"address" need:"yes"`
	Name    string       `yaml:"name" need:"yes"`  // DNS name
	Reach   []string     `yaml:"reach" need:"yes"` // segments of its zone that may open tcp/443 to it
}

// Transfer is one file route.
type Transfer struct {
	From      anchors.Zone `yaml:"from" need:"yes"`
	To        anchors.Zone `yaml:"to" need:"yes"`
	Approvals []string     `yaml:"approvals" need:"yes"`
	Formats   []string     `yaml:"formats" need:"yes"`
	MaxSize   Size         `yaml:"max-size" need:"yes"`
	KeepDays  int          `yaml:"keep-days" need:"yes"`
	// Decision is the security officer's recorded decision (who, when, under which number) to let files in from the internet
	// without prior approval (F5).
	Decision string `yaml:"decision,omitempty"`
	// Sanitize is what is done on this route where there is a choice; without it the safe default of each.
	Sanitize verdict.Policy `yaml:"sanitize,omitempty"`
}
