// Package rule is what every family's checker works with.
//
// Problem: a rebuilt file may hold others, each of another family, and a refusal has to say where. Mechanism: a File for each,
// with Nested to have another checked by its own family. Life cycle: one call of a family's checker, in one process in one
// sandbox. Invariant: a checker answers nil only when it has read the whole file; every error blocks.
package rule

import (
	"context"
	"errors"
	"fmt"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// File is one rebuilt file on its way through its family's checker.
type File struct {
	Ctx    context.Context
	Name   string // to be released under
	Family string
	In     []byte
	Keys   []string // passwords that the sender gave, where an archive is written under one again
	Policy verdict.Policy

	// Formats are what the route admits, empty for all.
	Formats []string

	// Nested has a file checked that lies in this one, by the family that its name promises. A refusal carries the place.
	Nested func(place, name string, in []byte) error
}

// CodeFormat refuses what the route does not admit.
const CodeFormat = "verify.format"

// Member has a file checked like Nested that a reader opens by itself: it is held to the formats of the route as well.
func (f *File) Member(place, name string, in []byte) error {
	if err := f.Admits(place, name); err != nil {
		return err
	}
	return f.Nested(place, name, in)
}

// Admits refuses a name whose family the route does not let pass.
func (f *File) Admits(place, name string) error {
	if family := verdict.FamilyOf(name); len(f.Formats) > 0 && !verdict.AdmitsResult(f.Formats, family) {
		return Refuse(CodeFormat, place, "%q", family)
	}
	return nil
}

// Refusal is why a file is blocked.
type Refusal struct{ Code, Place, Detail string }

func (r *Refusal) Error() string { return r.Code + " " + r.Place + ": " + r.Detail }

// Refuse makes a Refusal.
func Refuse(code, place, format string, args ...any) error {
	return &Refusal{code, place, fmt.Sprintf(format, args...)}
}

// Within puts a place before that of a refusal.
func Within(place string, err error) error {
	var r *Refusal
	if err == nil || !errors.As(err, &r) {
		return err
	}
	at := place
	if r.Place != "" {
		at += "/" + r.Place
	}
	return &Refusal{r.Code, at, r.Detail}
}
