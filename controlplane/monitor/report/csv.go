package report

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/monitor/evidence"
	"github.com/sekisho/sekisho/controlplane/web/text"
)

// bom makes spreadsheets read a file as UTF-8.
const bom = "\ufeff"

// Summary writes a row for each class and direction, for spreadsheets: times in seconds, rates in bit/s, delays in milliseconds. Columns
// have headings in the language; figures have none of its signs.
func (m Month) Summary(w io.Writer, l text.Lang) error {
	rows := [][]string{heads(l, "line", "month", "from", "to", "measured", "up", "degraded", "down", "class", "class-name", "direction", "guarantee",
		"delivered", "kept", "broken", "by-own", "by-line", "by-far", "by-other", "by-unknown", "idle", "not-counted", "not-known", "kept-share", "worst",
		"probes", "lost", "p50", "p99", "max", "jitter")}
	for _, c := range append([]Class{{Name: m.Name, Delay: m.Delay}}, m.Classes...) {
		for _, d := range []struct {
			key string
			Direction
		}{{"up", c.Up}, {"down", c.Down}} {
			row := []string{m.Line, m.From.In(Japan).Format("2006-01"), clock(m.From), clock(m.To), whole(m.Measured), whole(m.Up), whole(m.Degraded), whole(m.Down), c.ID, c.Name.in(l)}
			if c.ID == "" {
				row = append(row, l.T("report.whole-line"))
				row = append(row, make([]string, 14)...)
			} else {
				s := d.Seconds
				row = append(row, l.T("report.direction."+d.key), fmt.Sprint(d.Guarantee), fmt.Sprint(d.Bytes), whole(s[evidence.Kept]), whole(d.Broken()),
					whole(s[evidence.ByOwn]), whole(s[evidence.ByLine]), whole(s[evidence.ByFar]), whole(s[evidence.ByOther]), whole(s[evidence.ByUnknown]), whole(s[evidence.Idle]),
					whole(s[evidence.NotCounted]), whole(s[evidence.NotKnown]), fmt.Sprintf("%.6f", d.Kept()), fmt.Sprintf("%.3f", d.Worst))
			}
			rows = append(rows, append(row, fmt.Sprint(c.Delay.Sent), fmt.Sprint(c.Delay.Lost), millis(c.Delay.P50), millis(c.Delay.P99), millis(c.Delay.Max), millis(c.Delay.Jitter)))
			if c.ID == "" {
				break // a line has one row
			}
		}
	}
	return write(w, rows)
}

// List writes a row for each violation.
func (m Month) List(w io.Writer, l text.Lang) error {
	rows := [][]string{heads(l, "line", "class", "class-name", "direction", "begin", "end", "length", "broken", "worst-minute", "guarantee", "cause", "by-own", "by-line", "by-far", "by-other", "by-unknown")}
	for _, v := range m.Violations {
		rows = append(rows, []string{v.Line, v.Class, m.nameOf(v.Class).in(l), direction(l, v), clock(v.From), clock(v.To), whole(int64(v.Length().Seconds())), whole(int64(v.Seconds)),
			fmt.Sprintf("%.3f", v.Worst), fmt.Sprint(v.Rate), l.T("cause." + v.Cause.String()), fmt.Sprint(v.By[evidence.ByOwn]), fmt.Sprint(v.By[evidence.ByLine]), fmt.Sprint(v.By[evidence.ByFar]), fmt.Sprint(v.By[evidence.ByOther]), fmt.Sprint(v.By[evidence.ByUnknown])})
	}
	return write(w, rows)
}

func (m Month) nameOf(class string) Name {
	for _, c := range m.Classes {
		if c.ID == class {
			return c.Name
		}
	}
	return Name{JA: class}
}

func (n Name) in(l text.Lang) string {
	if l == text.EN && n.EN != "" || n.JA == "" {
		return n.EN
	}
	return n.JA
}

func direction(l text.Lang, v evidence.Violation) string {
	if v.Downward {
		return l.T("report.direction.down")
	}
	return l.T("report.direction.up")
}

func heads(l text.Lang, keys ...string) (out []string) {
	for _, k := range keys {
		out = append(out, l.T("report.column."+k))
	}
	return out
}

func clock(t time.Time) string      { return t.In(Japan).Format(time.DateTime) }
func whole(n int64) string          { return fmt.Sprint(n) }
func millis(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/1e6) }

// write makes a file of rows: with a byte order mark and CRLF (RFC 4180). What a spreadsheet would take for a formula is made text.
func write(w io.Writer, rows [][]string) error {
	var b bytes.Buffer
	b.WriteString(bom)
	c := csv.NewWriter(&b)
	c.UseCRLF = true
	for _, row := range rows {
		for i, cell := range row {
			if strings.HasPrefix(strings.TrimLeft(cell, " \t\r\n"), "=") || cell != "" && strings.ContainsRune("+-@", rune(cell[0])) {
				row[i] = "'" + cell
			}
		}
		if err := c.Write(row); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	c.Flush()
	_, err := w.Write(b.Bytes())
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
