// Package sanitize turns one untrusted file into a new one that holds only what was understood.
//
// The problem: a file from another zone may carry macros, remote templates, formulas that start programs, positions of
// homes, or bytes that some other program reads as something else. Finding the bad and cutting it out loses against the next
// trick. The mechanism: detect what the file is by content, refuse it when content and name disagree, parse it with limits,
// and write a new file from the parsed pieces that an allow-list names; bytes that were not understood have no way into the
// result. The life cycle: one call of Rebuild in one process in one sandbox, then the process ends. The invariant: Rebuild
// writes to its output only when the whole result is made, and every other end (time-out, error, panic, limit) is a report
// whose outcome is blocked, with a reason that a clerk understands.
//
// The table of parsers, so that the second opinion (package verify) can stay apart from it:
//
//	family             reads with                              writes with
//	text, csv          own walks (charset), x/text for tables  the code units that were read
//	html               x/net/html                              own writer, until it is what is read from it
//	xml, svg           own tokenizer (markup)                  own writer
//	json, md           own walk                                the characters that were read
//	png                own chunk walk, compress/zlib           own filters, compress/flate
//	jpeg               own reader (picture/dct)                own writer (dct); pixels: image/jpeg
//	gif, bmp           own readers (picture), compress/lzw     own writers, compress/lzw
//	tiff               own directory walk, x/image/tiff        own writer, compress/zlib
//	webp, heic         own chunk walk, x/image/webp; libheif,  as png or jpeg
//	                   outside
//	doc, xls, ppt,     richardlehane/mscfb, to tell what it    as docx, xlsx, pptx
//	rtf, xlsb, mht     holds; LibreOffice, outside
//	docx, xlsx, pptx   archive/zip, own tokenizer (markup)     own tokenizer, archive/zip
//	pdf                qpdf (JSON), own lexer                  own writer, qpdf
//	odt, ods, odp      archive/zip, own tokenizer (markup)     own tokenizer, archive/zip
//	fodt, fods, fodp   LibreOffice, outside                    as odt, ods, odp
//	zip                own directory walk, compress/flate      own layout (archive), compress/flate
//	7z, lzh            bodgit/sevenzip; own decoder            zip, as above
//	tar, gz, bz2, xz   archive/tar, compress/…, ulikunitz/xz   archive/tar, compress/gzip
//	eml, msg           own lenient parser; mscfb, own tables   one shape of eml (mail)
package sanitize

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/sanitize/archive"
	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/sanitize/html"
	"github.com/sekisho/sekisho/dataplane/sanitize/json"
	"github.com/sekisho/sekisho/dataplane/sanitize/legacy"
	"github.com/sekisho/sekisho/dataplane/sanitize/mail"
	"github.com/sekisho/sekisho/dataplane/sanitize/md"
	"github.com/sekisho/sekisho/dataplane/sanitize/odf"
	"github.com/sekisho/sekisho/dataplane/sanitize/office"
	"github.com/sekisho/sekisho/dataplane/sanitize/pdf"
	"github.com/sekisho/sekisho/dataplane/sanitize/picture"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/sanitize/svg"
	"github.com/sekisho/sekisho/dataplane/sanitize/text"
	"github.com/sekisho/sekisho/dataplane/sanitize/xml"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Engine names this rebuilder and the version of its rules in every report.
const Engine = "sekisho-sanitize/1"

// MaxIn and MaxOut are the worker's own limits, in bytes, whatever the route allows.
const (
	MaxIn  = 512 << 20
	MaxOut = 512 << 20
)

// Options of one rebuild.
type Options struct {
	MaxOut  int64            // limit of the result in bytes; 0 is the package's own
	Formats []string         // families that the route admits; empty admits all
	Policy  verdict.Policy   // what the route wants done where there is a choice
	Keys    []string         // passwords that the sender gave
	Answers []verdict.Answer // of helpers that a former call asked
	// Member, when it is there, is given each file that lies in the file, whatever becomes of it: once in each call, and before a helper
	// sees it. An error ends the rebuild.
	Member func(place string, in []byte) error
}

// Bounds of what one file may unpack to, with all that lies in it.
const (
	maxUnpackedAll = 2 << 30
	maxFiles       = 10_000
	maxNesting     = 8
)

// Rebuild reads the file and, when the report says clean, has written its new form to out. It never panics and never writes
// a part of a file that it then blocks. name is what the sender called the file; in is not changed. Cancel ctx to stop:
// the report is then blocked. Needs are there when helpers have to be asked first: the report then says nothing, and Rebuild is
// called again with their answers beside those of former calls.
func Rebuild(ctx context.Context, name string, in []byte, out io.Writer, opt Options) (rep verdict.Report, needs []verdict.Need) {
	rep = verdict.Report{Version: 1, Name: rebuild.Printable(name, 255), Before: digest(in), Engine: Engine}
	if opt.MaxOut <= 0 || opt.MaxOut > MaxOut {
		opt.MaxOut = MaxOut
	}
	job := &rebuild.Job{
		Ctx: ctx, In: in, Found: &rebuild.Findings{}, MaxOut: opt.MaxOut, Policy: opt.Policy, Formats: opt.Formats, Keys: likely(opt.Keys),
		Budget: &rebuild.Budget{Bytes: maxUnpackedAll, Files: maxFiles, Depth: maxNesting}, Tools: rebuild.NewTools(opt.Answers),
	}
	job.Member = shown(opt.Member)
	heard := listen(job)
	res, err := begin(job, name, opt.Formats, "type.not-admitted")
	if errors.Is(err, rebuild.ErrAsked) {
		return rep, job.Tools.Asked()
	}
	rep.Kind, rep.Family, rep.OutName = res.Kind, res.Family, res.Name
	rep.Original, rep.Result = res.Original, res.Result
	if err == nil {
		err = heard()
	}
	if err == nil {
		err = forbidden(job)
	}
	defer blot(&rep)
	if err == nil {
		if _, werr := out.Write(res.Body); werr != nil {
			err = rebuild.Refuse("internal.output", "", werr.Error())
		}
	}
	if err != nil {
		job.Found.Block(err)
		rep.Outcome, rep.Findings, rep.OutName, rep.Result = verdict.Blocked, job.Found.List, "", nil
		return rep, nil
	}
	after := digest(res.Body)
	rep.Outcome, rep.Findings, rep.After = verdict.Clean, job.Found.List, &after
	if rep.Findings == nil {
		rep.Findings = []verdict.Finding{}
	}
	return rep, nil
}

// likely leaves out the passwords that no program lets anybody type. They open nothing, and helpers do not take them.
func likely(keys []string) []string {
	return slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return verdict.KeyError(k) != nil })
}

// forbidden holds what was found to what the route wants blocked rather than removed.
func forbidden(j *rebuild.Job) error {
	for _, f := range j.Found.List {
		for _, b := range j.Policy.Block {
			family, all := strings.CutSuffix(b, "*")
			if f.Code == b || all && strings.HasPrefix(f.Code, family) {
				return rebuild.Refuse("policy.blocked", f.Place, f.Code)
			}
		}
	}
	return nil
}

// families by name: what rebuilds each.
var families = map[string]func(*rebuild.Job) (rebuild.Result, error){
	"text": text.Plain,
	"csv":  text.Table,
	"html": html.Rebuild,
	"json": json.Rebuild,
	"md":   md.Rebuild,
	"svg":  svg.Rebuild,
	"xml":  xml.Rebuild,
	"png":  picture.PNGFile,
	"jpeg": picture.JPEGFile,
	"gif":  picture.GIFFile,
	"bmp":  picture.BMPFile,
	"tiff": picture.TIFFFile,
	"webp": picture.WebPFile,
	"heic": picture.HEICFile,
	"docx": office.Rebuild,
	"xlsx": office.Rebuild,
	"pptx": office.Rebuild,
	"pdf":  pdf.Rebuild,
	"zip":  archive.Rebuild, "7z": archive.Rebuild, "lzh": archive.Rebuild,
	"eml": mail.Rebuild, "msg": mail.Rebuild,
	"tar": archive.Rebuild, "gz": archive.Rebuild, "bz2": archive.Rebuild, "xz": archive.Rebuild,
	"doc":  legacy.Rebuild,
	"xls":  legacy.Rebuild,
	"ppt":  legacy.Rebuild,
	"rtf":  legacy.Rebuild,
	"xlsb": legacy.Rebuild,
	"mht":  legacy.Rebuild,
	"odt":  odf.Rebuild,
	"ods":  odf.Rebuild,
	"odp":  odf.Rebuild,
	"fodt": odf.Flat,
	"fods": odf.Flat,
	"fodp": odf.Flat,
}

// Families are the names of what is rebuilt, in order.
func Families() []string { return slices.Sorted(maps.Keys(families)) }

// begin tells what the file is and has its family rebuild it. Formats are the families that may be; empty: all. Another is refused
// by the code.
func begin(j *rebuild.Job, name string, formats []string, foreign string) (res rebuild.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = rebuild.Refuse("internal", "", fmt.Sprint(p))
		}
	}()
	if len(j.In) == 0 {
		return res, rebuild.Refuse("type.empty", "", "")
	}
	if len(j.In) > MaxIn {
		return res, rebuild.Refuse("limit.size", "", fmt.Sprintf("%d bytes, limit %d", len(j.In), MaxIn))
	}
	k, ext, err := identify(name, j.In)
	res.Family = k.family()
	res.Kind = res.Family
	if err != nil {
		return res, err
	}
	if len(formats) > 0 && !verdict.Admits(formats, res.Family) {
		return res, rebuild.Refuse(foreign, "", res.Family)
	}
	j.Name, j.Ext = baseName(name), ext
	j.Nested = func(place, name string, in []byte, asIs bool) (rebuild.Result, error) {
		return within(j, place, name, in, asIs)
	}
	family := families[res.Family]
	if family == nil {
		return res, rebuild.Refuse("type.unsupported", "", string(k))
	}
	r, err := family(j)
	r.Kind = res.Kind
	if r.Name == "" {
		r.Name = outName(name, ext, r.Ext, j.Found)
	} else {
		r.Name = outName(r.Name, strings.ToLower(path.Ext(r.Name)), "", j.Found)
	}
	if r.Family == "" {
		r.Family = res.Family
		if f := verdict.FamilyOf(r.Name); f != "" {
			r.Family = f
		}
	}
	if err == nil && len(formats) > 0 && !verdict.AdmitsResult(formats, r.Family) {
		err = rebuild.Refuse(foreign, "", r.Family)
	}
	if j.Ctx.Err() != nil { // whatever a decoder made of being stopped
		err = j.Ctx.Err()
	}
	if err == nil && int64(len(r.Body)) > j.MaxOut {
		err = rebuild.Refuse("limit.output", "", fmt.Sprintf("%d bytes, limit %d", len(r.Body), j.MaxOut))
	}
	return r, err
}

// within rebuilds a file that lies in another. One that a reader opens by itself is held to the formats of the route like the outer
// one; a picture is part of its document, whatever its format.
func within(outer *rebuild.Job, place, name string, in []byte, asIs bool) (rebuild.Result, error) {
	if outer.Budget.Depth <= 0 {
		return rebuild.Result{}, rebuild.Refuse("limit.nesting", place, "")
	}
	if err := outer.Budget.Spend(int64(len(in))); err != nil {
		return rebuild.Result{}, rebuild.At(err, place)
	}
	inner := *outer
	inner.In, inner.AsIs, inner.Found = in, asIs, outer.Found.Within(place)
	if outer.Member != nil {
		inner.Member = func(at string, in []byte) error {
			return outer.Member(strings.TrimSuffix(rebuild.Printable(place, 100)+"/"+at, "/"), in)
		}
		if !asIs {
			if err := inner.Member("", in); err != nil {
				return rebuild.Result{}, err
			}
		}
	}
	take := overhear(outer, &inner, place)
	inner.Budget.Depth--
	defer func() { inner.Budget.Depth++ }()
	formats := outer.Formats
	if asIs {
		formats = nil
	}
	res, err := begin(&inner, name, formats, "type.member-not-admitted")
	if err == nil {
		take()
	}
	var r *rebuild.Refusal
	if errors.As(err, &r) {
		err = rebuild.Refuse(r.Code, strings.TrimSuffix(rebuild.Printable(place, 100)+"/"+r.Place, "/"), r.Detail)
	}
	return res, err
}

// outName is the name to release under: the last element, without characters that hide or redirect, and with the plain kind's
// extension, or with that of another kind that it has become.
func outName(name, ext, becomes string, found *rebuild.Findings) string {
	base := baseName(name)
	stem := strings.TrimRight(base[:len(base)-len(ext)], " .")
	stem = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, charset.Hidden(r), unicode.IsControl(r):
			return -1
		case strings.ContainsRune(`<>:"|?*\/`, r):
			return '_'
		}
		return r
	}, stem)
	for len(stem) > 200 {
		_, n := utf8.DecodeLastRuneInString(stem)
		stem = stem[:len(stem)-n]
	}
	if stem == "" {
		stem = "file"
	}
	if rebuild.Device(stem) {
		stem = "_" + stem
	}
	end := base[len(base)-len(ext):]
	if p, macro := office.Plain[ext]; macro {
		becomes = p
	}
	if becomes != "" {
		end = becomes
		found.Add("name.kind", "", verdict.Changed, ext+" -> "+becomes)
	}
	if stem != base[:len(base)-len(ext)] {
		found.Add("name.changed", "", verdict.Changed, "")
	}
	return stem + end
}

func baseName(name string) string { return path.Base(strings.ReplaceAll(name, `\`, "/")) }

func digest(b []byte) verdict.Digest {
	sum := sha256.Sum256(b)
	return verdict.Digest{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(b))}
}
