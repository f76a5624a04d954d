package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sekisho/sekisho/hack/town"
)

// job is the main job under way: a town, and what was seen in it.
type job struct {
	town  *town.Town
	name  town.Name
	out   io.Writer
	start time.Time
	step  int
	lines []line
	desks map[string]*desk // signed-in people, by id
	paper *papers          // the files of step 4, looked at again in step 7
}

// line is one measured claim.
type line struct {
	step                  int
	tried, expected, seen string
	held                  bool
}

// section opens a step of the job.
func (j *job) section(number int, title string) {
	j.step = number
	fmt.Fprintf(j.out, "\n%d. %s\n", number, title)
}

// check measures one claim and shows the outcome at once. An error is an outcome: the claim did not hold.
func (j *job) check(tried, expected string, measure func() (seen string, held bool, err error)) bool {
	seen, held, err := measure()
	if err != nil {
		seen, held = strings.TrimSpace(seen+" "+err.Error()), false
	}
	l := line{j.step, tried, expected, seen, held}
	j.lines = append(j.lines, l)
	fmt.Fprintf(j.out, "   %s %6.1fs  %s: %s\n", mark(held), time.Since(j.start).Seconds(), tried, seen)
	return held
}

// must is check for a claim without which the following cannot be measured.
func (j *job) must(ctx context.Context, tried, expected string, measure func() (string, bool, error)) error {
	if !j.check(tried, expected, measure) {
		if err := ctx.Err(); err != nil {
			return err
		}
		return fmt.Errorf("step %d: %s: not held, so what follows it cannot be measured", j.step, tried)
	}
	return nil
}

// held tells whether every claim did.
func (j *job) held() bool {
	for _, l := range j.lines {
		if !l.held {
			return false
		}
	}
	return len(j.lines) > 0
}

// table prints the outcome.
func (j *job) table() {
	head := line{tried: "tried", expected: "expected", seen: "seen"}
	width := [2]int{columns(head.tried), columns(head.expected)}
	for _, l := range j.lines {
		width[0], width[1] = max(width[0], columns(l.tried)), max(width[1], columns(l.expected))
	}
	row := func(step, held string, l line) {
		fmt.Fprintf(j.out, "%1s  %s  %s  %s  %s\n", step, pad(l.tried, width[0]), pad(l.expected, width[1]), held, l.seen)
	}
	fmt.Fprintln(j.out)
	row(" ", "held", head)
	held := 0
	for _, l := range j.lines {
		row(fmt.Sprint(l.step), pad(mark(l.held), 4), l)
		if l.held {
			held++
		}
	}
	fmt.Fprintf(j.out, "\n%d of %d held, in %v\n", held, len(j.lines), time.Since(j.start).Round(time.Second))
}

// failures prints only what did not hold.
func (j *job) failures() {
	for _, l := range j.lines {
		if !l.held {
			fmt.Fprintf(j.out, "Not held, step %d: %s: expected %s, seen: %s\n", l.step, l.tried, l.expected, l.seen)
		}
	}
}

func mark(held bool) string {
	if held {
		return "yes"
	}
	return "NO "
}

func pad(s string, width int) string { return s + strings.Repeat(" ", max(0, width-columns(s))) }

// columns a text takes on a terminal: Japanese characters take two.
func columns(s string) int {
	n := utf8.RuneCountInString(s)
	for _, r := range s {
		if r >= 0x2e80 && r < 0xff61 {
			n++
		}
	}
	return n
}
