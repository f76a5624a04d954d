package tunnel

import (
	"fmt"
	"testing"
	"time"
)

// Who looks several times a second must not pay for the probes of all ends and classes.
func TestReportsCopyNoProbes(t *testing.T) {
	const ends, classes = 20, 8
	s := New(Options{Keys: t.TempDir()})
	for i := range ends {
		a := &asker{device: "wg0", peer: Peer{ID: fmt.Sprint("end-", i)}, talked: time.Now(), results: map[uint8]*ring{}}
		for c := range uint8(classes) {
			a.results[c] = &ring{}
			for range remembered {
				a.results[c].add(Probe{})
			}
		}
		s.askers = append(s.askers, a)
	}
	if n := testing.AllocsPerRun(100, func() { s.Reports() }); n > 2 {
		t.Errorf("reports of %d ends make %g objects, want one list", ends, n)
	}
	r := s.Results()
	if len(r) != ends || len(r[0].Probes) != classes || len(r[0].Probes[0]) != remembered || r[0].Talked.IsZero() {
		t.Errorf("results: %d ends, %d classes; want %d and %d with all their probes", len(r), len(r[0].Probes), ends, classes)
	}
}
