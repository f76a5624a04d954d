package ledger

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

//go:embed codes.json
var codesJSON []byte

// sentences tell the town's people what the codes of this package mean and what to do.
var sentences = verdict.NewCatalogue(codesJSON)

// Note is one thing to tell: what it is, about which cell, and the words that belong into its sentence.
type Note struct {
	Cell string   `json:"cell,omitempty"` // like Sheet1!F12
	Code string   `json:"code"`
	Args []string `json:"args,omitempty"`
}

// Say is the note's sentence in a language (ja, en). Arguments that are codes themselves (field.…, kind.…) are said, too.
func (n Note) Say(lang string) string {
	args := make([]any, len(n.Args))
	for i, a := range n.Args {
		if strings.HasPrefix(a, "field.") || strings.HasPrefix(a, "kind.") {
			a = sentences.Sentence(a, lang)
		}
		args[i] = short(a)
	}
	text := sentences.Sentence(n.Code, lang)
	if len(args) > 0 {
		text = fmt.Sprintf(text, args...)
	}
	if n.Cell != "" {
		return n.Cell + ": " + text
	}
	return text
}

// Fault is a note that ends the work on a file.
type Fault struct{ Note }

func (f *Fault) Error() string { return f.Say("en") }

func fault(code string, args ...string) *Fault { return &Fault{Note{Code: code, Args: args}} }

// maxArg bounds the file's own words in a message, in characters.
const maxArg = 300

// short keeps control characters of a hostile file off the terminal, and long text within bounds.
func short(s string) string {
	r := []rune(strings.Map(printable, s))
	if len(r) > maxArg {
		return string(r[:maxArg]) + "…"
	}
	return string(r)
}

func printable(r rune) rune {
	if control(r) {
		return ' '
	}
	return r
}

// control tells characters that a document's text may not hold.
func control(r rune) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff
}
