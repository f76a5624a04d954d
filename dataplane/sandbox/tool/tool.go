// Package tool runs the programs that a rebuilder may ask for, each on one file, by a table.
//
// Problem: some formats have no parser in Go that a town could rely on (LibreOffice for old office files, qpdf for the objects of a
// PDF, decoders of pictures), and such a program must never be started on terms that a stranger's file sets. Mechanism: a kind of
// need names a program; its options are held to a list of values, none of which becomes a free argument; the file goes in by a fixed
// name in a fresh directory, passwords by a file. What comes out is parsed before it is believed: exit codes prove nothing
// (LibreOffice exits with 0 when it failed and with 81 when it wants to be started again). Life cycle: Run is one need in one
// directory that is thrown away. Invariant: an answer has bytes in the form that its kind promises, or the code of a failure.
//
// Run is what goes on inside a sandbox (`sekisho-sanitize tool`), where the root directory is the runtime tree that hack/runtime
// makes. Answer is for the tests of rebuilders: the same run in the same tree without the rest of the sandbox.
//
//	kind       options                                  program           answer
//	convert    from, to, password, last (page of a pdf) LibreOffice       docx, xlsx, pptx, odt, ods, odp, pdf or png
//	pdf-read   password                                 qpdf              qpdf's JSON version 2, streams inline
//	pdf-write  -                                        qpdf              PDF from such JSON
//	decode     format, frames; for jbig2: globals;      see decode.go     PAM pictures (package pam)
//	           for ccitt: k, columns, rows, black, align
//	render     from=pdf, dpi or edge, first, last       pdftoppm          PAM pictures; edge: the longer one has so many pixels
//	render     from=pdf, first, last, text=yes          pdftotext         XHTML with the places of words
package tool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Codes of failures; package sandbox has their sentences.
const (
	Unknown  = "helper.unknown"  // a kind or an option that is not in the table
	Absent   = "helper.absent"   // the program is not in the runtime tree
	Failed   = "helper.failed"   // the program made nothing of the file
	Password = "helper.password" // it wants a password, or another one
	TooLarge = "helper.large"    // the answer is over MaxAnswer
	Late     = "helper.time"     // not done in time
)

// MaxAnswer bounds what a program may write, in bytes.
const MaxAnswer = 512 << 20

// MaxFrames is how many pictures one answer has at most.
const MaxFrames = 2000

// kind is one row of the table.
type kind struct {
	options map[string]func(value string) bool // those that may be given
	needed  []string                           // those that must be
	run     func(*work) ([]byte, error)
}

var kinds = map[string]kind{
	"convert":   {options: convertOptions, needed: []string{"from", "to"}, run: convert},
	"pdf-read":  {options: map[string]func(string) bool{"password": anything}, run: readPDF},
	"pdf-write": {run: writePDF},
	"decode":    {options: decodeOptions, needed: []string{"format"}, run: decode},
	"render":    {options: renderOptions, needed: []string{"from"}, run: render},
}

// Kinds lists what may be asked for.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

// Check holds a need to the table: an error says what is wrong with it.
func Check(n verdict.Need) error {
	k, ok := kinds[n.Kind]
	if !ok {
		return fmt.Errorf("no helper of the kind %.40q", n.Kind)
	}
	for name, value := range n.Options {
		if valid := k.options[name]; valid == nil || !valid(value) {
			if name == "password" {
				value = "(secret)"
			}
			return fmt.Errorf("helper %s takes no %.40q = %.40q", n.Kind, name, value)
		}
	}
	for _, name := range k.needed {
		if n.Options[name] == "" {
			return fmt.Errorf("helper %s needs an option %s", n.Kind, name)
		}
	}
	return nil
}

// Run answers one need in the directory, which is empty and thrown away afterwards. It never fails otherwise than by the answer.
func Run(ctx context.Context, n verdict.Need, dir string) verdict.Answer {
	return run(ctx, n, in(dir))
}

// Answer is Run in a directory of its own.
func Answer(ctx context.Context, n verdict.Need) verdict.Answer {
	dir, err := os.MkdirTemp("", "sekisho-tool-")
	if err != nil {
		return verdict.Answer{ID: n.ID, Failed: Failed, Detail: err.Error()}
	}
	defer os.RemoveAll(dir)
	return run(ctx, n, in(dir))
}

// in is work in the directory, with the programs of the runtime tree when there is one, else with the own root's: inside a sandbox that
// is the tree.
func in(dir string) *work {
	if _, err := os.Stat(filepath.Join(Tree, "manifest")); err == nil {
		return &work{dir: dir, at: Work, tree: Tree}
	}
	return &work{dir: dir, at: dir}
}

func run(ctx context.Context, n verdict.Need, w *work) verdict.Answer {
	return answer(ctx, n, w, kinds[n.Kind].run)
}

func answer(ctx context.Context, n verdict.Need, w *work, do func(*work) ([]byte, error)) verdict.Answer {
	a := verdict.Answer{ID: n.ID}
	if err := Check(n); err != nil {
		a.Failed, a.Detail = Unknown, err.Error()
		return a
	}
	w.ctx, w.need = ctx, n
	body, err := do(w)
	if err == nil && len(body) > MaxAnswer {
		err = &failure{TooLarge, fmt.Sprintf("%d bytes", len(body))}
	}
	if ctx.Err() != nil {
		err = &failure{Late, ""}
	}
	if err != nil {
		var f *failure
		if !errors.As(err, &f) {
			f = &failure{Failed, err.Error()}
		}
		a.Failed, a.Detail = f.code, printable(f.detail)
		return a
	}
	a.Body, a.Size = body, int64(len(body))
	return a
}

// failure is why there is no answer.
type failure struct{ code, detail string }

func (f *failure) Error() string { return f.code + " " + f.detail }

func failed(format string, args ...any) error { return &failure{Failed, fmt.Sprintf(format, args...)} }

// printable bounds what a program said, which may hold the file's own words.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '\n' || !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200])
	}
	return strings.TrimSpace(s)
}

func anything(s string) bool { return len(s) <= 256 && !strings.ContainsAny(s, "\x00\r\n") }

func one(of ...string) func(string) bool {
	return func(s string) bool { return slices.Contains(of, s) }
}

// between admits whole numbers as strconv writes them.
func between(low, high int) func(string) bool {
	return func(s string) bool {
		n, err := strconv.Atoi(s)
		return err == nil && n >= low && n <= high && strconv.Itoa(n) == s
	}
}

// number is an option's value, or what stands for one that was not given.
func (w *work) number(name string, otherwise int) int {
	n, err := strconv.Atoi(w.need.Options[name])
	if err != nil {
		return otherwise
	}
	return n
}

// Packages names the Debian packages whose programs answer a kind.
func Packages(kind string) []string {
	switch kind {
	case "convert":
		return []string{"libreoffice-core-nogui"}
	case "pdf-read", "pdf-write":
		return []string{"qpdf"}
	case "render":
		return []string{"poppler-utils"}
	case "decode":
		return []string{"libtiff-tools", "webp", "libheif-examples", "libjpeg-turbo-progs", "libopenjp2-tools", "jbig2dec", "netpbm"}
	}
	return nil
}
