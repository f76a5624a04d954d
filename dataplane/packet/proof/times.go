package proof

import (
	"math"
	"slices"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// Time does not weaken the proof: a cell is looked at as if its rule were always in force, so what is silent here is safe at
// every minute. What is left to check is that rules and windows say one thing to every reader.

const (
	week     = 7 * 24 * 60 // minutes
	maxSpans = 8
)

// windows: spans in order, apart, inside a week.
func (c *checker) windows() {
	ids := map[uint8]bool{}
	for _, w := range c.t.Windows {
		if w.ID == 0 || ids[w.ID] {
			c.fault(Tables, "window %d: number is 0 or used twice", w.ID)
		}
		ids[w.ID] = true
		if len(w.Spans) == 0 || len(w.Spans) > maxSpans {
			c.fault(Tables, "window %d has %d spans: want 1 to %d", w.ID, len(w.Spans), maxSpans)
		}
		for i, s := range w.Spans {
			if s.From >= s.To || s.To > week || i > 0 && s.From <= w.Spans[i-1].To {
				c.fault(Tables, "window %d: minutes %d to %d are empty, outside the week, or not apart from those before", w.ID, s.From, s.To)
			}
		}
	}
}

// rules: each names records and has one time; chains go upwards and end.
func (c *checker) rules() {
	windows := map[uint8]bool{0: true}
	for _, w := range c.t.Windows {
		windows[w.ID] = true
	}
	ids := make(map[uint32]bool, len(c.t.Rules))
	for i := range c.t.Rules {
		r := &c.t.Rules[i]
		if r.ID == 0 || ids[r.ID] {
			c.fault(Tables, "rule %d: number is 0 or used twice", r.ID)
		}
		ids[r.ID] = true
		if len(r.Records) == 0 || slices.Contains(r.Records, "") {
			c.fault("I3", "rule %d names no record", r.ID)
		}
		if r.From < 0 || r.Until < 0 || r.From > math.MaxUint32 || r.Until > math.MaxUint32 || r.Until != 0 && r.Until <= r.From {
			c.fault(Tables, "rule %d: from minute %d until %d is no time", r.ID, r.From, r.Until)
		}
		if !windows[r.Window] {
			c.fault(Tables, "rule %d: its window %d does not exist", r.ID, r.Window)
		}
		if r.Next != 0 {
			c.chain(r)
		}
	}
}

// chain follows a rule to the end of its chain. A rule names the records of all that are asked after it, so that whoever
// looks at a cell's rule knows all that permits the cell.
func (c *checker) chain(head *packet.Rule) {
	next := c.rule.by(head.Next)
	for n, r := 2, next; ; n, r = n+1, c.rule.by(r.Next) {
		switch {
		case r == nil || n == 2 && r.ID <= head.ID:
			c.fault(Tables, "rule %d: the next rule of its chain does not exist or goes back", head.ID)
			return
		case n > packet.MaxChain:
			c.fault(Tables, "rule %d: its chain has more than %d rules", head.ID, packet.MaxChain)
			return
		}
		if r.Next == 0 {
			break
		}
	}
	named := make(map[string]bool, len(head.Records))
	for _, record := range head.Records {
		named[record] = true
	}
	for _, record := range next.Records {
		if !named[record] {
			c.fault("I3", "rule %d is asked after rule %d, which does not name its record %q", next.ID, head.ID, record)
		}
	}
}
