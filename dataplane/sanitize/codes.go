package sanitize

import (
	_ "embed"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

//go:embed codes.json
var codesJSON []byte

// sentences tell a clerk what the codes of this package mean.
var sentences = verdict.NewCatalogue(codesJSON)

// Sentence tells in the language (ja or en, ja for any other) what a finding's code means to a clerk and what to do. An
// unknown code answers itself.
func Sentence(code, lang string) string { return sentences.Sentence(code, lang) }
