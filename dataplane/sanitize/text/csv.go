package text

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// neutralize puts an apostrophe before every cell that a spreadsheet would calculate instead of show: one that begins with
// = + - @ (also full-width), or with a tab or carriage return, and is not just a number or a dash. Nothing else changes.
//
// Where a cell begins depends on the reader: comma here, semicolon there, tab in a paste, and a stray quote is read in two
// ways. So the text is read in each way that makes a difference, and a cell that is dangerous in any of them gets its
// apostrophe. The apostrophe is never a delimiter or a quote, so no reading changes by it.
func neutralize(j *rebuild.Job, b []byte, set charset.Set) ([]byte, error) {
	main, err := delimiter(b)
	if err != nil {
		return nil, err
	}
	var marks []mark
	for _, d := range []byte{',', ';', '\t'} {
		if d != main && d != ',' && bytes.IndexByte(b, d) < 0 {
			continue
		}
		s := cellScan{set: set, b: b, delim: d, main: d == main}
		for _, q := range []quoting{quoteAtStart, quoteBehindSpaces} {
			open, err := s.run(j, q)
			if err != nil {
				return nil, err
			}
			if open { // a quote that is never closed: some readers take it as a character
				if _, err := s.run(j, quoteNever); err != nil {
					return nil, err
				}
			}
		}
		marks = append(marks, s.marks...)
	}
	if len(marks) == 0 {
		return b, nil
	}
	slices.SortStableFunc(marks, func(x, y mark) int { return x.at - y.at })
	marks = slices.CompactFunc(marks, func(x, y mark) bool { return x.at == y.at })
	if j.Policy.Formulas == "report" { // machines read it, and an apostrophe would be a value to them
		for _, m := range marks {
			j.Found.First("csv.formula", m.place, verdict.Reported, "")
		}
		return b, nil
	}
	out := make([]byte, 0, len(b)+len(marks))
	last := 0
	for _, m := range marks {
		out = append(append(out, b[last:m.at]...), '\'')
		last = m.at
		j.Found.First("csv.formula", m.place, verdict.Changed, "")
	}
	return append(out, b[last:]...), nil
}

// delimiter finds the file's own: a first line "sep=;" says it, else the most frequent of comma, tab and semicolon in the
// first lines.
func delimiter(b []byte) (byte, error) {
	if len(b) >= 4 && bytes.EqualFold(b[:4], []byte("sep=")) {
		line, _, _ := bytes.Cut(b[4:], []byte("\n"))
		line = bytes.TrimRight(line, "\r")
		if len(line) == 1 && bytes.ContainsAny(line, ",;\t") {
			return line[0], nil
		}
		return 0, rebuild.Refuse("csv.separator", "L1", string(line))
	}
	head := b[:min(len(b), 4096)]
	best, most := byte(','), bytes.Count(head, []byte(","))
	for _, d := range []byte{'\t', ';'} {
		if n := bytes.Count(head, []byte{d}); n > most {
			best, most = d, n
		}
	}
	return best, nil
}

type mark struct {
	at    int
	place string
}

// cellScan reads the text in one way and marks the dangerous cells.
type cellScan struct {
	set   charset.Set
	b     []byte
	delim byte
	main  bool // the way the file itself means
	marks []mark

	row, col int
	cell     cell
}

// cell is what is known of the value so far.
type cell struct {
	first  int    // offset of its first character, -1 while there is none
	edge   bool   // that character is a tab or a carriage return
	lead   int    // offset of its first character that is no space, -1 while there is none
	risky  bool   // that one starts a formula
	digest []rune // the value from lead on, full-width forms folded, at most 64; kept only when risky
}

// quoting is what a reader takes for the quote that opens a cell.
type quoting int

const (
	quoteNever        quoting = iota
	quoteAtStart              // only as its very first character
	quoteBehindSpaces         // also behind spaces
)

func (s *cellScan) run(j *rebuild.Job, quotes quoting) (open bool, err error) {
	s.row, s.col, s.cell = 1, 1, cell{first: -1, lead: -1}
	quoted, fresh := false, true // fresh: nothing of the cell was read, so a quote opens it
	for i := 0; i < len(s.b); {
		r, n := rune(s.b[i]), 1
		if r >= 0x80 {
			r, n = s.set.Next(s.b[i:])
			if n == 0 {
				return false, rebuild.Refuse("text.invalid", lineOf(s.b, i), "")
			}
		}
		switch {
		case quoted && r == '"':
			if i+1 < len(s.b) && s.b[i+1] == '"' {
				s.value('"', i)
				n = 2
			} else {
				quoted = false
			}
		case quoted:
			s.value(r, i)
		case r == '"' && fresh && quotes != quoteNever:
			quoted, fresh = true, false
		case r == rune(s.delim):
			s.end()
			s.col++
			fresh = true
		case r == '\n', r == '\r':
			s.end()
			if r == '\n' || i+1 >= len(s.b) || s.b[i+1] != '\n' {
				s.row++
			}
			s.col, fresh = 1, true
			if s.row&0xFFF == 0 && j.Ctx.Err() != nil {
				return false, j.Ctx.Err()
			}
		default:
			if r != ' ' || quotes == quoteAtStart {
				fresh = false
			}
			s.value(r, i)
		}
		i += n
	}
	s.end()
	return quoted, nil
}

func (s *cellScan) value(r rune, at int) {
	c := &s.cell
	if c.first < 0 {
		c.first, c.edge = at, r == '\t' || r == '\r' || r == '\n'
	}
	if c.lead < 0 {
		if space(r) {
			return
		}
		c.lead = at
		switch fold(r) {
		case '=', '+', '-', '@':
			c.risky = true
		}
	}
	if c.risky && len(c.digest) < 64 {
		c.digest = append(c.digest, fold(r))
	}
}

// end judges the cell. Only the file's own reading asks about a leading tab: in another reading it is a delimiter.
func (s *cellScan) end() {
	c := s.cell
	s.cell = cell{first: -1, lead: -1, digest: c.digest[:0]}
	if c.lead < 0 || (c.risky && harmless(c.digest)) {
		return
	}
	edge := c.edge && s.main
	if !c.risky && !edge {
		return
	}
	at := c.lead
	if edge {
		at = c.first
	}
	s.marks = append(s.marks, mark{at, fmt.Sprintf("R%dC%d", s.row, s.col)})
}

func space(r rune) bool {
	return r == ' ' || r == '\t' || r == '\r' || r == '\n' || r == 0x3000 || r == 0xA0
}

// fold turns full-width ASCII into ASCII, as spreadsheets in Japanese do, and the minus sign into a hyphen.
func fold(r rune) rune {
	switch {
	case 0xFF01 <= r && r <= 0xFF5E:
		return r - 0xFEE0
	case r == 0x2212:
		return '-'
	}
	return r
}

// harmless tells a plain number (sign, digits with or without groups of three, fraction, exponent, percent) and a run of
// dashes, which stands for "none" in Japanese tables.
func harmless(v []rune) bool {
	for len(v) > 0 && space(v[len(v)-1]) {
		v = v[:len(v)-1]
	}
	if len(v) == 0 || len(v) >= 64 {
		return false
	}
	dashes := 0
	for dashes < len(v) && v[dashes] == '-' {
		dashes++
	}
	if dashes == len(v) {
		return true
	}
	if v[0] == '+' || v[0] == '-' {
		v = v[1:]
	}
	if len(v) > 0 && v[len(v)-1] == '%' {
		v = v[:len(v)-1]
	}
	whole, rest := digits(v)
	grouped := whole > 0 && whole <= 3
	for grouped && len(rest) >= 4 && rest[0] == ',' {
		n, after := digits(rest[1:])
		if n != 3 {
			return false
		}
		rest = after
		whole += 3
	}
	fraction := 0
	if len(rest) > 0 && rest[0] == '.' {
		fraction, rest = digits(rest[1:])
	}
	if whole+fraction == 0 {
		return false
	}
	if len(rest) > 0 && (rest[0] == 'e' || rest[0] == 'E') {
		rest = rest[1:]
		if len(rest) > 0 && (rest[0] == '+' || rest[0] == '-') {
			rest = rest[1:]
		}
		n, after := digits(rest)
		return n > 0 && len(after) == 0
	}
	return len(rest) == 0
}

func digits(v []rune) (n int, rest []rune) {
	for n < len(v) && '0' <= v[n] && v[n] <= '9' {
		n++
	}
	return n, v[n:]
}
