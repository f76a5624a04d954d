package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/backstop"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/socket"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
)

// A control process that was taken over says what it likes to the real daemon. Each lie changes one thing in an honest
// generation; each is refused with a word about it, and nothing that runs notices. What no anchor and no invariant speaks of
// is control's to say: a further record between LGWAN and internet is no lie that the dataplane could see.

// lie is one, with what the answer must say.
type lie struct {
	name string
	tell func(g *gate.Generation)
	want string // in the error or in a violation
}

func (w *town) lies(t *testing.T) []lie {
	routeOf := func(g *gate.Generation, prefix string) *gate.Route {
		for i := range g.Routes {
			if g.Routes[i].Prefix == netip.MustParsePrefix(prefix) && !g.Routes[i].Unreachable {
				return &g.Routes[i]
			}
		}
		t.Fatalf("no route %s", prefix)
		return nil
	}
	segmentOf := func(g *gate.Generation, name string) *packet.Segment {
		i := slices.IndexFunc(g.Tables.Segments, func(s packet.Segment) bool { return s.Name == name })
		if i < 0 {
			t.Fatalf("no segment %s", name)
		}
		return &g.Tables.Segments[i]
	}
	hostOf := func(g *gate.Generation, addr string) *packet.Host {
		i := slices.IndexFunc(g.Tables.Hosts, func(h packet.Host) bool { return h.Addr == netip.MustParseAddr(addr) })
		if i < 0 {
			t.Fatalf("no host %s", addr)
		}
		return &g.Tables.Hosts[i]
	}
	prefixOf := func(g *gate.Generation, prefix string) *packet.Prefix {
		i := slices.IndexFunc(g.Tables.Prefixes, func(p packet.Prefix) bool { return p.Prefix == netip.MustParsePrefix(prefix) })
		if i < 0 {
			t.Fatalf("no prefix %s", prefix)
		}
		return &g.Tables.Prefixes[i]
	}
	classOf := func(g *gate.Generation, addr string) *packet.Class {
		id := hostOf(g, addr).Class
		i := slices.IndexFunc(g.Tables.Classes, func(c packet.Class) bool { return c.ID == id })
		return &g.Tables.Classes[i]
	}
	filing := func(g *gate.Generation) packet.Cell { // from My Number into LGWAN
		return g.Tables.Cells[slices.IndexFunc(g.Tables.Cells, func(c packet.Cell) bool {
			return c.Src == hostOf(g, "198.18.10.11").Class && c.Dst == hostOf(g, "198.18.21.11").Class
		})]
	}
	permit := func(src, dst string) func(g *gate.Generation) {
		return func(g *gate.Generation) {
			c := filing(g)
			c.Src, c.Dst = hostOf(g, src).Class, hostOf(g, dst).Class
			g.Tables.Cells = append(g.Tables.Cells, c)
		}
	}
	return []lie{
		{"segment relabelled", func(g *gate.Generation) { segmentOf(g, "in-net").Zone = anchors.MyNumber }, "the anchors say"},
		{"zone labels swapped", func(g *gate.Generation) {
			a, b := segmentOf(g, "mn-office"), segmentOf(g, "in-net")
			a.Zone, b.Zone = b.Zone, a.Zone
		}, "I10"},
		{"segments' ports swapped", func(g *gate.Generation) {
			a, b := segmentOf(g, "mn-office"), segmentOf(g, "in-net")
			a.Port, b.Port = b.Port, a.Port
		}, "I10"},
		{"segments' numbers swapped", func(g *gate.Generation) {
			a, b := segmentOf(g, "mn-office"), segmentOf(g, "in-net")
			a.ID, b.ID = b.ID, a.ID
		}, "I10"},
		{"segment no longer strict", func(g *gate.Generation) { segmentOf(g, "mn-office").Strict = false }, "strict false"},
		{"segment left out", func(g *gate.Generation) { g.Tables.Segments = g.Tables.Segments[1:] }, "I10"},
		{"multicast let in", func(g *gate.Generation) { segmentOf(g, "mn-office").Multicast = true }, "multicast true"},
		{"no quota", func(g *gate.Generation) { segmentOf(g, "mn-office").Limits = packet.Limits{} }, "want bounds"},
		{"prefix stolen", func(g *gate.Generation) {
			prefixOf(g, "203.0.113.0/24").Segment = segmentOf(g, "mn-office").ID
		}, "I4"},
		{"prefix widened", func(g *gate.Generation) {
			prefixOf(g, "198.18.10.0/24").Prefix = netip.MustParsePrefix("198.18.0.0/16")
		}, "198.18.0.0/16 is entered for segment"},
		{"foreign prefix", func(g *gate.Generation) {
			p := *prefixOf(g, "198.18.10.0/24")
			p.Prefix = netip.MustParsePrefix("198.19.0.0/16")
			g.Tables.Prefixes = append(g.Tables.Prefixes, p)
		}, "198.19.0.0/16"},
		{"host in the wrong segment", func(g *gate.Generation) {
			web, pc := hostOf(g, "203.0.113.11"), hostOf(g, "198.18.10.11")
			web.Segment, web.Class, web.MAC = pc.Segment, pc.Class, pc.MAC
		}, "203.0.113.11/32 is entered for segment"},
		{"MAC forgotten in a strict segment", func(g *gate.Generation) { hostOf(g, "198.18.10.11").MAC = packet.MAC{} }, "no registered MAC"},
		{"MAC of a group", func(g *gate.Generation) { hostOf(g, "198.18.10.11").MAC[0] |= 1 }, "group address"},
		{"gate's address left out", func(g *gate.Generation) {
			g.Tables.Hosts = slices.DeleteFunc(g.Tables.Hosts, func(h packet.Host) bool { return h.Addr == netip.MustParseAddr("198.18.10.1") })
		}, "198.18.10.1"},
		{"station's address as the gate's", func(g *gate.Generation) { classOf(g, "198.18.10.11").Kind = packet.KindLocal }, "I5"},
		{"class on another device", func(g *gate.Generation) { classOf(g, "198.18.21.11").Port = "inw0" }, "would leave by port inw0"},
		{"class on a device that does not exist", func(g *gate.Generation) { classOf(g, "198.18.21.11").Port = "eth9" }, "eth9"},
		{"class in another VLAN", func(g *gate.Generation) { classOf(g, "198.18.21.11").VLAN = 7 }, "VLAN 7"},
		{"class via a stranger", func(g *gate.Generation) {
			classOf(g, "198.18.21.11").Via = []netip.Addr{netip.MustParseAddr("198.18.21.66")}
		}, "198.18.21.66"},
		{"region in clear", func(g *gate.Generation) { classOf(g, "198.51.100.11").Kind = packet.KindForward }, "lies behind tunnel"},
		{"cell from My Number to the internet", permit("198.18.10.11", "203.0.113.11"), "I1"},
		{"cell from the internet to My Number", permit("203.0.113.11", "198.18.10.11"), "I1"},
		{"cell from management to LGWAN", permit("198.18.40.11", "198.18.20.11"), "I13"},
		{"local service opened", permit("198.18.10.11", "198.18.10.1"), "the anchors name no such local service"},
		{"gate opens", permit("198.18.10.1", "198.18.10.11"), "the gate itself would open"},
		{"portal opens", permit("198.18.110.2", "198.18.10.11"), "a portal answers only"},
		{"record to itself, both ways", func(g *gate.Generation) {
			c := filing(g)
			c.Src, c.Dst = c.Dst, c.Src
			g.Tables.Cells = append(g.Tables.Cells, c)
		}, "lets both sides open"},
		{"cell too many", func(g *gate.Generation) { g.Tables.Cells = append(g.Tables.Cells, g.Tables.Cells[0]) }, "listed twice"},
		{"cell of a class that does not exist", func(g *gate.Generation) { g.Tables.Cells[0].Dst = 65000 }, "does not exist"},
		{"cell of a rule that does not exist", func(g *gate.Generation) { g.Tables.Cells[0].Rule = 65000 }, "rule 65000 is missing"},
		{"rule that names no record", func(g *gate.Generation) { g.Tables.Rules[0].Records = nil }, "names no record"},
		{"rule that only names the gate", func(g *gate.Generation) {
			for i := range g.Tables.Rules {
				g.Tables.Rules[i].Records = []string{"gate:trust-me"}
			}
		}, "without a designated communication"},
		{"chain of rules that turns back", func(g *gate.Generation) { g.Tables.Rules[1].Next = g.Tables.Rules[0].ID }, "turns back"},
		{"all ports at once", func(g *gate.Generation) {
			i := slices.IndexFunc(g.Tables.Ports, func(p packet.PortRange) bool { return p.Proto == 6 && p.Lo == 443 })
			for j := range g.Tables.Ports {
				if p := &g.Tables.Ports[j]; p.Proto == 6 && p.Lo == 444 || i == j {
					p.Hi = 450
				}
			}
		}, "I2"},
		{"route to the wrong port", func(g *gate.Generation) { routeOf(g, "198.18.10.0/24").Port = "inw0" }, "inw0"},
		{"region's route to the line, in clear", func(g *gate.Generation) { routeOf(g, "198.51.100.0/26").Port = "wan0" }, "wan0"},
		{"default route to the internet", func(g *gate.Generation) {
			g.Routes = append(g.Routes, gate.Route{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Port: "inw0"})
		}, "no segment"},
		{"more specific route", func(g *gate.Generation) {
			g.Routes = append(g.Routes, gate.Route{Prefix: netip.MustParsePrefix("198.18.10.128/25"), Port: "lg0"})
		}, "mn0"},
		{"route via a stranger", func(g *gate.Generation) {
			routeOf(g, "198.18.10.0/24").Via = netip.MustParseAddr("198.18.10.66")
		}, "no router"},
		{"route given twice", func(g *gate.Generation) { g.Routes = append(g.Routes, *routeOf(g, "198.18.10.0/24")) }, "twice"},
		{"foreign peer", func(g *gate.Generation) {
			g.Tunnels[0].Peers[0].PublicKey = "c2VraXNobyBmb3JlaWduIHBlZXIgcHVibGljIGtleSE="
		}, "public key"},
		{"unknown region", func(g *gate.Generation) { g.Tunnels[0].Peers[0].ID = "elsewhere" }, "no peer"},
		{"wrong endpoint", func(g *gate.Generation) {
			g.Tunnels[0].Peers[0].Endpoint = netip.MustParseAddrPort("203.0.113.66:51820")
		}, "endpoint"},
		{"region with more addresses", func(g *gate.Generation) {
			g.Tunnels[0].Peers[0].Allowed = append(g.Tunnels[0].Peers[0].Allowed, netip.MustParsePrefix("203.0.113.0/24"))
		}, "may send from"},
		{"regions exchanged", func(g *gate.Generation) {
			p := g.Tunnels[0].Peers
			p[0].Allowed, p[1].Allowed = p[1].Allowed, p[0].Allowed
		}, "may send from"},
		{"region twice", func(g *gate.Generation) { g.Tunnels[0].Peers = append(g.Tunnels[0].Peers, g.Tunnels[0].Peers[0]) }, "twice"},
		{"end of another region", func(g *gate.Generation) { g.Tunnels[0].Peers[0].Region = g.Tunnels[0].Peers[1].ID }, "is one of region"},
		{"region that takes over a zone", func(g *gate.Generation) { g.Tunnels[0].Peers[0].TakesOver = []string{"mn-office"} }, "takes over"},
		{"class that prefers the internet's port", func(g *gate.Generation) {
			g.Preferences = []tunnel.Preference{{Class: 1, Devices: []string{g.Tunnels[0].Device, "inw0"}}}
		}, "no tunnel of this generation"},
		{"plan for nobody", func(g *gate.Generation) { g.Plans = map[string]plan.Plan{"mn-office": {Region: "mn-office"}} }, "no region of the anchors"},
		{"tunnel by another line", func(g *gate.Generation) { g.Tunnels[0].Line = "inw0" }, "line"},
		{"tunnel on another port number", func(g *gate.Generation) { g.Tunnels[0].Listen = 53 }, "port 53"},
		{"tunnel on a port's device", func(g *gate.Generation) { g.Tunnels[0].Device = "in0" }, "no tunnel"},
		{"tunnel with a station's address", func(g *gate.Generation) {
			g.Tunnels[0].Addrs = append(g.Tunnels[0].Addrs, netip.MustParseAddr("198.18.10.11"))
		}, "not the gate's"},
		{"tunnel MTU", func(g *gate.Generation) { g.Tunnels[0].MTU = 65535 }, "MTU"},
		{"probe to a stranger", func(g *gate.Generation) {
			g.Tunnels[0].Peers[0].Probe = netip.MustParseAddrPort("203.0.113.11:53")
		}, "probe"},
		{"guarantees over the line", func(g *gate.Generation) { g.Bandwidth[0].Classes[0].Guarantee = g.Bandwidth[0].Rate }, "exceed"},
		{"bandwidth on a port", func(g *gate.Generation) { g.Bandwidth[0].Device = "mn0" }, "no tunnel"},
		{"no revision", func(g *gate.Generation) { g.Revision = "" }, "revision"},
		{"another's revision", func(g *gate.Generation) { g.Revision = "r-0001" }, "its tables say"},
	}
}

// malformed are bodies that are no generation; with what the answer must say.
func malformed(honest []byte) map[string][2]string {
	with := func(more string) string { return "{" + more + "," + string(honest[1:]) }
	return map[string][2]string{
		"cut off":                  {string(honest[:len(honest)-7]), "unexpected EOF"},
		"empty":                    {"", "EOF"},
		"a key twice":              {with(`"revision":"x"`), "stands twice"},
		"a list twice":             {with(`"routes":[]`), "stands twice"},
		"a backstop":               {with(`"backstop":"none"`), `unknown field "backstop"`},
		"NAT pairs":                {with(`"nat":[{"inside":"198.18.10.0/24","outside":"203.0.113.0/24"}]`), `unknown field "nat"`},
		"a pre-shared key":         {strings.Replace(string(honest), `"public-key":`, `"preshared-key":"c2VraXNobyBmb3JlaWduIHBlZXIgcHVibGljIGtleSE=","public-key":`, 1), `unknown field "preshared-key"`},
		"zones of its own":         {with(`"anchors":{"name":"mine"}`), `unknown field "anchors"`},
		"a second one behind it":   {string(honest) + string(honest), "stands behind it"},
		"a number beyond its type": {strings.Replace(string(honest), `"class":`, `"class":7777777`, 1), "cannot unmarshal"},
	}
}

// running is everything of a gate that a refused generation must leave alone.
func (w *town) running(t *testing.T) string {
	t.Helper()
	s := w.status(t)
	kept, err := os.ReadFile(filepath.Join(w.instance.StateOf("dataplane"), "generation.json"))
	if err != nil {
		t.Fatal(err)
	}
	stands, err := backstop.Look()
	if err != nil {
		t.Fatal(err)
	}
	var names packet.Names
	if code, err := w.ask(http.MethodGet, "/names", nil, &names); err != nil || code != http.StatusOK {
		t.Fatal(code, err)
	}
	b, err := json.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	regions := ""
	for _, r := range s.Tunnels {
		regions += fmt.Sprint(r.Region, " ", r.Device, "; ")
	}
	var devices []string
	for _, p := range s.Ports {
		devices = append(devices, fmt.Sprintf("%s %d %v %v", p.Name, p.Index, p.Guarded(), p.Up))
	}
	return fmt.Sprintf("%+v\n%s\n%s\n%v\n%s\n%s\n%x\n%s\n%s\n%s", s.Result, kept, b, stands, regions, strings.Join(devices, "\n"), s.Magic,
		netlab.Run(t, "", "ip", "-d", "route", "show", "table", "all"), netlab.Run(t, "", "ip", "-6", "-d", "route", "show", "table", "all"),
		netlab.Run(t, "", "tc", "class", "show", "dev", "wg0"))
}

// counted is what the packet core remembers.
func (w *town) counted(t *testing.T) (c packet.Counters, flows []packet.Flow) {
	t.Helper()
	for path, into := range map[string]any{"/counters": &c, "/flows": &flows} {
		if code, err := w.ask(http.MethodGet, path, nil, into); err != nil || code != http.StatusOK {
			t.Fatal(path, code, err)
		}
	}
	return c, flows
}

// raw posts bytes as a generation.
func (w *town) raw(body io.Reader) (int, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://gate/generation", body)
	if err != nil {
		return 0, "", err
	}
	c := socket.Client(w.instance.DataplaneSocket())
	defer c.CloseIdleConnections()
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func (w *town) checkLies(t *testing.T) {
	handleTCP(t, "region1", "198.51.100.11:5202", func(c net.Conn) { io.Copy(c, c) })
	talk, end := w.talk(t)
	defer end()
	before := w.running(t)
	counters, flows := w.counted(t)
	for _, l := range w.lies(t) {
		t.Run(l.name, func(t *testing.T) {
			g := w.compile(t)
			l.tell(&g)
			code, v := w.apply(t, g)
			if code != http.StatusConflict {
				t.Fatalf("answered with %d %+v, want 409", code, v)
			}
			all := v.Error
			for _, x := range v.Violations {
				all += "\n" + x.Invariant + " " + x.Message
			}
			if !strings.Contains(all, l.want) {
				t.Errorf("answer %q: want %q in it", all, l.want)
			}
			talk(t)
		})
	}
	honest, err := json.Marshal(w.compile(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range malformed(honest) {
		t.Run(name, func(t *testing.T) {
			if code, text, err := w.raw(strings.NewReader(x[0])); err != nil || code != http.StatusBadRequest || !strings.Contains(jsonText(text), x[1]) {
				t.Errorf("answered with %d %s, %v, want 400 and %q", code, text, err, x[1])
			}
			talk(t)
		})
	}
	t.Run("giant", func(t *testing.T) {
		giant := io.MultiReader(strings.NewReader(`{"revision":"`), io.LimitReader(letters{}, 129<<20))
		code, text, err := w.raw(giant)
		// The daemon answers, and hangs up on what is still being sent.
		if err == nil && (code != http.StatusRequestEntityTooLarge || !strings.Contains(text, "more than")) || err != nil && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "broken pipe") && !strings.Contains(err.Error(), "reset") {
			t.Errorf("answered with %d %s, %v, want 413", code, text, err)
		}
		talk(t)
	})
	t.Run("at once", func(t *testing.T) { w.checkTogether(t) })
	t.Run("an old epoch", func(t *testing.T) {
		g := w.compile(t)
		g.Tables.Epoch = 1 // who loads says which epoch it is
		w.mustApply(t, g)
		w.mustApply(t, w.compile(t)) // as it is kept, too
	})
	t.Run("only asked", func(t *testing.T) { w.checkOnlyAsked(t) })
	talk(t)

	if after := w.running(t); after != before {
		t.Errorf("after the lies:\n%s\nwant\n%s", after, before)
	}
	now, still := w.counted(t)
	if now.Opened != counters.Opened {
		// Probes of the regions go on; nothing else opens flows meanwhile.
		t.Logf("flows opened: %d, before the lies %d", now.Opened, counters.Opened)
	}
	for reason, n := range counters.Reasons {
		if now.Reasons[reason].Packets < n.Packets {
			t.Errorf("the counter of %s went from %d to %d", reason, n.Packets, now.Reasons[reason].Packets)
		}
	}
	for _, f := range flows {
		if f.DPort == 5202 && !slices.ContainsFunc(still, func(x packet.Flow) bool {
			return x.Src == f.Src && x.SPort == f.SPort && x.DPort == f.DPort && x.Epoch == f.Epoch && x.Rule == f.Rule && x.Forward.Packets > f.Forward.Packets
		}) {
			t.Errorf("the open flow %+v is not what it was", f)
		}
	}
}

// Many say different things at the same time: each lie is refused, and the honest one holds.
func (w *town) checkTogether(t *testing.T) {
	var wg sync.WaitGroup
	for i, l := range w.lies(t)[:6] {
		wg.Go(func() {
			g := w.compile(t)
			if i%3 != 0 {
				l.tell(&g)
			}
			var v verdictOf
			code, err := w.ask(http.MethodPost, "/generation", g, &v)
			if want := http.StatusConflict; err != nil || code != want && i%3 != 0 || i%3 == 0 && code != http.StatusOK {
				t.Errorf("%s: answered with %d %+v, %v", l.name, code, v, err)
			}
		})
	}
	wg.Wait()
}

// A generation that is only to be checked changes nothing, and the packet of a lie is played to the programs.
func (w *town) checkOnlyAsked(t *testing.T) {
	g := w.compile(t)
	g.Revision, g.Tables.Revision = "asked", "asked"
	if code, err := w.ask(http.MethodPost, "/generation/check", g, nil); err != nil || code != http.StatusOK {
		t.Errorf("an honest one: %d, %v", code, err)
	}
	for _, l := range w.lies(t) {
		if l.name != "cell from My Number to the internet" {
			continue
		}
		l.tell(&g)
		var v struct {
			Error      string
			Violations []struct {
				Replay *struct{ Verdict, Port, Reason string }
			}
		}
		code, err := w.ask(http.MethodPost, "/generation/check", g, &v)
		const said = "replayed: the loaded program passes it: redirect to port inw0; there the egress program, as second engine, stops it: egress-zone-pair"
		if err != nil || code != http.StatusConflict || !strings.Contains(v.Error, said) {
			t.Errorf("answered with %d %s, %v, want 409 and %q", code, v.Error, err, said)
		}
		if len(v.Violations) == 0 || v.Violations[0].Replay == nil || v.Violations[0].Replay.Verdict != "redirect" {
			t.Errorf("violations %+v: want a replay", v.Violations)
		}
	}
}

// talk opens a connection through the gate and its tunnel that is used again after each lie.
func (w *town) talk(t *testing.T) (say func(t *testing.T), end func()) {
	t.Helper()
	var c net.Conn
	netlab.Do(t, "mn-pc1", func() (err error) {
		c, err = net.DialTimeout("tcp", "198.51.100.11:5202", 10*time.Second)
		return err
	})
	n := 0
	return func(t *testing.T) {
		t.Helper()
		n++
		word := fmt.Appendf(nil, "still here %d", n)
		got := make([]byte, len(word))
		err := c.SetDeadline(time.Now().Add(5 * time.Second))
		if err == nil {
			_, err = c.Write(word)
		}
		if err == nil {
			_, err = io.ReadFull(c, got)
		}
		if err != nil || !bytes.Equal(got, word) {
			t.Fatalf("the open connection answers %q, %v", got, err)
		}
	}, func() { c.Close() }
}

// letters never ends.
type letters struct{}

func (letters) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

// jsonText is the error of a JSON answer.
func jsonText(s string) string {
	var v struct{ Error string }
	if json.Unmarshal([]byte(s), &v) != nil {
		return s
	}
	return v.Error
}
