package pdf

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// A page says strings in any order, digit by digit, in forms within forms; a person reads lines and the cells of tables. reading
// puts what a page shows into that order, so that a number that is spread over the boxes of a form is heard as one.
type reading struct {
	w      *walk
	pieces []piece
	visits int
	broken bool // something that is shown was not understood
}

// piece is a string in its line.
type piece struct {
	turn           int // degrees from left to right
	from, to, line float64
	size           float64
	s              string
}

// Bounds of what one page says.
const (
	maxPieces = 2_000_000 // strings and forms, and what strings are longer than eight bytes
	maxForms  = 12        // in each other
)

// tell has what a page of the new graph says heard (rebuild.Job.Heard). It is told once, when all of it is there.
func (w *walk) tell(m *made) error {
	said := m.says
	m.says = nil
	if w.Heard == nil || m.told || m.broken != nil {
		return nil
	}
	page := m.dict()
	r := &reading{w: w}
	if said != nil {
		r.read(said, w.builtDict(page["Resources"]), unmoved, 0)
	}
	w.at = m
	place := w.place()
	notes, _ := page["Annots"].(list)
	for _, a := range notes {
		d := w.builtDict(a)
		for _, k := range []name{"Contents", "T", "Subj"} {
			if t, ok := d[k].(text); ok {
				w.Text(place, decodeText(t))
			}
		}
		look, _ := w.built(w.builtDict(d["AP"])["N"])
		if _, form := w.built(w.builtDict(d["AP"])["N"]); form != nil && form.says != nil && look != nil {
			box, _ := w.box(d["Rect"])
			r.form(form, nil, matrix{1, 0, 0, 1, box[0], box[1]}, 0)
		}
	}
	if r.visits > maxPieces {
		return rebuild.Refuse("limit.members", place, fmt.Sprintf("limit %d strings on a page", maxPieces))
	}
	if r.broken {
		return nil // the page becomes a picture, and its words are told with that
	}
	m.told = true
	for i, cells := range lines(r.pieces) {
		if len(cells) == 1 {
			w.Text(place, cells[0])
		} else {
			w.Row(fmt.Sprintf("%s R%d", place, i+1), cells)
		}
	}
	return w.Ctx.Err()
}

// titles of the outline are told without a page.
func (w *walk) titles() {
	for _, m := range w.out {
		if m.kind == "Outline" && !m.drop {
			t, _ := m.dict()["Title"].(text)
			w.Text("", decodeText(t))
		}
	}
}

func (r *reading) read(s *script, resources dict, at matrix, depth int) {
	fonts, forms := r.w.builtDict(resources["Font"]), r.w.builtDict(resources["XObject"])
	var end matrix // where the string before ended
	for _, x := range s.shown {
		if r.visits++; r.visits > maxPieces {
			return
		}
		if x.form {
			if _, m := r.w.built(forms[x.name]); m != nil && m.kind == "Form" {
				r.form(m, resources, x.at.times(at), depth)
			}
			continue
		}
		m := x.at.times(at)
		if x.follows {
			m[4], m[5] = end[4], end[5]
		}
		end = r.say(x, r.w.face(fonts[x.name]), m)
	}
}

func (r *reading) form(m *made, resources dict, at matrix, depth int) {
	if m.broken != nil {
		r.broken = true
	}
	if m.says == nil || depth > maxForms {
		return
	}
	d := m.dict()
	if own := r.w.builtDict(d["Resources"]); own != nil {
		resources = own
	}
	if a, ok := d["Matrix"].(array); ok && len(a) == 6 {
		var moved matrix
		for i := range moved {
			moved[i], _ = real(a[i])
		}
		at = moved.times(at)
	}
	r.read(m.says, resources, at, depth+1)
}

// say reads one string, in pieces where a gap parts them, and answers where it ends.
func (r *reading) say(x shown, f *face, at matrix) matrix {
	turn := math.Atan2(at[1], at[0]) * 180 / math.Pi
	along := func(by float64) { at[4], at[5] = at[4]+by*at[0], at[5]+by*at[1] }
	size := math.Hypot(at[2], at[3])
	if f.down {
		turn -= 90
		along = func(by float64) { at[4], at[5] = at[4]-by*at[2], at[5]-by*at[3] }
	}
	p := piece{turn: (int(math.Round(turn)) + 720) % 360, size: size}
	sin, cos := math.Sincos(float64(p.turn) * math.Pi / 180)
	place := func() float64 { return at[4]*cos + at[5]*sin }
	p.line = at[5]*cos - at[4]*sin
	p.from = place()
	var said []byte
	end := func() {
		if len(said) > 0 && r.visits <= maxPieces {
			r.visits++
			p.to, p.s = place(), string(said)
			r.pieces = append(r.pieces, p)
		}
		said = said[:0]
	}
	gap := func(by float64) {
		if by > 0.2 || by < -0.2 {
			end()
			along(by)
			p.from = place()
			return
		}
		along(by)
	}
	for _, v := range x.codes {
		if n, ok := real(v); ok {
			gap(-n / 1000)
			continue
		}
		t, _ := v.(text)
		if r.visits += len(t) / 8; r.visits > maxPieces {
			break
		}
		for len(t) > 0 {
			n := min(f.split(t), len(t))
			c := codeOf(t[:n])
			said = append(said, f.say(c)...)
			width := f.wide(c)
			if f.down {
				width = 1
			}
			along(width)
			more := x.char
			if n == 1 && t[0] == ' ' {
				more += x.word
			}
			if t = t[n:]; more != 0 {
				gap(more)
			}
		}
	}
	end()
	return at
}

// Gaps in ems: what parts words, and what parts the cells of a table.
const (
	aSpace = 0.2
	aCell  = 0.4
)

// lines puts pieces into lines, and lines into cells.
func lines(pieces []piece) (out [][]string) {
	slices.SortStableFunc(pieces, func(a, b piece) int {
		if a.turn != b.turn {
			return a.turn - b.turn
		}
		return compare(b.line, a.line)
	})
	for from := 0; from < len(pieces); {
		first := pieces[from]
		to := from + 1
		for to < len(pieces) && pieces[to].turn == first.turn && first.line-pieces[to].line < 0.4*max(first.size, pieces[to].size) {
			to++
		}
		out = append(out, cells(pieces[from:to]))
		from = to
	}
	return out
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func cells(line []piece) (out []string) {
	slices.SortStableFunc(line, func(a, b piece) int { return compare(a.from, b.from) })
	var cell strings.Builder
	for i, p := range line {
		if i > 0 {
			last := line[i-1]
			if p.s == last.s && p.from-last.from < 0.3*p.size { // struck twice, to look bold
				continue
			}
			switch gap := p.from - last.to; {
			case gap > aCell*p.size:
				out = append(out, cell.String())
				cell.Reset()
			case gap > aSpace*p.size:
				cell.WriteByte(' ')
			}
		}
		cell.WriteString(p.s)
	}
	return append(out, cell.String())
}
