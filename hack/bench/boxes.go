package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/sekisho/sekisho/dataplane/sandbox"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/hack/files/honest"
)

// boxes are figures of files in real sandboxes.
type boxes struct {
	office time.Duration // a document of about 1 MB
	legacy time.Duration // the median old document, LibreOffice from the pool
}

// measure is the median of five passes of the honest document that is nearest to 1 MB, and of one pass of each old document.
func (b *boxes) measure(ctx context.Context, made []honest.File) error {
	w, done, err := boxed()
	if err != nil {
		return err
	}
	defer done()
	pass := func(h honest.File) (time.Duration, error) {
		began := time.Now()
		if r := w.Pass(ctx, verdict.Job{Name: h.Name}, h.Body); !r.Clean() {
			return 0, fmt.Errorf("%s: %+v", h.Name, r.Report.Findings)
		}
		return time.Since(began), nil
	}
	var best honest.File
	var old []honest.File
	distance := func(h honest.File) int { return max(len(h.Body)-1_000_000, 1_000_000-len(h.Body)) }
	for _, h := range made {
		switch filepath.Ext(h.Name) {
		case ".docx":
			if best.Body == nil || distance(h) < distance(best) {
				best = h
			}
		case ".doc", ".xls", ".ppt", ".rtf":
			old = append(old, h)
		}
	}
	if best.Body == nil || len(old) == 0 {
		return errors.New("no honest documents")
	}
	var took []time.Duration
	for range 5 {
		t, err := pass(best)
		if err != nil {
			return err
		}
		took = append(took, t)
	}
	b.office = medianOf(took)
	w.Pool = 1
	w.Warm()
	took = nil
	for _, h := range old {
		time.Sleep(2 * time.Second) // the next one starts behind the last document, as between two of a day
		t, err := pass(h)
		if err != nil {
			return err
		}
		took = append(took, t)
	}
	b.legacy = medianOf(took)
	return nil
}

func medianOf(v []time.Duration) time.Duration {
	slices.Sort(v)
	return v[len(v)/2]
}

// boxed is a worker with a control group of its own.
func boxed() (*sandbox.Worker, func(), error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	name := fmt.Sprintf("bench-%d", os.Getpid())
	group, err := sandbox.OpenGroup(name)
	if err != nil {
		return nil, nil, err
	}
	w := &sandbox.Worker{Box: &sandbox.Box{Group: group, Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}, Binary: filepath.Join(filepath.Dir(self), "sekisho-sanitize")}
	return w, func() {
		w.Close()
		sandbox.Undelegate(name) //nolint:errcheck // the figures count
	}, nil
}
