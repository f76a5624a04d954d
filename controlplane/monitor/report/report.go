// Package report is the month of a line on paper: what was promised, what was delivered, and whose fault the difference was.
//
// Problem: a guarantee is worth what can be shown to the carrier at the end of the month. Mechanism: the evidence of one line and one
// month is gathered into a Month, which holds figures only, and a Month is written as a page (PDF) or as tables (CSV) in Japanese or
// English. Life cycle: a Month is gathered when somebody asks, and kept by nobody. Invariant: seconds that were not measured are
// told apart from those in which a guarantee was kept, in every form.
package report

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sekisho/sekisho/controlplane/monitor/evidence"
	"github.com/sekisho/sekisho/controlplane/web/text"
)

// Japan is the time by which months are reckoned.
var Japan = time.FixedZone("JST", 9*60*60)

// Name in both languages; either may be empty.
type Name struct {
	JA string `json:"ja,omitempty"`
	EN string `json:"en,omitempty"`
}

// Month is the figures of one line.
type Month struct {
	Town Name      `json:"town"`
	Line string    `json:"line"`
	Name Name      `json:"name"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`   // end of the month, or now
	Made time.Time `json:"made"` // when it was gathered

	Seconds  int64   `json:"seconds"`  // from From to To
	Measured int64   `json:"measured"` // of them
	Up       int64   `json:"up"`       // of the measured ones; degraded and down likewise
	Degraded int64   `json:"degraded"`
	Down     int64   `json:"down"`
	Delay    Delay   `json:"delay"` // of the line's own probes
	Classes  []Class `json:"classes"`

	Violations []evidence.Violation `json:"violations"`
	Hourly     bool                 `json:"hourly"`  // the minutes are no more: no single violation is known
	Damaged    int                  `json:"damaged"` // records that could not be read
}

// Class is one bandwidth class.
type Class struct {
	ID    string    `json:"id"`
	Name  Name      `json:"name"`
	Up    Direction `json:"up"`
	Down  Direction `json:"down"`
	Delay Delay     `json:"delay"`
}

// Direction of a class.
type Direction struct {
	Guarantee uint64                     `json:"guarantee"` // bit/s, as it was last
	Bytes     uint64                     `json:"bytes"`     // delivered
	Seconds   map[evidence.Verdict]int64 `json:"seconds"`
	Worst     float64                    `json:"worst"` // share of the guarantee in the worst second in which it was not kept; 1: none
}

// Owed is how many seconds the guarantee was asked for in; Kept is the share of them in which it was kept, 1 of none.
func (d Direction) Owed() (n int64) { return d.Seconds[evidence.Kept] + d.Broken() }

func (d Direction) Kept() float64 {
	if d.Owed() == 0 {
		return 1
	}
	return float64(d.Seconds[evidence.Kept]) / float64(d.Owed())
}

// Broken is how many seconds it was not kept in.
func (d Direction) Broken() (n int64) {
	for v, s := range d.Seconds {
		if v.Broken() {
			n += s
		}
	}
	return n
}

// Delay is what probes met.
type Delay struct {
	Sent   uint64             `json:"sent"`
	Lost   uint64             `json:"lost"`
	P50    time.Duration      `json:"p50"`
	P99    time.Duration      `json:"p99"`
	Max    time.Duration      `json:"max"`
	Jitter time.Duration      `json:"jitter"`
	all    evidence.Histogram // of which P50 and P99 are made at the end
}

// Loss is the share of probes that were not answered.
func (d Delay) Loss() float64 {
	if d.Sent == 0 {
		return 0
	}
	return float64(d.Lost) / float64(d.Sent)
}

func (d *Delay) add(r evidence.Record) {
	d.Sent, d.Lost = d.Sent+uint64(r.Sent), d.Lost+uint64(r.Lost)
	d.Max, d.Jitter = max(d.Max, r.Max), max(d.Jitter, r.Jitter)
	d.all.Merge(r.Delays)
}

// settle gives the quantiles of all that was added.
func (d *Delay) settle() {
	d.P50, d.P99 = d.all.Quantile(0.5, d.Max), d.all.Quantile(0.99, d.Max)
}

// Source is the evidence.
type Source interface {
	Known() []evidence.Series
	Read(id evidence.Series, t evidence.Tier, from, to time.Time) ([]evidence.Record, int, error)
}

// ErrNone says that what was asked for cannot have evidence.
var ErrNone = errors.New("there is no evidence")

// ParseMonth reads "2026-10".
func ParseMonth(s string) (time.Time, error) {
	t, err := time.ParseInLocation("2006-01", s, Japan)
	if err != nil {
		return t, fmt.Errorf("month %q: want a year and a month, as 2026-10", s)
	}
	return t, nil
}

// Gather adds the month up that begins at from (Japan's time), as far as it is over at now. A line without evidence is an error.
func Gather(s Source, line string, from, now time.Time) (Month, error) {
	to := from.AddDate(0, 1, 0)
	if to.After(now) {
		to = now.Truncate(time.Minute)
	}
	if !to.After(from) {
		return Month{}, fmt.Errorf("%w: the month %s has not begun yet", ErrNone, from.In(Japan).Format("2006-01"))
	}
	tier := evidence.Minutes
	if from.Before(now.Add(-time.Duration(tier.Slots*tier.Step) * time.Second)) {
		tier = evidence.Hours
	}
	return Between(s, line, from, to, now, tier)
}

// Between adds any time up from the minutes or the hours; of hours no single violation is known.
func Between(s Source, line string, from, to, now time.Time, tier evidence.Tier) (Month, error) {
	known := s.Known()
	if !slices.Contains(known, evidence.Series{Line: line}) {
		return Month{}, fmt.Errorf("%w of a line %q: known are %q", ErrNone, line, Lines(s))
	}
	m := Month{Line: line, Name: Name{JA: line}, From: from, To: to, Made: now, Hourly: tier == evidence.Hours}
	m.Seconds = int64(m.To.Sub(m.From).Seconds())
	for _, id := range known {
		if id.Line != line {
			continue
		}
		if err := m.gather(s, id, tier); err != nil {
			return Month{}, err
		}
	}
	slices.SortStableFunc(m.Violations, func(a, b evidence.Violation) int { return a.From.Compare(b.From) })
	return m, nil
}

// Lines are the lines of which there is evidence.
func Lines(s Source) (lines []string) {
	for _, k := range s.Known() {
		if k.Class == "" {
			lines = append(lines, k.Line)
		}
	}
	return lines
}

// gather adds one series, a day at a time.
func (m *Month) gather(s Source, id evidence.Series, tier evidence.Tier) error {
	class := Class{ID: id.Class, Name: Name{JA: id.Class}, Up: newDirection(), Down: newDirection()}
	up, down := evidence.Joiner{Series: id}, evidence.Joiner{Series: id, Downward: true}
	any := false
	for day := m.From; day.Before(m.To); day = day.AddDate(0, 0, 1) {
		end := day.AddDate(0, 0, 1)
		if end.After(m.To) {
			end = m.To
		}
		records, damaged, err := s.Read(id, tier, day, end)
		if err != nil {
			return err
		}
		m.Damaged += damaged
		for _, r := range records {
			any = true
			class.Delay.add(r)
			class.Up.add(r.Up)
			class.Down.add(r.Down)
			if id.Class == "" {
				m.Measured += int64(r.Covered)
				m.Up, m.Degraded, m.Down = m.Up+int64(r.UpFor), m.Degraded+int64(r.Degraded), m.Down+int64(r.DownFor)
				continue
			}
			if !m.Hourly {
				up.Add(r)
				down.Add(r)
			}
		}
	}
	class.Delay.settle()
	if id.Class == "" {
		m.Delay = class.Delay
		return nil
	}
	if !any {
		return nil // of another time
	}
	class.Up.rest(m.Seconds)
	class.Down.rest(m.Seconds)
	m.Classes = append(m.Classes, class)
	m.Violations = append(append(m.Violations, up.End()...), down.End()...)
	return nil
}

func newDirection() Direction {
	return Direction{Seconds: map[evidence.Verdict]int64{}, Worst: 1}
}

func (d *Direction) add(w evidence.Way) {
	d.Guarantee, d.Bytes = w.Guarantee, d.Bytes+w.Bytes
	d.Worst = min(d.Worst, float64(w.Worst)/1000)
	for _, v := range evidence.Verdicts() {
		if v != evidence.NotKnown {
			d.Seconds[v] += int64(w.Count[v])
		}
	}
}

// rest is what was not measured: all seconds that no record knows of.
func (d *Direction) rest(seconds int64) {
	known := int64(0)
	for v, n := range d.Seconds {
		if v != evidence.NotKnown {
			known += n
		}
	}
	d.Seconds[evidence.NotKnown] = max(0, seconds-known)
}

// Broken is how many seconds guarantees were not kept in, over all classes and both directions; known also of hours.
func (m Month) Broken() (n int64) {
	for _, c := range m.Classes {
		n += c.Up.Broken() + c.Down.Broken()
	}
	return n
}

// Available is the share of the measured seconds in which the line carried something.
func (m Month) Available() float64 {
	if m.Measured == 0 {
		return 0
	}
	return float64(m.Up+m.Degraded) / float64(m.Measured)
}

// Entitle gives names to line and classes.
func (m *Month) Entitle(town, line Name, classes map[string]Name) {
	m.Town = town
	if line != (Name{}) {
		m.Name = line
	}
	for i := range m.Classes {
		if n := classes[m.Classes[i].ID]; n != (Name{}) {
			m.Classes[i].Name = n
		}
	}
}

// Forms are in which a month can be had, and the ends of the names of their files.
var Forms = []string{"pdf", "summary.csv", "violations.csv"}

// File is the name that a form's file bears.
func (m Month) File(form string) string {
	end := "." + form
	if form != Forms[0] {
		end = "-" + form
	}
	return "sekisho-" + m.Line + "-" + m.From.In(Japan).Format("2006-01") + end
}

// Write writes one form.
func (m Month) Write(w io.Writer, form string, l text.Lang) error {
	switch form {
	case Forms[0]:
		return m.PDF(w, l)
	case Forms[1]:
		return m.Summary(w, l)
	case Forms[2]:
		return m.List(w, l)
	}
	return fmt.Errorf("report as %q: want one of %v", form, Forms)
}
