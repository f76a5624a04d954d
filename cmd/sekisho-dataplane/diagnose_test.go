package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/tunnel/diagnose"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// TestDiagnosisThroughTheGuards looks along the way with everything that guards it in force: what the diagnosis sends and hears
// must pass the packet core and the backstop, or every line would seem filtered.
func TestDiagnosisThroughTheGuards(t *testing.T) {
	w := newTown(t)
	w.start(t)
	w.mustApply(t, w.compile(t))
	w.startRegion(t)
	w.waitRegion(t)
	serveTCP(t, "region1", "198.51.100.11:443")
	expect(t, true, "mn-pc1", "198.51.100.11:443")
	before := w.status(t)

	t.Run("all is well", func(t *testing.T) {
		d := w.diagnose(t)
		d.Result.Walk(func(r diagnose.Result, _ int) {
			if r.State != diagnose.OK && r.ID != "dns" && r.ID != "nat" {
				t.Errorf("%s: %s %s %q", r.ID, r.State, r.Code, r.Args)
			}
		})
		if d.Took > 2 || d.Endpoint.String() != "192.0.2.11:51820" || len(d.Addrs) == 0 {
			t.Errorf("looked at %s from %v in %.1f s", d.Endpoint, d.Addrs, d.Took)
		}
		after := w.status(t)
		for _, name := range []string{"output-root", "output-user", "output-tunnel"} {
			if n := after.Backstop[name].Packets - before.Backstop[name].Packets; n != 0 {
				t.Errorf("%s: %d packets of the diagnosis were refused", name, n)
			}
		}
	})
	t.Run("1400 on the way", func(t *testing.T) {
		netlab.Run(t, "region1", "ip", "link", "set", "eth0", "mtu", "1400")
		defer netlab.Run(t, "region1", "ip", "link", "set", "eth0", "mtu", "1500")
		w.fails(t, "mtu", "mtu.silent")
	})
	t.Run("no carrier", func(t *testing.T) {
		netlab.Run(t, "region1", "ip", "link", "set", "eth0", "down")
		w.fails(t, "link", "link.none")
		netlab.Run(t, "region1", "ip", "link", "set", "eth0", "up")
		w.waitRegion(t)
	})
	t.Run("UDP is refused", func(t *testing.T) {
		netlab.Run(t, "region1", "nft", "add", "table", "ip", "f")
		netlab.Run(t, "region1", "nft", "add", "chain", "ip", "f", "own", "{ type filter hook input priority 0; }")
		netlab.Run(t, "region1", "nft", "add", "rule", "ip", "f", "own", "udp", "dport", "51820", "reject", "with", "icmp", "port-unreachable")
		w.fails(t, "reach", "reach.refused")
		netlab.Run(t, "region1", "nft", "delete", "table", "ip", "f")
	})
	t.Run("somebody else uses the gate's address", func(t *testing.T) {
		netlab.Run(t, "region1", "ip", "addr", "add", "192.0.2.1/32", "dev", "eth0")
		_, _ = netlab.Try("region1", "ping", "-c", "1", "-W", "1", "-I", "192.0.2.1", "192.0.2.77") // asks for a neighbour in its name
		netlab.Run(t, "region1", "ip", "addr", "del", "192.0.2.1/32", "dev", "eth0")
		w.fails(t, "address", "address.twice")
	})
	t.Run("nonsense", func(t *testing.T) {
		for _, q := range []string{"mtu=abc", "mtu=1", "name=" + strings.Repeat("x", 300)} {
			if code, err := w.ask(http.MethodGet, "/diagnose?"+q, nil, nil); err != nil || code != http.StatusBadRequest {
				t.Errorf("%s: %d %v, want it refused", q, code, err)
			}
		}
		var none []gate.Diagnosis
		if code, err := w.ask(http.MethodGet, "/diagnose?region=nowhere", nil, &none); err != nil || code != http.StatusOK || len(none) != 0 {
			t.Errorf("a region that does not exist: %d %v %+v", code, err, none)
		}
	})
}

func (w *town) diagnose(t *testing.T) gate.Diagnosis {
	t.Helper()
	var all []gate.Diagnosis
	if code, err := w.ask(http.MethodGet, "/diagnose?region=tokyo", nil, &all); err != nil || code != http.StatusOK || len(all) != 1 {
		t.Fatalf("diagnose: %d, %v, %+v", code, err, all)
	}
	return all[0]
}

func (w *town) fails(t *testing.T, id, code string) {
	t.Helper()
	var failed []string
	r := w.diagnose(t).Result
	r.Walk(func(r diagnose.Result, _ int) {
		if r.State == diagnose.Failed {
			failed = append(failed, r.ID+" "+r.Code)
		}
	})
	if want := []string{id + " " + code}; fmt.Sprint(failed) != fmt.Sprint(want) {
		t.Errorf("failed: %q, want %q\n%+v", failed, want, r)
	}
}
