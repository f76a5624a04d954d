package anchors

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const whole = `version: 1
name: Umiyama
segments:
- {id: mn-office, zone: my-number, attach: port, port: mn0, prefixes: [198.18.10.0/24, "2001:db8:10::/64"], gate: [198.18.10.1, "2001:db8:10::1"], strict: true}
- id: lg-core
  zone: lgwan
  attach: port
  port: lg0
  vlan: 20
  prefixes: [198.18.20.0/24, 198.19.0.0/16]
  gate: [198.18.20.1]
  routers:
  - {mac: "02:00:5e:20:00:fe", addresses: [198.18.20.254], behind: [198.19.0.0/16, 198.18.20.128/28]}
- {id: in-net, zone: internet, attach: port, port: in0, prefixes: [203.0.113.0/24], gate: [203.0.113.1]}
- {id: line1, zone: uplink, attach: port, port: wan0, prefixes: [192.0.2.0/24], gate: [192.0.2.1]}
- {id: tokyo, zone: my-number, attach: tunnel, port: wg0, prefixes: [198.51.100.0/26], gate: [198.51.100.62]}
- {id: lg-portal, zone: lgwan, attach: portal, port: pt-lg, prefixes: [198.18.120.0/29], gate: [198.18.120.1], strict: true}
tunnels:
- device: wg0
  line: line1
  listen: 51820
  peers:
  - {id: tokyo, segment: tokyo, public-key: "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "192.0.2.11:51820", allowed: [198.51.100.0/26], probe: 198.51.100.1}
services:
- {id: echo-mn, segment: mn-office, proto: icmp, port: 8}
- {id: wireguard-in, segment: line1, proto: udp, port: 51820, from: [192.0.2.11/32]}
- {id: wireguard-out, segment: line1, proto: udp, port: 51820, from: [192.0.2.11/32], out: true}
- {id: probe, segment: tokyo, proto: udp, port: 7, from: [198.51.100.1/32], out: true}
`

func TestParseRefuses(t *testing.T) {
	if _, err := Parse([]byte(whole)); err != nil {
		t.Fatalf("the whole file: got %v, want no error", err)
	}
	cases := []struct{ name, old, new, want string }{
		{"unknown key", "strict: true}", "strict: true, colour: red}", "unknown field"},
		{"duplicate key", "zone: internet,", "zone: internet, zone: lgwan,", "already defined"},
		{"unknown zone", "zone: internet", "zone: dmz", `zone "dmz"`},
		{"wrong version", "version: 1", "version: 2", "version 2"},
		{"picking up connections for ever", "name: Umiyama", "name: Umiyama\npick-up-seconds: 601", "want 1 to 600, or no pick-up-seconds"},
		{"second document", "services:\n", "---\nversion: 1\nservices:\n", "more than one document"},
		{"invariants to choose from", "services:\n", "invariants: [I1]\nservices:\n", "unknown field"},
		{"segment id used twice", "id: in-net", "id: mn-office", "used twice"},
		{"port in two zones", "port: in0", "port: mn0, vlan: 7", "a port belongs to one zone"},
		{"port and VLAN used twice", "zone: internet, attach: port, port: in0", "zone: my-number, attach: port, port: mn0", "already that of segment"},
		{"VLAN out of range", "vlan: 20", "vlan: 4095", "VLAN 4095"},
		{"VLAN on a tunnel", "port: wg0,", "port: wg0, vlan: 3,", "only ports carry VLANs"},
		{"outer VLAN out of range", "vlan: 20", "vlan: 20\n  outer-vlan: 4095", "outer VLAN 4095"},
		{"outer VLAN around nothing", "vlan: 20", "outer-vlan: 20", "outer VLAN 20"},
		{"outer VLAN on a tunnel", "port: wg0,", "port: wg0, outer-vlan: 3,", "outer VLAN 3"},
		{"two tags used twice", "zone: internet, attach: port, port: in0", "zone: lgwan, attach: port, port: lg0, vlan: 20", "VLAN 20 in 0 is already that of segment"},
		{"device name too long", "port: lg0\n  vlan: 20", "port: enp65s0f0np0\n  vlan: 20\n  outer-vlan: 7", "at most 15 characters"},
		{"multicast in the My Number zone", "port: mn0,", "port: mn0, multicast: true,", "not in zones my-number"},
		{"router advertisements in the My Number zone", "port: mn0,", "port: mn0, router-advertisements: true,", "not in zones my-number"},
		{"DHCP servers in the My Number zone", "port: mn0,", "port: mn0, dhcp-servers: true,", "not in zones my-number"},
		{"multicast on a line", "port: wan0,", "port: wan0, multicast: true,", "not in zones my-number and uplink"},
		{"DHCP servers on a portal's link", "port: pt-lg,", "port: pt-lg, dhcp-servers: true,", "only for ports"},
		{"overlap between segments", "203.0.113.0/24", "198.18.10.128/25", "overlaps"},
		{"overlap beyond a nested prefix of its own", "203.0.113.0/24", "198.18.20.130/32", "overlaps"},
		{"host bits in a prefix", "203.0.113.0/24", "203.0.113.9/24", "not a whole unicast prefix"},
		{"multicast prefix", "203.0.113.0/24", "224.1.0.0/16", "not a whole unicast prefix"},
		{"default route as a segment", "203.0.113.0/24", "0.0.0.0/0", "not a whole unicast prefix"},
		{"gate address outside", "gate: [203.0.113.1]", "gate: [203.0.114.1]", "outside its prefixes"},
		{"gate address behind a router", "gate: [198.18.20.1]", "gate: [198.18.20.129]", "behind a router"},
		{"router with a multicast MAC", "02:00:5e:20:00:fe", "03:00:5e:20:00:fe", "router MAC"},
		{"router prefix outside the segment", "behind: [198.19.0.0/16,", "behind: [203.0.112.0/24,", "not inside the segment"},
		{"router without an address of the version", "addresses: [198.18.20.254]", "addresses: []", "at most one of each"},
		{"portal that is not strict", "gate: [198.18.120.1], strict: true", "gate: [198.18.120.1]", "must be strict"},
		{"portal on another zone's port", "port: pt-lg", "port: pt-in", "hangs on"},
		{"port that looks like a portal's", "port: in0", "port: pt-in", "pt-*"},
		{"region in the management zone", "id: tokyo, zone: my-number", "id: tokyo, zone: management", "no region may lie"},
		{"tunnel on a line that is none", "line: line1", "line: in-net", "no port segment of zone uplink"},
		{"peer of a segment that is no tunnel", "segment: tokyo, public-key", "segment: in-net, public-key", "no segment on this tunnel"},
		{"peer that may send more than its segment", "allowed: [198.51.100.0/26]", "allowed: [198.51.100.0/25]", "must be equal"},
		{"peer key that is none", "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", "AAAA", "32 bytes"},
		{"endpoint outside the line", `"192.0.2.11:51820"`, `"203.0.113.11:51820"`, "does not lie in line"},
		{"probe outside the region", "probe: 198.51.100.1", "probe: 198.51.100.65", "probe target"},
		{"service in an unknown segment", "id: echo-mn, segment: mn-office", "id: echo-mn, segment: mars", "does not exist"},
		{"service on the uplink that is not WireGuard", "id: echo-mn, segment: mn-office", "id: echo-mn, segment: line1", "only WireGuard"},
		{"listening for strangers on the uplink", "port: 51820, from: [192.0.2.11/32]}", "port: 51820, from: [192.0.2.0/24]}", "only WireGuard"},
		{"opening to anybody", "from: [198.51.100.1/32], out: true", "out: true", "named peers"},
		{"service with a peer elsewhere", "from: [198.51.100.1/32], out", "from: [203.0.113.1/32], out", "does not lie in segment"},
		{"last port before the first", "proto: udp, port: 7,", "proto: udp, port: 7, last-port: 6,", "not behind port 7"},
		{"last port of a ping", "proto: icmp, port: 8", "proto: icmp, port: 8, last-port: 9", "only TCP and UDP"},
		{"several ports on the uplink", "proto: udp, port: 51820, from: [192.0.2.11/32], out", "proto: udp, port: 51820, last-port: 51830, from: [192.0.2.11/32], out", "only WireGuard"},
		{"empty", whole, "", "empty"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(whole, c.old, c.new, 1)
			if text == whole {
				t.Fatal("the case changes nothing")
			}
			_, err := Parse([]byte(text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestLoadTrustsOnlyRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test changes owners: run it as root")
	}
	cases := []struct {
		name   string
		spoil  func(t *testing.T, dir, file string)
		refuse string
	}{
		{"owned by root, 0644", func(*testing.T, string, string) {}, ""},
		{"owned by another", func(t *testing.T, _, f string) { must(t, os.Chown(f, 65534, 0)) }, "only root may own"},
		{"writable by the group", func(t *testing.T, _, f string) { must(t, os.Chmod(f, 0o664)) }, "only root may write"},
		{"writable by all", func(t *testing.T, _, f string) { must(t, os.Chmod(f, 0o646)) }, "only root may write"},
		{"directory of another", func(t *testing.T, d, _ string) { must(t, os.Chown(d, 65534, 0)) }, "only root may own"},
		{"directory writable by all", func(t *testing.T, d, _ string) { must(t, os.Chmod(d, 0o777)) }, "only root may write"},
		{"a symbolic link", func(t *testing.T, d, f string) {
			must(t, os.Rename(f, d+"/real"))
			must(t, os.Symlink(d+"/real", f))
		}, "symbolic links"},
		{"a pipe", func(t *testing.T, _, f string) { must(t, os.Remove(f)); must(t, mkfifo(f)) }, "not a regular file"},
		{"too large", func(t *testing.T, _, f string) {
			must(t, os.WriteFile(f, []byte(whole+strings.Repeat("#\n", maxBytes/2)), 0o644))
		}, "more than"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "etc")
			must(t, os.Mkdir(dir, 0o755))
			file := filepath.Join(dir, "anchors.yaml")
			must(t, os.WriteFile(file, []byte(whole), 0o644))
			c.spoil(t, dir, file)
			_, err := Load(file)
			switch {
			case c.refuse == "" && err != nil:
				t.Fatalf("got %v, want no error", err)
			case c.refuse != "" && (err == nil || !strings.Contains(err.Error(), c.refuse)):
				t.Fatalf("got %v, want an error with %q", err, c.refuse)
			}
		})
	}
}

func TestYAMLRoundTrip(t *testing.T) {
	a, err := Parse([]byte(strings.Replace(strings.Replace(whole, "vlan: 20", "vlan: 20\n  outer-vlan: 7", 1), "port: in0,", "port: in0, multicast: true, router-advertisements: true, dhcp-servers: true,", 1)))
	must(t, err)
	text, err := a.YAML()
	must(t, err)
	b, err := Parse(text)
	if err != nil {
		t.Fatalf("got %v, want the written file to be read again:\n%s", err, text)
	}
	if diff := cmp.Diff(a, b, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, netip.AddrPort{})); diff != "" {
		t.Fatalf("got what was not written (-want +got):\n%s", diff)
	}
}

func TestLookups(t *testing.T) {
	a, err := Parse([]byte(whole))
	must(t, err)
	for addr, want := range map[string]string{
		"198.18.10.7": "mn-office", "2001:db8:10::7": "mn-office", "198.19.255.255": "lg-core", "203.0.113.255": "in-net", "198.51.100.64": "", "198.18.11.0": "",
	} {
		got := ""
		if s, ok := a.SegmentOf(netip.MustParseAddr(addr)); ok {
			got = s.ID
		}
		if got != want {
			t.Errorf("segment of %s: got %q, want %q", addr, got, want)
		}
	}
	lg, _ := a.Segment("lg-core")
	for prefix, behind := range map[string]bool{"198.18.20.2/32": false, "198.18.20.129/32": true, "198.19.3.0/24": true, "198.18.20.0/24": false} {
		if got := lg.Router(netip.MustParsePrefix(prefix)) != nil; got != behind {
			t.Errorf("%s behind a router: got %t, want %t", prefix, got, behind)
		}
	}
	for name, s := range map[string]Segment{"mn0": {Port: "mn0"}, "mn0.10": {Port: "mn0", VLAN: 10}, "mn0.100.10": {Port: "mn0", VLAN: 10, Outer: 100}} {
		if got := s.Device(); got != name {
			t.Errorf("device: got %s, want %s", got, name)
		}
	}
	if got := a.Number("in-net"); got != 3 {
		t.Errorf("number of in-net: got %d, want 3", got)
	}
	if got := a.Number("mars"); got != 0 {
		t.Errorf("number of an unknown segment: got %d, want 0", got)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mkfifo(path string) error { return syscall.Mkfifo(path, 0o600) }

func TestServesItsPorts(t *testing.T) {
	one, several := Service{Port: 7}, Service{Port: 7000, Last: 7063}
	for port, want := range map[uint16][2]bool{6: {}, 7: {true, false}, 8: {}, 6999: {}, 7000: {false, true}, 7063: {false, true}, 7064: {}} {
		if got := [2]bool{one.Serves(port), several.Serves(port)}; got != want {
			t.Errorf("port %d: got %v, want %v", port, got, want)
		}
	}
}
