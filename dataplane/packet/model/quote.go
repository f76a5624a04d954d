package model

import (
	"fmt"
	"net/netip"
	"slices"
)

// quotation is the packet inside an ICMP error, as far as a flow can be found by it.
type quotation struct {
	src, dst     netip.Addr
	proto        uint8
	sport, dport uint16
	typ          uint8 // ICMP
}

// complains tells the ICMP messages that quote a packet: RFC 792 types 3, 11 and 12; RFC 4443 types 1 to 4.
func complains(proto, typ uint8) bool {
	switch proto {
	case icmp:
		return slices.Contains([]uint8{3, 11, 12}, typ)
	case icmp6:
		return typ >= 1 && typ <= 4
	}
	return false
}

// quote reads what stands behind an ICMP error's first eight bytes. Of the quoted packet at least eight bytes behind its IP
// headers must be there, and it must not be a later fragment.
func quote(b []byte, v4 bool) (q quotation, ok bool) {
	if v4 {
		if len(b) < 20 || b[0]>>4 != 4 || b[0]&15 < 5 || be.Uint16(b[6:])&0x1fff != 0 {
			return q, false
		}
		q.proto = b[9]
		q.src, q.dst = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
		b = b[min(len(b), int(b[0]&15)*4):]
	} else {
		if len(b) < 40 || b[0]>>4 != 6 {
			return q, false
		}
		q.proto = b[6]
		q.src, q.dst = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
		b = b[40:]
		for n := 0; slices.Contains([]uint8{0, 44, 60}, q.proto); n++ { // hop-by-hop, fragment, destination options
			if n == 4 || len(b) < 8 {
				return q, false
			}
			size := 8
			if q.proto == 44 {
				if be.Uint16(b[2:])>>3 != 0 {
					return q, false
				}
			} else {
				size += 8 * int(b[1])
			}
			if size > 264 || size > len(b) {
				return q, false
			}
			q.proto, b = b[0], b[size:]
		}
	}
	if len(b) < 8 {
		return q, false
	}
	switch q.proto {
	case tcp, udp, sctp:
		q.sport, q.dport = be.Uint16(b), be.Uint16(b[2:])
	case icmp, icmp6:
		q.typ = b[0]
		q.sport = be.Uint16(b[4:])
		q.dport = q.sport
	}
	return q, true
}

// complain decides an ICMP error (I12): it goes to the sender of the packet that it quotes, from the segment where that packet
// went, and only while the flow of that packet lives and may live. No honest one is long enough to come in fragments.
func (w *walk) complain() (reason string) {
	q, ok := quote(w.p.body, w.p.src.Is4())
	defer func() {
		w.tell("flow", reason, func() string {
			return fmt.Sprintf("complains of a packet of %s port %d to %s port %d, protocol %d", q.src, q.sport, q.dst, q.dport, q.proto)
		})
	}()
	if w.p.piece != nil || !ok || q.src != w.p.dst || complains(q.proto, q.typ) {
		return "icmp-quote"
	}
	there, known := w.m.find(q.dst)
	if !known || there.segment != w.segment.ID {
		return "icmp-error-no-flow"
	}
	sender, receiver := End{w.dst.segment, q.src, q.sport}, End{there.segment, q.dst, q.dport}
	key := FlowKey{Proto: q.proto, Lo: sender, Hi: receiver}
	if receiver.less(sender) {
		key.Lo, key.Hi = receiver, sender
	}
	if q.proto == icmp || q.proto == icmp6 {
		key.Asker = receiver // of an answer
		if q.proto == icmp && q.typ == 8 || q.proto == icmp6 && q.typ == 128 {
			key.Asker = sender
		}
	}
	f := w.st.Flows[key]
	if f == nil || w.in.Now.Sub(f.Last) > f.patience(q.proto) {
		return "icmp-error-no-flow"
	}
	w.out.Rule, w.out.BWClass = f.Rule, f.BWClass
	if f.Epoch != w.m.tables.Epoch {
		opener, other := w.dst.class, there.class
		if f.Opener == receiver {
			opener, other = other, opener
		}
		cell, ok := w.m.permission(opener, other, q.proto, f.Asked)
		if !ok {
			return "icmp-error-no-flow"
		}
		w.out.Rule, w.out.BWClass = cell.Rule, cell.BWClass
	}
	return w.m.inForce(w.out.Rule, w.st.Clock, w.st.now(w.in))
}
