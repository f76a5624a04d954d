package text

import (
	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/sandbox"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verify"
)

// Error tells a person what the code of a refusal means; false for a code that no catalogue has. Codes of the release daemon
// are explained by its own catalogue, all others by ours under "error.".
func (l Lang) Error(code string) (string, bool) {
	if key := "error." + code; l.Has(key) {
		return l.T(key), true
	}
	s := release.Sentences.Sentence(code, string(l))
	return s, s != code
}

// Finding tells a person what a finding about a file means. Rebuilder, verifier, sandbox and antivirus explain their own; a code that
// nobody knows is still shown, so that it can be asked about.
func (l Lang) Finding(code string) string {
	if key := "finding." + code; l.Has(key) {
		return l.T(key)
	}
	for _, sentence := range []func(code, lang string) string{sanitize.Sentence, verify.Sentences.Sentence, sandbox.Sentences.Sentence, antivirus.Sentences.Sentence} {
		if s := sentence(code, string(l)); s != code {
			return s
		}
	}
	return l.T("finding-unknown", code)
}
