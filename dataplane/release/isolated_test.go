package release

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/isolation"
)

// keeper is the dataplane's hand on the record.
func (h *house) keeper() *isolation.Keeper {
	return isolation.Open(h.paths().Isolation, isolation.Clock{
		Wall: h.clock, Boot: func() (string, time.Duration) { return "", 0 }, Behind: func() bool { return false },
	}, func([]anchors.Zone) error { return nil })
}

// While a zone is cut off its files wait: they are taken in and sanitized, and nothing is shown, approved or given out. When it is
// given back everything goes on, with the approvals that there were.
func TestFilesOfAnIsolatedZoneWait(t *testing.T) {
	h := newHouse(t)
	lg, in := anchors.LGWAN, anchors.Internet
	for _, id := range []string{"ready", "fresh"} {
		h.send(id, lg, in, original)
		h.sanitize(id, lg, in, original, rebuilt)
	}
	if _, err := h.approve(lg, "ready", "tanaka", rebuilt); err != nil {
		t.Fatal(err)
	}
	out := func() error {
		_, _, err := h.released(in, "ready")
		return err
	}
	if err := out(); err != nil {
		t.Fatal(err)
	}
	k := h.keeper()
	for _, zone := range []anchors.Zone{lg, in} {
		if _, err := k.Begin(isolation.Request{Zone: zone, By: "sato", Reason: "疑わしい通信"}); err != nil {
			t.Fatal(err)
		}
		wantCode(t, out(), CodeIsolated)
		_, err := h.portal(lg).Sanitized(t.Context(), "ready")
		wantCode(t, err, CodeIsolated)
		_, err = h.portal(lg).Statement(t.Context(), "ready")
		wantCode(t, err, CodeIsolated)
		_, err = h.approve(lg, "fresh", "tanaka", rebuilt)
		wantCode(t, err, CodeIsolated)
		if st, err := h.control().State(t.Context(), "ready"); err != nil || st.State != "sanitized" || st.Code != CodeIsolated || len(st.Approvals) != 1 {
			t.Errorf("%s is cut off: control is told %+v, %v", zone, st, err)
		}
		id := "meanwhile-" + zone.String()
		h.send(id, lg, in, original)
		h.sanitize(id, lg, in, original, rebuilt)
		if err := k.End(isolation.Request{Zone: zone, By: "sato", Reason: "確認済み"}); err != nil {
			t.Fatal(err)
		}
		if err := out(); err != nil {
			t.Errorf("%s is given back: %v", zone, err)
		}
	}
	if _, err := k.Begin(isolation.Request{Zone: anchors.MyNumber, By: "sato", Reason: "why"}); err != nil {
		t.Fatal(err)
	}
	if err := out(); err != nil {
		t.Errorf("a zone that is not the file's is cut off: %v", err)
	}
	if _, err := h.approve(lg, "fresh", "tanaka", rebuilt); err != nil {
		t.Error(err)
	}
}

// A record that is damaged, or that somebody else could have written, stops everything; only where there never was one nothing is
// cut off.
func TestIsolationIsReadFromRootsRecordAlone(t *testing.T) {
	h := newHouse(t)
	h.send("t", anchors.LGWAN, anchors.Internet, original)
	h.sanitize("t", anchors.LGWAN, anchors.Internet, original, rebuilt)
	if _, err := h.approve(anchors.LGWAN, "t", "tanaka", rebuilt); err != nil {
		t.Fatal(err)
	}
	path := h.paths().Isolation
	k := h.keeper()
	for _, act := range []func(isolation.Request) error{func(r isolation.Request) error { _, err := k.Begin(r); return err }, k.End} {
		if err := act(isolation.Request{Zone: anchors.LGWAN, By: "sato", Reason: "why"}); err != nil {
			t.Fatal(err)
		}
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		what  string
		spoil func() error
	}{
		{"empty", func() error { return os.WriteFile(path, nil, 0o644) }},
		{"changed by hand", func() error { return os.WriteFile(path, bytes.Replace(good, []byte("why"), []byte("who"), 1), 0o644) }},
		{"owned by another", func() error { return os.Chown(path, 65534, 0) }},
		{"writable by others", func() error { return os.Chmod(path, 0o646) }},
		{"in another's directory", func() error { return os.Chown(filepath.Dir(path), 65534, 0) }},
		{"gone from another's directory", func() error {
			if err := os.Chown(filepath.Dir(path), 65534, 0); err != nil {
				return err
			}
			return os.Remove(path)
		}},
	} {
		if err := x.spoil(); err != nil {
			t.Fatal(err)
		}
		_, _, err := h.released(anchors.Internet, "t")
		t.Log(x.what, err)
		wantCode(t, err, CodeSetting)
		if err := os.Chown(filepath.Dir(path), 0, 0); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, good, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := h.released(anchors.Internet, "t"); err != nil {
			t.Errorf("%s, and put right: %v", x.what, err)
		}
	}
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.released(anchors.Internet, "t"); err != nil {
		t.Errorf("nothing was ever cut off: %v", err)
	}
}
