package config

import (
	"fmt"
	"slices"
	"strings"
)

// MaxWindows is what the packet core has numbers for.
const MaxWindows = 255

func (k *checker) weeklyWindows() {
	if len(k.c.Windows) > MaxWindows {
		k.at(&k.c.Windows, "%d windows: the packet core has numbers for %d", len(k.c.Windows), MaxWindows)
	}
	for i := range k.c.Windows {
		w := &k.c.Windows[i]
		what := fmt.Sprintf("window %q", short(w.ID))
		k.filled(len(w.Days), &w.Days, what+" days", "at least one of "+strings.Join(DayNames, ", "))
		for j := range w.Days {
			if d := &w.Days[j]; *d != 0 && slices.Contains(w.Days[:j], *d) {
				k.at(d, "%s: %s is given twice", what, d)
			}
		}
		switch {
		case !k.good(&w.From) || !k.good(&w.To):
		case w.From == minutesOfDay:
			k.at(&w.From, "%s: it cannot begin at 24:00: write 00:00 and the day after", what)
		case w.From == w.To:
			k.at(&w.To, "%s: it ends when it begins: want a later time, an earlier one for the next day, or 00:00 to 24:00 for whole days", what)
		}
	}
}

// inForce checks when a communication counts. That its time is over is no fault of the document.
func (k *checker) inForce(c *Communication, what string) {
	if c.Window != "" {
		refer(k, &c.Window, "window", k.windows)
	}
	if !c.Since.IsZero() && !c.Until.IsZero() && c.Until.End() <= c.Since.Begin() {
		k.at(&c.Until, "%s: until %s is not after since %s: it would never be in force", what, c.Until, c.Since)
	}
}
