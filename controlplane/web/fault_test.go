package web_test

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/controlplane/web/browsertest"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/gate"
	. "github.com/sekisho/sekisho/dataplane/tunnel/diagnose"
)

// broken stands for a gate with two lines to one region; on the first, UDP is forbidden on the way.
type broken struct{ looked []string }

func (b *broken) Ends(context.Context) ([]web.End, error) {
	e := web.End{ID: "tokyo-a", Region: "tokyo", Name: web.Name{JA: "東京リージョン", EN: "Tokyo region"}, Line: "line-a", LineName: web.Name{JA: "閉域網A", EN: "Closed line A"},
		Kind: config.IPVPN, Up: 50e6, Down: 100e6, Contact: web.Name{JA: "○○通信 故障受付 0120-000-000（24 時間）", EN: "Carrier A, faults: 0120-000-000 (24 h)"},
		Device: "wg0", Endpoint: netip.MustParseAddrPort("192.0.2.11:51820"), State: "down"}
	f := e
	f.ID, f.Line, f.LineName, f.Kind, f.Device, f.Endpoint, f.State = "tokyo-b", "line-b", web.Name{JA: "閉域網B", EN: "Closed line B"}, config.Ethernet, "wg1", netip.MustParseAddrPort("203.0.113.11:51820"), "up"
	return []web.End{e, f}, nil
}

func (b *broken) Diagnose(_ context.Context, e web.End) ([]gate.Diagnosis, error) {
	b.looked = append(b.looked, e.ID)
	d := gate.Diagnosis{Region: e.Region, End: e.ID, Device: e.Device, Line: "wan0", Contract: e.Line, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
		Endpoint: e.Endpoint, At: time.Date(2026, 11, 20, 0, 30, 12, 0, time.UTC), Took: 1.9}
	codes := map[string][]string{"port": {"port.up", "wan0", "1500"}, "link": {"link.carrier", "wan0"}, "address": {"address.own", "192.0.2.1"},
		"gateway": {"gateway.answers", "192.0.2.254", "02:00:00:00:00:01"}, "reach": {"reach.prohibited", "192.0.2.11:51820", "198.18.99.1"}}
	if e.ID == "tokyo-b" {
		codes["reach"] = []string{"reach.tunnel", "203.0.113.11:51820"}
		for _, c := range [][]string{{"handshake.fresh", "41"}, {"probe.answers", "4.2"}, {"loss.little", "0"}, {"route.chosen", "198.51.100.0/26", "wg1"}, {"nat.held", "198.18.10.0/24 = 198.18.110.0/24"},
			{"dns.none"}, {"application.flows", "198.51.100.11:443/tcp", "juki", "3"}, {"mtu.passes", "1500"}} {
			id, _, _ := strings.Cut(c[0], ".")
			codes[id] = c
		}
	}
	d.Result = made(codes)
	return []gate.Diagnosis{d}, nil
}

// made is the real tree, with these codes; what has none is skipped.
func made(codes map[string][]string) Result {
	r := Empty()
	failed := ""
	var fill func(*Result)
	fill = func(r *Result) {
		if c, ok := codes[r.ID]; ok && failed == "" {
			k := Of(c[0])
			r.State, r.Code, r.Args = k.State, c[0], c[1:]
			if k.State == Failed {
				failed = r.ID
			}
		} else {
			r.State, r.Because = Skipped, failed
		}
		for i := range r.Below {
			fill(&r.Below[i])
		}
	}
	fill(&r)
	return r
}

// TestFaultPage shows a broken line and a good one to administrators, on the screen and on one sheet of paper.
func TestFaultPage(t *testing.T) {
	h := newHall()
	h.busy()
	b := &broken{}
	h.faults = b
	base := stand(t, h, anchors.Management)
	p := browsertest.Sit(t, browsertest.Start(t), base)
	p.SignIn("joho", "joho-no-password")
	p.See("分離を証明済み")
	p.Open("/fault")
	p.See("閉域網B")
	p.Look("fault")
	if len(b.looked) != 0 {
		t.Errorf("looked at %v though nobody asked", b.looked)
	}
	p.Open("/fault/tokyo-a")
	p.See("198.18.99.1 が禁じています")
	p.See("「UDP の到達」が直らないと調べられません")
	p.Look("fault-broken")
	if n := p.Print("fault-sheet-ja"); n != 1 {
		t.Errorf("the sheet takes %d sheets, want 1", n)
	}
	p.Resize(390, 844)
	p.Fits()
	p.Picture("fault-narrow-ja")
	p.Resize(1280, 900)
	p.Open("/fault/tokyo-b")
	p.See("悪いところは見つかりませんでした")
	p.Look("fault-well")
	p.Click(`.languages button[lang="en"]`)
	p.See("Nothing was found to be wrong")
	p.Open("/fault/tokyo-a")
	p.See("forbids UDP")
	if n := p.Print("fault-sheet-en"); n != 1 {
		t.Errorf("the sheet takes %d sheets, want 1", n)
	}
}

func TestFaultPageIsForAdministrators(t *testing.T) {
	h := newHall()
	b := &broken{}
	h.faults = b
	base := stand(t, h, anchors.Management)
	for _, c := range []struct {
		user, path string
		status     int
	}{
		{"joho", "/fault", http.StatusOK}, {"joho", "/fault/tokyo-a", http.StatusOK}, {"joho", "/fault/nowhere", http.StatusNotFound},
		{"kansa", "/fault", http.StatusForbidden}, {"kansa", "/fault/tokyo-a", http.StatusForbidden}, {"", "/fault/tokyo-a", http.StatusSeeOther},
	} {
		v := visit(t, base)
		if c.user != "" {
			v.signIn(c.user, c.user+"-no-password")
		}
		if resp, _ := v.get(c.path); resp.StatusCode != c.status {
			t.Errorf("%q at %s: %s, want %d", c.user, c.path, resp.Status, c.status)
		}
	}
	if len(b.looked) != 1 {
		t.Errorf("looked at %v, want once, for who may", b.looked)
	}
	h.faults = nil
	v := visit(t, stand(t, h, anchors.Management))
	v.signIn("joho", "joho-no-password")
	if resp, _ := v.get("/fault"); resp.StatusCode != http.StatusOK {
		t.Errorf("without lines: %s", resp.Status)
	}
}
