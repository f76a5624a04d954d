// Package rebuild is what every family's rebuilder works with: the file on its way, its budget, what was found in it, and the
// programs that it may ask for.
//
// Problem: a file holds files, each of another family, and whatever lies at the bottom must be bounded by what the whole may cost
// and be reported by where it lies. Mechanism: a Job for the file and one for each file in it share a budget, the list of
// findings and the answers of helpers; families know each other by Nested only. Life cycle: a job lives for one call of its
// family's rebuilder, in one process in one sandbox. Invariant: a rebuilder answers a whole result or an error; Refuse says which
// code of the catalogue a clerk reads, and any other error is a fault of ours that blocks as well.
package rebuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Job is one file on its way through its family's rebuilder.
type Job struct {
	Ctx    context.Context
	Name   string // its last element, as the sender called it
	Ext    string // of the name, lower case, with its dot
	In     []byte
	Found  *Findings
	MaxOut int64 // bytes of the result
	Policy verdict.Policy
	// Formats are what the route admits, empty for all. They hold for every file that a reader opens by itself: the whole, the members
	// of an archive, what is attached to a mail or a PDF.
	Formats []string
	Keys    []string // passwords that the sender gave with the file
	Budget  *Budget
	Tools   *Tools
	AsIs    bool // a picture inside a document is not turned upright: the document says how it lies

	// Nested rebuilds a file that lies in this one; place is where. A refusal carries the place. An embedded picture is AsIs: it is
	// part of what it lies in, and no format of the route's.
	Nested func(place, name string, in []byte, asIs bool) (Result, error)

	// Member, when it is there, is shown each file that lies in this one before it is rebuilt, for the antivirus program. Pictures that
	// are part of a document are not shown: they lie open in it. A refusal blocks the whole.
	Member func(place string, in []byte) error

	// Heard, when it is there, is told what the result says (Text).
	Heard func(place string, cells []string)
	// Numbers goes with Heard: it is told how many numbers of persons the result of a file in this one has at a place.
	Numbers func(place string, sure, likely int)
}

// Admits tells whether the route lets a rebuilt file of that name pass.
func (j *Job) Admits(name string) bool {
	return len(j.Formats) == 0 || verdict.AdmitsResult(j.Formats, verdict.FamilyOf(name))
}

// Text tells what the result says at a place (a line, a page, a sheet's cell), so that numbers of persons can be found in it. Pieces
// come in reading order; what a reader sees as one piece, like the runs of a paragraph, is told as one.
func (j *Job) Text(place, s string) {
	if j.Heard != nil && s != "" {
		j.Heard(place, []string{s})
	}
}

// Row tells the cells of one row of a table, from the first column on; a number may be split over them.
func (j *Job) Row(place string, cells []string) {
	if j.Heard != nil {
		j.Heard(place, cells)
	}
}

// Opened shows what a password opened: nobody could look into it before.
func (j *Job) Opened(in []byte) error {
	if j.Member == nil {
		return nil
	}
	return j.Member("", in)
}

// Result is what a family's rebuilder hands back.
type Result struct {
	Kind             string // family of the original
	Family           string
	Name             string // to release under
	Ext              string // of the name to release under, where it is not the original's and Name is empty
	Body             []byte
	Original, Result *verdict.Preview
}

// Refusal is the error that blocks a file: a code of the catalogue, a place and a detail.
type Refusal struct{ Code, Place, Detail string }

func (r *Refusal) Error() string { return strings.TrimSpace(r.Code + " " + r.Place + " " + r.Detail) }

// Refuse makes a Refusal.
func Refuse(code, place, detail string) error { return &Refusal{code, place, detail} }

// At gives a refusal without a place the place of the part that it is about.
func At(err error, place string) error {
	if r, ok := err.(*Refusal); ok && r.Place == "" {
		r.Place = place
	}
	return err
}

// Refused tells whether an error is a refusal, and not an end by time, a fault or a question to a helper.
func Refused(err error) bool {
	var r *Refusal
	return errors.As(err, &r)
}

// Limits tells whether an error is about what a whole file may cost, or a fault of ours: no policy leaves out the part where it
// happened and goes on.
func Limits(err error) bool {
	var r *Refusal
	return errors.As(err, &r) && (strings.HasPrefix(r.Code, "limit.") || strings.HasPrefix(r.Code, "internal"))
}

// Budget is what a file and all that lies in it may cost together.
type Budget struct {
	Bytes int64 // that may still be unpacked
	Files int   // that may still be opened
	Depth int   // of containers in containers that may still be entered
}

// Spend takes the bytes of one more unpacked file.
func (b *Budget) Spend(bytes int64) error {
	if b.Files--; b.Files < 0 {
		return Refuse("limit.members", "", "")
	}
	if b.Bytes -= bytes; b.Bytes < 0 {
		return Refuse("limit.expansion", "", "")
	}
	return nil
}

// Limited is a buffer that refuses to grow beyond a limit and stops when the context does.
type Limited struct {
	bytes.Buffer
	ctx context.Context
	max int64
}

// Out is where the job's result is written.
func (j *Job) Out() *Limited { return &Limited{ctx: j.Ctx, max: j.MaxOut} }

func (l *Limited) Write(p []byte) (int, error) {
	if err := l.ctx.Err(); err != nil {
		return 0, err
	}
	if int64(l.Len()+len(p)) > l.max {
		return 0, Refuse("limit.output", "", fmt.Sprintf("limit %d bytes", l.max))
	}
	return l.Buffer.Write(p)
}

// Patient reads from memory until the context ends.
type Patient struct {
	ctx context.Context
	r   *bytes.Reader
}

// Read is in, read until the job's context ends.
func (j *Job) Read(in []byte) Patient { return Patient{j.Ctx, bytes.NewReader(in)} }

func (p Patient) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.r.Read(b)
}

// Printable bounds text that may be an attacker's to n characters and takes out what a terminal or a reader would act on.
func Printable(s string, n int) string {
	var b strings.Builder
	for _, r := range s {
		if n == 0 {
			break
		}
		if r == utf8.RuneError || charset.Hidden(r) || (!unicode.IsPrint(r) && !charset.IsGaiji(r)) {
			r = '·'
		}
		b.WriteRune(r)
		n--
	}
	return b.String()
}
