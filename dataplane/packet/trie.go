package packet

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// The prefix trie: nodes of 256 entries by the next byte of the address, each a prefix's number, a further node, or
// nothing. Pushed to the leaves: what a node inherits stands in all its entries, so a lookup ends where no node follows
// (Srinivasan and Varghese 1999). A node is 1 KiB; more than maxNodes are refused.

// plantTrie gives the nodes of a trie in which in[i] has number i+1; node 0 is the root of IPv4, node 1 that of IPv6.
func plantTrie(in []Prefix) ([]uint32, error) {
	nodes := make([]uint32, 2*nodeFan)
	order := make([]int, len(in))
	for i := range order {
		order[i] = i
	}
	// Wide ones first: each then only overwrites leaves.
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(in[a].Prefix.Bits(), in[b].Prefix.Bits()) })
	for _, i := range order {
		p := in[i].Prefix
		node, bytes := trieStart(p.Addr())
		last := max(p.Bits()-1, 0) / 8
		for _, b := range bytes[:last] {
			at := node*nodeFan + int(b)
			if nodes[at]&nodeChild == 0 {
				if len(nodes) == maxNodes*nodeFan {
					return nil, fmt.Errorf("the prefixes need more than %d nodes of the trie; %s is one too many: use fewer or wider prefixes", maxNodes, p)
				}
				child := uint32(len(nodes) / nodeFan)
				inherited := nodes[at]
				for range nodeFan {
					nodes = append(nodes, inherited)
				}
				nodes[at] = nodeChild | child
			}
			node = int(nodes[at] &^ nodeChild)
		}
		at := node*nodeFan + int(bytes[last])
		for j := range 1 << (8*(last+1) - p.Bits()) {
			nodes[at+j] = uint32(i + 1)
		}
	}
	return nodes, nil
}

// trieStart is the root for an address, and its bytes.
func trieStart(a netip.Addr) (node int, bytes []byte) {
	if a.Is4() {
		b := a.As4()
		return 0, b[:]
	}
	b := a.As16()
	return 1, b[:]
}
