// Package lend parts one line among the regions that send down it.
//
// Problem: several far ends share a line downstream and know nothing of each other. Each must be able to send its guaranteed
// share at any time, yet what one leaves unused is lost when the others may not have it, and what all send together must never
// exceed the line. Mechanism: the gate, who hears all of them, gives each a grant: its share while it wants it, more where
// others want less, by priority. Grants counts the best division for what is wanted now; a Ledger brings the regions there in
// an order that is safe: one is raised only by what others were seen to have given back. Life cycle: a Ledger lives as long as
// its line; Round is asked a few times a second. Invariant: what may be in force at the same time never sums to more than the
// contract, also when messages are lost or late; and no region that wants its share is kept below it for longer than it takes
// the others to answer.
package lend

import (
	"cmp"
	"slices"
)

// Want is what one bandwidth class of a region would send now if it could.
type Want struct {
	Priority uint8  // 0 first
	Rate     uint64 // bit/s
}

// Region is one far end on the line.
type Region struct {
	ID    string
	Share uint64 // bit/s that it is guaranteed, not 0; shares sum to the contract at most
	Wants []Want
}

const (
	// keepPart of its share stays with a region that wants nothing, so that what begins there is seen by its backlog at once.
	keepPart = 8
	// headroom is how much more than it wants now a region is given, as a part of it: what grows must not be held.
	headroom = 4
)

// Grants divides contract bit/s: first to each region what it wants up to its share, then what is left to those that want more,
// by priority and in proportion to their shares, then the rest to all. The sum is the contract, or 0 without regions.
func Grants(contract uint64, regions []Region) []uint64 {
	shares := within(contract, regions)
	out := make([]uint64, len(regions))
	left := contract
	for i, r := range regions {
		w := r.total()
		out[i] = min(shares[i], max(w+w/headroom, shares[i]/keepPart))
		left -= out[i]
	}
	for p := range 8 {
		left = pour(left, shares, out, func(i int) uint64 { return regions[i].upTo(uint8(p)) })
	}
	left = pour(left, shares, out, func(i int) uint64 { return shares[i] })
	left = pour(left, shares, out, func(int) uint64 { return contract })
	if len(out) > 0 {
		out[0] += left // what division left over, a few bit/s
	}
	return out
}

// within are the shares, made smaller by one part if they exceed the contract.
func within(contract uint64, regions []Region) []uint64 {
	var sum float64
	for _, r := range regions {
		sum += float64(r.Share)
	}
	part := 1.0
	if sum > float64(contract) {
		part = float64(contract) / sum
	}
	out := make([]uint64, len(regions))
	left := contract
	for i, r := range regions {
		out[i] = r.Share
		if part < 1 {
			out[i] = uint64(float64(r.Share) * part)
		}
		out[i] = min(out[i], left)
		left -= out[i]
	}
	return out
}

func (r Region) total() uint64 { return r.upTo(7) }

// upTo is what the classes up to a priority want together.
func (r Region) upTo(p uint8) (sum uint64) {
	for _, w := range r.Wants {
		if w.Priority <= p {
			sum += min(w.Rate, 1<<50)
		}
	}
	return sum
}

// pour fills what every region has up to its goal out of left, in proportion to the shares, and returns what remains.
func pour(left uint64, shares, have []uint64, goal func(i int) uint64) uint64 {
	// Whoever needs the least part of its share is full first; the others then divide what it left.
	type vessel struct {
		i      int
		need   uint64
		weight float64
	}
	var vs []vessel
	var weights float64
	for i := range have {
		if g := goal(i); g > have[i] {
			v := vessel{i, g - have[i], float64(max(shares[i], 1))}
			vs = append(vs, v)
			weights += v.weight
		}
	}
	slices.SortFunc(vs, func(a, b vessel) int {
		return cmp.Or(cmp.Compare(float64(a.need)/a.weight, float64(b.need)/b.weight), cmp.Compare(a.i, b.i))
	})
	for _, v := range vs {
		x := min(v.need, uint64(float64(left)*v.weight/weights), left)
		have[v.i] += x
		left -= x
		weights -= v.weight
	}
	return left
}
