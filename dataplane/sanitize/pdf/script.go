package pdf

// matrix of a space in another (8.3.4): a b c d e f.
type matrix [6]float64

var unmoved = matrix{1, 0, 0, 1, 0, 0}

// times is m, then n.
func (m matrix) times(n matrix) matrix {
	return matrix{
		m[0]*n[0] + m[1]*n[2], m[0]*n[1] + m[1]*n[3], m[2]*n[0] + m[3]*n[2], m[2]*n[1] + m[3]*n[3],
		m[4]*n[0] + m[5]*n[2] + n[4], m[4]*n[1] + m[5]*n[3] + n[5],
	}
}

// script is what a content stream says: its strings, and the streams that it shows, where they stand. It is taken down while the
// stream is written again, and read when the fonts are there (see reading).
type script struct {
	shown []shown
	now   graphics
	saved []graphics
	line  matrix // of the text's line
	text  matrix
	moved bool // since the last string
}

// shown is one string, or another stream.
type shown struct {
	at         matrix // from ems of the text, or from the form's own space, to the stream's
	name       name   // of the font, or of the form
	form       bool
	follows    bool // begins where the string before it ends
	char, word float64
	codes      []value // strings, and numbers that move what comes behind them by thousandths
}

// graphics is the part of the graphics state that text has (9.3).
type graphics struct {
	ctm                                  matrix
	font                                 name
	size, char, word, scale, leading, up float64
}

// maxShown bounds the strings of one content stream.
const maxShown = 1_000_000

func newScript() *script {
	return &script{now: graphics{ctm: unmoved, scale: 1}, line: unmoved, text: unmoved}
}

// hear takes one operator, whose operands are of the right kinds.
func (s *script) hear(word string, v []value) {
	n := func(i int) float64 {
		f, _ := real(v[i])
		return f
	}
	g := &s.now
	switch word {
	case "q":
		s.saved = append(s.saved, *g)
	case "Q":
		if last := len(s.saved) - 1; last >= 0 {
			*g, s.saved = s.saved[last], s.saved[:last]
		}
	case "cm":
		g.ctm = matrix{n(0), n(1), n(2), n(3), n(4), n(5)}.times(g.ctm)
	case "Do":
		form, _ := v[0].(name)
		s.show(shown{at: g.ctm, name: form, form: true})
	case "BT":
		s.begin(unmoved)
	case "Tm":
		s.begin(matrix{n(0), n(1), n(2), n(3), n(4), n(5)})
	case "Td":
		s.down(n(0), n(1))
	case "TD":
		g.leading = -n(1)
		s.down(n(0), n(1))
	case "T*":
		s.down(0, -g.leading)
	case "Tf":
		g.font, _ = v[0].(name)
		g.size = n(1)
	case "Tc":
		g.char = n(0)
	case "Tw":
		g.word = n(0)
	case "Tz":
		g.scale = n(0) / 100
	case "TL":
		g.leading = n(0)
	case "Ts":
		g.up = n(0)
	case "Tj":
		s.say(v)
	case "TJ":
		codes, _ := v[0].(array)
		s.say(codes)
	case "'":
		s.down(0, -g.leading)
		s.say(v)
	case "\"":
		g.word, g.char = n(0), n(1)
		s.down(0, -g.leading)
		s.say(v[2:])
	}
}

func (s *script) begin(m matrix) { s.line, s.text, s.moved = m, m, true }

func (s *script) down(x, y float64) { s.begin(matrix{1, 0, 0, 1, x, y}.times(s.line)) }

func (s *script) show(what shown) {
	if len(s.shown) < maxShown {
		s.shown = append(s.shown, what)
	}
}

// say takes what is shown, behind the last string where nothing moved the place since.
func (s *script) say(codes []value) {
	g := &s.now
	size := g.size
	if size == 0 {
		return
	}
	em := matrix{size * g.scale, 0, 0, size, 0, g.up}
	s.show(shown{at: em.times(s.text).times(g.ctm), name: g.font, follows: !s.moved, char: g.char / size, word: g.word / size, codes: append([]value{}, codes...)})
	s.moved = false
}
