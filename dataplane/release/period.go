package release

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/sekisho/sekisho/dataplane/durable"
)

// ring holds the period keys: one that wraps new file keys and, in the middle of a rotation, the one before it. The file lies
// outside every database; backups must leave it out. A rotation ends by overwriting the old key where it stood, and from
// then on nothing that was wrapped by it can be read again, in whatever old disk block or backup it still lies.
type ring struct {
	path string
	mu   sync.RWMutex
	file ringFile
}

type ringFile struct {
	Version int               `json:"version"`
	Current string            `json:"current"`
	Since   time.Time         `json:"since"`
	Keys    map[string][]byte `json:"keys"`
}

// wrapped is a file key, sealed by a period key.
type wrapped struct {
	Period string `json:"period"`
	Nonce  []byte `json:"nonce"`
	Sealed []byte `json:"sealed"`
}

func openRing(path string, now time.Time) (*ring, error) {
	r := &ring{path: path}
	if err := scrubLeft(path); err != nil {
		return nil, fmt.Errorf("finish overwriting old period keys: %w", err)
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		r.file = ringFile{Version: 1, Keys: map[string][]byte{}}
		if err := r.add(now); err != nil {
			return nil, err
		}
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read period keys: %w", err)
	}
	if err := json.Unmarshal(b, &r.file); err != nil {
		return nil, fmt.Errorf("read period keys %s: %w", path, err)
	}
	if r.file.Version != 1 || len(r.file.Keys[r.file.Current]) != keySize {
		return nil, fmt.Errorf("read period keys %s: version %d, current key %q is not there", path, r.file.Version, r.file.Current)
	}
	return r, nil
}

// add makes a new current key and keeps the old ones.
func (r *ring) add(now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	id, key := make([]byte, 8), make([]byte, keySize)
	rand.Read(id)
	rand.Read(key)
	next := ringFile{Version: 1, Current: hex.EncodeToString(id), Since: now.UTC(), Keys: map[string][]byte{hex.EncodeToString(id): key}}
	for k, v := range r.file.Keys {
		next.Keys[k] = v
	}
	return r.write(next)
}

// forget drops all keys but the current one.
func (r *ring) forget() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.file.Keys) == 1 {
		return nil
	}
	next := r.file
	next.Keys = map[string][]byte{next.Current: r.file.Keys[next.Current]}
	return r.write(next)
}

func (r *ring) write(next ringFile) error {
	b, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("write period keys: %w", err)
	}
	if err := replaceFile(r.path, b, true); err != nil {
		return fmt.Errorf("write period keys: %w", err)
	}
	r.file = next
	return nil
}

// rotating tells whether a rotation began and did not end.
func (r *ring) rotating() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.file.Keys) > 1
}

func (r *ring) since() time.Time {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.file.Since
}

// wrap seals a file key; aad binds it to its transfer and role.
func (r *ring) wrap(key []byte, aad string) (wrapped, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	aead, err := newAEAD(r.file.Keys[r.file.Current])
	if err != nil {
		return wrapped{}, err
	}
	w := wrapped{Period: r.file.Current, Nonce: make([]byte, aead.NonceSize())}
	rand.Read(w.Nonce)
	w.Sealed = aead.Seal(nil, w.Nonce, key, []byte(aad))
	return w, nil
}

func (r *ring) unwrap(w wrapped, aad string) ([]byte, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	period, ok := r.file.Keys[w.Period]
	if !ok {
		return nil, fmt.Errorf("key of %s: its period key is gone: %w", aad, errDamaged)
	}
	aead, err := newAEAD(period)
	if err != nil {
		return nil, err
	}
	if len(w.Nonce) != aead.NonceSize() {
		return nil, fmt.Errorf("key of %s: %w", aad, errDamaged)
	}
	key, err := aead.Open(nil, w.Nonce, w.Sealed, []byte(aad))
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", aad, errDamaged)
	}
	return key, nil
}

// replaceFile writes path atomically and durably: new file, fsync, rename, fsync of the directory. With scrub, the bytes of
// the old file are overwritten in place afterwards, so that no copy of a key stays in free blocks; a kill in between leaves
// a second name for them, which scrubLeft finds at the next start.
func replaceFile(path string, b []byte, scrub bool) error {
	if scrub {
		if err := scrubLeft(path); err != nil {
			return err
		}
		if err := os.Link(path, path+oldSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := durable.Write(path+newSuffix, b, 0o600); err != nil {
		return err
	}
	if err := durable.Rename(path+newSuffix, path); err != nil {
		return err
	}
	return scrubLeft(path)
}

const (
	newSuffix = ".new"
	oldSuffix = ".old"
)

// scrubLeft overwrites and removes what replaceFile kept of path's former content, and a new content that never came to be.
func scrubLeft(path string) error {
	if err := scrub(path + newSuffix); err != nil {
		return err
	}
	was, err := os.Lstat(path + oldSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	is, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if os.SameFile(was, is) { // killed before the rename: the second name is of the live file
		return os.Remove(path + oldSuffix)
	}
	return scrub(path + oldSuffix)
}

// scrub overwrites a file where it lies, and removes it. A file that is not there is done.
func scrub(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(make([]byte, info.Size()), 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Remove(path)
}
