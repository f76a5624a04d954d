package backstop

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// anything matches every packet.
var anything = [][]expr.Any{nil}

// shut drops what has one of its ends in a zone that people have cut off, as far as one of the matches fits. Of the uplink, the
// tunnels are shut with the lines.
func (b *builder) shut(c *nftables.Chain, e end, matches [][]expr.Any, counter string) {
	for _, z := range b.Isolated {
		sides := b.side(e, z)
		if z == anchors.Uplink {
			for _, t := range b.Anchors.Tunnels {
				sides = append(sides, half{match: device(e.device(), t.Device)})
			}
		}
		for _, s := range sides {
			for _, m := range matches {
				b.rule(c, s.match, m, drop(counter))
			}
		}
	}
}

// notDiscovery matches all but neighbour discovery of IPv6 (RFC 4861), one of them each; ARP does not come here.
func notDiscovery() [][]expr.Any {
	const first, last = 133, 137 // types of ICMPv6
	typ := func(op expr.CmpOp, n byte) []expr.Any {
		return join(l4(unix.IPPROTO_ICMPV6), []expr.Any{
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1},
			&expr.Cmp{Op: op, Register: 1, Data: []byte{n}},
		})
	}
	return [][]expr.Any{
		{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{unix.IPPROTO_ICMPV6}}},
		typ(expr.CmpOpLt, first),
		typ(expr.CmpOpGt, last),
	}
}
