package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/durable"
)

const (
	height = 8
	width  = 1 << height // leaves of one file, hashes of one tile
)

// disk is the log's directory. Files only grow; a partial tile is the prefix of the full one.
type disk struct{ dir string }

// leafFile names the file of event i, tileFile that of tile n of level.
func leafFile(i int64) string { return tileFile(-1, i/width) }

func tileFile(level int, n int64) string {
	return filepath.FromSlash(tlog.Tile{H: height, L: level, N: n, W: width}.Path())
}

// writeLeaves adds lines as events from index first on and syncs them.
func (d disk) writeLeaves(first int64, lines [][]byte) error {
	for len(lines) > 0 {
		n := min(int64(len(lines)), width-first%width)
		var b bytes.Buffer
		for _, l := range lines[:n] {
			b.Write(l)
			b.WriteByte('\n')
		}
		at := int64(0)
		if first%width != 0 {
			st, err := os.Stat(filepath.Join(d.dir, leafFile(first)))
			if err != nil {
				return err
			}
			at = st.Size()
		}
		if err := d.writeAt(leafFile(first), at, b.Bytes(), true); err != nil {
			return err
		}
		first, lines = first+n, lines[n:]
	}
	return nil
}

// writeHashes adds the hashes of the lines. A tile is synced when it is full; until then Open makes it anew from the leaves
// where it is wrong, which the root tells because it covers every hash of a partial tile.
func (d disk) writeHashes(first int64, lines [][]byte) error {
	for i, l := range lines {
		n := first + int64(i)
		hs, err := tlog.StoredHashes(n, l, d)
		if err != nil {
			return fmt.Errorf("hash event %d: %w", n, err)
		}
		for level := 0; level < len(hs); level += height {
			at := n >> level
			if err := d.writeAt(tileFile(level/height, at/width), at%width*tlog.HashSize, hs[level][:], at%width == width-1); err != nil {
				return err
			}
		}
	}
	return nil
}

// ReadHashes makes the directory a tlog.HashReader.
func (d disk) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		t := tlog.TileForIndex(height, x)
		b := make([]byte, t.W*tlog.HashSize)
		f, err := os.Open(filepath.Join(d.dir, tileFile(t.L, t.N)))
		if err != nil {
			return nil, err
		}
		_, err = io.ReadFull(f, b)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", tileFile(t.L, t.N), err)
		}
		if out[i], err = tlog.HashFromTile(t, b, x); err != nil {
			return nil, fmt.Errorf("read %s: %w", tileFile(t.L, t.N), err)
		}
	}
	return out, nil
}

// lines gives the complete lines of a leaf file and what follows the last of them.
func (d disk) lines(file string) (lines [][]byte, rest []byte, err error) {
	b, err := os.ReadFile(filepath.Join(d.dir, file))
	if err != nil {
		return nil, nil, err
	}
	lines, rest = split(b)
	return lines, rest, nil
}

func split(b []byte) (lines [][]byte, rest []byte) {
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return lines, b
		}
		lines, b = append(lines, b[:i]), b[i+1:]
	}
}

// read decodes the events in [from, to).
func (d disk) read(from, to int64) ([]Record, error) {
	var out []Record
	for from < to {
		lines, _, err := d.lines(leafFile(from))
		if err != nil {
			return nil, fmt.Errorf("read event %d: %w", from, err)
		}
		for base := from - from%width; from < to && from < base+width; from++ {
			if from-base >= int64(len(lines)) {
				return nil, fmt.Errorf("read event %d: %s ends before it: %w", from, leafFile(from), ErrDamaged)
			}
			r := Record{Index: from}
			if err := json.Unmarshal(lines[from-base], &r.Event); err != nil {
				return nil, fmt.Errorf("read event %d: %w", from, err)
			}
			out = append(out, r)
		}
	}
	return out, nil
}

// writeAt writes b at the offset and, when sync is set, waits until file and name are on disk.
func (d disk) writeAt(file string, at int64, b []byte, sync bool) error {
	path := filepath.Join(d.dir, file)
	_, statErr := os.Stat(path)
	fresh := errors.Is(statErr, fs.ErrNotExist)
	if fresh {
		if err := mkdir(filepath.Dir(path)); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, at)
	if err == nil && sync {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil && fresh { // also for a file that is synced later
		err = durable.SyncDir(filepath.Dir(path))
	}
	return err
}

// lockCommits holds off (shared) or tells off (exclusive) a look at the sizes of all files. Where the directory cannot be
// written, as on an export, nobody writes and there is nothing to lock.
func (d disk) lockCommits(how int) (unlock func()) {
	flags := os.O_RDONLY
	if how == unix.LOCK_EX {
		flags = os.O_CREATE | os.O_RDWR
	}
	f, err := os.OpenFile(filepath.Join(d.dir, "commit.lock"), flags, 0o600)
	if err != nil {
		return func() {}
	}
	if err := unix.Flock(int(f.Fd()), how); err != nil {
		f.Close()
		return func() {}
	}
	return func() { f.Close() }
}

// mkdir makes dir and syncs each directory that got a new name.
func mkdir(dir string) error {
	if st, err := os.Stat(dir); err == nil && st.IsDir() {
		return nil
	}
	if err := mkdir(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return durable.SyncDir(filepath.Dir(dir))
}

// Each reads the events of a log from index from on, at most max (0 = all), without verifying them. It needs only the directory.
func Each(dir string, from, max int64, f func(Record) error) error {
	d := disk{dir}
	for n := from; max == 0 || n < from+max; {
		lines, _, err := d.lines(leafFile(n))
		if errors.Is(err, fs.ErrNotExist) && n > 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read event %d: %w", n, err)
		}
		end := n - n%width + int64(len(lines))
		if max > 0 {
			end = min(end, from+max)
		}
		rs, err := d.read(n, end)
		if err != nil {
			return err
		}
		for _, r := range rs {
			if err := f(r); err != nil {
				return err
			}
		}
		if len(lines) < width {
			return nil
		}
		n = end
	}
	return nil
}
