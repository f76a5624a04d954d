package monitor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/controlplane/monitor/evidence"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/isolation"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/socket"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/measure"
)

// puppet answers as the dataplane does, with its own types.
type puppet struct {
	mu       sync.Mutex
	status   gate.Status
	counters packet.Counters
	names    packet.Names
	stations map[netip.Addr]time.Time
	measured measure.Recorder
	down     bool

	scanner      antivirus.Standing
	scannerFault error
}

func (p *puppet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		http.Error(w, "{}", http.StatusInternalServerError)
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"/status": p.status, "/counters": p.counters, "/names": p.names, "/stations": p.stations, "/measures": p.measures(r)}[r.URL.Path])
}

func (p *puppet) measures(r *http.Request) []measure.Sample {
	var run uint32
	var seq uint64
	fmt.Sscanf(r.URL.RawQuery, "run=%d&after=%d", &run, &seq)
	return p.measured.After(run, seq, 120)
}

func (p *puppet) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// antivirus is what the broker says of the antivirus program.
func (p *puppet) antivirus(context.Context) (antivirus.Standing, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.scanner, p.scannerFault
}

// TestTheAntivirusProgramIsWatched: how it stands is in what people and machines see; a broker that is silent is as bad as a scanner that is.
func TestTheAntivirusProgramIsWatched(t *testing.T) {
	m, p, now := newEye(t)
	ctx := t.Context()
	m.poll(ctx)
	if s, err := m.Status(ctx); err != nil || s.Antivirus != nil {
		t.Errorf("before it was asked: %+v, %v", s.Antivirus, err)
	}
	for _, c := range []struct {
		set  func()
		want []string
	}{
		{func() {
			p.scanner = antivirus.Standing{Version: "ClamAV 1.4.3", Made: now.Add(-80 * time.Hour), Level: antivirus.Days}
		}, []string{"sekisho_antivirus_up 1", "sekisho_antivirus_alarm_level 2", "sekisho_antivirus_signatures_timestamp_seconds 1.7997121e+09"}},
		{func() { p.scannerFault = errors.New("no broker") }, []string{"sekisho_antivirus_up 0", "sekisho_antivirus_alarm_level 4"}},
	} {
		p.set(c.set)
		m.lookAtAntivirus(ctx)
		w := httptest.NewRecorder()
		m.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		for _, want := range c.want {
			if !strings.Contains(w.Body.String(), want+"\n") {
				t.Errorf("no %s", want)
			}
		}
	}
	if s, err := m.Status(ctx); err != nil || s.Antivirus == nil || s.Antivirus.Code != antivirus.Silent {
		t.Errorf("a broker that does not answer: %+v, %v", s.Antivirus, err)
	}
}

func newEye(t *testing.T) (*Monitor, *puppet, *time.Time) {
	t.Helper()
	cfg, faults := config.Parse(examples.Lab)
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	p := &puppet{
		status: gate.Status{Result: gate.Result{Revision: "r", Hash: "h", Epoch: 3},
			Ports:   []packet.PortStatus{{Name: "mn0", Index: 2, Up: true, Native: true}, {Name: "pt-lg", Up: true, Native: true}, {Name: "wan0", Error: "gone"}},
			Tunnels: []tunnel.Status{{Device: "wg0", Region: "tokyo", Peer: "tokyo-a", Up: true, Handshake: time.Unix(1_800_000_000, 0), ProbeRTT: 12.5}, {Device: "wg0", Region: "osaka", Peer: "osaka"}, {Device: "wg0", Region: "tokyo", Peer: "tokyo-b"}},
			Classes: []bandwidth.ClassStatus{{Device: "wg0", ID: 1, Name: "core", Guarantee: 25_000_000, Ceiling: 50_000_000, Rate: 8_000_000, Bytes: 1000, Drops: 2}}},
		counters: packet.Counters{Reasons: map[string]packet.Count{"no-cell": {Packets: 10, Bytes: 600}},
			Pairs:    map[[2]anchors.Zone]packet.Count{{anchors.MyNumber, anchors.LGWAN}: {Packets: 100, Bytes: 6000}},
			Segments: []packet.SegmentCount{{Count: packet.Count{Packets: 1}}, {From: 1, To: 2, Count: packet.Count{Packets: 90, Bytes: 5400}}, {From: 1, To: 9, Count: packet.Count{Packets: 5}}},
			Rules:    map[uint32]packet.Count{1: {Packets: 60, Bytes: 3600}, 2: {Packets: 40, Bytes: 2400}, 3: {}},
			LastUsed: map[uint32]time.Time{1: time.Unix(1_800_000_050, 0), 2: time.Unix(1_800_000_020, 0)}, Flows: packet.FlowUse{Live: 5, Capacity: 65536},
			Notices: map[string]packet.Count{"mac-moved": {Packets: 2}}, Opened: 9_000_000,
			Redirects: []packet.RedirectFailure{{Kind: "send", Error: "various", Frames: 1}, {Device: "mn0", Kind: "send", Error: "ENXIO", Frames: 12}}},
		names: packet.Names{Epoch: 3, Segments: map[uint16]packet.SegmentName{1: {Name: "mn-office", Zone: anchors.MyNumber}, 2: {Name: "lg-asp", Zone: anchors.LGWAN}},
			Rules: map[uint32][]string{1: {"eltax"}, 2: {"eltax", "juki"}, 3: {"koseki"}}},
	}
	path := filepath.Join(t.TempDir(), "dataplane", "api.sock")
	l, err := socket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	srv := socket.Server(p)
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	now := time.Unix(1_800_000_100, 0)
	m := New(Options{Antivirus: p.antivirus, Dataplane: path, Daemons: map[string]string{"dataplane": path, "broker": path + ".none"},
		Head:      func() *revision.Head { return &revision.Head{Config: cfg, Revision: revision.Revision{Hash: "h"}} },
		AuditSize: func() (int64, time.Time) { return 7, now }, Now: func() time.Time { return now }})
	return m, p, &now
}

func TestConsoleShowsTheGate(t *testing.T) {
	m, p, now := newEye(t)
	ctx := context.Background()
	m.poll(ctx)
	*now = now.Add(2 * time.Second)
	p.set(func() {
		p.counters.Reasons["no-cell"] = packet.Count{Packets: 30}
		p.counters.Reasons["fragment"] = packet.Count{Packets: 4}
		p.counters.Pairs[[2]anchors.Zone{anchors.MyNumber, anchors.LGWAN}] = packet.Count{Packets: 300}
		p.counters.Opened += 4
	})
	m.poll(ctx)
	s, err := m.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if s.Town.JA != "海山町" || !s.Proven || s.Epoch != 3 || s.Records == 0 {
		t.Errorf("%+v", s)
	}
	if x := s.Ports[0]; x.Zone != anchors.MyNumber || !x.Native || x.Portal || x.Failed["send ENXIO"] != 12 {
		t.Errorf("port %+v", x)
	}
	if x := s.Ports[1]; x.Zone != anchors.LGWAN || !x.Portal {
		t.Errorf("portal's port %+v", x)
	}
	if x := s.Ports[2]; x.Zone != anchors.Uplink || x.Error != "gone" {
		t.Errorf("port %+v", x)
	}
	if x := s.Tunnels[0]; x.Zone != anchors.MyNumber || x.RTT != 12500*time.Microsecond || !x.Up {
		t.Errorf("tunnel %+v", x)
	}
	if x := s.Classes[0]; x.Name.JA != "基幹業務" || x.Line != "line1" || x.Delivered != 8e6 {
		t.Errorf("class %+v", x)
	}
	if x := s.Daemons; len(x) != 2 || x[0].Name != "broker" || x[0].Up || !x[1].Up {
		t.Errorf("daemons %+v", x)
	}
	got, err := m.Samples(ctx, time.Time{})
	if err != nil || len(got) != 1 {
		t.Fatalf("%v, %v", got, err)
	}
	if x := got[0]; x.Allowed == nil || *x.Allowed != 2 || x.Packets != 100 || x.Dropped["no-cell"] != 10 || x.Dropped["fragment"] != 2 {
		t.Errorf("rates: %+v", x)
	}

	// The dataplane goes: the console says so, the next rates do not jump.
	p.set(func() { p.down = true })
	*now = now.Add(time.Second)
	m.poll(ctx)
	if s, _ := m.Status(ctx); s.Revision != "" || s.Proven || len(s.Ports) != 0 {
		t.Errorf("shown though the dataplane is silent: %+v", s)
	}
	p.set(func() {
		p.down = false
		p.counters.Reasons = map[string]packet.Count{"no-cell": {Packets: 5}} // pins were made anew
	})
	*now = now.Add(time.Second)
	m.poll(ctx)
	if got, _ := m.Samples(ctx, now.Add(-time.Millisecond)); len(got) != 1 || got[0].Dropped["no-cell"] != 2.5 {
		t.Errorf("after the counters began anew: %+v", got)
	}
	*now = now.Add(time.Hour)
	m.poll(ctx)
	if got, _ := m.Samples(ctx, time.Time{}); len(got) != 1 {
		t.Errorf("%d samples kept beyond %s", len(got), keep)
	}
	h := *m.o.Head()
	h.Hash = "other"
	m.o.Head = func() *revision.Head { return &h }
	if s, _ := m.Status(ctx); s.Proven {
		t.Error("tables that control never proved are shown as proven")
	}
}

func TestMetricsKeepTheRules(t *testing.T) {
	m, p, _ := newEye(t)
	keepMeasured(t, m, p)
	m.poll(context.Background())
	m.keepEvidence(context.Background())
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(m); err != nil {
		t.Fatal(err)
	}
	fs, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(fs).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	w := httptest.NewRecorder()
	m.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	have := map[string]bool{}
	for sc := bufio.NewScanner(w.Body); sc.Scan(); {
		have[sc.Text()] = true
	}
	for _, want := range []string{
		"sekisho_dataplane_up 1",
		`sekisho_daemon_up{daemon="broker"} 0`,
		`sekisho_dropped_packets_total{reason="no-cell"} 10`,
		`sekisho_passed_bytes_total{from="my-number",to="lgwan"} 6000`,
		`sekisho_port_native_xdp{port="wan0",zone="uplink"} 0`,
		`sekisho_tunnel_handshake_timestamp_seconds{device="wg0",end="tokyo-a",region="tokyo"} 1.8e+09`,
		`sekisho_tunnel_up{device="wg0",end="tokyo-a",region="tokyo"} 1`,
		`sekisho_tunnel_up{device="wg0",end="tokyo-b",region="tokyo"} 0`,
		`sekisho_tunnel_handshake_timestamp_seconds{device="wg0",end="osaka",region="osaka"} 0`,
		`sekisho_tunnel_probe_rtt_seconds{device="wg0",end="tokyo-a",region="tokyo"} 0.0125`,
		`sekisho_class_guarantee_bytes_per_second{class="core",device="wg0"} 3.125e+06`,
		`sekisho_class_sent_bytes_total{class="core",device="wg0"} 1000`,
		"sekisho_audit_events_total 7",
		"sekisho_policy_proven 1",
		`sekisho_segment_passed_packets_total{from="mn-office",to="lg-asp"} 90`,
		`sekisho_segment_passed_bytes_total{from="mn-office",to="lg-asp"} 5400`,
		`sekisho_segment_passed_packets_total{from="",to=""} 1`,
		`sekisho_record_packets_total{record="eltax"} 100`,
		`sekisho_record_packets_total{record="juki"} 40`,
		`sekisho_record_bytes_total{record="juki"} 2400`,
		`sekisho_notices_total{kind="mac-moved"} 2`,
		"sekisho_flows_opened_total 9e+06",
		"sekisho_flows_live 5",
		"sekisho_flows_capacity 65536",
		`sekisho_record_last_used_timestamp_seconds{record="eltax"} 1.80000005e+09`,
		`sekisho_record_last_used_timestamp_seconds{record="juki"} 1.80000002e+09`,
		`sekisho_redirect_failed_frames_total{device="mn0",error="ENXIO",kind="send"} 12`,
		`sekisho_redirect_failed_frames_total{device="",error="various",kind="send"} 1`,
		"sekisho_redirect_failures_watched 1",
		`sekisho_guarantee_seconds_total{class="core",direction="up",line="line-a",verdict="kept"} 2`,
		`sekisho_guarantee_seconds_total{class="core",direction="up",line="line-a",verdict="idle"} 1`,
		`sekisho_guarantee_seconds_total{class="core",direction="down",line="line-a",verdict="not-counted"} 3`,
		`sekisho_line_delivered_bytes_total{class="core",direction="up",line="line-a"} 8e+06`,
		`sekisho_line_guarantee_bytes_per_second{class="core",direction="up",line="line-a"} 2.5e+06`,
		`sekisho_line_seconds_total{line="line-a",state="up"} 3`,
		"sekisho_evidence_kept 1",
		`sekisho_line_probes_total{class="",line="line-a"} 3`,
		`sekisho_line_probe_delay_p99_seconds{class="",line="line-a"} 0.004`,
	} {
		if !have[want] {
			t.Errorf("no line %q", want)
		}
	}
	for line := range have {
		if strings.Contains(line, "handshake") && strings.Contains(line, "_age") {
			t.Errorf("%q: the handshake is a time, not an age", line)
		}
	}
}

// keepMeasured lets the dataplane have measured three seconds, in two of which a class had its guarantee.
func keepMeasured(t *testing.T, m *Monitor, p *puppet) {
	t.Helper()
	var err error
	if m.o.Evidence, err = evidence.Open(t.TempDir(), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.o.Evidence.Close() })
	m.puller.Store = m.o.Evidence
	at, sent, probes := time.Unix(1_800_000_000, 0), uint64(0), uint64(0)
	p.set(func() {
		for _, bytes := range []uint64{0, 3_000_000, 4_900_000, 100_000} {
			sent, probes = sent+bytes, probes+1
			at = at.Add(time.Second)
			tally := measure.Tally{Up: []measure.Counters{{Bytes: sent}}, Sent: probes, Trips: []time.Duration{4 * time.Millisecond}}
			class := measure.Class{Name: "core", GuaranteeUp: 20e6, GuaranteeDown: 20e6, Tally: tally}
			p.measured.Take(at, []measure.Reading{{Line: "line-a", Device: "wg0", Whole: tally, Classes: []measure.Class{class}, Ends: []measure.End{{Region: "tokyo", Answered: true}}}})
		}
	})
}

// TestRateOfNewFlowsIsKnownHoweverMany: the packet core counts what it opens; nobody has to compare lists.
func TestRateOfNewFlowsIsKnownHoweverMany(t *testing.T) {
	m, p, now := newEye(t)
	ctx := context.Background()
	m.poll(ctx)
	for _, c := range []struct {
		opened uint64 // in all
		rate   float64
	}{{9_000_000, 0}, {9_500_000, 500_000}, {9_500_001, 1}, {3, 3}} { // the last: pins were made anew
		p.set(func() { p.counters.Opened = c.opened })
		*now = now.Add(time.Second)
		m.poll(ctx)
		got, err := m.Samples(ctx, now.Add(-time.Millisecond))
		if err != nil || len(got) != 1 || got[0].Allowed == nil || *got[0].Allowed != c.rate {
			t.Errorf("%d opened: %+v, %v; want %v a second", c.opened, got, err, c.rate)
		}
	}
}

// TestNamesFollowTheTables: numbers of rules mean something else in other tables.
func TestNamesFollowTheTables(t *testing.T) {
	m, p, _ := newEye(t)
	ctx := context.Background()
	m.poll(ctx)
	p.set(func() {
		p.status.Epoch, p.names = 4, packet.Names{Epoch: 4, Rules: map[uint32][]string{1: {"koseki"}}}
	})
	m.poll(ctx)
	w := httptest.NewRecorder()
	m.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if body := w.Body.String(); !strings.Contains(body, `sekisho_record_packets_total{record="koseki"} 60`) || strings.Contains(body, "eltax") {
		t.Error("a rule of the new tables is shown as a record of the old ones")
	}
}

// What is cut off is shown, also while the dataplane is dead: then it stays so.
func TestWhatIsCutOffIsShown(t *testing.T) {
	m, p, _ := newEye(t)
	ctx := context.Background()
	m.poll(ctx)
	since := time.Unix(1_800_000_000, 0).UTC()
	p.set(func() {
		p.status.Isolated = []isolation.Cut{{Zone: anchors.LGWAN, Since: since, Until: since.Add(time.Hour), By: "sato", Reason: "why"}}
	})
	m.poll(ctx)
	check := func(what string) {
		t.Helper()
		s, err := m.Status(ctx)
		if err != nil || len(s.Isolated) != 1 || s.Isolated[0].Zone != anchors.LGWAN || s.Isolated[0].By != "sato" || s.Isolated[0].Reason != "why" || !s.Isolated[0].Until.Equal(since.Add(time.Hour)) {
			t.Errorf("%s: %+v, %v", what, s.Isolated, err)
		}
		w := httptest.NewRecorder()
		m.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		text := w.Body.String()
		for _, want := range []string{`sekisho_zone_isolated{zone="lgwan"} 1`, `sekisho_zone_isolated{zone="uplink"} 0`,
			`sekisho_zone_isolated_since_timestamp_seconds{zone="lgwan"} 1.8e+09`, `sekisho_zone_isolated_until_timestamp_seconds{zone="lgwan"} 1.8000036e+09`} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the metrics lack %s", what, want)
			}
		}
	}
	check("now")
	p.set(func() { p.down = true })
	m.poll(ctx)
	check("with a dead dataplane")
}
