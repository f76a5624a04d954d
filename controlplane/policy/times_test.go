package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/packet"
)

func TestTogether(t *testing.T) {
	cases := []struct {
		name     string
		in, want []term
	}{
		{"one", []term{{from: 1, until: 2}}, []term{{from: 1, until: 2}}},
		{"always swallows all", []term{{from: 1, until: 2}, {until: ever, window: 3}, always}, []term{always}},
		{"renewal without a gap", []term{{until: 10}, {from: 10, until: ever}}, []term{always}},
		{"renewal with a gap of a minute", []term{{until: 10}, {from: 11, until: ever}}, []term{{until: 10}, {from: 11, until: ever}}},
		{"overlap", []term{{from: 1, until: 5}, {from: 3, until: 9}}, []term{{from: 1, until: 9}}},
		{"a window within", []term{{from: 2, until: 3, window: 1}, {from: 1, until: 5}}, []term{{from: 1, until: 5}}},
		{"a window that outlasts", []term{{from: 2, until: 9, window: 1}, {from: 1, until: 5}}, []term{{from: 1, until: 5}, {from: 2, until: 9, window: 1}}},
		{"a window between two", []term{{from: 4, until: 6, window: 1}, {until: 5}, {from: 5, until: 8}}, []term{{until: 8}}},
		{"two windows", []term{{until: ever, window: 2}, {until: ever, window: 1}}, []term{{until: ever, window: 1}, {until: ever, window: 2}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := together(c.in); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestWindowsAreMinutesOfAWeekInUTC(t *testing.T) {
	day := func(n, hour, minute int) uint16 { return uint16(n*24*60 + hour*60 + minute) } // 0 = Monday
	cases := []struct {
		name     string
		days     []config.Day
		from, to config.Clock
		want     []packet.Span
	}{
		{"an afternoon", []config.Day{2}, 13 * 60, 17*60 + 15, []packet.Span{{From: day(1, 4, 0), To: day(1, 8, 15)}}},
		{"a morning before UTC's Monday", []config.Day{1}, 8*60 + 30, 17*60 + 15, []packet.Span{{From: 0, To: day(0, 8, 15)}, {From: day(6, 23, 30), To: aWeek}}},
		{"a night", []config.Day{7}, 22 * 60, 6 * 60, []packet.Span{{From: day(6, 13, 0), To: day(6, 21, 0)}}},
		{"every day, whole", []config.Day{1, 2, 3, 4, 5, 6, 7}, 0, 24 * 60, []packet.Span{{From: 0, To: aWeek}}},
		{"until UTC's Monday", []config.Day{1}, 0, 9 * 60, []packet.Span{{From: day(6, 15, 0), To: aWeek}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := spans(config.Window{Days: c.days, From: c.from, To: c.to}); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	if got := spans(config.Window{Days: []config.Day{1, 2, 3, 4, 5, 6, 7}, From: 8 * 60, To: 8*60 + 1 + 23*60}); len(got) > 8 {
		t.Errorf("got %d spans, want at most 8", len(got))
	}
}

// The last day counts whole, in Japan's time; what is over and what is still to come stand in the tables all the same.
func TestRulesCarryTheirRecordsTime(t *testing.T) {
	cfg := example(t, "lab")
	rec := &cfg.Communications[0]
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(rec.Until.UnmarshalText([]byte("2026-10-01")))
	must(rec.Since.UnmarshalText([]byte("2026-09-01 08:30")))
	cfg.Windows = []config.Window{{ID: "office", Days: []config.Day{1}, From: 60, To: 120}}
	rec.Window = "office"
	g, err := Compile(cfg, Anchors(cfg))
	must(err)
	i := slices.IndexFunc(g.Tables.Rules, func(r packet.Rule) bool { return slices.Contains(r.Records, rec.ID) })
	r := g.Tables.Rules[i]
	from, until := time.Date(2026, 8, 31, 23, 30, 0, 0, time.UTC), time.Date(2026, 10, 1, 15, 0, 0, 0, time.UTC)
	if r.From != from.Unix()/60 || r.Until != until.Unix()/60 || r.Window != 1 || r.Next != 0 {
		t.Errorf("got %+v", r)
	}
	if ex := Expired(cfg, until.Add(-time.Second)); len(ex) != 0 {
		t.Errorf("expired before midnight in Japan: %v", ex)
	}
	if ex := Expired(cfg, until); len(ex) != 1 || ex[0] != rec {
		t.Errorf("expired at midnight in Japan: got %v, want %s", ex, rec.ID)
	}
}

// Two records permit the same packets at times that no single rule can say.
func TestDifferentTimesMakeAChain(t *testing.T) {
	cfg := example(t, "lab")
	second := cfg.Communications[0]
	second.ID, second.Until = "again", config.Moment{}
	if err := second.Since.UnmarshalText([]byte("2040-01-01")); err != nil {
		t.Fatal(err)
	}
	cfg.Communications = append(cfg.Communications, second)
	g, err := Compile(cfg, Anchors(cfg))
	if err != nil {
		t.Fatal(err)
	}
	first := cfg.Communications[0].ID
	i := slices.IndexFunc(g.Tables.Rules, func(r packet.Rule) bool { return slices.Equal(r.Records, []string{first, "again"}) })
	head := g.Tables.Rules[i]
	tail := g.Tables.Rules[i+1]
	if head.Next != tail.ID || tail.Next != 0 || head.Until == 0 || tail.From <= head.Until || tail.Until != 0 || !slices.Equal(tail.Records, []string{"again"}) {
		t.Errorf("got %+v and %+v", head, tail)
	}
	if slices.ContainsFunc(g.Tables.Cells, func(c packet.Cell) bool { return c.Rule == tail.ID }) {
		t.Error("a cell names the end of a chain")
	}
	for n := range packet.MaxChain {
		more := second
		more.ID = fmt.Sprintf("more%d", n)
		if err := more.Since.UnmarshalText(fmt.Appendf(nil, "%d-01-01", 2050+2*n)); err != nil {
			t.Fatal(err)
		}
		if err := more.Until.UnmarshalText(fmt.Appendf(nil, "%d-12-31", 2050+2*n)); err != nil {
			t.Fatal(err)
		}
		cfg.Communications = append(cfg.Communications, more)
	}
	if _, err := Compile(cfg, Anchors(cfg)); err != nil {
		t.Errorf("records within another's time: got %v, want none", err)
	}
	cfg.Communications = slices.DeleteFunc(cfg.Communications, func(c config.Communication) bool { return c.ID == "again" })
	if _, err := Compile(cfg, Anchors(cfg)); err == nil || !strings.Contains(err.Error(), "9 different times") || !strings.Contains(err.Error(), "more7") {
		t.Errorf("got %v, want a refusal that names the records and the bound", err)
	}
}

func TestLimitsHaveUsualValues(t *testing.T) {
	cases := []struct {
		name string
		in   config.Limits
		want packet.Limits
	}{
		{"none", config.Limits{}, packet.Limits{Flows: 16384, Rate: 4096, StationFlows: 4096, StationRate: 1024}},
		{"a small segment", config.Limits{Flows: 100, Rate: 10}, packet.Limits{Flows: 100, Rate: 10, StationFlows: 100, StationRate: 10}},
		{"a large segment", config.Limits{Flows: 400_000, Rate: 40_000}, packet.Limits{Flows: 400_000, Rate: 40_000, StationFlows: 100_000, StationRate: 10_000}},
		{"all", config.Limits{Flows: 4, Rate: 3, StationFlows: 2, StationRate: 1}, packet.Limits{Flows: 4, Rate: 3, StationFlows: 2, StationRate: 1}},
		{"a station beyond the usual segment", config.Limits{StationFlows: 100_000}, packet.Limits{Flows: 16384, Rate: 4096, StationFlows: 16384, StationRate: 1024}},
	}
	for _, c := range cases {
		if got := limits(c.in); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

// A record that permits the same packets twice, by two services of one host, is named once.
func TestRecordsAreNamedOnce(t *testing.T) {
	cfg := example(t, "lab")
	web := cfg.Services[slices.IndexFunc(cfg.Services, func(s config.Service) bool { return s.ID == "web" })]
	again := web
	again.ID, again.Ports = "web2", web.Ports[:1]
	cfg.Services = append(cfg.Services, again)
	i := slices.IndexFunc(cfg.Communications, func(c config.Communication) bool { return slices.Contains(c.To.Services, "web") })
	cfg.Communications[i].To.Services = []string{"web", "web2"}
	g, err := Compile(cfg, Anchors(cfg))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range g.Tables.Rules {
		if slices.Contains(r.Records, cfg.Communications[i].ID) && len(r.Records) != 1 {
			t.Errorf("got records %v", r.Records)
		}
	}
}
