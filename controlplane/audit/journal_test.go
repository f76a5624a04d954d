package audit

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/store"
)

// deaf is a log that a crash keeps events from.
type deaf struct{ Recorder }

var errCrash = errors.New("crash")

func (deaf) Append(context.Context, ...Event) (int64, error) { return 0, errCrash }

// TestActAndEventAreOne: whatever the moment of a crash, afterwards the log has each act that stands, once, and no other.
func TestActAndEventAreOne(t *testing.T) {
	ctx := context.Background()
	k := newKeys(t)
	l := k.open(t, filepath.Join(t.TempDir(), "log"))
	s, err := store.OpenBolt(filepath.Join(t.TempDir(), "state.db"), time.Second, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	act := func(key string) store.Txn { return store.Txn{Put: []store.Put{{Key: key, Value: []byte("x")}}} }
	e := func(object string) Event { return New(time.Now(), "", "suzuki", "transfer.create", object, nil) }

	j := NewJournal(s, l)
	if err := j.Commit(ctx, act("a"), e("a")); err != nil { // whole; its copy is still in the store
		t.Fatal(err)
	}
	refused := store.Txn{If: []store.If{{Key: "a", Revision: 99}}, Put: []store.Put{{Key: "a", Value: []byte("y")}}}
	if err := j.Commit(ctx, refused, e("never")); !errors.Is(err, store.ErrConflict) {
		t.Fatal(err)
	}
	if err := NewJournal(s, deaf{}).Commit(ctx, act("b"), e("b")); !errors.Is(err, errCrash) { // between store and log
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(ctx)
	if err := j.Commit(gone, act("c"), e("c")); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := j.Commit(gone, act("d"), e("d")); err == nil {
		t.Fatal("an act of a caller who had gone")
	}
	for range 3 { // crash after crash
		if _, err := NewJournal(s, l).Replay(ctx, l); err != nil {
			t.Fatal(err)
		}
	}
	rs, err := l.Read(0, l.Size())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rs {
		got = append(got, r.Object)
	}
	if want := []string{"a", "c", "b"}; !slices.Equal(got, want) {
		t.Errorf("log: %v, want %v", got, want)
	}
	for _, key := range []string{"a", "b", "c"} {
		if _, err := s.Get(ctx, key); err != nil {
			t.Error(err)
		}
	}
	from, to := store.Under(outbox)
	if left, err := s.Range(ctx, from, to, 0, false); err != nil || len(left) != 0 {
		t.Errorf("left in the store: %v, %v", left, err)
	}
}

// TestLongCheckpointFile: the last record is found from the end, however long the file, and a torn one after it too.
func TestLongCheckpointFile(t *testing.T) {
	k, d := newKeys(t), filepath.Join(t.TempDir(), "log")
	l := k.open(t, d)
	for i := range 400 {
		if _, err := l.Append(context.Background(), event(i)); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	file := filepath.Join(d, "checkpoints")
	if n := size(t, file); n < tailSize {
		t.Fatalf("%d bytes: too short for this test", n)
	}
	cut(t, file, size(t, file)-20)
	l = k.open(t, d)
	if l.Size() != 401 { // the adopted event, and the one that says so
		t.Errorf("size %d", l.Size())
	}
	l.Close()
	if r := verified(t, d, k); len(r.Problems) > 0 {
		t.Error(r.Problems)
	}
}
