package packet_test

import "fmt"

// What the generator must have made, some of it let through and some refused: every way that a frame can be built.

var outcome = map[bool]string{true: ", let through", false: ", refused"}

// shapes are those that must have been met.
var shapes = func() (all []string) {
	for _, s := range []string{
		"no tag", "priority tag", "one tag", "two tags",
		"ARP", "IPv4", "IPv4 with options", "IPv6", "IPv6 with 1 extensions", "IPv6 with 2 extensions", "IPv6 with 3 extensions", "IPv6 with 4 extensions",
		"whole", "first fragment", "later fragment", "last fragment", "atomic fragment",
		"protocol 1", "protocol 6", "protocol 17", "protocol 47", "protocol 50", "protocol 58", "protocol 132",
	} {
		all = append(all, "of shape "+s+outcome[true], "of shape "+s+outcome[false])
	}
	for _, s := range []string{"three tags", "service tag alone", "service tag inside", "IPv6 with 5 extensions"} {
		all = append(all, "of shape "+s+outcome[false])
	}
	return all
}()

// shapeOf names how a frame is built, as far as that can be seen; it judges nothing.
func shapeOf(f []byte) (out []string) {
	if len(f) < 14 {
		return []string{"short"}
	}
	kind, b := be.Uint16(f[12:]), f[14:]
	var kinds []uint16
	real := 0
	for (kind == 0x8100 || kind == 0x88a8) && len(b) >= 4 && len(kinds) < 3 {
		kinds = append(kinds, kind)
		if be.Uint16(b)&0xfff != 0 {
			real++
		}
		kind, b = be.Uint16(b[2:]), b[4:]
	}
	switch {
	case len(kinds) == 0:
		out = append(out, "no tag")
	case len(kinds) == 3:
		out = append(out, "three tags")
	case len(kinds) == 2 && kinds[1] == 0x88a8:
		out = append(out, "service tag inside")
	case real == 0:
		out = append(out, "priority tag")
	case real == 1 && len(kinds) == 1 && kinds[0] == 0x88a8:
		out = append(out, "service tag alone")
	case real == 1:
		out = append(out, "one tag")
	default:
		out = append(out, "two tags")
	}
	switch {
	case kind == 0x0806:
		return append(out, "ARP")
	case kind == 0x0800 && len(b) >= 20:
		name := "IPv4"
		if b[0]&15 > 5 {
			name = "IPv4 with options"
		}
		place := be.Uint16(b[6:])
		return append(out, name, pieceOf(int(place&0x1fff), place>>13&1 == 1), protocolOf(b[9]))
	case kind == 0x86dd && len(b) >= 40:
		n, next, piece := 0, b[6], "whole"
		for b = b[40:]; len(b) >= 8 && (next == 0 || next == 44 || next == 60) && n < 5; n++ {
			size := 8
			if next == 44 {
				if piece = pieceOf(int(be.Uint16(b[2:])>>3), b[3]&1 == 1); piece == "whole" {
					piece = "atomic fragment"
				}
			} else {
				size = min(len(b), 8+8*int(b[1]))
			}
			next, b = b[0], b[size:]
			if piece == "later fragment" || piece == "last fragment" {
				n++
				break
			}
		}
		name := "IPv6"
		if n > 0 {
			name = fmt.Sprintf("IPv6 with %d extensions", n)
		}
		return append(out, name, piece, protocolOf(next))
	}
	return out
}

func protocolOf(n uint8) string {
	switch n {
	case 1, 6, 17, 47, 50, 58, 132:
		return fmt.Sprint("protocol ", n)
	}
	return "another protocol"
}

func pieceOf(at int, more bool) string {
	switch {
	case at == 0 && !more:
		return "whole"
	case at == 0:
		return "first fragment"
	case more:
		return "later fragment"
	}
	return "last fragment"
}
