package antivirus

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"syscall"
	"time"
)

// StartPatience is how long files wait for a clamd that nobody can connect to: it listens only when it has loaded its signatures,
// which takes up to a minute on a small machine, and whoever watches over it takes a moment to start it again.
const StartPatience = 2 * time.Minute

// retry is how often a clamd that is not there is tried.
const retry = 250 * time.Millisecond

// Absence remembers, over all files, since when nobody could connect to clamd: the files together wait for it once, and not each as
// long. Whoever comes after that time is refused at once, until clamd is back or nobody has asked for as long.
type Absence struct {
	mu          sync.Mutex
	since, last time.Time
}

// Scan has the bytes looked at, as Daemon.Scan does, and waits for a clamd that is not there yet; tell is called once it does. A clamd
// that is there and says nothing, or breaks off, is not waited for: that may be this file's doing.
func (a *Absence) Scan(ctx context.Context, d *Daemon, body []byte, tell func()) (Engine, error) {
	patience := d.Start
	if patience == 0 {
		patience = StartPatience
	}
	began, told := time.Now(), false
	for {
		e, err := d.Scan(ctx, body)
		if !away(err) {
			if ctx.Err() == nil { // whoever gave up has not seen whether it is there
				a.back()
			}
			return e, err
		}
		if !a.wait(patience) || time.Since(began) >= patience {
			return e, err
		}
		if !told {
			told = true
			tell()
		}
		select {
		case <-time.After(retry):
		case <-ctx.Done():
			return e, err
		}
	}
}

// wait tells whether it is still worth waiting.
func (a *Absence) wait(patience time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if a.since.IsZero() || now.Sub(a.last) > patience { // it may have been there meanwhile
		a.since = now
	}
	a.last = now
	return now.Sub(a.since) < patience
}

func (a *Absence) back() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.since = time.Time{}
}

// errAway is the cause of a refusal where nobody listens.
var errAway = errors.New("nobody listens")

func away(err error) bool { return errors.Is(err, errAway) }

// nobody tells a socket that is not there, or that nobody listens at, from one that this user may not use.
func nobody(dial error) bool {
	return errors.Is(dial, fs.ErrNotExist) || errors.Is(dial, syscall.ECONNREFUSED)
}
