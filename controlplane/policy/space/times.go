package space

import (
	"cmp"
	"math"
	"slices"
)

// Minute of a week that begins on Monday 00:00 UTC: 0 to 10079.
type Minute int32

// Week is a set of them.
type Week = List[Minute]

// WeekLength is how many minutes a week has.
const WeekLength = 7 * 24 * 60

func (m Minute) IsValid() bool        { return m >= 0 && m < WeekLength }
func (m Minute) Compare(o Minute) int { return cmp.Compare(m, o) }
func (m Minute) Next() Minute         { return m + 1 }
func (m Minute) Prev() Minute         { return m - 1 }

var wholeWeek = Week{{Lo: 0, Hi: WeekLength - 1}}

// Ever is the end of time, in minutes since 1970 UTC.
const Ever int64 = math.MaxInt64

// Term is minutes since 1970 UTC: From <= minute < Until, and of each week in it those of Week.
type Term struct {
	From, Until int64
	Week        Week
}

// Times is a set of minutes: terms in order, none overlapping another. Equal sets may be written differently; Same compares.
type Times []Term

// Always is every minute.
var Always = Times{{0, Ever, wholeWeek}}

// During is one term; an empty week means all of it.
func During(from, until int64, week Week) Times {
	if week == nil {
		week = wholeWeek
	}
	return tidied([]Term{{from, until, week}})
}

// WeekMinute is the minute of the week of a minute since 1970, which began on a Thursday.
func WeekMinute(minute int64) Minute {
	return Minute(((minute+3*24*60)%WeekLength + WeekLength) % WeekLength)
}

// covered is which minutes of the week from <= minute < until has.
func covered(from, until int64) Week {
	if until-from >= WeekLength || until == Ever {
		return wholeWeek
	}
	if until <= from {
		return nil
	}
	lo, n := WeekMinute(from), Minute(until-from)
	if lo+n <= WeekLength {
		return Week{{lo, lo + n - 1}}
	}
	return Of(Interval[Minute]{lo, WeekLength - 1}, Interval[Minute]{0, lo + n - 1 - WeekLength})
}

// tidied drops terms without a minute and joins those that say the same one after the other, in place.
func tidied(in []Term) Times {
	out := in[:0]
	for _, t := range in {
		if !t.Week.Overlaps(covered(t.From, t.Until)) {
			continue
		}
		if n := len(out); n > 0 && out[n-1].Until == t.From && out[n-1].Week.Equal(t.Week) {
			out[n-1].Until = t.Until
			continue
		}
		out = append(out, t)
	}
	return out
}

// combine asks op about each stretch of time in which neither set changes its week.
func (a Times) combine(b Times, op func(x, y Week) Week) Times {
	edges := make([]int64, 0, 2*(len(a)+len(b)))
	for _, s := range []Times{a, b} {
		for _, t := range s {
			edges = append(edges, t.From, t.Until)
		}
	}
	slices.Sort(edges)
	edges = slices.Compact(edges)
	var out []Term
	for i := 1; i < len(edges); i++ {
		from, until := edges[i-1], edges[i]
		for len(a) > 0 && a[0].Until <= from {
			a = a[1:]
		}
		for len(b) > 0 && b[0].Until <= from {
			b = b[1:]
		}
		var x, y Week
		if len(a) > 0 && a[0].From <= from {
			x = a[0].Week
		}
		if len(b) > 0 && b[0].From <= from {
			y = b[0].Week
		}
		out = append(out, Term{from, until, op(x, y)})
	}
	return tidied(out)
}

// Union is what is in either.
func (a Times) Union(b Times) Times {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	return a.combine(b, Week.Union)
}

// Intersect is what is in both.
func (a Times) Intersect(b Times) Times { return a.combine(b, Week.Intersect) }

// Minus is what is in a and not in b.
func (a Times) Minus(b Times) Times { return a.combine(b, Week.Minus) }

// Empty tells whether the set has no minute.
func (a Times) Empty() bool { return len(a) == 0 }

// Same tells whether both are the same minutes.
func (a Times) Same(b Times) bool {
	return a.alike(b) || a.Minus(b).Empty() && b.Minus(a).Empty()
}

// alike tells whether both are written alike.
func (a Times) alike(b Times) bool {
	return slices.EqualFunc(a, b, func(x, y Term) bool { return x.From == y.From && x.Until == y.Until && x.Week.Equal(y.Week) })
}

// Within tells whether b holds every minute of a.
func (a Times) Within(b Times) bool { return a.alike(b) || a.Minus(b).Empty() }

// Contains tells whether a minute since 1970 UTC is in the set.
func (a Times) Contains(minute int64) bool {
	for _, t := range a {
		if t.From <= minute && minute < t.Until {
			return t.Week.Contains(WeekMinute(minute))
		}
	}
	return false
}

// First is the first minute of the set; false when it is empty.
func (a Times) First() (int64, bool) {
	if len(a) == 0 {
		return 0, false
	}
	t := a[0]
	at := WeekMinute(t.From)
	best := int64(math.MaxInt64)
	for _, v := range t.Week {
		switch {
		case v.Lo <= at && at <= v.Hi:
			return t.From, true
		case v.Lo > at:
			best = min(best, int64(v.Lo-at))
		default:
			best = min(best, int64(v.Lo-at)+WeekLength)
		}
	}
	return t.From + best, true
}
