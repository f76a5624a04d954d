package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/hack/files/validator"
)

// Count of real files of one kind.
type Count struct {
	Came, Passed, Crashed int
	Refused               map[string]int // by code
	Compared, Identical   int            // passed ones whose text can be compared
	Told                  int            // of those: no character is missing, and the report tells why the text is set otherwise
	Differ                []string       // the others
	Looks                 Looks          // of a part of the passed ones
	Valid                 Valid          // of the same

	part []passed
}

// One real file in so many is drawn and validated, where it has at most so many bytes.
const (
	drawnOf    = 5
	drawnBytes = 2 << 20
)

// MeasureCorpus sends real files, where there are any beside the checkout. Texts of those that stay of their kind are compared; what a
// reader misses there is what had to go, or a defect: the figure tells where to look.
func (f *Figures) MeasureCorpus(ctx context.Context, dir, programs string) error {
	program, err := validator.Fetch(ctx, programs)
	if err != nil {
		return err
	}
	f.Corpus = map[string]*Count{}
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		ext := strings.ToLower(filepath.Ext(p))
		if filepath.Dir(p) == filepath.Clean(dir) || ext == ".pcap" || ext == ".pcapng" {
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		c := f.Corpus[ext]
		if c == nil {
			c = &Count{Refused: map[string]int{}}
			f.Corpus[ext] = c
		}
		c.pass(ctx, filepath.Base(p), b)
		return nil
	})
	for _, c := range f.Corpus {
		err = errors.Join(err, c.Looks.look(ctx, c.part), c.Valid.look(ctx, program, c.part))
		c.part = nil
	}
	return err
}

func (c *Count) pass(ctx context.Context, name string, in []byte) {
	c.Came++
	o, err := Pass(ctx, name, in, sanitize.Options{})
	if err != nil {
		c.Crashed++
		return
	}
	if !o.Clean() {
		r, side := o.Refusal()
		if strings.HasPrefix(r.Code, "internal") || side == "verifier" {
			c.Crashed++ // the two sides disagree, or one failed
		}
		c.Refused[r.Code]++
		return
	}
	c.Passed++
	if strings.EqualFold(path.Ext(name), path.Ext(o.Report.OutName)) {
		c.compare(ctx, name, in, o)
	}
	if c.Passed%drawnOf == 1 && looked(name) && !legacy[strings.ToLower(path.Ext(name))] && len(in) <= drawnBytes {
		c.part = append(c.part, passed{name, in, o})
	}
}

func (c *Count) compare(ctx context.Context, name string, in []byte, o Outcome) {
	before, err1 := Text(ctx, name, in)
	after, err2 := Text(ctx, o.Report.OutName, o.Body)
	if err1 == nil {
		c.Compared++
		switch {
		case err2 == nil && before == after:
			c.Identical++
		case err2 == nil && told(o.Report, before, after):
			c.Told++
		default:
			c.Differ = append(c.Differ, fmt.Sprintf("%s: %.4f of the characters", name, Shared(before, after)))
		}
	}
}

// reset are findings of what sets text otherwise, and takes none of it away: a page that became a picture has its words over it, a
// field is drawn, a formula begins with a sign more.
var reset = map[string]bool{"pdf.flattened": true, "pdf.form": true, "csv.formula": true}

// told tells of a text that lacks nothing, and of which the report says why it is not the same.
func told(r verdict.Report, before, after string) bool {
	return Shared(before, after) == 1 && slices.ContainsFunc(r.Findings, func(f verdict.Finding) bool { return f.Action == verdict.Changed && reset[f.Code] })
}
