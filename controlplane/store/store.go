// Package store keeps what control must remember: people, sessions, transfers, revisions.
//
// Problem: one appliance wants an embedded engine, several want a shared one, and code above must not know which. Mechanism:
// the interface is what bbolt and etcd can both do: a transaction guarded by compare-and-swap on a key's revision, ordered
// ranges, watch, leases. Life cycle: opened by the one process that owns the file, closed at its end; every commit is synced
// to disk before it returns. Invariant: a transaction happens whole or not at all, revisions only grow, and a key under an
// expired lease is never seen again.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Errors that callers act on.
var (
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("changed in the meantime; read it again and repeat")
	ErrClosed   = errors.New("store is closed")
)

// Entry is one key with its value.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64 // store revision of the last change of this key; 0 = the key is absent
}

// Lease bounds the life of the keys put under it. 0 = no lease.
type Lease uint64

// If is a guard: the key must still be at the revision. Revision 0 demands that the key is absent.
type If struct {
	Key      string
	Revision uint64
}

// Put writes one key.
type Put struct {
	Key   string
	Value []byte
	Lease Lease
}

// Txn is done whole when every guard holds, else not at all (ErrConflict).
type Txn struct {
	If     []If
	Put    []Put
	Delete []string
}

// Change is what a watcher is told. Deleted keys have no value.
type Change struct {
	Entry
	Deleted bool
}

// Store is the intersection of bbolt and etcd.
type Store interface {
	// Get answers ErrNotFound for an absent key.
	Get(ctx context.Context, key string) (Entry, error)
	// Range gives the keys in [from, to) in order, at most limit (0 = all); reverse gives the last ones first.
	Range(ctx context.Context, from, to string, limit int, reverse bool) ([]Entry, error)
	// Commit answers the revision that the transaction made.
	Commit(ctx context.Context, t Txn) (uint64, error)
	// Watch tells of every change under prefix after the call. A watcher that falls behind finds its channel closed and
	// must read the range again.
	Watch(ctx context.Context, prefix string) (<-chan Change, error)
	// Grant makes a lease that ends ttl after its last renewal.
	Grant(ctx context.Context, ttl time.Duration) (Lease, error)
	// Renew answers ErrNotFound when the lease has ended.
	Renew(ctx context.Context, l Lease) error
	// Revoke ends the lease and deletes its keys.
	Revoke(ctx context.Context, l Lease) error
	Close() error
}

// Under gives the bounds of all keys that start with prefix.
func Under(prefix string) (from, to string) {
	b := []byte(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < 0xff {
			b[i]++
			return prefix, string(b[:i+1])
		}
	}
	return prefix, ""
}

// Decode reads the key's JSON value into v.
func (e Entry) Decode(v any) error {
	if err := json.Unmarshal(e.Value, v); err != nil {
		return fmt.Errorf("stored value of %s: %w", e.Key, err)
	}
	return nil
}

// JSON makes a put of v.
func JSON(key string, v any) (Put, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return Put{}, fmt.Errorf("value for %s: %w", key, err)
	}
	return Put{Key: key, Value: b}, nil
}
