package space

import (
	"iter"
	"slices"
)

// Point is one value of a dimension. Next and Prev of the last and first value are not valid.
type Point[T any] interface {
	comparable
	Compare(T) int
	Next() T
	Prev() T
	IsValid() bool
}

// Interval is all points from Lo to Hi, both included.
type Interval[T any] struct{ Lo, Hi T }

// List is a set of points: intervals in order, none touching the next, so that equal sets are equal lists. Operations on lists
// of n and m intervals take n + m steps and never change their arguments.
type List[T Point[T]] []Interval[T]

// Of makes the set of everything that lies in any of the intervals, which may overlap and come in any order.
func Of[T Point[T]](in ...Interval[T]) List[T] {
	s := slices.Clone(in)
	slices.SortFunc(s, func(a, b Interval[T]) int { return a.Lo.Compare(b.Lo) })
	return joined(s)
}

// joined makes intervals in order a list, in place.
func joined[T Point[T]](s []Interval[T]) List[T] {
	out := s[:0]
	for _, v := range s {
		if n := len(out); n > 0 && v.Lo.Compare(after(out[n-1].Hi, v.Lo)) <= 0 {
			if v.Hi.Compare(out[n-1].Hi) > 0 {
				out[n-1].Hi = v.Hi
			}
			continue
		}
		out = append(out, v)
	}
	return out
}

// after is the point after hi if that is lo, else hi: the two touch when it is not before lo.
func after[T Point[T]](hi, lo T) T {
	if n := hi.Next(); n.IsValid() && n == lo {
		return n
	}
	return hi
}

// Empty tells whether nothing is in the set.
func (a List[T]) Empty() bool { return len(a) == 0 }

// Equal tells whether both hold the same points.
func (a List[T]) Equal(b List[T]) bool { return slices.Equal(a, b) }

// Contains tells whether p is in the set, in log n steps.
func (a List[T]) Contains(p T) bool {
	i, found := slices.BinarySearchFunc(a, p, func(v Interval[T], p T) int { return v.Lo.Compare(p) })
	return found || i > 0 && p.Compare(a[i-1].Hi) <= 0
}

// Union is what is in either.
func (a List[T]) Union(b List[T]) List[T] {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	s := make([]Interval[T], 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].Lo.Compare(b[0].Lo) <= 0 {
			s, a = append(s, a[0]), a[1:]
		} else {
			s, b = append(s, b[0]), b[1:]
		}
	}
	return joined(append(append(s, a...), b...))
}

// Intersect is what is in both.
func (a List[T]) Intersect(b List[T]) List[T] {
	var out List[T]
	for len(a) > 0 && len(b) > 0 {
		lo, hi := a[0].Lo, a[0].Hi
		if b[0].Lo.Compare(lo) > 0 {
			lo = b[0].Lo
		}
		if b[0].Hi.Compare(hi) < 0 {
			hi = b[0].Hi
		}
		if lo.Compare(hi) <= 0 {
			out = append(out, Interval[T]{lo, hi})
		}
		if a[0].Hi.Compare(b[0].Hi) < 0 {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return out
}

// Overlaps tells whether something is in both.
func (a List[T]) Overlaps(b List[T]) bool {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].Hi.Compare(b[0].Lo) < 0:
			a = a[1:]
		case b[0].Hi.Compare(a[0].Lo) < 0:
			b = b[1:]
		default:
			return true
		}
	}
	return false
}

// Minus is what is in a and not in b.
func (a List[T]) Minus(b List[T]) List[T] {
	var out List[T]
	for _, v := range a {
		for len(b) > 0 && b[0].Hi.Compare(v.Lo) < 0 {
			b = b[1:]
		}
		lo, whole := v.Lo, true
		for _, c := range b {
			if c.Lo.Compare(v.Hi) > 0 {
				break
			}
			if c.Lo.Compare(lo) > 0 {
				out = append(out, Interval[T]{lo, c.Lo.Prev()})
			}
			if c.Hi.Compare(v.Hi) >= 0 {
				whole = false
				break
			}
			lo = c.Hi.Next()
		}
		if whole {
			out = append(out, Interval[T]{lo, v.Hi})
		}
	}
	return out
}

// Within tells whether b holds all of a.
func (a List[T]) Within(b List[T]) bool {
	for _, v := range a {
		i, found := slices.BinarySearchFunc(b, v.Lo, func(w Interval[T], p T) int { return w.Lo.Compare(p) })
		if !found {
			i--
		}
		if i < 0 || v.Hi.Compare(b[i].Hi) > 0 {
			return false
		}
	}
	return true
}

// All walks the intervals.
func (a List[T]) All() iter.Seq[Interval[T]] { return slices.Values(a) }
