// Package backstop is the second engine on the stack: coarse zone rules in nftables, written apart from the packet core.
//
// Problem: one fault in the packet core, or a port that lost its program, must not open the way between two zones; and no
// process in the gate's namespace may speak to a network that is not its own. Mechanism: one table `inet sekisho`, made from
// the anchors alone. Input and forward demand the mark that only the packet core's ingress gives (its upper half is random
// per boot); forward besides refuses the zone pairs that are never joined, by device and by prefix, marked or not; output
// admits by the user that owns the socket. Life cycle: Install replaces the whole table in one transaction, at any time;
// nothing ever flushes it; Look tells whether what stands is what was installed. Invariant: there is no moment without rules, and what no rule admits is dropped and counted.
package backstop

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Table is the name of the table, family inet.
const Table = "sekisho"

// Options say what the rules are made from.
type Options struct {
	Anchors *anchors.Anchors
	Magic   uint16 // upper half of the packet core's mark; not 0
	Tunnel  uint32 // user id of the WireGuard engine
	Kernel  bool   // WireGuard is the kernel's: its packets have no socket owner

	Isolated []anchors.Zone // zones that people have cut off
}

// Count is what a counter of the table holds.
type Count struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// Names of the counters.
const (
	inputAllowed    = "input-allowed"
	inputUnmarked   = "input-unmarked"   // not from the packet core
	inputUplink     = "input-uplink"     // on a line, but not WireGuard from an anchored endpoint
	forwardAllowed  = "forward-allowed"  // includes packets that only confirm a neighbour
	forwardUnmarked = "forward-unmarked" // not from the packet core
	forwardPair     = "forward-pair"     // marked, but joins zones that are never joined
	forwardPort     = "forward-port"     // in or out by a device that the anchors do not name
	inputIsolated   = "input-isolated"   // from a zone that people have cut off, and no neighbour discovery
	forwardIsolated = "forward-isolated" // from or to such a zone
	outputIsolated  = "output-isolated"  // to such a zone, and no neighbour discovery
	outputAllowed   = "output-allowed"
	outputTunnel    = "output-tunnel"  // WireGuard engine, not towards an anchored endpoint
	outputRoot      = "output-root"    // the dataplane, not an anchored service
	outputUser      = "output-user"    // any other user
	outputAnswers   = "output-answers" // the kernel's own: echo replies, errors, neighbour discovery
	outputKernel    = "output-kernel"  // no owner, not needed
)

var counterNames = []string{inputAllowed, inputUnmarked, inputUplink, forwardAllowed, forwardUnmarked, forwardPair, forwardPort,
	outputAllowed, outputTunnel, outputRoot, outputUser, outputAnswers, outputKernel, inputIsolated, forwardIsolated, outputIsolated}

// Install puts the rules in force in this network namespace, in place of those that were there. Counters go on.
// The print is what Look finds as long as nobody changes them. It is taken between two generations of which the second is the
// very next: so no change of somebody else's is part of it.
func Install(o Options) (Print, error) {
	if o.Anchors == nil || o.Magic == 0 || o.Tunnel == 0 {
		return Print{}, errors.New("install backstop: needs anchors, the packet core's magic and the engine's user")
	}
	k, err := dial()
	if err != nil {
		return Print{}, fmt.Errorf("install backstop: %w", err)
	}
	defer k.Close()
	for range 5 {
		before, err := k.generation()
		if err == nil {
			err = replace(o)
		}
		if err != nil {
			return Print{}, fmt.Errorf("install backstop: %w", err)
		}
		p, err := k.look()
		if err != nil {
			return Print{}, fmt.Errorf("install backstop: look at what was installed: %w", err)
		}
		after, err := k.generation()
		if err != nil {
			return Print{}, fmt.Errorf("install backstop: %w", err)
		}
		if after == before+1 || after == 1 && before == ^uint32(0) {
			return p, nil
		}
	}
	return Print{}, errors.New("install backstop: somebody else changes rules at the same time, again and again")
}

// replace is one transaction.
func replace(o Options) error {
	c, err := nftables.New(nftables.WithSockOptions(roomy))
	if err != nil {
		return err
	}
	old, err := Counters()
	if err != nil {
		return err
	}
	b := &builder{Options: o, conn: c, table: &nftables.Table{Name: Table, Family: nftables.TableFamilyINet}}
	c.AddTable(b.table) // so that there is one to delete
	c.DelTable(b.table)
	c.AddTable(b.table)
	for _, n := range counterNames {
		c.AddObj(&nftables.CounterObj{Table: b.table, Name: n, Packets: old[n].Packets, Bytes: old[n].Bytes})
	}
	b.zoneSets()
	b.input()
	b.forward()
	b.output()
	if b.err != nil {
		return b.err
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("the kernel refuses the rules, the former ones stay: %w", err)
	}
	return nil
}

// Remove deletes the table. For labs and tests: afterwards the stack forwards whatever reaches it.
func Remove() error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("remove backstop: %w", err)
	}
	t := &nftables.Table{Name: Table, Family: nftables.TableFamilyINet}
	c.AddTable(t)
	c.DelTable(t)
	if err := c.Flush(); err != nil {
		return fmt.Errorf("remove backstop: %w", err)
	}
	return nil
}

// Counters reads the counters by name; empty when the table is not there.
func Counters() (map[string]Count, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("read backstop: %w", err)
	}
	objs, err := c.GetObjects(&nftables.Table{Name: Table, Family: nftables.TableFamilyINet})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("read backstop: %w", err)
	}
	out := map[string]Count{}
	for _, o := range objs {
		if x, ok := o.(*nftables.CounterObj); ok {
			out[x.Name] = Count{x.Packets, x.Bytes}
		}
	}
	return out, nil
}

// roomy makes place for a whole transaction and for the kernel's answer to each of its messages.
func roomy(c *netlink.Conn) error {
	const bytes = 8 << 20
	return errors.Join(c.SetReadBuffer(bytes), c.SetWriteBuffer(bytes))
}

// builder collects one transaction.
type builder struct {
	Options
	conn  *nftables.Conn
	table *nftables.Table
	err   error

	devices *nftables.Set                                         // every device of the anchors
	zoneDev [anchors.Zones]*nftables.Set                          // devices whose segments all lie in one zone
	zoneNet [anchors.Zones]map[nftables.TableFamily]*nftables.Set // prefixes of a zone by IP version
}

func (b *builder) chain(name string, hook *nftables.ChainHook) *nftables.Chain {
	policy := nftables.ChainPolicyDrop
	return b.conn.AddChain(&nftables.Chain{Name: name, Table: b.table, Type: nftables.ChainTypeFilter, Hooknum: hook,
		Priority: nftables.ChainPriorityFilter, Policy: &policy})
}

// rule adds one rule: all parts in order.
func (b *builder) rule(c *nftables.Chain, parts ...[]expr.Any) {
	var all []expr.Any
	for _, p := range parts {
		all = append(all, p...)
	}
	b.conn.AddRule(&nftables.Rule{Table: b.table, Chain: c, Exprs: all})
}

// marked matches packets that carry the packet core's mark.
func (b *builder) marked(op expr.CmpOp) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(0xffff0000), Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: 1, Data: binaryutil.NativeEndian.PutUint32(uint32(b.Magic) << 16)},
	}
}

// input: what is meant for the gate itself.
func (b *builder) input() {
	c := b.chain("input", nftables.ChainHookInput)
	b.rule(c, device(expr.MetaKeyIIFNAME, "lo"), verdict(expr.VerdictAccept))
	b.rule(c, b.marked(expr.CmpOpNeq), drop(inputUnmarked))
	b.shut(c, source, notDiscovery(), inputIsolated)
	if lines := b.zoneDev[anchors.Uplink]; lines != nil {
		b.inputFromLine(c, set(expr.MetaKeyIIFNAME, lines, false))
	}
	b.rule(c, accept(inputAllowed))
}

// inputFromLine: a carrier's line brings WireGuard from the anchored endpoints, and what IP itself needs.
func (b *builder) inputFromLine(c *nftables.Chain, line []expr.Any) {
	for _, t := range b.Anchors.Tunnels {
		for _, p := range t.Peers {
			b.rule(c, line, address(source, p.Endpoint.Addr()), l4(unix.IPPROTO_UDP), port(destination, t.Listen), accept(inputAllowed))
		}
	}
	for _, proto := range []byte{unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6} { // "packet too big", neighbour discovery
		b.rule(c, line, l4(proto), accept(inputAllowed))
	}
	b.rule(c, line, drop(inputUplink))
}

// forward: what the stack carries from one network to another; mostly into tunnels and to portals.
func (b *builder) forward() {
	c := b.chain("forward", nftables.ChainHookForward)
	b.rule(c, b.marked(expr.CmpOpNeq), drop(forwardUnmarked))
	b.shut(c, source, anything, forwardIsolated)
	b.shut(c, destination, anything, forwardIsolated)
	for _, p := range neverJoined() {
		for _, from := range b.side(source, p[0]) {
			for _, to := range b.side(destination, p[1]) {
				if from.family == 0 || to.family == 0 || from.family == to.family {
					b.rule(c, from.match, to.match, drop(forwardPair))
				}
			}
		}
	}
	b.rule(c, set(expr.MetaKeyIIFNAME, b.devices, true), drop(forwardPort))
	b.rule(c, set(expr.MetaKeyOIFNAME, b.devices, true), drop(forwardPort))
	for _, t := range b.Anchors.Tunnels {
		b.rule(c, device(expr.MetaKeyOIFNAME, t.Device), clampMSS())
		b.rule(c, device(expr.MetaKeyIIFNAME, t.Device), clampMSS())
	}
	b.rule(c, accept(forwardAllowed))
}

// neverJoined are the ordered zone pairs that no packet may cross: My Number and internet (I1); management and any other
// (I13); a carrier's line and any, itself included.
func neverJoined() [][2]anchors.Zone {
	var out [][2]anchors.Zone
	for a := anchors.MyNumber; a < anchors.Zones; a++ {
		for b := anchors.MyNumber; b < anchors.Zones; b++ {
			i1 := a == anchors.MyNumber && b == anchors.Internet || a == anchors.Internet && b == anchors.MyNumber
			i13 := a != b && (a == anchors.Management || b == anchors.Management)
			if i1 || i13 || a == anchors.Uplink || b == anchors.Uplink {
				out = append(out, [2]anchors.Zone{a, b})
			}
		}
	}
	return out
}

// output: what processes of the gate's namespace, and the kernel itself, send.
func (b *builder) output() {
	c := b.chain("output", nftables.ChainHookOutput)
	b.rule(c, device(expr.MetaKeyOIFNAME, "lo"), verdict(expr.VerdictAccept))
	b.shut(c, destination, notDiscovery(), outputIsolated)
	engine := []expr.Any{}
	if !b.Kernel {
		engine = owner(b.Tunnel)
	}
	for _, t := range b.Anchors.Tunnels {
		b.wireguard(c, engine, t)
	}
	b.rule(c, owner(b.Tunnel), drop(outputTunnel))
	for _, s := range b.Anchors.Services {
		b.service(c, s)
	}
	b.rule(c, owner(0), drop(outputRoot))
	b.rule(c, anyOwner(), drop(outputUser))
	// What is left has no owner: the kernel's own answers. Echo replies, errors, neighbour discovery.
	for _, t := range []byte{0, 3, 11, 12} {
		b.rule(c, l4(unix.IPPROTO_ICMP), icmpType(t), accept(outputAnswers))
	}
	for _, t := range []byte{1, 2, 3, 4, 129, 135, 136} {
		b.rule(c, l4(unix.IPPROTO_ICMPV6), icmpType(t), accept(outputAnswers))
	}
	b.rule(c, drop(outputKernel))
}

// wireguard lets the engine speak from its port and the line's own address to its anchored endpoints, by the line.
func (b *builder) wireguard(c *nftables.Chain, engine []expr.Any, t anchors.Tunnel) {
	line, ok := b.Anchors.Segment(t.Line)
	if !ok {
		b.err = fmt.Errorf("tunnel %s: line %q is no segment", t.Device, t.Line)
		return
	}
	for _, p := range t.Peers {
		b.rule(c, engine, device(expr.MetaKeyOIFNAME, deviceOf(line)), address(destination, p.Endpoint.Addr()), l4(unix.IPPROTO_UDP),
			port(source, t.Listen), port(destination, p.Endpoint.Port()), accept(outputAllowed))
	}
}

// service lets root send what an anchored service needs: its own requests, or its answers. WireGuard's are not root's.
func (b *builder) service(c *nftables.Chain, s anchors.Service) {
	seg, ok := b.Anchors.Segment(s.Segment)
	if !ok {
		b.err = fmt.Errorf("service %s: %q is no segment", s.ID, s.Segment)
		return
	}
	if seg.Zone == anchors.Uplink {
		return
	}
	peers := s.From
	if len(peers) == 0 {
		peers = seg.Prefixes
	}
	for _, by := range b.Anchors.Devices(seg) {
		for _, own := range seg.Gate {
			for _, peer := range peers {
				if peer.Addr().Is4() == own.Is4() {
					b.exchange(c, s, own, join(device(expr.MetaKeyOIFNAME, by), address(source, own), prefix(destination, peer)))
				}
			}
		}
	}
}

// exchange lets root send what one service needs between two ends by one device, which head matches.
func (b *builder) exchange(c *nftables.Chain, s anchors.Service, own netip.Addr, head []expr.Any) {
	switch {
	case s.Proto == "tcp" || s.Proto == "udp":
		proto, at := byte(unix.IPPROTO_TCP), source
		if s.Proto == "udp" {
			proto = unix.IPPROTO_UDP
		}
		if s.Out {
			at = destination
		}
		b.rule(c, owner(0), head, l4(proto), ports(at, s.Port, s.Last), accept(outputAllowed))
	case s.Out && s.Proto == "icmp" && own.Is4():
		b.rule(c, owner(0), head, l4(unix.IPPROTO_ICMP), icmpType(byte(s.Port)), accept(outputAllowed))
	case s.Out && s.Proto == "icmp6" && own.Is6():
		b.rule(c, owner(0), head, l4(unix.IPPROTO_ICMPV6), icmpType(byte(s.Port)), accept(outputAllowed))
	}
}

// deviceOf is the device by which the stack reaches a segment.
func deviceOf(s *anchors.Segment) string { return s.Device() }

// half is one way of telling a zone at one end of a packet; family 0 fits both IP versions.
type half struct {
	family nftables.TableFamily
	match  []expr.Any
}

// side lists every way in which a packet can belong to the zone at its source or destination.
func (b *builder) side(e end, z anchors.Zone) []half {
	var out []half
	if s := b.zoneDev[z]; s != nil {
		out = append(out, half{match: set(e.device(), s, false)})
	}
	for _, f := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6} {
		if s := b.zoneNet[z][f]; s != nil {
			out = append(out, half{family: f, match: inSet(e, f, s)})
		}
	}
	return out
}
