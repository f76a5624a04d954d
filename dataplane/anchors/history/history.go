// Package history keeps every anchors file that a gate ever ran with.
//
// Problem: the anchors are what nobody but root can change, so a change of them is the one that an auditor asks about first, and
// an editor keeps no history. Mechanism: the privileged daemon compares the file with the last copy at each start and keeps a
// numbered copy, byte by byte, with time and hash, in its own state directory, which is root's. Life cycle: Keep at each start of
// the daemon; List and Read for people and for the audit log. Invariant: copies are only ever added; the last one is what runs.
package history

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/durable"
)

// Entry is one anchors file that was in force.
type Entry struct {
	Number int       `json:"number"` // from 1
	Time   time.Time `json:"time"`   // when the daemon first ran with it
	Hash   string    `json:"hash"`   // SHA-256 of the file, hexadecimal
}

// Told is an entry with what it changed.
type Told struct {
	Entry
	Changes []anchors.Change `json:"changes"`         // against the entry before; none for the first
	Error   string           `json:"error,omitempty"` // why that cannot be told
}

// most is how many changes of one entry are told to others.
const most = 200

// Book is the history in a directory.
type Book struct{ Dir string }

// Keep adds the file that the daemon runs with from now on, unless it is the one that it ran with last. The entry is the last
// one either way.
func (b Book) Keep(text []byte, now time.Time) (e Entry, added bool, err error) {
	entries, err := b.entries()
	if err != nil {
		return e, false, err
	}
	sum := sha256.Sum256(text)
	e = Entry{Number: 1, Time: now.UTC().Truncate(time.Second), Hash: hex.EncodeToString(sum[:])}
	if n := len(entries); n > 0 {
		last := entries[n-1]
		if last.Hash == e.Hash {
			return last, false, nil
		}
		e.Number = last.Number + 1
	}
	meta, err := json.Marshal(e)
	if err == nil {
		err = os.MkdirAll(b.Dir, 0o700)
	}
	if err == nil {
		err = durable.Replace(b.file(e.Number, "yaml"), text, 0o400)
	}
	if err == nil { // it counts from here on
		err = durable.Replace(b.file(e.Number, "json"), append(meta, '\n'), 0o400)
	}
	if err != nil {
		return e, false, fmt.Errorf("keep the anchors' history: %w", err)
	}
	return e, true, nil
}

func (b Book) file(n int, kind string) string {
	return filepath.Join(b.Dir, fmt.Sprintf("%04d.%s", n, kind))
}

// entries are all, oldest first.
func (b Book) entries() ([]Entry, error) {
	files, err := os.ReadDir(b.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the anchors' history: %w", err)
	}
	var out []Entry
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".json")
		n, err := strconv.Atoi(name)
		if !ok || err != nil {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(b.Dir, f.Name()))
		var e Entry
		if err == nil {
			err = json.Unmarshal(raw, &e)
		}
		if err == nil && e.Number != n {
			err = fmt.Errorf("it says that it is number %d", e.Number)
		}
		if err != nil {
			return nil, fmt.Errorf("read the anchors' history: %s: %w", f.Name(), err)
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(x, y Entry) int { return x.Number - y.Number })
	return out, nil
}

// List tells the entries behind a number, 0 for all, and what each changed, newest first.
func (b Book) List(after int) ([]Told, error) {
	entries, err := b.entries()
	if err != nil {
		return nil, err
	}
	out := []Told{}
	for i, e := range entries {
		if e.Number <= after {
			continue
		}
		t := Told{Entry: e, Changes: []anchors.Change{}}
		if i > 0 {
			if t.Changes, err = b.Diff(entries[i-1].Number, e.Number); err != nil {
				t.Error = err.Error()
			}
			if len(t.Changes) > most {
				t.Error = fmt.Sprintf("%d more changes are not listed", len(t.Changes)-most)
				t.Changes = t.Changes[:most]
			}
		}
		out = append(out, t)
	}
	slices.Reverse(out)
	return out, nil
}

// Last is the number of the entry in force; 0 when there is none.
func (b Book) Last() (int, error) {
	entries, err := b.entries()
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	return entries[len(entries)-1].Number, nil
}

// Read gives a copy, which must be what was kept.
func (b Book) Read(n int) ([]byte, error) {
	entries, err := b.entries()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(entries, func(e Entry) bool { return e.Number == n })
	if i < 0 {
		return nil, fmt.Errorf("the anchors' history has no number %d; `sekisho anchors history` lists what there is", n)
	}
	text, err := os.ReadFile(b.file(n, "yaml"))
	if err != nil {
		return nil, fmt.Errorf("read the anchors' history: %w", err)
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != entries[i].Hash {
		return nil, fmt.Errorf("read the anchors' history: %s is not what was kept: its hash is another", b.file(n, "yaml"))
	}
	return bytes.Clone(text), nil
}

// Diff tells what changed from one number to another.
func (b Book) Diff(from, to int) ([]anchors.Change, error) {
	var both [2]*anchors.Anchors
	for i, n := range []int{from, to} {
		text, err := b.Read(n)
		if err == nil {
			both[i], err = anchors.Parse(text)
		}
		if err != nil {
			return nil, fmt.Errorf("anchors number %d: %w", n, err)
		}
	}
	return anchors.Diff(both[0], both[1]), nil
}
