package gate

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/linelab"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
	"github.com/sekisho/sekisho/dataplane/tunnel/region"
	"github.com/sekisho/sekisho/dataplane/tunnel/ways"
)

// The test binary is also the engine process and far ends' program.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "region" {
		fmt.Fprintln(os.Stderr, region.Run(context.Background(), os.Args[2], region.Options{}))
		os.Exit(1)
	}
	os.Exit(linelab.Main(m))
}

// newSteered is a gate with two tunnel devices to the region tokyo and routes beneath, as far as routes need one.
func newSteered(t *testing.T) (*Gate, []Route) {
	t.Helper()
	prefixes := []netip.Prefix{netip.MustParsePrefix("198.51.100.0/26"), netip.MustParsePrefix("2001:db8:51::/64")}
	a := &anchors.Anchors{
		Segments: []anchors.Segment{{ID: "tokyo", Zone: anchors.MyNumber, Attach: anchors.AttachTunnel, Port: "wg0", Prefixes: prefixes}},
		Tunnels:  []anchors.Tunnel{{Device: "wg0"}, {Device: "wg1"}},
	}
	g := &Gate{anchors: a, log: slog.Default(), tunnels: tunnel.New(tunnel.Options{Keys: t.TempDir()})}
	t.Cleanup(func() {
		if err := removeRoutes(); err != nil {
			t.Error(err)
		}
		for _, d := range []string{"wg0", "wg1"} {
			netlab.Run(t, "", "ip", "link", "del", d)
		}
	})
	for _, d := range []string{"wg0", "wg1"} {
		if _, err := g.tunnels.Prepare(d); err != nil {
			t.Fatal(err)
		}
	}
	if err := layBeneath(a); err != nil {
		t.Fatal(err)
	}
	var routes []Route
	for _, p := range prefixes {
		routes = append(routes, Route{Prefix: p, Port: "wg0"})
	}
	return g, routes
}

// by is a region's way by a device, and those of classes.
func by(device string, classes map[uint8]string) ways.Ways {
	w := ways.Ways{Devices: map[ways.Stream]string{{Region: "tokyo"}: device}}
	for c, d := range classes {
		w.Devices[ways.Stream{Region: "tokyo", Class: c}] = d
	}
	return w
}

// steer puts routes where w says.
func (g *Gate) steer(w ways.Ways) error {
	g.steering.Lock()
	defer g.steering.Unlock()
	return g.route(g.routed, w)
}

var steeredTo = []string{"198.51.100.7", "2001:db8:51::7"}

// goes is the device by which the kernel sends what carries the mark.
func goes(t *testing.T, to string, mark uint32) string {
	t.Helper()
	r, err := netlink.RouteGetWithOptions(net.ParseIP(to), &netlink.RouteGetOptions{Mark: mark})
	if err != nil {
		return err.Error()
	}
	l, err := netlink.LinkByIndex(r[0].LinkIndex)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Name
}

func TestClassesGoTheirOwnWay(t *testing.T) {
	g, routes := newSteered(t)
	g.routed = routes
	netlab.Run(t, "", "ip", "rule", "add", "fwmark", "5/0x3f", "table", "105", "priority", "1005")
	t.Cleanup(func() { netlab.Run(t, "", "ip", "rule", "del", "priority", "1005") })
	const mark = 0xabcd<<16 | 9<<6 // the packet core's, without class
	cases := []struct {
		name    string
		w       ways.Ways
		none    string // by which class 0 goes,
		fourth  string // class 4,
		seventh string // and 7
	}{
		{"all by one", by("wg0", map[uint8]string{4: "wg0"}), "wg0", "wg0", "wg0"},
		{"class 4 by the other", by("wg0", map[uint8]string{4: "wg1", 7: "wg0"}), "wg0", "wg1", "wg0"},
		{"the others follow", by("wg1", map[uint8]string{4: "wg1"}), "wg1", "wg1", "wg1"},
		{"two classes stay behind", by("wg1", map[uint8]string{4: "wg0", 7: "wg0"}), "wg1", "wg0", "wg0"},
		{"one of them", by("wg1", map[uint8]string{4: "wg1", 7: "wg0"}), "wg1", "wg1", "wg0"},
	}
	for _, c := range cases {
		if err := g.steer(c.w); err != nil {
			t.Fatal(err)
		}
		for _, to := range steeredTo {
			for m, want := range map[uint32]string{0: c.none, mark: c.none, mark | 4: c.fourth, 4: c.fourth, mark | 7: c.seventh, mark | 6: c.none, mark | 0x24: c.none} {
				if got := goes(t, to, m); got != want {
					t.Errorf("%s: %s with mark %#x goes by %s, want %s", c.name, to, m, got, want)
				}
			}
		}
	}
	// What somebody took away comes back with the next look, what is another's stays.
	netlab.Run(t, "", "ip", "rule", "del", "priority", "1007")
	netlab.Run(t, "", "ip", "route", "del", "198.51.100.0/26", "table", "107")
	netlab.Run(t, "", "ip", "rule", "add", "fwmark", "9/0x3f", "table", "109", "priority", "1009", "protocol", "83")
	if err := g.steer(cases[len(cases)-1].w); err != nil {
		t.Fatal(err)
	}
	if got := goes(t, steeredTo[0], mark|7); got != "wg0" {
		t.Errorf("class 7 goes by %s after its rule and route were taken away and put back, want wg0", got)
	}
	if rules := netlab.Run(t, "", "ip", "rule"); strings.Contains(rules, "1009:") || !strings.Contains(rules, "1005:") {
		t.Errorf("rules: want that of class 9 gone and the foreign one there:\n%s", rules)
	}
	if err := removeRoutes(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"rule"}, {"-6", "rule"}} {
		if rules := netlab.Run(t, "", "ip", args...); strings.Contains(rules, "1007:") || args[0] == "rule" && !strings.Contains(rules, "1005:") {
			t.Errorf("after removal, want only the foreign rule:\n%s", rules)
		}
	}
	if got := netlab.Run(t, "", "ip", "route", "show", "table", "all", "proto", "83"); got != "" {
		t.Errorf("routes are left:\n%s", got)
	}
}

func TestOnlyAPeerThatIsThereRotates(t *testing.T) {
	g, _ := newSteered(t)
	w := httptest.NewRecorder()
	g.Handler().ServeHTTP(w, httptest.NewRequest("POST", "/tunnel-keys/rotate?peer=nobody", nil))
	if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "no such peer") {
		t.Errorf("%d, %s; want 409 and why", w.Code, w.Body)
	}
}

// A moment without a route is an error to whoever sends in it.
func TestMovesLeaveNoMomentWithoutAWay(t *testing.T) {
	g, routes := newSteered(t)
	g.routed = routes
	if err := g.steer(by("wg0", nil)); err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan map[string]int)
	go func() {
		seen := map[string]int{}
		for {
			select {
			case <-stop:
				done <- seen
				return
			default:
			}
			for _, to := range steeredTo {
				if r, err := netlink.RouteGet(net.ParseIP(to)); err != nil {
					seen[err.Error()]++
				} else if r[0].LinkIndex == 1 {
					seen["lo"]++
				} else {
					seen["found"]++
				}
			}
		}
	}()
	for i := range 300 {
		device := []string{"wg1", "wg0"}[i%2]
		if err := g.steer(by(device, map[uint8]string{4: "wg0"})); err != nil {
			t.Fatal(err)
		}
		for _, to := range steeredTo {
			if got := goes(t, to, 0); got != device {
				t.Fatalf("%s goes by %s, want %s", to, got, device)
			}
		}
	}
	close(stop)
	// Beside a replacement the kernel itself answers one lookup in thousands with "network is unreachable": that packet is lost,
	// none goes elsewhere. Withdrawing before adding is seen a hundred times as often.
	seen := <-done
	lost := seen[unix.ENETUNREACH.Error()]
	if delete(seen, unix.ENETUNREACH.Error()); len(seen) != 1 || seen["found"] < 300 || lost > seen["found"]/1000 {
		t.Errorf("the kernel answered %v, and %d times that there is no way; want a way each time", seen, lost)
	}
}

// What the next generation still asks for stays where it is until that is in force: also where a former daemon had moved it.
func TestTighteningLeavesWaysAlone(t *testing.T) {
	g, routes := newSteered(t)
	g.routed = routes
	if err := g.steer(by("wg1", map[uint8]string{4: "wg0"})); err != nil {
		t.Fatal(err)
	}
	g.routed = nil // a daemon that has just begun
	if err := g.tightenRoutes(routes); err != nil {
		t.Fatal(err)
	}
	if main, class := goes(t, steeredTo[0], 0), goes(t, steeredTo[0], 4); main != "wg1" || class != "wg0" {
		t.Errorf("goes by %s, class 4 by %s; want wg1 and wg0 as before", main, class)
	}
	if err := g.tightenRoutes(routes[1:]); err != nil {
		t.Fatal(err)
	}
	if got := goes(t, steeredTo[0], 0); got == "wg0" || got == "wg1" {
		t.Errorf("still goes by %s, want it to end here", got)
	}
	if got := goes(t, steeredTo[0], 4); got == "wg0" || got == "wg1" {
		t.Errorf("class 4 still goes by %s, want it to end here", got)
	}
}

// A line that fails while a generation is on its way moves what stays, and brings back nothing that was withdrawn.
func TestAMoveWithinAChangeAsksForNothingElse(t *testing.T) {
	for _, c := range []struct {
		name  string
		fresh bool // the daemon has just begun: it asked for nothing yet
	}{{"a running daemon", false}, {"one that has just begun", true}} {
		t.Run(c.name, func(t *testing.T) {
			g, routes := newSteered(t)
			g.routed = routes
			if err := g.steer(by("wg1", nil)); err != nil {
				t.Fatal(err)
			}
			if c.fresh {
				g.routed = nil
				if err := g.moved(ways.Ways{}); err != nil {
					t.Fatal(err)
				}
				if got := goes(t, steeredTo[0], 0); got != "wg1" {
					t.Errorf("before anything is asked for, goes by %s, want wg1 as a former daemon left it", got)
				}
			}
			netlab.Run(t, "", "ip", "route", "add", "2001:db8:51::9/128", "dev", "wg0", "metric", fmt.Sprint(probeMetric), "proto", fmt.Sprint(routeProtocol))
			if err := g.tightenRoutes(routes[1:]); err != nil { // without the prefix of IPv4
				t.Fatal(err)
			}
			if got := netlab.Run(t, "", "ip", "-6", "route", "show", "2001:db8:51::9"); !strings.Contains(got, "wg0") {
				t.Error("within the change, ends are not asked any more")
			}
			if err := g.moved(ways.Ways{}); err != nil { // a way has changed: to where nothing is known of ways
				t.Fatal(err)
			}
			if got := goes(t, steeredTo[0], 0); got == "wg0" || got == "wg1" {
				t.Errorf("what was withdrawn goes by %s again", got)
			}
			if got := goes(t, steeredTo[1], 0); got != "wg0" {
				t.Errorf("what stays goes by %s, want wg0: the move was missed", got)
			}
		})
	}
}

// What the next generation adds comes when that is in force, not with a line that fails before.
func TestAMoveWithinAChangeAddsNothing(t *testing.T) {
	g, routes := newSteered(t)
	g.routed = routes[:1]
	if err := g.steer(by("wg1", nil)); err != nil {
		t.Fatal(err)
	}
	if err := g.tightenRoutes(routes); err != nil {
		t.Fatal(err)
	}
	if err := g.moved(ways.Ways{}); err != nil {
		t.Fatal(err)
	}
	if got := goes(t, steeredTo[0], 0); got != "wg0" {
		t.Errorf("what both ask for goes by %s, want wg0", got)
	}
	if got := goes(t, steeredTo[1], 0); got == "wg0" || got == "wg1" {
		t.Errorf("what only the next one asks for goes by %s", got)
	}
}

// The routes follow the ways of now, not those of when somebody began to wait for his turn.
func TestAMoveIsToTheWaysOfNow(t *testing.T) {
	g, routes := newSteered(t)
	g.routed = routes
	if err := g.moved(by("wg1", nil)); err != nil {
		t.Fatal(err)
	}
	if got := goes(t, steeredTo[0], 0); got != "wg0" {
		t.Errorf("goes by %s, where a former way led; now nothing is known of ways, want wg0", got)
	}
}

// One route that the kernel refuses takes no other one with it.
func TestOneRefusedRouteLeavesTheOthers(t *testing.T) {
	g, routes := newSteered(t)
	more := netip.MustParsePrefix("203.0.113.0/24")
	g.anchors.Segments = append(g.anchors.Segments, anchors.Segment{ID: "office", Attach: anchors.AttachPort, Port: "wg0", Prefixes: []netip.Prefix{more}})
	g.routed = append(routes, Route{Prefix: more, Port: "wg0"})
	if err := g.steer(by("wg0", nil)); err != nil {
		t.Fatal(err)
	}
	g.anchors.Segments[1].Gate = []netip.Addr{netip.MustParseAddr("203.0.113.254")} // a source that the machine does not have
	for range 8 {                                                                   // in any order
		for _, device := range []string{"wg1", "wg0"} {
			if err := g.steer(by(device, map[uint8]string{4: "wg1"})); err == nil {
				t.Fatal("no error from a route with a source that is not there")
			}
			for _, to := range steeredTo {
				if got, class := goes(t, to, 0), goes(t, to, 4); got != device || class != "wg1" {
					t.Fatalf("%s goes by %s, class 4 by %s; want %s and wg1", to, got, class, device)
				}
			}
			if got := goes(t, "203.0.113.1", 0); got != "wg0" {
				t.Fatalf("where the new route does not stand, the old one is gone: %s", got)
			}
		}
	}
}
