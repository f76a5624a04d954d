package config

import "github.com/goccy/go-yaml/ast"

// Tree gives the syntax tree of a document, within the bounds of Parse, and its lines; nil for an empty one. Whether it says
// anything sensible is for Parse to tell.
func Tree(doc []byte) (root ast.Node, lines []string, err error) {
	s := &source{marks: map[any]mark{}}
	root = s.syntax(doc)
	return root, s.lines, s.errs.Err()
}
