package packet

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Mappings reads back by which 1:1 mappings packets are rewritten now, in the order of segments and prefixes.
func (c *Core) Mappings() ([]anchors.NAT, error) {
	var out []anchors.NAT
	var k natKey
	var s natSide
	it := c.objects.NatInside.Iterate()
	for it.Next(&k, &s) {
		if k.Segment == 0 || int(k.Segment) > len(c.anchors.Segments) || k.Length < 32 || k.Length > 64 {
			return nil, fmt.Errorf("read the mappings towards regions: an entry of segment %d with %d bits is none of ours", k.Segment, k.Length)
		}
		bits := int(k.Length) - 32
		out = append(out, anchors.NAT{Segment: c.anchors.Segments[k.Segment-1].ID, Inside: natPrefix(k.Addr, bits), Outside: natPrefix(s.Net, bits)})
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("read the mappings towards regions: %w", err)
	}
	slices.SortFunc(out, func(a, b anchors.NAT) int {
		return strings.Compare(a.Segment+" "+a.Inside.String(), b.Segment+" "+b.Inside.String())
	})
	return out, nil
}

func natPrefix(addr uint32, bits int) netip.Prefix {
	var b [4]byte
	le.PutUint32(b[:], addr)
	return netip.PrefixFrom(netip.AddrFrom4(b), bits)
}
