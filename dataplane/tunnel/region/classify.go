package region

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
)

// markMask are the bits of a packet's mark that hold its class: the same as the gate's.
const markMask = 0x3f

const (
	tableName = "sekisho_region"
	inOneGo   = 128     // elements in one message: an attribute holds 64 KiB
	room      = 4 << 20 // bytes: a transaction is one message to the socket
)

// The class of a packet is looked up before it is routed, in maps that the kernel searches in one step each, and put into its
// mark; the mark selects the route and, on the way out of a tunnel device, the class of the tree. Packets of no match stay
// without a mark: they take the main routes and the default class.

// classify replaces the whole table of rules by what the plan says, in one transaction. A nil plan leaves no rules.
func classify(p *plan.Plan, devices []string) error {
	c, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(c.SetWriteBuffer(room), c.SetReadBuffer(room))
	}))
	if err != nil {
		return fmt.Errorf("classify packets: %w", err)
	}
	defer c.CloseLasting() //nolint:errcheck // nothing waits in it
	t := &nftables.Table{Family: nftables.TableFamilyINet, Name: tableName}
	c.AddTable(t)
	c.DelTable(t) // the former one, or the one of the line above
	if p != nil {
		if err := fillTable(c, t, *p, devices); err != nil {
			return fmt.Errorf("classify packets: %w", err)
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("classify packets by plan %016x: %w", planHash(p), err)
	}
	return nil
}

func planHash(p *plan.Plan) uint64 {
	if p == nil {
		return 0
	}
	return p.Hash
}

func fillTable(c *nftables.Conn, t *nftables.Table, p plan.Plan, devices []string) error {
	layers, err := p.Layers()
	if err != nil {
		return err
	}
	c.AddTable(t)
	passing := c.AddChain(&nftables.Chain{Table: t, Name: "passing", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityMangle})
	own := c.AddChain(&nftables.Chain{Table: t, Name: "own", Type: nftables.ChainTypeRoute, Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityMangle})
	leaving := c.AddChain(&nftables.Chain{Table: t, Name: "leaving", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityMangle})
	for _, d := range devices { // what came through a tunnel is none of the region's services
		c.AddRule(&nftables.Rule{Table: t, Chain: passing, Exprs: append(device(expr.MetaKeyIIFNAME, d), &expr.Verdict{Kind: expr.VerdictAccept})})
	}
	for i, l := range layers {
		for _, v6 := range []bool{false, true} {
			s, err := addMap(c, t, fmt.Sprintf("layer%d-%v", i, v6), l, v6)
			if err != nil {
				return err
			}
			for _, chain := range []*nftables.Chain{passing, own} {
				if s != nil {
					c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: lookUp(s, v6)})
				}
			}
		}
	}
	return addPriorities(c, t, leaving, p, devices)
}

func device(key expr.MetaKey, name string) []expr.Any {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: b}}
}

// addMap makes the map of one layer and one family; nil when nothing belongs there.
func addMap(c *nftables.Conn, t *nftables.Table, name string, layer []plan.Match, v6 bool) (*nftables.Set, error) {
	var elements []nftables.SetElement
	for _, m := range layer {
		if m.From.Addr().Is6() == v6 {
			elements = append(elements, element(m))
		}
	}
	if elements == nil {
		return nil, nil
	}
	addr := nftables.TypeIPAddr
	if v6 {
		addr = nftables.TypeIP6Addr
	}
	key, err := nftables.ConcatSetType(addr, addr, nftables.TypeInetProto, nftables.TypeInetService, nftables.TypeInetService)
	if err != nil {
		return nil, err
	}
	s := &nftables.Set{Table: t, Name: name, IsMap: true, Interval: true, Concatenation: true, KeyType: key, DataType: nftables.TypeMark}
	if err := c.AddSet(s, nil); err != nil {
		return nil, err
	}
	for len(elements) > 0 {
		n := min(inOneGo, len(elements))
		if err := c.SetAddElements(s, elements[:n]); err != nil {
			return nil, err
		}
		elements = elements[n:]
	}
	return s, nil
}

// element is a match as the map has it: each field from the first to the last value, each in whole words of 4 bytes.
func element(m plan.Match) nftables.SetElement {
	var lo, hi []byte
	for _, p := range []netip.Prefix{m.From, m.To} {
		first, last := bounds(p)
		lo, hi = append(lo, first...), append(hi, last...)
	}
	protoLast := m.Proto
	if m.Proto == 0 {
		protoLast = 255
	}
	lo, hi = append(lo, m.Proto, 0, 0, 0), append(hi, protoLast, 0, 0, 0)
	for _, p := range []plan.Ports{m.Ports, m.Dest} {
		if p.All() {
			p = plan.Ports{Lo: 0, Hi: 65535}
		}
		lo = append(binary.BigEndian.AppendUint16(lo, p.Lo), 0, 0)
		hi = append(binary.BigEndian.AppendUint16(hi, p.Hi), 0, 0)
	}
	return nftables.SetElement{Key: lo, KeyEnd: hi, Val: binaryutil.NativeEndian.PutUint32(uint32(m.Class))}
}

// bounds are the first and the last address of a prefix.
func bounds(p netip.Prefix) (first, last []byte) {
	first = p.Masked().Addr().AsSlice()
	last = append([]byte{}, first...)
	for i := p.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	return first, last
}

// Registers of 4 bytes: the first of sixteen, and one behind every key.
const (
	word0    = 8
	wordLast = 23
)

// lookUp is the rule that asks one map: a packet that it knows is marked and asked no further.
func lookUp(s *nftables.Set, v6 bool) []expr.Any {
	family, source, size := byte(unix.NFPROTO_IPV4), uint32(12), uint32(4)
	if v6 {
		family, source, size = unix.NFPROTO_IPV6, 8, 16
	}
	words := size / 4
	next := uint32(word0 + 2*words)
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{family}},
		&expr.Payload{DestRegister: word0, Base: expr.PayloadBaseNetworkHeader, Offset: source, Len: size},
		&expr.Payload{DestRegister: word0 + words, Base: expr.PayloadBaseNetworkHeader, Offset: source + size, Len: size},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: next},
		&expr.Payload{DestRegister: next + 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 2},
		&expr.Payload{DestRegister: next + 2, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Lookup{SourceRegister: word0, DestRegister: wordLast, IsDestRegSet: true, SetName: s.Name, SetID: s.ID},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: wordLast},
		&expr.Verdict{Kind: expr.VerdictAccept},
	}
}

// addPriorities turns the mark into the handle of the class's leaf.
func addPriorities(c *nftables.Conn, t *nftables.Table, chain *nftables.Chain, p plan.Plan, devices []string) error {
	s := &nftables.Set{Table: t, Name: "leaf", IsMap: true, KeyType: nftables.TypeMark, DataType: nftables.TypeMark}
	seen := map[uint8]bool{}
	var elements []nftables.SetElement
	for _, d := range p.Devices {
		for _, x := range d.Classes {
			if !seen[x.ID] {
				seen[x.ID] = true
				elements = append(elements, nftables.SetElement{Key: binaryutil.NativeEndian.PutUint32(uint32(x.ID)), Val: binaryutil.NativeEndian.PutUint32(bandwidth.Priority(x.ID))})
			}
		}
	}
	if err := c.AddSet(s, elements); err != nil {
		return err
	}
	for _, d := range devices {
		c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: append(device(expr.MetaKeyOIFNAME, d),
			&expr.Meta{Key: expr.MetaKeyMARK, Register: word0},
			&expr.Bitwise{SourceRegister: word0, DestRegister: word0, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(markMask), Xor: make([]byte, 4)},
			&expr.Lookup{SourceRegister: word0, DestRegister: wordLast, IsDestRegSet: true, SetName: s.Name, SetID: s.ID},
			&expr.Meta{Key: expr.MetaKeyPRIORITY, SourceRegister: true, Register: wordLast})})
	}
	return nil
}
