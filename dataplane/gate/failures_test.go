package gate

import (
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/linelab"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
	"github.com/sekisho/sekisho/dataplane/tunnel/ways"
)

// keeper is what a gate does for tunnels and routes, without the packet core: everything that would have to keep clear text off
// the lines is here, and nothing else helps it.
type keeper struct {
	*linelab.Lab
	g      *Gate
	o      tunnel.Options
	specs  []tunnel.Spec
	routes []Route
	daemon sync.Mutex // held while it is dead
}

func newKeeper(t *testing.T) *keeper {
	t.Helper()
	dir := t.TempDir()
	k := &keeper{o: tunnel.Options{Control: filepath.Join(dir, "control"), Keys: filepath.Join(dir, "keys"), User: place.TunnelUser, Log: slog.New(slog.DiscardHandler)}}
	keys, err := tunnel.New(k.o).PublicKeys([]string{"wg0", "wg1"})
	if err != nil {
		t.Fatal(err)
	}
	k.Lab = linelab.New(t, [2]string{keys["wg0"], keys["wg1"]})
	a := &anchors.Anchors{Tunnels: []anchors.Tunnel{{Device: "wg0"}, {Device: "wg1"}}}
	k.specs = []tunnel.Spec{{Device: "wg0", Line: "wan0", Listen: 51820}, {Device: "wg1", Line: "wan1", Listen: 51821}}
	for _, r := range []*linelab.Region{k.Tokyo, k.Osaka} {
		a.Segments = append(a.Segments, anchors.Segment{ID: r.Name, Zone: anchors.MyNumber, Attach: anchors.AttachTunnel, Port: "wg0",
			Prefixes: []netip.Prefix{r.Prefix}, Gate: []netip.Addr{r.Gate}})
		k.routes = append(k.routes, Route{Prefix: r.Prefix, Port: "wg0"})
		for i := range k.specs {
			s := &k.specs[i]
			s.Addrs = append(s.Addrs, r.Gate)
			p := tunnel.Peer{ID: fmt.Sprintf("%s-%d", r.Name, i), Region: r.Name, PublicKey: r.Ends[i].Key.PublicKey().String(), Endpoint: r.Ends[i].Endpoint,
				Allowed: []netip.Prefix{r.Prefix}, Probe: netip.AddrPortFrom(r.Probe, 7)}
			if r == k.Osaka {
				p.TakesOver = []string{"tokyo"}
			}
			s.Peers = append(s.Peers, p)
		}
	}
	k.g = &Gate{anchors: a, log: k.o.Log, indexes: map[string]int{}}
	k.o.Moved = k.g.moved
	if err := layBeneath(a); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := removeRoutes(); err != nil {
			t.Error(err)
		}
		if err := tunnel.Remove(k.o, []string{"wg0", "wg1"}); err != nil {
			t.Error(err)
		}
	})
	k.open(t)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Millisecond):
				k.settle(t)
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-done; k.g.tunnels.Close() })
	return k
}

// open is a daemon that begins.
func (k *keeper) open(t *testing.T) {
	k.g.tunnels, k.g.routed = tunnel.New(k.o), nil
	k.g.tunnels.Prefer([]tunnel.Preference{{Class: 4, Devices: []string{"wg1", "wg0"}}})
	if err := k.g.tightenRoutes(k.routes); err != nil {
		t.Error(err)
	}
	if err := k.g.tunnels.Apply(t.Context(), k.specs); err != nil {
		t.Error(err)
	}
	if err := k.g.routes(k.routes); err != nil {
		t.Error(err)
	}
	k.index()
}

func (k *keeper) index() {
	for _, s := range k.specs {
		if l, err := netlink.LinkByName(s.Device); err == nil {
			k.g.indexes[s.Device] = l.Attrs().Index
		}
	}
}

// settle is the gate's look at what changed outside. What fails is tried again.
func (k *keeper) settle(t *testing.T) {
	k.daemon.Lock()
	defer k.daemon.Unlock()
	if changed, _ := k.g.remakeTunnels(); changed {
		_ = k.g.tunnels.Apply(t.Context(), k.specs)
		k.index()
	}
	_ = k.g.routes(k.routes)
}

// engine finds the process that holds a device; 0: none.
func engine(device string) int {
	infos, _ := filepath.Glob("/proc/[0-9]*/fdinfo/4")
	for _, f := range infos {
		var pid int
		fmt.Sscanf(f, "/proc/%d", &pid)
		b, err := os.ReadFile(f)
		ns, err2 := os.Stat(fmt.Sprintf("/proc/%d/ns/net", pid))
		own, err3 := os.Stat("/proc/self/ns/net")
		if err == nil && err2 == nil && err3 == nil && os.SameFile(ns, own) && strings.Contains(string(b), "iff:\t"+device+"\n") {
			return pid
		}
	}
	return 0
}

func signal(device string, s unix.Signal) {
	if pid := engine(device); pid > 1 {
		_ = unix.Kill(pid, s) // it may have died by itself
	}
}

// fault breaks something and gives what mends it.
type fault struct {
	name    string
	breakIt func(t *testing.T, k *keeper, i int) (mend func())
}

func failures() []fault {
	nothing := func() {}
	by := func(args ...string) { _, _ = netlab.Try("", "ip", args...) } // what is gone already cannot be taken away
	return []fault{
		{"engine killed", func(t *testing.T, k *keeper, i int) func() { signal(linelab.Device(i), unix.SIGKILL); return nothing }},
		{"engine stopped", func(t *testing.T, k *keeper, i int) func() {
			pid := engine(linelab.Device(i))
			signal(linelab.Device(i), unix.SIGSTOP)
			return func() {
				if pid > 1 {
					_ = unix.Kill(pid, unix.SIGCONT) // it may have been replaced
				}
			}
		}},
		{"daemon gone", func(t *testing.T, k *keeper, i int) func() {
			k.daemon.Lock()
			k.g.tunnels.Close()
			return func() { k.open(t); k.daemon.Unlock() }
		}},
		{"line loses everything", func(t *testing.T, k *keeper, i int) func() { k.Cut(i); return func() { k.Mend(i) } }},
		{"both lines lose everything", func(t *testing.T, k *keeper, i int) func() {
			k.Cut(0)
			k.Cut(1)
			return func() { k.Mend(0); k.Mend(1) }
		}},
		{"one region is cut off", func(t *testing.T, k *keeper, i int) func() {
			k.Cut(0, k.Tokyo)
			k.Cut(1, k.Tokyo)
			return func() { k.Mend(0); k.Mend(1) }
		}},
		{"link down", func(t *testing.T, k *keeper, i int) func() {
			netlab.Run(t, "", "ip", "link", "set", linelab.Line(i), "down")
			return func() { netlab.Run(t, "", "ip", "link", "set", linelab.Line(i), "up"); k.Connect() }
		}},
		{"device deleted", func(t *testing.T, k *keeper, i int) func() { by("link", "del", linelab.Device(i)); return nothing }},
		{"device down", func(t *testing.T, k *keeper, i int) func() {
			by("link", "set", linelab.Device(i), "down")
			return func() { by("link", "set", linelab.Device(i), "up") }
		}},
		{"endpoint unreachable", func(t *testing.T, k *keeper, i int) func() {
			to := netip.PrefixFrom(k.Tokyo.Ends[i].Endpoint.Addr(), 30).Masked().String()
			by("route", "replace", "unreachable", to)
			return func() { by("route", "del", "unreachable", to); k.Connect() }
		}},
		{"route deleted", func(t *testing.T, k *keeper, i int) func() {
			by("route", "del", k.Tokyo.Prefix.String(), "dev", linelab.Device(i))
			by("route", "flush", "table", "104")
			return nothing
		}},
		{"rule deleted", func(t *testing.T, k *keeper, i int) func() { by("rule", "del", "priority", "1004"); return nothing }},
		{"far end killed", func(t *testing.T, k *keeper, i int) func() {
			r := []*linelab.Region{k.Tokyo, k.Osaka}[i]
			r.Kill(t)
			return func() { r.Start(t) }
		}},
		{"line lost while a region is taken out", func(t *testing.T, k *keeper, i int) func() {
			k.daemon.Lock()
			without := k.without(k.Osaka)
			k.commit(t, k.routes[:1], without, func() {
				k.Cut(i)
				time.Sleep(1200 * time.Millisecond) // the ways move meanwhile
				k.wantNoRoute(t, k.Osaka)
			})
			return func() {
				k.wantNoRoute(t, k.Osaka)
				k.commit(t, k.routes, k.specs, func() { k.Mend(i); k.wantNoRoute(t, k.Osaka) })
				k.daemon.Unlock()
			}
		}},
		{"daemon begins with a line lost", func(t *testing.T, k *keeper, i int) func() {
			k.daemon.Lock()
			k.g.tunnels.Close()
			k.Cut(i)
			return func() {
				k.open(t)
				netlab.Until(t, 5*time.Second, "a daemon that has just begun leaves the dead line", func() bool {
					return k.g.tunnels.Ways().Devices[ways.Stream{Region: "tokyo"}] == linelab.Device(1-i)
				})
				netlab.Until(t, time.Second, "routes follow", func() bool {
					return strings.Contains(netlab.Run(t, "", "ip", "route", "show", k.Tokyo.Prefix.String()), linelab.Device(1-i))
				})
				k.Mend(i)
				k.daemon.Unlock()
			}
		}},
	}
}

// commit is the gate's order of a change; within happens where the packet core's tables would be swapped. With daemon held.
func (k *keeper) commit(t *testing.T, routes []Route, specs []tunnel.Spec, within func()) {
	t.Helper()
	if err := k.g.tightenRoutes(routes); err != nil {
		t.Error(err)
	}
	if err := k.g.tunnels.Apply(t.Context(), common(k.g.tunnels.Specs(), specs)); err != nil {
		t.Error(err)
	}
	within()
	if err := k.g.tunnels.Apply(t.Context(), specs); err != nil {
		t.Error(err)
	}
	if err := k.g.routes(routes); err != nil {
		t.Error(err)
	}
}

// without is the specs without a region.
func (k *keeper) without(r *linelab.Region) (out []tunnel.Spec) {
	for _, s := range k.specs {
		s.Peers = slices.DeleteFunc(slices.Clone(s.Peers), func(p tunnel.Peer) bool { return p.Region == r.Name })
		out = append(out, s)
	}
	return out
}

// wantNoRoute looks whether a region that was taken out is led to.
func (k *keeper) wantNoRoute(t *testing.T, r *linelab.Region) {
	t.Helper()
	have, err := installedRoutes()
	for x := range have {
		if x.prefix == r.Prefix && !x.unreachable {
			t.Errorf("%s was taken out, but a route leads there: %+v", r.Name, x)
		}
	}
	if err != nil {
		t.Error(err)
	}
}

func TestNoFailureLeaksOrSticks(t *testing.T) {
	const count = 30
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SEKISHO_FAILURES_SEED"); s != "" {
		if _, err := fmt.Sscan(s, &seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SEKISHO_FAILURES_SEED=%d", seed)
	rnd := rand.New(rand.NewPCG(seed, 5))
	k := newKeeper(t)
	healthy := func() bool {
		for _, s := range k.g.tunnels.Status() {
			if s.State == "down" || !s.Up {
				return false
			}
		}
		return true
	}
	netlab.Until(t, 30*time.Second, "all ends are up", healthy)
	lines := [2]*netlab.Capture{netlab.Listen(t, "", "wan0"), netlab.Listen(t, "", "wan1")}
	streams := []func() linelab.Sent{k.Tokyo.Stream(t, 5*time.Millisecond), k.Osaka.Stream(t, 5*time.Millisecond)}

	var row []fault
	for len(row) < count {
		all := failures()
		rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		row = append(row, all...)
	}
	for n, f := range row[:count] {
		line := rnd.IntN(2)
		lasts, pause := time.Duration(rnd.IntN(1500))*time.Millisecond, time.Duration(rnd.IntN(1000))*time.Millisecond
		t.Logf("%2d: %s (line %d) for %s, then %s", n+1, f.name, line, lasts, pause)
		mend := f.breakIt(t, k, line)
		time.Sleep(lasts)
		mend()
		time.Sleep(pause)
	}

	netlab.Until(t, 60*time.Second, "all ends answer again", healthy)
	k.settle(t)
	got := []linelab.Sent{streams[0](), streams[1]()}
	for i, s := range got {
		t.Logf("region %d: %d of %d datagrams lost in all", i, s.Lost, s.Sent)
	}
	for i, l := range lines {
		frames := l.Frames()
		if n := linelab.Clear(frames); n > 0 || len(frames) < 100 {
			t.Errorf("line %d: %d of %d frames in clear, want none of many", i, n, len(frames))
		}
	}
	k.wantItsOrder(t)
}

// wantItsOrder looks whether everything stands where the ways are, and works.
func (k *keeper) wantItsOrder(t *testing.T) {
	t.Helper()
	w := k.g.tunnels.Ways()
	k.g.steering.Lock()
	main, byClass := steered(k.routes, k.g.anchors, w)
	plan, missing, err := planRoutes(main, k.g.anchors)
	for class, routes := range byClass {
		more, _, _ := planRoutes(routes, k.g.anchors)
		for x := range more {
			if !x.unreachable {
				x.table = classTables + int(class)
				plan[x] = true
			}
		}
	}
	have, err2 := installedRoutes()
	k.g.steering.Unlock()
	if err != nil || err2 != nil || len(missing) > 0 || !maps.Equal(plan, have) {
		t.Errorf("routes %v, want %v (%v, %v, missing %v)", have, plan, err, err2, missing)
	}
	if rules := netlab.Run(t, "", "ip", "rule"); strings.Contains(rules, "1004:") != (len(byClass[4]) > 0) {
		t.Errorf("with class 4 apart = %v, rules:\n%s", len(byClass[4]) > 0, rules)
	}
	up := map[string]bool{} // regions with an end of their own that is not held back: nobody stands in for them any more
	for _, s := range k.g.tunnels.Status() {
		up[s.Region] = up[s.Region] || s.State == "up"
	}
	for _, s := range k.g.tunnels.Status() {
		own := slices.DeleteFunc(slices.Clone(s.Carries), func(r string) bool { return r != s.Region && !up[r] })
		if !up[s.Region] && s.Trouble == "" {
			continue
		}
		carries := false
		for place, id := range w.Holders {
			carries = carries || id == s.Peer && place.Region == s.Region
		}
		if !carries || len(own) != 1 || s.Trouble != "" {
			t.Errorf("%s carries %v, trouble %q: want its own region and no trouble", s.Peer, s.Carries, s.Trouble)
		}
	}
	for _, d := range []string{"wg0", "wg1"} {
		if engine(d) == 0 {
			t.Errorf("no engine holds %s", d)
		}
	}
	for _, r := range []*linelab.Region{k.Tokyo, k.Osaka} {
		stop := r.Stream(t, 5*time.Millisecond)
		time.Sleep(500 * time.Millisecond)
		if s := stop(); s.Lost > 0 {
			t.Errorf("%s: %d of %d datagrams lost after all was mended, want none (ways %v)", r.Name, s.Lost, s.Sent, w.Devices[ways.Stream{Region: r.Name}])
		}
	}
}
