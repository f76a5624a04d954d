package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is a time that only moves when it is told to.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func open(t *testing.T, path string, now func() time.Time) *Bolt {
	t.Helper()
	s, err := OpenBolt(path, time.Second, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func fresh(t *testing.T) (*Bolt, *clock) {
	c := &clock{t: time.Unix(1_800_000_000, 0)}
	return open(t, filepath.Join(t.TempDir(), "state.db"), c.now), c
}

func put(t *testing.T, s *Bolt, kv ...string) uint64 {
	t.Helper()
	var txn Txn
	for i := 0; i < len(kv); i += 2 {
		txn.Put = append(txn.Put, Put{Key: kv[i], Value: []byte(kv[i+1])})
	}
	rev, err := s.Commit(context.Background(), txn)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func TestTransactions(t *testing.T) {
	ctx := context.Background()
	s, _ := fresh(t)
	r1 := put(t, s, "a", "1", "b", "1")
	r2 := put(t, s, "a", "2")
	if r2 <= r1 {
		t.Fatalf("revisions %d then %d", r1, r2)
	}
	cases := []struct {
		name string
		txn  Txn
		want error
	}{
		{"guard on an old revision", Txn{If: []If{{"a", r1}}, Put: []Put{{Key: "a", Value: []byte("x")}}}, ErrConflict},
		{"one of two guards fails", Txn{If: []If{{"a", r2}, {"b", r2}}, Put: []Put{{Key: "a", Value: []byte("x")}}, Delete: []string{"b"}}, ErrConflict},
		{"guard on absence of what is there", Txn{If: []If{{"b", 0}}, Delete: []string{"a"}}, ErrConflict},
		{"put under a lease that never was", Txn{Put: []Put{{Key: "a", Value: []byte("x")}, {Key: "l", Lease: 99}}}, ErrNotFound},
		{"guards hold", Txn{If: []If{{"a", r2}, {"b", r1}, {"c", 0}}, Put: []Put{{Key: "c", Value: []byte("3")}}, Delete: []string{"b"}}, nil},
	}
	for _, c := range cases {
		_, err := s.Commit(ctx, c.txn)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		if e, _ := s.Get(ctx, "a"); string(e.Value) != "2" || e.Revision != r2 {
			t.Fatalf("%s: a is %q at %d", c.name, e.Value, e.Revision)
		}
	}
	if _, err := s.Get(ctx, "b"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted key: %v", err)
	}
}

func TestOnlyOneOfManyWritersWins(t *testing.T) {
	s, _ := fresh(t)
	rev := put(t, s, "k", "0")
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 16 {
		wg.Go(func() {
			_, err := s.Commit(context.Background(), Txn{If: []If{{"k", rev}}, Put: []Put{{Key: "k", Value: fmt.Append(nil, i)}}})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.Is(err, ErrConflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Fatalf("%d writers won", won)
	}
}

func TestRanges(t *testing.T) {
	s, _ := fresh(t)
	put(t, s, "a", "", "p/1", "", "p/2", "", "p/3", "", "q", "")
	from, to := Under("p/")
	cases := []struct {
		from, to string
		limit    int
		reverse  bool
		want     string
	}{
		{from, to, 0, false, "p/1 p/2 p/3"},
		{from, to, 2, false, "p/1 p/2"},
		{from, to, 0, true, "p/3 p/2 p/1"},
		{from, to, 1, true, "p/3"},
		{"", "", 0, false, "a p/1 p/2 p/3 q"},
		{"", "", 2, true, "q p/3"},
		{"p/2", "p/2", 0, false, ""},
		{"p/2", "", 0, false, "p/2 p/3 q"},
		{"x", "z", 0, true, ""},
		{"", "0", 0, true, ""},
	}
	for _, c := range cases {
		es, err := s.Range(context.Background(), c.from, c.to, c.limit, c.reverse)
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, e := range es {
			keys = append(keys, e.Key)
		}
		if got := strings.Join(keys, " "); got != c.want {
			t.Errorf("[%q,%q) limit %d reverse %v: got %q, want %q", c.from, c.to, c.limit, c.reverse, got, c.want)
		}
	}
	if _, to := Under("\xff\xff"); to != "" {
		t.Errorf("prefix of all ones: to %q", to)
	}
}

func TestLeases(t *testing.T) {
	ctx := context.Background()
	s, c := fresh(t)
	l, err := s.Grant(ctx, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(ctx, Txn{Put: []Put{{Key: "s/1", Value: []byte("x"), Lease: l}, {Key: "s/2", Value: []byte("x")}}}); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		c.add(40 * time.Second)
		if err := s.Renew(ctx, l); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(ctx, "s/1"); err != nil {
			t.Fatal(err)
		}
	}
	c.add(time.Minute)
	if _, err := s.Get(ctx, "s/1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("key under an ended lease: %v", err)
	}
	if es, _ := s.Range(ctx, "s/", "s0", 0, false); len(es) != 1 {
		t.Errorf("range shows %d keys, want the one without lease", len(es))
	}
	if err := s.Renew(ctx, l); !errors.Is(err, ErrNotFound) {
		t.Errorf("renew an ended lease: %v", err)
	}
	if _, err := s.Commit(ctx, Txn{If: []If{{"s/1", 0}}, Put: []Put{{Key: "s/1", Value: []byte("new")}}}); err != nil {
		t.Errorf("a key under an ended lease counts as absent: %v", err)
	}
	if _, err := s.Grant(ctx, time.Minute); err != nil { // sweeps
		t.Fatal(err)
	}
	if e, err := s.Get(ctx, "s/1"); err != nil || string(e.Value) != "new" {
		t.Errorf("the sweep took a key that had left the lease: %q, %v", e.Value, err)
	}
	l, _ = s.Grant(ctx, time.Minute)
	s.Commit(ctx, Txn{Put: []Put{{Key: "s/3", Lease: l}}})
	if err := s.Revoke(ctx, l); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, "s/3"); !errors.Is(err, ErrNotFound) {
		t.Errorf("key of a revoked lease: %v", err)
	}
}

// TestRenewalIsCheap: a renewal at each request must not write at each request.
func TestRenewalIsCheap(t *testing.T) {
	ctx := context.Background()
	s, c := fresh(t)
	l, _ := s.Grant(ctx, 10*time.Minute)
	writes := func() int64 { st := s.db.Stats(); return st.TxStats.GetWrite() }
	before := writes()
	for range 60 {
		c.add(time.Second)
		if err := s.Renew(ctx, l); err != nil {
			t.Fatal(err)
		}
	}
	if n := writes() - before; n > 8 {
		t.Errorf("%d writes for 60 renewals in a tenth of the lease's time", n)
	}
}

func TestWatch(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s, _ := fresh(t)
	ch, err := s.Watch(ctx, "p/")
	if err != nil {
		t.Fatal(err)
	}
	slow, _ := s.Watch(context.Background(), "")
	rev := put(t, s, "a", "1", "p/1", "x")
	if _, err := s.Commit(ctx, Txn{If: []If{{"a", 99}}, Put: []Put{{Key: "p/1", Value: []byte("never")}}}); err == nil {
		t.Fatal("guard did not hold")
	}
	if _, err := s.Commit(ctx, Txn{Delete: []string{"p/1"}}); err != nil {
		t.Fatal(err)
	}
	if c := <-ch; c.Key != "p/1" || string(c.Value) != "x" || c.Revision != rev || c.Deleted {
		t.Errorf("first change: %+v", c)
	}
	if c := <-ch; c.Key != "p/1" || !c.Deleted {
		t.Errorf("second change: %+v", c)
	}
	cancel()
	if _, ok := <-ch; ok {
		t.Error("watch outlives its context")
	}
	for i := range backlog + 10 {
		put(t, s, fmt.Sprint("k", i), "")
	}
	n := 0
	for range slow { // ends because the channel was closed, not because it is empty
		n++
	}
	if n > backlog {
		t.Errorf("a slow watcher got %d changes", n)
	}
}

// TestKilledWriter: what Commit answered is there after kill -9.
func TestKilledWriter(t *testing.T) {
	if path := os.Getenv("STORE_TEST_PATH"); path != "" {
		s := open(t, path, time.Now)
		for i := 0; ; i++ {
			put(t, s, fmt.Sprintf("n/%06d", i), "x", "last", fmt.Sprint(i))
			fmt.Println("answered", i)
		}
	}
	path := filepath.Join(t.TempDir(), "state.db")
	c := exec.Command(os.Args[0], "-test.run=^TestKilledWriter$", "-test.v")
	c.Env = append(os.Environ(), "STORE_TEST_PATH="+path)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	last := -1
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var n int
		if _, err := fmt.Sscanf(lines.Text(), "answered %d", &n); err == nil {
			if last = n; last == 50 {
				c.Process.Kill()
			}
		}
	}
	c.Wait()
	s := open(t, path, time.Now)
	es, err := s.Range(context.Background(), "n/", "n0", 0, false)
	if err != nil || len(es) < last+1 {
		t.Fatalf("%d answered, %d there, %v", last+1, len(es), err)
	}
	if e, err := s.Get(context.Background(), "last"); err != nil || string(e.Value) != fmt.Sprint(len(es)-1) {
		t.Errorf("half a transaction: last is %q of %d, %v", e.Value, len(es), err)
	}
	if !slices.IsSortedFunc(es, func(a, b Entry) int { return int(a.Revision) - int(b.Revision) }) {
		t.Error("revisions went back")
	}
}

func TestSecondProcessIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	open(t, path, time.Now)
	if _, err := OpenBolt(path, 10*time.Millisecond, time.Now); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Fatalf("got %v", err)
	}
}
