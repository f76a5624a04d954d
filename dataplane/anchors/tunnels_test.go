package anchors

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// twoLines is a town with two regions of one zone over two lines, and a third of another zone over the second line.
const twoLines = `version: 1
name: Umiyama
segments:
- {id: mn-office, zone: my-number, attach: port, port: mn0, prefixes: [198.18.10.0/24, "2001:db8:10::/64"], gate: [198.18.10.1], strict: true}
- {id: lg-core, zone: lgwan, attach: port, port: lg0, prefixes: [198.18.20.0/24], gate: [198.18.20.1]}
- {id: line1, zone: uplink, attach: port, port: wan0, prefixes: [192.0.2.0/25], gate: [192.0.2.1]}
- {id: line2, zone: uplink, attach: port, port: wan1, prefixes: [192.0.2.128/25], gate: [192.0.2.129]}
- {id: tokyo, zone: my-number, attach: tunnel, port: wg0, prefixes: [198.51.100.0/26], gate: [198.51.100.62]}
- {id: osaka, zone: my-number, attach: tunnel, port: wg0, prefixes: [198.51.100.64/26], gate: [198.51.100.126]}
- {id: asp, zone: lgwan, attach: tunnel, port: wg1, prefixes: [198.51.100.128/26]}
tunnels:
- device: wg0
  line: line1
  listen: 51820
  peers:
  - {id: tokyo, segment: tokyo, public-key: "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "192.0.2.11:51820", allowed: [198.51.100.0/26], probe: 198.51.100.1, takes-over: [osaka]}
  - {id: tokyo-spare, segment: tokyo, public-key: "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTA=", endpoint: "192.0.2.12:51820", allowed: [198.51.100.0/26], probe: 198.51.100.2}
  - {id: osaka, segment: osaka, public-key: "b3Nha2EtcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "192.0.2.13:51820", allowed: [198.51.100.64/26], probe: 198.51.100.65}
- device: wg1
  line: line2
  listen: 51821
  peers:
  - {id: tokyo-b, segment: tokyo, public-key: "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "192.0.2.139:51820", allowed: [198.51.100.0/26], probe: 198.51.100.1}
  - {id: asp, segment: asp, public-key: "YXNwLS0tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "192.0.2.140:51820", allowed: [198.51.100.128/26]}
nat:
- {segment: tokyo, inside: 198.18.10.0/25, outside: 203.0.113.0/25}
- {segment: osaka, inside: 198.18.10.0/25, outside: 203.0.113.0/25}
- {segment: tokyo, inside: 198.18.10.128/26, outside: 203.0.113.192/26}
`

func TestParseRefusesTunnels(t *testing.T) {
	if _, err := Parse([]byte(twoLines)); err != nil {
		t.Fatalf("the whole file: got %v, want no error", err)
	}
	const tokyoKey, osakaKey = "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", "b3Nha2EtcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY="
	for _, c := range []struct{ name, old, new, want string }{
		{"peer id used on another device", "id: tokyo-b,", "id: tokyo,", `id "tokyo" is empty or that of another peer`},
		{"peer without an id", "id: tokyo-b,", `id: "",`, "is empty"},
		{"a key of two peers of one device", "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTA=", tokyoKey, `its public key is that of peer "tokyo" on the same device`},
		{"a key of two regions", "YXNwLS0tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", osakaKey, `that of peer "osaka" (wg0) of another region`},
		{"a key of zeros", osakaKey, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "32 bytes"},
		{"one probe for two ends of a device", "probe: 198.51.100.2}", "probe: 198.51.100.1}", `is that of peer "tokyo": on one device`},
		{"one endpoint for two ends of a device", "192.0.2.12:51820", "192.0.2.11:51820", `endpoint 192.0.2.11:51820 is that of peer "tokyo"`},
		{"an endpoint in a protected zone", "192.0.2.13:51820", "198.18.10.13:51820", `but in segment "mn-office" of zone my-number`},
		{"an endpoint on another line", "192.0.2.13:51820", "192.0.2.133:51820", `but in segment "line2" of zone uplink`},
		{"an endpoint that is the gate", "192.0.2.13:51820", "192.0.2.1:51820", "beside the gate's own addresses"},
		{"addresses of another region on the same device", "allowed: [198.51.100.64/26]", "allowed: [198.51.100.0/25]", `overlaps 198.51.100.0/26 of peer "tokyo"`},
		{"taking over what is not there", "takes-over: [osaka]", "takes-over: [nara]", `takes over "nara", which is no segment behind a tunnel`},
		{"taking over a port", "takes-over: [osaka]", "takes-over: [mn-office]", "no segment behind a tunnel"},
		{"taking over another zone", "takes-over: [osaka]", "takes-over: [asp]", "only for one of its own zone"},
		{"taking over itself", "takes-over: [osaka]", "takes-over: [tokyo]", "its own segment"},
		{"taking over twice", "takes-over: [osaka]", "takes-over: [osaka, osaka]", "twice"},
		{"a segment on another device than its first peer's", "id: tokyo, zone: my-number, attach: tunnel, port: wg0", "id: tokyo, zone: my-number, attach: tunnel, port: wg1", "the first tunnel with a peer of the segment is wg0"},
		{"a segment with no peer of its own", "id: asp, segment: asp", "id: asp, segment: tokyo", "no peer of any tunnel"},
		{"nat towards a port", "nat:\n- {segment: tokyo", "nat:\n- {segment: lg-core", "no segment behind a tunnel"},
		{"nat of IPv6", "inside: 198.18.10.0/25, outside: 203.0.113.0/25", `inside: "2001:db8:10::/64", outside: "2001:db8:11::/64"`, "IPv4 prefix"},
		{"nat of two lengths", "outside: 203.0.113.0/25", "outside: 203.0.113.0/24", "differ in length"},
		{"nat of what is nowhere", "inside: 198.18.10.0/25", "inside: 198.18.30.0/25", "lies in no segment"},
		{"nat of the line", "inside: 198.18.10.0/25", "inside: 192.0.2.0/25", "whose addresses no region sees"},
		{"nat of a region", "inside: 198.18.10.128/26", "inside: 198.51.100.64/26", "whose addresses no region sees"},
		{"nat as a segment's addresses", "outside: 203.0.113.0/25", "outside: 198.18.20.0/25", `overlaps 198.18.20.0/24 of segment "lg-core"`},
		{"nat as the region's addresses", "outside: 203.0.113.0/25", "outside: 198.51.100.0/25", `of segment "tokyo"`},
		{"nat of one address as two", "inside: 198.18.10.128/26", "inside: 198.18.10.64/26", "which is mapped already"},
		{"nat of two addresses as one", "outside: 203.0.113.192/26", "outside: 203.0.113.64/26", "overlaps 203.0.113.0/25, as which 198.18.10.0/25 appears"},
		{"nat of another prefix as the same towards another region", "segment: osaka, inside: 198.18.10.0/25", "segment: osaka, inside: 198.18.20.0/25", "as which"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(twoLines, c.old, c.new, 1)
			if text == twoLines {
				t.Fatal("the case changes nothing")
			}
			_, err := Parse([]byte(text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestValidateTellsAllAtOnce(t *testing.T) {
	text := strings.NewReplacer("takes-over: [osaka]", "takes-over: [asp, nara]", "192.0.2.12:51820", "198.18.20.5:51820", "outside: 203.0.113.192/26", "outside: 198.18.20.192/26").Replace(twoLines)
	_, err := Parse([]byte(text))
	for _, want := range []string{"takes over \"asp\"", "takes over \"nara\"", "198.18.20.5:51820", "198.18.20.192/26 overlaps"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want also %q", err, want)
		}
	}
}

func TestBundles(t *testing.T) {
	peer := func(segment string, takesOver ...string) Peer { return Peer{Segment: segment, TakesOver: takesOver} }
	for _, c := range []struct {
		name    string
		tunnels []Tunnel
		want    [][]string
	}{
		{"none", nil, nil},
		{"each its own", []Tunnel{{Device: "a", Peers: []Peer{peer("x")}}, {Device: "b", Peers: []Peer{peer("y")}}}, [][]string{{"a"}, {"b"}}},
		{"one region over both", []Tunnel{{Device: "a", Peers: []Peer{peer("x")}}, {Device: "b", Peers: []Peer{peer("y"), peer("x")}}}, [][]string{{"a", "b"}}},
		{"taken over", []Tunnel{{Device: "a", Peers: []Peer{peer("x")}}, {Device: "b", Peers: []Peer{peer("y", "x")}}}, [][]string{{"a", "b"}}},
		{"joined by a third, later", []Tunnel{{Device: "a", Peers: []Peer{peer("x")}}, {Device: "b", Peers: []Peer{peer("y")}}, {Device: "c", Peers: []Peer{peer("z")}}, {Device: "d", Peers: []Peer{peer("y", "x")}}}, [][]string{{"a", "b", "d"}, {"c"}}},
		{"by one peer that joins three", []Tunnel{{Device: "a", Peers: []Peer{peer("x")}}, {Device: "b", Peers: []Peer{peer("y")}}, {Device: "c", Peers: []Peer{peer("z")}}, {Device: "d", Peers: []Peer{peer("z", "y", "x")}}}, [][]string{{"a", "b", "c", "d"}}},
		{"no peers", []Tunnel{{Device: "a"}, {Device: "b"}}, [][]string{{"a"}, {"b"}}},
	} {
		a := &Anchors{Tunnels: c.tunnels}
		if got := a.Bundles(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	a := &Anchors{Tunnels: []Tunnel{{Device: "a", Peers: []Peer{peer("x")}}, {Device: "b", Peers: []Peer{peer("x")}}}}
	for device, want := range map[string][]string{"b": {"a", "b"}, "mn0": {"mn0"}} {
		if got := a.Bundle(device); !slices.Equal(got, want) {
			t.Errorf("bundle of %s: got %v, want %v", device, got, want)
		}
	}
}

func TestDiffOfTunnels(t *testing.T) {
	from, err := Parse([]byte(twoLines))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ name, old, new, want string }{
		{"takes over no more", ", takes-over: [osaka]", "", "region tokyo: takes-over is gone: osaka"},
		{"a mapping elsewhere", "outside: 203.0.113.192/26", "outside: 203.0.113.128/26", "nat tokyo 198.18.10.128/26: outside: 203.0.113.192/26 becomes 203.0.113.128/26"},
	} {
		to, err := Parse([]byte(strings.Replace(twoLines, x.old, x.new, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if got := Diff(from, to); len(got) != 1 || got[0].String() != x.want {
			t.Errorf("%s: got %v, want %s", x.name, got, x.want)
		}
	}
}
