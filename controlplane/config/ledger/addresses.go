package ledger

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// mostRange bounds how many hosts "198.18.10.11～30" may stand for.
const mostRange = 256

// ends are the addresses, networks and names that one side's columns hold, in order.
type ends struct {
	addrs    []netip.Addr
	prefixes []netip.Prefix
	names    []string
}

// addressesOf reads a cell of addresses. What is none is taken for a name.
func addressesOf(c Cell) (e ends, fault *Note) {
	for _, item := range items(c.Raw, "・") {
		// "198.18.10.11 198.18.10.12" is a list, too; a name with a space in it is one name.
		if parts := strings.Fields(item); len(parts) > 1 && allAddresses(parts) {
			for _, p := range parts {
				if fault := e.add(p); fault != nil {
					return e, fault
				}
			}
			continue
		}
		if fault := e.add(item); fault != nil {
			return e, fault
		}
	}
	return e, nil
}

func allAddresses(list []string) bool {
	for _, s := range list {
		if !looksLikeAddress(s) {
			return false
		}
	}
	return true
}

// looksLikeAddress tells what can only be meant as an address or a network, well written or not. s may hold letters of a MAC.
func looksLikeAddress(s string) bool {
	s = strings.ToLower(strings.TrimSpace(s))
	if s == "" || strings.Trim(s, "0123456789abcdef.:/-~〜 ") != "" {
		return false
	}
	return strings.Count(s, ".") >= 3 && strings.Trim(s, "0123456789./-~〜 ") == "" || strings.Count(s, ":") >= 2
}

func (e *ends) add(item string) *Note {
	s := plain(item)
	switch {
	case absent(s):
		return nil
	case !looksLikeAddress(s):
		e.names = append(e.names, strings.TrimSpace(item))
		return nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		e.addrs = append(e.addrs, a)
		return nil
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		switch {
		case p.Bits() == p.Addr().BitLen():
			e.addrs = append(e.addrs, p.Addr())
		case p != p.Masked():
			return bad("address.bits", item, p.Masked().String(), p.Addr().String())
		default:
			e.prefixes = append(e.prefixes, p)
		}
		return nil
	}
	if addrs := span(s); addrs != nil {
		if len(addrs) > mostRange {
			return bad("address.range", item, fmt.Sprint(mostRange))
		}
		e.addrs = append(e.addrs, addrs...)
		return nil
	}
	return bad("address.form", item)
}

// span reads 198.18.10.11-30 and 198.18.10.11-198.18.10.30, ends included; nil when it is none.
func span(s string) []netip.Addr {
	from, to, ok := strings.Cut(strings.NewReplacer("~", "-", "〜", "-").Replace(s), "-")
	if !ok {
		return nil
	}
	lo, err := netip.ParseAddr(from)
	if err != nil {
		return nil
	}
	if i := strings.LastIndexByte(from, '.'); i >= 0 && !strings.Contains(to, ".") {
		to = from[:i+1] + to
	}
	hi, err := netip.ParseAddr(to)
	if err != nil || hi.Less(lo) || hi.BitLen() != lo.BitLen() {
		return nil
	}
	var out []netip.Addr
	for a := lo; ; a = a.Next() {
		out = append(out, a)
		if a == hi || len(out) > mostRange {
			return out
		}
	}
}

// macsOf reads a cell of MAC addresses: 02-53-4B-10-00-11, 02:53:…, 0253.4b10.0011 or twelve digits.
func macsOf(c Cell) (out []packet.MAC, fault *Note) {
	for _, item := range items(c.Raw, "・/ ") {
		if absent(plain(item)) {
			continue
		}
		h := strings.NewReplacer("-", "", ":", "", ".", "").Replace(plain(item))
		if len(h) != 12 || strings.Trim(h, "0123456789abcdef") != "" {
			return nil, bad("mac.form", item)
		}
		m, err := packet.ParseMAC(strings.Join([]string{h[0:2], h[2:4], h[4:6], h[6:8], h[8:10], h[10:12]}, ":"))
		if err != nil {
			return nil, bad("mac.form", item)
		}
		out = append(out, m)
	}
	return out, nil
}

// prefixesOf reads a cell of networks; a single address is the network of itself.
func prefixesOf(c Cell) (out []netip.Prefix, fault *Note) {
	for _, item := range items(c.Raw, "・ ") {
		s := plain(item)
		if absent(s) {
			continue
		}
		p, err := netip.ParsePrefix(s)
		if a, e := netip.ParseAddr(s); e == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		switch {
		case err != nil:
			return nil, bad("address.form", item)
		case p != p.Masked():
			return nil, bad("address.bits", item, p.Masked().String(), p.Addr().String())
		}
		out = append(out, p)
	}
	return out, nil
}
