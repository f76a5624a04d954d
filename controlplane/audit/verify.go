package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"
)

// Report is what Verify found. The log holds if and only if there are no problems.
type Report struct {
	Events      int64
	Checkpoints int
	Last        Checkpoint
	Problems    []Problem // at most maxProblems
}

// Problem is one place where the log is not what was sealed.
type Problem struct {
	Where string // file, and line, record or byte in it
	What  string
}

func (p Problem) String() string { return p.Where + ": " + p.What }

const maxProblems = 100

// ReadKey reads a verifier key file.
func ReadKey(path string) (note.Verifier, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read audit key: %w", err)
	}
	v, err := note.NewVerifier(strings.TrimSpace(string(b)))
	if err != nil {
		return nil, fmt.Errorf("read audit key %s: %w", path, err)
	}
	return v, nil
}

// Verify recomputes the whole log from its events and compares every byte of every file: the leaves give the hashes, the
// hashes the tiles and the root at the size of each checkpoint; as all roots come from one sequence of leaves, successive
// checkpoints are consistent exactly when all of them match. It needs only the directory and the key, and may run while the
// log is written: it looks at the files as they were at one moment. known, where not nil, is a checkpoint kept elsewhere that
// the log must still contain. The error is for what could not be read at all.
func Verify(dir string, key note.Verifier, known *Checkpoint) (Report, error) {
	sizes, err := snapshot(dir)
	if err != nil {
		return Report{}, fmt.Errorf("verify audit log %s: %w", dir, err)
	}
	w := walk{dir: dir, sizes: sizes, seen: map[string]bool{"writer.lock": true, "commit.lock": true}}
	w.locks()
	w.key(key)
	cps := w.checkpoints(key)
	w.leaves(cps, known)
	w.tiles()
	w.strangers()
	r := Report{Events: w.n, Checkpoints: len(cps), Problems: w.problems}
	if len(cps) > 0 {
		r.Last = cps[len(cps)-1]
	}
	return r, nil
}

// snapshot lists all files and their sizes at one moment.
func snapshot(dir string) (map[string]int64, error) {
	defer disk{dir}.lockCommits(unix.LOCK_SH)()
	sizes := map[string]int64{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		st, err := e.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		sizes[rel] = st.Size()
		return err
	})
	return sizes, err
}

// walk goes through the files once and remembers which it met.
type walk struct {
	dir      string
	sizes    map[string]int64
	seen     map[string]bool
	problems []Problem
	n        int64         // events read
	roots    []tlog.Hash   // roots of the complete subtrees so far, largest first
	tileSums [][]byte      // per level: the tile under way
	at       map[int]int64 // per level: hashes so far
}

func (w *walk) problem(where, form string, args ...any) {
	if len(w.problems) < maxProblems {
		w.problems = append(w.problems, Problem{where, fmt.Sprintf(form, args...)})
	}
}

// read gives a file as it was at the moment of the snapshot; nil when it was not there.
func (w *walk) read(file string) []byte {
	size, ok := w.sizes[file]
	if !ok {
		return nil
	}
	w.seen[file] = true
	f, err := os.Open(filepath.Join(w.dir, file))
	if err != nil {
		w.problem(file, "cannot be read: %v", err)
		return nil
	}
	defer f.Close()
	b := make([]byte, size)
	if _, err := io.ReadFull(f, b); err != nil && !errors.Is(err, io.EOF) {
		w.problem(file, "cannot be read: %v", err)
		return nil
	}
	return b
}

func (w *walk) locks() {
	for _, f := range []string{"writer.lock", "commit.lock"} {
		if n := w.sizes[f]; n != 0 {
			w.problem(f, "%d bytes in a file that is always empty", n)
		}
	}
}

// key compares the copy that lies with the log.
func (w *walk) key(v note.Verifier) {
	b := w.read("key.pub")
	own, err := note.NewVerifier(strings.TrimSuffix(string(b), "\n"))
	if err != nil || own.Name() != v.Name() || own.KeyHash() != v.KeyHash() || !bytes.HasSuffix(b, []byte("\n")) {
		w.problem("key.pub", "is not the key that this log is verified with")
	}
}

func (w *walk) checkpoints(v note.Verifier) []Checkpoint {
	const file = "checkpoints"
	b := w.read(file)
	if len(b) == 0 {
		w.problem(file, "missing or empty: nothing vouches for the events")
		return nil
	}
	var cps []Checkpoint
	for i := 1; len(b) > 0; i++ {
		where := fmt.Sprintf("%s record %d", file, i)
		n := firstRecord(b)
		if n == 0 {
			w.problem(where, "%d bytes that are no whole checkpoint", len(b))
			break
		}
		c, err := OpenCheckpoint(b[:n], v)
		b = b[n:]
		if err != nil {
			w.problem(where, "%v", err)
			continue
		}
		if len(cps) == 0 && c.Tree.N != 0 {
			w.problem(where, "covers %d events, the first one covers none: earlier checkpoints are missing", c.Tree.N)
		}
		if len(cps) > 0 {
			p := cps[len(cps)-1]
			if c.Tree.N <= p.Tree.N {
				w.problem(where, "covers %d events after one of %d: out of order", c.Tree.N, p.Tree.N)
				continue
			}
			if c.Time.Before(p.Time) {
				w.problem(where, "is of %s, the one before of %s: the clock was set back", c.Time.Format(timeForm), p.Time.Format(timeForm))
			}
		}
		cps = append(cps, c)
	}
	return cps
}

// leaves reads every event, feeds the tiles, and compares the root at the size of each checkpoint.
func (w *walk) leaves(cps []Checkpoint, known *Checkpoint) {
	sealed := int64(0)
	if len(cps) > 0 {
		sealed = cps[len(cps)-1].Tree.N
	}
	bad, good := false, int64(0)
	if known != nil && known.Tree.N > sealed {
		w.problem("checkpoints", "cover %d events, the known checkpoint of %s covers %d: the log was cut back", sealed, known.Time.Format(timeForm), known.Tree.N)
	}
	check := func() {
		if known != nil && known.Tree.N == w.n && w.root() != known.Tree.Hash {
			w.problem(leafRange(0, w.n), "are not those of the known checkpoint of %s: the log was replaced", known.Time.Format(timeForm))
		}
		for len(cps) > 0 && cps[0].Tree.N == w.n {
			if r := w.root(); r != cps[0].Tree.Hash && !bad {
				bad = true
				w.problem(leafRange(good, w.n), "do not give the root of the checkpoint at %d: changed, removed or reordered", w.n)
			}
			good, cps = w.n, cps[1:]
		}
	}
	check()
	for {
		file := leafFile(w.n)
		b, ok := w.read(file), false
		if _, ok = w.sizes[file]; !ok {
			break
		}
		lines, rest := split(b)
		if len(rest) > 0 {
			w.problem(fmt.Sprintf("%s line %d", file, len(lines)+1), "%d bytes without an end of line", len(rest))
		}
		for i, l := range lines {
			if i == width {
				w.problem(fmt.Sprintf("%s line %d", file, i+1), "%d lines more than a file holds", len(lines)-width)
				break
			}
			if w.n >= sealed {
				w.problem(fmt.Sprintf("%s line %d", file, i+1), "%d events that no checkpoint covers", len(lines)-i)
				return
			}
			w.leaf(file, i, l)
			check()
		}
		if len(lines) < width {
			break
		}
	}
	if w.n < sealed {
		w.problem(leafFile(w.n), "ends after event %d, the checkpoints cover %d events: %d are missing", w.n-1, sealed, sealed-w.n)
	}
}

func leafRange(from, to int64) string {
	if to-from == 1 {
		return fmt.Sprintf("%s line %d (event %d)", leafFile(from), from%width+1, from)
	}
	return fmt.Sprintf("events %d to %d, from %s line %d", from, to-1, leafFile(from), from%width+1)
}

// leaf adds one event to the tree and compares its hash with the tile's.
func (w *walk) leaf(file string, line int, text []byte) {
	h := tlog.RecordHash(text)
	w.hash(0, h)
	w.n++
	// Subtrees of equal size join; the one of size 2^k is a hash of level k.
	for k, size := 0, w.n; size&1 == 0; k, size = k+1, size>>1 {
		h = tlog.NodeHash(w.roots[len(w.roots)-1], h)
		w.roots = w.roots[:len(w.roots)-1]
		if (k+1)%height == 0 {
			w.hash((k+1)/height, h)
		}
	}
	w.roots = append(w.roots, h)
}

// root joins the complete subtrees, smallest first (RFC 6962, 2.1).
func (w *walk) root() tlog.Hash {
	if len(w.roots) == 0 {
		h, _ := tlog.TreeHash(0, nil) // the hash of nothing; reads no hash
		return h
	}
	h := w.roots[len(w.roots)-1]
	for i := len(w.roots) - 2; i >= 0; i-- {
		h = tlog.NodeHash(w.roots[i], h)
	}
	return h
}

// hash collects the hashes of a level and compares each full tile with its file.
func (w *walk) hash(level int, h tlog.Hash) {
	for len(w.tileSums) <= level {
		w.tileSums = append(w.tileSums, nil)
	}
	if w.at == nil {
		w.at = map[int]int64{}
	}
	w.tileSums[level] = append(w.tileSums[level], h[:]...)
	w.at[level]++
	if w.at[level]%width == 0 {
		w.tile(level, w.at[level]/width-1)
	}
}

// tiles compares the partial tiles at the end.
func (w *walk) tiles() {
	for level := range w.tileSums {
		if w.at[level]%width != 0 {
			w.tile(level, w.at[level]/width)
		}
	}
}

func (w *walk) tile(level int, n int64) {
	want, file := w.tileSums[level], tileFile(level, n)
	w.tileSums[level] = nil
	got := w.read(file)
	if bytes.Equal(got, want) {
		return
	}
	for i := 0; i+tlog.HashSize <= len(want); i += tlog.HashSize {
		if i+tlog.HashSize > len(got) || !bytes.Equal(got[i:i+tlog.HashSize], want[i:i+tlog.HashSize]) {
			first := (n*width + int64(i/tlog.HashSize)) << (level * height)
			if i+tlog.HashSize > len(got) {
				w.problem(fmt.Sprintf("%s byte %d", file, len(got)), "ends before the hash of event %d", first)
			} else {
				w.problem(fmt.Sprintf("%s bytes %d..%d", file, i, i+tlog.HashSize-1), "not the hash of %s line %d (event %d)", leafFile(first), first%width+1, first)
			}
			return
		}
	}
	w.problem(fmt.Sprintf("%s byte %d", file, len(want)), "%d bytes that belong to no event", len(got)-len(want))
}

// strangers reports files that no event accounts for.
func (w *walk) strangers() {
	var more []string
	for f := range w.sizes {
		if !w.seen[f] {
			more = append(more, f)
		}
	}
	slices.Sort(more)
	for _, f := range more {
		w.problem(f, "belongs to no sealed event")
	}
}
