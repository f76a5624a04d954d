package text

import (
	"context"
	"fmt"
	"regexp"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// checkCells blocks a table in which some program could take a cell for a formula. Programs differ in the separator and in what a
// quote means, so the text is read in every way in which it can be: with each separator that occurs, with a quote opening a
// cell at its very start or also behind spaces, and, where a quote stays open to the end, with quotes as plain characters.
func checkCells(ctx context.Context, text []rune) error {
	separators := []rune{','}
	for _, s := range []rune{';', '\t'} {
		for _, r := range text {
			if r == s {
				separators = append(separators, s)
				break
			}
		}
	}
	for _, sep := range separators {
		for _, q := range []quoting{quoteAtStart, quoteBehindSpaces} {
			if err := ctx.Err(); err != nil {
				return err
			}
			open, err := readCells(text, sep, q)
			if err != nil {
				return err
			}
			if open {
				if _, err := readCells(text, sep, quoteNever); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

type quoting int

const (
	quoteNever quoting = iota
	quoteAtStart
	quoteBehindSpaces
)

func readCells(text []rune, sep rune, q quoting) (open bool, err error) {
	row, col := 1, 1
	var cell []rune
	start := true // nothing of the cell was read but, perhaps, spaces
	finish := func() error {
		defer func() { cell, start = cell[:0], true }()
		if calculated(cell) {
			return rule.Refuse(codeCSV, fmt.Sprintf("R%dC%d", row, col), "a cell begins like a formula")
		}
		return nil
	}
	for i := 0; i < len(text); i++ {
		switch r := text[i]; {
		case open && r == '"' && i+1 < len(text) && text[i+1] == '"':
			cell = append(cell, r)
			i++
		case open && r == '"':
			open = false
		case open:
			cell = append(cell, r)
		case r == '"' && start && (q == quoteBehindSpaces || q == quoteAtStart && len(cell) == 0):
			open, start = true, false
		case r == sep:
			if err := finish(); err != nil {
				return open, err
			}
			col++
		case r == '\n' || r == '\r':
			if err := finish(); err != nil {
				return open, err
			}
			row, col = row+1, 1
		default:
			start = start && r == ' '
			cell = append(cell, r)
		}
	}
	return open, finish()
}

// number is a value with a sign that calculates nothing: digits, grouped or not, with a fraction, an exponent or a percent sign.
var number = regexp.MustCompile(`^[+-]?([0-9]+|[0-9]{1,3}(,[0-9]{3})+|)(\.[0-9]*)?([eE][+-]?[0-9]+)?%?$`)
var digit = regexp.MustCompile(`[0-9]`)
var dashes = regexp.MustCompile(`^-+$`)

// calculated tells a cell whose first visible character begins a formula and that is neither a number nor a row of dashes.
func calculated(cell []rune) bool {
	for len(cell) > 0 && blank(cell[0]) {
		cell = cell[1:]
	}
	for len(cell) > 0 && blank(cell[len(cell)-1]) {
		cell = cell[:len(cell)-1]
	}
	if len(cell) == 0 {
		return false
	}
	switch narrow(cell[0]) {
	case '=', '+', '-', '@':
	default:
		return false
	}
	if len(cell) > 64 {
		return true
	}
	s := make([]rune, len(cell))
	for i, r := range cell {
		s[i] = narrow(r)
	}
	v := string(s)
	return !dashes.MatchString(v) && !(number.MatchString(v) && digit.MatchString(v))
}

func blank(r rune) bool {
	return r == ' ' || r == '\t' || r == '\r' || r == '\n' || r == '\u3000' || r == '\u00A0'
}

// narrow gives the ASCII character that a spreadsheet takes a full-width one for.
func narrow(r rune) rune {
	if r >= '！' && r <= '～' {
		return r - '！' + '!'
	}
	if r == '\u2212' {
		return '-'
	}
	return r
}
