package odf

import (
	"fmt"
	"strconv"
	"strings"
)

// hearing tells what the result says (rebuild.Job.Heard): paragraph by paragraph, and tables row by row, because a number may be split
// over the cells of a form.
type hearing struct {
	p      *part
	table  string // its name
	text   strings.Builder
	number int // of paragraphs and of rows so far
	rows   int // open ones, one in the other
	cells  []string
	repeat int // of the open cell
}

// maxRepeat bounds how often one cell is counted for its neighbours.
const maxRepeat = 64

func (h *hearing) begin(name string, attr func(string) string) {
	switch name {
	case "table:table":
		if h.rows == 0 {
			h.table, h.number = attr("table:name"), 0
		}
	case "table:table-row":
		if h.rows++; h.rows == 1 {
			h.cells = nil
		}
	case "table:table-cell", "table:covered-table-cell":
		if h.rows == 1 {
			n, err := strconv.Atoi(attr("table:number-columns-repeated"))
			if err != nil {
				n = 1
			}
			h.repeat = min(max(n, 1), maxRepeat)
			h.cells = append(h.cells, "")
		}
	}
}

func (h *hearing) end(name string) {
	switch name {
	case "text:p", "text:h":
		s := h.text.String()
		h.text.Reset()
		if n := len(h.cells); h.rows > 0 && n > 0 {
			h.cells[n-1] += s
			return
		}
		h.number++
		h.p.Text(fmt.Sprintf("L%d", h.number), s)
	case "table:table-cell", "table:covered-table-cell":
		if h.rows == 1 && len(h.cells) > 0 {
			for range h.repeat - 1 {
				h.cells = append(h.cells, h.cells[len(h.cells)-1])
			}
		}
	case "table:table-row":
		if h.rows--; h.rows == 0 {
			h.number++
			h.p.Row(fmt.Sprintf("%s!R%d", h.table, h.number), h.cells)
			h.cells = nil
		}
	}
}
