package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A crash leaves, in the order of writing: an unfinished line; finished lines without a checkpoint; hashes that never reached
// the disk; an unfinished checkpoint. None of these was answered. Anything less than what the last checkpoint covers is not a
// crash but damage.

// recover brings the directory to a sealed state and fills in size, last and cpSize.
func (l *Log) recover(v note.Verifier, verifierKey string) error {
	c, cpSize, torn, err := l.disk.lastCheckpoint(v)
	if errors.Is(err, errNoCheckpoint) {
		if c, cpSize, err = l.create(verifierKey); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	l.size, l.last, l.cpSize = c.Tree.N, c, cpSize
	if err := truncate(filepath.Join(l.disk.dir, "checkpoints"), cpSize); err != nil {
		return err
	}
	adopted, cut, err := l.disk.tail(c.Tree.N)
	if err != nil {
		return err
	}
	if err := l.disk.cutHashes(c.Tree.N); err != nil {
		return err
	}
	if err := l.checkHashes(c); err != nil {
		return err
	}
	if len(adopted) == 0 && len(cut) == 0 && len(torn) == 0 {
		return nil
	}
	lines := adopted
	e := New(l.now(), "", "sekisho-control", "audit.recovered", "", map[string]string{
		"unsealed_events": strconv.Itoa(len(adopted)),
		"cut_event":       bounded(cut),
		"cut_checkpoint":  bounded(torn),
	})
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := l.disk.writeLeaves(c.Tree.N+int64(len(adopted)), [][]byte{b}); err != nil {
		return err
	}
	return l.sealWritten(c.Tree.N, append(lines, b))
}

// create starts an empty log with a checkpoint of nothing. Events without any checkpoint are damage: the checkpoint comes first.
func (l *Log) create(verifierKey string) (Checkpoint, int64, error) {
	if _, err := os.Stat(filepath.Join(l.disk.dir, leafFile(0))); err == nil {
		return Checkpoint{}, 0, fmt.Errorf("%w: %s is there but no checkpoint", ErrDamaged, leafFile(0))
	}
	root, err := tlog.TreeHash(0, l.disk)
	if err != nil {
		return Checkpoint{}, 0, err
	}
	c := Checkpoint{Origin: l.signer.Name(), Tree: tlog.Tree{N: 0, Hash: root}, Time: l.now().UTC()}
	b, err := c.sign(l.signer)
	if err != nil {
		return Checkpoint{}, 0, err
	}
	if err := l.disk.writeAt("key.pub", 0, []byte(verifierKey+"\n"), true); err != nil {
		return Checkpoint{}, 0, err
	}
	return c, int64(len(b)), l.disk.writeAt("checkpoints", 0, b, true)
}

var errNoCheckpoint = errors.New("no checkpoint yet")

// tailSize is more than two records: enough to find the last whole one before a torn one.
const tailSize = 64 << 10

// lastCheckpoint reads the end of the checkpoints file: the last whole record, where it ends, and the torn bytes after it.
func (d disk) lastCheckpoint(v note.Verifier) (c Checkpoint, end int64, torn []byte, err error) {
	f, err := os.Open(filepath.Join(d.dir, "checkpoints"))
	if errors.Is(err, fs.ErrNotExist) {
		return c, 0, nil, errNoCheckpoint
	}
	if err != nil {
		return c, 0, nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return c, 0, nil, err
	}
	from := max(st.Size()-tailSize, 0)
	b := make([]byte, st.Size()-from)
	if _, err := f.ReadAt(b, from); err != nil {
		return c, 0, nil, err
	}
	if from > 0 { // begin with the first record that begins here
		at := bytes.Index(b, []byte("\n\n"+v.Name()+"\n"))
		if at < 0 {
			return c, 0, nil, fmt.Errorf("%w: no checkpoint in the last %d bytes of the file", ErrDamaged, len(b))
		}
		b, from = b[at+2:], from+int64(at)+2
	}
	n := wholeRecords(b)
	if n == 0 && from > 0 {
		return c, 0, nil, fmt.Errorf("%w: no whole checkpoint in the last %d bytes of the file", ErrDamaged, len(b))
	}
	if n == 0 {
		return c, 0, b, errNoCheckpoint
	}
	start := bytes.LastIndex(b[:n-2], []byte("\n\n"))          // before the signature
	start = bytes.LastIndex(b[:max(start, 0)], []byte("\n\n")) // before the text
	if start >= 0 {
		start += 2
	} else {
		start = 0
	}
	if c, err = OpenCheckpoint(b[start:n], v); err != nil {
		return c, 0, nil, fmt.Errorf("%w: last checkpoint: %w", ErrDamaged, err)
	}
	return c, from + int64(n), b[n:], nil
}

// wholeRecords gives the length of the leading part of b that consists of whole records.
func wholeRecords(b []byte) int {
	end := 0
	for n := firstRecord(b); n > 0; n = firstRecord(b[end:]) {
		end += n
	}
	return end
}

// firstRecord gives the length of the record that b begins with: text, empty line, signature, empty line; 0 when it is torn.
func firstRecord(b []byte) int {
	text := bytes.Index(b, []byte("\n\n"))
	if text < 0 {
		return 0
	}
	sig := bytes.Index(b[text+2:], []byte("\n\n"))
	if sig < 0 {
		return 0
	}
	return text + 2 + sig + 2
}

// tail finds the finished events after the sealed ones and cuts what is unfinished.
func (d disk) tail(sealed int64) (adopted [][]byte, cut []byte, err error) {
	for n := sealed; ; n = n - n%width + width {
		file := leafFile(n)
		lines, rest, err := d.lines(file)
		if errors.Is(err, fs.ErrNotExist) {
			if n == sealed && n%width != 0 {
				return nil, nil, fmt.Errorf("%w: %s is missing", ErrDamaged, file)
			}
			return adopted, cut, nil
		}
		if err != nil {
			return nil, nil, err
		}
		skip := n % width
		if int64(len(lines)) < skip {
			return nil, nil, fmt.Errorf("%w: %s holds %d events, the last checkpoint covers %d", ErrDamaged, file, len(lines), skip)
		}
		keep := int64(0)
		for _, l := range lines[:skip] {
			keep += int64(len(l)) + 1
		}
		size := keep
		for _, l := range lines[skip:] {
			size += int64(len(l)) + 1
		}
		size += int64(len(rest))
		for _, l := range lines[skip:] {
			if len(cut) > 0 || skip == width || !json.Valid(l) {
				break
			}
			adopted, skip, keep = append(adopted, bytes.Clone(l)), skip+1, keep+int64(len(l))+1
		}
		if keep < size {
			b, err := os.ReadFile(filepath.Join(d.dir, file))
			if err != nil {
				return nil, nil, err
			}
			cut = append(cut, b[keep:]...)
			if err := truncate(filepath.Join(d.dir, file), keep); err != nil {
				return nil, nil, err
			}
		}
		if keep == 0 {
			if err := os.Remove(filepath.Join(d.dir, file)); err != nil {
				return nil, nil, err
			}
		}
	}
}

// cutHashes takes away hashes of events that are not sealed.
func (d disk) cutHashes(sealed int64) error {
	for level := 0; level < 8; level++ {
		n := sealed >> (level * height)
		file := filepath.Join(d.dir, tileFile(level, n/width))
		if err := truncate(file, n%width*tlog.HashSize); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if n%width == 0 {
			if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		file = filepath.Join(d.dir, tileFile(level, n/width+1))
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// checkHashes compares tiles and the newest leaf file with the checkpoint, and makes the tiles anew from the leaves once.
func (l *Log) checkHashes(c Checkpoint) error {
	err := l.disk.matches(c)
	if err == nil {
		return nil
	}
	for n := int64(0); n < c.Tree.N; n += width {
		lines, _, err := l.disk.lines(leafFile(n))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if want := min(width, c.Tree.N-n); int64(len(lines)) < want {
			return fmt.Errorf("%w: %s holds %d events, want %d", ErrDamaged, leafFile(n), len(lines), want)
		} else if err := l.disk.writeHashes(n, lines[:want]); err != nil {
			return err
		}
	}
	if err := l.disk.matches(c); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

func (d disk) matches(c Checkpoint) error {
	root, err := tlog.TreeHash(c.Tree.N, d)
	if err != nil {
		return err
	}
	if root != c.Tree.Hash {
		return fmt.Errorf("root of %d events is %s, the checkpoint says %s", c.Tree.N, root, c.Tree.Hash)
	}
	if c.Tree.N == 0 {
		return nil
	}
	base := (c.Tree.N - 1) / width * width
	lines, _, err := d.lines(leafFile(base))
	if err != nil {
		return err
	}
	for i := base; i < c.Tree.N; i++ {
		h, err := d.ReadHashes([]int64{tlog.StoredHashIndex(0, i)})
		if err != nil {
			return err
		}
		if i-base >= int64(len(lines)) || tlog.RecordHash(lines[i-base]) != h[0] {
			return fmt.Errorf("event %d does not match its hash", i)
		}
	}
	return nil
}

func truncate(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Size() <= size {
		return err
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	return f.Sync()
}

// bounded keeps what was cut in the log, so that even that is not lost.
func bounded(b []byte) string {
	const most = 4096
	if len(b) > most {
		return fmt.Sprintf("%q and %d bytes more", b[:most], len(b)-most)
	}
	if len(b) == 0 {
		return ""
	}
	return strconv.Quote(string(b))
}
