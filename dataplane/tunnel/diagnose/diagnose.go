// Package diagnose says where the way to a region is broken, and whose part that is.
//
// Problem: a line to the cloud has five parties (town hall, carrier, network operator, cloud, application vendor), each sees a
// part of it, and each says that its own is well. Mechanism: a tree of checks, from the port on the box to the application at the
// far end; a check that fails marks all that depends on it, so that one fault is named once, with what was seen, what to do and
// who has to. Where it matters, the packets are those of the tunnel itself: same owner, ports and endpoint, so that whatever
// judges the tunnel's packets judges them. Life cycle: Run, once, a few seconds; nothing is kept. Invariant: nothing is
// changed (the kernel is asked to ask its neighbour again, no more), nothing is sent that the gate may not send anyway, and what
// cannot be known is said to be unknown.
package diagnose

import (
	"context"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
)

// Limit is how long a Run may take. What is not done by then is unknown.
const Limit = 5 * time.Second

// State of a check.
type State string

// A check is skipped when one that it depends on has failed.
const (
	OK      State = "ok"
	Failed  State = "failed"
	Skipped State = "skipped"
	Unknown State = "unknown"
)

// Party is who has to act.
type Party string

const (
	TownHall Party = "town-hall"
	Carrier  Party = "carrier"
	Operator Party = "operator" // of the municipal network and the far end in the cloud
	Cloud    Party = "cloud"
	Vendor   Party = "vendor" // of the application
)

// Parties in the order of the way.
var Parties = []Party{TownHall, Carrier, Operator, Cloud, Vendor}

// Subject is one region by one line, and what is known of it without looking.
type Subject struct {
	Region   string
	End      string // peer
	Contract string // line of the configuration; "" = not told
	Device   string // tunnel
	Line     string // device that the outer packets leave by
	Listen   uint16
	Embedded bool // its engine is a program of its own
	Owner    int  // user id whose the tunnel's outer packets are; 0 = root's or the kernel's
	Addrs    []netip.Addr
	Claimed  func(netip.Addr) (mac string, ok bool) // somebody else has lately used this address on the line; nil: nobody can tell
	LineMTU  int                                    // bytes that the line should carry, outer headers included; 0 = what its port is set to

	Endpoint netip.AddrPort
	Allowed  []netip.Prefix
	Source   netip.Addr     // the gate's own inside the tunnel
	Probe    netip.AddrPort // echo inside the tunnel; zero = none
	Tunnel   Tunnel

	Ways  []Way
	Pairs []Pair                 // of NAT, by the anchors
	InUse func() ([]Pair, error) // nil: nobody can tell

	Resolver netip.AddrPort // zero: none is configured
	Name     string         // that it is to resolve; "" = none
	Services []netip.AddrPort
	Flows    func() ([]Flow, error) // towards the region, now; nil: nobody can tell
}

// Tunnel is what its engine and its probes say.
type Tunnel struct {
	Handshake time.Time // zero: never
	Answered  bool      // by the probes, lately
	RTT       time.Duration
	Loss      float64 // 0..1, of the last probes
	Error     string  // the engine cannot be asked
}

// Way is the device by which packets of a class are to leave; class 0: all that have none of their own.
type Way struct {
	Class  uint8
	Device string
}

// Pair is a 1:1 mapping.
type Pair struct{ Inside, Outside netip.Prefix }

// Flow is what one application's connections towards the region have carried.
type Flow struct {
	Service netip.AddrPort // at the region
	Proto   string         // "tcp", "udp"
	Record  string         // that permits it
	Out, In uint64         // packets towards the region, and back
	Idle    time.Duration
}

// Result is one check with all that depends on it. Texts belong to the catalogues: seen.CODE, remedy.CODE, with Args.
type Result struct {
	ID      string   `json:"id"`
	State   State    `json:"state"`
	Because string   `json:"because,omitempty"` // skipped: the check that failed
	Code    string   `json:"code,omitempty"`    // what was found
	Args    []string `json:"args,omitempty"`    // evidence, in the order of the texts' arguments
	Party   Party    `json:"party"`             // who is responsible for what was checked, or for what was found
	Below   []Result `json:"below,omitempty"`
}

// node is one check and what depends on it.
type node struct {
	id    string
	check func(*look, context.Context) finding
	below []node
}

// tree is what depends on what. Nothing depends on the path MTU: what is lost for its size is large, and all other checks are small.
var tree = node{"port", (*look).port, []node{
	{"link", (*look).link, []node{
		{"address", (*look).address, []node{
			{"gateway", (*look).gateway, []node{
				{"reach", (*look).reach, []node{
					{"handshake", (*look).handshake, []node{
						{"probe", (*look).probe, []node{
							{"loss", (*look).loss, nil},
							{"route", (*look).route, []node{
								{"nat", (*look).nat, nil},
								{"dns", (*look).dns, nil},
								{"application", (*look).application, nil},
							}},
						}},
						{"mtu", (*look).mtu, nil},
					}},
				}},
			}},
		}},
	}},
}}

// finding is a check's outcome; its code says what was found, and kinds what that means.
type finding struct {
	code string
	args []string
}

func found(code string, args ...string) finding { return finding{code, args} }

// Run looks along the way, within Limit.
func Run(ctx context.Context, s Subject) Result {
	ctx, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()
	l := &look{Subject: s}
	return l.run(ctx, tree, "")
}

// run checks a node and what depends on it; because names the failed check above.
func (l *look) run(ctx context.Context, n node, because string) Result {
	r := Result{ID: n.id, Party: parties[n.id]}
	switch {
	case because != "":
		r.State, r.Because = Skipped, because
	case ctx.Err() != nil:
		r.State, r.Code = Unknown, codeLate
	default:
		f := n.check(l, ctx)
		r.Code, r.Args = f.code, f.args
		k := kinds[f.code]
		r.State = k.State
		if k.Party != "" {
			r.Party = k.Party
		}
		if r.State == Failed {
			because = n.id
		}
	}
	for _, b := range n.below {
		r.Below = append(r.Below, l.run(ctx, b, because))
	}
	return r
}

// Walk calls f for a result and all below, in the order of the way.
func (r Result) Walk(f func(r Result, depth int)) { r.walk(f, 0) }

func (r Result) walk(f func(Result, int), depth int) {
	f(r, depth)
	for _, b := range r.Below {
		b.walk(f, depth+1)
	}
}

// Worst is the first check that failed, in the order of the way.
func (r Result) Worst() (worst Result, failed bool) {
	r.Walk(func(x Result, _ int) {
		if x.State == Failed && !failed {
			worst, failed = x, true
		}
	})
	return worst, failed
}

// look is one Run.
type look struct {
	Subject
	device netlink.Link  // the line
	out    netlink.Route // by which the tunnel's packets leave
	echoed time.Duration // round trip of an echo just now; 0 = none
}
