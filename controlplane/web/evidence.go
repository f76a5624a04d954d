package web

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/monitor/evidence"
	"github.com/sekisho/sekisho/controlplane/monitor/report"
	"github.com/sekisho/sekisho/controlplane/web/text"
)

// Evidence is what lines and classes were given.
type Evidence interface {
	report.Source
	// Month adds up a month that begins at a time, Between any time from one of the rings.
	Month(line string, begin time.Time) (report.Month, error)
	Between(line string, from, to time.Time, t evidence.Tier) (report.Month, error)
}

// span is how far back the page looks: which ring it draws, how much of time a point is, and from which ring it adds up.
type span struct {
	Name  string
	Long  time.Duration
	point time.Duration
	draw  evidence.Tier
	sum   evidence.Tier
}

var spans = []span{
	{"hour", time.Hour, 10 * time.Second, evidence.Seconds, evidence.Minutes},
	{"day", 24 * time.Hour, 5 * time.Minute, evidence.Minutes, evidence.Minutes},
	{"quarter", 90 * 24 * time.Hour, 6 * time.Hour, evidence.Hours, evidence.Hours},
}

// given is the page of evidence.
type given struct {
	Lines  []string
	Line   string
	Spans  []span
	Span   string
	Sum    report.Month
	From   time.Time
	To     time.Time
	Course []course
	Broken []evidence.Violation // the newest first
	More   int
	Months []string // of which reports can be had, the newest first
	Forms  []string
}

// course is one class as it went.
type course struct {
	report.Class
	Ways []way
}

// way is one direction of a course.
type way struct {
	Key string // up, down
	report.Direction
	Plot plot
}

// Measured tells whether somebody counts this direction.
func (w way) Measured() bool { return w.Owed()+w.Seconds[evidence.Idle] > 0 }

// settled is how long after its end a minute or an hour is written.
const settled = 3 * time.Second

// mostBroken is how many violations the page lists.
const mostBroken = 30

func (s *site) evidencePage(w http.ResponseWriter, r *http.Request, p Person) {
	v := view{Title: "title.evidence", Nav: "evidence", Person: &p}
	page := given{Spans: spans, Span: spans[0].Name, Forms: report.Forms}
	if s.Evidence != nil {
		page.Lines = report.Lines(s.Evidence)
	}
	if len(page.Lines) > 0 {
		page.Line = page.Lines[0]
		if l := r.URL.Query().Get("line"); l != "" {
			if !slices.Contains(page.Lines, l) {
				s.fail(w, r, Refuse(CodeNotFound, nil))
				return
			}
			page.Line = l
		}
		of := spans[max(0, slices.IndexFunc(spans, func(x span) bool { return x.Name == r.URL.Query().Get("span") }))]
		if err := s.fill(&page, of, time.Now()); err != nil {
			s.fail(w, r, err)
			return
		}
		v.Seconds = 60
	}
	v.Data = page
	s.render(w, r, http.StatusOK, "evidence", v)
}

// fill reads what the page shows of a span that ends now.
func (s *site) fill(page *given, of span, now time.Time) (err error) {
	page.Span = of.Name
	page.To = now.Add(-settled).Truncate(time.Duration(of.sum.Step) * time.Second) // what is under way is not added up yet
	page.From = page.To.Add(-of.Long)
	for m := time.Date(now.In(japan).Year(), now.In(japan).Month(), 1, 0, 0, 0, 0, japan); len(page.Months) < 13; m = m.AddDate(0, -1, 0) {
		page.Months = append(page.Months, m.Format("2006-01"))
	}
	if page.Sum, err = s.Evidence.Between(page.Line, page.From, page.To, of.sum); err != nil {
		return err
	}
	page.Broken = slices.Clone(page.Sum.Violations)
	slices.Reverse(page.Broken)
	if n := len(page.Broken) - mostBroken; n > 0 {
		page.Broken, page.More = page.Broken[:mostBroken], n
	}
	for _, c := range page.Sum.Classes {
		records, _, err := s.Evidence.Read(evidence.Series{Line: page.Line, Class: c.ID}, of.draw, page.From, page.To)
		if err != nil {
			return err
		}
		x := course{Class: c}
		for _, d := range []way{{Key: "up", Direction: c.Up}, {Key: "down", Direction: c.Down}} {
			d.Plot = plotOf(records, d.Key == "down", page.From, page.To, of.point)
			x.Ways = append(x.Ways, d)
		}
		page.Course = append(page.Course, x)
	}
	return nil
}

// evidenceReport gives a month as a file.
func (s *site) evidenceReport(w http.ResponseWriter, r *http.Request, p Person) {
	q := r.URL.Query()
	month, err := report.ParseMonth(q.Get("month"))
	if err != nil || s.Evidence == nil || !slices.Contains(report.Forms, q.Get("form")) || !slices.Contains(report.Lines(s.Evidence), q.Get("line")) {
		s.fail(w, r, Refuse(CodeNotFound, err))
		return
	}
	if month.After(time.Now()) {
		s.fail(w, r, Refuse(CodeNotFound, nil))
		return
	}
	m, err := s.Evidence.Month(q.Get("line"), month)
	var b bytes.Buffer
	if err == nil {
		err = m.Write(&b, q.Get("form"), lang(r))
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream") // the portal makes a download of it, and names it
	w.Write(b.Bytes())
}

// share writes a share in percent, never rounded up to 100.
func share(f float64) string {
	s := fmt.Sprintf("%.2f", f*100)
	if f < 1 && s == "100.00" {
		s = "99.99"
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") + " %"
}

// lasting writes a number of seconds.
func lasting(l text.Lang, seconds any) string {
	var n int64
	switch s := seconds.(type) {
	case int64:
		n = s
	case float64:
		n = int64(s)
	}
	switch {
	case n < 60:
		return l.T("evidence.seconds", n)
	case n < 3600:
		return l.T("evidence.minutes", n/60, n%60)
	}
	return l.T("evidence.hours", n/3600, n%3600/60)
}
