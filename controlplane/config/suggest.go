package config

import (
	"net/netip"
	"reflect"
	"strconv"
	"strings"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// suggest ends a message about an unknown name: the near one if there is any, else the known ones when they are few.
func suggest(name string, known []string, list string) string {
	best, at := "", 3
	for _, k := range known {
		if n := distance(name, k, at); n < at && n < max(len([]rune(k)), 2) {
			best, at = k, n
		}
	}
	switch {
	case best != "":
		return "; did you mean " + best + "?"
	case list != "" && len(known) > 0 && len(known) <= 20:
		return list + strings.Join(known, ", ")
	}
	return ""
}

// distance is the number of edits (insert, delete, replace, swap neighbours) between two words, given up at limit.
func distance(a, b string, limit int) int {
	x, y := []rune(strings.ToLower(a)), []rune(strings.ToLower(b))
	if len(x) > 64 || len(y) > 64 || len(x)-len(y) >= limit || len(y)-len(x) >= limit {
		return limit
	}
	prev2, prev, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev, row = prev, row, prev2
	}
	return prev[len(y)]
}

// formOf says how a value of the type is written.
func formOf(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[netip.Addr]():
		return "an IP address, like 198.18.10.11 or \"2001:db8:10::11\""
	case reflect.TypeFor[netip.Prefix]():
		return "a prefix, like 198.18.10.0/24 or \"2001:db8:10::/64\""
	case reflect.TypeFor[netip.AddrPort]():
		return "an address and port, like \"192.0.2.11:51820\""
	case reflect.TypeFor[packet.MAC]():
		return "a MAC address of six hexadecimal bytes, like \"02:00:5e:10:00:01\""
	case reflect.TypeFor[anchors.Zone]():
		return "one of my-number, lgwan, internet, management, uplink"
	case reflect.TypeFor[Rate]():
		return "a rate above 0 with kbit, Mbit or Gbit, like 50Mbit"
	case reflect.TypeFor[Size]():
		return "a size above 0 with kB, MB or GB, like 50MB"
	case reflect.TypeFor[Moment]():
		return "an existing day or minute as YYYY-MM-DD or \"YYYY-MM-DD hh:mm\", like 2027-03-31 or \"2027-03-31 17:15\" (Japan's time)"
	case reflect.TypeFor[Clock]():
		return "a time of day as hh:mm from 00:00 to 24:00, like \"08:30\""
	case reflect.TypeFor[State]():
		return "one of " + strings.Join(stateNames(), ", ")
	case reflect.TypeFor[Day]():
		return "one of " + strings.Join(DayNames, ", ")
	case reflect.TypeFor[PublicKey]():
		return "a WireGuard public key: 32 bytes in base64, 44 characters"
	case reflect.TypeFor[Latency]():
		return "one of " + strings.Join(latencies, ", ")
	case reflect.TypeFor[LineKind]():
		return "one of " + strings.Join(lineKinds, ", ")
	case reflect.TypeFor[DSCP]():
		return "0 to 63, or a name like ef, af41, cs5"
	case reflect.TypeFor[PortSpec]():
		return "tcp/443, udp/5000-5010, sctp/3868 (ports 1 to 65535, low to high), icmp/echo, icmp/8, icmp6/128, esp, ah or gre"
	}
	return "text"
}

// hintOf guesses what a person meant who wrote s.
func hintOf(t reflect.Type, s string) string {
	switch t {
	case reflect.TypeFor[anchors.Zone]():
		return suggest(s, []string{"my-number", "lgwan", "internet", "management", "uplink"}, "")
	case reflect.TypeFor[State]():
		return suggest(s, stateNames(), "")
	case reflect.TypeFor[PortSpec]():
		name, rest, _ := strings.Cut(s, "/")
		if n, err := strconv.ParseUint(rest, 10, 8); err == nil && icmps[name] != 0 {
			if why := notOpened(icmps[name], uint8(n)); why != "" {
				return "; " + s + " " + why
			}
		}
	case reflect.TypeFor[Day]():
		return suggest(s, DayNames, "")
	case reflect.TypeFor[Latency]():
		return suggest(s, latencies, "")
	case reflect.TypeFor[LineKind]():
		return suggest(s, lineKinds, "")
	case reflect.TypeFor[netip.Prefix]():
		if a, err := netip.ParseAddr(s); err == nil {
			return "; did you mean " + netip.PrefixFrom(a, a.BitLen()).String() + "?"
		}
	case reflect.TypeFor[netip.Addr]():
		if p, err := netip.ParsePrefix(s); err == nil {
			return "; did you mean " + p.Addr().String() + "?"
		}
	case reflect.TypeFor[packet.MAC]():
		if h := strings.NewReplacer("-", "", ".", "", ":", "").Replace(s); len(h) == 12 && strings.Trim(strings.ToLower(h), "0123456789abcdef") == "" {
			return "; did you mean " + strings.Join([]string{h[0:2], h[2:4], h[4:6], h[6:8], h[8:10], h[10:12]}, ":") + "?"
		}
	}
	return ""
}

// Suggest ends a message about a name that is not known with the near one, if there is any.
func Suggest(name string, known []string) string { return suggest(name, known, "") }
