package main

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/web/text"
	"github.com/sekisho/sekisho/dataplane/gate"
	. "github.com/sekisho/sekisho/dataplane/tunnel/diagnose"
)

// broken is a line whose far end is filtered.
func broken() gate.Diagnosis {
	skipped := func(id string, below ...Result) Result {
		return Result{ID: id, State: Skipped, Because: "reach", Party: Carrier, Below: below}
	}
	well := func(id, code string, args []string, below ...Result) Result {
		return Result{ID: id, State: OK, Code: code, Args: args, Party: TownHall, Below: below}
	}
	return gate.Diagnosis{Region: "tokyo", End: "tokyo-a", Device: "wg0", Line: "wan0", Contract: "line-a", Endpoint: netip.MustParseAddrPort("192.0.2.11:51820"),
		At: time.Date(2026, 11, 20, 9, 30, 0, 0, time.Local),
		Result: well("port", "port.up", []string{"wan0", "1500"},
			well("link", "link.carrier", []string{"wan0"},
				well("address", "address.own", []string{"192.0.2.1"},
					well("gateway", "gateway.answers", []string{"192.0.2.254", "02:00:00:00:00:01"},
						Result{ID: "reach", State: Failed, Code: "reach.prohibited", Args: []string{"192.0.2.11:51820", "198.18.99.1"}, Party: Carrier,
							Below: []Result{skipped("handshake", skipped("probe"), skipped("mtu"))}}))))}
}

func TestDiagnosisIsShown(t *testing.T) {
	for _, l := range []text.Lang{text.JA, text.EN} {
		var out bytes.Buffer
		printDiagnosis(&out, l, broken())
		shown(t, "diagnose-"+string(l), out.String())
	}
}

func TestDiagnosisOfTheDataplane(t *testing.T) {
	d := puppet(t, map[string]any{"/diagnose": []gate.Diagnosis{broken()}})
	for _, x := range []struct {
		json bool
		code int
		want string
	}{{false, exitFailed, "reach"}, {true, exitFailed, `"because": "reach"`}} {
		var out, errs bytes.Buffer
		t.Setenv("LC_ALL", "C")
		if code := diagnoseBy(t.Context(), d, gate.Look{Region: "tokyo"}, x.json, &out, &errs); code != x.code || !bytes.Contains(out.Bytes(), []byte(x.want)) {
			t.Errorf("json %v: code %d, %s%s, want %d and %q", x.json, code, out.String(), errs.String(), x.code, x.want)
		}
	}
	none := puppet(t, map[string]any{"/diagnose": []gate.Diagnosis{}})
	var out, errs bytes.Buffer
	if code := diagnoseBy(t.Context(), none, gate.Look{Region: "nowhere"}, false, &out, &errs); code != exitFailed || errs.Len() == 0 {
		t.Errorf("no such region: code %d, %q", code, errs.String())
	}
}
