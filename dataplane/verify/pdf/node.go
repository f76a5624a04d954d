package pdf

import (
	"errors"
	"strconv"
)

// node is one value.
type node struct {
	t    byte // 'n' number, 'i' integer, 'b' boolean, 's' string, 'N' name, 'a' array, 'd' dictionary, 'r' reference, '0' null, 'w' word, 'e' end
	s    string
	i    int
	kids []*node
	keys map[string]*node
}

func (n *node) key(k string) *node {
	if n == nil || n.keys == nil || n.keys[k] == nil {
		return &node{t: '0'}
	}
	return n.keys[k]
}

// errSyntax says that bytes are not what a rebuilder writes.
var errSyntax = errors.New("not the syntax that is written")

// maxLevels bounds values in values.
const maxLevels = 250

// scanner reads values of a file, or operands and words of a content stream.
type scanner struct {
	in     []byte
	at     int
	inFile bool // "1 0 R" is a reference
}

// class of a byte: 1 space, 2 delimiter, 0 any other.
var class = func() (c [256]byte) {
	for _, b := range "\x00\t\n\f\r " {
		c[b] = 1
	}
	for _, b := range "()<>[]{}/%" {
		c[b] = 2
	}
	return c
}()

func (s *scanner) skip() {
	for s.at < len(s.in) && class[s.in[s.at]] == 1 {
		s.at++
	}
}

// word reads up to the next space or delimiter.
func (s *scanner) word() string {
	from := s.at
	for s.at < len(s.in) && class[s.in[s.at]] == 0 {
		s.at++
	}
	return string(s.in[from:s.at])
}

// value reads one value; words and braces are answered as they stand.
func (s *scanner) value(level int) (*node, error) {
	if level > maxLevels {
		return nil, errSyntax
	}
	s.skip()
	if s.at == len(s.in) {
		return &node{t: 'e'}, nil
	}
	switch c := s.in[s.at]; c {
	case '/':
		s.at++
		return s.name()
	case '(':
		return s.string()
	case '[':
		s.at++
		return s.array(level)
	case '<':
		if s.at+1 < len(s.in) && s.in[s.at+1] == '<' {
			s.at += 2
			return s.dictionary(level)
		}
		return s.hexadecimal()
	case '{', '}':
		s.at++
		return &node{t: 'w', s: string(c)}, nil
	case ')', '>', ']', '%':
		return nil, errSyntax // closing ones are taken where they belong; comments are never written
	}
	w := s.word()
	if w == "" || len(w) > 100 {
		return nil, errSyntax
	}
	switch w {
	case "true", "false":
		return &node{t: 'b', s: w}, nil
	case "null":
		return &node{t: '0'}, nil
	}
	if c := w[0]; c == '-' || c == '.' || c >= '0' && c <= '9' {
		return s.number(w)
	}
	return &node{t: 'w', s: w}, nil
}

func (s *scanner) number(w string) (*node, error) {
	points := 0
	for i := range len(w) {
		switch c := w[i]; {
		case c == '.':
			points++
		case c == '-' && i == 0:
		case c < '0' || c > '9':
			return nil, errSyntax
		}
	}
	if points > 1 {
		return nil, errSyntax
	}
	if points == 1 {
		return &node{t: 'n', s: w}, nil
	}
	i, err := strconv.Atoi(w)
	if err != nil {
		return &node{t: 'n', s: w}, nil
	}
	if s.inFile && i > 0 {
		if end := s.at + 4; end <= len(s.in) && string(s.in[s.at:end]) == " 0 R" && (end == len(s.in) || class[s.in[end]] != 0) {
			s.at = end
			return &node{t: 'r', i: i}, nil
		}
	}
	return &node{t: 'i', i: i, s: w}, nil
}

// name takes the characters that a rebuilder leaves in names.
func (s *scanner) name() (*node, error) {
	w := s.word()
	if len(w) > 200 {
		return nil, errSyntax
	}
	for i := range len(w) {
		if w[i] <= 0x20 || w[i] >= 0x7F || w[i] == '#' {
			return nil, errSyntax
		}
	}
	return &node{t: 'N', s: w}, nil
}

func (s *scanner) string() (*node, error) {
	var out []byte
	level := 0
	for s.at < len(s.in) {
		c := s.in[s.at]
		s.at++
		switch c {
		case '(':
			if level++; level == 1 {
				continue
			}
		case ')':
			if level--; level == 0 {
				return &node{t: 's', s: string(out)}, nil
			}
		case '\\':
			if s.at == len(s.in) {
				return nil, errSyntax
			}
			c = s.in[s.at]
			s.at++
			if i := indexByte("nrtbf", c); i >= 0 {
				c = "\n\r\t\b\f"[i]
			} else if c >= '0' && c <= '7' {
				v := int(c - '0')
				for n := 1; n < 3 && s.at < len(s.in) && s.in[s.at] >= '0' && s.in[s.at] <= '7'; n++ {
					v = v*8 + int(s.in[s.at]-'0')
					s.at++
				}
				c = byte(v)
			} else if c != '(' && c != ')' && c != '\\' {
				return nil, errSyntax
			}
		}
		out = append(out, c)
	}
	return nil, errSyntax
}

func indexByte(s string, c byte) int {
	for i := range len(s) {
		if s[i] == c {
			return i
		}
	}
	return -1
}

func (s *scanner) hexadecimal() (*node, error) {
	s.at++
	var out []byte
	high := -1
	for s.at < len(s.in) {
		c := s.in[s.at]
		s.at++
		v := -1
		switch {
		case c == '>':
			if high >= 0 {
				return nil, errSyntax
			}
			return &node{t: 's', s: string(out)}, nil
		case c >= '0' && c <= '9':
			v = int(c - '0')
		case c >= 'a' && c <= 'f':
			v = int(c-'a') + 10
		case c >= 'A' && c <= 'F':
			v = int(c-'A') + 10
		}
		switch {
		case v < 0:
			return nil, errSyntax
		case high < 0:
			high = v
		default:
			out, high = append(out, byte(high*16+v)), -1
		}
	}
	return nil, errSyntax
}

func (s *scanner) array(level int) (*node, error) {
	n := &node{t: 'a'}
	for {
		s.skip()
		if s.at < len(s.in) && s.in[s.at] == ']' {
			s.at++
			return n, nil
		}
		k, err := s.value(level + 1)
		if err != nil || k.t == 'w' || k.t == 'e' {
			return nil, errSyntax
		}
		n.kids = append(n.kids, k)
	}
}

func (s *scanner) dictionary(level int) (*node, error) {
	n := &node{t: 'd', keys: map[string]*node{}}
	for {
		s.skip()
		if s.at+1 < len(s.in) && s.in[s.at] == '>' && s.in[s.at+1] == '>' {
			s.at += 2
			return n, nil
		}
		k, err := s.value(level + 1)
		if err != nil || k.t != 'N' || n.keys[k.s] != nil {
			return nil, errSyntax
		}
		v, err := s.value(level + 1)
		if err != nil || v.t == 'w' || v.t == 'e' {
			return nil, errSyntax
		}
		n.keys[k.s] = v
	}
}
