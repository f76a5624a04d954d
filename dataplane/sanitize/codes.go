package sanitize

import (
	_ "embed"

	"github.com/sekisho/sekisho/dataplane/sanitize/archive"
	"github.com/sekisho/sekisho/dataplane/sanitize/html"
	"github.com/sekisho/sekisho/dataplane/sanitize/json"
	"github.com/sekisho/sekisho/dataplane/sanitize/legacy"
	"github.com/sekisho/sekisho/dataplane/sanitize/mail"
	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/sanitize/md"
	"github.com/sekisho/sekisho/dataplane/sanitize/mynumber"
	"github.com/sekisho/sekisho/dataplane/sanitize/odf"
	"github.com/sekisho/sekisho/dataplane/sanitize/pdf"
	"github.com/sekisho/sekisho/dataplane/sanitize/picture"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/sanitize/svg"
	"github.com/sekisho/sekisho/dataplane/sanitize/text"
	"github.com/sekisho/sekisho/dataplane/sanitize/xml"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

//go:embed codes.json
var codesJSON []byte

// sentences tell a clerk what the codes of this package and of its families mean.
var sentences = verdict.NewCatalogue(codesJSON, rebuild.Codes, markup.Codes, pdf.Codes, picture.Codes, text.Codes, archive.Codes, mail.Codes, html.Codes, legacy.Codes, odf.Codes, mynumber.Codes, json.Codes, md.Codes, svg.Codes, xml.Codes)

// Sentence tells in the language (ja or en, ja for any other) what a finding's code means to a clerk and what to do. An
// unknown code answers itself.
func Sentence(code, lang string) string { return sentences.Sentence(code, lang) }

// AllCodes lists what Sentence knows, sorted.
func AllCodes() []string { return sentences.Codes() }
