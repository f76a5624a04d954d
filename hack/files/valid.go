package files

import (
	"context"
	"fmt"
	"path"
	"strings"
	"sync"

	"github.com/sekisho/sekisho/hack/files/validator"
)

// Valid counts documents of OOXML that the validator looked at before and after.
type Valid struct {
	Files, Sound, Kinds int      // looked at; without an error after; kinds of error before, over all files
	New                 []string // kinds that were not there before
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
				before, unread := program.Kinds(ctx, ext, p.in) // one that even the validator does not open has none
				after, err := program.Kinds(ctx, to, p.o.Body)
				mu.Lock()
				switch {
				case err != nil && ctx.Err() != nil:
					failed = fmt.Errorf("%s: %w", p.name, err)
				case err != nil && unread != nil:
				case err != nil:
					v.New = append(v.New, fmt.Sprintf("%s: %v", p.name, err))
				default:
					v.add(p.name, before, after)
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return failed
}

func (v *Valid) add(name string, before, after []string) {
	v.Files++
	v.Kinds += len(before)
	if len(after) == 0 {
		v.Sound++
	}
	if worse := validator.New(before, after); len(worse) > 0 {
		v.New = append(v.New, name+": "+validator.Text(worse))
	}
}
