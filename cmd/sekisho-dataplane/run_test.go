package main

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/anchors/history"
	"github.com/sekisho/sekisho/dataplane/backstop"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// One town for the story from the first start to the removal: each part needs what the former left.
func TestLifeOfAGate(t *testing.T) {
	w := newTown(t)
	serveTCP(t, "lg-asp", "198.18.21.11:443")
	serveTCP(t, "in-web", "203.0.113.11:443")
	w.start(t)

	t.Run("closed before the first generation", func(t *testing.T) {
		expect(t, false, "mn-pc1", "198.18.21.11:443")
	})

	w.mustApply(t, w.compile(t))
	w.startRegion(t)
	w.waitRegion(t)
	netlab.Run(t, "region1", "ip", "route") // for the log of a failure
	serveTCP(t, "region1", "198.51.100.11:443")
	check := func(t *testing.T) {
		t.Helper()
		for addr, want := range map[string]bool{
			"198.18.21.11:443":  true,  // designated: eLTAX
			"198.51.100.11:443": true,  // designated: resident records, through the tunnel
			"203.0.113.11:443":  false, // My Number -> internet
			"198.18.21.11:80":   false, // another port
		} {
			expect(t, want, "mn-pc1", addr)
		}
	}
	t.Run("designated communications pass, others do not", check)
	t.Run("status", func(t *testing.T) { w.checkStatus(t) })
	t.Run("portals", func(t *testing.T) { w.checkPortals(t) })
	t.Run("lies are refused", func(t *testing.T) { w.checkLies(t) })
	t.Run("after the lies", check)
	t.Run("failure goes back", func(t *testing.T) { w.checkFailure(t) })
	t.Run("after the failure", check)

	before := w.status(t)
	line := netlab.Listen(t, "", "wan0") // from here on, the daemon and more die: nothing may leave in clear
	w.stop(t)                            // kill -9
	t.Run("daemon dead", check)
	w.start(t)
	t.Run("daemon back", check)
	if now := w.status(t); now.Revision != before.Revision || now.Hash != before.Hash || now.Magic != before.Magic {
		t.Errorf("after a restart %+v, want revision, hash and magic of %+v", now.Result, before.Result)
	}
	w.stop(t)
	w.agePins(t)
	w.start(t)
	t.Run("upgraded from pins of another layout", check)
	if now := w.status(t); now.Revision != before.Revision || now.Hash != before.Hash || now.Magic != before.Magic {
		t.Errorf("after an upgrade %+v, want revision, hash and magic of %+v", now.Result, before.Result)
	}
	t.Run("what was taken away comes back", func(t *testing.T) { w.checkSettling(t) })
	t.Run("settled", check)
	t.Run("the backstop cannot be put back", func(t *testing.T) { w.checkNoBackstop(t) })
	t.Run("anchors changed", func(t *testing.T) { w.checkAnchorsChanged(t) })
	frames := line.Frames()
	for _, f := range frames {
		if netlab.Carries(f, netip.MustParsePrefix("198.51.100.0/24")) || netlab.Carries(f, netip.MustParsePrefix("198.18.0.0/15")) {
			t.Errorf("of %d frames on the line, one is in clear: %x", len(frames), f)
			break
		}
	}
	t.Run("removed", func(t *testing.T) { w.checkRemoved(t) })
}

// agePins makes the pins those of an older layout.
func (w *town) agePins(t *testing.T) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(w.instance.BPF(), "v*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("folders of pins: %v, %v", found, err)
	}
	if err := os.Rename(found[0], filepath.Join(w.instance.BPF(), "v0")); err != nil {
		t.Fatal(err)
	}
}

func (w *town) checkStatus(t *testing.T) {
	s := w.status(t)
	for _, p := range s.Ports {
		// Only the ports of this town's hosts are plugged in.
		if p.Index != 0 && (!p.Guarded() || !p.Up) {
			t.Errorf("port %+v: want it guarded and up", p)
		}
		if strings.HasPrefix(p.Name, "pt-") && !p.Native {
			t.Errorf("portal port %+v: want native XDP", p)
		}
	}
	if s.Revision == "" || s.Hash == "" || s.Magic == 0 || len(s.Classes) != 3 || s.Backstop["input-allowed"].Packets == 0 {
		t.Errorf("status %+v: want revision, hash, magic, three classes, counters of the backstop", s)
	}
	netlab.Until(t, 5*time.Second, "core class's traffic measured: the record's class reached the line", func() bool {
		c := w.status(t).Classes
		return len(c) == 3 && c[0].Name == "core" && c[0].Bytes > 0
	})
	for user, want := range map[string]string{place.ControlUser: "200", place.ReleaseUser: "403", place.TunnelUser: "403"} {
		if got := w.askAs(t, user); got != want {
			t.Errorf("user %s is answered with %s, want %s", user, got, want)
		}
	}
	for _, path := range []string{"/counters", "/flows?max=10", "/anchors", "/tunnel-keys", "/names",
		"/capture?snap=64&packets=1&bytes=10000&time=100ms&verdict=dropped"} {
		if code, err := w.ask(http.MethodGet, path, nil, nil); err != nil || code != http.StatusOK {
			t.Errorf("GET %s: %d, %v", path, code, err)
		}
	}
	// mn-pc1 opened flows; of in-web, which may open none, the neighbour table knows.
	expect(t, false, "in-web", "203.0.113.1:9")
	seen := map[netip.Addr]time.Time{}
	if code, err := w.ask(http.MethodGet, "/stations", nil, &seen); err != nil || code != http.StatusOK {
		t.Errorf("GET /stations: %d, %v", code, err)
	}
	for _, a := range []string{"198.18.10.11", "203.0.113.11"} {
		if at := seen[netip.MustParseAddr(a)]; time.Since(at) > 2*time.Minute || time.Until(at) > 2*time.Second {
			t.Errorf("%s was heard of at %s of %v, want just now", a, at, seen)
		}
	}
	if code, _ := w.ask(http.MethodGet, "/flows?max=many", nil, nil); code != http.StatusBadRequest {
		t.Errorf("GET /flows?max=many: %d, want 400", code)
	}
	for _, q := range []string{"", "snap=64&packets=1&bytes=10000", "snap=64&packets=1&bytes=10000&time=2h", "snap=64&packets=1&bytes=9999999999&time=1s", "snap=64&packets=1&bytes=10000&time=1s&segment=nowhere"} {
		if code, _ := w.ask(http.MethodGet, "/capture?"+q, nil, nil); code != http.StatusBadRequest {
			t.Errorf("GET /capture?%s: %d, want 400", q, code)
		}
	}
	for key, want := range map[string]string{"net.ipv4.conf.all.forwarding": "1", "net.ipv6.conf.all.forwarding": "1",
		"net.ipv4.conf.mn0.rp_filter": "1", "net.ipv6.conf.mn0.accept_ra": "0", "net.ipv4.conf.mn0.send_redirects": "0"} {
		if got := strings.TrimSpace(netlab.Run(t, "", "sysctl", "-n", key)); got != want {
			t.Errorf("%s = %s, want %s", key, got, want)
		}
	}
	fi, err := os.Stat(filepath.Join(w.instance.StateOf("dataplane"), "wireguard-wg0.key"))
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("tunnel key: %v, %v: want mode 0600", fi, err)
	}
}

// A portal is reached from where it should be, and reaches nobody.
func (w *town) checkPortals(t *testing.T) {
	mn := w.instance.PortalNetns(anchors.MyNumber)
	serveTCP(t, mn, "198.18.110.2:443")
	serveTCP(t, mn, "198.18.110.2:80")
	serveTCP(t, "mn-pc1", "198.18.10.11:443")
	expect(t, true, "mn-pc1", "198.18.110.2:443")
	expect(t, false, "mn-pc1", "198.18.110.2:80")
	expect(t, false, "noc", "198.18.110.2:443")
	for _, z := range place.PortalZones {
		ns := w.instance.PortalNetns(z)
		for _, addr := range []string{"198.18.10.11:443", "198.18.21.11:443", "203.0.113.11:443", "198.18.40.11:443", "198.51.100.11:443"} {
			expect(t, false, ns, addr)
		}
	}
}

// When keeping the generation fails, after everything was changed, the former one is put back.
func (w *town) checkFailure(t *testing.T) {
	path := filepath.Join(w.instance.StateOf("dataplane"), "generation.json")
	before := w.status(t)
	if err := os.Rename(path, path+".aside"); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	next := w.compile(t)
	next.Revision, next.Tables.Revision = "next", "next"
	next.Tunnels[0].Peers = nil
	next.Bandwidth = nil
	next.Routes = next.Routes[:2]
	if code, v := w.apply(t, next); code != http.StatusInternalServerError {
		t.Errorf("answered with %d %+v, want 500", code, v)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".aside", path); err != nil {
		t.Fatal(err)
	}
	if now := w.status(t); now.Revision != before.Revision || now.Hash != before.Hash || len(now.Tunnels) != len(before.Tunnels) || len(now.Classes) != 3 {
		t.Errorf("after the failure %+v, want %+v", now, before)
	}
	w.waitRegion(t)
}

// Devices and rules that somebody removes are put back, and are never open in between.
func (w *town) checkSettling(t *testing.T) {
	// What lies beneath does not depend on control's asking for it.
	g := w.compile(t)
	g.Routes = slices.DeleteFunc(g.Routes, func(r gate.Route) bool { return r.Unreachable })
	w.mustApply(t, g)
	netlab.Run(t, "", "ip", "route", "add", "default", "via", "192.0.2.11", "dev", "wan0") // where it would all go in clear
	defer netlab.Run(t, "", "ip", "route", "del", "default", "via", "192.0.2.11", "dev", "wan0")
	netlab.Run(t, "", "ip", "link", "del", "wg0")
	if out, err := netlab.Try("", "ip", "route", "get", "198.51.100.11"); err == nil && !strings.Contains(out, "wg0") {
		t.Errorf("without its device the region is reached by %s", out)
	}
	netlab.Run(t, "", "ip", "link", "del", "pt-mn")
	w.checkBackstop(t)
	w.checkPorts(t)
	netlab.Until(t, 10*time.Second, "every device guarded", func() bool {
		for _, p := range w.status(t).Ports {
			if (p.Name == "wg0" || p.Name == "pt-mn") && (!p.Guarded() || !p.Up) {
				return false
			}
		}
		return true
	})
	w.waitRegion(t)
}

// What somebody does to the backstop is undone, whole and in part.
func (w *town) checkBackstop(t *testing.T) {
	look := func() backstop.Print { // zero also while it changes
		p, _ := backstop.Look()
		return p
	}
	whole := look()
	if whole == (backstop.Print{}) {
		t.Fatal("the backstop has no rules")
	}
	for _, harm := range []string{
		"delete table inet sekisho", "flush table inet sekisho", "flush chain inet sekisho forward",
		"insert rule inet sekisho forward accept", "flush set inet sekisho internet-devices",
		"add chain inet sekisho forward { policy accept; }", "add table inet sekisho { flags dormant; }",
		// One for one: as many rules and elements as before.
		"replace rule inet sekisho forward handle HANDLE accept",
		"delete element inet sekisho internet-devices { inw0 }; add element inet sekisho internet-devices { xyz0 }",
	} {
		if strings.Contains(harm, "HANDLE") {
			_, rest, _ := strings.Cut(netlab.Run(t, "", "nft", "-a", "list", "chain", "inet", "sekisho", "forward"), "forward-unmarked")
			_, rest, _ = strings.Cut(rest, "# handle ")
			handle, _, _ := strings.Cut(rest, "\n")
			harm = strings.ReplaceAll(harm, "HANDLE", handle)
		}
		w.signal(t, syscall.SIGSTOP) // so that the harm is seen before it is undone
		netlab.Run(t, "", "nft", harm)
		harmed := look()
		w.signal(t, syscall.SIGCONT)
		if harmed == whole {
			t.Errorf("nft %s changes nothing", harm)
		}
		// The kernel tells the daemon at once: it does not wait for its next round.
		netlab.Until(t, time.Second, fmt.Sprintf("the backstop after nft %s", harm), func() bool { return look() == whole })
	}
}

// Rules that cannot be put back leave nothing open: while another program owns the table, nothing is forwarded at all.
func (w *town) checkNoBackstop(t *testing.T) {
	forwarding := func() string {
		return strings.Join(strings.Fields(netlab.Run(t, "", "sysctl", "-n", "net.ipv4.conf.all.forwarding", "net.ipv6.conf.all.forwarding")), " ")
	}
	expect(t, true, "mn-pc1", "198.18.21.11:443")
	other := exec.Command("nft", "-i")
	in, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Process.Kill()
	// The table goes with the program that owns it.
	if _, err := io.WriteString(in, "delete table inet sekisho; add table inet sekisho { flags owner; }\n"); err != nil {
		t.Fatal(err)
	}
	netlab.Until(t, time.Second, "forwarding off", func() bool { return forwarding() == "0 0" })
	time.Sleep(2500 * time.Millisecond) // rounds of settling in which nothing may open
	if got := forwarding(); got != "0 0" {
		t.Errorf("forwarding %s while the backstop is missing, want 0 0", got)
	}
	expect(t, false, "mn-pc1", "198.18.21.11:443")
	in.Close()
	if err := other.Wait(); err != nil {
		t.Fatal(err)
	}
	netlab.Until(t, 5*time.Second, "forwarding on", func() bool { return forwarding() == "1 1" })
	expect(t, true, "mn-pc1", "198.18.21.11:443")
}

// What somebody does to a port is noticed and undone; a port that cannot be guarded goes down, whoever sets it up.
func (w *town) checkPorts(t *testing.T) {
	up := func(dev string) bool {
		return strings.Contains(netlab.Run(t, "", "ip", "-o", "link", "show", "dev", dev), ",UP")
	}
	guarded := func() bool {
		for _, p := range w.status(t).Ports {
			if p.Name == "inw0" {
				return p.Guarded() && p.Up
			}
		}
		return false
	}
	const soon = time.Second // less than the timer's two: the kernel told
	// A driver that resets turns its offloads on again; a link that bounces loses its routes.
	netlab.Run(t, "", "ethtool", "-K", "inw0", "rxvlan", "on", "gro", "on")
	netlab.Until(t, soon, "offloads off again", func() bool {
		k := netlab.Run(t, "", "ethtool", "-k", "inw0")
		return strings.Contains(k, "rx-vlan-offload: off") && strings.Contains(k, "generic-receive-offload: off")
	})
	netlab.Run(t, "", "sysctl", "-qw", "net.ipv4.conf.inw0.rp_filter=0", "net.ipv6.conf.inw0.accept_ra=2", "net.ipv4.neigh.inw0.base_reachable_time_ms=30000")
	netlab.Run(t, "", "ip", "link", "set", "inw0", "down")
	netlab.Run(t, "", "ip", "link", "set", "inw0", "up")
	netlab.Until(t, soon, "routes and settings of the port that bounced", func() bool {
		r4, _ := netlab.Try("", "ip", "-4", "route", "show", "203.0.113.0/24")
		r6, _ := netlab.Try("", "ip", "-6", "route", "show", "2001:db8:31::/64")
		n := netlab.Run(t, "", "sysctl", "-n", "net.ipv4.conf.inw0.rp_filter", "net.ipv6.conf.inw0.accept_ra", "net.ipv4.neigh.inw0.base_reachable_time_ms")
		return strings.Contains(r4, "dev inw0") && strings.Contains(r6, "dev inw0") && strings.Join(strings.Fields(n), " ") == "1 0 1000"
	})
	// Hot-plug, in the worst way: the new device is set up by whoever plugged it in.
	netlab.Run(t, "", "ip", "link", "del", "inw0")
	netlab.Until(t, soon, "the port gone", func() bool { return !guarded() })
	netlab.Run(t, "", "ip", "link", "add", "inw0", "up", "type", "veth", "peer", "name", "eth0", "netns", "in-web")
	netlab.Until(t, soon, "the port guarded again", guarded)
	netlab.Run(t, "", "ip", "link", "del", "inw0")
	netlab.Run(t, "", "ip", "link", "add", "inw0", "up", "type", "veth", "peer", "name", "eth0", "mtu", "65000", "netns", "in-web") // frames too large for the program
	for range 3 {
		netlab.Until(t, soon, "the port that cannot be guarded down", func() bool { return !up("inw0") })
		netlab.Run(t, "", "ip", "link", "set", "inw0", "up")
	}
	netlab.Until(t, soon, "the port that cannot be guarded down", func() bool { return !up("inw0") })
	netlab.Run(t, "in-web", "ip", "link", "set", "eth0", "mtu", "1500")
	netlab.Run(t, "", "ip", "link", "set", "inw0", "address", "02:53:4b:31:77:77") // a change of MAC, too, is a message
	netlab.Until(t, 3*time.Second, "the port guarded again", guarded)
	netlab.Run(t, "in-web", "ethtool", "-K", "eth0", "gro", "on", "tx", "off", "txvlan", "off", "tso", "off", "gso", "off")
	netlab.Run(t, "in-web", "ip", "link", "set", "eth0", "address", "02:53:4b:31:00:11", "up")
	netlab.Run(t, "in-web", "ip", "addr", "add", "203.0.113.11/24", "dev", "eth0")
	netlab.Run(t, "in-web", "ip", "route", "add", "default", "via", "203.0.113.1")
	// Renamed: down, and back under its name guarded and up.
	netlab.Run(t, "", "ip", "link", "set", "inw0", "name", "spare0")
	netlab.Until(t, soon, "the renamed port down", func() bool { return !up("spare0") })
	netlab.Run(t, "", "ip", "link", "set", "spare0", "name", "inw0")
	netlab.Until(t, soon, "the port guarded under its name", guarded)
}

func (w *town) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := w.daemon.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// Anchors that forbid what is in force close everything at the next start.
func (w *town) checkAnchorsChanged(t *testing.T) {
	w.stop(t)
	changed := *w.cfg
	changed.Segments = append(changed.Segments[:0:0], w.cfg.Segments...)
	for i := range changed.Segments {
		if changed.Segments[i].ID == "lg-asp-net" {
			changed.Segments[i].Zone = anchors.Internet
		}
	}
	w.writeAnchors(t, &changed)
	w.start(t)
	for _, addr := range []string{"198.18.21.11:443", "198.51.100.11:443"} {
		expect(t, false, "mn-pc1", addr)
	}
	if s := w.status(t); s.Revision != "" {
		t.Errorf("revision %q in force, want none", s.Revision)
	}
	var told []history.Told
	if code, err := w.ask(http.MethodGet, "/anchors/history", nil, &told); err != nil || code != http.StatusOK {
		t.Fatal(code, err)
	}
	const want = "segment lg-asp-net: zone: lgwan becomes internet"
	if len(told) != 2 || len(told[0].Changes) != 1 || told[0].Changes[0].String() != want || len(told[1].Changes) != 0 {
		t.Errorf("history of the anchors %+v, want two entries and %q", told, want)
	}
	// Nobody changes them over the socket, not even root.
	before := w.anchorsFile(t)
	for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		for _, path := range []string{"/anchors", "/anchors/history", "/anchors/1"} {
			if code, err := w.ask(method, path, map[string]string{"name": "mine"}, nil); err != nil || code != http.StatusMethodNotAllowed && code != http.StatusNotFound {
				t.Errorf("%s %s: %d, %v, want 405 or 404", method, path, code, err)
			}
		}
	}
	if w.anchorsFile(t) != before {
		t.Error("the anchors were changed over the socket")
	}
}

func (w *town) anchorsFile(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(w.instance.Anchors())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (w *town) checkRemoved(t *testing.T) {
	w.stop(t)
	w.sub(t, "remove", "--name", string(w.instance))
	links := netlab.Run(t, "", "ip", "-o", "link")
	for _, gone := range []string{"wg0", "pt-mn", "pt-lg", "pt-in", "pt-mg"} {
		if strings.Contains(links, gone) {
			t.Errorf("device %s is left", gone)
		}
	}
	if links := netlab.Run(t, "", "ip", "-o", "link"); strings.Contains(links, "xdp") {
		t.Errorf("XDP programs are left:\n%s", links)
	}
	if out := netlab.Run(t, "", "nft", "list", "tables"); strings.Contains(out, "sekisho") {
		t.Errorf("rules are left: %s", out)
	}
	if out := netlab.Run(t, "", "ip", "route"); strings.Contains(out, "unreachable") {
		t.Errorf("routes are left: %s", out)
	}
	if out := netlab.Run(t, "", "ip", "netns"); strings.Contains(out, "portal") {
		t.Errorf("namespaces are left: %s", out)
	}
	if b, err := os.ReadFile("/proc/mounts"); err != nil || strings.Contains(string(b), w.instance.BPF()) {
		t.Errorf("a bpffs is left mounted (%v)", err)
	}
	// Removing again finds nothing and says so by success.
	w.sub(t, "remove", "--name", string(w.instance))
}
