package sanitize

import (
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/mynumber"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// listen has the Individual Numbers counted in what the results say. The answer, called when all is rebuilt, notes them by place and
// refuses the file where the route wants that; likely ones count as well there, since a number that passes unseen cannot be
// called back.
func listen(j *rebuild.Job) (heard func() error) {
	var s scanner
	s.attach(j)
	return func() error {
		places := s.found()
		for _, p := range places {
			if p.Sure > 0 {
				j.Found.Counted("mynumber.found", p.Where, verdict.Reported, "", p.Sure)
			}
			if p.Likely > 0 {
				j.Found.Counted("mynumber.likely", p.Where, verdict.Reported, "", p.Likely)
			}
		}
		if len(places) > 0 && j.Policy.FindMyNumber == "block" {
			return rebuild.Refuse("mynumber.blocked", places[0].Where, "")
		}
		return nil
	}
}

// scanner is one file's, with what those that lie in it have.
type scanner struct {
	mynumber.Scanner
	inner []mynumber.Place
}

// maxInner bounds the places in inner files that are told apart.
const maxInner = 10_000

func (s *scanner) attach(j *rebuild.Job) {
	j.Heard = s.Feed
	j.Numbers = func(place string, sure, likely int) {
		if n := len(s.inner); n >= maxInner {
			s.inner[n-1].Sure += sure
			s.inner[n-1].Likely += likely
			return
		}
		s.inner = append(s.inner, mynumber.Place{Where: place, Sure: sure, Likely: likely})
	}
}

func (s *scanner) found() []mynumber.Place { return append(s.Found(), s.inner...) }

// overhear has a file in another listened to by itself. What it says counts for the outer one when take is called: of a member that is
// left out, nothing crosses.
func overhear(outer, inner *rebuild.Job, place string) (take func()) {
	if outer.Heard == nil {
		return func() {}
	}
	var s scanner
	s.attach(inner)
	return func() {
		for _, p := range s.found() {
			outer.Numbers(rebuild.Printable(place, 100)+"/"+p.Where, p.Sure, p.Likely)
		}
	}
}

// blot takes the numbers out of what a report shows of the file. Where some were found, the previews lose all their digits: a number may be
// spread over the boxes of a form.
func blot(r *verdict.Report) {
	found := slices.ContainsFunc(r.Findings, func(f verdict.Finding) bool { return strings.HasPrefix(f.Code, "mynumber.") })
	for i := range r.Findings {
		r.Findings[i].Detail, r.Findings[i].Place = mynumber.Mask(r.Findings[i].Detail), mynumber.Mask(r.Findings[i].Place)
	}
	for _, p := range []*verdict.Preview{r.Original, r.Result} {
		if p != nil {
			p.Text = mynumber.Mask(p.Text)
			if found {
				p.Text = strings.Map(digitless, p.Text)
			}
		}
	}
}

func digitless(r rune) rune {
	if '0' <= r && r <= '9' || '０' <= r && r <= '９' {
		return '●'
	}
	return r
}
