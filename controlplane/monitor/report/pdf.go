package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"

	"github.com/sekisho/sekisho/controlplane/monitor/evidence"
	"github.com/sekisho/sekisho/controlplane/web/text"
)

// mostListed is how many violations the page lists; the table (List) has all.
const mostListed = 200

// Sizes in mm and points.
const (
	margin   = 16.0
	lineHigh = 6.0
	padding  = 3.2 // of a cell, both sides
	small    = 8.0
	normal   = 9.5
	heading  = 12.0
	title    = 18.0
)

// page is a report being written.
type page struct {
	*fpdf.Fpdf
	l     text.Lang
	width float64 // between the margins
}

// PDF writes the month as pages of A4.
func (m Month) PDF(w io.Writer, l text.Lang) error {
	regular, bold, err := font()
	if err != nil {
		return err
	}
	f := fpdf.New("P", "mm", "A4", "")
	f.AddUTF8FontFromBytes("ud", "", regular)
	f.AddUTF8FontFromBytes("ud", "B", bold)
	f.SetCatalogSort(true) // the same month gives the same bytes
	f.SetCreationDate(m.Made)
	f.SetModificationDate(m.Made)
	f.SetLang(string(l))
	f.SetTitle(l.T("report.title", m.Name.in(l), month(l, m.From)), true)
	f.SetAuthor(l.T("app.name")+" "+m.Town.in(l), true)
	f.SetMargins(margin, margin, margin)
	f.SetCellMargin(padding / 2)
	f.SetAutoPageBreak(true, margin+4)
	p := &page{Fpdf: f, l: l}
	wide, _ := f.GetPageSize()
	p.width = wide - 2*margin
	f.AliasNbPages("{all}")
	f.SetFooterFunc(func() {
		f.SetY(-margin + 2)
		f.SetFont("ud", "", small)
		f.SetTextColor(90, 90, 90)
		f.CellFormat(p.width/2, 5, l.T("report.footer", m.Line, when(l, m.Made)), "", 0, "L", false, 0, "")
		f.CellFormat(p.width/2, 5, fmt.Sprintf("%d / {all}", f.PageNo()), "", 0, "R", false, 0, "")
		f.SetTextColor(0, 0, 0)
	})
	f.AddPage()
	p.head(m)
	p.line(m)
	p.guarantees(m)
	p.delays(m)
	p.violations(m)
	p.notes(m)
	if err := f.Output(w); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

func (p *page) t(key string, args ...any) string { return p.l.T("report."+key, args...) }

func (p *page) head(m Month) {
	p.SetFont("ud", "", normal)
	p.CellFormat(p.width, 5, m.Town.in(p.l), "", 1, "L", false, 0, "")
	p.SetFont("ud", "B", title)
	p.CellFormat(p.width, 11, p.t("heading", month(p.l, m.From)), "", 1, "L", false, 0, "")
	p.SetFont("ud", "", heading)
	p.CellFormat(p.width, 7, m.Name.in(p.l)+" ("+m.Line+")", "", 1, "L", false, 0, "")
	p.SetFont("ud", "", normal)
	p.CellFormat(p.width, 6, p.t("period", when(p.l, m.From), when(p.l, m.To)), "", 1, "L", false, 0, "")
	p.SetDrawColor(0, 0, 0)
	p.SetLineWidth(0.5)
	p.Line(margin, p.GetY()+1, margin+p.width, p.GetY()+1)
	p.Ln(3)
}

// section begins a part, on a new page when not even a few rows would follow.
func (p *page) section(name string) {
	_, high := p.GetPageSize()
	if p.GetY() > high-margin-40 {
		p.AddPage()
	}
	p.Ln(2)
	p.SetFont("ud", "B", heading)
	p.CellFormat(p.width, 8, name, "", 1, "L", false, 0, "")
}

func (p *page) line(m Month) {
	p.section(p.t("availability"))
	unmeasured := m.Seconds - m.Measured
	p.table([]column{{p.t("available"), 0.2, "R"}, {p.t("up"), 0.16, "R"}, {p.t("degraded"), 0.16, "R"}, {p.t("down"), 0.16, "R"}, {p.t("not-measured"), 0.16, "R"}, {p.t("loss"), 0.16, "R"}},
		[][]string{{percent(m.Available()), p.length(m.Up), p.length(m.Degraded), p.length(m.Down), p.length(max(0, unmeasured)), percent(m.Delay.Loss())}})
}

func (p *page) guarantees(m Month) {
	p.section(p.t("guarantees"))
	var rows [][]string
	for _, c := range m.Classes {
		for i, d := range []Direction{c.Up, c.Down} {
			name, way := c.Name.in(p.l), p.t("direction.up")
			if i == 1 {
				name, way = "", p.t("direction.down")
			}
			kept, worst := percent(d.Kept()), "–"
			if d.Owed() == 0 {
				kept = p.t("never-asked")
			}
			if d.Seconds[evidence.NotCounted] > 0 && d.Owed()+d.Seconds[evidence.Idle] == 0 {
				kept = p.t("not-counted")
			}
			if d.Broken() > 0 {
				worst = percent(d.Worst)
			}
			s := d.Seconds
			rows = append(rows, []string{name, way, mega(d.Guarantee), kept, p.length(d.Broken()), worst,
				p.length(s[evidence.ByOwn]), p.length(s[evidence.ByLine]), p.length(s[evidence.ByFar]), p.length(s[evidence.ByOther]), p.length(s[evidence.ByUnknown])})
		}
	}
	p.table([]column{{p.t("column.class-name"), 0.16, "L"}, {p.t("column.direction"), 0.1, "L"}, {"Mbit/s", 0.08, "R"}, {p.t("kept"), 0.12, "R"}, {p.t("broken"), 0.1, "R"}, {p.t("worst"), 0.09, "R"},
		{p.t("own"), 0.07, "R"}, {p.t("by-line"), 0.07, "R"}, {p.t("far"), 0.07, "R"}, {p.t("other"), 0.07, "R"}, {p.t("unknown"), 0.07, "R"}}, rows)
}

func (p *page) delays(m Month) {
	p.section(p.t("delays"))
	rows := [][]string{}
	for _, c := range append([]Class{{Name: Name{JA: text.JA.T("report.whole-line"), EN: text.EN.T("report.whole-line")}, Delay: m.Delay}}, m.Classes...) {
		d := c.Delay
		row := []string{c.Name.in(p.l), "–", "–", "–", "–", percent(d.Loss())}
		if d.Max > 0 {
			row = []string{c.Name.in(p.l), ms(d.P50), ms(d.P99), ms(d.Max), ms(d.Jitter), percent(d.Loss())}
		}
		rows = append(rows, row)
	}
	p.table([]column{{p.t("column.class-name"), 0.3, "L"}, {p.t("p50"), 0.14, "R"}, {p.t("p99"), 0.14, "R"}, {p.t("max"), 0.14, "R"}, {p.t("jitter"), 0.14, "R"}, {p.t("loss"), 0.14, "R"}}, rows)
}

func (p *page) violations(m Month) {
	p.section(p.t("violations", len(m.Violations)))
	p.SetFont("ud", "", normal)
	switch {
	case m.Hourly:
		p.MultiCell(p.width, lineHigh, p.t("hourly"), "", "L", false)
		return
	case len(m.Violations) == 0:
		p.MultiCell(p.width, lineHigh, p.t("no-violations"), "", "L", false)
		return
	}
	var rows [][]string
	for _, v := range m.Violations[:min(len(m.Violations), mostListed)] {
		rows = append(rows, []string{v.From.In(Japan).Format("01-02 15:04:05"), p.length(int64(v.Length().Seconds())), p.length(int64(v.Seconds)), m.nameOf(v.Class).in(p.l), direction(p.l, v), percent(v.Worst), p.l.T("cause." + v.Cause.String())})
	}
	p.table([]column{{p.t("column.begin"), 0.18, "L"}, {p.t("column.length"), 0.11, "R"}, {p.t("broken"), 0.11, "R"}, {p.t("column.class-name"), 0.18, "L"}, {p.t("column.direction"), 0.1, "L"}, {p.t("worst"), 0.1, "R"}, {p.t("column.cause"), 0.22, "L"}}, rows)
	if n := len(m.Violations) - mostListed; n > 0 {
		p.MultiCell(p.width, lineHigh, p.t("more", n), "", "L", false)
	}
}

func (p *page) notes(m Month) {
	p.section(p.t("notes"))
	p.SetFont("ud", "", small)
	for _, n := range []string{"note-owed", "note-cause", "note-unmeasured", "note-delay"} {
		p.MultiCell(p.width, 4.4, p.t(n), "", "L", false)
		p.Ln(0.8)
	}
	if m.Damaged > 0 {
		p.MultiCell(p.width, 4.4, p.t("damaged", m.Damaged), "", "L", false)
	}
}

// column of a table: its heading, its share of the width, and L or R.
type column struct {
	name  string
	share float64
	align string
}

// table draws rows under headings, which stand again on each page.
func (p *page) table(columns []column, rows [][]string) {
	p.SetLineWidth(0.1)
	p.SetDrawColor(150, 150, 150)
	heads := func() {
		p.SetFont("ud", "B", small)
		p.SetFillColor(232, 238, 245)
		for _, c := range columns {
			p.CellFormat(p.width*c.share, lineHigh, p.fit(c.name, p.width*c.share), "TB", 0, c.align, true, 0, "")
		}
		p.Ln(-1)
		p.SetFont("ud", "", small)
	}
	heads()
	_, high := p.GetPageSize()
	for _, row := range rows {
		if p.GetY() > high-margin-4-lineHigh {
			p.AddPage()
			heads()
		}
		for i, c := range columns {
			p.CellFormat(p.width*c.share, lineHigh, p.fit(row[i], p.width*c.share), "B", 0, c.align, false, 0, "")
		}
		p.Ln(-1)
	}
}

// fit shortens what is too wide for its column; the tables (CSV) have all of it.
func (p *page) fit(s string, width float64) string {
	if p.GetStringWidth(s) <= width-padding {
		return s
	}
	r := []rune(s)
	for len(r) > 0 && p.GetStringWidth(string(r)+"…") > width-padding {
		r = r[:len(r)-1]
	}
	return string(r) + "…"
}

// length writes seconds as people read them.
func (p *page) length(s int64) string {
	switch {
	case s == 0:
		return "0"
	case s < 60:
		return p.t("seconds", s)
	case s < 3600:
		return p.t("minutes", s/60, fmt.Sprintf("%02d", s%60))
	}
	return p.t("hours", s/3600, fmt.Sprintf("%02d", s%3600/60))
}

// percent never rounds up to 100, nor down to 0.
func percent(share float64) string {
	s := fmt.Sprintf("%.3f", share*100)
	switch {
	case share < 1 && s == "100.000":
		s = "99.999"
	case share > 0 && s == "0.000":
		return "< 0.001 %"
	}
	s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	return s + " %"
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }

func mega(bits uint64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", float64(bits)/1e6), "0"), ".")
}

func month(l text.Lang, t time.Time) string {
	t = t.In(Japan)
	if l == text.EN {
		return t.Format("January 2006")
	}
	return fmt.Sprintf("%d年%d月", t.Year(), t.Month())
}

func when(l text.Lang, t time.Time) string {
	t = t.In(Japan)
	if l == text.EN {
		return t.Format("2 January 2006 15:04")
	}
	return fmt.Sprintf("%d年%d月%d日 %s", t.Year(), t.Month(), t.Day(), t.Format("15:04"))
}
