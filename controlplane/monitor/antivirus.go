package monitor

import (
	"context"
	"time"

	"github.com/sekisho/sekisho/dataplane/antivirus"
)

// askEvery is how often the antivirus program is asked how it stands, beside the beat: it may take its time.
const askEvery = 10 * time.Second

func (m *Monitor) askAntivirus(ctx context.Context) {
	if m.o.Antivirus == nil {
		return
	}
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		m.lookAtAntivirus(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// lookAtAntivirus keeps how it stands, and says in the log when that got worse or better.
func (m *Monitor) lookAtAntivirus(ctx context.Context) {
	s, err := m.o.Antivirus(ctx)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil: // the broker does not answer, so that nobody can scan either
		s = antivirus.Standing{Level: antivirus.Blocking, Code: antivirus.Silent, Detail: err.Error()}
	}
	m.mu.Lock()
	before := m.scanner
	m.scanner = &s
	m.mu.Unlock()
	switch {
	case s.Level == antivirus.Fresh && before != nil && before.Level != antivirus.Fresh:
		m.o.Log.Info("the antivirus program stands well again", "version", s.Version, "signatures", s.Made)
	case s.Level != antivirus.Fresh && (before == nil || before.Level != s.Level):
		m.o.Log.Warn("the antivirus program needs somebody", "level", int(s.Level), "code", s.Code, "detail", s.Detail, "version", s.Version, "signatures", s.Made)
	}
}
