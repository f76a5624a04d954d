package files

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/likeness"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/hack/files/honest"
	"github.com/sekisho/sekisho/hack/files/hostile"
)

// Figures of many files.
type Figures struct {
	Hostile, Survived int
	Survivors         []string

	Honest, HonestPassed int
	Refused              []string // honest ones, and why
	Compared, Identical  int      // passed files whose text can be compared
	Differ               []string
	Legacy, Converted    int
	Growth               float64 // median of result to original, of structural rebuilds
	TileMin              float64
	TileWorst            string
	Rates                map[string]float64 // MB/s of originals, two at a time, by kind

	Corpus map[string]*Count  // by extension
	Pixels map[string]*Pixels // by the kind of road
}

// legacy kinds are converted, and come out as another kind.
var legacy = map[string]bool{".doc": true, ".xls": true, ".ppt": true, ".rtf": true, ".xlsb": true, ".dot": true, ".xlt": true, ".pot": true, ".pps": true, ".mht": true}

// structural kinds come out as they went in, so that their size can be compared.
var structural = map[string]bool{".docx": true, ".xlsx": true, ".pptx": true, ".odt": true, ".ods": true, ".odp": true, ".pdf": true, ".jpg": true, ".png": true, ".gif": true, ".tif": true, ".zip": true}

// MeasureHostile counts what survives.
func (f *Figures) MeasureHostile(ctx context.Context) error {
	for _, h := range hostile.All() {
		f.Hostile++
		o, err := Pass(ctx, h.Name, h.Body, sanitize.Options{})
		if err != nil {
			return fmt.Errorf("%s: %w", h, err)
		}
		if !o.Clean() {
			continue
		}
		left, err := hostile.Survives(ctx, o.Report.OutName, o.Body)
		if err != nil || len(left) > 0 || h.Blocked && h.Nesting == "bare" {
			f.Survived++
			f.Survivors = append(f.Survivors, fmt.Sprintf("%s: %q %v", h, left, err))
		}
	}
	return nil
}

// MeasureHonest counts what readers of honest files would miss. Of each kind some are drawn before and after.
func (f *Figures) MeasureHonest(ctx context.Context, all []honest.File) error {
	f.TileMin = 1
	var growth []float64
	drawn := map[string]int{}
	texts := map[string]string{} // of what LibreOffice wrote as docx, xlsx and pptx, to compare converted ones with
	for _, h := range all {
		ext := strings.ToLower(path.Ext(h.Name))
		if t, err := Text(ctx, h.Name, h.Body); err == nil {
			texts[strings.TrimSuffix(h.Name, ext)+ext] = t
		}
	}
	for _, h := range all {
		ext := strings.ToLower(path.Ext(h.Name))
		f.Honest++
		o, err := Pass(ctx, h.Name, h.Body, sanitize.Options{})
		if err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
		if legacy[ext] {
			f.Legacy++
		}
		if !o.Clean() {
			r, side := o.Refusal()
			f.Refused = append(f.Refused, fmt.Sprintf("%s by %s: %s: %s %s %s", h.Name, h.Writer, side, r.Code, r.Place, r.Detail))
			continue
		}
		f.HonestPassed++
		if structural[ext] && path.Ext(o.Report.OutName) == path.Ext(h.Name) {
			growth = append(growth, float64(len(o.Body))/float64(len(h.Body)))
		}
		if err := f.compare(ctx, h, o, texts); err != nil {
			return err
		}
		if structural[ext] && ext != ".zip" && ext != ".gif" && drawn[ext] < 3 && len(h.Body) < 2<<20 {
			drawn[ext]++
			l, err := alike(ctx, h.Name, h.Body, o)
			if err != nil {
				return err
			}
			if l < f.TileMin {
				f.TileMin, f.TileWorst = l, h.Name
			}
		}
	}
	f.Growth = median(growth)
	return nil
}

// compare looks for text that is missing. A converted file is compared with what the same program wrote of the same source in the
// modern kind, by its characters.
func (f *Figures) compare(ctx context.Context, h honest.File, o Outcome, texts map[string]string) error {
	ext := strings.ToLower(path.Ext(h.Name))
	got, err := Text(ctx, o.Report.OutName, o.Body)
	if errors.Is(err, ErrNoText) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("text of %s: %w", o.Report.OutName, err)
	}
	if legacy[ext] {
		if want, ok := texts[strings.TrimSuffix(h.Name, ext)+strings.ToLower(path.Ext(o.Report.OutName))]; ok {
			if s := Shared(want, got); s >= 0.995 {
				f.Converted++
			} else {
				f.Differ = append(f.Differ, fmt.Sprintf("%s: %.4f of the characters", h.Name, s))
			}
		}
		return nil
	}
	want, ok := texts[h.Name]
	if !ok {
		return nil
	}
	f.Compared++
	if want == got {
		f.Identical++
	} else {
		f.Differ = append(f.Differ, fmt.Sprintf("%s: %.4f of the characters", h.Name, Shared(want, got)))
	}
	return nil
}

// mostPages of a document are drawn.
const mostPages = 4

// alike draws a file before and after, and answers their likeness: 0 for a result that cannot be drawn.
func alike(ctx context.Context, name string, in []byte, o Outcome) (float64, error) {
	before, err := Pages(ctx, name, in, mostPages)
	if err != nil {
		return 0, err
	}
	after, err := Pages(ctx, o.Report.OutName, o.Body, mostPages)
	if err != nil {
		return 0, nil //nolint:nilerr // that is what it looks like
	}
	return likeness.Least(before, after), nil
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}
