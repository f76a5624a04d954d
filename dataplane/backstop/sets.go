package backstop

import (
	"net/netip"
	"slices"

	"github.com/google/nftables"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// zoneSets makes the sets that tell a zone by device and by prefix.
func (b *builder) zoneSets() {
	zones := map[string][]anchors.Zone{} // by device
	nets := [anchors.Zones][]netip.Prefix{}
	var all []string
	for i := range b.Anchors.Segments {
		s := &b.Anchors.Segments[i]
		for _, d := range b.Anchors.Devices(s) {
			if !slices.Contains(all, d) {
				all = append(all, d)
			}
			if !slices.Contains(zones[d], s.Zone) {
				zones[d] = append(zones[d], s.Zone)
			}
		}
		nets[s.Zone] = append(nets[s.Zone], s.Prefixes...)
	}
	b.devices = b.deviceSet("devices", all)
	for z := anchors.MyNumber; z < anchors.Zones; z++ {
		// A tunnel device may serve several zones: there only prefixes tell.
		var own []string
		for _, d := range all {
			if len(zones[d]) == 1 && zones[d][0] == z {
				own = append(own, d)
			}
		}
		if len(own) > 0 {
			b.zoneDev[z] = b.deviceSet(z.String()+"-devices", own)
		}
		b.zoneNet[z] = map[nftables.TableFamily]*nftables.Set{}
		for _, x := range []struct {
			family nftables.TableFamily
			name   string
		}{{nftables.TableFamilyIPv4, "-v4"}, {nftables.TableFamilyIPv6, "-v6"}} {
			if e := intervals(nets[z], x.family); len(e) > 0 {
				b.zoneNet[z][x.family] = b.prefixSet(z.String()+x.name, x.family, e)
			}
		}
	}
}

func (b *builder) deviceSet(name string, devices []string) *nftables.Set {
	s := &nftables.Set{Table: b.table, Name: name, KeyType: nftables.TypeIFName}
	var e []nftables.SetElement
	for _, d := range devices {
		e = append(e, nftables.SetElement{Key: ifname(d)})
	}
	b.add(s, e)
	return s
}

func (b *builder) prefixSet(name string, f nftables.TableFamily, e []nftables.SetElement) *nftables.Set {
	s := &nftables.Set{Table: b.table, Name: name, Interval: true, KeyType: nftables.TypeIPAddr}
	if f == nftables.TableFamilyIPv6 {
		s.KeyType = nftables.TypeIP6Addr
	}
	b.add(s, e)
	return s
}

func (b *builder) add(s *nftables.Set, e []nftables.SetElement) {
	if err := b.conn.AddSet(s, e); err != nil && b.err == nil {
		b.err = err
	}
}

// intervals is the prefixes of one IP version as half-open ranges, joined where they touch.
func intervals(prefixes []netip.Prefix, f nftables.TableFamily) []nftables.SetElement {
	var ps []netip.Prefix
	for _, p := range prefixes {
		if familyOf(p.Addr()) == f {
			ps = append(ps, p.Masked())
		}
	}
	slices.SortFunc(ps, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	var starts, ends []netip.Addr // an end is the first address after the range
	for _, p := range ps {
		end := after(p)
		if n := len(ends); n > 0 && (!ends[n-1].IsValid() || ends[n-1].Compare(p.Addr()) >= 0) {
			if ends[n-1].IsValid() && (!end.IsValid() || end.Compare(ends[n-1]) > 0) {
				ends[n-1] = end
			}
			continue
		}
		starts, ends = append(starts, p.Addr()), append(ends, end)
	}
	var out []nftables.SetElement
	for i := range starts {
		out = append(out, nftables.SetElement{Key: starts[i].AsSlice()})
		if ends[i].IsValid() { // else the range reaches the last address there is
			out = append(out, nftables.SetElement{Key: ends[i].AsSlice(), IntervalEnd: true})
		}
	}
	return out
}

// after is the address that follows the prefix; invalid when there is none.
func after(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a.Next()
}
