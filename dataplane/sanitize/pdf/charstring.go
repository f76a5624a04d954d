package pdf

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// subrs are the subroutines of a font, with how much of each is reached.
type subrs struct {
	code [][]byte
	end  []int
}

func newSubrs(code [][]byte) *subrs { return &subrs{code, make([]int, len(code))} }

// at is the subroutine that a charstring calls by a number (Adobe Technical Note 5177, 4.7).
func (s *subrs) at(n int) (int, bool) {
	switch {
	case len(s.code) < 1240:
		n += 107
	case len(s.code) < 33900:
		n += 1131
	default:
		n += 32768
	}
	return n, n >= 0 && n < len(s.code)
}

// trimmed are subroutines as far as they are reached; those that nothing reaches return at once.
func (s *subrs) trimmed() [][]byte {
	for i, c := range s.code {
		n := s.end[i]
		if c = c[:n:n]; n == 0 || !slices.Contains([]byte{10, 11, 14, 29}, c[n-1]) {
			c = append(c, 11)
		}
		s.code[i] = c
	}
	return s.code
}

// charstring follows the program of one glyph (Technical Note 5177) as far as its length goes: how many numbers lie on the stack, how
// many stems a mask has bits for, where it calls what, and where it ends. What it draws does not matter.
type charstring struct {
	global, local *subrs
	stack         []int
	stems         int
	steps         *int // that are left to the whole font
	done          bool
}

// Bounds of a font's programs.
const (
	maxSteps = 20_000_000 // fewer in a small font: see trim
	maxCalls = 10
	maxStack = 513 // of OpenType; the note says 48
)

// unknown is a number on the stack that was computed.
const unknown = 1 << 30

// computed operators behind 12, with what they take from the stack and put there.
var computed = map[byte][2]int{3: {2, 1}, 4: {2, 1}, 5: {1, 1}, 9: {1, 1}, 10: {2, 1}, 11: {2, 1}, 12: {2, 1}, 14: {1, 1}, 15: {2, 1}, 18: {1, 0}, 20: {2, 0}, 21: {1, 1}, 22: {4, 1}, 23: {0, 1}, 24: {2, 1}, 26: {1, 1}, 27: {1, 2}, 28: {2, 2}, 29: {1, 1}}

// run answers how much of the code is reached.
func (c *charstring) run(code []byte, depth int) (int, error) {
	if depth > maxCalls {
		return 0, fmt.Errorf("%w: calls in calls", errFont)
	}
	for at := 0; at < len(code); {
		if *c.steps--; *c.steps < 0 || len(c.stack) > maxStack {
			return 0, fmt.Errorf("%w: a program without bounds", errFont)
		}
		b := code[at]
		at++
		rest := len(code) - at
		switch {
		case b == 28 && rest >= 2:
			c.push(int(int16(binary.BigEndian.Uint16(code[at:]))))
			at += 2
		case b == 255 && rest >= 4:
			c.push(int(int32(binary.BigEndian.Uint32(code[at:]))) >> 16)
			at += 4
		case b >= 32 && b <= 246:
			c.push(int(b) - 139)
		case b >= 247 && b <= 250 && rest >= 1:
			c.push((int(b)-247)*256 + int(code[at]) + 108)
			at++
		case b >= 251 && b <= 254 && rest >= 1:
			c.push(-(int(b)-251)*256 - int(code[at]) - 108)
			at++
		case b == 1 || b == 3 || b == 18 || b == 23:
			c.stems += len(c.stack) / 2
			c.stack = c.stack[:0]
		case b == 19 || b == 20:
			c.stems += len(c.stack) / 2
			c.stack = c.stack[:0]
			if at += (c.stems + 7) / 8; at > len(code) {
				return 0, fmt.Errorf("%w: a mask without its end", errFont)
			}
		case b >= 4 && b <= 8 || b >= 21 && b <= 22 || b >= 24 && b <= 27 || b >= 30 && b <= 31:
			c.stack = c.stack[:0]
		case b == 10 || b == 29:
			s := c.local
			if b == 29 {
				s = c.global
			}
			if err := c.call(s, depth); err != nil {
				return 0, err
			}
			if c.done {
				return at, nil
			}
		case b == 11:
			if depth == 0 { // a glyph that returns ends
				at--
			}
			return at, nil
		case b == 14:
			c.done = true
			return at, nil
		case b == 12 && rest >= 1:
			op := code[at]
			at++
			if err := c.escape(op); err != nil {
				return 0, err
			}
		default:
			return 0, fmt.Errorf("%w: operator %d", errFont, b)
		}
	}
	return len(code), nil
}

func (c *charstring) push(n int) { c.stack = append(c.stack, n) }

func (c *charstring) call(s *subrs, depth int) error {
	last := len(c.stack) - 1
	if last < 0 || c.stack[last] == unknown {
		return fmt.Errorf("%w: a call of nothing", errFont)
	}
	i, ok := s.at(c.stack[last])
	if !ok {
		return fmt.Errorf("%w: a call of nothing", errFont)
	}
	c.stack = c.stack[:last]
	end, err := c.run(s.code[i], depth+1)
	s.end[i] = max(s.end[i], end)
	return err
}

func (c *charstring) escape(op byte) error {
	switch {
	case op == 0 || op >= 34 && op <= 37:
		c.stack = c.stack[:0]
		return nil
	case op == 30: // roll
		if len(c.stack) < 2 {
			return fmt.Errorf("%w: stack", errFont)
		}
		c.stack = c.stack[:len(c.stack)-2]
		for i := range c.stack {
			c.stack[i] = unknown
		}
		return nil
	}
	effect, ok := computed[op]
	if !ok || len(c.stack) < effect[0] {
		return fmt.Errorf("%w: operator 12 %d", errFont, op)
	}
	c.stack = c.stack[:len(c.stack)-effect[0]]
	for range effect[1] {
		c.push(unknown)
	}
	return nil
}
