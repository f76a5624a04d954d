// Package schema names the elements that the standards of office documents define.
//
// Problem: a list of elements that are dangerous is never complete; what a standard defines is. Mechanism: two tables of names by
// namespace, taken from the published schemas, which rebuilder and verifier both read; what of them may stand in a result each of the
// two decides by its own rules. Life cycle: read at the first call, never changed. Invariant: a name is in a table only because a
// standard or a program's published extension defines it.
package schema

import (
	_ "embed"
	"strings"
	"sync"
)

//go:embed ooxml.txt
var ooxml string

//go:embed odf.txt
var odf string

// OOXML gives the names of elements by the URI of their namespace; of strict documents by that of the transitional one.
var OOXML = sync.OnceValue(func() map[string][]string { return read(ooxml) })

// ODF gives the names of elements by the URI of their namespace.
var ODF = sync.OnceValue(func() map[string][]string { return read(odf) })

// read takes a table: a line for a namespace, indented lines for its names.
func read(table string) map[string][]string {
	m := map[string][]string{}
	space := ""
	for line := range strings.Lines(table) {
		names := strings.Fields(line)
		switch {
		case len(names) == 0 || names[0] == "#":
		case line[0] != ' ':
			space = names[0]
		default:
			m[space] = append(m[space], names...)
		}
	}
	return m
}
