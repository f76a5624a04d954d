package web

import (
	"fmt"
	"html/template"
	"math"
	"path"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/templates"
	"github.com/sekisho/sekisho/controlplane/monitor/report"
	"github.com/sekisho/sekisho/controlplane/web/assets"
	"github.com/sekisho/sekisho/controlplane/web/text"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

// japan is the time that every screen shows: the town's, whatever the box's clock is set to.
var japan = time.FixedZone("JST", 9*60*60)

// functions are what templates call.
func functions(l text.Lang) template.FuncMap {
	return template.FuncMap{
		"t":       l.T,
		"has":     l.Has,
		"asset":   assets.URL,
		"name":    func(n Name) string { return n.in(l) },
		"zone":    func(z anchors.Zone) string { return l.T("zone." + z.String()) },
		"when":    func(t time.Time) string { return when(l, t) },
		"stamp":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"age":     func(t, now time.Time) string { return age(l, now.Sub(t)) },
		"bytes":   size,
		"rate":    rate,
		"num":     func(f float64) string { return number(f) },
		"ms":      func(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) },
		"ext":     extension,
		"short":   func(s string) string { return s[:min(12, len(s))] },
		"upper":   strings.ToUpper,
		"steps":   steps,
		"finding": l.Finding,
		"where":   l.Place,
		"seen":    l.Seen,
		"remedy":  l.Remedy,
		"problem": func(code string) string { s, _ := l.Error(code); return s },
		"facts":   func(e Event) []fact { return facts(l, e) },
		"moment":  func(t time.Time) string { return t.In(japan).Format("15:04:05") },
		"left":    func(d time.Duration) string { return l.T("trial.left", int(d.Minutes()), int(d.Seconds())%60) },
		"milli":   func(t time.Time) int64 { return t.UnixMilli() },
		"config":  func(n config.Text) string { return Name(n).in(l) },
		"list":    func(in []string) string { return brief(l, in) },
		"whole":   func(in []string) string { return strings.Join(in, ", ") },
		"inlang":  func(n templates.Text) string { return Name{JA: n.JA, EN: n.EN}.in(l) },
		"few":     few,
		"day":     func(t time.Time) string { return t.In(japan).Format(time.DateOnly) },
		"lifeclass": func(s string) string {
			return map[string]string{"active": "up", "over": "down", "expired": "expired", "suspended": "expired"}[s]
		},
		"wards":   wards,
		"share":   share,
		"called":  func(n report.Name) string { return Name(n).in(l) },
		"lasting": func(n any) string { return lasting(l, n) },
		"add":     func(a, b int) int { return a + b },
		"dict":    dict,
	}
}

// mostNamed is how many of a list a row names.
const mostNamed = 4

// brief names the first of a list, and how many more there are.
func brief(l text.Lang, in []string) string {
	if len(in) <= mostNamed+1 {
		return strings.Join(in, ", ")
	}
	return strings.Join(in[:mostNamed], ", ") + l.T("designated.more", len(in)-mostNamed)
}

// dict passes several named values to a part.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict: %d values: want name and value in turn", len(pairs))
	}
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		k, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: name %v: want a string", pairs[i])
		}
		m[k] = pairs[i+1]
	}
	return m, nil
}

var weekdays = [...]string{"日", "月", "火", "水", "木", "金", "土"}

// when writes a time as the country does.
func when(l text.Lang, t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	t = t.In(japan)
	if l == text.EN {
		return t.Format("Mon 2 Jan 2006 15:04")
	}
	return fmt.Sprintf("%d年%d月%d日(%s) %s", t.Year(), t.Month(), t.Day(), weekdays[t.Weekday()], t.Format("15:04"))
}

func age(l text.Lang, d time.Duration) string {
	switch {
	case d < 0:
		return l.T("age.seconds", 0)
	case d < 2*time.Minute:
		return l.T("age.seconds", int(d.Seconds()))
	case d < 2*time.Hour:
		return l.T("age.minutes", int(d.Minutes()))
	case d >= 48*time.Hour:
		return l.T("age.days", int(d.Hours())/24)
	}
	return l.T("age.hours", int(d.Hours()))
}

// size writes a number of bytes in decimal units, as file managers do.
func size(n int64) string { return scaled(float64(n), []string{"B", "kB", "MB", "GB"}) }

// rate writes a number of bits per second.
func rate(v any) string {
	units := []string{"bit/s", "kbit/s", "Mbit/s", "Gbit/s"}
	switch n := v.(type) {
	case uint64:
		return scaled(float64(n), units)
	case float64:
		return scaled(n, units)
	}
	return "–"
}

func scaled(f float64, units []string) string {
	u := 0
	for f >= 1000 && u < len(units)-1 {
		f /= 1000
		u++
	}
	return number(f) + " " + units[u]
}

// number keeps one digit after the point below ten, none above.
func number(f float64) string {
	if f >= 10 || math.Abs(f-math.Round(f)) < 0.05 {
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprintf("%.1f", f)
}

// extension is the badge on a file: at most four letters.
func extension(name string) string {
	e := []rune(strings.TrimPrefix(path.Ext(name), "."))
	if len(e) == 0 || len(e) > 4 {
		return "–"
	}
	return strings.ToUpper(string(e))
}
