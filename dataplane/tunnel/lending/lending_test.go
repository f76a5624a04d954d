package lending

import (
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
	"github.com/sekisho/sekisho/dataplane/tunnel/talk"
	"github.com/sekisho/sekisho/dataplane/tunnel/ways"
)

const mbit = 1_000_000

// said is what a set of tunnels has heard, and what it was told to grant.
type said struct {
	reports []tunnel.Report
	ways    ways.Ways
	granted map[string]uint64
}

func (s *said) Reports() []tunnel.Report          { return s.reports }
func (s *said) Ways() ways.Ways                   { return s.ways }
func (s *said) SetGrant(peer string, rate uint64) { s.granted[peer] = rate }

// half is a region's plan for a line of which half is its.
func half(region string, rate uint64) plan.Plan {
	return plan.Plan{Region: region, Devices: []plan.Device{{Device: "wg0", Rate: rate / 2,
		Classes: []bandwidth.Class{{ID: 1, Name: "core", Guarantee: rate / 4, Ceiling: rate, Default: true}}}}}
}

// An end that was not heard yet in this run sends its share: another daemon's far end, or one whose answers are on the way.
func TestWhoWasNotHeardYetSendsItsShare(t *testing.T) {
	s := &said{granted: map[string]uint64{}, ways: ways.Ways{Holders: map[ways.Place]string{
		{Device: "wg0", Region: "tokyo"}: "t", {Device: "wg0", Region: "osaka"}: "o"}}}
	l := New(s)
	l.Plan(map[string]plan.Plan{"tokyo": half("tokyo", 100*mbit), "osaka": half("osaka", 100*mbit)})
	now := time.Unix(1_800_000_000, 0)
	rounds := func(d time.Duration) {
		for end := now.Add(d); now.Before(end); now = now.Add(every) {
			s.reports = []tunnel.Report{
				{Device: "wg0", Peer: "t", Region: "tokyo", Talked: now, Far: talk.Reply{Root: max(s.granted["t"], 50*mbit), Answered: now.UnixNano()}},
				{Device: "wg0", Peer: "o", Region: "osaka"}}
			l.round(now)
			if osaka := now.Before(end) && s.granted["o"] < 50*mbit; osaka {
				t.Fatalf("who was not heard is granted %d", s.granted["o"])
			}
		}
	}
	rounds(givenUp - time.Second)
	if got := s.granted["t"]; got > 50*mbit {
		t.Errorf("tokyo is lent %d of 100 Mbit/s while osaka, not heard yet, sends its half", got)
	}
	rounds(3 * time.Second)
	if got := s.granted["t"]; got < 90*mbit {
		t.Errorf("tokyo is granted %d of 100 Mbit/s although osaka was never heard, want its share too", got)
	}
}

// An end that does not carry its region keeps what its answers need.
func TestStandbyEndsKeepEnoughToAnswer(t *testing.T) {
	s := &said{granted: map[string]uint64{}}
	l := New(s)
	l.Plan(map[string]plan.Plan{"tokyo": half("tokyo", mbit)})
	now := time.Unix(1_800_000_000, 0)
	far := talk.Reply{Root: mbit / 2}
	s.reports = []tunnel.Report{{Device: "wg0", Peer: "t", Region: "tokyo", Talked: now, Far: far}, {Device: "wg0", Peer: "t2", Region: "tokyo", Talked: now, Far: far}}
	s.ways.Holders = map[ways.Place]string{{Device: "wg0", Region: "tokyo"}: "t"}
	l.round(now)
	if got := s.granted["t2"]; got < standbyLeast/8 {
		t.Errorf("granted %d bit/s, want %d at least", got, standbyLeast/8)
	}
}
