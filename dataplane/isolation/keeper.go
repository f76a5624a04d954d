package isolation

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/durable"
)

// Request asks for an act.
type Request struct {
	Zone   anchors.Zone `json:"zone"`
	By     string       `json:"by"`
	Reason string       `json:"reason"`
	Until  time.Time    `json:"until,omitzero"` // Begin: the planned way back; zero: none
	Via    string       `json:"-"`
}

// Bounds of what people write, in characters.
const (
	MaxBy     = 64
	MaxReason = 300
)

// longest is how far away a planned way back may be.
const longest = 366 * 24 * time.Hour

// mostEvents is how many acts may wait for control. Beyond it nothing is given back by a person, and no cut is changed.
const mostEvents = 500

// Refusal is a "no" to a request; nothing has changed.
type Refusal struct{ Text string }

func (r *Refusal) Error() string { return r.Text }

func refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// Clock is what a planned way back goes by.
type Clock struct {
	Wall   func() time.Time
	Boot   func() (id string, since time.Duration) // which boot of the machine this is, and for how long it has run
	Behind func() bool                             // the wall clock shows a time before one that has been
}

// Keeper keeps the state of one gate. Its methods may be called from several goroutines.
type Keeper struct {
	path  string
	clock Clock

	mu        sync.Mutex
	state     State
	unwritten bool                       // the file lacks a cut that is in force
	broken    error                      // why the file could not be read; it is replaced at the next act
	enforce   func([]anchors.Zone) error // cuts off exactly these
}

// Open reads the file and begins with what it says. A file that cannot be read is no error: every zone is cut off then, and
// Broken tells why. enforce is not called; the caller does it with Zones when it can, before anything is opened.
func Open(path string, clock Clock, enforce func([]anchors.Zone) error) *Keeper {
	k := &Keeper{path: path, clock: clock, enforce: enforce}
	k.state, k.broken = Read(path)
	if k.broken == nil {
		return k
	}
	for _, z := range Zones {
		r := Request{Zone: z, By: "sekisho-dataplane", Via: ViaItself, Reason: "the record of what is cut off cannot be read: " + path}
		k.state = k.tell(k.begun(k.state, r), Unreadable, r)
	}
	return k
}

// Broken is why the file could not be read; nil when it could.
func (k *Keeper) Broken() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.broken
}

// State is what is in force, and what waits for control.
func (k *Keeper) State() State {
	k.mu.Lock()
	defer k.mu.Unlock()
	return State{slices.Clone(k.state.Cuts), slices.Clone(k.state.Events), k.state.Last}
}

// Begin cuts a zone off: first in force, then on the disk. A *Refusal changed nothing; after any other error the zone is cut off,
// but what the error says is not so. Cut off already, it stays so for the longer of the two times.
func (k *Keeper) Begin(r Request) (Cut, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.clock.Wall()
	if err := k.check(r); err != nil {
		return Cut{}, err
	}
	if !r.Until.IsZero() && (!r.Until.After(now) || r.Until.Sub(now) > longest) {
		return Cut{}, refuse("until %s: want a time to come, at most a year away", r.Until.Format(time.RFC3339))
	}
	if _, cut := k.state.Of(r.Zone); cut && len(k.state.Events) >= mostEvents {
		return Cut{}, k.full()
	}
	next := k.tell(k.begun(k.state, r), Begin, r)
	k.state = next // what is asked from now on, and tried again, whatever fails
	err := k.enforce(next.Zones())
	if err != nil {
		err = fmt.Errorf("cut %s off: not all of it took force, it is tried again: %w", r.Zone, err)
	}
	if kept := k.write(next); kept != nil {
		k.unwritten = true
		err = errors.Join(err, fmt.Errorf("%s is cut off, but a restart of the dataplane would forget it, and release does not know; it is tried again: %w", r.Zone, kept))
	}
	c, _ := next.Of(r.Zone)
	return c, err
}

// End gives a zone back: first on the disk, then in force. When writing fails it stays cut off. What root cut off at the machine
// only root gives back there.
func (k *Keeper) End(r Request) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.check(r); err != nil {
		return err
	}
	c, cut := k.state.Of(r.Zone)
	if !cut {
		return refuse("%s is not cut off", r.Zone)
	}
	if c.Via == ViaRoot && r.Via != ViaRoot {
		return refuse("%s was cut off by root at the machine: give it back there, with sekisho rejoin", r.Zone)
	}
	if len(k.state.Events) >= mostEvents {
		return k.full()
	}
	return k.end(End, r)
}

func (k *Keeper) end(act Act, r Request) error {
	next := k.state
	next.Cuts = slices.DeleteFunc(slices.Clone(next.Cuts), func(c Cut) bool { return c.Zone == r.Zone })
	next = k.tell(next, act, r)
	if err := k.write(next); err != nil {
		return fmt.Errorf("%s stays cut off: %w", r.Zone, err)
	}
	k.state = next
	if err := k.enforce(next.Zones()); err != nil {
		return fmt.Errorf("%s is no longer to be cut off, but not all of it took force, it is tried again: %w", r.Zone, err)
	}
	return nil
}

// KeepTime gives back what is due. To be called every second.
func (k *Keeper) KeepTime() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	errs := []error{k.count()}
	for _, c := range slices.Clone(k.state.Cuts) {
		if k.due(c) {
			errs = append(errs, k.end(Due, Request{Zone: c.Zone, By: "sekisho-dataplane", Via: ViaItself, Until: c.Until}))
		}
	}
	return errors.Join(errs...)
}

// countEvery is how often it is written how long the machine has run since a cut began: as much may be lost when it stops.
const countEvery = time.Minute

// count adds up for how long the machine has run since each cut with a planned way back began, over all its boots. For how long
// it was off no clock can say, and that does not count.
func (k *Keeper) count() error {
	boot, since := k.clock.Boot()
	next := k.state
	next.Cuts = slices.Clone(next.Cuts)
	changed := false
	for i := range next.Cuts {
		c := &next.Cuts[i]
		switch {
		case c.Until.IsZero() || boot == "":
			continue
		case boot != c.Boot:
			c.Boot, c.Began = boot, 0
		case since-c.Began < countEvery:
			continue
		}
		c.Ran, c.Began = c.Ran+since-c.Began, since
		changed = true
	}
	if !changed || k.broken != nil {
		return nil
	}
	if err := k.write(next); err != nil {
		return err
	}
	k.state = next
	return nil
}

// due tells whether a cut's time is over by every clock there is: a wall clock that somebody set forward, or that is wrong after
// a start of the machine, ends nothing before the machine itself has run for as long as was planned.
func (k *Keeper) due(c Cut) bool {
	now := k.clock.Wall()
	if c.Until.IsZero() || now.Before(c.Until) || k.clock.Behind() {
		return false
	}
	boot, since := k.clock.Boot()
	return boot == c.Boot && c.Ran+since-c.Began >= c.Until.Sub(c.Since)
}

// Again enforces what is in force, in case somebody changed it, and writes what could not be written. To be called every second.
func (k *Keeper) Again() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.enforce(k.state.Zones())
	if k.unwritten {
		err = errors.Join(err, k.write(k.state))
	}
	return err
}

// Collected forgets the events up to seq: control has recorded them.
func (k *Keeper) Collected(seq uint64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := k.state
	next.Events = slices.DeleteFunc(slices.Clone(next.Events), func(e Event) bool { return e.Seq <= seq })
	if len(next.Events) == len(k.state.Events) {
		return nil
	}
	if k.broken == nil { // else the file stays as evidence until somebody acts
		if err := k.write(next); err != nil {
			return err
		}
	}
	k.state = next
	return nil
}

func (k *Keeper) full() error {
	return refuse("%d acts wait for the control daemon to record them: let it run, then try again", mostEvents)
}

// check tells what is wrong with a request, all of it.
func (k *Keeper) check(r Request) error {
	var wrong []string
	if !slices.Contains(Zones, r.Zone) {
		wrong = append(wrong, fmt.Sprintf("zone %s cannot be cut off: want my-number, lgwan, internet or uplink", r.Zone))
	}
	for _, x := range []struct {
		what, text string
		most       int
	}{{"by", r.By, MaxBy}, {"reason", r.Reason, MaxReason}} {
		if strings.TrimSpace(x.text) == "" || utf8.RuneCountInString(x.text) > x.most || !utf8.ValidString(x.text) || strings.ContainsFunc(x.text, unicode.IsControl) {
			wrong = append(wrong, fmt.Sprintf("%s: want 1 to %d characters in one line", x.what, x.most))
		}
	}
	if len(wrong) > 0 {
		return refuse("%s", strings.Join(wrong, "; "))
	}
	return nil
}

// begun is s with the zone cut off.
func (k *Keeper) begun(s State, r Request) State {
	boot, since := k.clock.Boot()
	next := Cut{Zone: r.Zone, Since: k.clock.Wall().UTC(), Until: r.Until.UTC(), By: r.By, Via: r.Via, Reason: r.Reason, Boot: boot, Began: since}
	if r.Until.IsZero() {
		next.Until = time.Time{}
	}
	s.Cuts = slices.Clone(s.Cuts)
	at, found := slices.BinarySearchFunc(s.Cuts, r.Zone, func(c Cut, z anchors.Zone) int { return int(c.Zone) - int(z) })
	if !found {
		s.Cuts = slices.Insert(s.Cuts, at, next)
		return s
	}
	c := &s.Cuts[at]
	if r.Via == ViaRoot { // from now on it is root's
		c.By, c.Via, c.Reason = r.By, r.Via, r.Reason
	}
	if !c.Until.IsZero() && (next.Until.IsZero() || next.Until.After(c.Until)) {
		c.Until = next.Until
	}
	return s
}

// tell is s with one more event.
func (k *Keeper) tell(s State, act Act, r Request) State {
	now := k.clock.Wall().UTC()
	s.Last = max(s.Last+1, uint64(max(now.UnixMilli(), 1)))
	e := Event{Seq: s.Last, Time: now, Act: act, Zone: r.Zone, By: r.By, Via: r.Via, Reason: r.Reason}
	if !r.Until.IsZero() {
		e.Until = r.Until.UTC()
	}
	s.Events = append(slices.Clone(s.Events), e)
	return s
}

// write puts a state on the disk. A file that could not be read is kept beside it.
func (k *Keeper) write(s State) error {
	b, err := encode(s)
	if err != nil {
		return err
	}
	dir := filepath.Dir(k.path)
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755)); err != nil { // whatever the umask
		return fmt.Errorf("keep which zones are cut off: %w", err)
	}
	if k.broken != nil {
		// A second name, not another one: at no moment is there no file, which would mean that nothing is cut off.
		aside := k.path + ".unreadable"
		if err := errors.Join(remove(aside), os.Link(k.path, aside)); err != nil {
			return fmt.Errorf("keep which zones are cut off: put the unreadable file aside: %w", err)
		}
	}
	if err := durable.Replace(k.path, b, 0o644); err != nil {
		return fmt.Errorf("keep which zones are cut off: %w", err)
	}
	k.broken, k.unwritten = nil, false
	return nil
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}
