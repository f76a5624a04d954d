package ledger

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// MaxMap bounds a mapping file, in bytes.
const MaxMap = 64 << 10

// MapFile is a mapping as it is written down, before it meets a book: columns by letter or by title.
type MapFile struct {
	Sheet    string
	Header   []int
	Columns  []MapColumn
	Defaults map[Field]string
}

// MapColumn is one line of a mapping file.
type MapColumn struct {
	Key   string // letter or title
	Field Field
	line  int
}

// ParseMap reads a mapping file in YAML or JSON:
//
//	sheet: 特定通信一覧
//	header: [4, 5]
//	columns: {A: id, 通信名称: name, 送信元 / IPアドレス: from-ip}
//	defaults: {owner: 情報管理室}
//
// The faults tell all that is wrong with it, by line.
func ParseMap(doc []byte) (*MapFile, []Note) {
	p := &mapParser{out: &MapFile{Defaults: map[Field]string{}}}
	doc = bytes.ReplaceAll(bytes.TrimPrefix(doc, []byte("\xef\xbb\xbf")), []byte("\r\n"), []byte("\n"))
	switch {
	case len(doc) > MaxMap:
		p.fault(nil, "map.large", fmt.Sprint(len(doc)), fmt.Sprint(MaxMap))
	case bytes.Count(doc, []byte("[")) > 64 || bytes.Count(doc, []byte("{")) > 64: // the parser's work grows with the depth
		p.fault(nil, "map.yaml", "nested too deep")
	default:
		p.document(string(doc))
	}
	if len(p.faults) > 0 {
		return nil, p.faults
	}
	return p.out, nil
}

type mapParser struct {
	out    *MapFile
	faults []Note
}

func (p *mapParser) fault(t *token.Token, code string, args ...string) {
	n := Note{Code: code, Args: args}
	if t != nil && t.Position != nil {
		n.Cell = fmt.Sprintf("%d:%d", t.Position.Line, t.Position.Column)
	}
	p.faults = append(p.faults, n)
}

func (p *mapParser) document(doc string) {
	tokens := lexer.Tokenize(doc)
	for _, t := range tokens {
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType, token.TagType, token.DirectiveType, token.MappingKeyType, token.InvalidType:
			p.fault(t, "map.yaml", t.Value)
			return
		}
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		p.fault(nil, "map.yaml", strings.SplitN(err.Error(), "\n", 2)[0])
		return
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		p.fault(nil, "map.empty")
		return
	}
	for _, e := range p.pairs(file.Docs[0].Body) {
		switch key := e.Key.GetToken().Value; key {
		case "sheet":
			p.out.Sheet = p.text(e.Value)
		case "header":
			p.header(e.Value)
		case "columns":
			p.columns(e.Value)
		case "defaults":
			for _, d := range p.pairs(e.Value) {
				if f, ok := p.field(d.Key.GetToken().Value, d.Key.GetToken()); ok {
					p.out.Defaults[f] = p.text(d.Value)
				}
			}
		default:
			p.fault(e.Key.GetToken(), "map.key", key)
		}
	}
	if len(p.out.Columns) == 0 && len(p.faults) == 0 {
		p.fault(nil, "map.empty")
	}
}

func (p *mapParser) pairs(n ast.Node) []*ast.MappingValueNode {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}
	}
	p.fault(n.GetToken(), "map.form", n.GetToken().Value)
	return nil
}

func (p *mapParser) text(n ast.Node) string {
	switch n.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value
	}
	p.fault(n.GetToken(), "map.form", n.GetToken().Value)
	return ""
}

func (p *mapParser) header(n ast.Node) {
	list := []ast.Node{n}
	if s, ok := n.(*ast.SequenceNode); ok {
		list = s.Values
	}
	for _, e := range list {
		i, err := strconv.Atoi(e.GetToken().Value)
		if err != nil || i < 1 || i > MaxRows || len(p.out.Header) >= headRows || len(p.out.Header) > 0 && i <= p.out.Header[len(p.out.Header)-1] {
			p.fault(e.GetToken(), "map.header", e.GetToken().Value)
			return
		}
		p.out.Header = append(p.out.Header, i)
	}
}

func (p *mapParser) columns(n ast.Node) {
	used := map[Field]string{}
	for _, e := range p.pairs(n) {
		t := e.Key.GetToken()
		f, ok := p.field(p.text(e.Value), e.Value.GetToken())
		if !ok {
			continue
		}
		if first, twice := used[f]; twice && f != Ignore {
			p.fault(e.Value.GetToken(), "map.twice", f.said(), first, t.Value)
			continue
		}
		used[f] = t.Value
		p.out.Columns = append(p.out.Columns, MapColumn{t.Value, f, t.Position.Line})
	}
}

func (p *mapParser) field(s string, t *token.Token) (Field, bool) {
	f := Field(strings.TrimSpace(s))
	if !slices.Contains(Fields, f) {
		p.fault(t, "map.field", s, joinFields(Fields))
		return "", false
	}
	return f, true
}

// Fit brings a mapping file and a book together: titles and letters are found, and every column that the file does not name is
// ignored. sheet, when given, goes before the file's own.
func (f *MapFile) Fit(b *Book, sheet string) (*Mapping, []Note) {
	sheet = cmp.Or(sheet, f.Sheet)
	if sheet == "" && len(b.Sheets) == 1 {
		sheet = b.Sheets[0].Name
	}
	if b.Encoding != "" && len(b.Sheets) == 1 {
		sheet = b.Sheets[0].Name // the sheet of a CSV file has only the file's name
	}
	var g *Mapping
	if b.sheet(sheet) != nil && len(f.Header) == 0 && len(b.sheet(sheet).Rows) > 0 {
		if g, _ = Guess(b, sheet, nil); g == nil {
			return nil, []Note{{Code: "map.noheading", Args: []string{fmt.Sprint(headRows)}}}
		}
	} else {
		var err error
		if g, err = Guess(b, sheet, f.Header); err != nil {
			return nil, []Note{err.(*Fault).Note}
		}
	}
	s := b.sheet(g.Sheet)
	m := &Mapping{Sheet: g.Sheet, Header: g.Header, Defaults: f.Defaults}
	var faults []Note
	fields := map[int]Field{}
	for _, c := range f.Columns {
		n := 0
		for _, have := range g.Columns {
			title := strings.Join(have.Title, "/")
			if titleKey(c.Key) == titleKey(title) || titleKey(c.Key) == titleKey(have.Title[len(have.Title)-1]) && n == 0 {
				n = have.Column
			}
		}
		if n == 0 {
			n = columnOf(c.Key)
		}
		switch {
		case n == 0 || n > s.width():
			faults = append(faults, Note{Cell: fmt.Sprint(c.line), Code: "map.column", Args: []string{c.Key}})
		case fields[n] != "":
			faults = append(faults, Note{Cell: fmt.Sprint(c.line), Code: "map.same", Args: []string{c.Key, letters(n)}})
		default:
			fields[n] = c.Field
		}
	}
	for column := 1; column <= s.width(); column++ {
		title := s.title(g.Header, column)
		if f := fields[column]; f != "" || len(title) > 0 {
			m.Columns = append(m.Columns, Column{column, title, cmp.Or(f, Ignore)})
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return m, nil
}
