package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A lease is written down each time that a tenth of its ttl has passed since the last write, so that a renewal at every
// request costs no disk write at every request. It may therefore end up to a tenth early, never late.
const renewals = 10

func (s *Bolt) Grant(ctx context.Context, ttl time.Duration) (Lease, error) {
	if ttl <= 0 {
		return 0, fmt.Errorf("grant a lease of %s: want more than nothing", ttl)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var l Lease
	err := s.update(ctx, func(tx *bolt.Tx) error {
		if err := s.sweep(tx); err != nil {
			return err
		}
		n, err := next(tx, keyLease)
		l = Lease(n)
		if err != nil {
			return err
		}
		return tx.Bucket(bucketLeases).Put(leaseKey(l), leaseValue(ttl, s.now().Add(ttl)))
	})
	if err != nil {
		return 0, fmt.Errorf("grant a lease: %w", err)
	}
	return l, nil
}

func (s *Bolt) Renew(ctx context.Context, l Lease) error {
	var ttl time.Duration
	var end time.Time
	err := s.view(ctx, func(tx *bolt.Tx) error {
		if !s.alive(tx, l) {
			return ErrNotFound
		}
		ttl, end = leaseTimes(tx.Bucket(bucketLeases).Get(leaseKey(l)))
		return nil
	})
	if err == nil && end.Sub(s.now()) < ttl-ttl/renewals {
		s.mu.Lock()
		defer s.mu.Unlock()
		err = s.update(ctx, func(tx *bolt.Tx) error {
			if !s.alive(tx, l) {
				return ErrNotFound
			}
			return tx.Bucket(bucketLeases).Put(leaseKey(l), leaseValue(ttl, s.now().Add(ttl)))
		})
	}
	if err != nil {
		return fmt.Errorf("renew lease %d: %w", l, err)
	}
	return nil
}

func (s *Bolt) Revoke(ctx context.Context, l Lease) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.update(ctx, func(tx *bolt.Tx) error { return end(tx, l) }); err != nil {
		return fmt.Errorf("revoke lease %d: %w", l, err)
	}
	return nil
}

// sweep deletes what ended leases held. Reads do not wait for it: they never show such keys.
func (s *Bolt) sweep(tx *bolt.Tx) error {
	var ended []Lease
	c := tx.Bucket(bucketLeases).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if _, e := leaseTimes(v); !e.After(s.now()) {
			ended = append(ended, Lease(binary.BigEndian.Uint64(k)))
		}
	}
	for _, l := range ended {
		if err := end(tx, l); err != nil {
			return err
		}
	}
	return nil
}

func end(tx *bolt.Tx, l Lease) error {
	var keys [][]byte
	c := tx.Bucket(bucketLeased).Cursor()
	for k, _ := c.Seek(leaseKey(l)); k != nil && bytes.HasPrefix(k, leaseKey(l)); k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k[8:]))
	}
	for _, k := range keys {
		if err := remove(tx, k); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketLeases).Delete(leaseKey(l))
}

func (s *Bolt) alive(tx *bolt.Tx, l Lease) bool {
	v := tx.Bucket(bucketLeases).Get(leaseKey(l))
	_, e := leaseTimes(v)
	return v != nil && e.After(s.now())
}

func leaseKey(l Lease) []byte { return binary.BigEndian.AppendUint64(nil, uint64(l)) }

func leasedKey(l Lease, key []byte) []byte { return append(leaseKey(l), key...) }

func leaseValue(ttl time.Duration, end time.Time) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(ttl)), uint64(end.UnixNano()))
}

func leaseTimes(b []byte) (ttl time.Duration, end time.Time) {
	if len(b) != 16 {
		return 0, time.Time{}
	}
	return time.Duration(binary.BigEndian.Uint64(b)), time.Unix(0, int64(binary.BigEndian.Uint64(b[8:])))
}
