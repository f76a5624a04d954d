package release

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

func TestStreamKeepsEveryLength(t *testing.T) {
	key := bytes.Repeat([]byte{7}, keySize)
	for _, n := range []int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 3 * chunkSize, 3*chunkSize + 17} {
		plain := make([]byte, n)
		for i := range plain {
			plain[i] = byte(i * 31)
		}
		sealed := seal(t, key, "a", plain)
		r, err := newOpener(bytes.NewReader(sealed), key, "a")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: got %d, %v", n, len(got), err)
		}
	}
}

func seal(t *testing.T, key []byte, aad string, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := newSealer(&b, key, aad)
	if err != nil {
		t.Fatal(err)
	}
	for len(plain) > 0 { // in odd pieces
		n := min(len(plain), 10_007)
		if _, err := w.Write(plain[:n]); err != nil {
			t.Fatal(err)
		}
		plain = plain[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestStreamSeesEveryChange(t *testing.T) {
	key := bytes.Repeat([]byte{7}, keySize)
	plain := bytes.Repeat([]byte("0123456789abcdef"), 3*chunkSize/16)
	whole := seal(t, key, "a", plain)
	head, full := len(sealMagic), chunkSize+16
	chunkAt := func(i int) []byte { return whole[head+i*full : head+(i+1)*full] }
	join := func(parts ...[]byte) []byte { return bytes.Join(append([][]byte{[]byte(sealMagic)}, parts...), nil) }
	for name, b := range map[string][]byte{
		"one bit":         func() []byte { b := bytes.Clone(whole); b[head+70] ^= 1; return b }(),
		"last chunk gone": join(chunkAt(0), chunkAt(1)),
		"cut inside":      whole[:len(whole)-5],
		"reordered":       join(chunkAt(1), chunkAt(0), chunkAt(2)),
		"repeated":        join(chunkAt(0), chunkAt(0), chunkAt(1), chunkAt(2)),
		"appended":        append(bytes.Clone(whole), chunkAt(2)...),
		"only the last":   join(chunkAt(2)),
		"no magic":        whole[3:],
		"empty":           {},
	} {
		r, err := newOpener(bytes.NewReader(b), key, "a")
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if !errors.Is(err, errDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r, err := newOpener(bytes.NewReader(whole), key, "b"); err == nil {
		if _, err := io.Copy(io.Discard, r); !errors.Is(err, errDamaged) {
			t.Errorf("another file's place: %v", err)
		}
	}
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func mustVault(t *testing.T, dir string) *vault {
	t.Helper()
	v, err := openVault(dir, time.Unix(0, 0), quiet())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func put(v *vault, id string, body []byte) error {
	_, err := v.create(context.Background(), record{Transfer: id, From: anchors.LGWAN, To: anchors.Internet, Created: time.Unix(0, 0)}, details{Name: "a.txt", Requester: "y"}, bytes.NewReader(body), 1<<20)
	return err
}

func putSanitized(v *vault, id string, body []byte) error {
	b, err := v.stage(context.Background(), id, roleSanitized, bytes.NewReader(body), 1<<20)
	if err != nil {
		return err
	}
	_, _, err = v.update(id, func(rec *record, d *details) error {
		if err := v.adopt(id, roleSanitized, &b); err != nil {
			return err
		}
		rec.Sanitized, d.Attestation = &b, &verdict.Signed{Kind: verdict.KindAttestation, Statement: json.RawMessage(`{}`)}
		return nil
	})
	return err
}

func contents(v *vault, id, role string) (string, error) {
	rec, err := v.get(id)
	if err != nil {
		return "", err
	}
	r, _, err := v.open(rec, role)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}

func TestRotationDestroysTheOldKey(t *testing.T) {
	dir := t.TempDir()
	v := mustVault(t, dir)
	if err := put(v, "live", []byte("living")); err != nil {
		t.Fatal(err)
	}
	if err := put(v, "dead", []byte("dying")); err != nil {
		t.Fatal(err)
	}
	backup, err := os.ReadFile(v.recordPath("dead")) // what an old block or a backup still holds
	if err != nil {
		t.Fatal(err)
	}
	rec, err := v.get("dead")
	if err != nil {
		t.Fatal(err)
	}
	blobPath := filepath.Join(dir, "files/dead", rec.Original.File)
	bytesOf, err := os.ReadFile(blobPath)
	if err != nil {
		t.Fatal(err)
	}
	oldRing, err := os.Open(filepath.Join(dir, "period.keys")) // the very blocks, whatever becomes of the name
	if err != nil {
		t.Fatal(err)
	}
	defer oldRing.Close()

	if err := v.erase("dead", -1, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := v.rotate(time.Unix(2, 0)); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(oldRing)
	if err != nil || len(b) == 0 || len(bytes.Trim(b, "\x00")) != 0 {
		t.Errorf("the old key file was not overwritten: %d bytes, %v", len(b), err)
	}
	if got, err := contents(v, "live", roleOriginal); err != nil || got != "living" {
		t.Errorf("the living file: %q %v", got, err)
	}
	// The backup comes back, with the file.
	if err := os.WriteFile(v.recordPath("dead"), backup, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blobPath, bytesOf, 0o600); err != nil {
		t.Fatal(err)
	}
	again := mustVault(t, dir)
	if got, err := contents(again, "dead", roleOriginal); err == nil {
		t.Errorf("an erased file came back from a backup: %q", got)
	}
}

func TestErasedRecordIsOverwritten(t *testing.T) {
	v := mustVault(t, t.TempDir())
	if err := put(v, "t", []byte("x")); err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(v.recordPath("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := v.erase("t", -1, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(old)
	if err != nil || len(b) == 0 || len(bytes.Trim(b, "\x00")) != 0 {
		t.Errorf("the old record still reads %q (%v)", b, err)
	}
}

// The fault table: in each case the program is killed, with SIGKILL, at one point between two steps, and started again. What
// must hold is the same for all: what was there stays, what was under way is whole or not there, nothing is left over, and the
// next attempt goes through.
const (
	crashDir   = "SEKISHO_TEST_CRASH_DIR"
	crashPoint = "SEKISHO_TEST_CRASH_POINT"
	crashDo    = "SEKISHO_TEST_CRASH_DO"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := crash(dir, os.Getenv(crashPoint), os.Getenv(crashDo)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func crash(dir, point, do string) error {
	v, err := openVault(dir, time.Unix(0, 0), quiet())
	if err != nil {
		return err
	}
	v.point = func(p string) {
		if p == point {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	switch do {
	case "create":
		return put(v, "new", []byte("new"))
	case "sanitize":
		return putSanitized(v, "old", []byte("rebuilt"))
	case "erase":
		return v.erase("old", -1, time.Unix(1, 0))
	case "rotate":
		return v.rotate(time.Unix(1, 0))
	}
	return errors.New("nothing to do")
}

// current names the key that wraps new file keys.
func (r *ring) current() string {
	return r.file.Current
}

func TestKilledAtAnyPoint(t *testing.T) {
	for _, c := range []struct{ do, point, after string }{
		{"create", "create: staged", "no"},
		{"create", "create: sealed", "no"},
		{"create", "create: recorded", "no"},
		{"create", "create: renamed", "yes"},
		{"sanitize", "adopt: moved", "no"},
		{"sanitize", "update: before", "no"},
		{"sanitize", "update: after", "yes"},
		{"erase", "update: before", "no"},
		{"erase", "update: after", "yes"},
		{"rotate", "rotate: added", "yes"}, // is finished at the next start
		{"rotate", "rotate: one rewrapped", "yes"},
	} {
		t.Run(c.do+" "+c.point, func(t *testing.T) {
			dir := t.TempDir()
			v := mustVault(t, dir)
			for _, id := range []string{"old", "older"} {
				if err := put(v, id, []byte(id)); err != nil {
					t.Fatal(err)
				}
			}
			before := v.ring.current()
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), crashDir+"="+dir, crashPoint+"="+c.point, crashDo+"="+c.do)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("it was not killed at that point: %v %s", err, out)
			}

			v = mustVault(t, dir)
			if got, err := contents(v, "older", roleOriginal); err != nil || got != "older" {
				t.Errorf("a file that nothing was done to: %q %v", got, err)
			}
			switch c.do {
			case "create":
				got, err := contents(v, "new", roleOriginal)
				if c.after == "yes" && (err != nil || got != "new") {
					t.Errorf("accepted and lost: %q %v", got, err)
				}
				if c.after == "no" {
					wantCode(t, err, CodeUnknown)
					if err := put(v, "new", []byte("new")); err != nil {
						t.Errorf("again: %v", err)
					}
				}
			case "sanitize":
				got, err := contents(v, "old", roleSanitized)
				if c.after == "yes" && (err != nil || got != "rebuilt") {
					t.Errorf("stored and lost: %q %v", got, err)
				}
				if c.after == "no" {
					wantCode(t, err, CodeNotSanitized)
					if err := putSanitized(v, "old", []byte("rebuilt")); err != nil {
						t.Errorf("again: %v", err)
					}
				}
			case "erase":
				rec, err := v.get("old")
				if err != nil || (rec.Erased != nil) != (c.after == "yes") {
					t.Errorf("erased: %+v %v", rec.Erased, err)
				}
			case "rotate":
				if v.ring.rotating() || v.ring.current() == before {
					t.Error("the rotation was not finished")
				}
			}
			if c.do != "erase" {
				if got, err := contents(v, "old", roleOriginal); err != nil || got != "old" {
					t.Errorf("the original: %q %v", got, err)
				}
			}
			nothingLeft(t, v)
		})
	}
}

// nothingLeft: every file of the vault is named by a record.
func nothingLeft(t *testing.T, v *vault) {
	t.Helper()
	if half, err := os.ReadDir(filepath.Join(v.dir, "incoming")); err != nil || len(half) > 0 {
		t.Errorf("incoming holds %v (%v)", half, err)
	}
	ids, err := v.ids()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		rec, err := v.get(id)
		if err != nil {
			t.Error(err)
		}
		want := 1 + len(rec.blobs())
		if files, err := os.ReadDir(filepath.Join(v.dir, "files", id)); err != nil || len(files) != want {
			t.Errorf("%s holds %v, want %d files (%v)", id, files, want, err)
		}
	}
	for _, suffix := range []string{newSuffix, oldSuffix} {
		if _, err := os.Lstat(filepath.Join(v.dir, "period.keys"+suffix)); err == nil {
			t.Errorf("period.keys%s is left", suffix)
		}
	}
}

func TestADamagedRecordHarmsOnlyItself(t *testing.T) {
	dir := t.TempDir()
	v := mustVault(t, dir)
	for _, id := range []string{"a", "b"} {
		if err := put(v, id, []byte(id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(v.recordPath("a"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	v = mustVault(t, dir)
	_, err := contents(v, "a", roleOriginal)
	wantCode(t, err, CodeDamaged)
	if err := v.rotate(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if got, err := contents(v, "b", roleOriginal); err != nil || got != "b" {
		t.Errorf("%q %v", got, err)
	}
}

// TestOneFlippedByteHarmsOnlyItsTransfer flips one byte of a's record, at places all over it. Whatever it hits, b is erased when
// it is due, the period key rotates, and a can be erased.
func TestOneFlippedByteHarmsOnlyItsTransfer(t *testing.T) {
	h := newHouse(t)
	v := h.server.vault
	for round, at := range []float64{0, 0.02, 0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99} {
		a, b := fmt.Sprint("a", round), fmt.Sprint("b", round)
		h.send(b, anchors.LGWAN, anchors.Internet, original)
		h.later(8 * 24 * time.Hour)
		h.send(a, anchors.LGWAN, anchors.Internet, original)
		line, err := os.ReadFile(v.recordPath(a))
		if err != nil {
			t.Fatal(err)
		}
		line[int(at*float64(len(line)))] ^= 1
		if err := os.WriteFile(v.recordPath(a), line, 0o600); err != nil {
			t.Fatal(err)
		}
		before := v.ring.current()
		if err := h.server.Tend(t.Context(), 24*time.Hour); err != nil {
			t.Errorf("byte %.2f: %v", at, err)
		}
		if v.ring.rotating() || v.ring.current() == before {
			t.Errorf("byte %.2f: the period key was not rotated", at)
		}
		for _, id := range []string{b, a} {
			if id == a {
				if err := h.control().Erase(t.Context(), a, -1); err != nil {
					t.Errorf("byte %.2f: erase: %v", at, err)
				}
			}
			if st, err := h.control().State(t.Context(), id); err != nil || st.State != "erased" {
				t.Errorf("byte %.2f: %s: %+v %v, want erased", at, id, st, err)
			}
			if left, err := os.ReadDir(filepath.Join(v.dir, "files", id)); err != nil || len(left) != 1 {
				t.Errorf("byte %.2f: left of %s: %v %v", at, id, left, err)
			}
		}
		_, err = h.control().StoreOriginal(t.Context(), NewOriginal{Transfer: a, Name: "a.txt", Requester: "y", Section: "zeimu", From: anchors.LGWAN, To: anchors.Internet}, bytes.NewReader(original))
		wantCode(t, err, CodeExists)
	}
}

// TestWhatCantBeErasedStopsNothing: the erasure of one transfer fails for good; the others are erased, the key rotates, and the
// fault is told.
func TestWhatCantBeErasedStopsNothing(t *testing.T) {
	h := newHouse(t)
	v := h.server.vault
	for _, id := range []string{"a", "b"} {
		h.send(id, anchors.LGWAN, anchors.Internet, original)
	}
	if err := os.MkdirAll(filepath.Join(v.dir, "files/a/stuck/stuck"), 0o700); err != nil { // no file: can't be removed like one
		t.Fatal(err)
	}
	before := v.ring.current()
	h.later(8 * 24 * time.Hour)
	if err := h.server.Tend(t.Context(), 24*time.Hour); err == nil || !strings.Contains(err.Error(), "a") {
		t.Errorf("the fault is not told: %v", err)
	}
	if st, err := h.control().State(t.Context(), "b"); err != nil || st.State != "erased" {
		t.Errorf("b: %+v %v", st, err)
	}
	if v.ring.rotating() || v.ring.current() == before {
		t.Error("the period key was not rotated")
	}
	h.write("routes.yaml", "version: 9\n")
	h.later(25 * time.Hour)
	before = v.ring.current()
	if err := h.server.Tend(t.Context(), 24*time.Hour); err == nil {
		t.Error("wrong routes are not told")
	}
	if v.ring.current() == before {
		t.Error("wrong routes stop the rotation")
	}
	mustVault(t, v.dir)
}

// TestARecordThatCantBeReadIsErasedAtLast: nobody knows when it is due, so it goes when the longest time for a transfer is over.
func TestARecordThatCantBeReadIsErasedAtLast(t *testing.T) {
	h := newHouse(t)
	v := h.server.vault
	h.send("a", anchors.LGWAN, anchors.Internet, original)
	if err := os.WriteFile(v.recordPath("a"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(v.recordPath("a"), h.clock(), h.clock()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{300 * 24 * time.Hour, false}, {67 * 24 * time.Hour, true}} {
		h.later(c.after)
		if err := h.server.Tend(t.Context(), 24*time.Hour); err != nil {
			t.Fatal(err)
		}
		if rec, err := v.get("a"); (err == nil && rec.Erased != nil) != c.want {
			t.Errorf("%v, %v", rec, err)
		}
	}
}

func TestFilesCantChangePlaces(t *testing.T) {
	v := mustVault(t, t.TempDir())
	for _, id := range []string{"a", "b"} {
		if err := put(v, id, []byte(id)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := v.get("b")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.update("a", func(rec *record, _ *details) error { rec.Original = b.Original; return nil }); err != nil {
		t.Fatal(err)
	}
	_, err = contents(v, "a", roleOriginal)
	wantCode(t, err, CodeDamaged)
}

// TestWhatAReplacementLeaves: a kill inside replaceFile leaves the file under a second name, the old content under that name, or
// a new content that never came to be. The next start keeps the first and overwrites the other two.
func TestWhatAReplacementLeaves(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	write := func(name, s string) *os.File {
		t.Helper()
		if err := os.WriteFile(name, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	write(path, "live")
	if err := os.Link(path, path+oldSuffix); err != nil {
		t.Fatal(err)
	}
	unborn := write(path+newSuffix, "secret")
	if err := scrubLeft(path); err != nil {
		t.Fatal(err)
	}
	former := write(path+oldSuffix, "secret")
	if err := scrubLeft(path); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "live" {
		t.Errorf("the file itself: %q %v", b, err)
	}
	for _, f := range []*os.File{unborn, former} {
		if b, err := io.ReadAll(f); err != nil || len(b) != 6 || len(bytes.Trim(b, "\x00")) != 0 {
			t.Errorf("%s still reads %q (%v)", f.Name(), b, err)
		}
		if _, err := os.Lstat(f.Name()); err == nil {
			t.Errorf("%s is left", f.Name())
		}
	}
}
