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
	"slices"
	"strings"
	"unicode/utf8"
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
		column := fmt.Sprintf("%sC%d", table, i+1)
		found := numbers(c)
		if len(found) == 0 {
			if w := words(c); w != silent {
				left = w
				s.say(column, w)
			}
			continue
		}
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

// number is a candidate: where it stands, and what is known of it but its digits.
type number struct {
	from, to int  // in bytes
	ok       bool // the check digit is right
	alone    bool // nothing but it stands in the piece
	grouped  bool // written 1234 5678 9012 or in boxes
	dated    bool // reads as a date and a time
	around   context
}

// reach is how far words before a number are looked for, in bytes of UTF-8; half of it behind.
const reach = 120

// numbers finds the candidates of one piece.
func numbers(t string) []number {
	if !many(t) {
		return nil
	}
	var out []number
	for i := 0; i < len(t); {
		if digit(t[i:]) < 0 {
			_, n := utf8.DecodeRuneInString(t[i:])
			i += n
			continue
		}
		end, shape, digits, count := runOf(t[i:])
		if count == 12 && shape != "" && !part(t[:i], t[i+end:]) && !same(digits) {
			n := number{from: i, to: i + end, ok: valid(digits), grouped: shape != "12", dated: shape == "12" && dated(digits)}
			n.alone = strings.TrimSpace(t[:i]) == "" && strings.TrimSpace(t[i+end:]) == ""
			n.around = words(t[max(0, i-reach):i])
			if n.around == silent {
				n.around = words(t[i+end : min(len(t), i+end+reach/2)])
			}
			out = append(out, n)
		}
		i += end
	}
	return out
}

// many tells text that may hold twelve digits, at the cost of one look at each byte.
func many(t string) bool {
	n := 0
	for i := 0; i < len(t); i++ {
		if '0' <= t[i] && t[i] <= '9' || t[i] == 0xBC && i > 0 && t[i-1] == 0xEF {
			n++
		}
	}
	return n >= 12
}

// digit is the value of the digit at the start of t, narrow or wide, or -1.
func digit(t string) int {
	switch {
	case t != "" && '0' <= t[0] && t[0] <= '9':
		return int(t[0] - '0')
	case len(t) >= 3 && t[0] == 0xEF && t[1] == 0xBC && 0x90 <= t[2] && t[2] <= 0x99:
		return int(t[2] - 0x90)
	}
	return -1
}

// separators part groups of digits.
const separators = " 　\u00A0\t-‐‑‒–—−－ーｰ"

// runOf reads digits and single separators between them. shape is "12" for one group, "4-4-4", "1" for one by one, and "" for any
// other; digits are the first twelve; end is where the run ends, in bytes.
func runOf(t string) (end int, shape string, digits [12]byte, count int) {
	var groups []int
	group := 0
	for i := 0; i < len(t); {
		if d := digit(t[i:]); d >= 0 {
			if count < 12 {
				digits[count] = byte('0' + d)
			}
			count++
			group++
			if t[i] < 0x80 {
				i++
			} else {
				i += 3
			}
			end = i
			continue
		}
		r, n := utf8.DecodeRuneInString(t[i:])
		if group == 0 || !strings.ContainsRune(separators, r) || digit(t[i+n:]) < 0 {
			break
		}
		if len(groups) < 16 {
			groups = append(groups, group)
		}
		group = 0
		i += n
	}
	groups = append(groups, group)
	switch {
	case len(groups) == 1:
		shape = "12"
	case slices.Equal(groups, []int{4, 4, 4}):
		shape = "4-4-4"
	case len(groups) == 12:
		shape = "1"
	}
	return end, shape, digits, count
}

// part tells digits that belong to something longer: a word, a decimal, an amount, a telephone number abroad.
func part(before, after string) bool {
	b, _ := utf8.DecodeLastRuneInString(before)
	a, n := utf8.DecodeRuneInString(after)
	letter := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || 'ａ' <= r && r <= 'ｚ' || 'Ａ' <= r && r <= 'Ｚ' || r == '_'
	}
	follows, precedes := func(signs string) bool { return after != "" && strings.ContainsRune(signs, a) }, func(signs string) bool { return before != "" && strings.ContainsRune(signs, b) }
	if precedes(".,．，-－") { // a sign within a number, or a hyphen behind a word
		before = before[:len(before)-utf8.RuneLen(b)]
		c, _ := utf8.DecodeLastRuneInString(before)
		return before != "" && (letter(c) && (b == '-' || b == '－') || '0' <= c && c <= '9' || '０' <= c && c <= '９')
	}
	return before != "" && letter(b) || precedes("+¥￥$#/＋") || after != "" && letter(a) || follows("円%％/＠@") || follows(".,．，-－") && digit(after[n:]) >= 0
}

func same(d [12]byte) bool {
	for _, c := range d {
		if c != d[0] {
			return false
		}
	}
	return true
}

// dated tells twelve digits that read as year, month, day, hour and minute.
func dated(d [12]byte) bool {
	two := func(i int) int { return int(d[i]-'0')*10 + int(d[i+1]-'0') }
	century := two(0)
	return (century == 19 || century == 20) && 1 <= two(4) && two(4) <= 12 && 1 <= two(6) && two(6) <= 31 && two(8) < 24 && two(10) < 60
}

// valid computes the check digit: 11 less the remainder by 11 of the weighted sum of the eleven digits before it, 0 where that
// remainder is 0 or 1 (平成26年総務省令第85号, 第5条).
func valid(d [12]byte) bool {
	sum := 0
	for n := 1; n <= 11; n++ {
		q := n + 1
		if n >= 7 {
			q = n - 5
		}
		sum += int(d[11-n]-'0') * q
	}
	check := 0
	if r := sum % 11; r > 1 {
		check = 11 - r
	}
	return int(d[11]-'0') == check
}

var named = []string{"個人番号", "マイナンバー", "ﾏｲﾅﾝﾊﾞｰ", "まいなんばー", "mynumber", "individualnumber", "マイナンバ", "番号法"}

var others = []string{"法人番号", "電話", "tel", "fax", "ファクス", "口座", "伝票", "注文", "受付番号", "管理番号", "整理番号", "商品", "品番", "jan", "バーコード", "追跡", "問い合わせ番号",
	"お客様番号", "会員番号", "製造番号", "シリアル", "メーター", "契約番号", "証券番号", "保険者番号", "金額", "予算", "残高", "合計", "日時", "タイムスタンプ", "timestamp", "account", "order", "serial", "phone", "isbn", "カード番号", "住民票コード", "登録番号", "免許", "地番", "筆番"}

// closed takes out the space that forms put between letters.
var closed = strings.NewReplacer(" ", "", "　", "", "\n", "")

// words tells what a text names: the number, if both.
func words(t string) context {
	if t == "" {
		return silent
	}
	if len(t) > 4*reach {
		t = t[:2*reach] + t[len(t)-2*reach:]
	}
	lower := strings.ToLower(closed.Replace(t))
	has := func(list []string) bool {
		return slices.ContainsFunc(list, func(w string) bool { return strings.Contains(lower, w) })
	}
	switch {
	case has(named):
		return names
	case has(others):
		return differs
	}
	return silent
}

// narrow turns wide digits into narrow ones.
func narrow(t string) string {
	return strings.Map(func(r rune) rune {
		if '０' <= r && r <= '９' {
			return r - '０' + '0'
		}
		return r
	}, t)
}

// Sum is what all places have.
func Sum(places []Place) (sure, likely int) {
	for _, p := range places {
		sure, likely = sure+p.Sure, likely+p.Likely
	}
	return sure, likely
}
