package files

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/hack/files/honest"
	"github.com/sekisho/sekisho/hack/files/hostile"
	"github.com/sekisho/sekisho/hack/files/validator"
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
	Looks, LegacyLooks   Looks
	Valid                Valid
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

// MeasureHonest counts what readers of honest files would miss: all are drawn before and after, and those of OOXML validated.
func (f *Figures) MeasureHonest(ctx context.Context, all []honest.File, dir string) error {
	program, err := validator.Fetch(ctx, dir)
	if err != nil {
		return err
	}
	var growth []float64
	var drawn, converted []passed
	texts := map[string]string{} // of what LibreOffice wrote as docx, xlsx and pptx, to compare converted ones with
	for _, h := range all {
		if t, err := Text(ctx, h.Name, h.Body); err == nil {
			texts[h.Name] = t
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
		switch p := (passed{h.Name, h.Body, o}); {
		case !looked(h.Name):
		case legacy[ext]:
			converted = append(converted, p)
		default:
			drawn = append(drawn, p)
		}
	}
	f.Growth = median(growth)
	return errors.Join(f.Looks.look(ctx, drawn), f.LegacyLooks.look(ctx, converted), f.Valid.look(ctx, program, drawn))
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

func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}
