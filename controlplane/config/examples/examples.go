// Package examples carries the example configurations for programs that start from one: the lab, tests, a first install.
package examples

import _ "embed"

// Lab is the lab's town hall, the document that tests and the lab work on.
//
//go:embed lab.yaml
var Lab []byte

// Lines is a town on two lines, with all that regions, ends, classes and translations can say.
//
//go:embed lines.yaml
var Lines []byte
