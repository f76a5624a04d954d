package sandbox

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Bounds of the members that a worker hands over for one file in one call.
const (
	maxMembers     = 10_000
	maxMemberBytes = 2 << 30
)

// scan is what the antivirus program said about one file: about its bytes as they came, about every file in it, and about the bytes
// that were made of them. A member is looked at by itself because clamd opens nothing that is encrypted and stops at limits of its
// own. The result is looked at, too: a worker that was taken over hands over no members, and what it writes is what goes on.
type scan struct {
	clamd *antivirus.Daemon // nil: there is none
	away  *antivirus.Absence
	seen  map[[sha256.Size]byte]bool
	by    antivirus.Engine
}

// newScan is for one file, by what its route wants.
func (w *Worker) newScan(of verdict.Antivirus) *scan {
	s := &scan{away: &w.absence, seen: map[[sha256.Size]byte]bool{}}
	if w.Scanner == nil || of.Without != "" {
		return s
	}
	d := *w.Scanner
	if of.Days > 0 {
		d.Oldest = time.Duration(of.Days) * 24 * time.Hour
	}
	s.clamd = &d
	return s
}

// look has bytes looked at, each only once.
func (s *scan) look(ctx context.Context, place string, body []byte) error {
	if s.clamd == nil {
		return nil
	}
	sum := sha256.Sum256(body)
	if s.seen[sum] {
		return nil
	}
	waited := false
	engine, err := s.away.Scan(ctx, s.clamd, body, func() {
		waited = true
		Tell(ctx, verdict.Stage{Name: verdict.Starting})
	})
	if waited {
		Tell(ctx, verdict.Stage{Name: verdict.Scanning})
	}
	if err != nil {
		return &infected{place: told(place), engine: engine, why: err}
	}
	s.seen[sum], s.by = true, engine
	return nil
}

// members looks at those that come before a worker's report, while they come: only one is held at a time.
func (s *scan) members(ctx context.Context) func(*bufio.Reader) error {
	if s.clamd == nil {
		return nil
	}
	return func(r *bufio.Reader) error {
		err := verdict.ReadMembers(r, maxMembers, maxMemberBytes, func(m verdict.Member) error { return s.look(ctx, m.Place, m.Body) })
		if errors.Is(err, verdict.ErrFrame) {
			return fail(Answer, "%v", err)
		}
		return err
	}
}

// note says in a report who looked, or that nobody did.
func (s *scan) note(r *verdict.Report) {
	switch {
	case s.clamd == nil:
		r.Findings = append(r.Findings, verdict.Finding{Code: antivirus.None, Action: verdict.Reported})
	case s.by.Version != "":
		r.Helpers = append(r.Helpers, s.by.String())
	}
}

// infected is why a file goes no further: a signature matched, or the antivirus program did not say that none does (F4).
type infected struct {
	place  string
	engine antivirus.Engine
	why    error
}

func (e *infected) Error() string { return e.why.Error() }

// refusal is the finding that blocks the file.
func (e *infected) refusal() verdict.Finding {
	f := verdict.Finding{Code: antivirus.Silent, Place: e.place, Action: verdict.Refused, Detail: told(e.why.Error())}
	var r *antivirus.Refusal
	if errors.As(e.why, &r) {
		f.Code, f.Detail = r.Code, told(r.Detail)
	}
	return f
}
