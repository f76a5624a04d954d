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
	var s mynumber.Scanner
	j.Heard = s.Feed
	return func() error {
		places := s.Found()
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
