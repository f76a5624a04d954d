package config

import (
	"fmt"
	"slices"
	"strings"
)

// State is where a communication stands in its life. What is not active permits nothing: it is in no table.
type State string

const (
	Draft     State = "draft"     // written down, not yet approved
	Active    State = "active"    // also without any state
	Suspended State = "suspended" // taken out for now
	Expired   State = "expired"   // over; kept for the ledger
)

// States in the order of a life.
var States = []State{Draft, Active, Suspended, Expired}

// Active tells whether the communication permits anything, at its times.
func (c *Communication) Active() bool { return c.State == "" || c.State == Active }

func (s *State) UnmarshalText(b []byte) error {
	if !slices.Contains(States, State(b)) {
		return fmt.Errorf("state: want one of %s", strings.Join(stateNames(), ", "))
	}
	*s = State(b)
	return nil
}

func stateNames() []string {
	names := make([]string, len(States))
	for i, s := range States {
		names[i] = string(s)
	}
	return names
}

// life checks what a communication says of its own life, as far as the document alone can tell: it knows no today, so that a
// revision that was right stays right. What is due or over by now is for the hygiene report to say.
func (k *checker) life(c *Communication, what string) {
	if !c.Review.IsZero() && !c.Since.IsZero() && c.Review.End() <= c.Since.Begin() {
		k.at(&c.Review, "%s: review %s is before since %s: want a day on which it is in force", what, c.Review, c.Since)
	}
	if !c.Approved.On.IsZero() && !c.Until.IsZero() && c.Approved.On.Begin() >= c.Until.End() {
		k.at(&c.Approved.On, "%s: approved on %s, when its time is over (until %s): want the day of the approval, or a later until", what, c.Approved.On, c.Until)
	}
}
