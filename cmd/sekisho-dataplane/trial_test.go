package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

const eltax = "198.18.21.11:443" // permitted only by the generation on trial

// What nobody confirms goes back by itself, whoever has died meanwhile; what is confirmed stays.
func TestTrial(t *testing.T) {
	w := newTown(t)
	serveTCP(t, "lg-asp", eltax)
	w.start(t)
	next := w.compile(t)
	old := w.compileWithout(t, "eltax-submit")
	file := filepath.Join(w.instance.StateOf("dataplane"), "generation.json")

	if code, v := w.try(t, next, "too-early", "60s"); code != http.StatusConflict || !strings.Contains(v.Error, "nothing is in force") {
		t.Errorf("a trial before the first generation: %d %+v", code, v)
	}
	w.mustApply(t, old)
	expect(t, false, "mn-pc1", eltax)
	ended := func(t *testing.T, id string, how gate.Outcome, revision, why string) {
		t.Helper()
		s := w.status(t)
		if s.Trial != nil || s.Ended == nil || s.Ended.ID != id || s.Ended.Outcome != how || !strings.Contains(s.Ended.Why, why) || s.Revision != revision {
			t.Fatalf("revision %s, trial %+v, ended %+v; want %s %s %q, revision %s", s.Revision, s.Trial, s.Ended, id, how, why, revision)
		}
		expect(t, revision == next.Revision, "mn-pc1", eltax)
	}
	begin := func(t *testing.T, id, length string) {
		t.Helper()
		if code, v := w.try(t, next, id, length); code != http.StatusOK {
			t.Fatalf("%s: %d %+v", id, code, v)
		}
		if s := w.status(t); s.Trial == nil || s.Trial.ID != id || s.Trial.Former != old.Revision || s.Revision != next.Revision || s.Digest != next.Digest() {
			t.Fatalf("%+v %+v", s.Result, s.Trial)
		}
	}
	over := func() bool { return w.status(t).Trial == nil }

	t.Run("what is malformed or unproven touches nothing", func(t *testing.T) {
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range [][2]string{{"first-one", ""}, {"", "60s"}, {"first-one", "0s"}, {"first-one", "25h"}, {"first-one", "soon"}, {"a b", "60s"}, {strings.Repeat("x", 65), "60s"}} {
			if code, v := w.try(t, next, q[0], q[1]); code != http.StatusBadRequest || v.Error == "" {
				t.Errorf("trial %q confirm %q: %d %+v", q[0], q[1], code, v)
			}
		}
		lie := w.compile(t)
		lie.Tables.Segments[0].Zone = anchors.Internet
		if code, _ := w.try(t, lie, "first-lie", "60s"); code != http.StatusConflict {
			t.Errorf("a lie on trial: %d", code)
		}
		for _, id := range []string{"first-lie", "never-was", ""} {
			for _, act := range []string{"confirm", "revert"} {
				if code := w.settleTrial(t, act, id); code != http.StatusConflict {
					t.Errorf("%s %q: %d", act, id, code)
				}
			}
		}
		if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, before) {
			t.Errorf("what is kept has changed (%v)", err)
		}
		if s := w.status(t); s.Trial != nil || s.Ended != nil || s.Revision != old.Revision {
			t.Errorf("%+v %+v %+v", s.Result, s.Trial, s.Ended)
		}
	})
	t.Run("its time passes", func(t *testing.T) {
		start := time.Now()
		begin(t, "passes-by", "2s")
		expect(t, true, "mn-pc1", eltax)
		netlab.Until(t, 5*time.Second, "the end", over)
		if took := time.Since(start); took < 2*time.Second || took > 4*time.Second {
			t.Errorf("went back after %v, want 2s", took)
		}
		ended(t, "passes-by", gate.Reverted, old.Revision, "not confirmed in time")
		if code := w.settleTrial(t, "confirm", "passes-by"); code != http.StatusConflict {
			t.Errorf("confirmed after its end: %d", code)
		}
		if code, _ := w.try(t, next, "passes-by", "60s"); code != http.StatusConflict {
			t.Errorf("its name was taken again: %d", code)
		}
	})
	t.Run("reverted before its time", func(t *testing.T) {
		begin(t, "taken-back", "60s")
		if code := w.settleTrial(t, "revert", "taken-back"); code != http.StatusOK {
			t.Fatal(code)
		}
		ended(t, "taken-back", gate.Reverted, old.Revision, "because")
	})
	t.Run("another one takes its place, and what comes back stays", func(t *testing.T) {
		begin(t, "the-first", "60s")
		if code, v := w.try(t, w.compileWithout(t, "web-use"), "the-second", "1s"); code != http.StatusOK {
			t.Fatal(code, v)
		}
		if s := w.status(t); s.Ended == nil || s.Ended.ID != "the-first" || s.Ended.Outcome != gate.Replaced {
			t.Errorf("ended %+v", s.Ended)
		}
		netlab.Until(t, 5*time.Second, "the end", over)
		ended(t, "the-second", gate.Reverted, old.Revision, "not confirmed in time")
	})
	t.Run("killed, and back in time: the time goes on", func(t *testing.T) {
		start := time.Now()
		begin(t, "killed-early", "7s")
		w.stop(t)
		w.start(t)
		if s := w.status(t); time.Since(start) < 6*time.Second && (s.Trial == nil || s.Trial.Left > 6.5 || s.Revision != next.Revision) {
			t.Errorf("after the restart %+v %+v", s.Result, s.Trial)
		}
		netlab.Until(t, 8*time.Second, "the end", over)
		if took := time.Since(start); took < 7*time.Second || took > 10*time.Second {
			t.Errorf("went back after %v, want 7s", took)
		}
		ended(t, "killed-early", gate.Reverted, old.Revision, "not confirmed in time")
	})
	t.Run("killed, and back after its end", func(t *testing.T) {
		begin(t, "killed-late", "1s")
		w.stop(t)
		time.Sleep(1100 * time.Millisecond) // the time to confirm, and nobody there to see it pass
		w.start(t)
		ended(t, "killed-late", gate.Reverted, old.Revision, "not confirmed in time")
	})
	t.Run("killed, and cannot even open after its end", func(t *testing.T) {
		begin(t, "cannot-open", "2s")
		expect(t, true, "mn-pc1", eltax)
		w.stop(t)
		time.Sleep(2100 * time.Millisecond)
		w.failToOpen(t)
		expect(t, false, "mn-pc1", eltax)
		w.start(t)
		ended(t, "cannot-open", gate.Reverted, old.Revision, "not confirmed in time")
	})
	t.Run("killed between the tables and the file, and cannot even open", func(t *testing.T) {
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		begin(t, "half-begun", "1h")
		w.stop(t)
		if err := os.WriteFile(file, before, 0o600); err != nil {
			t.Fatal(err)
		}
		expect(t, true, "mn-pc1", eltax)
		w.failToOpen(t)
		expect(t, false, "mn-pc1", eltax)
		w.start(t)
		ended(t, "cannot-open", gate.Reverted, old.Revision, "not confirmed in time")
	})
	t.Run("its time passes, and the disk is full", func(t *testing.T) {
		begin(t, "full-disk", "1s")
		full := file + ".next/full"
		if err := os.MkdirAll(full, 0o700); err != nil {
			t.Fatal(err)
		}
		netlab.Until(t, 5*time.Second, "the end", over)
		ended(t, "full-disk", gate.Reverted, old.Revision, "not confirmed in time")
		holdsTrial := func() bool {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			return bytes.Contains(b, []byte(`"trial":{`))
		}
		if !holdsTrial() {
			t.Error("the file was written on a full disk")
		}
		if err := os.RemoveAll(file + ".next"); err != nil {
			t.Fatal(err)
		}
		netlab.Until(t, 10*time.Second, "the file", func() bool { return !holdsTrial() })
		w.stop(t)
		w.start(t)
		ended(t, "full-disk", gate.Reverted, old.Revision, "not confirmed in time")
	})
	t.Run("the machine is started anew", func(t *testing.T) {
		begin(t, "rebooted", "1h")
		w.stop(t)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
		if err != nil || bytes.Count(b, bytes.TrimSpace(id)) != 1 {
			t.Fatalf("the file names this boot %d times, want once (%v)", bytes.Count(b, bytes.TrimSpace(id)), err)
		}
		if err := os.WriteFile(file, bytes.Replace(b, bytes.TrimSpace(id), []byte("00000000-0000-4000-8000-000000000000"), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		w.start(t)
		ended(t, "rebooted", gate.Reverted, old.Revision, "started anew")
	})
	t.Run("killed at any moment", func(t *testing.T) {
		for i, wait := range []time.Duration{0, 5, 15, 30, 60, 120} {
			go w.try(t, next, "any-moment-"+strings.Repeat("x", i), "1s")
			time.Sleep(wait * time.Millisecond)
			w.stop(t)
			w.start(t)
			netlab.Until(t, 5*time.Second, "the former generation", func() bool { s := w.status(t); return s.Trial == nil && s.Revision == old.Revision })
		}
		expect(t, false, "mn-pc1", eltax)
	})
	t.Run("confirmed", func(t *testing.T) {
		begin(t, "confirmed", "2s")
		for range 2 { // the answer may have been lost
			if code := w.settleTrial(t, "confirm", "confirmed"); code != http.StatusOK {
				t.Fatal(code)
			}
		}
		time.Sleep(2500 * time.Millisecond)
		ended(t, "confirmed", gate.Confirmed, next.Revision, "")
		w.stop(t)
		w.start(t)
		ended(t, "confirmed", gate.Confirmed, next.Revision, "")
	})
	t.Run("the anchors forbid it at the next start", func(t *testing.T) {
		w.mustApply(t, w.compileWithout(t, "eltax-submit", "asp-use"))
		begin := w.status(t)
		if code, v := w.try(t, next, "forbidden", "1h"); code != http.StatusOK {
			t.Fatal(code, v)
		}
		w.stop(t)
		changed := *w.cfg
		changed.Segments = slices.Clone(w.cfg.Segments)
		i := slices.IndexFunc(changed.Segments, func(s config.Segment) bool { return s.ID == "lg-asp-net" })
		changed.Segments[i].Zone = anchors.Internet
		w.writeAnchors(t, &changed)
		w.start(t)
		s := w.status(t)
		if s.Revision != "" || s.Trial != nil && s.Trial.Former != begin.Revision {
			t.Errorf("%+v %+v: want everything closed, since the former one does not fit either", s.Result, s.Trial)
		}
		expect(t, false, "mn-pc1", eltax)
	})
}

func (w *town) compileWithout(t *testing.T, ids ...string) gate.Generation {
	t.Helper()
	cfg := *w.cfg
	cfg.Communications = slices.DeleteFunc(slices.Clone(cfg.Communications), func(c config.Communication) bool { return slices.Contains(ids, c.ID) })
	g, err := policy.Compile(&cfg, policy.Anchors(w.cfg))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// try asks for a trial. While the daemon is killed there may be no answer.
func (w *town) try(t *testing.T, g gate.Generation, id, confirm string) (int, verdictOf) {
	var v verdictOf
	q := strings.NewReplacer(" ", "%20").Replace("?trial=" + id + "&confirm=" + confirm)
	code, _ := w.ask(http.MethodPost, "/generation"+q, g, &v)
	return code, v
}

func (w *town) settleTrial(t *testing.T, act, id string) int {
	t.Helper()
	var v json.RawMessage
	code, err := w.ask(http.MethodPost, "/generation/"+act, map[string]string{"trial": id, "by": "sato", "why": "because"}, &v)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// failToOpen starts the daemon while another program owns the backstop's table: it gets no further than the packet core.
func (w *town) failToOpen(t *testing.T) {
	t.Helper()
	other := exec.Command("nft", "-i")
	in, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Wait()
	defer in.Close()
	if _, err := io.WriteString(in, "delete table inet sekisho; add table inet sekisho { flags owner; }\n"); err != nil {
		t.Fatal(err)
	}
	netlab.Until(t, 2*time.Second, "the table with its owner", func() bool {
		out, _ := netlab.Try("", "nft", "list", "table", "inet", "sekisho")
		return strings.Contains(out, "owner")
	})
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command("timeout", "20", "ip", "netns", "exec", "gw", exe, "run", "--name", string(w.instance))
	cmd.Stderr = &said
	if err := cmd.Run(); err == nil || !strings.Contains(said.String(), "backstop") {
		t.Fatalf("the daemon ended with %v and said %s; want it to fail at the backstop", err, said.String())
	}
}
