package config

import (
	"fmt"
	"slices"
	"time"

	"github.com/sekisho/sekisho/controlplane/config/templates"
)

// Measure is what the town states of one measure of its model: done, planned, or not applicable; exactly one of them.
type Measure struct {
	ID            string  `yaml:"id" need:"yes"` // of the catalogue in package templates
	Done          Done    `yaml:"done,omitempty"`
	Planned       Planned `yaml:"planned,omitempty"`
	NotApplicable Waiver  `yaml:"not-applicable,omitempty"`
}

// Done is who did a measure, when, and where one can look that up.
type Done struct {
	By       string `yaml:"by" need:"yes"`
	On       Moment `yaml:"on" need:"yes"`
	Evidence string `yaml:"evidence" need:"yes"`
}

// Planned is by when a measure will be done.
type Planned struct {
	Until Moment `yaml:"until" need:"yes"`
	By    string `yaml:"by,omitempty"`
}

// Waiver is why a measure does not apply.
type Waiver struct {
	Why string `yaml:"why" need:"yes"`
}

func (k *checker) measures() {
	if len(k.c.Measures) == 0 {
		return
	}
	catalogue, err := templates.Load()
	if err != nil {
		k.at(&k.c.Measures, "measures: %v", err)
		return
	}
	var known []string
	for _, m := range catalogue.Measures {
		known = append(known, m.ID)
	}
	index(k, "measure", k.c.Measures, func(m *Measure) *string { return &m.ID })
	for i := range k.c.Measures {
		m := &k.c.Measures[i]
		what := fmt.Sprintf("measure %q", short(m.ID))
		if m.ID != "" && !slices.Contains(known, m.ID) {
			k.at(&m.ID, "there is no measure %q%s: `sekisho templates show MODEL` lists them", short(m.ID), suggest(m.ID, known, ""))
		}
		if n := given(k, &m.Done, &m.Planned, &m.NotApplicable); n != 1 && k.good(m) {
			k.at(m, "%s: give exactly one of done, planned, not-applicable (%d are given)", what, n)
		}
		if c := catalogue.Measure(m.ID); c != nil && len(c.Held) > 0 && k.has(&m.NotApplicable) {
			k.at(&m.NotApplicable, "%s: it always applies, and the gate holds it itself: remove it", what)
		}
	}
}

// Standing is how a measure of the model stands.
type Standing string

// Standings, from good to bad.
const (
	Held     Standing = "held"    // by the gate, proven
	Complete Standing = "done"    // as the town states
	Waived   Standing = "waived"  // does not apply, as the town states
	Pending  Standing = "planned" // or done on a day that is still to come
	Late     Standing = "late"    // planned for a day that is over
	Missing  Standing = "missing" // nothing is stated
	Broken   Standing = "broken"  // the gate should hold it, and the proof says otherwise
)

// Good tells whether nothing is missing.
func (s Standing) Good() bool { return s == Held || s == Complete || s == Waived }

// Item is one line of the checklist.
type Item struct {
	*templates.Measure
	Required bool     // else advised
	Standing Standing // as of the moment asked for
	Stated   *Measure // by the town; nil = not
}

// contradictory is what the proof calls tables that two readers could read differently: nothing holds over them.
const contradictory = "tables"

// Checklist holds the document against its model. broken are the invariants that the compiled tables break. The error says that the
// program itself is damaged.
func (c *Config) Checklist(broken map[string]bool, at time.Time) ([]Item, error) {
	catalogue, err := templates.Load()
	if err != nil {
		return nil, err
	}
	model := catalogue.Model(c.Model)
	if model == nil {
		return nil, fmt.Errorf("there is no template for model %q", c.Model)
	}
	var out []Item
	for _, list := range [][]string{model.Required, model.Advised} {
		for _, id := range list {
			item := Item{Measure: catalogue.Measure(id), Required: len(out) < len(model.Required)}
			if i := slices.IndexFunc(c.Measures, func(m Measure) bool { return m.ID == id }); i >= 0 {
				item.Stated = &c.Measures[i]
			}
			item.Standing = item.standing(broken, at.Unix()/60)
			out = append(out, item)
		}
	}
	return out, nil
}

func (i Item) standing(broken map[string]bool, minute int64) Standing {
	if len(i.Held) > 0 && (broken[contradictory] || slices.ContainsFunc(i.Held, func(s string) bool { return broken[s] })) {
		return Broken
	}
	m := i.Stated
	switch {
	case len(i.Held) > 0:
		return Held
	case m == nil:
		return Missing
	case m.NotApplicable.Why != "":
		return Waived
	case m.Done.By != "" && m.Done.On.Begin() <= minute:
		return Complete
	case m.Done.By == "" && m.Planned.Until.End() <= minute:
		return Late
	}
	return Pending
}
