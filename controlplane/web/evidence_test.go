package web_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/monitor/evidence"
	"github.com/sekisho/sekisho/controlplane/monitor/report"
	"github.com/sekisho/sekisho/controlplane/web/browsertest"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/tunnel/measure"
)

// records is the evidence of a hall: the real store.
type records struct{ *evidence.Store }

func (r records) Month(line string, month time.Time) (report.Month, error) {
	m, err := report.Gather(r.Store, line, month, time.Now())
	return entitled(m), err
}

func (r records) Between(line string, from, to time.Time, t evidence.Tier) (report.Month, error) {
	m, err := report.Between(r.Store, line, from, to, time.Now(), t)
	return entitled(m), err
}

func entitled(m report.Month) report.Month {
	m.Entitle(report.Name{JA: "海山町", EN: "Umiyama"}, report.Name{JA: "閉域網A", EN: "Closed line A"}, map[string]report.Name{"core": {JA: "基幹業務", EN: "Core business"}, "backup": {JA: "バックアップ", EN: "Backup"}})
	return m
}

// measured fills a store with the last two hours of a line, in which packets were lost for three minutes, own traffic took too much
// for one, and nobody looked for five.
func measured(t *testing.T) records {
	t.Helper()
	s, err := evidence.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	now := time.Now().Truncate(time.Minute)
	for i := -7200; i < 0; i++ {
		at := now.Add(time.Duration(i) * time.Second)
		if i >= -1500 && i < -1200 {
			continue
		}
		trips := []time.Duration{time.Duration(4000+i%700) * time.Microsecond}
		line := measure.Sample{At: at.Unix(), Run: 1, Seq: uint64(i + 8000), Line: "line-a", Device: "wg0", Span: time.Second, State: measure.Up,
			Up: measure.Flow{Counted: true, Bytes: 11_500_000, Rate: 100e6, Arrived: 1}, Down: measure.Flow{Rate: 100e6, Arrived: -1},
			Probe: measure.Probe{Sent: 1, Trips: trips, P50: trips[0], P99: trips[0], Max: trips[0], Jitter: 300 * time.Microsecond}}
		class := func(name string, guarantee, mbits float64) measure.Sample {
			c := line
			c.Class = name
			c.Up = measure.Flow{Counted: true, Bytes: uint64(mbits * 1e6 / 8), Guarantee: uint64(guarantee * 1e6), Ceiling: 100e6, Rate: 100e6, Arrived: -1, Before: 300_000, Backlog: 300_000}
			c.Down.Guarantee = uint64(guarantee * 1e6)
			return c
		}
		swing := float64((i+7200)%600) / 60
		core, backup := class("core", 30, 32+swing), class("backup", 10, 55-swing)
		switch {
		case i >= -2700 && i < -2520:
			line.Up.Arrived = 0.7
		case i >= -600 && i < -540:
			core.Up.Bytes = 21e6 / 8
			line.Up.Bytes = 12_400_000
		}
		if err := s.Keep([]measure.Sample{line, core, backup}); err != nil {
			t.Fatal(err)
		}
	}
	return records{s}
}

// TestEvidence shows what lines were given, to administrators and auditors, and gives the month as files.
func TestEvidence(t *testing.T) {
	h := newHall()
	h.busy()
	base := stand(t, h, anchors.Management)
	ctx := browsertest.Start(t)
	p := browsertest.Sit(t, ctx, base)
	p.SignIn("joho", "joho-no-password")
	p.See("分離を証明済み")
	p.Open("/evidence")
	p.See("まだ記録がありません")
	p.Look("evidence-empty")

	h.evidence = measured(t)
	p = browsertest.Sit(t, ctx, stand(t, h, anchors.Management))
	p.SignIn("kansa", "kansa-no-password")
	p.Follow("帯域の記録")
	p.See("基幹業務")
	p.See("3分0秒")
	p.See("自庁通信")
	p.Look("evidence-hour")
	p.Follow("直近24時間")
	p.See("測定できた時間")
	p.Picture("evidence-day-ja")
	p.Follow("直近90日")
	p.See("秒数は各クラスに")
	p.Accessible("evidence-quarter")
	p.Resize(390, 844)
	p.Fits()
	p.Picture("evidence-narrow-ja")
	p.Resize(1280, 900)
	path := p.Download(`button[value="summary.csv"]`)
	b, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(b), "\ufeff回線,") || !strings.Contains(string(b), "基幹業務") || !strings.HasSuffix(filepath.Base(path), "-summary.csv") {
		t.Errorf("%s: %v, %.200s", path, err, b)
	}
}

// Only who may see the evidence gets a report, and what there is none of is not found.
func TestReportsAreForAdministratorsAndAuditors(t *testing.T) {
	h := newHall()
	h.evidence = measured(t)
	month := time.Now().In(report.Japan).Format("2006-01")
	visitors := map[string]*visitor{}
	for who, zone := range map[string]anchors.Zone{"joho": anchors.Management, "kansa": anchors.Management, "": anchors.Management, "sato": anchors.LGWAN} {
		visitors[who] = visit(t, stand(t, h, zone))
		if who != "" {
			visitors[who].signIn(who, who+"-no-password")
		}
	}
	good := "/evidence/report?line=line-a&form=violations.csv&month=" + month
	for _, c := range []struct {
		who, path string
		status    int
	}{
		{"joho", good, http.StatusOK},
		{"kansa", good, http.StatusOK},
		{"kansa", "/evidence/report?line=line-a&form=pdf&month=" + month, http.StatusOK},
		{"", good, http.StatusSeeOther},
		{"sato", good, http.StatusNotFound},
		{"joho", "/evidence/report?line=line-b&form=pdf&month=" + month, http.StatusNotFound},
		{"joho", "/evidence/report?line=line-a&form=exe&month=" + month, http.StatusNotFound},
		{"joho", "/evidence/report?line=line-a&form=pdf&month=2026-13", http.StatusNotFound},
		{"joho", "/evidence/report?line=line-a&form=pdf&month=2999-01", http.StatusNotFound},
		{"joho", "/evidence?line=line-b", http.StatusNotFound},
		{"joho", "/evidence?span=eternity", http.StatusOK},
	} {
		got, body := visitors[c.who].get(c.path)
		if got.StatusCode != c.status {
			t.Errorf("%s asks for %s: %d, want %d", c.who, c.path, got.StatusCode, c.status)
		}
		if c.status == http.StatusOK && strings.Contains(c.path, "report") {
			if got.Header.Get("Content-Type") != "application/octet-stream" || !strings.Contains(got.Header.Get("Content-Disposition"), "attachment; filename=\"sekisho-line-a-"+month) || len(body) == 0 {
				t.Errorf("%s: %v, %d bytes", c.path, got.Header, len(body))
			}
		}
	}
}
