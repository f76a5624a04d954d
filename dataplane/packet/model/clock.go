package model

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// Time: a rule says from which minute to which it is in force, and perhaps in which hours of every week. The world's clock is
// trusted only to go forwards: a clock that stands before a minute that it has shown already tells nothing, and every rule
// that depends on it is closed.

// Clock is what the gate knows of the time beside its clock.
type Clock struct {
	Floor time.Time // it has been this late already; zero: never set, which closes every rule that has a time
}

// inForce asks a rule, and those that are asked in its stead, whether one of them holds now.
func (m *Model) inForce(id uint32, clock Clock, now time.Time) string {
	for range packet.MaxChain {
		r, ok := m.rule(id)
		if !ok {
			break
		}
		if r.From == 0 && r.Until == 0 && r.Window == 0 {
			return ""
		}
		if clock.Floor.IsZero() || now.Before(clock.Floor.Truncate(time.Minute)) {
			return "clock-behind"
		}
		if m.holds(r, now.UTC()) {
			return ""
		}
		if id = r.Next; id == 0 {
			break
		}
	}
	return "record-time"
}

// holds tells whether one rule's own time holds.
func (m *Model) holds(r packet.Rule, now time.Time) bool {
	if r.From != 0 && now.Before(time.Unix(60*r.From, 0)) {
		return false
	}
	if r.Until != 0 && !now.Before(time.Unix(60*r.Until, 0)) {
		return false
	}
	if r.Window == 0 {
		return true
	}
	sinceMonday := (int(now.Weekday())+6)%7*24*60 + now.Hour()*60 + now.Minute()
	for _, s := range m.windows[r.Window].Spans {
		if int(s.From) <= sinceMonday && sinceMonday < int(s.To) {
			return true
		}
	}
	return false
}

// now is what the clock of the world shows.
func (st *State) now(in Packet) time.Time {
	if !st.Wall.IsZero() {
		return st.Wall
	}
	return in.Now
}

var japan = time.FixedZone("JST", 9*60*60)

// times writes for a person when a rule and its chain are in force, in Japan's time; "" when always.
func (m *Model) times(id uint32) string {
	var out []string
	for range packet.MaxChain {
		r, ok := m.rule(id)
		if !ok {
			break
		}
		if t := m.time(r); t != "" {
			out = append(out, t)
		}
		if id = r.Next; id == 0 {
			break
		}
	}
	return strings.Join(out, ", or ")
}

func (m *Model) time(r packet.Rule) string {
	var out []string
	at := func(minute int64) string { return time.Unix(60*minute, 0).In(japan).Format("2006-01-02 15:04") }
	if r.From != 0 {
		out = append(out, "from "+at(r.From))
	}
	if r.Until != 0 {
		out = append(out, "until "+at(r.Until))
	}
	if r.Window != 0 {
		var spans []string
		for _, s := range inJapan(m.windows[r.Window].Spans) {
			spans = append(spans, fmt.Sprintf("%s to %s", day(s[0]), day(s[1])))
		}
		out = append(out, "each week "+strings.Join(spans, ", "))
	}
	return strings.Join(out, " ")
}

// inJapan gives a window's spans in minutes of Japan's week, in its order, those joined that only UTC's week parts.
func inJapan(spans []packet.Span) [][2]int {
	const week = 7 * 24 * 60
	var out [][2]int
	for _, s := range spans {
		out = append(out, [2]int{int(s.From) + 9*60, int(s.To) + 9*60})
	}
	if n := len(spans); n > 1 && spans[0].From == 0 && spans[n-1].To == week {
		out[0][0] = out[n-1][0] - week
		out = out[:n-1]
	}
	for i := range out {
		if out[i][0] >= week {
			out[i][0], out[i][1] = out[i][0]-week, out[i][1]-week
		}
	}
	slices.SortFunc(out, func(a, b [2]int) int { return a[0] - b[0] })
	return out
}

// day writes a minute of Japan's week; 1970-01-05 was a Monday.
func day(minute int) string {
	return time.Unix(60*(4*24*60+int64(minute)), 0).UTC().Format("Mon 15:04")
}
