package policy

import (
	"cmp"
	"math"
	"slices"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// term is when a record is in force: minutes since 1970 UTC, the last one excluded, and within them the part of each week
// that a window names (0: all of it).
type term struct {
	from, until int64
	window      uint8
}

// ever is the end of time: no until.
const ever = math.MaxInt64

var always = term{until: ever}

// termOf reads a record's time. windows are numbers by name.
func termOf(c *config.Communication, windows map[string]uint8) term {
	t := always
	if !c.Since.IsZero() {
		t.from = c.Since.Begin()
	}
	if !c.Until.IsZero() {
		t.until = c.Until.End()
	}
	t.window = windows[c.Window]
	return t
}

// covers tells whether t is in force whenever o is, as far as single terms can tell.
func (t term) covers(o term) bool {
	return t.from <= o.from && t.until >= o.until && (t.window == 0 || t.window == o.window)
}

// together is the union of terms: as few as can say it, earliest first. What follows upon another without a gap is one with it.
func together(in []term) []term {
	if !slices.ContainsFunc(in, func(t term) bool { return t != in[0] }) {
		return in[:min(len(in), 1)] // the usual case
	}
	s := slices.Clone(in)
	slices.SortFunc(s, func(a, b term) int {
		return cmp.Or(cmp.Compare(a.window, b.window), cmp.Compare(a.from, b.from), cmp.Compare(a.until, b.until))
	})
	var joined []term
	for _, t := range s {
		if n := len(joined); n > 0 && joined[n-1].window == t.window && t.from <= joined[n-1].until {
			joined[n-1].until = max(joined[n-1].until, t.until)
			continue
		}
		joined = append(joined, t)
	}
	var out []term
	for i, t := range joined {
		if !slices.ContainsFunc(joined[:i], func(o term) bool { return o.covers(t) }) { // terms without a window come first
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b term) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.until, b.until), cmp.Compare(a.window, b.window))
	})
	return out
}

// put writes the term into a rule.
func (t term) put(r *packet.Rule) {
	r.From, r.Window = t.from, t.window
	if t.until != ever {
		r.Until = t.until
	}
}

// Minutes of Japan's time before UTC's, of a day and of a week.
const (
	ahead  = 9 * 60
	aDay   = 24 * 60
	aWeek  = 7 * aDay
	aShift = aWeek - ahead // to UTC, kept positive
)

// windows numbers the configured windows by their place, from 1, and turns them into minutes of a week in UTC.
func windows(cfg *config.Config) ([]packet.Window, map[string]uint8) {
	var out []packet.Window
	numbers := map[string]uint8{}
	for i, w := range cfg.Windows {
		n := uint8(i + 1)
		numbers[w.ID] = n
		out = append(out, packet.Window{ID: n, Spans: spans(w)})
	}
	return out, numbers
}

// spans of a window: in order, none touching another, cut at the week's end.
func spans(w config.Window) []packet.Span {
	length := int(w.To) - int(w.From)
	if length <= 0 {
		length += aDay
	}
	var raw []packet.Span
	for _, d := range w.Days {
		from := ((int(d)-1)*aDay + int(w.From) + aShift) % aWeek
		if to := from + length; to <= aWeek {
			raw = append(raw, packet.Span{From: uint16(from), To: uint16(to)})
		} else {
			raw = append(raw, packet.Span{From: uint16(from), To: aWeek}, packet.Span{From: 0, To: uint16(to - aWeek)})
		}
	}
	slices.SortFunc(raw, func(a, b packet.Span) int { return cmp.Compare(a.From, b.From) })
	var out []packet.Span
	for _, s := range raw {
		if n := len(out); n > 0 && s.From <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, s.To)
			continue
		}
		out = append(out, s)
	}
	return out
}
