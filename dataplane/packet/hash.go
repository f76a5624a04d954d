package packet

import (
	"crypto/sha256"
	"encoding/hex"
)

// TableHash is the identity of one table of a policy.
type TableHash struct {
	Table string
	Sum   [sha256.Size]byte
}

// Hash is the identity of a policy, in lower-case hexadecimal: SHA-256 over the hashes of its tables. The epoch has no part
// in it, nor has the order in which a table was written down.
func Hash(t Tables) string {
	sum := sha256.New()
	for _, h := range TableHashes(t) {
		sum.Write([]byte(h.Table))
		sum.Write([]byte{0})
		sum.Write(h.Sum[:])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// TableHashes gives the hash of each table by itself, always in the same order: SHA-256 over its canonical rows, whose
// numbers have fixed lengths and whose strings and lists stand behind theirs, so that no two tables share a form.
func TableHashes(t Tables) []TableHash {
	t = Ordered(t)
	var out []TableHash
	add := func(name string, rows int, size int, row func(b []byte, i int) []byte) {
		b := le.AppendUint32(make([]byte, 0, 4+rows*size), uint32(rows))
		for i := range rows {
			b = row(b, i)
		}
		out = append(out, TableHash{name, sha256.Sum256(b)})
	}
	add("revision", 1, 64, func(b []byte, _ int) []byte { return note(b, t.Revision) })
	add("segments", len(t.Segments), 64, func(b []byte, i int) []byte {
		s := &t.Segments[i]
		b = numbers16(b, s.ID, s.VLAN, s.Outer)
		b = append(b, byte(s.Zone), flag(s.Strict), flag(s.Tunnel), flag(s.Multicast), flag(s.Routers), flag(s.DHCPServers))
		for _, n := range []uint32{s.Limits.Flows, s.Limits.Rate, s.Limits.StationFlows, s.Limits.StationRate} {
			b = le.AppendUint32(b, n)
		}
		return note(note(b, s.Name), s.Port)
	})
	if marks := marksOf(&t); marks != nil { // tables that know none keep the hash that they had before there were any
		add("dscp", 1, len(marks), func(b []byte, _ int) []byte { return append(b, marks...) })
	}
	add("hosts", len(t.Hosts), 27, func(b []byte, i int) []byte {
		h := &t.Hosts[i]
		a := h.Addr.As16()
		b = append(append(b, flag(h.Addr.Is4())), a[:]...)
		return append(numbers16(b, h.Class, h.Segment), h.MAC[:]...)
	})
	add("prefixes", len(t.Prefixes), 28, func(b []byte, i int) []byte {
		p := &t.Prefixes[i]
		a := p.Prefix.Addr().As16()
		b = append(append(b, flag(p.Prefix.Addr().Is4()), byte(p.Prefix.Bits())), a[:]...)
		return append(numbers16(b, p.Class, p.Segment), p.MAC[:]...)
	})
	add("classes", len(t.Classes), 64, func(b []byte, i int) []byte {
		c := &t.Classes[i]
		b = append(numbers16(b, c.ID, c.Segment, c.VLAN, c.Outer), byte(c.Kind), flag(c.OnLink), byte(len(c.Via)))
		for _, via := range c.Via {
			a := via.As16()
			b = append(append(b, flag(via.Is4())), a[:]...)
		}
		return note(b, c.Port)
	})
	add("ports", len(t.Ports), 7, func(b []byte, i int) []byte {
		r := &t.Ports[i]
		return numbers16(append(b, r.Proto), r.Lo, r.Hi, r.Class)
	})
	add("cells", len(t.Cells), 11, func(b []byte, i int) []byte {
		c := &t.Cells[i]
		return append(le.AppendUint32(numbers16(b, c.Src, c.Dst, c.Port), c.Rule), c.BWClass)
	})
	add("rules", len(t.Rules), 64, func(b []byte, i int) []byte {
		r := &t.Rules[i]
		b = le.AppendUint64(le.AppendUint64(le.AppendUint32(b, r.ID), uint64(r.From)), uint64(r.Until))
		b = le.AppendUint32(le.AppendUint32(append(b, r.Window), r.Next), uint32(len(r.Records)))
		for _, record := range r.Records {
			b = note(b, record)
		}
		return b
	})
	add("windows", len(t.Windows), 36, func(b []byte, i int) []byte {
		w := &t.Windows[i]
		b = append(b, w.ID, byte(len(w.Spans)))
		for _, s := range w.Spans {
			b = numbers16(b, s.From, s.To)
		}
		return b
	})
	return out
}

func numbers16(b []byte, in ...uint16) []byte {
	for _, n := range in {
		b = le.AppendUint16(b, n)
	}
	return b
}

// marksOf are the classes by code point and the numbers of the segments that trust it; nil when no packet is classed so.
func marksOf(t *Tables) []byte {
	b := append([]byte{}, t.DSCP[:]...)
	for i := range t.Segments {
		if s := &t.Segments[i]; s.TrustDSCP {
			b = le.AppendUint16(b, s.ID)
		}
	}
	if len(b) == CodePoints && t.DSCP == [CodePoints]uint8{} {
		return nil
	}
	return b
}
