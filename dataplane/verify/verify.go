// Package verify is the second opinion on a rebuilt file.
//
// Problem: a rebuilder is a parser and a writer, and one day one of them is wrong; what it then lets through looks clean to
// itself. Mechanism: other eyes. This package reads the result with parsers of its own, shares none with the rebuilder, and
// asks one question of every byte: is this something that a rebuilder of ours writes? It repairs nothing and has no opinion
// about the original.
//
// What passes by being named, and is blocked otherwise: the bytes of text, the cells of a table, the chunks and segments of a
// picture, and of an Office document the layout of the ZIP, the content types, the relationships, the targets that lead out, the
// namespaces of elements and attributes, Word's fields and the actions of a click. What passes unless it is named: inside those
// namespaces, elements (office/active.go lists those that do, load or hold something), their attributes, and the functions of a formula
// that stays in the workbook. So an active element of a known namespace that it does not know would pass here; what it
// would need to do harm, another part or an address, would not.
//
// Life cycle: one call of Check in one process in a sandbox of its own. Invariant: clean means that the whole file was
// read to its last byte and that all of it was held to these lists.
//
// The two sides, kept apart by a test over the imports of both packages:
//
//	family            rebuilder reads with                      verifier reads with
//	text, csv         own walks, tables from x/text/japanese    own state machines, row tables for CP932 and EUC-JP
//	html              golang.org/x/net/html                     own tokenizer for the one form that is written, own rules
//	xml, svg          own tokenizer (markup)                    another one, for the one form that is written
//	json, md          own walk                                  patterns
//	png               own chunk walk, compress/zlib             own chunk walk, klauspost zlib, own filter and size arithmetic
//	jpeg              own reader of coefficients (picture/dct)  own reader of scans, with tables of another kind (picture)
//	gif               own reader, compress/lzw                  own reader, own LZW
//	bmp, tiff         own readers, x/image/tiff                 own readers of the one layout, klauspost zlib
//	pdf               qpdf (JSON), own lexer and tables          own reader of files and streams, klauspost zlib, own shapes
//	docx, xlsx, pptx  archive/zip, own tokenizer                own directory walk, klauspost flate, own reader of one form of XML, own rules
//	odt, ods, odp     archive/zip, own tokenizer                own directory walk, klauspost flate, own reader of one form of XML, own rules
//	zip               own directory walk, compress/flate        own directory walk, klauspost flate
//	tar, gz           archive/tar, compress/gzip                own header walk, klauspost flate
//	eml               own lenient parser, mscfb                 own reader of the one shape, line by line
package verify

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify/archive"
	"github.com/sekisho/sekisho/dataplane/verify/html"
	"github.com/sekisho/sekisho/dataplane/verify/json"
	"github.com/sekisho/sekisho/dataplane/verify/mail"
	"github.com/sekisho/sekisho/dataplane/verify/md"
	"github.com/sekisho/sekisho/dataplane/verify/odf"
	"github.com/sekisho/sekisho/dataplane/verify/office"
	"github.com/sekisho/sekisho/dataplane/verify/pdf"
	"github.com/sekisho/sekisho/dataplane/verify/picture"
	"github.com/sekisho/sekisho/dataplane/verify/rule"
	"github.com/sekisho/sekisho/dataplane/verify/svg"
	"github.com/sekisho/sekisho/dataplane/verify/text"
	"github.com/sekisho/sekisho/dataplane/verify/xml"
)

// Engine names these rules and their version in every report and attestation.
const Engine = "sekisho-verify/1"

// MaxIn bounds a file, in bytes.
const MaxIn = 512 << 20

//go:embed codes.json
var codesJSON []byte

// Sentences tell a clerk what the codes of this package mean.
var Sentences = verdict.NewCatalogue(codesJSON, pdf.Codes, text.Codes, archive.Codes, mail.Codes, html.Codes, json.Codes, md.Codes, svg.Codes, xml.Codes)

// Codes of refusals.
const (
	codeName    = "verify.name"    // the name is no kind that a rebuilder writes
	codeEmpty   = "verify.empty"   // nothing in it
	codeLimit   = "verify.limit"   // larger than this package reads
	codeTime    = "verify.time"    // ended from outside
	codeFault   = "verify.fault"   // this package failed
	codeImage   = picture.Code     // structure of a picture
	codePackage = "verify.package" // structure of the ZIP
	codePart    = "verify.part"    // a part or content type that does not belong
	codeLink    = "verify.link"    // a relationship that leads out or nowhere
	codeFormat  = rule.CodeFormat  // a family that the route does not admit
	codeActive  = "verify.active"  // macro, OLE, ActiveX, field, action: something that acts
	codeMarkup  = "verify.markup"  // XML that is not on the list
)

// Check reads a rebuilt file that is to be released under the name. keys are the passwords that came with the original. It never panics. Blocked unless everything was understood.
func Check(ctx context.Context, name string, in []byte, keys ...string) verdict.Report {
	return CheckFor(ctx, verdict.Policy{}, name, in, keys...)
}

// CheckFor is Check for a route that wants something else than the safe default of each choice.
func CheckFor(ctx context.Context, p verdict.Policy, name string, in []byte, keys ...string) verdict.Report {
	return Route{Policy: p, Keys: keys}.Check(ctx, name, in)
}

// Route is what a result is held to beyond what holds everywhere.
type Route struct {
	Policy  verdict.Policy
	Formats []string // families that it admits, also in archives and mails; empty admits all
	Keys    []string // passwords that came with the original
}

// Check is the package's Check for a route.
func (r Route) Check(ctx context.Context, name string, in []byte) verdict.Report {
	sum := sha256.Sum256(in)
	d := verdict.Digest{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(in))}
	rep := verdict.Report{Version: 1, Name: name, Family: verdict.FamilyOf(name), Before: d, Engine: Engine, Findings: []verdict.Finding{}}
	f := &rule.File{Ctx: ctx, Name: name, Family: rep.Family, In: in, Keys: r.Keys, Policy: r.Policy, Formats: r.Formats}
	err := check(f, maxNesting)
	if err == nil {
		err = f.Admits("", name)
	}
	if err == nil {
		rep.Outcome, rep.After = verdict.Clean, &d
		return rep
	}
	no := &rule.Refusal{Code: codeFault, Detail: err.Error()}
	switch {
	case errors.As(err, &no):
	case ctx.Err() != nil:
		no = &rule.Refusal{Code: codeTime, Detail: "ended from outside"}
	}
	rep.Outcome = verdict.Blocked
	rep.Findings = append(rep.Findings, verdict.Finding{Code: no.Code, Place: bounded(no.Place), Action: verdict.Refused, Detail: bounded(no.Detail)})
	return rep
}

// maxNesting is how deep files may lie in files.
const maxNesting = 10

// families by name: what reads each.
var families = map[string]func(*rule.File) error{
	"text": text.Check,
	"csv":  text.Check,
	"html": html.Check,
	"json": json.Check,
	"md":   md.Check,
	"svg":  svg.Check,
	"xml":  xml.Check,
	"png":  func(f *rule.File) error { return picture.PNG(f.Ctx, f.In, "") },
	"jpeg": picture.CheckJPEG,
	"gif":  func(f *rule.File) error { return picture.GIF(f.Ctx, f.In, "") },
	"bmp":  func(f *rule.File) error { return picture.BMP(f.Ctx, f.In, "") },
	"tiff": func(f *rule.File) error { return picture.TIFF(f.Ctx, f.In, "") },
	"docx": office.Check,
	"xlsx": office.Check,
	"pptx": office.Check,
	"odt":  odf.Check,
	"ods":  odf.Check,
	"odp":  odf.Check,
	"pdf":  pdf.Check,
	"eml":  mail.Check,
	"zip":  archive.Check,
	"tar":  archive.Check,
	"gz":   archive.Check,
}

func check(f *rule.File, depth int) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = rule.Refuse(codeFault, "", "%v", p)
		}
	}()
	switch {
	case len(f.In) == 0:
		return rule.Refuse(codeEmpty, "", "no bytes")
	case len(f.In) > MaxIn:
		return rule.Refuse(codeLimit, "", "%d bytes, limit %d", len(f.In), MaxIn)
	case depth == 0:
		return rule.Refuse(codeLimit, "", "files in files too many levels deep")
	}
	if err := checkName(f.Name); err != nil {
		return err
	}
	family := families[f.Family]
	if family == nil {
		return rule.Refuse(codeName, "", "%q is not the name of a kind that is rebuilt", f.Name)
	}
	f.Nested = func(place, name string, in []byte) error {
		return rule.Within(place, check(&rule.File{Ctx: f.Ctx, Name: name, Family: verdict.FamilyOf(name), In: in, Keys: f.Keys, Policy: f.Policy, Formats: f.Formats}, depth-1))
	}
	return family(f)
}

// device names open one on Windows, whatever follows their first dot.
var device = regexp.MustCompile(`(?i)^(con|prn|aux|nul|clock\$|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)`)

// checkName holds the name to one plain path element: it becomes a file name in another zone.
func checkName(name string) error {
	if name == "" || len(name) > 255 || !utf8.ValidString(name) || strings.TrimRight(name, " .") != name {
		return rule.Refuse(codeName, "", "%q", name)
	}
	if device.MatchString(name) {
		return rule.Refuse(codeName, "", "device %q", name)
	}
	for _, r := range name {
		if strings.ContainsRune(`<>:"|?*\/`, r) || r < 0x20 || r == 0x7F || text.Invisible(r) {
			return rule.Refuse(codeName, "", "character %U", r)
		}
	}
	return nil
}

// bounded makes words that may be an attacker's fit for a report.
func bounded(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > 200 {
			break
		}
		if !strconv.IsPrint(r) || r == utf8.RuneError {
			r = '·'
		}
		b.WriteRune(r)
	}
	return b.String()
}
