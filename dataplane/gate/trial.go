package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A change may cut off the very person who made it. So a generation can be put in force on trial: unless it is confirmed within
// its time, the former one comes back, by this daemon alone, whoever else has died. The time is that of the kernel's boot
// clock, which nobody sets, and counts on while the daemon is dead. A trial does not outlive the machine's power: after a
// start of the machine the former generation is in force at once, for no clock can say how long it has been off, and the
// change may be why it was started.

// Trial is a generation's time to be confirmed.
type Trial struct {
	ID   string        // the caller's name for it, 8 to 64 letters, digits and hyphens; never used twice
	Time time.Duration // from MinTrial to MaxTrial
}

// Bounds of a trial's time.
const (
	MinTrial = time.Second
	MaxTrial = 24 * time.Hour
)

// trial is one that runs, as it is kept.
type trial struct {
	ID     string        `json:"id"`
	Boot   string        `json:"boot"`  // the machine's start in which it began
	Since  time.Duration `json:"since"` // boot clock
	Time   time.Duration `json:"time"`
	Former Generation    `json:"former"` // comes back
}

// TrialStatus is a trial as GET /status shows it.
type TrialStatus struct {
	ID     string    `json:"id"`
	Until  time.Time `json:"until"`  // by the clock as it stands now
	Left   float64   `json:"left"`   // seconds
	Former string    `json:"former"` // revision that comes back
}

// Outcome is how a trial ended.
type Outcome string

const (
	Confirmed Outcome = "confirmed"
	Reverted  Outcome = "reverted"
	Replaced  Outcome = "replaced" // by another generation
)

// Ended tells of a trial that is over. It is kept until the next one ends, for whoever was away.
type Ended struct {
	ID       string    `json:"id"`
	Outcome  Outcome   `json:"outcome"`
	Revision string    `json:"revision"` // that was on trial
	At       time.Time `json:"at"`
	By       string    `json:"by,omitempty"`
	Why      string    `json:"why,omitempty"`
}

// over tells whether the time has passed.
func (t *trial) over(boot string, at time.Duration) bool {
	return boot == "" || boot != t.Boot || at < t.Since || at-t.Since >= t.Time
}

// machineBoot is the kernel's word. Without an id no trial can begin, and one that runs is over.
func machineBoot() (string, time.Duration) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	var at unix.Timespec
	if err == nil {
		err = unix.ClockGettime(unix.CLOCK_BOOTTIME, &at)
	}
	if err != nil {
		return "", 0
	}
	return strings.TrimSpace(string(id)), time.Duration(at.Nano())
}

// Try is Apply until the time is over. Confirm makes it last. A trial that runs already is replaced, and what comes back
// stays what was there before both.
func (g *Gate) Try(ctx context.Context, n Generation, on Trial) (Result, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	id, at := g.boot()
	former := g.current
	if g.trial != nil {
		former = &g.trial.Former
	}
	switch {
	case id == "":
		return Result{}, &Refusal{Problems: errors.New("trial: the kernel tells no boot id (/proc/sys/kernel/random/boot_id): apply the generation for good, or mend that")}
	case former == nil:
		return Result{}, &Refusal{Problems: errors.New("trial: nothing is in force that could come back: apply the first generation for good")}
	case g.trial != nil && g.trial.ID == on.ID || g.ended != nil && g.ended.ID == on.ID:
		return Result{}, &Refusal{Problems: fmt.Errorf("trial %s: that name was used already", on.ID)}
	}
	return g.apply(ctx, n, &kept{Generation: n, Trial: &trial{ID: on.ID, Boot: id, Since: at, Time: on.Time, Former: *former}, Ended: g.replaced()})
}

// replaced is how the running trial ends when another generation comes; without one, how the last one ended.
func (g *Gate) replaced() *Ended {
	if g.trial == nil {
		return g.ended
	}
	return g.end(Replaced, "", "another generation was applied")
}

func (g *Gate) end(o Outcome, by, why string) *Ended {
	e := &Ended{ID: g.trial.ID, Outcome: o, At: time.Now().UTC(), By: by, Why: why}
	if g.current != nil {
		e.Revision = g.current.Revision
	}
	return e
}

// Confirm makes the generation on trial last. Doing it again changes nothing; a trial that is over is refused.
func (g *Gate) Confirm(id, by string) (Result, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.confirm(id, by); err != nil {
		return Result{}, err
	}
	return g.result(), nil
}

func (g *Gate) confirm(id, by string) error {
	if g.trial == nil && g.ended != nil && g.ended.ID == id && g.ended.Outcome == Confirmed {
		return nil
	}
	if err := g.runs(id); err != nil {
		return err
	}
	if g.current == nil || g.trial.over(g.boot()) {
		return &Refusal{Problems: fmt.Errorf("trial %s: its time is over", id)}
	}
	ended := g.end(Confirmed, by, "")
	if err := keepGeneration(g.path(), kept{Generation: *g.current, Ended: ended}); err != nil {
		return err
	}
	g.trial, g.ended = nil, ended
	g.log.Info("generation confirmed", "revision", g.current.Revision, "trial", id, "by", by)
	return nil
}

// Revert ends a trial before its time: the former generation comes back.
func (g *Gate) Revert(ctx context.Context, id, by, why string) (Result, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.unkept != nil && g.ended.ID == id { // the caller was told so, and asks again
		return g.result(), g.keepFormer()
	}
	if err := g.runs(id); err != nil {
		return Result{}, err
	}
	return g.goBack(ctx, by, why)
}

func (g *Gate) runs(id string) error {
	switch {
	case g.trial != nil && g.trial.ID == id:
		return nil
	case g.ended != nil && g.ended.ID == id:
		return &Refusal{Problems: fmt.Errorf("trial %s: %s already, at %s", id, g.ended.Outcome, g.ended.At.Format(time.RFC3339))}
	case g.trial != nil:
		return &Refusal{Problems: fmt.Errorf("trial %s: another one runs, %s", id, g.trial.ID)}
	}
	return &Refusal{Problems: fmt.Errorf("trial %s: none runs", id)}
}

// goBack puts the former generation in force and ends the trial: first in force, then on the disk, which may be full. Until it
// is there the file holds the trial, which a start after its time settles in the same way.
func (g *Gate) goBack(ctx context.Context, by, why string) (Result, error) {
	g.log.Warn("going back to the former generation", "trial", g.trial.ID, "to", g.trial.Former.Revision, "why", why)
	back := &kept{Generation: g.trial.Former, Ended: g.end(Reverted, by, why)}
	r, err := g.apply(ctx, back.Generation, nil)
	if err != nil {
		return r, err
	}
	g.trial, g.ended, g.unkept = nil, back.Ended, back
	return r, g.keepFormer()
}

// keepFormer writes what goBack could not.
func (g *Gate) keepFormer() error {
	if err := keepGeneration(g.path(), *g.unkept); err != nil {
		return fmt.Errorf("revision %s is in force again, but a restart within the time of trial %s would bring the trial back; writing is tried again: %w", g.unkept.Revision, g.unkept.Ended.ID, err)
	}
	g.unkept = nil
	return nil
}

func (g *Gate) trialStatus() *TrialStatus {
	if g.trial == nil {
		return nil
	}
	_, at := g.boot()
	left := max(0, g.trial.Time-(at-g.trial.Since))
	return &TrialStatus{ID: g.trial.ID, Until: time.Now().Add(left).UTC(), Left: left.Seconds(), Former: g.trial.Former.Revision}
}

// Why a trial ended by itself.
const (
	unconfirmed = "not confirmed in time"
	restarted   = "the machine was started anew before it was confirmed"
)

// settleTrial ends a trial whose time passed while no daemon ran, in the file that everything after it reads.
func (g *Gate) settleTrial() error {
	last, err := readGeneration(g.path())
	if err != nil || last == nil || last.Trial == nil {
		return err
	}
	id, at := g.boot()
	if !last.Trial.over(id, at) {
		return nil
	}
	why := unconfirmed
	if id != last.Trial.Boot {
		why = restarted
	}
	g.log.Warn("going back to the former generation", "trial", last.Trial.ID, "to", last.Trial.Former.Revision, "why", why)
	ended := &Ended{ID: last.Trial.ID, Outcome: Reverted, Revision: last.Revision, At: time.Now().UTC(), Why: why}
	return keepGeneration(g.path(), kept{Generation: last.Trial.Former, Ended: ended})
}

const (
	trialEvery = 200 * time.Millisecond
	trialAgain = 5 * time.Second // after a failure
	trialClose = time.Minute     // past the time, while the former generation cannot be had, everything is closed
)

// watchTrial goes back when the time is over.
func (g *Gate) watchTrial(ctx context.Context) {
	tick := time.NewTicker(trialEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := g.endOverdue(context.WithoutCancel(ctx)); err != nil {
			g.log.Error("end the trial", "error", err, "again_in", trialAgain)
			select {
			case <-ctx.Done():
				return
			case <-time.After(trialAgain):
			}
		}
	}
}

func (g *Gate) endOverdue(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	id, at := g.boot()
	if g.unkept != nil {
		return g.keepFormer()
	}
	if g.trial == nil || !g.trial.over(id, at) {
		return nil
	}
	_, err := g.goBack(ctx, "", unconfirmed)
	if g.trial != nil {
		err = fmt.Errorf("its time is over, but the former generation cannot be put in force: %w", err)
	}
	if err != nil && g.trial != nil && g.current != nil && at-g.trial.Since >= g.trial.Time+trialClose {
		g.current = nil
		err = errors.Join(err, errors.New("closing everything"), g.closeAll(ctx))
	}
	return err
}

var trialName = regexp.MustCompile(`^[0-9A-Za-z-]{8,64}$`)

// trialOf reads ?trial=ID&confirm=DURATION; nil without both.
func trialOf(q url.Values) (*Trial, error) {
	id, in := q.Get("trial"), q.Get("confirm")
	if id == "" && in == "" {
		return nil, nil
	}
	d, err := time.ParseDuration(in)
	switch {
	case !trialName.MatchString(id):
		return nil, fmt.Errorf("trial %.80q: want 8 to 64 letters, digits and hyphens", id)
	case err != nil || d < MinTrial || d > MaxTrial:
		return nil, fmt.Errorf("confirm %.80q: want a duration from %s to %s", in, MinTrial, MaxTrial)
	}
	return &Trial{id, d}, nil
}

// trialAct is the body of POST /generation/confirm and /generation/revert. By and Why are the control side's word, for the record.
type trialAct struct {
	Trial string `json:"trial"`
	By    string `json:"by"`
	Why   string `json:"why"`
}

func (g *Gate) postConfirm(w http.ResponseWriter, r *http.Request) {
	g.onTrial(w, r, func(a trialAct) (Result, error) { return g.Confirm(a.Trial, a.By) })
}

func (g *Gate) postRevert(w http.ResponseWriter, r *http.Request) {
	g.onTrial(w, r, func(a trialAct) (Result, error) {
		return g.Revert(context.WithoutCancel(r.Context()), a.Trial, a.By, a.Why)
	})
}

func (g *Gate) onTrial(w http.ResponseWriter, r *http.Request, do func(trialAct) (Result, error)) {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<14))
	d.DisallowUnknownFields()
	var a trialAct
	if err := d.Decode(&a); err != nil {
		answer(w, http.StatusBadRequest, failure{Error: "trial: " + err.Error()})
		return
	}
	result, err := do(a)
	var no *Refusal
	if errors.As(err, &no) {
		answer(w, http.StatusConflict, failure{Error: err.Error(), Violations: no.Violations})
		return
	}
	reply(w, result, err)
}
