package model

import (
	"testing"
)

// The dissector may refuse anything and must never read beyond what it is given. What it accepts must hang together.
func FuzzDissect(f *testing.F) {
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, b []byte, bare bool) {
		d, reason := dissect(b, bare)
		if reason != "" {
			return
		}
		switch {
		case !d.src.IsValid() || !d.dst.IsValid() || d.src.Is4() != d.dst.Is4():
			t.Errorf("addresses %s and %s", d.src, d.dst)
		case d.outer != 0 && d.vlan == 0, bare && (d.vlan != 0 || d.first != 0), d.vlan > 4095, d.outer > 4095:
			t.Errorf("tags %d, %d, %d", d.first, d.outer, d.vlan)
		case !d.arp && d.inside+d.size > len(b):
			t.Errorf("%d bytes at %d in a frame of %d", d.size, d.inside, len(b))
		case d.inside != 0 && (d.inside < 14 || d.inside > 22 || d.inside%4 != 2):
			t.Errorf("network header at %d", d.inside)
		}
		if p := d.piece; p != nil {
			if p.to <= p.from || p.to > mostPacket || p.more && (p.to-p.from)%8 != 0 || p.more && p.to-p.from < leastFragment || p.from == 0 && !p.more {
				t.Errorf("fragment %+v", *p)
			}
			if d.later() && (d.sport != 0 || d.dport != 0 || d.flags != 0 || d.typ != 0 || len(d.body) != 0) {
				t.Errorf("a later fragment with a header: %+v", d)
			}
		}
		quote(d.body, d.src.Is4())
	})
}
