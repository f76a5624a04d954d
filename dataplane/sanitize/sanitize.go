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
//	text, csv          own CP932 and UTF-8 walk (charset.go)   the code units that were read
//	png                own chunk walk, then image/png          image/png
//	jpeg               own marker walk, then image/jpeg        image/jpeg
//	docx, xlsx, pptx   archive/zip, own tokenizer (xml.go)     own tokenizer, archive/zip
package sanitize

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

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
	MaxOut  int64    // limit of the result in bytes; 0 is the package's own
	Formats []string // families that the route admits (text or txt, csv, png, jpeg, docx, xlsx, pptx); empty admits all
}

// Rebuild reads the file and, when the report says clean, has written its new form to out. It never panics and never writes
// a part of a file that it then blocks. name is what the sender called the file; in is not changed. Cancel ctx to stop:
// the report is then blocked.
func Rebuild(ctx context.Context, name string, in []byte, out io.Writer, opt Options) verdict.Report {
	rep := verdict.Report{Version: 1, Name: printable(name, 255), Before: digest(in), Engine: Engine}
	if opt.MaxOut <= 0 || opt.MaxOut > MaxOut {
		opt.MaxOut = MaxOut
	}
	found := &findings{}
	res, err := rebuild(ctx, name, in, opt, found)
	rep.Family, rep.OutName = res.family, res.name
	rep.Original, rep.Result = res.original, res.result
	if err == nil {
		if _, werr := out.Write(res.body); werr != nil {
			err = refuse("internal.output", "", werr.Error())
		}
	}
	if err != nil {
		found.block(err)
		rep.Outcome, rep.Findings, rep.OutName, rep.Result = verdict.Blocked, found.list, "", nil
		return rep
	}
	after := digest(res.body)
	rep.Outcome, rep.Findings, rep.After = verdict.Clean, found.list, &after
	if rep.Findings == nil {
		rep.Findings = []verdict.Finding{}
	}
	return rep
}

// result is what a family's rebuilder hands back.
type result struct {
	family           string
	name             string
	body             []byte
	original, result *verdict.Preview
}

func rebuild(ctx context.Context, name string, in []byte, opt Options, found *findings) (res result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = refuse("internal", "", fmt.Sprint(p))
		}
	}()
	if len(in) == 0 {
		return res, refuse("type.empty", "", "")
	}
	if len(in) > MaxIn {
		return res, refuse("limit.size", "", fmt.Sprintf("%d bytes, limit %d", len(in), MaxIn))
	}
	k, ext, err := identify(name, in)
	res.family = k.family()
	if err != nil {
		return res, err
	}
	if len(opt.Formats) > 0 && !verdict.Admits(opt.Formats, res.family) {
		return res, refuse("type.not-admitted", "", res.family)
	}
	job := job{ctx: ctx, in: in, found: found, maxOut: opt.MaxOut}
	var r result
	switch res.family {
	case "text", "csv":
		r, err = job.text(res.family == "csv")
	case "png":
		r, err = job.png()
	case "jpeg":
		r, err = job.jpeg()
	case "docx", "xlsx", "pptx":
		r, err = job.office(ext)
	default:
		err = refuse("type.unsupported", "", string(k))
	}
	r.family = res.family
	r.name = outName(name, ext, found)
	if err == nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err == nil && int64(len(r.body)) > opt.MaxOut {
		err = refuse("limit.output", "", fmt.Sprintf("%d bytes, limit %d", len(r.body), opt.MaxOut))
	}
	return r, err
}

// job is one file on its way through a family's rebuilder.
type job struct {
	ctx    context.Context
	in     []byte
	found  *findings
	maxOut int64
	asIs   bool // a picture inside a document is not turned upright
}

// plain maps a macro kind to the kind without macros.
var plain = map[string]string{".docm": ".docx", ".dotm": ".dotx", ".xlsm": ".xlsx", ".xltm": ".xltx", ".pptm": ".pptx", ".potm": ".potx", ".ppsm": ".ppsx"}

// outName is the name to release under: the last element, without characters that hide or redirect, and with the plain kind's
// extension.
func outName(name, ext string, found *findings) string {
	base := baseName(name)
	stem := strings.TrimRight(base[:len(base)-len(ext)], " .")
	stem = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, hidden(r), unicode.IsControl(r):
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
	end := base[len(base)-len(ext):]
	if p, macro := plain[ext]; macro {
		end = p
		found.add("name.kind", "", verdict.Changed, ext+" -> "+p)
	}
	if stem != base[:len(base)-len(ext)] {
		found.add("name.changed", "", verdict.Changed, "")
	}
	return stem + end
}

func baseName(name string) string { return path.Base(strings.ReplaceAll(name, `\`, "/")) }

func digest(b []byte) verdict.Digest {
	sum := sha256.Sum256(b)
	return verdict.Digest{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(b))}
}

// refusal is the error that blocks a file: a code of the catalogue, a place and a detail.
type refusal struct{ code, place, detail string }

func (r *refusal) Error() string { return strings.TrimSpace(r.code + " " + r.place + " " + r.detail) }

func refuse(code, place, detail string) error { return &refusal{code, place, detail} }

// findings collects what a reader should know, bounded: the same code at the same place is counted, not repeated, and beyond
// maxFindings only the counts grow.
type findings struct{ list []verdict.Finding }

const maxFindings = 200

func (f *findings) add(code, place string, action verdict.Action, detail string) {
	place = printable(place, 200)
	last := -1
	for i := range f.list {
		if f.list[i].Code == code && f.list[i].Action == action {
			last = i
			if f.list[i].Place == place {
				f.list[i].Count++
				return
			}
		}
	}
	if last >= 0 && len(f.list) >= maxFindings {
		f.list[last].Count++
		return
	}
	f.list = append(f.list, verdict.Finding{Code: code, Place: place, Action: action, Count: 1, Detail: printable(detail, 200)})
}

// block records the reason of a block. An error that is no refusal is ours.
func (f *findings) block(err error) {
	var r *refusal
	switch {
	case errors.As(err, &r):
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		r = &refusal{code: "limit.time"}
	default:
		r = &refusal{code: "internal", detail: err.Error()}
	}
	f.add(r.code, r.place, verdict.Refused, r.detail)
}

// printable bounds text that may be an attacker's to n characters and takes out what a terminal or a reader would act on.
func printable(s string, n int) string {
	var b strings.Builder
	for _, r := range s {
		if n == 0 {
			break
		}
		if r == utf8.RuneError || hidden(r) || (!unicode.IsPrint(r) && !isGaiji(r)) {
			r = '·'
		}
		b.WriteRune(r)
		n--
	}
	return b.String()
}

// limited is a buffer that refuses to grow beyond a limit and stops when the context does.
type limited struct {
	ctx context.Context
	max int64
	bytes.Buffer
}

func (l *limited) Write(p []byte) (int, error) {
	if err := l.ctx.Err(); err != nil {
		return 0, err
	}
	if int64(l.Len()+len(p)) > l.max {
		return 0, refuse("limit.output", "", fmt.Sprintf("limit %d bytes", l.max))
	}
	return l.Buffer.Write(p)
}

// patient reads from memory until the context ends.
type patient struct {
	ctx context.Context
	r   *bytes.Reader
}

func (p patient) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.r.Read(b)
}
