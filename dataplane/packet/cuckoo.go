package packet

import (
	"errors"
	"fmt"
)

// place finds a place for n keys in buckets of some ways, so that each lies in one of the two buckets that the halves of
// its hash name (Pagh and Rodler 2001; buckets: Dietzfelbinger and Weidig 2007). hashed gives the hash of key i under a
// seed; equal keys have no place. slots holds key+1 by bucket and way, 0 where none is.
//
// Two buckets of 4 can be filled to 97 in 100, of 2 to 89; the first attempt leaves room, so that nearly every table takes
// the first seed. Attempts are bounded and nothing in them is random: equal tables make equal images.
func place(n, ways int, hashed func(i int, seed uint32) uint64) (slots []int32, buckets, seed uint32, err error) {
	const seeds, growths = 4, 4
	fill := 85
	if ways == 2 {
		fill = 72
	}
	buckets = uint32(n*100/(ways*fill) + 1)
	hashes := make([]uint64, n)
	for range growths {
		for range seeds {
			seed++
			_ = inParts(n, func(from, to int) error {
				for i := from; i < to; i++ {
					hashes[i] = hashed(i, seed)
				}
				return nil
			})
			if slots = settle(hashes, ways, buckets); slots != nil {
				return slots, buckets, seed, nil
			}
		}
		buckets += buckets/4 + 1
	}
	return nil, 0, 0, fmt.Errorf("%d keys found no place in %d buckets of %d: %w", n, buckets, ways, errTwice)
}

var errTwice = errors.New("is a key listed twice?")

// settle puts every key into a bucket, moving others to their second one where both are full; nil when one finds no place
// after maxMoves.
func settle(hashes []uint64, ways int, buckets uint32) []int32 {
	const maxMoves = 2000
	slots := make([]int32, int(buckets)*ways)
	fill := make([]uint8, buckets) // a bucket is filled from its first way on; where all are small, they stay in the cache
	free := func(b uint32) int {
		if int(fill[b]) == ways {
			return -1
		}
		fill[b]++
		return int(b)*ways + int(fill[b]) - 1
	}
	dice := uint32(1)
	for i, h := range hashes {
		key := int32(i)
		first, second := bucketOf(uint32(h), buckets), bucketOf(uint32(h>>32), buckets)
		at := free(first)
		if at < 0 {
			at = free(second)
		}
		here := first
		for moves := 0; at < 0; moves++ {
			if moves == maxMoves {
				return nil
			}
			dice = dice*1664525 + 1013904223
			victim := int(here)*ways + int(dice>>16)%ways
			key, slots[victim] = slots[victim]-1, key+1
			first, second = bucketOf(uint32(hashes[key]), buckets), bucketOf(uint32(hashes[key]>>32), buckets)
			if here == first {
				here = second
			} else {
				here = first
			}
			at = free(here)
		}
		slots[at] = key + 1
	}
	return slots
}
