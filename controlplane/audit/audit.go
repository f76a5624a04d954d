// Package audit is the gate's memory of who did what.
//
// Problem: a log that its own keeper can rewrite proves nothing, and an act that was answered before its record was safe may
// vanish with the power. Mechanism: an append-only Merkle log (golang.org/x/mod/sumdb/tlog, height 8): events are lines of
// JSON in files of 256, hashes lie in tiles beside them, and each group of events is sealed by a checkpoint (a signed note of
// size and root hash). Append returns only after events and checkpoint are synced; events that arrive meanwhile share the
// next group. Life cycle: Create once, Open by the one writer, Verify by anybody who has a copy. Invariant: every answered
// event lies under a signed checkpoint, and one changed, missing or added byte anywhere is found and told with its place.
//
// What no copy alone can show is a log cut back as a whole to an earlier checkpoint: for that Verify compares with a
// checkpoint that was kept elsewhere.
//
// In a directory:
//
//	checkpoints          signed notes, each followed by an empty line, oldest first
//	tile/8/data/000      events 0..255, one line each (further files as tlog.Tile.Path names them)
//	tile/8/0/000         their hashes, 32 bytes each; tile/8/1 holds the hashes of full tiles, and so on
//	key.pub              the note verifier key, for people; trust the copy that root keeps
//	writer.lock, commit.lock
package audit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"
)

// Event is one leaf.
type Event struct {
	ID     string            `json:"id"` // 32 hexadecimal digits, given by New
	Time   time.Time         `json:"time"`
	Zone   string            `json:"zone,omitempty"` // of the socket that the act came in by
	Actor  string            `json:"actor"`          // person, "root", or a daemon's name
	Action string            `json:"action"`         // "transfer.reject"
	Object string            `json:"object,omitempty"`
	Detail map[string]string `json:"detail,omitempty"` // never a file name or a password
}

// New makes an event with a fresh id.
func New(now time.Time, zone, actor, action, object string, detail map[string]string) Event {
	id := make([]byte, 16)
	rand.Read(id) // never fails (Go 1.24)
	return Event{ID: hex.EncodeToString(id), Time: now.UTC().Truncate(time.Millisecond), Zone: zone, Actor: actor, Action: action, Object: object, Detail: detail}
}

// Bounds of one event's line and of one group.
const (
	maxLine  = 64 << 10 // bytes
	maxGroup = 512      // events
)

// ErrBroken is answered after a write failed: the log takes no more events until it is opened again.
var ErrBroken = errors.New("audit log cannot be written; nothing more is recorded or done until control is restarted on a sound disk")

// ErrDamaged is answered by Open when answered events are missing or changed.
var ErrDamaged = errors.New("audit log is damaged; run `sekisho audit verify` on it, keep it as evidence, and start a new one")

// Log is an open log. There is one writer at a time.
type Log struct {
	disk   disk
	signer note.Signer
	now    func() time.Time
	lock   *os.File // writer.lock, held

	queue chan request
	done  chan struct{}

	mu     sync.RWMutex
	size   int64 // sealed events
	cpSize int64 // bytes of the checkpoints file
	last   Checkpoint
	broken error
	closed bool
}

type request struct {
	lines [][]byte
	reply chan result
}

type result struct {
	first int64
	err   error
}

// GenerateKey makes the signing and the verifier key of a log. The origin names the log and may not hold spaces or "+".
func GenerateKey(origin string) (signer, verifier string, err error) {
	signer, verifier, err = note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return "", "", fmt.Errorf("audit key for %s: %w", origin, err)
	}
	return signer, verifier, nil
}

// Open opens the log in dir for writing, making it where there is none, and repairs what a crash can leave: an unfinished
// last line or checkpoint is cut, finished but unsealed events are sealed, and an event says so.
func Open(dir, signerKey, verifierKey string, now func() time.Time) (*Log, error) {
	signer, err := note.NewSigner(signerKey)
	if err != nil {
		return nil, fmt.Errorf("open audit log %s: signing key: %w", dir, err)
	}
	verifier, err := note.NewVerifier(verifierKey)
	if err != nil {
		return nil, fmt.Errorf("open audit log %s: verifier key: %w", dir, err)
	}
	if signer.Name() != verifier.Name() || signer.KeyHash() != verifier.KeyHash() {
		return nil, fmt.Errorf("open audit log %s: signing key is of %s, verifier key of another: install the pair that init made", dir, signer.Name())
	}
	if err := mkdir(dir); err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "writer.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("open audit log %s: another process writes it: %w", dir, err)
	}
	l := &Log{disk: disk{dir}, signer: signer, now: now, lock: lock, queue: make(chan request, maxGroup), done: make(chan struct{})}
	if err := l.recover(verifier, verifierKey); err != nil {
		lock.Close()
		return nil, fmt.Errorf("open audit log %s: %w", dir, err)
	}
	go l.run()
	return l, nil
}

// Append records the events and returns the index of the first. When it returns without error they are on disk and sealed.
func (l *Log) Append(ctx context.Context, events ...Event) (int64, error) {
	r := request{reply: make(chan result, 1)}
	for _, e := range events {
		b, err := json.Marshal(e)
		if err != nil {
			return 0, fmt.Errorf("record %s: %w", e.Action, err)
		}
		if len(b) > maxLine {
			return 0, fmt.Errorf("record %s: %d bytes, want at most %d", e.Action, len(b), maxLine)
		}
		r.lines = append(r.lines, b)
	}
	if len(r.lines) == 0 || len(r.lines) > maxGroup {
		return 0, fmt.Errorf("record %d events at once: want 1 to %d", len(r.lines), maxGroup)
	}
	if err := l.send(ctx, r); err != nil {
		return 0, err
	}
	res := <-r.reply // the group is being written: its outcome is known in any case
	return res.first, res.err
}

func (l *Log) send(ctx context.Context, r request) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return fmt.Errorf("record: %w", fs.ErrClosed)
	}
	select {
	case l.queue <- r:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("record: %w", ctx.Err())
	}
}

// run writes group after group until Close.
func (l *Log) run() {
	defer close(l.done)
	for first := range l.queue {
		group, lines := []request{first}, len(first.lines)
	gather:
		for lines < maxGroup {
			select {
			case r, ok := <-l.queue:
				if !ok {
					break gather
				}
				group, lines = append(group, r), lines+len(r.lines)
			default:
				break gather
			}
		}
		l.commit(group)
	}
}

// commit writes one group and answers all of it.
func (l *Log) commit(group []request) {
	var lines [][]byte
	for _, r := range group {
		lines = append(lines, r.lines...)
	}
	l.mu.RLock()
	first, err := l.size, l.broken
	l.mu.RUnlock()
	if err == nil {
		err = l.seal(first, lines)
	}
	for _, r := range group {
		r.reply <- result{first, err}
		first += int64(len(r.lines))
	}
}

// seal makes lines the events from index first on: leaves synced, then hashes, then the signed checkpoint synced.
func (l *Log) seal(first int64, lines [][]byte) error {
	unlock := l.disk.lockCommits(unix.LOCK_EX)
	defer unlock()
	err := l.disk.writeLeaves(first, lines)
	if err == nil {
		err = l.sealWritten(first, lines)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrBroken, err)
		l.mu.Lock()
		l.broken = err
		l.mu.Unlock()
	}
	return err
}

// sealWritten hashes and seals leaves that are on disk already.
func (l *Log) sealWritten(first int64, lines [][]byte) error {
	if err := l.disk.writeHashes(first, lines); err != nil {
		return err
	}
	size := first + int64(len(lines))
	root, err := tlog.TreeHash(size, l.disk)
	if err != nil {
		return fmt.Errorf("root of %d events: %w", size, err)
	}
	c := Checkpoint{Origin: l.signer.Name(), Tree: tlog.Tree{N: size, Hash: root}, Time: l.now().UTC().Truncate(time.Millisecond)}
	b, err := c.sign(l.signer)
	if err != nil {
		return err
	}
	if err := l.disk.writeAt("checkpoints", l.cpSize, b, true); err != nil {
		return err
	}
	l.mu.Lock()
	l.size, l.last, l.cpSize = size, c, l.cpSize+int64(len(b))
	l.mu.Unlock()
	return nil
}

// Size is the number of sealed events.
func (l *Log) Size() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.size
}

// Last is the newest checkpoint.
func (l *Log) Last() Checkpoint {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.last
}

// Record is an event with its place.
type Record struct {
	Index int64
	Event
}

// Read gives the sealed events with indexes in [from, to), oldest first.
func (l *Log) Read(from, to int64) ([]Record, error) {
	if size := l.Size(); to > size {
		to = size
	}
	return l.disk.read(max(from, 0), to)
}

// Close waits for the groups under way.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	close(l.queue)
	<-l.done
	return l.lock.Close()
}
