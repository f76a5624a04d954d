package line

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// order lets those named join one after the other, then frees a place at a time, and tells in which order they were called. All ask
// for their places all the time, which changes nothing. A name is a letter of the zone and a person: "l:sato".
func order(t *testing.T, places int, names ...string) (called []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := New(places)
		var tickets []*Ticket
		settle := func() {
			synctest.Wait()
			for _, t := range tickets {
				t.Place()
			}
		}
		for _, name := range names {
			i := len(tickets)
			tickets = append(tickets, nil)
			tickets[i] = l.Join(who(name), func() { called = append(called, name+fmt.Sprint(i)) })
			settle()
		}
		if len(called) != min(places, len(names)) {
			t.Fatalf("%d at work, want %d", len(called), places)
		}
		left := map[string]bool{}
		for range names {
			for _, name := range called { // whoever was called first is done first
				if !left[name] {
					left[name] = true
					var i int
					fmt.Sscanf(strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyz:"), "%d", &i)
					tickets[i].Leave()
					tickets[i].Leave() // twice is once
					break
				}
			}
			settle()
		}
		if l.turns.all != 0 || len(l.queue) != 0 || len(l.turns.last) != 0 || len(l.turns.atWork) != 0 {
			t.Errorf("left at the end: %+v %v", l.turns, l.queue)
		}
	})
	return called
}

func who(name string) Who {
	zone, person, _ := strings.Cut(name, ":")
	return Who{map[string]anchors.Zone{"l": anchors.LGWAN, "i": anchors.Internet, "m": anchors.MyNumber}[zone], person}
}

// TestNobodyWaitsForAnothersMany: a person's single file waits for one of another's, and the zones take turns.
func TestNobodyWaitsForAnothersMany(t *testing.T) {
	for _, c := range []struct {
		name   string
		places int
		in     string
		want   string
	}{
		{"a person, one place", 1, "l:sato l:sato l:sato l:sato l:mori", "l:sato0 l:mori4 l:sato1 l:sato2 l:sato3"},
		{"a person, two places", 2, "l:sato l:sato l:sato l:sato l:mori", "l:sato0 l:sato1 l:mori4 l:sato2 l:sato3"},
		{"a zone, one place", 1, "i:sato i:sato i:sato l:sato", "i:sato0 l:sato3 i:sato1 i:sato2"},
		{"a zone, two places", 2, "i:sato i:mori i:ito i:sato l:ueda", "i:sato0 i:mori1 l:ueda4 i:ito2 i:sato3"},
		{"many persons of a zone are one zone", 1, "i:a i:b i:c i:d l:x l:x", "i:a0 l:x4 i:b1 l:x5 i:c2 i:d3"},
		{"in turn", 1, "l:a l:a l:a l:b l:b l:c", "l:a0 l:b3 l:c5 l:a1 l:b4 l:a2"},
		{"alone", 3, "l:a l:a l:a l:a l:a", "l:a0 l:a1 l:a2 l:a3 l:a4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := order(t, c.places, strings.Fields(c.in)...); !slices.Equal(got, strings.Fields(c.want)) {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
		})
	}
}

// TestWhoHasFewestAtWorkIsNext: a place that comes free goes to the zone, and in it to the person, with the fewest at work, even to who
// was called last.
func TestWhoHasFewestAtWorkIsNext(t *testing.T) {
	for _, c := range []struct {
		name   string
		places int
		past   string // who came and went before
		in     string
		done   int // who of them gives the place back
		want   int // who of them gets it
	}{
		{"a zone with none", 3, "", "i:a i:b l:x i:c l:y", 2, 4},
		{"a zone with fewer", 5, "", "i:a i:b i:c l:x l:y i:d l:z", 4, 6},
		{"a zone that had many", 2, "i:a i:a i:a", "l:x m:z l:y i:b", 1, 3},
		{"a person with none", 3, "", "l:sato l:sato l:mori l:sato l:mori", 2, 4},
		{"a person with fewer", 5, "", "l:sato l:sato l:sato l:mori l:mori l:sato l:mori", 4, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := New(c.places)
				for name := range strings.FieldsSeq(c.past) {
					l.Join(who(name), func() {}).Leave()
				}
				var tickets []*Ticket
				called := map[int]bool{}
				var mu sync.Mutex
				for name := range strings.FieldsSeq(c.in) {
					i := len(tickets)
					tickets = append(tickets, l.Join(who(name), func() { mu.Lock(); defer mu.Unlock(); called[i] = true }))
				}
				synctest.Wait()
				if len(called) != c.places || called[c.want] {
					t.Fatalf("before: at work %v", called)
				}
				tickets[c.done].Leave()
				synctest.Wait()
				if len(called) != c.places+1 || !called[c.want] {
					t.Errorf("got %v, want %d", called, c.want)
				}
			})
		})
	}
}

// TestPlacesAreForeseen: what a person is told is the order in which all are called.
func TestPlacesAreForeseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(2)
		var all []*Ticket
		for _, name := range strings.Fields("l:sato l:sato l:sato l:sato l:sato l:mori i:ueda") {
			all = append(all, l.Join(who(name), func() {}))
		}
		places := func() (out []int) {
			for _, t := range all {
				out = append(out, t.Place())
			}
			return out
		}
		if got, want := places(), []int{0, 0, 3, 4, 5, 2, 1}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		all[6].Leave() // gives up
		if got, want := places(), []int{0, 0, 2, 3, 4, 1, 0}; !slices.Equal(got, want) {
			t.Errorf("after one gave up: got %v, want %v", got, want)
		}
		l.Resize(4)
		if got, want := places(), []int{0, 0, 0, 1, 2, 0, 0}; !slices.Equal(got, want) {
			t.Errorf("with more places: got %v, want %v", got, want)
		}
		l.Resize(1)
		all[0].Leave()
		if got, want := places(), []int{0, 0, 0, 1, 2, 0, 0}; !slices.Equal(got, want) {
			t.Errorf("with fewer places nobody is called before some are free: got %v, want %v", got, want)
		}
	})
}

func TestWhoGivesUpLeavesTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(1)
		leave, err := l.Enter(t.Context(), who("l:sato"), nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() { _, err := l.Enter(ctx, who("l:sato"), nil); gone <- err }()
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		leave()
		leave()
		if l.turns.all != 0 || len(l.queue) != 0 {
			t.Errorf("%d at work, %d waiting", l.turns.all, len(l.queue))
		}
	})
}

// BenchmarkForesee: is done whenever a page asks after something has changed.
func BenchmarkForesee(b *testing.B) {
	l := New(2)
	for i := range 2000 {
		l.Join(Who{anchors.LGWAN, fmt.Sprint(i % 40)}, func() {})
	}
	for b.Loop() {
		l.foresee()
	}
}
