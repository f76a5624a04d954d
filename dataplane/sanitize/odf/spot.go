package odf

import (
	"fmt"
	"strconv"
	"strings"
)

// spot is where in the content one is: of a text the paragraph or the row, counted as hearing counts them; of a spreadsheet the cell; of a
// presentation the slide.
type spot struct {
	kind       string // element of the body: office:text, office:spreadsheet, office:presentation
	slide      int
	table      string // the outermost one that is open
	tables     int
	rows       int // open ones
	row        int // of the table, from 1, with those that stand for several
	column     int
	rowTimes   int
	cellTimes  int
	number     int // of paragraphs and rows before
	paragraphs int // open ones
	cells      int
}

func (s *spot) begin(name string, attr func(string) string) {
	switch name {
	case "office:text", "office:spreadsheet", "office:presentation":
		s.kind = name
	case "draw:page":
		s.slide++
	case "table:table":
		if s.tables++; s.tables == 1 {
			s.table, s.row, s.rowTimes = attr("table:name"), 1, 0
		}
	case "table:table-row":
		if s.rows++; s.rows == 1 {
			s.row += s.rowTimes
			s.rowTimes, s.column, s.cellTimes = times(attr("table:number-rows-repeated")), 1, 0
		}
	case "table:table-cell", "table:covered-table-cell":
		if s.cells++; s.rows == 1 {
			s.column += s.cellTimes
			s.cellTimes = times(attr("table:number-columns-repeated"))
		}
	case "text:p", "text:h":
		s.paragraphs++
	}
}

func (s *spot) end(name string) {
	switch name {
	case "table:table":
		s.tables--
	case "table:table-row":
		if s.rows--; s.rows == 0 {
			s.number++
		}
	case "table:table-cell", "table:covered-table-cell":
		s.cells--
	case "text:p", "text:h":
		if s.paragraphs--; s.rows == 0 {
			s.number++
		}
	}
}

// times is how often a cell or a row stands.
func times(v string) int {
	n, err := strconv.Atoi(v)
	if err != nil {
		return 1
	}
	return min(max(n, 1), 1<<20)
}

// where is the place that is being read, as its reader knows it. What is no content has the name of its part.
func (p *part) where() string {
	s := &p.spot
	if !strings.HasSuffix(p.name, "content.xml") {
		return p.name
	}
	switch {
	case s.kind == "office:spreadsheet" && s.tables > 0 && s.cells > 0:
		return fmt.Sprintf("%s%s!%s%d", p.dir, s.table, letters(s.column), s.row)
	case s.kind == "office:spreadsheet" && s.tables > 0:
		return p.dir + s.table
	case s.kind == "office:presentation" && s.slide > 0:
		return fmt.Sprintf("%sp%d", p.dir, s.slide)
	case s.kind == "office:text" && s.rows > 0 && s.cells > 0:
		return fmt.Sprintf("%s R%dC%d", p.name, s.number+1, s.column)
	case s.kind == "office:text" && s.paragraphs > 0:
		return fmt.Sprintf("%s L%d", p.name, s.number+1)
	}
	return p.name
}

// letters are those of a column of a sheet: 1 is A.
func letters(n int) (s string) {
	for ; n > 0; n = (n - 1) / 26 {
		s = string(rune('A'+(n-1)%26)) + s
	}
	return s
}
