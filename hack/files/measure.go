package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sekisho/sekisho/dataplane/likeness"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/hack/files/honest"
	"github.com/sekisho/sekisho/hack/files/hostile"
)

// Count of files of one kind.
type Count struct {
	Came, Passed, Crashed int
	Refused               map[string]int // by code
}

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

	Corpus map[string]*Count // by extension
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

// MeasureHonest makes the honest files and counts what their readers would miss. Of each kind some are drawn before and after.
func (f *Figures) MeasureHonest(ctx context.Context, small bool) error {
	all, err := honest.Make(ctx, small)
	if err != nil {
		return err
	}
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
			if err := f.draw(ctx, h, o); err != nil {
				return err
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

func (f *Figures) draw(ctx context.Context, h honest.File, o Outcome) error {
	before, err := Pages(ctx, h.Name, h.Body, mostPages)
	if err != nil {
		return err
	}
	after, err := Pages(ctx, o.Report.OutName, o.Body, mostPages)
	if err != nil {
		return err
	}
	if l := likeness.Least(before, after); l < f.TileMin {
		f.TileMin, f.TileWorst = l, h.Name
	}
	return nil
}

// MeasureRates has two at a time work on files of one kind until they were all done so often that it takes about a second, and
// answers MB of originals a second.
func (f *Figures) MeasureRates(ctx context.Context, small bool) error {
	all, err := honest.Make(ctx, small)
	if err != nil {
		return err
	}
	f.Rates = map[string]float64{}
	for kind, of := range map[string]func(honest.File) bool{
		"ooxml": func(h honest.File) bool {
			return path.Ext(h.Name) == ".xlsx" && len(h.Body) > 200_000 || small && path.Ext(h.Name) == ".xlsx"
		},
		"jpeg": func(h honest.File) bool { return path.Ext(h.Name) == ".jpg" && (small || len(h.Body) > 300_000) },
		"png":  func(h honest.File) bool { return path.Ext(h.Name) == ".png" && (small || len(h.Body) > 300_000) },
		"text": func(h honest.File) bool { return path.Ext(h.Name) == ".txt" && (small || len(h.Body) > 300_000) },
		"pdf":  func(h honest.File) bool { return path.Ext(h.Name) == ".pdf" },
	} {
		var files []honest.File
		for _, h := range all {
			if of(h) {
				files = append(files, h)
			}
		}
		if len(files) == 0 {
			return fmt.Errorf("no honest file to measure %s with", kind)
		}
		var rates []float64
		for range 3 {
			r, err := rate(ctx, files)
			if err != nil {
				return err
			}
			rates = append(rates, r)
		}
		f.Rates[kind] = median(rates)
	}
	return nil
}

func rate(ctx context.Context, files []honest.File) (float64, error) {
	var mu sync.Mutex
	var failed error
	next, done := 0, 0.0
	began := time.Now()
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for {
				mu.Lock()
				if failed != nil || next >= len(files) && time.Since(began) > time.Second {
					mu.Unlock()
					return
				}
				h := files[next%len(files)]
				next++
				mu.Unlock()
				o, err := Pass(ctx, h.Name, h.Body, sanitize.Options{})
				if err == nil && !o.Clean() {
					r, _ := o.Refusal()
					err = fmt.Errorf("%s: %s", h.Name, r.Code)
				}
				mu.Lock()
				failed = errors.Join(failed, err)
				done += float64(len(h.Body)) / 1e6
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return done / time.Since(began).Seconds(), failed
}

// MeasureCorpus sends real files, where there are any beside the checkout.
func (f *Figures) MeasureCorpus(ctx context.Context, dir string) error {
	f.Corpus = map[string]*Count{}
	return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
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
		c.Came++
		o, err := Pass(ctx, filepath.Base(p), b, sanitize.Options{})
		switch r, side := o.Refusal(); {
		case err != nil:
			c.Crashed++
		case o.Clean():
			c.Passed++
		default:
			if strings.HasPrefix(r.Code, "internal") || side == "verifier" {
				c.Crashed++ // the two sides disagree, or one failed
			}
			c.Refused[r.Code]++
		}
		return nil
	})
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}
