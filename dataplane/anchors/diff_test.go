package anchors

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	parse := func(text string) *Anchors {
		a, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	from := parse(whole)
	if got := Diff(from, from); len(got) != 0 {
		t.Errorf("the same file: got %v, want nothing", got)
	}
	for _, x := range []struct {
		name, old, new string
		want           []string
	}{
		{"another zone", "zone: internet", "zone: lgwan", []string{"segment in-net: zone: internet becomes lgwan"}},
		{"another port", "port: in0", "port: in1", []string{"segment in-net: port: in0 becomes in1"}},
		{"a VLAN", "port: in0", "port: in0, vlan: 30", []string{"segment in-net: vlan is new: 30"}},
		{"no longer strict", "2001:db8:10::1\"], strict: true", "2001:db8:10::1\"]", []string{"segment mn-office: strict is gone: yes"}},
		{"a prefix more", "[203.0.113.0/24]", "[203.0.113.0/24, 192.0.3.0/24]", []string{"segment in-net: prefixes: 203.0.113.0/24 becomes 192.0.3.0/24 203.0.113.0/24"}},
		{"prefixes in another order", "198.18.20.0/24, 198.19.0.0/16]\n  gate", "198.19.0.0/16, 198.18.20.0/24]\n  gate", nil},
		{"another router", "02:00:5e:20:00:fe", "02:00:5e:20:00:fd", []string{"segment lg-core: routers: 02:00:5e:20:00:fe (198.18.20.254) before 198.18.20.128/28 198.19.0.0/16 becomes 02:00:5e:20:00:fd (198.18.20.254) before 198.18.20.128/28 198.19.0.0/16"}},
		{"a region's key", "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", "b3Nha2EtcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=",
			[]string{"region tokyo: public-key: dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY= becomes b3Nha2EtcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY="}},
		{"a service more", "services:\n", "services:\n- {id: dns, segment: lg-core, proto: udp, port: 53}\n", []string{"service dns is new: segment lg-core, proto udp, port 53, from the whole segment"}},
		{"a service less", "- {id: echo-mn, segment: mn-office, proto: icmp, port: 8}\n", "", []string{"service echo-mn is gone: segment mn-office, proto icmp, port 8, from the whole segment"}},
		{"another name", "name: Umiyama", "name: Yamaumi", []string{"file: name: Umiyama becomes Yamaumi"}},
		{"connections picked up", "name: Umiyama", "name: Umiyama\npick-up-seconds: 30", []string{"file: pick-up-seconds is new: 30"}},
	} {
		text := strings.Replace(whole, x.old, x.new, 1)
		if text == whole {
			t.Fatalf("%s: %q is not in the file", x.name, x.old)
		}
		to := parse(text)
		var got []string
		for _, c := range Diff(from, to) {
			got = append(got, c.String())
		}
		if !slices.Equal(got, x.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", x.name, got, x.want)
		}
		if back := Diff(to, from); len(back) != len(x.want) {
			t.Errorf("%s, back: got %v", x.name, back)
		}
	}
	turned := *from
	turned.Segments = slices.Clone(from.Segments)
	turned.Segments[0], turned.Segments[2] = turned.Segments[2], turned.Segments[0]
	if got := Diff(from, &turned); len(got) != 1 || !strings.Contains(got[0].Field, "order of segments") {
		t.Errorf("segments in another order: got %v", got)
	}
}

// Every field of every object is compared, also one that is added to the types one day.
func TestDiffMissesNoField(t *testing.T) {
	compared := map[string]int{}
	for _, f := range segmentFields(&Segment{}) {
		compared[f.name]++
	}
	for _, f := range tunnelFields(&Tunnel{}) {
		compared["tunnel "+f.name]++
	}
	for _, f := range regionFields(&region{}) {
		compared["region "+f.name]++
	}
	for _, f := range natFields(&NAT{}) {
		compared["nat "+f.name]++
	}
	for _, f := range serviceFields(&Service{}) {
		compared["service "+f.name]++
	}
	names := func(prefix string, v any, but ...string) {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("yaml"), ",")
			if !slices.Contains(but, name) && compared[prefix+name] != 1 {
				t.Errorf("%q of %s is compared %d times, want once", name, typ, compared[prefix+name])
			}
		}
	}
	names("", Segment{}, "id")
	names("tunnel ", Tunnel{}, "device", "peers")
	names("region ", Peer{}, "id")
	names("nat ", NAT{})
	names("service ", Service{}, "id")
}
