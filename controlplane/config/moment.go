package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// japan is the time in which days and hours are written, whatever the box's clock is set to. It knows no summer time.
var japan = time.FixedZone("JST", 9*60*60)

// Moment is a day ("2027-03-31") or a minute ("2027-03-31 17:15") in Japan's time; the zero value means none.
type Moment struct {
	minute int64 // since 1970 UTC; a day's first
	day    bool
}

const minutesOfDay = 24 * 60

// IsZero tells whether nothing is set.
func (m Moment) IsZero() bool { return m == Moment{} }

// Begin is the minute, or the day's first one, counted from 1970 UTC. Only for a moment that is set.
func (m Moment) Begin() int64 { return m.minute }

// End is the minute, or the first one after the whole day, counted from 1970 UTC. Only for a moment that is set.
func (m Moment) End() int64 {
	if m.day {
		return m.minute + minutesOfDay
	}
	return m.minute
}

const dateAndMinute = time.DateOnly + " 15:04"

func (m Moment) String() string {
	switch {
	case m.IsZero():
		return ""
	case m.day:
		return m.format(time.DateOnly)
	}
	return m.format(dateAndMinute)
}

func (m Moment) format(layout string) string {
	return time.Unix(m.minute*60, 0).In(japan).Format(layout)
}

func (m Moment) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

func (m *Moment) UnmarshalText(b []byte) error {
	for _, layout := range []string{time.DateOnly, dateAndMinute, time.DateOnly + "T15:04"} {
		t, err := time.ParseInLocation(layout, string(b), japan)
		if err == nil && t.Year() >= 2000 && t.Year() <= 2199 {
			*m = Moment{t.Unix() / 60, layout == time.DateOnly}
			return nil
		}
	}
	return fmt.Errorf("moment: want an existing day or minute as YYYY-MM-DD or YYYY-MM-DD hh:mm, like 2027-03-31 17:15")
}

// Clock is a time of day in Japan, in minutes from midnight, written "08:30"; "24:00" ends the day.
type Clock uint16

func (c Clock) String() string { return fmt.Sprintf("%02d:%02d", c/60, c%60) }

func (c Clock) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

func (c *Clock) UnmarshalText(b []byte) error {
	if string(b) == "24:00" {
		*c = minutesOfDay
		return nil
	}
	t, err := time.Parse("15:04", string(b))
	if err != nil || len(b) != len("15:04") {
		return fmt.Errorf("time of day: want hh:mm from 00:00 to 24:00, like 08:30")
	}
	*c = Clock(t.Hour()*60 + t.Minute())
	return nil
}

// Day is a day of the week: 1 is Monday, 7 Sunday, 0 none.
type Day uint8

// DayNames are how days are written, Monday first.
var DayNames = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

func (d Day) String() string {
	if d == 0 || int(d) > len(DayNames) {
		return ""
	}
	return DayNames[d-1]
}

func (d Day) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d *Day) UnmarshalText(b []byte) error {
	i := slices.Index(DayNames, string(b))
	if i < 0 {
		return fmt.Errorf("day: want one of %s", strings.Join(DayNames, ", "))
	}
	*d = Day(i + 1)
	return nil
}
