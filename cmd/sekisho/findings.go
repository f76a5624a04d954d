package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/sandbox"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

// vocabulary is one package's own codes.
type vocabulary struct {
	codes    func() []string
	sentence func(code, lang string) string
}

// vocabularies are asked in turn.
func vocabularies() []vocabulary {
	all := []vocabulary{{sanitize.AllCodes, sanitize.Sentence}}
	for _, c := range []*verdict.Catalogue{verify.Sentences, sandbox.Sentences, antivirus.Sentences} {
		all = append(all, vocabulary{c.Codes, c.Sentence})
	}
	return all
}

// sentence asks each package for its own codes.
func sentence(code, lang string) string {
	for _, v := range vocabularies() {
		if s := v.sentence(code, lang); s != code {
			return s
		}
	}
	return code
}

// document prints the schema of reports, or all codes that stand in one with what they mean, as a table of Markdown.
func document(stdout, stderr io.Writer, schema, codes bool) int {
	var b strings.Builder
	if schema {
		b.Write(verdict.ReportSchema)
	}
	if codes {
		var all []string
		for _, v := range vocabularies() {
			all = append(all, v.codes()...)
		}
		slices.Sort(all)
		b.WriteString("| code | |\n|---|---|\n")
		for _, c := range slices.Compact(all) {
			fmt.Fprintf(&b, "| `%s` | %s |\n", c, strings.ReplaceAll(sentence(c, language()), "|", "\\|"))
		}
	}
	if _, err := io.WriteString(stdout, b.String()); err != nil {
		fmt.Fprintln(stderr, "sekisho sanitize:", err)
		return exitFailed
	}
	return exitOK
}
