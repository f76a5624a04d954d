package ledger

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/width"

	"github.com/sekisho/sekisho/controlplane/config"
)

// epoch is the day before a workbook's first serial day.
type epoch struct{ day time.Time }

// Excel counts days from 1900, with a 29 February 1900 that never was, or on old Macs from 1904.
var (
	epoch1900 = epoch{time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)}
	epoch1904 = epoch{time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)}
)

// An era of the Japanese calendar: year 1 is that of its first day.
type era struct {
	names       []string
	first, last time.Time
}

func civil(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

var eras = []era{
	{[]string{"令和", "令", "r"}, civil(2019, 5, 1), civil(9999, 12, 31)},
	{[]string{"平成", "平", "h"}, civil(1989, 1, 8), civil(2019, 4, 30)},
	{[]string{"昭和", "昭", "s"}, civil(1926, 12, 25), civil(1989, 1, 7)},
}

// words that stand for no date.
var noDate = map[string]bool{"-": true, "--": true, "―": true, "ー": true, "—": true, "なし": true, "無し": true, "無": true, "無期限": true, "期限なし": true, "期限無し": true, "定めなし": true, "未定": true, "none": true, "n/a": true}

var (
	eraForm    = regexp.MustCompile(`^(令和|平成|昭和|令|平|昭|r|h|s)\.?(元|\d{1,2})(?:年|[./-])(\d{1,2})(?:月|[./-])(\d{1,2})日?`)
	civilForm  = regexp.MustCompile(`^(\d{4})(?:年|[./-])(\d{1,2})(?:月|[./-])(\d{1,2})日?`)
	packedForm = regexp.MustCompile(`^(20\d{2}|21\d{2})(\d{2})(\d{2})$`)
	yearEnd    = regexp.MustCompile(`^(?:(令和|平成|令|平|r|h)(元|\d{1,2})|(\d{4}))年?度末$`)
	serialForm = regexp.MustCompile(`^\d{5,6}(\.\d+)?$`)
	gaps       = regexp.MustCompile(` ?([年月日./()-]) ?|([和成令平昭rhs.]) `)
	weekday    = regexp.MustCompile(`^\(?([月火水木金土日])(?:曜日?)?\)`)
	clockShown = regexp.MustCompile(`\d:\d{2}|\d時`)
	clockForm  = regexp.MustCompile(`^t?(午前|午後|am|pm)?(\d{1,2})(?::(\d{2})(?::(\d{2})(?:\.0+)?)?|時(?:(\d{1,2})分|半)?)$`)
)

// moment reads a day or a minute as people and spreadsheets write them. ok is false for a cell that says there is none.
func (e epoch) moment(c Cell) (m config.Moment, ok bool, err *Note) {
	s := dateText(c.Raw)
	if s == "" || noDate[s] {
		return m, false, nil
	}
	if packedForm.MatchString(s) || !serialForm.MatchString(s) {
		m, err = written(s)
	} else {
		m, err = e.serial(s, dateText(c.Text))
	}
	if err != nil {
		return m, false, err
	}
	return m, true, nil
}

// dateText folds full-width letters and drops the spaces that stand for nothing; the one before a time of day stays.
func dateText(s string) string {
	s = strings.Join(strings.Fields(strings.ToLower(width.Fold.String(s))), " ")
	return gaps.ReplaceAllString(s, "$1$2")
}

// plain folds full-width letters, drops spaces and makes letters small.
func plain(s string) string {
	return strings.ToLower(strings.Join(strings.Fields(width.Fold.String(s)), ""))
}

func bad(code string, args ...string) *Note { return &Note{Code: code, Args: args} }

// serial reads a spreadsheet's count of days, which the cell shows as a day, a minute, or anything else.
func (e epoch) serial(s, shown string) (config.Moment, *Note) {
	days, err := strconv.ParseFloat(s, 64)
	if err != nil || days > 400_000 {
		return config.Moment{}, bad("date.form", s)
	}
	whole := days == math.Trunc(days)
	if whole && clockShown.MatchString(shown) {
		return config.Moment{}, bad("date.midnight", shown)
	}
	minutes := math.Round(days * 24 * 60)
	t := e.day.Add(time.Duration(minutes) * time.Minute)
	return toMoment(t, !whole, s)
}

// written reads a date in one of the forms that people use. s is plain.
func written(s string) (config.Moment, *Note) {
	if g := yearEnd.FindStringSubmatch(s); g != nil { // a Japanese fiscal year ends on 31 March of the next
		year, fault := yearOf(g[1], g[2]+g[3], s)
		if fault != nil {
			return config.Moment{}, fault
		}
		return toMoment(civil(year+1, time.March, 31), false, s)
	}
	var day time.Time
	rest := ""
	if g := packedForm.FindStringSubmatch(s); g != nil {
		y, mo, d := atoi(g[1]), atoi(g[2]), atoi(g[3])
		if day = civil(y, time.Month(mo), d); day.Day() != d || day.Month() != time.Month(mo) {
			return config.Moment{}, bad("date.day", s)
		}
	} else if g := civilForm.FindStringSubmatch(s); g != nil {
		y, mo, d := atoi(g[1]), atoi(g[2]), atoi(g[3])
		if day = civil(y, time.Month(mo), d); day.Day() != d || day.Month() != time.Month(mo) {
			return config.Moment{}, bad("date.day", s)
		}
		rest = s[len(g[0]):]
	} else if g := eraForm.FindStringSubmatch(s); g != nil {
		year, fault := yearOf(g[1], g[2], s)
		if fault != nil {
			return config.Moment{}, fault
		}
		mo, d := atoi(g[3]), atoi(g[4])
		if day = civil(year, time.Month(mo), d); day.Day() != d || day.Month() != time.Month(mo) {
			return config.Moment{}, bad("date.day", s)
		}
		if fault := within(g[1], day, s); fault != nil {
			return config.Moment{}, fault
		}
		rest = s[len(g[0]):]
	} else {
		return config.Moment{}, bad("date.form", s)
	}
	if g := weekday.FindStringSubmatch(rest); g != nil {
		if want := string([]rune("日月火水木金土")[day.Weekday()]); g[1] != want {
			return config.Moment{}, bad("date.weekday", s, g[1], want)
		}
		rest = strings.TrimPrefix(rest, g[0])
		if rest != "" {
			rest = " " + strings.TrimSpace(rest)
		}
	}
	if rest == "" {
		return toMoment(day, false, s)
	}
	if strings.HasSuffix(strings.TrimSuffix(s, rest), "日") {
		rest = " " + strings.TrimSpace(rest)
	}
	g := clockForm.FindStringSubmatch(strings.TrimSpace(rest))
	if g == nil || rest[0] != ' ' && rest[0] != 't' { // 2026/4/117:15 could be the 1st or the 11th
		return config.Moment{}, bad("date.form", s)
	}
	if g[0] == "0:00" || g[4] != "" && atoi(g[2]+g[3]+g[4]) == 0 {
		return config.Moment{}, bad("date.midnight", s)
	}
	minutes, ok := clockOf(g)
	if !ok {
		return config.Moment{}, bad("date.clock", s)
	}
	return toMoment(day.Add(time.Duration(minutes)*time.Minute), true, s)
}

// clockOf reads what clockForm found, in minutes from midnight.
func clockOf(g []string) (int, bool) {
	h, m := atoi(g[2]), atoi(g[3]+g[5])
	if strings.HasSuffix(g[0], "半") {
		m = 30
	}
	if sec := atoi(g[4]); sec != 0 {
		return 0, false // moments are whole minutes
	}
	switch g[1] {
	case "午後", "pm":
		if h == 0 || h > 12 {
			return 0, false
		}
		h = h%12 + 12
	case "午前", "am":
		if h > 12 {
			return 0, false
		}
		h %= 12
	}
	return h*60 + m, m < 60 && (h < 24 || h == 24 && m == 0)
}

// yearOf is the civil year of an era's year, or the year itself without an era.
func yearOf(name, year, s string) (int, *Note) {
	n := 1
	if year != "元" {
		n = atoi(year)
	}
	if name == "" {
		return n, nil
	}
	if n == 0 {
		return 0, bad("date.form", s)
	}
	return eraOf(name).first.Year() + n - 1, nil
}

func eraOf(name string) era {
	for _, e := range eras {
		for _, n := range e.names {
			if n == name {
				return e
			}
		}
	}
	return era{}
}

// within refuses a day that its era did not have, like 平成32年3月31日, and tells what it is called.
func within(name string, day time.Time, s string) *Note {
	e := eraOf(name)
	if !day.Before(e.first) && !day.After(e.last) {
		return nil
	}
	for _, o := range eras {
		if !day.Before(o.first) && !day.After(o.last) {
			return bad("date.era", s, fmt.Sprintf("%s%d年%d月%d日", o.names[0], day.Year()-o.first.Year()+1, int(day.Month()), day.Day()))
		}
	}
	return bad("date.form", s)
}

func toMoment(t time.Time, minute bool, s string) (config.Moment, *Note) {
	layout := time.DateOnly
	if minute {
		layout += " 15:04"
	}
	var m config.Moment
	if err := m.UnmarshalText([]byte(t.Format(layout))); err != nil {
		return m, bad("date.range", s)
	}
	return m, nil
}

// atoi reads digits that a pattern has found; none are 0.
func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
