package files

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"

	"github.com/sekisho/sekisho/hack/files/validator"
)

// Valid counts documents of OOXML that the validator looked at before and after.
type Valid struct {
	Files, Sound, Kinds int      // looked at; without an error after; kinds of error before, over all files
	Unread              int      // originals that even the validator does not open
	New                 []string // files with kinds that were not there before
}

// look validates two documents at a time. Those that were converted have no kinds of before to compare with, and are left out.
func (v *Valid) look(ctx context.Context, program validator.Validator, all []passed) error {
	var mu sync.Mutex
	var failed error
	next := 0
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for {
				mu.Lock()
				if failed != nil || next == len(all) {
					mu.Unlock()
					return
				}
				p := all[next]
				next++
				mu.Unlock()
				ext, to := strings.ToLower(path.Ext(p.name)), strings.ToLower(path.Ext(p.o.Report.OutName))
				if !validator.Extensions[ext] || !validator.Extensions[to] {
					continue
				}
				before, err1 := program.Kinds(ctx, ext, p.in)
				after, err2 := program.Kinds(ctx, to, p.o.Body)
				mu.Lock()
				failed = errors.Join(failed, v.add(p.name, before, after, err1, err2))
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return failed
}

// add compares what was said of a document before and after.
func (v *Valid) add(name string, before, after []string, err1, err2 error) error {
	switch {
	case err1 != nil && !errors.Is(err1, validator.ErrUnread):
		return fmt.Errorf("%s: %w", name, err1)
	case err2 != nil && !errors.Is(err2, validator.ErrUnread):
		return fmt.Errorf("what became of %s: %w", name, err2)
	case err1 != nil:
		v.Unread++
	}
	if err2 != nil {
		if err1 == nil {
			v.New = append(v.New, fmt.Sprintf("%s: %v", name, err2))
		}
		return nil
	}
	v.Files++
	v.Kinds += len(before)
	if len(after) == 0 {
		v.Sound++
	}
	if worse := validator.New(before, after); len(worse) > 0 && err1 == nil {
		v.New = append(v.New, name+": "+validator.Text(worse))
	}
	return nil
}
