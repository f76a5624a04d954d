package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// MaxText bounds one text value, in bytes.
const MaxText = 1024

// decoder fills the document's types from the syntax tree and goes on after each fault.
type decoder struct{ *source }

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

// value decodes n into v; what names v in messages.
func (d *decoder) value(n ast.Node, v reflect.Value, what string) {
	before := len(d.errs) + d.more
	d.fill(n, v, what)
	d.mark(v, n, len(d.errs)+d.more > before)
}

func (d *decoder) fill(n ast.Node, v reflect.Value, what string) {
	if v.Addr().Type().Implements(textUnmarshaler) {
		d.textual(n, v, what)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(n, v, what)
	case reflect.Slice:
		d.sequence(n, v, what)
	case reflect.String:
		d.text(n, v, what)
	case reflect.Bool:
		if b, ok := n.(*ast.BoolNode); ok {
			v.SetBool(b.Value)
			return
		}
		d.wrong(n, what, "true or false")
	case reflect.Int, reflect.Uint8, reflect.Uint16, reflect.Uint32:
		d.integer(n, v, what)
	default:
		d.wrong(n, what, "nothing: this program cannot read a "+v.Type().String())
	}
}

// mark remembers where v stood, under a pointer to it.
func (d *decoder) mark(v reflect.Value, n ast.Node, bad bool) {
	t := first(n)
	text := t.Value
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode:
		text = ""
	}
	d.marks[v.Addr().Interface()] = mark{place(t), text, bad}
}

// first is the token a person would point at: for a block map its first key, for a block list its first dash.
func first(n ast.Node) *token.Token {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return n.Values[0].Key.GetToken()
		}
		return n.Start
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	case *ast.LiteralNode:
		return n.Start
	}
	return n.GetToken()
}

func (d *decoder) mapping(n ast.Node, v reflect.Value, what string) {
	var pairs []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		pairs = m.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{m}
	default:
		d.wrong(n, what, "a map with "+strings.Join(keysOf(v.Type()), ", "))
		return
	}
	seen := map[string]int{}
	for _, p := range pairs {
		kt := p.Key.GetToken()
		key := kt.Value
		if line, dup := seen[key]; dup {
			d.fault(place(kt), key, "%s: key %q is given twice (first in line %d): keep one", what, short(key), line)
			continue
		}
		seen[key] = place(kt).Line
		f, ok := fieldOf(v.Type(), key)
		if !ok {
			d.fault(place(kt), key, "%s: unknown key %q%s", what, short(key), suggest(key, keysOf(v.Type()), "; known are "))
			continue
		}
		d.value(p.Value, v.FieldByIndex(f.Index), fieldName(what, key))
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key := keyOf(f)
		if _, ok := seen[key]; !ok && f.Tag.Get("need") != "" {
			t := first(n)
			d.fault(place(t), t.Value, "%s: key %q is missing", what, key)
		}
	}
}

func (d *decoder) sequence(n ast.Node, v reflect.Value, what string) {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		d.wrong(n, what, "a list, like [ … ]")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(s.Values), len(s.Values)))
	for i, e := range s.Values {
		d.value(e, v.Index(i), elementName(what, i, e))
	}
}

func (d *decoder) text(n ast.Node, v reflect.Value, what string) {
	var s string
	switch t := n.(type) {
	case *ast.StringNode:
		s = t.Value
	case *ast.LiteralNode:
		s = strings.TrimRight(t.Value.Value, "\n")
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		d.wrong(n, what, fmt.Sprintf("text: put it in quotes, %q", n.GetToken().Value))
		return
	default:
		d.wrong(n, what, "text")
		return
	}
	switch {
	case len(s) > MaxText:
		d.fault(place(first(n)), "", "%s: the text has %d bytes; at most %d are kept", what, len(s), MaxText)
	case !utf8.ValidString(s):
		d.fault(place(first(n)), "", "%s: the text is not UTF-8", what)
	case strings.TrimSpace(s) == "":
		d.fault(place(first(n)), s, "%s: the text is empty: fill it in or remove the key", what)
	case strings.Map(printable, s) != s:
		d.fault(place(first(n)), s, "%s: the text holds a line break or control character", what)
	default:
		v.SetString(s)
	}
}

func (d *decoder) integer(n ast.Node, v reflect.Value, what string) {
	lo, hi := int64(0), int64(1)<<31-1
	switch v.Kind() {
	case reflect.Uint8:
		hi = 255
	case reflect.Uint16:
		hi = 65535
	}
	t := n.GetToken()
	i, err := strconv.ParseInt(t.Value, 10, 64)
	if _, ok := n.(*ast.IntegerNode); !ok || err != nil || i < lo || i > hi || len(t.Value) > 1 && t.Value[0] == '0' {
		d.wrong(n, what, fmt.Sprintf("a whole number from %d to %d", lo, hi))
		return
	}
	if v.CanInt() {
		v.SetInt(i)
	} else {
		v.SetUint(uint64(i))
	}
}

// textual decodes what has its own written form: addresses, rates, dates.
func (d *decoder) textual(n ast.Node, v reflect.Value, what string) {
	var s string
	switch t := n.(type) {
	case *ast.StringNode:
		s = t.Value
	case *ast.IntegerNode, *ast.FloatNode:
		s = t.GetToken().Value
	default:
		d.wrong(n, what, formOf(v.Type()))
		return
	}
	if s == "" || len(s) > MaxText {
		d.wrong(n, what, formOf(v.Type()))
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
		d.fault(place(first(n)), s, "%s: %q: want %s%s", what, short(s), formOf(v.Type()), hintOf(v.Type(), s))
	}
}

// wrong reports a value of the wrong type.
func (d *decoder) wrong(n ast.Node, what, want string) {
	t := first(n)
	d.fault(place(t), t.Value, "%s: %s, but want %s", what, described(n), want)
}

func described(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "this is a map"
	case *ast.SequenceNode:
		return "this is a list"
	case *ast.NullNode:
		return "this is empty"
	}
	return fmt.Sprintf("%q", short(n.GetToken().Value))
}

func keyOf(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return key
}

func fieldOf(t reflect.Type, key string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); key != "" && keyOf(f) == key {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		if k := keyOf(t.Field(i)); k != "" {
			keys = append(keys, k)
		}
	}
	return keys
}

func fieldName(what, key string) string {
	if what == "the document" {
		return key
	}
	return what + " " + key
}

// elementName names a list's element by its id, or by its place.
func elementName(list string, i int, n ast.Node) string {
	var pairs []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		pairs = m.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{m}
	default:
		return list
	}
	for _, p := range pairs {
		if s, ok := p.Value.(*ast.StringNode); ok && p.Key.GetToken().Value == "id" {
			return fmt.Sprintf("%s %q", singular(list), short(s.Value))
		}
	}
	return fmt.Sprintf("%s number %d", singular(list), i+1)
}

func singular(list string) string {
	if s, ok := strings.CutSuffix(list, "classes"); ok {
		return s + "class"
	}
	return strings.TrimSuffix(list, "s")
}
