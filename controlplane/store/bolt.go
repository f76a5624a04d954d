package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/sekisho/sekisho/dataplane/durable"
)

// Buckets: "kv" holds key -> revision (8 bytes, big endian), lease (8), value; "leases" holds lease -> ttl, end (8 + 8,
// nanoseconds); "leased" holds lease + key -> nothing; "meta" holds "revision" and "lease", the last numbers given.
var (
	bucketKV     = []byte("kv")
	bucketLeases = []byte("leases")
	bucketLeased = []byte("leased")
	bucketMeta   = []byte("meta")

	keyRevision = []byte("revision")
	keyLease    = []byte("lease")
)

const header = 16

// Bolt is the store of a single appliance.
type Bolt struct {
	db  *bolt.DB
	now func() time.Time
	mu  sync.Mutex // orders commits and their news
	ws  map[*watcher]struct{}
}

type watcher struct {
	prefix string
	ch     chan Change
}

// backlog is how many changes a watcher may lie behind before it is cut off.
const backlog = 256

// OpenBolt opens or makes the file with mode 0600. It waits at most wait for another process to let go of it.
func OpenBolt(path string, wait time.Duration, now func() time.Time) (*Bolt, error) {
	_, statErr := os.Stat(path)
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: wait})
	if err != nil {
		if errors.Is(err, bolterrors.ErrTimeout) {
			return nil, fmt.Errorf("open store %s: another process holds it; ask that process, or stop it: %w", path, err)
		}
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, b := range [][]byte{bucketKV, bucketLeases, bucketLeased, bucketMeta} {
			if _, err := tx.CreateBucketIfNotExists(b); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && errors.Is(statErr, os.ErrNotExist) {
		err = durable.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	return &Bolt{db: db, now: now, ws: map[*watcher]struct{}{}}, nil
}

func (s *Bolt) Get(ctx context.Context, key string) (Entry, error) {
	e := Entry{Key: key}
	err := s.view(ctx, func(tx *bolt.Tx) error {
		var live bool
		if e, live = s.entry(tx, []byte(key), tx.Bucket(bucketKV).Get([]byte(key))); !live {
			return ErrNotFound
		}
		return nil
	})
	if err != nil {
		return Entry{}, fmt.Errorf("read %s: %w", key, err)
	}
	return e, nil
}

func (s *Bolt) Range(ctx context.Context, from, to string, limit int, reverse bool) ([]Entry, error) {
	var out []Entry
	err := s.view(ctx, func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketKV).Cursor()
		lo, hi := []byte(from), []byte(to)
		step := c.Next
		k, v := c.Seek(lo)
		if reverse {
			step = c.Prev
			k, v = last(c, hi)
		}
		for ; k != nil && bytes.Compare(k, lo) >= 0 && (to == "" || bytes.Compare(k, hi) < 0); k, v = step() {
			if e, live := s.entry(tx, k, v); live {
				out = append(out, e)
			}
			if limit > 0 && len(out) == limit {
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read %s..%s: %w", from, to, err)
	}
	return out, nil
}

// last places the cursor on the last key before hi.
func last(c *bolt.Cursor, hi []byte) (k, v []byte) {
	if len(hi) == 0 {
		return c.Last()
	}
	if k, _ := c.Seek(hi); k == nil {
		return c.Last()
	}
	return c.Prev()
}

func (s *Bolt) Commit(ctx context.Context, t Txn) (uint64, error) {
	var rev uint64
	var news []Change
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.update(ctx, func(tx *bolt.Tx) error {
		kv := tx.Bucket(bucketKV)
		for _, g := range t.If {
			e, _ := s.entry(tx, []byte(g.Key), kv.Get([]byte(g.Key)))
			if e.Revision != g.Revision {
				return fmt.Errorf("%s: %w", g.Key, ErrConflict)
			}
		}
		var err error
		if rev, err = next(tx, keyRevision); err != nil {
			return err
		}
		news = news[:0]
		for _, p := range t.Put {
			if err := s.put(tx, p, rev); err != nil {
				return err
			}
			news = append(news, Change{Entry: Entry{Key: p.Key, Value: p.Value, Revision: rev}})
		}
		for _, k := range t.Delete {
			if err := remove(tx, []byte(k)); err != nil {
				return err
			}
			news = append(news, Change{Entry: Entry{Key: k, Revision: rev}, Deleted: true})
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("commit: %w", err)
	}
	s.tell(news)
	return rev, nil
}

// put replaces a key; a lease that has ended holds nothing.
func (s *Bolt) put(tx *bolt.Tx, p Put, rev uint64) error {
	if err := remove(tx, []byte(p.Key)); err != nil {
		return err
	}
	if p.Lease != 0 {
		if !s.alive(tx, p.Lease) {
			return fmt.Errorf("put %s under lease %d: %w", p.Key, p.Lease, ErrNotFound)
		}
		if err := tx.Bucket(bucketLeased).Put(leasedKey(p.Lease, []byte(p.Key)), nil); err != nil {
			return err
		}
	}
	b := make([]byte, header, header+len(p.Value))
	binary.BigEndian.PutUint64(b, rev)
	binary.BigEndian.PutUint64(b[8:], uint64(p.Lease))
	return tx.Bucket(bucketKV).Put([]byte(p.Key), append(b, p.Value...))
}

func remove(tx *bolt.Tx, key []byte) error {
	kv := tx.Bucket(bucketKV)
	old := kv.Get(key)
	if len(old) < header {
		return nil
	}
	if l := Lease(binary.BigEndian.Uint64(old[8:])); l != 0 {
		if err := tx.Bucket(bucketLeased).Delete(leasedKey(l, key)); err != nil {
			return err
		}
	}
	return kv.Delete(key)
}

func (s *Bolt) Watch(ctx context.Context, prefix string) (<-chan Change, error) {
	w := &watcher{prefix: prefix, ch: make(chan Change, backlog)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ws == nil {
		return nil, fmt.Errorf("watch %s: %w", prefix, ErrClosed)
	}
	s.ws[w] = struct{}{}
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.drop(w)
	})
	return w.ch, nil
}

// tell is called with mu held.
func (s *Bolt) tell(news []Change) {
	for w := range s.ws {
		for _, c := range news {
			if len(c.Key) < len(w.prefix) || c.Key[:len(w.prefix)] != w.prefix {
				continue
			}
			select {
			case w.ch <- c:
				continue
			default:
			}
			s.drop(w)
			break
		}
	}
}

func (s *Bolt) drop(w *watcher) {
	if _, ok := s.ws[w]; ok {
		delete(s.ws, w)
		close(w.ch)
	}
}

func (s *Bolt) Close() error {
	s.mu.Lock()
	for w := range s.ws {
		s.drop(w)
	}
	s.ws = nil
	s.mu.Unlock()
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// entry decodes a stored value; false means absent or under an ended lease. The value is copied out of the page.
func (s *Bolt) entry(tx *bolt.Tx, key, raw []byte) (Entry, bool) {
	if len(raw) < header {
		return Entry{Key: string(key)}, false
	}
	if l := Lease(binary.BigEndian.Uint64(raw[8:])); l != 0 && !s.alive(tx, l) {
		return Entry{Key: string(key)}, false
	}
	return Entry{Key: string(key), Value: bytes.Clone(raw[header:]), Revision: binary.BigEndian.Uint64(raw)}, true
}

func (s *Bolt) view(ctx context.Context, f func(*bolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return closed(s.db.View(f))
}

func (s *Bolt) update(ctx context.Context, f func(*bolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return closed(s.db.Update(f))
}

func closed(err error) error {
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}

// next gives the number after the last one of its kind.
func next(tx *bolt.Tx, key []byte) (uint64, error) {
	m := tx.Bucket(bucketMeta)
	var n uint64
	if b := m.Get(key); len(b) == 8 {
		n = binary.BigEndian.Uint64(b)
	}
	n++
	return n, m.Put(key, binary.BigEndian.AppendUint64(nil, n))
}
