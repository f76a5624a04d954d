package pdf

import (
	"context"
	"fmt"
	"strings"
)

// operators of a content stream with the kinds of their operands (ISO 32000-2, Annex A): n number, N name, s string, A array of
// numbers, T array of strings and numbers, P name or dictionary of properties, + one to 32 numbers, * numbers and perhaps a name.
var operators = func() map[string]string {
	m := map[string]string{}
	for operands, words := range map[string]string{
		"":  "b B b* B* f F f* s S n W W* h q Q BT ET T* EMC",
		"n": "w J j M i g G Tc Tw Tz TL Ts Tr", "nn": "m l Td TD d0", "nnn": "rg RG", "nnnn": "v y re k K", "nnnnnn": "c cm Tm d1",
		"N": "ri gs CS cs sh Do BMC MP", "Nn": "Tf", "s": "Tj '", "nns": "\"", "T": "TJ", "An": "d", "NP": "BDC DP", "+": "sc SC", "*": "scn SCN",
	} {
		for _, w := range strings.Fields(words) {
			m[w] = operands
		}
	}
	return m
}()

// maxContent bounds one content stream, in bytes.
const maxContent = 256 << 20

// content writes a content stream again, operator by operator. An operator that is not known, or whose operands are not of its
// kinds, does nothing in a reader and is left out; dropped counts them. Saved states are closed.
type content struct {
	ctx     context.Context
	out     []byte
	depth   int // of q
	text    bool
	marked  int
	dropped int
	image   func(d dict, l *lexer) ([]byte, error) // writes an inline image that begins behind ID
	props   func(d dict) dict                      // what is kept of a marked content's properties
	unseen  func(kind, n name) bool                // what a name stands for is not shown, and goes
	gone    int                                    // level of marked content that goes, 0: none
	went    int                                    // operators that painted there
	heard   func(word string, args []value)        // what is written, operator by operator
}

func (c *content) run(b []byte) error {
	l := &lexer{b: b}
	if err := c.tokens(l); err != nil {
		return fmt.Errorf("byte %d of the content: %w", l.at, err)
	}
	return nil
}

func (c *content) tokens(l *lexer) error {
	var operands []value
	for steps := 0; ; steps++ {
		if steps&0xFFF == 0 && c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		t, err := l.next()
		if err != nil {
			return err
		}
		switch t.kind {
		case tokEnd:
			return nil
		case tokWord:
			switch t.word {
			case "true", "false", "null":
				operands = append(operands, t.word == "true")
				continue
			case "BI":
				if err := c.inline(l); err != nil {
					return err
				}
			default:
				c.operator(t.word, operands)
			}
			operands = operands[:0]
		default:
			v, err := l.composite(t, 0)
			if err != nil {
				return err
			}
			if operands = append(operands, v); len(operands) > 5000 {
				return errGrammar
			}
		}
		if len(c.out) > maxContent {
			return errGrammar
		}
	}
}

// end closes what is open.
func (c *content) end() []byte {
	if c.text {
		c.out = append(c.out, "ET\n"...)
	}
	for ; c.marked > 0; c.marked-- {
		c.out = append(c.out, "EMC\n"...)
	}
	for ; c.depth > 0; c.depth-- {
		c.out = append(c.out, "Q\n"...)
	}
	return c.out
}

func (c *content) inline(l *lexer) error {
	d, err := l.dict(tokWord, "ID", 0)
	if err != nil {
		return err
	}
	b, err := c.image(d, l)
	if c.gone > 0 {
		c.went++
		return err
	}
	c.out = append(c.out, b...)
	return err
}

func (c *content) operator(word string, operands []value) {
	want, ok := operators[word]
	if !ok {
		if word != "BX" && word != "EX" {
			c.dropped++
		}
		return
	}
	switch word {
	case "q":
		if c.depth++; c.depth > 500 {
			c.depth--
			c.dropped++
			return
		}
	case "Q":
		if c.depth == 0 {
			return
		}
		c.depth--
	case "BT":
		if c.text {
			return
		}
		c.text = true
	case "ET":
		if !c.text {
			return
		}
		c.text = false
	case "EMC":
		if c.marked == 0 {
			return
		}
		if c.marked--; c.marked < c.gone {
			c.gone = 0
		}
	}
	args, ok := c.fit(want, operands)
	if !ok {
		c.dropped++
		return
	}
	switch word {
	case "BMC", "BDC":
		c.marked++
		if n, ok := args[len(args)-1].(name); ok && word == "BDC" && args[0] == name("OC") && c.gone == 0 && c.unseen != nil && c.unseen("Properties", n) {
			c.gone = c.marked
		}
	}
	if instead, paints := unpainted(word); paints && (c.gone > 0 || word == "Do" && c.unseen != nil && c.unseen("XObject", args[0].(name))) {
		c.went++
		if instead == "" {
			return
		}
		word, args = instead, nil
	}
	if c.heard != nil {
		c.heard(word, args)
	}
	for _, v := range args {
		c.out = append(appendValue(c.out, v), ' ')
	}
	c.out = append(append(c.out, word...), '\n')
}

// fit takes the last operands that an operator wants, when they are of its kinds.
func (c *content) fit(want string, v []value) ([]value, bool) {
	switch want {
	case "+", "*":
		if len(v) == 0 || len(v) > 33 {
			return nil, false
		}
		for i, e := range v {
			_, n := e.(number)
			_, pattern := e.(name)
			if !n && !(pattern && want == "*" && i == len(v)-1) {
				return nil, false
			}
		}
		return v, true
	}
	if len(v) < len(want) {
		return nil, false
	}
	v = v[len(v)-len(want):]
	for i := range len(want) {
		ok := false
		switch want[i] {
		case 'n':
			_, ok = v[i].(number)
		case 'N':
			_, ok = v[i].(name)
		case 's':
			_, ok = v[i].(text)
		case 'A', 'T':
			a, isArray := v[i].(array)
			ok = isArray
			for _, e := range a {
				_, n := e.(number)
				_, s := e.(text)
				ok = ok && (n || s && want[i] == 'T')
			}
		case 'P':
			switch p := v[i].(type) {
			case name:
				ok = true
			case dict:
				v[i], ok = c.props(p), true
			}
		}
		if !ok {
			return nil, false
		}
	}
	return v, true
}

// properties are what marked content may say of itself.
func properties(d dict) dict {
	out := dict{}
	for k, v := range d {
		switch k {
		case "MCID":
			if n, ok := integer(v); ok && n >= 0 {
				out[k] = whole(n)
			}
		case "ActualText", "Alt", "E", "Lang":
			if s, ok := v.(text); ok {
				out[k] = s
			}
		case "Type", "Subtype":
			if n, ok := v.(name); ok {
				out[k] = n
			}
		}
	}
	return out
}
