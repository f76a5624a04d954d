package policy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

func example(t testing.TB, name string) *config.Config {
	t.Helper()
	doc, err := os.ReadFile("../config/examples/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	cfg, errs := config.Parse(doc)
	if errs != nil {
		t.Fatalf("parse %s: %v", name, errs)
	}
	return cfg
}

func TestCompileIsDeterministic(t *testing.T) {
	cfg := example(t, "lab")
	first, err := Compile(cfg, Anchors(cfg))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := Compile(cfg, Anchors(cfg))
		if err != nil {
			t.Fatal(err)
		}
		if packet.Hash(again.Tables) != packet.Hash(first.Tables) {
			t.Fatal("two compilations of one document differ")
		}
	}
	t.Logf("%d classes, %d ports, %d cells, %d rules", len(first.Tables.Classes), len(first.Tables.Ports), len(first.Tables.Cells), len(first.Tables.Rules))
}

// big is a configuration of n records between stations of many segments and the services of many others.
func big(n int) *config.Config {
	cfg := &config.Config{Version: 1, Model: "alpha"}
	const segments, perSegment = 150, 60
	for i := range segments {
		zone := anchors.LGWAN
		s := config.Segment{ID: fmt.Sprintf("s%d", i), Zone: zone, Port: "lg0", VLAN: uint16(i + 1), Strict: true}
		base := netip.AddrFrom4([4]byte{198, 18, byte(i), 0})
		s.Prefixes = []netip.Prefix{netip.PrefixFrom(base, 24)}
		s.Gate = []netip.Addr{base.Next()}
		cfg.Segments = append(cfg.Segments, s)
		for j := range perSegment {
			a := netip.AddrFrom4([4]byte{198, 18, byte(i), byte(10 + j)})
			mac := packet.MAC{2, 0, 0, 0, byte(i), byte(j)}
			cfg.Stations = append(cfg.Stations, config.Station{ID: fmt.Sprintf("pc%d-%d", i, j), Segment: s.ID, MAC: mac, Addresses: []netip.Addr{a}})
			b := netip.AddrFrom4([4]byte{198, 18, byte(i), byte(100 + j)})
			port := uint16(1000 + j%20)
			cfg.Services = append(cfg.Services, config.Service{ID: fmt.Sprintf("sv%d-%d", i, j), Segment: s.ID, MAC: packet.MAC{2, 0, 0, 1, byte(i), byte(j)}, Addresses: []netip.Addr{b}, Ports: []config.PortSpec{{Proto: "tcp", Lo: port, Hi: port}, {Proto: "tcp", Lo: 443, Hi: 443}}})
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		c := config.Communication{ID: fmt.Sprintf("c%d", i)}
		from := r.IntN(segments)
		for range 1 + r.IntN(8) {
			c.From.Stations = append(c.From.Stations, fmt.Sprintf("pc%d-%d", from, r.IntN(perSegment)))
		}
		for range 1 + r.IntN(3) {
			c.To.Services = append(c.To.Services, fmt.Sprintf("sv%d-%d", r.IntN(segments), r.IntN(perSegment)))
		}
		cfg.Communications = append(cfg.Communications, c)
	}
	return cfg
}

func TestTenThousandRecordsCompileSoon(t *testing.T) {
	cfg := big(10_000)
	a := Anchors(cfg)
	start := time.Now()
	g, err := Compile(cfg, a)
	compiled := time.Since(start)
	if err != nil {
		t.Fatal(err)
	}
	start = time.Now()
	violations := proof.Check(&g.Tables, a)
	t.Logf("%d classes, %d port ranges, %d cells: compiled in %v, proven in %v", len(g.Tables.Classes), len(g.Tables.Ports), len(g.Tables.Cells), compiled, time.Since(start))
	if compiled > 10*time.Second {
		t.Errorf("compiling took %v; about 1 s is expected", compiled)
	}
	if len(violations) > 0 {
		t.Errorf("got %v", violations[0])
	}
}

func BenchmarkCompile(b *testing.B) {
	cfg := big(10_000)
	a := Anchors(cfg)
	for b.Loop() {
		if _, err := Compile(cfg, a); err != nil {
			b.Fatal(err)
		}
	}
}

func TestTooManyCellsAreRefused(t *testing.T) {
	for _, stations := range []int{9000, 6000} { // the half of them too many as well, or only all of them
		cfg := big(0)
		for j, st := range cfg.Stations[:stations] { // each a class of its own, each towards many services
			c := config.Communication{ID: fmt.Sprintf("c%d", j), From: config.From{Stations: []string{st.ID}}}
			for k := range 60 {
				c.To.Services = append(c.To.Services, cfg.Services[(j*7+k*61)%len(cfg.Services)].ID)
			}
			cfg.Communications = append(cfg.Communications, c)
		}
		_, err := Compile(cfg, Anchors(cfg))
		if err == nil || !strings.Contains(err.Error(), "beyond 524288 cells") || !strings.Contains(err.Error(), `record "c`) {
			t.Errorf("%d stations: got %v, want a refusal that names the record and the bound", stations, err)
		}
	}
}

func TestSegmentOutsideTheAnchorsIsRefused(t *testing.T) {
	cfg := example(t, "lab")
	a := Anchors(cfg)
	a.Segments = a.Segments[1:]
	if _, err := Compile(cfg, a); err == nil || !strings.Contains(err.Error(), `segment "mn-office" is not in the anchors`) {
		t.Fatalf("got %v, want a refusal that names the segment", err)
	}
}

// A configuration that lies about what the anchors hold is compiled as it stands, and refused by the proof.
func TestLiesAboutAnchorsAreFound(t *testing.T) {
	honest := Anchors(example(t, "lab"))
	cases := []struct {
		name string
		lie  func(*config.Config)
		want string
	}{
		{"zone", func(c *config.Config) { c.Segments[4].Zone = anchors.LGWAN }, "I10"},
		{"port", func(c *config.Config) { c.Segments[4].Port = "lg0" }, "I10"},
		{"VLAN", func(c *config.Config) { c.Segments[4].VLAN = 9 }, "I10"},
		{"strictness", func(c *config.Config) { c.Segments[0].Strict = false }, "I10"},
		{"prefix", func(c *config.Config) { c.Segments[4].Prefixes[0] = netip.MustParsePrefix("203.0.112.0/24") }, "I4"},
		{"gate address", func(c *config.Config) { c.Segments[4].Gate[0] = netip.MustParseAddr("203.0.113.9") }, "I5"},
		{"router", func(c *config.Config) {
			c.Segments[4].Routers = []config.Router{{MAC: packet.MAC{2}, Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.2")}, Behind: []netip.Prefix{netip.MustParsePrefix("203.0.113.128/25")}}}
		}, "I7"},
		{"listening port", func(c *config.Config) { c.Tunnels[0].Listen = 443 }, "I5"},
		{"endpoint", func(c *config.Config) { c.Regions[0].Endpoint = netip.MustParseAddrPort("192.0.2.66:51820") }, "I5"},
		{"segment left out", func(c *config.Config) { c.Segments = c.Segments[:len(c.Segments)-1]; c.Portals = c.Portals[:3] }, "I10"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg := example(t, "lab")
			c.lie(cfg)
			g, err := Compile(cfg, honest)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range proof.Check(&g.Tables, honest) {
				if v.Invariant == c.want {
					return
				}
			}
			t.Fatalf("got no %s", c.want)
		})
	}
}

func TestRoutesLieOverUnreachable(t *testing.T) {
	cfg := example(t, "town")
	g, err := Compile(cfg, Anchors(cfg))
	if err != nil {
		t.Fatal(err)
	}
	under := map[netip.Prefix]bool{}
	for _, r := range g.Routes {
		if r.Unreachable {
			under[r.Prefix] = true
		}
	}
	if !under[netip.MustParsePrefix("0.0.0.0/0")] || !under[netip.MustParsePrefix("::/0")] {
		t.Error("no unreachable default route")
	}
	ways := map[string]string{}
	for _, r := range g.Routes {
		if !r.Unreachable {
			ways[r.Prefix.String()] = strings.TrimSpace(r.Port + " " + strings.TrimPrefix(r.Via.String(), "invalid IP"))
			if !under[r.Prefix] {
				t.Errorf("no unreachable route beneath %s", r.Prefix)
			}
		}
	}
	for prefix, want := range map[string]string{"198.51.100.0/26": "wg0", "198.18.52.0/22": "lga0 198.18.48.2", "198.18.11.0/24": "mn0.11", "198.18.120.0/29": "pt-lg", "203.0.113.0/25": "inw0"} {
		if ways[prefix] != want {
			t.Errorf("route of %s: got %q, want %q", prefix, ways[prefix], want)
		}
	}
}

func TestTunnelsAndClassesFollowTheConfiguration(t *testing.T) {
	cfg := example(t, "lab")
	g, err := Compile(cfg, Anchors(cfg))
	if err != nil {
		t.Fatal(err)
	}
	tun := g.Tunnels[0]
	if tun.Line != "wan0" || len(tun.Peers) != 2 || len(tun.Addrs) != 2 || tun.Peers[0].Probe.String() != "198.51.100.1:7" {
		t.Errorf("got %+v", tun)
	}
	tree := g.Bandwidth[0]
	if tree.Device != "wg0" || tree.Rate != 50e6 || tree.Overhead != 60 || len(tree.Classes) != 3 || !tree.Classes[1].Default || tree.Classes[2].ID != 3 {
		t.Errorf("got %+v", tree)
	}
	for _, c := range g.Tables.Cells {
		for _, r := range g.Tables.Rules {
			if r.ID == c.Rule && r.Records[0] == "resident-backup" && c.BWClass != 3 {
				t.Errorf("resident-backup: got bandwidth class %d, want 3", c.BWClass)
			}
		}
	}
}

func TestDerivedFilesAreReadAgain(t *testing.T) {
	for _, name := range []string{"lab", "town", "city", "lines"} {
		text, err := Anchors(example(t, name)).YAML()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := anchors.Parse(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	text, err := Routes(example(t, "lab")).YAML()
	if err != nil {
		t.Fatal(err)
	}
	want := `- from: my-number
  to: lgwan
  approvals: [section-head]
  formats: [txt, csv, png, jpeg, docx, xlsx, pptx]
  max_size: 50000000
  keep_days: 7
`
	if !strings.HasPrefix(string(text), "version: 1\nroutes:\n") || !strings.Contains(string(text), want) {
		t.Errorf("got\n%s", text)
	}
}

// Files from the internet to LGWAN may come in without prior approval when the security officer has decided so (F5); release
// takes the file that this gives.
func TestDecisionAndChoicesAreCarriedIntoTheRoutes(t *testing.T) {
	doc, err := os.ReadFile("../config/examples/lab.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(doc), "{from: internet, to: lgwan, approvals: [section-head]", "{from: internet, to: lgwan, approvals: [], sanitize: {links: remove, block: [ooxml.vba, \"pdf.*\"], noise: true}, decision: CISO 2026-04-01 第3号", 1)
	cfg, faults := config.Parse([]byte(text))
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	b, err := Routes(cfg).YAML()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "routes.yaml")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	rs, err := release.LoadRoutes(path)
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	for _, r := range rs.Routes {
		inward := r.From == anchors.Internet && r.To == anchors.LGWAN
		if (r.Decision == "CISO 2026-04-01 第3号") != inward || (len(r.Approvals) == 0) != inward {
			t.Errorf("%s -> %s: approvals %v, decision %q", r.From, r.To, r.Approvals, r.Decision)
		}
		var want verdict.Policy
		if inward {
			want = verdict.Policy{Links: "remove", Block: []string{"ooxml.vba", "pdf.*"}, Noise: true}
		}
		if !reflect.DeepEqual(r.Sanitize, want) {
			t.Errorf("%s -> %s: sanitize %+v, want %+v", r.From, r.To, r.Sanitize, want)
		}
	}
}

// Between My Number and LGWAN ports that are named one by one stay apart, though they adjoin.
func TestAdjoiningPortsStaySingle(t *testing.T) {
	cfg := example(t, "lab")
	cfg.Services[0].Ports = []config.PortSpec{{Proto: "tcp", Lo: 443, Hi: 443}, {Proto: "tcp", Lo: 444, Hi: 444}, {Proto: "tcp", Lo: 445, Hi: 445}}
	a := Anchors(cfg)
	g, err := Compile(cfg, a)
	if err != nil {
		t.Fatal(err)
	}
	if v := proof.Check(&g.Tables, a); len(v) > 0 {
		t.Errorf("three single ports: got %v, want none", v[0])
	}
	cfg.Services[0].Ports = []config.PortSpec{{Proto: "tcp", Lo: 443, Hi: 445}}
	if g, err = Compile(cfg, a); err != nil {
		t.Fatal(err)
	}
	if v := proof.Check(&g.Tables, a); len(v) == 0 || v[0].Invariant != "I2" {
		t.Errorf("a range: got %v, want I2", v)
	}
}

// A prefix whose addresses closer entries hold to the last one catches no packet: it gets no cells, which nobody could show a
// packet of.
func TestShadowedPrefixesMakeNoCells(t *testing.T) {
	const list = "communications:\n"
	for _, c := range []struct {
		name, inner string
		cells       bool
	}{
		{"one address of two has an entry", "203.0.113.11/32", true},
		{"both addresses have entries", "203.0.113.11/32, 203.0.113.10/32", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc, err := os.ReadFile("../config/examples/lab.yaml")
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Replace(string(doc), list, list+`  - {id: two, from: {segments: [in-office]}, to: {prefixes: ["203.0.113.10/31"]}, ports: [tcp/8080], purpose: x, owner: x}
  - {id: each, from: {segments: [in-office]}, to: {prefixes: [`+c.inner+`]}, ports: [tcp/8081], purpose: x, owner: x}
`, 1)
			cfg, errs := config.Parse([]byte(text))
			if errs != nil {
				t.Fatal(errs)
			}
			a := Anchors(cfg)
			g, err := Compile(cfg, a)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(g.Tables.Prefixes, func(p packet.Prefix) bool { return p.Prefix == netip.MustParsePrefix("203.0.113.10/31") })
			class := g.Tables.Prefixes[i].Class
			if got := slices.ContainsFunc(g.Tables.Cells, func(x packet.Cell) bool { return x.Dst == class }); got != c.cells {
				t.Errorf("cells towards 203.0.113.10/31: got %t, want %t", got, c.cells)
			}
		})
	}
}

// Two lines, several ends, orders of preference: what the dataplane is asked for, and what the anchors must hold for it.
func TestLinesBecomeTunnels(t *testing.T) {
	cfg, errs := config.Parse(examples.Lines)
	if errs != nil {
		t.Fatal(errs)
	}
	a := Anchors(cfg)
	if err := a.Validate(); err != nil {
		t.Fatal(err)
	}
	g, err := Compile(cfg, a)
	if err != nil {
		t.Fatal(err)
	}
	if v := proof.Check(&g.Tables, a); len(v) > 0 {
		t.Fatalf("not proven: %v", v)
	}
	wg0, wg1 := g.Tunnels[0], g.Tunnels[1]
	if wg0.Contract != "line-a" || wg0.Line != "wan0" || len(wg0.Peers) != 2 || len(wg0.Addrs) != 2 || len(wg1.Peers) != 4 || len(wg1.Addrs) != 3 || wg1.MTU != 1394 {
		t.Errorf("got tunnels %+v", g.Tunnels)
	}
	if p := wg0.Peers[0]; p.ID != "tokyo-a" || p.Region != "tokyo" || !p.Preshared || p.Plain || p.TakesOver != nil || p.Probe.String() != "198.51.100.1:7" {
		t.Errorf("got end %+v", p)
	}
	if p := wg1.Peers[2]; p.ID != "osaka-b" || !slices.Equal(p.TakesOver, []string{"tokyo"}) || p.Probe.String() != "198.51.100.65:7" {
		t.Errorf("got end %+v", p)
	}
	want := []tunnel.Preference{{Class: 3, Devices: []string{"wg1", "wg0"}}, {Class: 4, Devices: []string{"wg1"}}}
	if !slices.EqualFunc(g.Preferences, want, func(a, b tunnel.Preference) bool { return a.Class == b.Class && slices.Equal(a.Devices, b.Devices) }) {
		t.Errorf("got preferences %+v, want %+v", g.Preferences, want)
	}
	if len(g.Bandwidth) != 2 || len(g.Bandwidth[0].Classes) != 3 || len(g.Bandwidth[1].Classes) != 4 {
		t.Fatalf("got trees %+v", g.Bandwidth)
	}
	core, backup := g.Bandwidth[1].Classes[0], g.Bandwidth[1].Classes[2]
	if core.Ceiling != 20e6 || core.Latency != "interactive" || core.Order != 1 || backup.Guarantee != 2e6 || backup.Order != 0 || backup.ID != 3 {
		t.Errorf("got classes %+v and %+v of the second line", core, backup)
	}
	for _, tree := range g.Bandwidth {
		if err := tree.Check(); err != nil {
			t.Error(err)
		}
	}
	if len(a.NAT) != 1 || a.NAT[0].Segment != "tokyo" || len(a.Tunnels[1].Peers) != 4 {
		t.Errorf("got NAT %+v and tunnels %+v of the anchors", a.NAT, a.Tunnels)
	}
	i := slices.IndexFunc(a.Services, func(s anchors.Service) bool { return s.ID == "talk-tokyo-b" })
	if i < 0 || a.Services[i].Port != 7000 || a.Services[i].Last != 7063 {
		t.Errorf("got services %+v, want a range of ports for the probes of each class", a.Services)
	}
	kept := a.NAT
	for _, c := range []struct {
		nat  []anchors.NAT
		want string
	}{{nil, "root must first add it"}, {append(slices.Clone(kept), anchors.NAT{Segment: "osaka"}), "add it under nat"}} {
		a.NAT = c.nat
		if _, err := Compile(cfg, a); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("with the NAT %v in the anchors: got %v, want an error with %q", c.nat, err, c.want)
		}
	}
	if slices.ContainsFunc(a.Services, func(s anchors.Service) bool { return s.ID == "talk-prefecture" }) {
		t.Error("the gate may talk to a far end of another make")
	}
}
