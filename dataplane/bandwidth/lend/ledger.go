package lend

import (
	"slices"
	"time"
)

const (
	// flight is how long a message may be under way: a grant that was replaced by a smaller one counts that long.
	flight = 300 * time.Millisecond
	// silence is after how long a far end without answers is counted as one that uses its whole share: after two of those that come
	// each 0.4 s from ends that carry nothing.
	silence = time.Second
	// Forgotten is after how long without a word from the gate a far end goes back to its share. The ledger has taken back by
	// then what others had of it.
	Forgotten = 3 * time.Second
)

// Report is the last that was heard of a region.
type Report struct {
	Region
	InForce uint64    // bit/s that its root sends now, by its own word; 0: it did not say
	Heard   time.Time // when; zero: never
}

// Ledger remembers what was granted on one line. Not for several goroutines.
type Ledger struct {
	contract uint64
	accounts map[string]*account
}

type account struct {
	told    uint64 // last grant
	inForce uint64
	before  []grant // greater ones that may still be under way
}

type grant struct {
	rate  uint64
	until time.Time
}

// NewLedger is for a line of contract bit/s downstream.
func NewLedger(contract uint64) *Ledger {
	return &Ledger{contract: contract, accounts: map[string]*account{}}
}

// SetContract changes the line's rate; what exceeds it is taken back at the next round.
func (l *Ledger) SetContract(bits uint64) { l.contract = bits }

// Round is what to tell every region now, by ID. All regions of the line must be among the reports, in the same order each
// time; one that is new counts with its share, which is what it sends by itself.
func (l *Ledger) Round(now time.Time, reports []Report) map[string]uint64 {
	regions := make([]Region, len(reports))
	for i, r := range reports {
		regions[i] = r.Region
		if now.Sub(r.Heard) > silence {
			regions[i].Wants = []Want{{Rate: r.Share}} // it may be sending all that it is guaranteed
		}
	}
	goals := Grants(l.contract, regions)
	shares := within(l.contract, regions)
	l.forget(reports)

	// What each may be sending by now or very soon, whatever it is told from here on.
	sum := uint64(0)
	for i, r := range reports {
		a := l.account(r.ID, shares[i])
		a.hear(now, r, shares[i])
		sum += a.reserved(now)
	}
	out := map[string]uint64{}
	for i, r := range reports {
		a := l.accounts[r.ID]
		if goals[i] < a.told {
			a.before = append(a.before, grant{a.told, now.Add(flight)})
			a.told = goals[i]
		}
	}
	// Those below their share come first: what was lent goes back before anything is lent.
	for _, owed := range []bool{true, false} {
		for i, r := range reports {
			a := l.accounts[r.ID]
			goal := goals[i]
			if owed {
				goal = min(goal, shares[i])
			}
			has := a.reserved(now)
			if goal <= a.told {
				continue
			}
			others := sum - has
			next := min(goal, l.contract-min(others, l.contract))
			if next > a.told {
				a.told = next
				sum += a.reserved(now) - has
			}
		}
	}
	for _, r := range reports {
		out[r.ID] = l.accounts[r.ID].told
	}
	return out
}

func (l *Ledger) account(id string, share uint64) *account {
	a := l.accounts[id]
	if a == nil {
		a = &account{told: share, inForce: share}
		l.accounts[id] = a
	}
	return a
}

func (l *Ledger) forget(reports []Report) {
	for id := range l.accounts {
		if !slices.ContainsFunc(reports, func(r Report) bool { return r.ID == id }) {
			delete(l.accounts, id)
		}
	}
}

func (a *account) hear(now time.Time, r Report, share uint64) {
	if r.InForce != 0 {
		a.inForce = r.InForce
	}
	if now.Sub(r.Heard) > silence {
		a.inForce = max(a.inForce, share, a.told)
	}
	a.before = slices.DeleteFunc(a.before, func(g grant) bool { return !now.Before(g.until) })
}

// reserved is the most that the region may be sending until the next round.
func (a *account) reserved(now time.Time) uint64 {
	most := max(a.told, a.inForce)
	for _, g := range a.before {
		if now.Before(g.until) {
			most = max(most, g.rate)
		}
	}
	return most
}
