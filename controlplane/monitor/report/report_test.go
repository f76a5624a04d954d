package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sekisho/sekisho/controlplane/monitor/evidence"
	"github.com/sekisho/sekisho/controlplane/web/text"
	"github.com/sekisho/sekisho/dataplane/tunnel/measure"
)

var update = flag.Bool("update", false, "write the golden files anew")

const mbit = 1_000_000

var (
	month10 = time.Date(2026, time.October, 1, 0, 0, 0, 0, Japan)
	later   = time.Date(2026, time.November, 2, 9, 30, 0, 0, Japan)
)

// october is an hour and a half of a line with three classes: the line loses packets for 40 s, own traffic fills it for 90 s, the far
// end's shaper holds a class back for 5 s, the line is silent for 30 s, and for 10 minutes nobody looks.
func october(t *testing.T) *evidence.Store {
	t.Helper()
	s, err := evidence.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	start := time.Date(2026, time.October, 15, 9, 0, 0, 0, Japan)
	for i := range 5400 {
		if i >= 3000 && i < 3600 {
			continue
		}
		at := start.Add(time.Duration(i) * time.Second)
		trips := []time.Duration{time.Duration(4+i%3) * time.Millisecond, 5 * time.Millisecond}
		line := measure.Sample{At: at.Unix(), Run: 1, Seq: uint64(i), Line: "line-a", Device: "wg0", Span: time.Second, State: measure.Up,
			Up:    measure.Flow{Counted: true, Bytes: 11_000_000, Rate: 100 * mbit, Arrived: 1},
			Down:  measure.Flow{Counted: true, Bytes: 6_000_000, Rate: 100 * mbit, Arrived: 1},
			Probe: measure.Probe{Sent: 2, Trips: trips, P50: trips[0], P99: trips[1], Max: max(trips[0], trips[1]), Jitter: time.Millisecond}}
		class := func(name string, guarantee, up, down float64) measure.Sample {
			flow := func(mbits float64) measure.Flow {
				return measure.Flow{Counted: true, Bytes: uint64(mbits * mbit / 8), Packets: 1000, Guarantee: uint64(guarantee * mbit), Ceiling: 100 * mbit, Rate: 100 * mbit, Arrived: -1}
			}
			c := line
			c.Class, c.Up, c.Down = name, flow(up), flow(down)
			return c
		}
		core, general, backup := class("core", 30, 31, 2), class("general", 20, 3, 25), class("backup", 5, 40, 0)
		wants := func(f *measure.Flow) { f.Before, f.Backlog = 200_000, 200_000 }
		switch {
		case i >= 600 && i < 640:
			line.Up.Arrived = 0.82
		case i >= 1200 && i < 1290:
			core.Up.Bytes = 25 * mbit / 8
			line.Up.Bytes = 12_300_000
			wants(&core.Up)
		case i >= 2000 && i < 2005:
			general.Down.Bytes = 9 * mbit / 8
			wants(&general.Down)
		case i >= 4500 && i < 4530:
			line.State, line.Silent = measure.Down, measure.OfLine
			line.Probe = measure.Probe{Sent: 2, Lost: 2}
			for _, c := range []*measure.Sample{&core, &general, &backup} {
				c.State, c.Silent, c.Probe = line.State, line.Silent, line.Probe
				c.Down.Counted = false
			}
		}
		if err := s.Keep([]measure.Sample{line, core, general, backup}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func gather(t *testing.T, s Source) Month {
	t.Helper()
	m, err := Gather(s, "line-a", month10, later)
	if err != nil {
		t.Fatal(err)
	}
	m.Entitle(Name{"海山町", "Umiyama"}, Name{"閉域網A（東京）", "Closed line A (Tokyo)"}, map[string]Name{"core": {"基幹業務", "Core business"}, "general": {"一般", "General"}, "backup": {"=バックアップ", "=Backup"}})
	return m
}

func TestAMonth(t *testing.T) {
	s := october(t)
	m := gather(t, s)
	if m.Seconds != 31*86400 || m.Measured != 4800-60 && m.Measured != 4800 || m.Down != 30 || m.Damaged != 0 || m.Hourly {
		t.Errorf("%d s, measured %d, down %d, damaged %d, hourly %v", m.Seconds, m.Measured, m.Down, m.Damaged, m.Hourly)
	}
	i := slices.IndexFunc(m.Classes, func(c Class) bool { return c.ID == "core" })
	core := m.Classes[i]
	if b := core.Up.Broken(); b != 40+90+30 || core.Up.Seconds[evidence.ByLine] != 70 || core.Up.Seconds[evidence.ByOwn] != 90 || core.Up.Worst != 0 {
		t.Errorf("core up: %+v", core.Up)
	}
	if core.Down.Owed() != 0 || core.Down.Kept() != 1 {
		t.Errorf("core down: %+v: nothing was asked for", core.Down)
	}
	var all int64
	for _, n := range core.Up.Seconds {
		all += n
	}
	if all != m.Seconds {
		t.Errorf("verdicts of %d seconds, the month has %d: each second has one", all, m.Seconds)
	}
	type brief struct {
		Class    string
		Downward bool
		Seconds  int
		Cause    string
	}
	var got []brief
	for _, v := range m.Violations {
		got = append(got, brief{v.Class, v.Downward, v.Seconds, v.Cause.String()})
	}
	want := []brief{{"core", false, 40, "line"}, {"core", false, 90, "own-traffic"}, {"general", true, 5, "far-end"}, {"backup", false, 30, "line"}, {"core", false, 30, "line"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// As the command line gets it: nothing is lost on the way.
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back Month
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	var here, there bytes.Buffer
	for _, x := range []struct {
		m Month
		b *bytes.Buffer
	}{{m, &here}, {back, &there}} {
		if err := x.m.Summary(x.b, text.JA); err != nil {
			t.Fatal(err)
		}
		if err := x.m.List(x.b, text.JA); err != nil {
			t.Fatal(err)
		}
	}
	if here.String() != there.String() {
		t.Error("the tables differ after a way as JSON")
	}
}

func TestTables(t *testing.T) {
	m := gather(t, october(t))
	for _, l := range []text.Lang{text.JA, text.EN} {
		for name, write := range map[string]func(b *bytes.Buffer) error{
			"summary": func(b *bytes.Buffer) error { return m.Summary(b, l) },
			"list":    func(b *bytes.Buffer) error { return m.List(b, l) },
		} {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(b.Bytes(), []byte{0xef, 0xbb, 0xbf}) || !strings.Contains(b.String(), "\r\n") {
				t.Errorf("%s: no byte order mark or no CRLF", name)
			}
			rows, err := csv.NewReader(bytes.NewReader(b.Bytes()[3:])).ReadAll() // which wants as many cells in each row
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows {
				for _, cell := range row {
					if strings.HasPrefix(cell, "=") {
						t.Errorf("%s: %q is a formula", name, cell)
					}
				}
			}
			golden(t, name+"-"+string(l)+".csv", b.Bytes())
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s: %s", path, diff)
	}
}

func TestPages(t *testing.T) {
	m := gather(t, october(t))
	for _, v := range m.Violations[:1] {
		for range 300 {
			m.Violations = append(m.Violations, v)
		}
	}
	for _, l := range []text.Lang{text.JA, text.EN} {
		var a, b bytes.Buffer
		if err := m.PDF(&a, l); err != nil {
			t.Fatal(err)
		}
		if err := m.PDF(&b, l); err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(a.Bytes(), []byte("%PDF-")) || a.Len() > 300_000 {
			t.Errorf("%s: %d bytes: want a page with the characters that it shows, not with whole fonts", l, a.Len())
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("%s: the same month gives other bytes", l)
		}
		if dir := os.Getenv("SEKISHO_SCREENSHOTS"); dir != "" {
			if err := os.WriteFile(filepath.Join(dir, "report-"+string(l)+".pdf"), a.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	defer func(was []string) { Fonts = was }(Fonts)
	Fonts = []string{t.TempDir()}
	if err := m.PDF(&bytes.Buffer{}, text.JA); err == nil || !strings.Contains(err.Error(), fontPackage) {
		t.Errorf("without a font: %v", err)
	}
}

func TestWhatCannotBeGathered(t *testing.T) {
	s := october(t)
	if _, err := Gather(s, "line-b", month10, later); err == nil || !strings.Contains(err.Error(), `"line-a"`) {
		t.Errorf("a line without evidence: %v", err)
	}
	if _, err := Gather(s, "line-a", month10.AddDate(0, 1, 0), month10.AddDate(0, 0, 20)); err == nil || !strings.Contains(err.Error(), "2026-11") {
		t.Errorf("a month to come: %v", err)
	}
	for _, bad := range []string{"", "2026", "2026-13", "10-2026", "2026-1"} {
		if _, err := ParseMonth(bad); err == nil {
			t.Errorf("month %q was read", bad)
		}
	}
	m, err := Gather(s, "line-a", month10, time.Date(2026, time.October, 15, 10, 0, 0, 0, Japan))
	if err != nil || m.Seconds != 14*86400+10*3600 || m.Measured != 3000 {
		t.Errorf("a month under way: %d s, measured %d, %v", m.Seconds, m.Measured, err)
	}
	m, err = Gather(s, "line-a", month10, month10.AddDate(0, 5, 0))
	if err != nil || !m.Hourly || len(m.Violations) != 0 || m.Measured < 4700 || m.Broken() == 0 {
		t.Errorf("a month of which only hours are kept: hourly %v, measured %d, not kept %d s, %v", m.Hourly, m.Measured, m.Broken(), err)
	}
}

func TestPercentIsHonest(t *testing.T) {
	for share, want := range map[float64]string{1: "100 %", 0.9999999: "99.999 %", 0.98: "98 %", 0.98765: "98.765 %", 0: "0 %", 0.0000001: "< 0.001 %"} {
		if got := percent(share); got != want {
			t.Errorf("%v: %q, want %q", share, got, want)
		}
	}
}
