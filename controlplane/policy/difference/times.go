package difference

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sekisho/sekisho/controlplane/policy/space"
)

// Time is when packets may pass, in Japan's time.
type Time struct {
	Since string `json:"since,omitempty"` // first day, or first minute
	Until string `json:"until,omitempty"` // last day, or first minute no longer in force
	Week  []Span `json:"week,omitempty"`  // none: all of it
}

// Span is a part of some days of the week.
type Span struct {
	Days []int  `json:"days"`           // on which it begins: 1 is Monday
	From string `json:"from"`           // hh:mm
	To   string `json:"to"`             // not after From: on the next day
	More int    `json:"more,omitempty"` // whole days that it lasts beyond that
}

const (
	aDay  = 24 * 60
	ahead = 9 * 60 // Japan's time is before UTC's
)

var japan = time.FixedZone("JST", ahead*60)

// times tells a set of minutes; nothing for always.
func times(all space.Times) []Time {
	if all.Same(space.Always) {
		return nil
	}
	var out []Time
	for _, t := range all {
		var x Time
		if t.From > 0 {
			x.Since = moment(t.From, 0)
		}
		if t.Until != space.Ever {
			x.Until = moment(t.Until, 1)
		}
		x.Week = week(t.Week)
		out = append(out, x)
	}
	return out
}

// moment is a day where it is midnight, less some days; else a minute.
func moment(minute int64, days int) string {
	at := time.Unix(minute*60, 0).In(japan)
	if at.Hour() == 0 && at.Minute() == 0 {
		return at.AddDate(0, 0, -days).Format(time.DateOnly)
	}
	return at.Format(time.DateOnly + " 15:04")
}

// week tells a set of minutes of the week as a person writes it; nothing for all of it.
func week(w space.Week) []Span {
	type stretch struct{ from, length int }
	var all []stretch
	for _, v := range w {
		all = append(all, stretch{(int(v.Lo) + ahead) % space.WeekLength, int(v.Hi-v.Lo) + 1})
	}
	if n := len(all); n > 0 && all[0].length == space.WeekLength {
		return nil
	} else if n > 1 && w[0].Lo == 0 && w[n-1].Hi == space.WeekLength-1 { // one over the end of UTC's week
		all[n-1].length += all[0].length
		all = all[1:]
	}
	for i := range all { // days that follow each other whole are days
		for all[i].from%aDay == 0 && all[i].length > aDay {
			all = append(all, stretch{all[i].from, aDay})
			all[i] = stretch{(all[i].from + aDay) % space.WeekLength, all[i].length - aDay}
		}
	}
	slices.SortFunc(all, func(a, b stretch) int { return cmp.Compare(a.from, b.from) })
	clock := func(n int) string { return fmt.Sprintf("%02d:%02d", n/60, n%60) }
	var out []Span
	for _, s := range all {
		day, from := s.from/aDay+1, s.from%aDay
		more := (s.length - 1) / aDay
		to := (from + s.length) % aDay
		x := Span{Days: []int{day}, From: clock(from), To: clock(to), More: more}
		if to == 0 && from+s.length-more*aDay == aDay {
			x.To = "24:00"
		}
		i := slices.IndexFunc(out, func(o Span) bool { return o.From == x.From && o.To == x.To && o.More == x.More })
		if i >= 0 {
			out[i].Days = append(out[i].Days, day)
			continue
		}
		out = append(out, x)
	}
	return out
}
