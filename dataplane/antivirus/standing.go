package antivirus

import (
	"context"
	"errors"
	"time"
)

// Level says how bad it is when signatures are old. Only the last blocks files; the others are for whoever brings new ones.
type Level int

// Levels, by the age of the signatures.
const (
	Fresh    Level = iota
	Day            // over a day old
	Days           // over three days
	Week           // over a week
	Blocking       // too old, of unknown age, or nobody answers: nothing passes
)

const day = 24 * time.Hour

// Standing is how clamd stands, for people and for whoever is woken.
type Standing struct {
	Version    string    `json:"version,omitempty"`
	Signatures int       `json:"signatures,omitempty"`
	Made       time.Time `json:"made,omitzero"`
	AgeHours   int       `json:"age_hours,omitempty"` // of the signatures, when it was asked
	Reachable  bool      `json:"reachable"`           // it answers, whatever it says
	Level      Level     `json:"level"`
	Code       string    `json:"code,omitempty"` // why nothing passes
	Detail     string    `json:"detail,omitempty"`
}

// Standing asks clamd who it is.
func (d *Daemon) Standing(ctx context.Context) Standing {
	e, err := d.Engine(ctx)
	if err == nil {
		err = d.young(e)
	}
	s := Standing{Version: e.Version, Signatures: e.Signatures, Made: e.Made}
	s.Reachable = e.Version != ""
	if !e.Made.IsZero() {
		s.AgeHours = int(d.Age(e) / time.Hour)
	}
	var r *Refusal
	switch age := d.Age(e); {
	case errors.As(err, &r):
		s.Level, s.Code, s.Detail = Blocking, r.Code, r.Detail
	case err != nil:
		s.Level, s.Code = Blocking, Silent
	case age > 7*day:
		s.Level = Week
	case age > 3*day:
		s.Level = Days
	case age > day:
		s.Level = Day
	}
	return s
}
