package config

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of the input. They hold the work of a hostile document down; a designated city needs about a third of them.
const (
	MaxBytes  = 8 << 20
	MaxLine   = 4096 // bytes
	MaxDepth  = 16   // nested lists and maps
	MaxKeys   = 64   // of one map; the parser's work grows with their square
	MaxErrors = 200  // reported; the rest is only counted
)

// Pos is a place in the document, both from 1, columns in characters.
type Pos struct{ Line, Column int }

// mark is where a value stood and how it was written.
type mark struct {
	Pos
	text string
	bad  bool // something in it could not be decoded, and was reported
}

// source remembers the document beside its decoded form: marks are keyed by pointer to the decoded value.
type source struct {
	lines []string
	marks map[any]mark
	errs  Errors
	more  int // errors beyond MaxErrors
}

// Parse decodes and checks a document. Without errors the Config is whole; with errors it may be nil and must not be used.
func Parse(doc []byte) (*Config, Errors) {
	s := &source{marks: map[any]mark{}}
	cfg := s.parse(doc)
	if len(s.errs) == 0 && cfg == nil {
		s.fault(Pos{1, 1}, "", "the document is empty: it must begin with `version: 1`")
	}
	if len(s.errs) > 0 {
		errs := s.errs.sorted()
		if s.more > 0 {
			last := errs[len(errs)-1]
			errs = append(errs, Error{Line: last.Line, Column: last.Column, Message: fmt.Sprintf("%d more errors are not shown: mend these first", s.more)})
		}
		return cfg, errs
	}
	return cfg, nil
}

func (s *source) parse(doc []byte) *Config {
	root := s.syntax(doc)
	if root == nil {
		return nil
	}
	cfg := &Config{src: s}
	d := &decoder{source: s}
	d.value(root, reflect.ValueOf(cfg).Elem(), "the document")
	s.check(cfg)
	return cfg
}

// PosOf tells where a value of a parsed Config stood; p is a pointer into the Config, like &cfg.Communications[3].
func (c *Config) PosOf(p any) (Pos, bool) {
	if c.src == nil {
		return Pos{}, false
	}
	m, ok := c.src.marks[p]
	return m.Pos, ok
}

// fault reports one error.
func (s *source) fault(p Pos, text, format string, args ...any) {
	if len(s.errs) >= MaxErrors {
		s.more++
		return
	}
	e := Error{Line: p.Line, Column: p.Column, Text: text, Message: fmt.Sprintf(format, args...)}
	if p.Line >= 1 && p.Line <= len(s.lines) {
		e.Source = s.lines[p.Line-1]
	}
	s.errs = append(s.errs, e)
}

// at reports an error about a decoded value. What was never written has no place; that it is missing was said already.
func (s *source) at(p any, format string, args ...any) {
	m, ok := s.marks[p]
	if !ok {
		if len(s.errs) > 0 {
			return
		}
		m.Pos = Pos{1, 1}
	}
	s.fault(m.Pos, m.text, format, args...)
}

// has tells whether a field was written in the document.
func (s *source) has(p any) bool { _, ok := s.marks[p]; return ok }

// good tells whether a field was written and could be decoded.
func (s *source) good(p any) bool { m, ok := s.marks[p]; return ok && !m.bad }

// line tells where a value stood, for "first used in line 12".
func (s *source) line(p any) int { return s.marks[p].Line }

// syntax bounds the text and makes its tree; nil after an error or for an empty document.
func (s *source) syntax(doc []byte) ast.Node {
	if len(doc) > MaxBytes {
		s.fault(Pos{1, 1}, "", "the document has %d bytes; at most %d are read", len(doc), MaxBytes)
		return nil
	}
	doc = bytes.TrimPrefix(doc, []byte("\xef\xbb\xbf"))
	doc = bytes.ReplaceAll(doc, []byte("\r\n"), []byte("\n"))
	s.lines = strings.Split(string(doc), "\n")
	if !s.plain() {
		return nil
	}
	tokens := lexer.Tokenize(string(doc))
	if !s.bounded(tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		s.syntaxError(err)
		return nil
	}
	var root ast.Node
	for _, d := range file.Docs {
		if d.Body == nil {
			continue
		}
		if root != nil {
			s.fault(place(d.Body.GetToken()), "", "a second document begins here: the file must hold one")
			return nil
		}
		root = d.Body
	}
	return root
}

// plain refuses text that is not clean UTF-8 lines of bounded length.
func (s *source) plain() bool {
	for i, l := range s.lines {
		switch {
		case len(l) > MaxLine:
			s.fault(Pos{i + 1, 1}, "", "the line has %d bytes; at most %d are read", len(l), MaxLine)
		case !utf8.ValidString(l):
			s.fault(Pos{i + 1, 1}, "", "the line is not UTF-8: save the file as UTF-8")
		default:
			for col, r := range []rune(l) {
				if r == '\t' {
					s.fault(Pos{i + 1, col + 1}, "\t", "a tab: YAML is indented with spaces")
					break
				}
				if r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0xfeff || r == 0x2028 || r == 0x2029 {
					s.fault(Pos{i + 1, col + 1}, "", "the control character U+%04X: remove it", r)
					break
				}
			}
		}
	}
	return len(s.errs) == 0
}

// bounded refuses what could make parsing costly or surprising, before the parser sees it: anchors and aliases (which can
// multiply without end), tags, directives, and deep nesting.
func (s *source) bounded(tokens token.Tokens) bool {
	var depth depth
	var keys keyCounter
	for _, t := range tokens {
		if keys.count(t) > MaxKeys {
			s.fault(place(t), "", "more than %d keys in one map", MaxKeys)
			return false
		}
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			s.fault(place(t), t.Value, "YAML anchors and aliases (& * <<) are not used here: write the value out, or quote it")
		case token.MappingKeyType:
			s.fault(place(t), t.Value, "explicit keys (?) are not used here: write key: value")
		case token.TagType, token.DirectiveType:
			s.fault(place(t), t.Value, "YAML tags and directives are not used here: remove it, or quote the value")
		case token.InvalidType:
			s.fault(place(t), t.Value, "not YAML: %s", short(t.Error))
		}
		if depth.after(t) > MaxDepth {
			s.fault(place(t), t.Value, "nested more than %d levels deep", MaxDepth)
			return false
		}
	}
	return len(s.errs) == 0
}

// depth counts how deep a token is nested: in flow style by bracket, in block style by the columns of what stands around it.
// The tokens' own level does not serve: it grows with every blank line in a list.
type depth struct {
	flow    int
	columns []int // of the block entries that are open
	line    int   // of the token before
	entry   bool  // the token before was a list's hyphen
}

func (d *depth) after(t *token.Token) int {
	begins := t.Position != nil && d.flow == 0 && (t.Position.Line != d.line || d.entry) && t.Type != token.CommentType
	switch t.Type {
	case token.MappingStartType, token.SequenceStartType:
		d.flow++
	case token.MappingEndType, token.SequenceEndType:
		d.flow--
	}
	if begins {
		for n := len(d.columns); n > 0 && d.columns[n-1] > t.Position.Column; n = len(d.columns) {
			d.columns = d.columns[:n-1]
		}
		if n := len(d.columns); n == 0 || d.columns[n-1] < t.Position.Column {
			d.columns = append(d.columns, t.Position.Column)
		}
	}
	if t.Position != nil {
		d.line, d.entry = t.Position.Line, t.Type == token.SequenceEntryType
	}
	return len(d.columns) + d.flow
}

// keyCounter counts the keys of each map that is open: in flow style by bracket, in block style by column.
type keyCounter struct {
	flow  []int
	block map[int]int // by column of the key
}

// count takes the next token and gives the number of keys that its map has so far, 0 when it ends no key.
func (k *keyCounter) count(t *token.Token) int {
	switch t.Type {
	case token.MappingStartType, token.SequenceStartType:
		k.flow = append(k.flow, 0)
	case token.MappingEndType, token.SequenceEndType:
		if len(k.flow) > 0 {
			k.flow = k.flow[:len(k.flow)-1]
		}
	case token.SequenceEntryType:
		if len(k.flow) == 0 {
			k.leave(place(t).Column + 1)
		}
	case token.MappingValueType:
		if n := len(k.flow); n > 0 {
			k.flow[n-1]++
			return k.flow[n-1]
		}
		column := place(t).Column
		if t.Prev != nil {
			column = place(t.Prev).Column
		}
		k.leave(column + 1)
		k.block[column]++
		return k.block[column]
	}
	return 0
}

// leave forgets the block maps at a column and beyond.
func (k *keyCounter) leave(column int) {
	if k.block == nil {
		k.block = map[int]int{}
	}
	for c := range k.block {
		if c >= column {
			delete(k.block, c)
		}
	}
}

func (s *source) syntaxError(err error) {
	var se *yaml.SyntaxError
	if errors.As(err, &se) && se.Token != nil {
		s.fault(place(se.Token), se.Token.Value, "not YAML: %s", short(se.Message))
		return
	}
	s.fault(Pos{1, 1}, "", "not YAML: %s", short(err.Error()))
}

func place(t *token.Token) Pos {
	if t == nil || t.Position == nil {
		return Pos{1, 1}
	}
	return Pos{max(1, t.Position.Line), max(1, t.Position.Column)}
}

// short bounds the document's own words in a message.
func short(s string) string {
	r := []rune(strings.Map(printable, s))
	if len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return string(r)
}
