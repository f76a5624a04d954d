package proof

import "github.com/sekisho/sekisho/dataplane/packet"

// complaints: I12, as far as tables can tell. The decision lets an ICMP error pass by the live flow of the packet that it
// quotes and asks no cell; the flow was permitted by a cell, and the error's source is bound to its segment by I4. So a cell
// may not name a message that ICMP uses to complain, or to turn traffic elsewhere: it would promise everybody what only the
// ends of a flow may get.
//
// Groups need no invariant of their own: no entry can be one, since entries lie in the anchors' prefixes, which are unicast
// (I4), and in a segment that carries groups they stand for the class of one of the gate's own addresses there. Every cell
// towards that class is a local service of the anchors (I5).
func (c *checker) complaints(cell *packet.Cell) {
	if r, ok := complaint(c.port[cell.Port]); ok {
		c.violate("I12", cell, "a cell names %s: an ICMP error passes by the flow of the packet that it quotes, and by no record", service(r.Proto, r.Lo))
	}
}

// complains tells messages about other packets: destination unreachable, source quench, redirect, time exceeded and parameter
// problem of ICMP; all errors and the redirect of ICMPv6 (RFC 4443, 2.1: types below 128).
func complains(proto uint8, typ uint16) bool {
	switch proto {
	case protocols["icmp"]:
		return typ == 3 || typ == 4 || typ == 5 || typ == 11 || typ == 12
	case protocols["icmp6"]:
		return typ < 128 || typ == 137
	}
	return false
}
