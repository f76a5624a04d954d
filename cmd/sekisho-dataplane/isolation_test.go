package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/isolation"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// crowded is the traffic's configuration with ten thousand records that nobody uses.
func crowded(t *testing.T) []byte {
	t.Helper()
	var services, records bytes.Buffer
	for s := range 100 {
		fmt.Fprintf(&services, "  - {id: more-%d, segment: lg-asp-net, addresses: [198.18.21.%d], ports: [tcp/10000-10099], name: {ja: 他, en: More}}\n", s, 100+s)
		for p := range 100 {
			records.WriteString(strings.Replace(trafficRecord(fmt.Sprintf("more-%d-%d", s, p), "mn-pc2", fmt.Sprintf("more-%d", s)), "ports: []", fmt.Sprintf("ports: [tcp/%d]", 10000+p), 1))
		}
	}
	doc := trafficConfig(t)
	for _, at := range []struct {
		key  string
		more []byte
	}{{"\ngroups:\n", services.Bytes()}, {"\nlines:\n", records.Bytes()}} {
		before, after, found := bytes.Cut(doc, []byte(at.key))
		if !found {
			t.Fatalf("the example has no %q", at.key)
		}
		doc = slices.Concat(bytes.TrimRight(before, "\n"), []byte("\n"), at.more, []byte(at.key), after)
	}
	return doc
}

func (w *town) isolation(t *testing.T) gate.Isolation {
	t.Helper()
	var s gate.Isolation
	if code, err := w.ask(http.MethodGet, "/isolation", nil, &s); err != nil || code != http.StatusOK {
		t.Fatal(code, err)
	}
	return s
}

func (w *town) order(t *testing.T, act isolation.Act, zone anchors.Zone, until time.Time) {
	t.Helper()
	var answer struct{ Error string }
	o := gate.Order{Act: act, Request: isolation.Request{Zone: zone, By: "sato", Reason: "試験", Until: until}}
	if code, err := w.ask(http.MethodPost, "/isolation", o, &answer); err != nil || code != http.StatusOK {
		t.Fatalf("%s %s: %d, %v, %s", act, zone, code, err, answer.Error)
	}
}

// zoneOf is where a host of the lab's town is.
func zoneOf(host string) anchors.Zone {
	return map[string]anchors.Zone{"mn": anchors.MyNumber, "lg": anchors.LGWAN, "in": anchors.Internet, "no": anchors.Management}[host[:2]]
}

// lastThere is the last packet of a talk, after one, that arrived or was answered.
func (k *talk) lastThere(after uint64) uint64 {
	for n := k.sentSoFar(); n > after; n-- {
		_, there := k.there.Load(n)
		if there || k.heard(n) {
			return n
		}
	}
	return after
}

// silent wants that no packet of a cut zone's talks arrives that is sent from now on, and that all others flow.
func (x *traffic) silent(t *testing.T, what string, cut ...anchors.Zone) {
	t.Helper()
	from := map[*talk]uint64{}
	for _, k := range x.allowed {
		from[k] = k.sentSoFar()
	}
	for _, k := range x.allowed {
		if !slices.Contains(cut, zoneOf(k.from)) && !slices.Contains(cut, zoneOf(k.to)) {
			k.flows(t)
		}
	}
	time.Sleep(200 * time.Millisecond)
	for k, n := range from {
		if slices.Contains(cut, zoneOf(k.from)) || slices.Contains(cut, zoneOf(k.to)) {
			if last := k.lastThere(n); last > n {
				t.Errorf("%s: packet %d of %s arrived, sent after %d", what, last, k, n)
			}
		}
	}
}

// One town for the story of an emergency: each part needs what the former left.
func TestIsolation(t *testing.T) {
	w := newTownOf(t, crowded(t))
	w.start(t)
	w.mustApply(t, w.compile(t))
	x := w.traffic(t)
	w.startRegion(t)
	w.waitRegion(t)
	serveTCP(t, "region1", "198.51.100.11:443")
	serveTCP(t, w.instance.PortalNetns(anchors.LGWAN), "198.18.120.2:443")
	serveTCP(t, w.instance.PortalNetns(anchors.Management), "198.18.140.2:443")
	expect(t, true, "mn-pc1", "198.51.100.11:443")
	expect(t, true, "lg-pc1", "198.18.120.2:443")

	t.Run("a second after the command nothing crosses", func(t *testing.T) { w.checkCut(t, x) })
	t.Run("what is cut off and what is not", func(t *testing.T) {
		if !backstopShut(t) {
			t.Error("the backstop was not told")
		}
		expect(t, false, "lg-pc1", "198.18.120.2:443")
		expect(t, true, "noc", "198.18.140.2:443")
		expect(t, true, "mn-pc1", "198.51.100.11:443")
	})
	t.Run("who may", func(t *testing.T) { w.checkWhoMay(t) })
	t.Run("a commit gives nothing back", func(t *testing.T) {
		w.mustApply(t, w.compile(t))
		x.silent(t, "after a commit", anchors.LGWAN)
	})
	t.Run("the dataplane dies and comes back", func(t *testing.T) {
		w.stop(t) // kill -9
		x.silent(t, "while the daemon is dead", anchors.LGWAN)
		x.during(t, "while it starts", anchors.LGWAN, func() { w.start(t) })
		x.silent(t, "with the daemon back", anchors.LGWAN)
	})
	t.Run("the classifier lets everything through", func(t *testing.T) { w.checkCareless(t, x) })
	t.Run("only the backstop is left", func(t *testing.T) { w.checkBackstopAlone(t, x) })
	t.Run("records that come back", func(t *testing.T) { w.checkReturning(t) })
	t.Run("given back", func(t *testing.T) {
		w.order(t, isolation.End, anchors.LGWAN, time.Time{})
		for _, k := range x.allowed {
			k.flows(t)
		}
		if backstopShut(t) {
			t.Error("the backstop was not told")
		}
		expect(t, true, "lg-pc1", "198.18.120.2:443")
	})
	t.Run("the planned way back", func(t *testing.T) { w.checkWayBack(t, x) })
	t.Run("the line and its tunnels", func(t *testing.T) {
		w.order(t, isolation.Begin, anchors.Uplink, time.Time{})
		expect(t, false, "mn-pc1", "198.51.100.11:443")
		x.silent(t, "the line is cut off")
		w.order(t, isolation.End, anchors.Uplink, time.Time{})
		w.waitRegion(t)
		expect(t, true, "mn-pc1", "198.51.100.11:443")
		w.order(t, isolation.Begin, anchors.MyNumber, time.Time{})
		expect(t, false, "mn-pc1", "198.51.100.11:443")
		w.order(t, isolation.End, anchors.MyNumber, time.Time{})
	})
	t.Run("a record that cannot be read", func(t *testing.T) { w.checkUnreadable(t, x) })
	t.Run("after a start of the machine", func(t *testing.T) { w.checkReboot(t) })
	t.Run("nothing went astray", func(t *testing.T) { x.astray(t) })
}

// patience is for the answer, which comes when all is on the disk and in the backstop, on a machine that others use, too.
const patience = 3 * time.Second

// checkCut cuts LGWAN off while everybody talks, with ten thousand records in force and a commit of as many under way.
func (w *town) checkCut(t *testing.T, x *traffic) {
	g := w.compile(t)
	g.Revision = "meanwhile"
	g.Tables.Revision = g.Revision
	committed := make(chan int, 1)
	go func() {
		code, err := w.ask(http.MethodPost, "/generation", g, nil)
		if err != nil {
			t.Error(err)
		}
		committed <- code
	}()
	time.Sleep(50 * time.Millisecond)
	at := map[*talk]uint64{}
	for _, k := range x.allowed {
		at[k] = k.sentSoFar()
	}
	began := time.Now()
	w.order(t, isolation.Begin, anchors.LGWAN, time.Time{})
	took := time.Since(began)
	time.Sleep(time.Until(began.Add(time.Second)))
	second := map[*talk]uint64{}
	for _, k := range x.allowed {
		second[k] = k.sentSoFar()
	}
	if code := <-committed; code != http.StatusOK {
		t.Errorf("the commit meanwhile is answered with %d", code)
	}
	time.Sleep(300 * time.Millisecond)
	worst := time.Duration(0)
	for _, k := range x.allowed {
		last := k.lastThere(at[k])
		if zoneOf(k.from) != anchors.LGWAN && zoneOf(k.to) != anchors.LGWAN {
			k.flows(t)
			continue
		}
		if last > second[k] {
			t.Errorf("%s: packet %d arrived, sent more than a second after the command (%d)", k, last, second[k])
		}
		if sent := second[k] - at[k]; sent > 0 {
			worst = max(worst, time.Duration(last-at[k])*time.Second/time.Duration(sent))
		}
	}
	t.Logf("answered after %s; the last packet that crossed was sent about %s after the command", took.Round(time.Millisecond), worst.Round(time.Millisecond))
	if took > patience || worst > time.Second {
		t.Errorf("cut off after %s, answered after %s; want a second at most, and %s", worst, took, patience)
	}
	for _, k := range x.long {
		if rounds := k.rounds.Load(); zoneOf(k.from) == anchors.LGWAN || zoneOf(k.to) == anchors.LGWAN {
			time.Sleep(20 * time.Millisecond)
			if k.rounds.Load() != rounds {
				t.Errorf("the TCP connection %s lives", k.pair)
			}
		}
	}
	s := w.isolation(t)
	if len(s.Cuts) != 1 || s.Cuts[0].Zone != anchors.LGWAN || s.Cuts[0].By != "sato" || s.Cuts[0].Via != isolation.ViaRoot || s.Cuts[0].Reason != "試験" {
		t.Errorf("cut off are %+v", s.Cuts)
	}
	var c packet.Counters
	if _, err := w.ask(http.MethodGet, "/counters", nil, &c); err != nil || c.Reasons["zone-isolated"].Packets == 0 {
		t.Errorf("nothing was counted as zone-isolated: %v (%v)", c.Reasons, err)
	}
}

// during does something and wants that no packet of a cut zone arrives meanwhile.
func (x *traffic) during(t *testing.T, what string, cut anchors.Zone, f func()) {
	t.Helper()
	from := map[*talk]uint64{}
	for _, k := range x.allowed {
		from[k] = k.sentSoFar()
	}
	f()
	for k, n := range from {
		if zoneOf(k.from) == cut || zoneOf(k.to) == cut {
			if last := k.lastThere(n); last > n {
				t.Errorf("%s: packet %d of %s arrived, sent after %d", what, last, k, n)
			}
		}
	}
}

// checkWhoMay asks as others.
func (w *town) checkWhoMay(t *testing.T) {
	order := `{"act":"end","zone":"lgwan","by":"x","reason":"x"}`
	for user, want := range map[string]string{place.PortalUser(anchors.LGWAN): "403", place.ReleaseUser: "403", place.ControlUser: "409"} {
		body := order
		if want == "409" {
			body = strings.Replace(order, "lgwan", "internet", 1) // which is not cut off
		}
		uid, gid := idsOf(t, user)
		cmd := exec.Command("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", w.instance.DataplaneSocket(), "-d", body, "http://gate/isolation")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
		if out, err := cmd.Output(); err != nil || string(out) != want {
			t.Errorf("%s is answered %s (%v), want %s", user, out, err, want)
		}
	}
	for what, o := range map[string]gate.Order{
		"management":  {Act: isolation.Begin, Request: isolation.Request{Zone: anchors.Management, By: "x", Reason: "x"}},
		"no reason":   {Act: isolation.End, Request: isolation.Request{Zone: anchors.LGWAN, By: "x"}},
		"another act": {Act: isolation.Due, Request: isolation.Request{Zone: anchors.LGWAN, By: "x", Reason: "x"}},
	} {
		if code, err := w.ask(http.MethodPost, "/isolation", o, nil); err != nil || code != http.StatusConflict {
			t.Errorf("%s is answered %d (%v)", what, code, err)
		}
	}
}

// checkCareless puts classifiers in place that redirect whatever comes: the egress program refuses by itself.
func (w *town) checkCareless(t *testing.T, x *traffic) {
	drops := func() uint64 {
		var c packet.Counters
		if _, err := w.ask(http.MethodGet, "/counters", nil, &c); err != nil {
			t.Fatal(err)
		}
		return c.Reasons["zone-isolated"].Packets
	}
	before := drops()
	w.signal(t, syscall.SIGSTOP)
	x.during(t, "a careless classifier", anchors.LGWAN, func() {
		// Everything to the zone's port and everything of the zone to another's.
		for _, way := range [][2]string{{"mn0", "lga0"}, {"in0", "lga0"}, {"lg0", "mn0"}, {"lga0", "inw0"}} {
			p := w.careless(t, way[1])
			l := w.link(t, way[0], "xdp")
			if err := l.Update(p); err != nil {
				t.Fatal(err)
			}
			l.Close()
			p.Close()
		}
		time.Sleep(300 * time.Millisecond)
	})
	w.signal(t, syscall.SIGCONT)
	if drops() == before {
		t.Error("the egress program counted nothing as zone-isolated")
	}
	x.silent(t, "the classifiers are back", anchors.LGWAN)
}

// backstopShut tells whether the backstop has rules for a zone that is cut off.
func backstopShut(t *testing.T) bool {
	t.Helper()
	return strings.Contains(netlab.Run(t, "", "nft", "list", "table", "inet", "sekisho"), `counter name "forward-isolated" drop`)
}

// checkBackstopAlone takes every program away: what the stack forwards then, the backstop refuses.
func (w *town) checkBackstopAlone(t *testing.T, x *traffic) {
	w.signal(t, syscall.SIGSTOP)
	mark := fmt.Sprintf("0x%04x0000", w.magic(t))
	netlab.Run(t, "", "nft", "add table inet core; add chain inet core in { type filter hook prerouting priority -300; }; add rule inet core in meta mark set "+mark)
	x.during(t, "the backstop alone", anchors.LGWAN, func() {
		for _, h := range hosts() {
			for _, hook := range []string{"xdp", "ingress", "egress"} {
				l := w.link(t, h.port, hook)
				if err := l.Detach(); err != nil {
					t.Fatal(err)
				}
				l.Close()
			}
		}
		time.Sleep(500 * time.Millisecond)
	})
	if out := netlab.Run(t, "", "nft", "list", "counter", "inet", "sekisho", "forward-isolated"); strings.Contains(out, "packets 0 ") {
		t.Errorf("the backstop counted nothing: %s", out)
	}
	netlab.Run(t, "", "nft", "delete table inet core")
	w.signal(t, syscall.SIGCONT)
	x.silent(t, "the programs are back", anchors.LGWAN)
}

// magic is that of the marks; asked before the daemon is stopped.
func (w *town) magic(t *testing.T) uint16 {
	t.Helper()
	w.signal(t, syscall.SIGCONT)
	m := w.status(t).Magic
	w.signal(t, syscall.SIGSTOP)
	return m
}

func (w *town) checkReturning(t *testing.T) {
	var records []string
	ask := func(zone string) []string {
		t.Helper()
		records = nil
		if code, err := w.ask(http.MethodGet, "/isolation/records?zone="+zone, nil, &records); err != nil || code != http.StatusOK {
			t.Fatal(code, err)
		}
		return records
	}
	all := ask("lgwan")
	for _, want := range []string{"eltax-submit", "asp-use", "to-desk", "lg-web", "in-asp", "more-7-7"} {
		if !slices.Contains(all, want) {
			t.Errorf("%s is not among the %d records that come back", want, len(all))
		}
	}
	for _, not := range []string{"web-use", "resident-core"} {
		if slices.Contains(all, not) {
			t.Errorf("%s, which was never cut off, is among those that come back", not)
		}
	}
	w.order(t, isolation.Begin, anchors.MyNumber, time.Time{})
	if now := ask("lgwan"); slices.Contains(now, "eltax-submit") || !slices.Contains(now, "lg-web") {
		t.Errorf("with My Number cut off as well come back: %v", now)
	}
	w.order(t, isolation.End, anchors.MyNumber, time.Time{})
	if line := ask("uplink"); !slices.Contains(line, "resident-core") || slices.Contains(line, "web-use") {
		t.Errorf("with the line come back: %v", line)
	}
}

// checkWayBack lets a cut end by itself, also over the daemon's death.
func (w *town) checkWayBack(t *testing.T, x *traffic) {
	until := time.Now().Add(3 * time.Second)
	w.order(t, isolation.Begin, anchors.Internet, until)
	x.silent(t, "before its time", anchors.Internet)
	w.stop(t)
	x.during(t, "while the daemon is dead beyond the time", anchors.Internet, func() { time.Sleep(time.Until(until) + 500*time.Millisecond) })
	w.start(t)
	for _, k := range x.allowed {
		k.flows(t)
	}
	s := w.isolation(t)
	if n := len(s.Events); len(s.Cuts) != 0 || n == 0 || s.Events[n-1].Act != isolation.Due {
		t.Errorf("after its time: %+v", s)
	}
	w.order(t, isolation.Begin, anchors.Internet, time.Now().Add(2*time.Second))
	netlab.Until(t, 6*time.Second, "the internet zone given back by itself", func() bool { return len(w.isolation(t).Cuts) == 0 })
	for _, k := range x.allowed {
		k.flows(t)
	}
}

// checkUnreadable damages the record while the daemon is dead.
func (w *town) checkUnreadable(t *testing.T, x *traffic) {
	w.stop(t)
	if err := os.WriteFile(w.instance.Isolation(), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.start(t)
	x.silent(t, "unreadable", anchors.MyNumber, anchors.LGWAN, anchors.Internet)
	expect(t, true, "noc", "198.18.140.2:443")
	if s := w.isolation(t); len(s.Cuts) != 4 || !strings.Contains(s.Broken, w.instance.Isolation()) {
		t.Errorf("with an unreadable record: %+v", s)
	}
	for _, z := range isolation.Zones {
		w.order(t, isolation.End, z, time.Time{})
	}
	if s := w.isolation(t); s.Broken != "" {
		t.Errorf("still broken: %s", s.Broken)
	}
	for _, k := range x.allowed {
		k.flows(t)
	}
}

// checkReboot takes everything away that a start of the machine does not find.
func (w *town) checkReboot(t *testing.T) {
	serveTCP(t, "in-web", "203.0.113.11:80")
	expect(t, true, "in-pc1", "203.0.113.11:80")
	w.order(t, isolation.Begin, anchors.Internet, time.Time{})
	w.stop(t)
	w.sub(t, "remove", "--name", string(w.instance))
	if left, err := filepath.Glob(filepath.Join(w.instance.BPF(), "*")); err != nil || len(left) != 0 {
		t.Fatalf("pins are left: %v, %v", left, err)
	}
	w.start(t)
	expect(t, false, "in-pc1", "203.0.113.11:80")
	w.order(t, isolation.End, anchors.Internet, time.Time{})
	expect(t, true, "in-pc1", "203.0.113.11:80")
}

func idsOf(t *testing.T, name string) (uid, gid uint32) {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatalf("%v: run hack/bootstrap", err)
	}
	n, err1 := strconv.ParseUint(u.Uid, 10, 32)
	m, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return uint32(n), uint32(m)
}
