package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// Kind says what a finding is about.
type Kind string

// Kinds of findings, in the order of the report.
const (
	Ended           Kind = "expired" // its time is over, and it still stands there
	Ending          Kind = "ending"  // its time is over soon
	ReviewOverdue   Kind = "review-overdue"
	ReviewDue       Kind = "review-due"
	NoReview        Kind = "no-review"
	NotFilledIn     Kind = "not-filled-in" // taken from a template
	NoApproval      Kind = "no-approval"
	LateApproval    Kind = "late-approval" // in force before it was approved
	FutureApproval  Kind = "future-approval"
	NoBasis         Kind = "no-basis"
	NoOwner         Kind = "no-owner"
	NeverUsed       Kind = "never-used"
	NotUsed         Kind = "not-used" // for a while
	Shadowed        Kind = "shadowed"
	Overlapping     Kind = "overlapping"
	Empty           Kind = "empty" // no packet can use it
	Broad           Kind = "broad"
	UnusedSegment   Kind = "unused-segment" // with no record
	UnusedStation   Kind = "unused-station" // registered, and named by no record
	UnusedService   Kind = "unused-service"
	UnusedGroup     Kind = "unused-group"
	UnseenStation   Kind = "unseen-station" // sends nothing
	FindingsBounded Kind = "more"           // of a kind that would go on and on
)

var kinds = []Kind{Ended, Ending, ReviewOverdue, ReviewDue, NoReview, NotFilledIn, NoApproval, LateApproval, FutureApproval, NoBasis, NoOwner, NeverUsed, NotUsed,
	Shadowed, Overlapping, Empty, Broad, UnusedSegment, UnusedStation, UnusedService, UnusedGroup, UnseenStation, FindingsBounded}

// Finding is something of the configuration that wants a person's look. Nothing of it is wrong by itself.
type Finding struct {
	Kind     Kind     `json:"kind"`
	Records  []string `json:"records,omitempty"` // the one it is about first, then those that make it so
	Segments []string `json:"segments,omitempty"`
	Stations []string `json:"stations,omitempty"`
	Services []string `json:"services,omitempty"`
	Groups   []string `json:"groups,omitempty"`
	Line     int      `json:"line,omitempty"` // of the document, of what is named first; 0 = not known
	Text     string   `json:"text"`
	Remedy   string   `json:"remedy"`
}

// Report is what there is to tidy up.
type Report struct {
	At       time.Time    `json:"at"`
	Used     bool         `json:"used"` // what was used is known
	Findings []Finding    `json:"findings"`
	Counts   map[Kind]int `json:"counts"`
}

// Limits of the report that a person may want to change.
type HygieneLimits struct {
	UnusedDays int // a record without a packet, a station without a word for so long is a finding
	EndingDays int // what ends, or is to be looked at again, within so many days is a finding
	Addresses  int // an end with more is broad
	Ports      int // a range with more is broad
	Overlaps   int // pairs that are told at most
}

// UsualLimits are a quarter, a month, a /24, a hundred ports and a thousand pairs.
func UsualLimits() HygieneLimits {
	return HygieneLimits{UnusedDays: 90, EndingDays: 30, Addresses: 256, Ports: 100, Overlaps: 1000}
}

// Hygiene looks at a configuration, its compiled tables and what was used of it (nil: not known) as of a moment.
func Hygiene(cfg *config.Config, t *packet.Tables, u *Usage, at time.Time, limits HygieneLimits) Report {
	h := &hygiene{cfg: cfg, tables: t, usage: u, at: at, minute: at.Unix() / 60, limits: limits, names: newDirectory(cfg)}
	for i := range cfg.Communications {
		if c := &cfg.Communications[i]; c.Active() {
			h.times(c)
			h.papers(c)
			h.used(c)
			h.broad(c)
		}
	}
	h.shares()
	h.unused()
	h.unseen()
	slices.SortStableFunc(h.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)), cmp.Compare(a.Line, b.Line))
	})
	r := Report{At: at, Used: u != nil, Findings: h.found, Counts: map[Kind]int{}}
	for _, f := range r.Findings {
		r.Counts[f.Kind]++
	}
	return r
}

type hygiene struct {
	cfg    *config.Config
	tables *packet.Tables
	usage  *Usage
	at     time.Time
	minute int64
	limits HygieneLimits
	names  directory
	found  []Finding
}

// record adds a finding about a communication.
func (h *hygiene) record(k Kind, c *config.Communication, remedy, format string, args ...any) {
	h.add(Finding{Kind: k, Records: []string{c.ID}, Remedy: remedy}, c, format, args...)
}

// add completes a finding about something of the document.
func (h *hygiene) add(f Finding, what any, format string, args ...any) {
	if p, ok := h.cfg.PosOf(what); ok {
		f.Line = p.Line
	}
	f.Text = fmt.Sprintf(format, args...)
	h.found = append(h.found, f)
}

// over tells whether a record permits nothing any more.
func (h *hygiene) over(c *config.Communication) bool {
	return !c.Until.IsZero() && c.Until.End() <= h.minute
}

const day = 24 * 60 // minutes

// times finds what ended, ends soon, or is to be looked at again.
func (h *hygiene) times(c *config.Communication) {
	soon := h.minute + int64(h.limits.EndingDays)*day
	switch {
	case h.over(c):
		h.record(Ended, c, "renew its until after a new approval, or set its state to expired", "record %s ended after %s and permits nothing", c.ID, c.Until)
		return // the rest is idle then
	case !c.Until.IsZero() && c.Until.End() <= soon:
		h.record(Ending, c, "renew its until after a new approval, or let it end", "record %s ends after %s", c.ID, c.Until)
	}
	switch {
	case c.Review.IsZero():
		h.record(NoReview, c, "write review: with the day by which somebody looks whether it is still needed", "record %s is never looked at again", c.ID)
	case c.Review.End() <= h.minute:
		h.record(ReviewOverdue, c, "look whether it is still needed, then write the next review", "record %s was to be looked at by %s", c.ID, c.Review)
	case c.Review.End() <= soon:
		h.record(ReviewDue, c, "look whether it is still needed, then write the next review", "record %s is to be looked at by %s", c.ID, c.Review)
	}
}

// placeholder is what templates write where a town has to fill something in.
const placeholder = "記入"

// papers finds what a record cannot show: who let it be, on what ground, whose it is.
func (h *hygiene) papers(c *config.Communication) {
	const approve = "write approved: {by: …, on: …}, or set its state to draft until it is"
	switch on := c.Approved.On; {
	case c.Approved.By == "":
		h.record(NoApproval, c, approve, "record %s is active, and nobody is named who approved it", c.ID)
	case on.Begin() > h.minute:
		h.record(FutureApproval, c, "mend the day of the approval, or set its state to draft until it is approved", "record %s is active, and was approved on %s, which is still to come", c.ID, on)
	case !c.Since.IsZero() && on.Begin() >= c.Since.End():
		h.record(LateApproval, c, "note in its purpose why, or mend since or the day of the approval", "record %s is in force since %s and was approved only on %s", c.ID, c.Since, on)
	}
	if c.Basis == "" {
		h.record(NoBasis, c, "write basis: with the law, ordinance or contract that it rests on", "record %s names no legal or contractual basis", c.ID)
	}
	for _, text := range []string{c.Basis, c.Owner, c.Purpose, c.Approved.By} {
		if strings.Contains(text, placeholder) {
			h.record(NotFilledIn, c, "fill it in, or set its state to draft until it is", "record %s is active, and %q is still to be filled in", c.ID, text)
			break
		}
	}
	if c.Owner == "" {
		h.record(NoOwner, c, "write owner: with the section that answers for it", "record %s belongs to no section", c.ID)
	}
}
