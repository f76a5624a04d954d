package audit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
)

type keys struct {
	skey, vkey string
	verifier   note.Verifier
}

func newKeys(t *testing.T) keys {
	t.Helper()
	s, v, err := GenerateKey("sekisho.test/audit")
	if err != nil {
		t.Fatal(err)
	}
	nv, err := note.NewVerifier(v)
	if err != nil {
		t.Fatal(err)
	}
	return keys{s, v, nv}
}

func (k keys) open(t *testing.T, dir string) *Log {
	t.Helper()
	l, err := Open(dir, k.skey, k.vkey, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func event(i int) Event {
	return New(time.Now(), "lgwan", fmt.Sprintf("person-%d", i), "transfer.create", fmt.Sprintf("t-%05d", i), map[string]string{"size": fmt.Sprint(i)})
}

func appendAll(t *testing.T, l *Log, from, to int) {
	t.Helper()
	for i := from; i < to; {
		n := min(1+i%7, to-i) // groups of several sizes
		var es []Event
		for j := range n {
			es = append(es, event(i+j))
		}
		at, err := l.Append(context.Background(), es...)
		if err != nil {
			t.Fatal(err)
		}
		if at != int64(i) {
			t.Fatalf("event %d got index %d", i, at)
		}
		i += n
	}
}

func verified(t *testing.T, dir string, k keys) Report {
	t.Helper()
	r, err := Verify(dir, k.verifier, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLogHoldsWhatWasAnswered(t *testing.T) {
	k, dir := newKeys(t), filepath.Join(t.TempDir(), "audit")
	for _, size := range []int{0, 1, 2, 255, 256, 257, 700} {
		l := k.open(t, dir)
		appendAll(t, l, int(l.Size()), size)
		if r := verified(t, dir, k); len(r.Problems) > 0 || r.Events != int64(size) {
			t.Fatalf("at %d: %d events, problems %v", size, r.Events, r.Problems)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	l := k.open(t, dir)
	rs, err := l.Read(250, 262)
	if err != nil || len(rs) != 12 || rs[0].Object != "t-00250" || rs[11].Object != "t-00261" || rs[11].Index != 261 {
		t.Fatalf("read across files: %v, %v", rs, err)
	}
}

func TestManyAtOnceShareCheckpoints(t *testing.T) {
	k, dir := newKeys(t), filepath.Join(t.TempDir(), "audit")
	l := k.open(t, dir)
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			if _, err := l.Append(context.Background(), event(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	r := verified(t, dir, k)
	if len(r.Problems) > 0 || r.Events != 300 {
		t.Fatalf("%d events, problems %v", r.Events, r.Problems)
	}
	if r.Checkpoints >= 300 {
		t.Errorf("%d checkpoints for 300 concurrent events: groups are not shared", r.Checkpoints)
	}
}

// TestEveryByteCounts changes each byte of each file in turn.
func TestEveryByteCounts(t *testing.T) {
	k, dir := newKeys(t), filepath.Join(memory(t), "audit")
	l := k.open(t, dir)
	appendAll(t, l, 0, 5)
	l.Close()
	for _, file := range files(t, dir) {
		sound, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i := range sound {
			for _, flip := range []byte{0x01, 0x03, 0x80} { // 0x03 reaches the last bits of base64, which decode to nothing
				if flip == 0 {
					continue
				}
				bad := bytes.Clone(sound)
				bad[i] ^= flip
				write(t, file, bad)
				if r := verified(t, dir, k); len(r.Problems) == 0 {
					t.Errorf("%s byte %d ^ %#x: not reported", file, i, flip)
				}
			}
		}
		write(t, file, sound)
	}
	if r := verified(t, dir, k); len(r.Problems) > 0 {
		t.Fatalf("restored log: %v", r.Problems)
	}
}

// TestTampering is the table of what somebody with the files, but not the key, may do.
func TestTampering(t *testing.T) {
	k, base := newKeys(t), t.TempDir()
	sound := filepath.Join(base, "sound")
	l := k.open(t, sound)
	appendAll(t, l, 0, 520)
	early := l.Last()
	appendAll(t, l, 520, 530)
	l.Close()
	leaves := func(dir string, n int) string {
		return filepath.Join(dir, fmt.Sprintf("tile/8/data/%03d", n))
	}
	lines := func(f func([][]byte) [][]byte) func(t *testing.T, file string) {
		return func(t *testing.T, file string) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			write(t, file, bytes.Join(f(bytes.SplitAfter(b, []byte("\n"))), nil))
		}
	}
	cases := []struct {
		name  string
		do    func(t *testing.T, dir string)
		where string
	}{
		{"one event changed", func(t *testing.T, d string) {
			b, _ := os.ReadFile(leaves(d, 1))
			write(t, leaves(d, 1), bytes.Replace(b, []byte("person-300"), []byte("person-301"), 1))
		}, "tile/8/data/001 line 45"},
		{"one event removed", func(t *testing.T, d string) {
			lines(func(l [][]byte) [][]byte { return append(l[:5:5], l[6:]...) })(t, leaves(d, 2))
		}, "tile/8/data/002"},
		{"two events swapped", func(t *testing.T, d string) {
			lines(func(l [][]byte) [][]byte { l[3], l[4] = l[4], l[3]; return l })(t, leaves(d, 0))
		}, "tile/8/data/000 line 4"},
		{"an event added without checkpoint", func(t *testing.T, d string) {
			lines(func(l [][]byte) [][]byte { return append(l, []byte("{}\n")) })(t, leaves(d, 2))
		}, "tile/8/data/002 line 19"},
		{"a byte added", func(t *testing.T, d string) {
			lines(func(l [][]byte) [][]byte { return append(l, []byte("x")) })(t, leaves(d, 2))
		}, "tile/8/data/002 line 19"},
		{"the last event cut", func(t *testing.T, d string) {
			lines(func(l [][]byte) [][]byte { return l[:len(l)-2] })(t, leaves(d, 2))
		}, "tile/8/data/002"},
		{"a whole file removed", func(t *testing.T, d string) { remove(t, leaves(d, 1)) }, "tile/8/data/001"},
		{"a file added", func(t *testing.T, d string) { write(t, leaves(d, 7), []byte("{}\n")) }, "tile/8/data/007"},
		{"a tile changed", func(t *testing.T, d string) {
			f := filepath.Join(d, "tile/8/0/001")
			b, _ := os.ReadFile(f)
			b[100] ^= 1
			write(t, f, b)
		}, "tile/8/0/001 bytes 96..127"},
		{"a tile longer", func(t *testing.T, d string) {
			f := filepath.Join(d, "tile/8/1/000")
			b, _ := os.ReadFile(f)
			write(t, f, append(b, 1))
		}, "tile/8/1/000 byte 64"},
		{"the last checkpoint removed", func(t *testing.T, d string) {
			f := filepath.Join(d, "checkpoints")
			b, _ := os.ReadFile(f)
			write(t, f, b[:bytes.LastIndex(b, []byte("sekisho.test/audit\n"))])
		}, "that no checkpoint covers"},
		{"checkpoints swapped", func(t *testing.T, d string) {
			f := filepath.Join(d, "checkpoints")
			b, _ := os.ReadFile(f)
			rs := bytes.SplitAfter(b, []byte("=\n\n"))
			rs[2], rs[3] = rs[3], rs[2]
			write(t, f, bytes.Join(rs, nil))
		}, "out of order"},
		{"signed by another key", func(t *testing.T, d string) {
			os.RemoveAll(d)
			o := newKeys(t)
			l := o.open(t, d)
			appendAll(t, l, 0, 530)
			l.Close()
		}, "key.pub"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := filepath.Join(t.TempDir(), "log")
			if err := os.CopyFS(d, os.DirFS(sound)); err != nil {
				t.Fatal(err)
			}
			c.do(t, d)
			r := verified(t, d, k)
			if len(r.Problems) == 0 {
				t.Fatal("not reported")
			}
			for _, p := range r.Problems {
				if strings.Contains(p.String(), c.where) {
					return
				}
			}
			t.Errorf("want %q in one of %v", c.where, r.Problems)
		})
	}
	t.Run("cut back as a whole to an earlier checkpoint", func(t *testing.T) {
		d := filepath.Join(t.TempDir(), "log")
		l := k.open(t, d)
		appendAll(t, l, 0, 3)
		l.Close()
		kept := Checkpoint(early)
		r, err := Verify(d, k.verifier, &kept)
		if err != nil || len(r.Problems) == 0 {
			t.Fatalf("not reported: %v", err)
		}
		if r, err := Verify(sound, k.verifier, &kept); err != nil || len(r.Problems) > 0 {
			t.Fatalf("the sound log holds the known checkpoint, got %v, %v", r.Problems, err)
		}
	})
}

// TestTornTail cuts each file that a crash can tear at every byte of its last record: whatever was sealed stays, the log
// opens, goes on, and verifies.
func TestTornTail(t *testing.T) {
	for n, stride := range map[int]int64{5: 1, 1: 9, 257: 9} { // every byte once; the borders of files more coarsely
		k, base := newKeys(t), memory(t)
		sound := filepath.Join(base, "sound")
		l := k.open(t, sound)
		appendAll(t, l, 0, n-1)
		sealed := l.Size()
		before := size(t, filepath.Join(sound, "checkpoints"))
		last := leafFile(int64(n - 1))
		leafBefore := int64(0)
		if st, err := os.Stat(filepath.Join(sound, last)); err == nil {
			leafBefore = st.Size()
		}
		if _, err := l.Append(context.Background(), event(n-1)); err != nil {
			t.Fatal(err)
		}
		l.Close()
		type fault struct {
			name       string
			checkpoint int64 // bytes kept
			leaf       int64
			want       int64 // events that must still be there
		}
		var faults []fault
		cp, leaf := size(t, filepath.Join(sound, "checkpoints")), size(t, filepath.Join(sound, last))
		for at := before; at < cp; at += stride { // leaves were synced before the checkpoint was begun
			faults = append(faults, fault{fmt.Sprintf("checkpoint torn at %d", at), at, leaf, int64(n)})
		}
		for at := leafBefore; at < leaf; at += stride {
			faults = append(faults, fault{fmt.Sprintf("event torn at %d", at), before, at, sealed})
		}
		for _, f := range faults {
			d := filepath.Join(base, "torn")
			os.RemoveAll(d)
			if err := os.CopyFS(d, os.DirFS(sound)); err != nil {
				t.Fatal(err)
			}
			cut(t, filepath.Join(d, "checkpoints"), f.checkpoint)
			cut(t, filepath.Join(d, last), f.leaf)
			l, err := Open(d, k.skey, k.vkey, time.Now)
			if err != nil {
				t.Fatalf("n=%d %s: %v", n, f.name, err)
			}
			if _, err := l.Append(context.Background(), event(999)); err != nil {
				t.Fatalf("n=%d %s: %v", n, f.name, err)
			}
			rs, err := l.Read(0, l.Size())
			l.Close()
			if err != nil || int64(len(rs)) < f.want+1 || f.want > 0 && rs[f.want-1].Object != fmt.Sprintf("t-%05d", f.want-1) {
				t.Fatalf("n=%d %s: events lost: have %d, want %d kept; %v", n, f.name, len(rs), f.want, err)
			}
			if r := verified(t, d, k); len(r.Problems) > 0 {
				t.Fatalf("n=%d %s: %v", n, f.name, r.Problems)
			}
		}
	}
}

// TestDamageIsNotRepaired: less than what was sealed is never taken for a crash.
func TestDamageIsNotRepaired(t *testing.T) {
	k := newKeys(t)
	cases := map[string]func(t *testing.T, d string){
		"sealed event cut":      func(t *testing.T, d string) { cut(t, filepath.Join(d, "tile/8/data/001"), 10) },
		"sealed event changed":  func(t *testing.T, d string) { flip(t, filepath.Join(d, "tile/8/data/001"), 30) },
		"leaf file gone":        func(t *testing.T, d string) { remove(t, filepath.Join(d, "tile/8/data/001")) },
		"checkpoints gone":      func(t *testing.T, d string) { remove(t, filepath.Join(d, "checkpoints")) },
		"checkpoints emptied":   func(t *testing.T, d string) { cut(t, filepath.Join(d, "checkpoints"), 0) },
		"last signature broken": func(t *testing.T, d string) { f := filepath.Join(d, "checkpoints"); flip(t, f, size(t, f)-10) },
	}
	for name, do := range cases {
		t.Run(name, func(t *testing.T) {
			d := filepath.Join(t.TempDir(), "log")
			l := k.open(t, d)
			appendAll(t, l, 0, 300)
			l.Close()
			do(t, d)
			if l, err := Open(d, k.skey, k.vkey, time.Now); !errors.Is(err, ErrDamaged) {
				if l != nil {
					l.Close()
				}
				t.Fatalf("got %v, want ErrDamaged", err)
			}
		})
	}
}

// TestLostTilesAreMadeAnew: hashes of partial tiles are not synced, a power cut may leave them out.
func TestLostTilesAreMadeAnew(t *testing.T) {
	k, d := newKeys(t), filepath.Join(t.TempDir(), "log")
	l := k.open(t, d)
	appendAll(t, l, 0, 600)
	l.Close()
	for _, f := range []string{"tile/8/1/000", "tile/8/0/002"} {
		cut(t, filepath.Join(d, f), 7)
		l := k.open(t, d)
		l.Close()
		if r := verified(t, d, k); len(r.Problems) > 0 {
			t.Fatalf("%s: %v", f, r.Problems)
		}
	}
}

func TestOneWriter(t *testing.T) {
	k, d := newKeys(t), filepath.Join(t.TempDir(), "log")
	k.open(t, d)
	if _, err := Open(d, k.skey, k.vkey, time.Now); err == nil {
		t.Fatal("a second writer got in")
	}
}

// TestFailedWriteStopsTheLog: after a failed write nothing is answered as recorded.
func TestFailedWriteStopsTheLog(t *testing.T) {
	k, d := newKeys(t), filepath.Join(t.TempDir(), "log")
	l := k.open(t, d)
	appendAll(t, l, 0, 256)
	// The next leaf file cannot be made: its name is taken by a directory.
	if err := os.Mkdir(filepath.Join(d, "tile/8/data/001"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := l.Append(context.Background(), event(1)); !errors.Is(err, ErrBroken) {
			t.Fatalf("got %v, want ErrBroken", err)
		}
		os.Remove(filepath.Join(d, "tile/8/data/001")) // stays broken until opened again
	}
	l.Close()
	if l := k.open(t, d); l.Size() != 256 {
		t.Fatalf("size %d after reopening, want 256", l.Size())
	}
}

// TestKilledWriter kills a writing process and looks for every event that it had been answered.
func TestKilledWriter(t *testing.T) {
	if dir := os.Getenv("AUDIT_TEST_DIR"); dir != "" {
		l, err := Open(dir, os.Getenv("AUDIT_TEST_SKEY"), os.Getenv("AUDIT_TEST_VKEY"), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; ; i++ {
			e := event(i)
			if _, err := l.Append(context.Background(), e); err != nil {
				t.Fatal(err)
			}
			fmt.Println("answered", e.ID)
		}
	}
	k, d := newKeys(t), filepath.Join(t.TempDir(), "log")
	answered := map[string]bool{}
	for round := range 4 {
		c := exec.Command(os.Args[0], "-test.run=^TestKilledWriter$", "-test.v")
		c.Env = append(os.Environ(), "AUDIT_TEST_DIR="+d, "AUDIT_TEST_SKEY="+k.skey, "AUDIT_TEST_VKEY="+k.vkey)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		sc := bufio.NewScanner(out)
		for n := 0; sc.Scan(); {
			if id, ok := strings.CutPrefix(sc.Text(), "answered "); ok {
				answered[id] = true
				if n++; n == 40+round*13 {
					c.Process.Kill()
				}
			}
		}
		c.Wait()
	}
	l := k.open(t, d)
	rs, err := l.Read(0, l.Size())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		delete(answered, r.ID)
	}
	if len(answered) > 0 || len(rs) < 160 {
		t.Fatalf("%d answered events are lost of %d", len(answered), len(rs))
	}
	if r := verified(t, d, k); len(r.Problems) > 0 {
		t.Fatal(r.Problems)
	}
}

// memory is a directory for tables of faults, which are many and need no disk: what a crash leaves is made by hand there.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "sekisho-audit")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func files(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			out = append(out, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func write(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

func cut(t *testing.T, file string, n int64) {
	t.Helper()
	if err := os.Truncate(file, n); err != nil {
		t.Fatal(err)
	}
}

func flip(t *testing.T, file string, at int64) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 2
	write(t, file, b)
}

func size(t *testing.T, file string) int64 {
	t.Helper()
	st, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return st.Size()
}
