// Package proven makes tables and proves them, as control does before it asks for anything.
//
// Problem: whoever waits for a change of thousands of records has three long tasks before them: compiling, proving the isolation,
// and proving that the tables are those of this document. Mechanism: the document is read a second time while the compiler is
// at work, and the two proofs are made at once. Life cycle: a function. Invariant: a result without violations was
// seen as a whole by both proofs.
package proven

import (
	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy/equal"
	"github.com/sekisho/sekisho/controlplane/policy/reading"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
)

// Compiler makes a generation; policy.Compile does.
type Compiler func(*config.Config, *anchors.Anchors) (gate.Generation, error)

// Result is a generation and all that is wrong with its tables.
type Result struct {
	gate.Generation
	Isolation []proof.Violation // of the zones
	Equality  []proof.Violation // of what the document says
}

// Compile makes and proves the generation of c. The error is the compiler's.
func Compile(c *config.Config, a *anchors.Anchors, by Compiler) (r Result, err error) {
	defer collectLater()()
	document := make(chan *reading.Document, 1)
	go func() { document <- reading.Of(c) }()
	if r.Generation, err = by(c, a); err != nil {
		return Result{}, err
	}
	isolation := make(chan []proof.Violation, 1)
	go func() { isolation <- proof.Check(&r.Tables, a) }()
	r.Equality = equal.Violations(<-document, &r.Tables, a)
	r.Isolation = <-isolation
	return r, nil
}
