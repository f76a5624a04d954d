package lend

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const mbit = 1_000_000

func TestGrants(t *testing.T) {
	want := func(p uint8, rate uint64) []Want { return []Want{{p, rate * mbit}} }
	cases := []struct {
		name    string
		regions []Region
		want    []uint64 // Mbit/s, at least
		most    []uint64 // Mbit/s, at most
	}{
		{"all want all: the shares", []Region{{"a", 60 * mbit, want(0, 900)}, {"b", 40 * mbit, want(7, 900)}}, []uint64{60, 40}, []uint64{60, 40}},
		{"an idle one lends", []Region{{"a", 60 * mbit, nil}, {"b", 40 * mbit, want(3, 900)}}, []uint64{7, 92}, []uint64{8, 93}},
		{"what is left goes by priority", []Region{{"a", 20 * mbit, want(0, 50)}, {"b", 20 * mbit, want(5, 900)}, {"c", 60 * mbit, nil}}, []uint64{50, 42, 7}, []uint64{51, 43, 8}},
		{"one priority divides by shares", []Region{{"a", 10 * mbit, want(2, 900)}, {"b", 30 * mbit, want(2, 900)}, {"c", 60 * mbit, want(0, 10)}}, []uint64{21, 65, 12}, []uint64{22, 66, 13}},
		{"nobody wants anything: the shares", []Region{{"a", 60 * mbit, nil}, {"b", 40 * mbit, nil}}, []uint64{60, 40}, []uint64{60, 40}},
		{"shares over the line shrink", []Region{{"a", 150 * mbit, want(0, 900)}, {"b", 50 * mbit, want(0, 900)}}, []uint64{74, 24}, []uint64{75, 25}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for i, g := range Grants(100*mbit, c.regions) {
				if g < c.want[i]*mbit || g > c.most[i]*mbit+10 {
					t.Errorf("region %s: %d bit/s, want %d..%d Mbit/s", c.regions[i].ID, g, c.want[i], c.most[i])
				}
			}
		})
	}
}

func draw(t *rapid.T) (contract uint64, regions []Region) {
	contract = rapid.Uint64Range(1*mbit, 10_000*mbit).Draw(t, "contract")
	left := contract
	for i := range rapid.IntRange(1, 6).Draw(t, "regions") {
		r := Region{ID: fmt.Sprint(i), Share: rapid.Uint64Range(1000, max(left/2, 1000)).Draw(t, "share")}
		left -= r.Share
		for range rapid.IntRange(0, 4).Draw(t, "classes") {
			r.Wants = append(r.Wants, Want{uint8(rapid.IntRange(0, 7).Draw(t, "priority")), rapid.Uint64Range(0, 2*contract).Draw(t, "wants")})
		}
		regions = append(regions, r)
	}
	return contract, regions
}

func TestGrantsKeepEveryPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		contract, regions := draw(t)
		grants := Grants(contract, regions)
		var sum uint64
		for i, g := range grants {
			sum += g
			if r := regions[i]; g < min(r.Share, r.total()) {
				t.Errorf("region %s wants %d of its %d bit/s and is granted %d", r.ID, r.total(), r.Share, g)
			}
		}
		if sum != contract {
			t.Errorf("grants sum to %d, want the contract of %d", sum, contract)
		}
		// Nobody waits in a higher priority while a lower one is lent anything.
		for i, r := range regions {
			for p := range uint8(8) {
				if grants[i] >= r.upTo(p) {
					continue
				}
				for j, o := range regions {
					if i != j && p < 7 && grants[j] > max(o.upTo(p), o.Share)+uint64(len(regions)) {
						t.Errorf("region %s waits with %d of %d bit/s in priority %d while %s is lent %d and wants %d there", r.ID, grants[i], r.upTo(p), p, o.ID, grants[j], o.upTo(p))
					}
				}
			}
		}
	})
}

// farEnd is a region that obeys: it sends what it was last told, and nothing of a message that is older than one it has seen.
type farEnd struct {
	root, share uint64
	last        int
	heard       time.Time
}

type message struct {
	to, round int
	rate      uint64
	at        time.Time
}

// The line is never overrun, whatever is lost or late, and each share is back in time.
func TestLedgerIsSafeOnBadLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		contract, regions := draw(t)
		l := NewLedger(contract)
		now := time.Unix(1_000_000, 0)
		ends := make([]farEnd, len(regions))
		reports := make([]Report, len(regions))
		for i, r := range regions {
			ends[i] = farEnd{root: r.Share, share: r.Share, heard: now}
			reports[i] = Report{Region: r, InForce: r.Share, Heard: now}
		}
		var under []message
		for round := range rapid.IntRange(5, 60).Draw(t, "rounds") {
			for i := range regions {
				if rapid.Bool().Draw(t, "other wants") {
					reports[i].Wants = []Want{{uint8(rapid.IntRange(0, 7).Draw(t, "priority")), rapid.Uint64Range(0, 2*contract).Draw(t, "wants")}}
				}
			}
			for i, r := range regions {
				rate := l.Round(now, reports)[r.ID]
				if !rapid.Bool().Draw(t, "lost") {
					under = append(under, message{i, round, rate, now.Add(time.Duration(rapid.IntRange(0, 290).Draw(t, "late")) * time.Millisecond)})
				}
			}
			for range 10 { // 200 ms
				now = now.Add(20 * time.Millisecond)
				var later []message
				for _, m := range under {
					e := &ends[m.to]
					if m.at.After(now) {
						later = append(later, m)
						continue
					}
					e.heard = now
					if m.round >= e.last {
						e.root, e.last = m.rate, m.round
					}
					reports[m.to].InForce, reports[m.to].Heard = e.root, now
				}
				under = later
				var sum uint64
				for i := range ends {
					if now.Sub(ends[i].heard) > Forgotten {
						ends[i].root = ends[i].share
					}
					sum += ends[i].root
				}
				if sum > contract {
					t.Fatalf("round %d: %d bit/s in force on a line of %d: %+v", round, sum, contract, ends)
				}
			}
		}
	})
}

func TestLentRateIsBackWithinASecond(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		contract, regions := draw(t)
		l := NewLedger(contract)
		now := time.Unix(1_000_000, 0)
		reports := make([]Report, len(regions))
		for i, r := range regions {
			r.Wants = []Want{{7, 0}}
			if i > 0 {
				r.Wants[0].Rate = 2 * contract
			}
			reports[i] = Report{Region: r, InForce: r.Share}
		}
		round := func() {
			for i := range reports {
				reports[i].Heard = now
			}
			out := l.Round(now, reports)
			for i := range reports {
				reports[i].InForce = out[reports[i].ID] // the answer is back before the next round
			}
			now = now.Add(200 * time.Millisecond)
		}
		for range 10 {
			round()
		}
		reports[0].Wants[0].Rate = 2 * contract
		began := now
		for range 4 {
			round()
		}
		if got := reports[0].InForce; got < reports[0].Share {
			t.Errorf("%s after it began to send, the region has %d of its %d bit/s", now.Sub(began), got, reports[0].Share)
		}
	})
}

// What comes back first goes to whom it belongs, not to who would like more of it.
func TestSharesComeBackBeforeAnythingIsLent(t *testing.T) {
	l := NewLedger(100 * mbit)
	now := time.Unix(1_000_000, 0)
	regions := []struct {
		id    string
		share uint64
	}{{"greedy", 20}, {"owner", 40}, {"first", 20}, {"second", 20}}
	reports := make([]Report, len(regions))
	set := func(wants ...uint64) {
		for i, w := range wants {
			reports[i].Wants = []Want{{Priority: uint8(min(i, 1)), Rate: w * mbit}}
		}
	}
	for i, r := range regions {
		reports[i].Region, reports[i].InForce = Region{ID: r.id, Share: r.share * mbit}, r.share*mbit
	}
	round := func(answer ...int) {
		now = now.Add(200 * time.Millisecond)
		for i := range reports {
			reports[i].Heard = now
		}
		out := l.Round(now, reports)
		for _, i := range answer {
			reports[i].InForce = out[regions[i].id]
		}
	}
	set(16, 0, 100, 100)
	for range 10 {
		round(0, 1, 2, 3)
	}
	set(100, 100, 0, 0)
	for range 4 {
		round(0, 1, 2) // the second borrower's answers are late
	}
	if got := reports[1].InForce; got < 30*mbit {
		t.Errorf("the owner has %d bit/s after one of two borrowers gave back some 30 Mbit/s, greedy %d", got, reports[0].InForce)
	}
}
