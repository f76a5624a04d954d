package gate

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/place"
)

// A crash at each durable step of a trial, and a daemon that comes back before or after its end: what is read back is what
// was there before the step or after it, and never a generation that nobody confirmed, once its time is over.
func TestTrialSurvivesCrashes(t *testing.T) {
	old, next, third := Generation{Revision: "old"}, Generation{Revision: "next"}, Generation{Revision: "third"}
	on := func(id string, former Generation) *trial {
		return &trial{ID: id, Boot: "boot-1", Since: 100 * time.Second, Time: 60 * time.Second, Former: former}
	}
	onTrial := kept{Generation: next, Trial: on("first", old)}
	transitions := []struct {
		name         string
		before, then kept
	}{
		{"begin", kept{Generation: old}, onTrial},
		{"confirm", onTrial, kept{Generation: next, Ended: &Ended{ID: "first", Outcome: Confirmed}}},
		{"revert", onTrial, kept{Generation: old, Ended: &Ended{ID: "first", Outcome: Reverted}}},
		{"replace on trial", onTrial, kept{Generation: third, Trial: on("second", old), Ended: &Ended{ID: "first", Outcome: Replaced}}},
		{"replace for good", onTrial, kept{Generation: third, Ended: &Ended{ID: "first", Outcome: Replaced}}},
	}
	steps := []struct {
		name string
		done bool // the step was taken
		do   func(path string, k kept) error
	}{
		{"before anything", false, func(string, kept) error { return nil }},
		{"in the middle of the next file", false, func(path string, k kept) error { return os.WriteFile(path+".next", []byte(`{"revision": "ne`), 0o600) }},
		{"the next file is synced", false, func(path string, k kept) error { _, err := prepareGeneration(path, k); return err }},
		{"it is renamed", true, keepGeneration},
	}
	restarts := []struct {
		name string
		boot string
		at   time.Duration
		over bool
	}{
		{"in time", "boot-1", 159 * time.Second, false},
		{"at its end", "boot-1", 160 * time.Second, true},
		{"long after", "boot-1", 9999 * time.Second, true},
		{"after a start of the machine", "boot-2", 105 * time.Second, true},
		{"the kernel tells no boot", "", 0, true},
		{"the boot clock of another machine", "boot-1", 5 * time.Second, true},
	}
	for _, tr := range transitions {
		for _, s := range steps {
			for _, r := range restarts {
				t.Run(strings.Join([]string{tr.name, s.name, r.name}, "/"), func(t *testing.T) {
					g := &Gate{instance: place.Instance("../../.." + t.TempDir()), log: slog.New(slog.NewTextHandler(io.Discard, nil)), boot: func() (string, time.Duration) { return r.boot, r.at }}
					path := g.path()
					if err := keepGeneration(path, tr.before); err != nil {
						t.Fatal(err)
					}
					if err := s.do(path, tr.then); err != nil {
						t.Fatal(err)
					}
					want := tr.before
					if s.done {
						want = tr.then
					}
					back := want.Trial != nil && r.over
					if err := g.settleTrial(); err != nil {
						t.Fatal(err)
					}
					got, err := readGeneration(path)
					if err != nil {
						t.Fatal(err)
					}
					switch {
					case back && (got.Revision != want.Trial.Former.Revision || got.Trial != nil || got.Ended == nil || got.Ended.ID != want.Trial.ID || got.Ended.Outcome != Reverted || got.Ended.Why == ""):
						t.Errorf("read back %+v, want the former generation and how the trial ended", got)
					case !back && (got.Revision != want.Revision || (got.Trial == nil) != (want.Trial == nil)):
						t.Errorf("read back %+v, want %+v", got, want)
					}
					if got.Trial == nil && got.Revision != "old" && tr.name == "begin" {
						t.Errorf("%s is there for good, and nobody confirmed it", got.Revision)
					}
				})
			}
		}
	}
}

// Confirm is a matter of the file alone: it makes the trial last while its time runs, and not a moment later.
func TestConfirm(t *testing.T) {
	for name, c := range map[string]struct {
		id   string
		at   time.Duration
		boot string
		no   string
	}{
		"in time":              {"first", 159999 * time.Millisecond, "boot-1", ""},
		"at its end":           {"first", 160 * time.Second, "boot-1", "its time is over"},
		"in another boot":      {"first", 101 * time.Second, "boot-2", "its time is over"},
		"another trial":        {"second", 101 * time.Second, "boot-1", "another one runs"},
		"one that ended":       {"before", 101 * time.Second, "boot-1", "reverted already"},
		"no trial in the name": {"", 101 * time.Second, "boot-1", "another one runs"},
	} {
		next := Generation{Revision: "next"}
		g := &Gate{instance: place.Instance("../../.." + t.TempDir()), log: slog.New(slog.NewTextHandler(io.Discard, nil)), boot: func() (string, time.Duration) { return c.boot, c.at },
			current: &next, trial: &trial{ID: "first", Boot: "boot-1", Since: 100 * time.Second, Time: 60 * time.Second, Former: Generation{Revision: "old"}}, ended: &Ended{ID: "before", Outcome: Reverted}}
		if err := keepGeneration(g.path(), kept{Generation: next, Trial: g.trial, Ended: g.ended}); err != nil {
			t.Fatal(err)
		}
		err := g.confirm(c.id, "sato")
		got, rerr := readGeneration(g.path())
		if rerr != nil {
			t.Fatal(rerr)
		}
		switch {
		case c.no == "" && (err != nil || got.Trial != nil || got.Revision != "next" || got.Ended.Outcome != Confirmed || got.Ended.By != "sato" || g.trial != nil):
			t.Errorf("%s: %v, kept %+v", name, err, got)
		case c.no != "" && (err == nil || !strings.Contains(err.Error(), c.no) || got.Trial == nil || g.trial == nil):
			t.Errorf("%s: %v, kept %+v", name, err, got)
		}
	}
}

// While what is kept cannot be told, or cannot be written, nothing goes on as if it were confirmed.
func TestTrialThatCannotBeSettled(t *testing.T) {
	over := func() (string, time.Duration) { return "boot-2", 0 }
	for name, harm := range map[string]func(path string) error{
		"a damaged file":        func(path string) error { return os.WriteFile(path, []byte(`{"revision": "next", "trial": {`), 0o600) },
		"no room for the new":   func(path string) error { return os.MkdirAll(filepath.Join(path+".next", "full"), 0o700) },
		"a folder in its place": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	} {
		g := &Gate{instance: place.Instance("../../.." + t.TempDir()), log: slog.New(slog.NewTextHandler(io.Discard, nil)), boot: over}
		if err := keepGeneration(g.path(), kept{Generation: Generation{Revision: "next"}, Trial: &trial{ID: "first", Boot: "boot-1"}}); err != nil {
			t.Fatal(err)
		}
		if err := harm(g.path()); err != nil {
			t.Fatal(err)
		}
		if err := g.settleTrial(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
