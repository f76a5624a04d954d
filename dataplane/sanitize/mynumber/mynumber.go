// Package mynumber finds Japanese Individual Numbers (個人番号) in text, without ever keeping one.
//
// Problem: the number is twelve digits with a check digit, and of any twelve digits one in eleven passes that check: order numbers,
// meter readings and dates would be found all day. Mechanism: digits in the shapes in which people write the number (in one, in
// fours, in boxes of one, narrow or wide, over cells); the check digit; then what stands around it: words that name it or name
// something else, the heading of its column, and, in a column, whether nearly all pass or only as many as chance lets through.
// Life cycle: a Scanner for a file, fed in reading order, asked once. Invariant: it holds counts, places and marks of words; no
// digit outlives the call that brought it.
package mynumber

import (
	"fmt"
	"strings"
)

// Place is where numbers are: in text a line or a paragraph, in a table a column, named by its first cell with one.
type Place struct {
	Where  string
	Sure   int // a word names them, or the whole column passes the check
	Likely int // the check digit is right, and nothing says that they are something else
}

// maxPlaces bounds what is remembered; beyond, the last place counts for the rest.
const maxPlaces = 1000

// Scanner counts numbers by place.
type Scanner struct {
	lanes map[string]*lane
	rows  map[string]int // that were read, by table
	order []string
	named map[string]context // by table and column, or by the text's lane: what was said last
}

// lane is one column of a table, or one piece of text.
type lane struct {
	where        string
	tried        int // twelve digits in a fitting shape
	sure, likely int
	column       bool
}

// context is what words around a number say.
type context int

const (
	silent  context = iota
	names           // the number is named
	differs         // something else is named
)

// Feed takes what stands at a place in reading order: one piece of text, or the cells of one row of a table. Places of one text or
// one table differ in their last digits only: "L12", "Sheet1!R5".
func (s *Scanner) Feed(place string, cells []string) {
	if s.lanes == nil {
		s.lanes, s.rows, s.named = map[string]*lane{}, map[string]int{}, map[string]context{}
	}
	table := strings.TrimRight(place, "0123456789")
	if len(cells) == 1 {
		s.text(place, table, cells[0])
		return
	}
	candidates := s.boxes(place, table, cells)
	for _, c := range cells {
		candidates = candidates || many(c)
	}
	if !candidates && s.rows[table] >= headings {
		return
	}
	s.rows[table]++
	left := silent // what the cells before say
	for i, c := range cells {
		found := numbers(c)
		if len(found) == 0 {
			if w := words(c); w != silent {
				left = w
				s.say(fmt.Sprintf("%sC%d", table, i+1), w)
			}
			continue
		}
		column := fmt.Sprintf("%sC%d", table, i+1)
		around := left
		if around == silent {
			around = s.named[column]
		}
		for _, n := range found {
			s.count(column, fmt.Sprintf("%sC%d", place, i+1), true, n, first(around, n.around))
		}
	}
}

// headings are the first rows of a table, which may say what stands below; of later ones only those with a candidate are read.
const headings = 20

func (s *Scanner) say(where string, c context) {
	if _, known := s.named[where]; known || len(s.named) < maxPlaces {
		s.named[where] = c
	}
}

// text looks for numbers in one piece. What the piece before said holds for one that says nothing.
func (s *Scanner) text(place, stream, t string) {
	found := numbers(t)
	before := s.named[stream]
	for _, n := range found {
		around := n.around
		if around == silent && n.alone {
			around = before
		}
		s.count(place, place, false, n, around)
	}
	if len(found) == 0 && (before != silent || introduces(t)) {
		s.say(stream, words(t))
	}
}

// introduces tells, quickly, text that may name the number.
func introduces(t string) bool {
	for _, part := range []string{"番号", "マイナ", "ﾏｲﾅ", "まいな", "umber", "UMBER"} {
		if strings.Contains(t, part) {
			return true
		}
	}
	return false
}

// boxes finds a number that is split over cells: twelve of one digit, or three of four. It tells whether there was one.
func (s *Scanner) boxes(place, table string, cells []string) (any bool) {
	ones, fours := 0, 0
	for _, c := range cells {
		switch boxed(c) {
		case 1:
			ones++
		case 4:
			fours++
		}
	}
	for _, size := range []int{1, 4} {
		if size == 1 && ones < 12 || size == 4 && fours < 3 {
			continue
		}
		run := 0
		var digits [12]byte
		said := silent
		for i := 0; i <= len(cells); i++ {
			if i < len(cells) && boxed(cells[i]) == size {
				if run < 12 {
					copy(digits[run:], narrow(strings.Trim(cells[i], " 　\"")))
				}
				run += size
				continue
			}
			if run == 12 {
				any = true
				from := i - 12/size
				column := fmt.Sprintf("%sC%d", table, from+1)
				n := number{ok: valid(digits), alone: true, grouped: true}
				s.count(column, fmt.Sprintf("%sC%d", place, from+1), true, n, first(said, s.named[column]))
			}
			run = 0
			if i < len(cells) {
				said = first(words(cells[i]), said)
			}
		}
	}
	return any
}

// boxed is how many digits a cell has that holds nothing else; 0 for any other cell and for long ones.
func boxed(c string) (n int) {
	if len(c) > 24 {
		return 0
	}
	for i := 0; i < len(c); {
		switch {
		case digit(c[i:]) >= 0:
			n++
			if i++; c[i-1] >= 0x80 {
				i += 2
			}
		case c[i] == ' ' || c[i] == '"':
			i++
		case strings.HasPrefix(c[i:], "　"):
			i += 3
		default:
			return 0
		}
	}
	return n
}

func first(a, b context) context {
	if a != silent {
		return a
	}
	return b
}

// count books one candidate.
func (s *Scanner) count(key, where string, column bool, n number, around context) {
	l := s.lanes[key]
	if l == nil {
		if len(s.order) >= maxPlaces {
			l = s.lanes[s.order[len(s.order)-1]]
		} else {
			l = &lane{where: where, column: column}
			s.lanes[key] = l
			s.order = append(s.order, key)
		}
	}
	l.tried++
	switch {
	case !n.ok || around == differs:
	case around == names:
		l.sure++
	case n.dated: // a date and a time of twelve digits, until a word names it
	case n.alone || n.grouped:
		l.likely++
	}
}

// Found answers the places with numbers, in reading order. In a column chance is told from purpose: of three or more, nearly all
// right is sure; about one in eleven is nothing.
func (s *Scanner) Found() []Place {
	var out []Place
	for _, k := range s.order {
		l := s.lanes[k]
		p := Place{l.where, l.sure, l.likely}
		if l.column && l.tried >= 3 && p.Sure == 0 {
			switch right := p.Likely; {
			case right*10 >= l.tried*9:
				p.Sure, p.Likely = right, 0
			case right*2 < l.tried:
				p.Likely = 0
			}
		}
		if p.Sure+p.Likely > 0 {
			out = append(out, p)
		}
	}
	return out
}

// Sum is what all places have.
func Sum(places []Place) (sure, likely int) {
	for _, p := range places {
		sure, likely = sure+p.Sure, likely+p.Likely
	}
	return sure, likely
}
