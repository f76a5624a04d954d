package main

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/exchange"
	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/measure"
)

const (
	keyOne = "bmV3LXRva3lvLXJlZ2lvbi1rZXktMDEyMzQ1Njc4OTA="
	keyTwo = "bmV3LXNlY29uZC1yZWdpb24ta2V5LTAxMjM0NTY3OCE="
)

func TestTunnelCommands(t *testing.T) {
	lines := exampleDir + "lines.yaml"
	dir := t.TempDir()
	write := func(name string, of, whose string, keys map[string]string) string {
		k, err := exchange.New(of, whose, keys)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, k.Text(), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	gateKeys := write("gate.yaml", exchange.Gate, "岬町", map[string]string{"wg0": keyOne, "wg1": keyTwo})
	tokyo := write("tokyo.yaml", exchange.Region, "tokyo", map[string]string{"wg0": keyOne})
	for _, c := range []struct {
		golden string
		args   []string
		code   int
	}{
		{"tunnel-list", []string{"tunnel", "list", lines}, 0},
		{"tunnel-region", []string{"tunnel", "region", "osaka", lines, "--keys", gateKeys}, 0},
		{"tunnel-region-two-machines", []string{"tunnel", "region", "tokyo-a", lines, "--keys", gateKeys}, 0},
		{"tunnel-region-wrong-keys", []string{"tunnel", "region", "osaka", lines, "--keys", tokyo}, 1},
		{"tunnel-region-unknown", []string{"tunnel", "region", "kyoto", lines, "--keys", gateKeys}, 1},
		{"tunnel-import-gate", []string{"tunnel", "import", gateKeys, lines}, 1},
		{"tunnel-nonsense", []string{"tunnel", "dig"}, 2},
		{"check-two-lines", []string{"check", lines, "--explain", "--at", "2026-10-01"}, 0},
	} {
		t.Run(c.golden, func(t *testing.T) {
			code, got := ran(c.args...)
			if code != c.code {
				t.Errorf("exit code: got %d, want %d", code, c.code)
			}
			golden(t, c.golden, got)
		})
	}

	out := filepath.Join(dir, "out.yaml")
	code, said := ran("tunnel", "import", tokyo, lines, "--out", out)
	if code != exitOK || !strings.Contains(said, "end tokyo-a on wg0") || !strings.Contains(said, "by voice") || !strings.Contains(said, "anchors") {
		t.Errorf("import: %d\n%s", code, said)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if cfg, errs := config.Parse(text); errs != nil || cfg.Regions[0].Ends[0].PublicKey != keyOne || !strings.Contains(string(text), "# A second machine on the second line") {
		t.Errorf("imported: %v", errs)
	}
}

// What only DSCP values name, what a plain end sends and what becomes of each region while a line is down: check tells it all, as
// the sums alone would pass for promises.
func TestExplainTellsWhatIsNotKeptDownwards(t *testing.T) {
	text, err := os.ReadFile(exampleDir + "lines.yaml")
	if err != nil {
		t.Fatal(err)
	}
	explained := func(old, new string) string {
		t.Helper()
		doc := strings.Replace(string(text), old, new, 1)
		file := filepath.Join(t.TempDir(), "town.yaml")
		if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
			t.Fatal(err)
		}
		code, got := ran("check", file, "--explain", "--at", "2026-10-01")
		if code != exitOK || old != new && doc == string(text) {
			t.Fatalf("exit code %d\n%s", code, got)
		}
		return got
	}
	const plain, dscp = "cannot be kept downwards: end ", "downwards: default class, since answers carry no class"
	for _, c := range []struct {
		name, old, new string
		want, not      []string
	}{
		{"as it is", "", "",
			[]string{plain + "tokyo-c is plain", plain + "prefecture is plain", "class core, where only DSCP names it: " + dscp, "down from region osaka: class core: "},
			[]string{plain + "tokyo-a", "class general, w", "down from region prefecture"}},
		{"a class that only DSCP names", "ports: [tcp/8443], class: backup", "ports: [tcp/8443]",
			[]string{"class backup, which only DSCP names: " + dscp + ": nothing uses what it is promised there"}, nil},
		{"no trust", ", trust-dscp: true", "", nil, []string{dscp}},
		{"no plain end", "probe: 198.51.100.129, plain: true", "probe: 198.51.100.129",
			[]string{"down from region prefecture: none of its own lines is left"}, []string{plain + "prefecture"}},
	} {
		got := explained(c.old, c.new)
		for _, w := range c.want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: %q is not told:\n%s", c.name, w, got)
			}
		}
		for _, n := range c.not {
			if strings.Contains(got, n) {
				t.Errorf("%s: %q is told:\n%s", c.name, n, got)
			}
		}
	}
}

// What a station writes into a packet decides its class where nothing else does, and trace takes it.
func TestTraceTakesDSCP(t *testing.T) {
	trace := func(more ...string) (int, string) {
		return ran(append([]string{"trace", exampleDir + "lines.yaml", "--at", "2026-10-01", "--from", "my-number", "--src", "198.18.10.11", "--dst", "198.51.100.77", "--dport", "443"}, more...)...)
	}
	_, unmarked := trace()
	_, named := trace("--dscp", "ef")
	_, numbered := trace("--dscp", "46")
	if said := "code point 46 of segment mn-office stands for class 1"; !strings.Contains(named, said) || strings.Contains(unmarked, said) || named != numbered {
		t.Errorf("unmarked:\n%s\nef:\n%s\n46:\n%s", unmarked, named, numbered)
	}
	for _, wrong := range []string{"64", "-1", "eff"} {
		if code, got := trace("--dscp", wrong); code != exitUsage || !strings.Contains(got, "dscp") {
			t.Errorf("--dscp %s: got %d\n%s", wrong, code, got)
		}
	}
}

func TestTunnelStatusIsPrinted(t *testing.T) {
	now := time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	s := gate.Status{
		Classes: []bandwidth.ClassStatus{{ID: 1, Name: "core"}, {ID: 3, Name: "backup"}},
		Tunnels: []tunnel.Status{
			{Device: "wg0", Contract: "line-a", Peer: "tokyo-a", Region: "tokyo", Up: true, State: "up", Since: now.Add(-time.Hour), Carries: []string{"tokyo"}, Classes: []uint8{0, 1},
				Handshake: now.Add(-20 * time.Second), ProbeRTT: 11.25, MTU: 1420, LineMTU: 1500, Preshared: true, KeySince: now},
			{Device: "wg1", Contract: "line-b", Peer: "tokyo-b", Region: "tokyo", State: "down", Loss: 1, MTU: 1420, Passes: 1394, Reason: "no handshake yet", Trouble: "packets of 1420 bytes do not pass: at most 1394 do"},
		},
	}
	ms := time.Millisecond
	delays := delaysOf([]measure.Sample{
		{Line: "line-a", Class: "core", Probe: measure.Probe{Sent: 5, P50: 10 * ms, Max: 12 * ms}},
		{Line: "line-a", Class: "core", Probe: measure.Probe{Sent: 5, Lost: 5}},
		{Line: "line-a", Class: "core", Probe: measure.Probe{Sent: 5, Lost: 1, P50: 20 * ms, Max: 90 * ms}},
	})
	if len(delays) != 1 || delays[0].P50 != 10*ms || delays[0].Max != 90*ms || delays[0].Lost != 6 || delays[0].Sent != 15 {
		t.Errorf("got %+v", delays)
	}
	var b bytes.Buffer
	if err := printEnds(&b, s, delays, now); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"tokyo: the rest, core", "up 1h0m0s", "20s ago", "11.2", "1420 of 1500", "1420, only 1394 pass", "100 %", "never", "6 of 15",
		"tokyo-b: no handshake yet", "tokyo-b: packets of 1420 bytes do not pass", "pre-shared since 2026-10-01", "public only"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not shown:\n%s", want, b.String())
		}
	}
}

// A new key takes time to be agreed on: the dataplane accepts the wish, and that is no failure.
func TestRotateTakesAnAcceptedWish(t *testing.T) {
	var asked string
	d := puppet(t, map[string]any{"/tunnel-keys/rotate": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Method + " " + r.URL.Query().Get("peer")
		w.WriteHeader(http.StatusAccepted)
	})})
	if err := d.post(t.Context(), "/tunnel-keys/rotate", url.Values{"peer": {"tokyo-a"}}); err != nil || asked != "POST tokyo-a" {
		t.Errorf("got %v, asked %q", err, asked)
	}
	if err := d.post(t.Context(), "/elsewhere", nil); err == nil || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("got %v, want what the dataplane says", err)
	}
}
