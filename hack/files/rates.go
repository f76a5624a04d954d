package files

import (
	"context"
	"errors"
	"fmt"
	"path"
	"sync"
	"time"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/hack/files/honest"
)

// MeasureRates has two at a time work on files of one kind until they were all done so often that it takes about a second, and
// answers MB of originals a second.
func (f *Figures) MeasureRates(ctx context.Context, all []honest.File, small bool) error {
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
