package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Formats that the sanitizer can rebuild; macro kinds become their plain kind.
var Formats = verdict.Formats()

// Roles that can approve a transfer.
var Roles = []string{"section-head"}

// Bounds of a transfer.
const (
	MaxFileSize = 1_000_000_000 // bytes
	MaxKeepDays = 366
)

func (k *checker) portals() {
	zones, names := map[anchors.Zone]*Portal{}, map[string]*Portal{}
	for i := range k.c.Portals {
		p := &k.c.Portals[i]
		what := fmt.Sprintf("portal of zone %s", p.Zone)
		if p.Zone == anchors.Uplink {
			k.at(&p.Zone, "%s: an uplink has no portal: want my-number, lgwan, internet or management", what)
			continue
		}
		if first := zones[p.Zone]; first != nil && p.Zone != anchors.None {
			k.at(&p.Zone, "%s is given twice (first in line %d): one portal a zone", what, k.line(&first.Zone))
		} else {
			zones[p.Zone] = p
		}
		if p.Name != "" && (!dnsForm.MatchString(p.Name) || len(p.Name) > 253) {
			k.at(&p.Name, "%s: %q is no DNS name: want small letters, digits, hyphens and at least one dot, like portal.lgwan.example", what, short(p.Name))
		} else if first := names[p.Name]; first != nil && p.Name != "" {
			k.at(&p.Name, "%s: name %s is that of another portal (line %d)", what, p.Name, k.line(&first.Name))
		}
		names[p.Name] = p
		k.portalAddress(p, what)
		k.references(&p.Reach, p.Reach, what+" reach")
		for j := range p.Reach {
			s := refer(k, &p.Reach[j], "segment", k.segments)
			switch {
			case s == nil:
			case s.Zone != p.Zone && p.Zone != anchors.None && s.Zone != anchors.None:
				k.at(&p.Reach[j], "%s: segment %q lies in zone %s: a portal is reached from its own zone only", what, s.ID, s.Zone)
			case s.Portal:
				k.at(&p.Reach[j], "%s: segment %q is a portal's own: name segments with stations", what, s.ID)
			}
		}
	}
	for i := range k.c.Segments {
		if s := &k.c.Segments[i]; s.Portal && s.Zone != anchors.None && zones[s.Zone] == nil {
			k.at(&s.Portal, "segment %q is for the portal of zone %s, but there is none: add it under portals", short(s.ID), s.Zone)
		}
	}
}

func (k *checker) portalAddress(p *Portal, what string) {
	if !k.plainAddr(&p.Address, what) {
		return
	}
	var own *Segment
	for i := range k.c.Segments {
		if s := &k.c.Segments[i]; s.Portal && s.Zone == p.Zone {
			own = s
			break
		}
	}
	switch {
	case own == nil:
		k.at(&p.Address, "%s: there is no segment with portal: true in zone %s: add one for it", what, p.Zone)
	case !holds(own.Prefixes, p.Address):
		k.at(&p.Address, "%s: address %s lies outside its segment %s (%s)%s", what, p.Address, own.ID, within(own), k.elsewhere(p.Address))
	default:
		k.usable(&p.Address, own, what)
	}
	k.claim(&p.Address, owner{what: "portal of zone", id: p.Zone.String()})
}

// transfers: F1, F5 and known formats.
func (k *checker) transfers() {
	type route struct{ from, to anchors.Zone }
	seen := map[route]*Transfer{}
	for i := range k.c.Transfers {
		t := &k.c.Transfers[i]
		what := fmt.Sprintf("transfer %s -> %s", t.From, t.To)
		r := route{t.From, t.To}
		if t.From != anchors.None && t.To != anchors.None {
			switch {
			case t.From == t.To:
				k.at(&t.To, "%s: a file route joins two different zones", what)
			case t.From == anchors.MyNumber && t.To == anchors.Internet, t.From == anchors.Internet && t.To == anchors.MyNumber:
				k.at(&t.To, "%s: no file route may join My Number and internet (F1): remove it", what)
			case t.From >= anchors.Management:
				k.at(&t.From, "%s: zone %s sends no files: want my-number, lgwan or internet", what, t.From)
			case t.To >= anchors.Management:
				k.at(&t.To, "%s: zone %s receives no files: want my-number, lgwan or internet", what, t.To)
			default:
				k.hasPortal(t, what)
			}
			if first := seen[r]; first != nil {
				k.at(&t.From, "%s is given twice (first in line %d): keep one", what, k.line(&first.From))
			} else {
				seen[r] = t
			}
		}
		inward := t.From == anchors.Internet && t.To == anchors.LGWAN
		switch decided := strings.TrimSpace(t.Decision) != ""; {
		case decided && !inward:
			k.at(&t.Decision, "%s: decision: only files from internet to lgwan may come in without prior approval (F5): remove it", what)
		case inward && !decided:
			k.filled(len(t.Approvals), &t.Approvals, what+" approvals", "at least section-head, or the security officer's recorded decision under the key decision (F5)")
		case !inward:
			k.filled(len(t.Approvals), &t.Approvals, what+" approvals", "at least section-head: prior approval is needed on every route (F5)")
		}
		k.listed(t.Approvals, what+" approvals", "role", Roles)
		k.filled(len(t.Formats), &t.Formats, what+" formats", "at least one of "+strings.Join(Formats, ", "))
		k.listed(t.Formats, what+" formats", "format", Formats)
		k.sanitizing(&t.Sanitize, what+" sanitize")
		if t.MaxSize > MaxFileSize {
			k.at(&t.MaxSize, "%s: max-size %s: at most %s", what, t.MaxSize, Size(MaxFileSize))
		}
		if k.good(&t.KeepDays) && t.KeepDays == 0 || t.KeepDays > MaxKeepDays {
			k.at(&t.KeepDays, "%s: keep-days %d: want 1 to %d", what, t.KeepDays, MaxKeepDays)
		}
	}
}

// sanitizing holds a route's choices to the words that there are.
func (k *checker) sanitizing(p *verdict.Policy, what string) {
	for _, c := range p.Choices() {
		if known := verdict.Choices[c.Key]; *c.Value != "" && !slices.Contains(known, *c.Value) {
			k.at(c.Value, "%s: %s: %q: want %s%s", what, c.Key, short(*c.Value), strings.Join(known, " or "), suggest(*c.Value, known, ""))
		}
	}
	if err := p.Antivirus.Check(); err != nil {
		k.at(&p.Antivirus.Days, "%s: %v", what, err)
	}
	for i := range p.Block {
		if err := verdict.BlockError(p.Block[i]); err != nil {
			k.at(&p.Block[i], "%s: block: %v", what, err)
		}
	}
	if n := len(p.Block); n > verdict.MaxBlocked {
		k.at(&p.Block, "%s: block: %d codes, at most %d", what, n, verdict.MaxBlocked)
	}
}

// hasPortal: people at both ends of a route need a portal to use it.
func (k *checker) hasPortal(t *Transfer, what string) {
	for _, z := range []*anchors.Zone{&t.From, &t.To} {
		if !slices.ContainsFunc(k.c.Portals, func(p Portal) bool { return p.Zone == *z }) {
			k.at(z, "%s: zone %s has no portal, so nobody could use the route: add one under portals", what, *z)
		}
	}
}

// listed refuses words that are not in the list, and words given twice.
func (k *checker) listed(words []string, what, kind string, known []string) {
	for i := range words {
		w := &words[i]
		switch {
		case *w == "":
		case !slices.Contains(known, *w):
			k.at(w, "%s: %q is no known %s%s", what, short(*w), kind, suggest(*w, known, "; known are "))
		case slices.Contains(words[:i], *w):
			k.at(w, "%s: %s is given twice", what, *w)
		}
	}
}
