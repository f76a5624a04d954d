package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/sekisho/sekisho/dataplane/sandbox"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/hack/files"
	"github.com/sekisho/sekisho/hack/files/honest"
)

// corpusDir holds real files where there are any: beside the checkout, never in it.
const corpusDir = "../shared/corpus"

// fileFigures are those of the sanitizer.
type fileFigures struct {
	files.Figures
	office  time.Duration     // one file of about 1 MB, with its sandboxes
	missing map[string]string // parts that were not measured, and why
}

// measureFiles sends made and real files through sanitizer and verifier. What fails is noted, and the rest goes on.
func measureFiles() *fileFigures {
	f := &fileFigures{missing: map[string]string{}}
	ctx := context.Background()
	for _, p := range []struct {
		name string
		run  func() error
	}{
		{"hostile files", func() error { return f.MeasureHostile(ctx) }},
		{"honest files", func() error { return f.MeasureHonest(ctx, false) }},
		{"rates of files", func() error { return f.MeasureRates(ctx, false) }},
		{"a file in its sandboxes", func() error { return f.measureOffice(ctx) }},
		{"real files", func() error {
			if _, err := os.Stat(corpusDir); err != nil {
				return errors.New("no real files lie beside the checkout")
			}
			return f.MeasureCorpus(ctx, corpusDir)
		}},
	} {
		progress("measuring %s", p.name)
		if err := p.run(); err != nil {
			f.missing[p.name] = err.Error()
			progress("not measured: %s: %v", p.name, err)
		}
	}
	return f
}

// measureOffice is the median of five passes of the honest document that is nearest to 1 MB, through real sandboxes.
func (f *fileFigures) measureOffice(ctx context.Context) error {
	all, err := honest.Make(ctx, false)
	if err != nil {
		return err
	}
	var best honest.File
	distance := func(h honest.File) int { return max(len(h.Body)-1_000_000, 1_000_000-len(h.Body)) }
	for _, h := range all {
		if filepath.Ext(h.Name) == ".docx" && (best.Body == nil || distance(h) < distance(best)) {
			best = h
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	name := fmt.Sprintf("bench-%d", os.Getpid())
	group, err := sandbox.OpenGroup(name)
	if err != nil {
		return err
	}
	defer sandbox.Undelegate(name) //nolint:errcheck // the figures count
	w := &sandbox.Worker{Box: &sandbox.Box{Group: group, Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}, Binary: filepath.Join(filepath.Dir(self), "sekisho-sanitize")}
	var took []time.Duration
	for range 5 {
		began := time.Now()
		if r := w.Pass(ctx, verdict.Job{Name: best.Name}, best.Body); !r.Clean() {
			return fmt.Errorf("%s: %+v", best.Name, r.Report.Findings)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	f.office = took[len(took)/2]
	return nil
}

func (f *fileFigures) corpus() (came, passed, crashed int) {
	for _, c := range f.Corpus {
		came, passed, crashed = came+c.Came, passed+c.Passed, crashed+c.Crashed
	}
	return came, passed, crashed
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

func (f *fileFigures) summary() []measurement {
	came, passed, crashed := f.corpus()
	const none = "no peer"
	parts := []struct {
		part string
		m    measurement
	}{
		{"hostile files", plain("sanitize.hostile_files", "files", float64(f.Hostile), none, 0, atLeast(300))},
		{"hostile files", plain("sanitize.hostile_survived", "files", float64(f.Survived), none, 0, atMost(0))},
		{"honest files", plain("sanitize.honest_files", "files", float64(f.Honest), none, 0, atLeast(200))},
		{"honest files", plain("sanitize.honest_passed", "of them", share(f.HonestPassed, f.Honest), none, 0, atLeast(0.99))},
		{"honest files", plain("sanitize.text_identical", "of those compared", share(f.Identical, f.Compared), none, 0, atLeast(1))},
		{"honest files", plain("sanitize.tile_ssim_min", "", f.TileMin, none, 0, atLeast(0.95))},
		{"honest files", plain("sanitize.legacy_converted", "of them", share(f.Converted, f.Legacy), none, 0, atLeast(0.95))},
		{"honest files", plain("sanitize.growth_median", "of the original", f.Growth, none, 0, atMost(1.05))},
		{"real files", plain("sanitize.corpus_files", "files", float64(came), none, 0, atLeast(0))},
		{"real files", plain("sanitize.corpus_passed", "of them", share(passed, came), none, 0, atLeast(0))},
		{"real files", plain("sanitize.corpus_crashed", "files", float64(crashed), none, 0, atMost(0))},
		{"rates of files", plain("sanitize.ooxml_mb_s", "MB/s", f.Rates["ooxml"], none, 0, atLeast(5))},
		{"rates of files", plain("sanitize.jpeg_mb_s", "MB/s", f.Rates["jpeg"], none, 0, atLeast(12))},
		{"rates of files", plain("sanitize.png_mb_s", "MB/s", f.Rates["png"], none, 0, atLeast(3))},
		{"rates of files", plain("sanitize.text_mb_s", "MB/s", f.Rates["text"], none, 0, atLeast(30))},
		{"rates of files", plain("sanitize.pdf_mb_s", "MB/s", f.Rates["pdf"], none, 0, atLeast(3))},
		{"a file in its sandboxes", plain("sanitize.office_1mb_ms", "ms", float64(f.office.Microseconds())/1000, none, 0, atMost(300))},
	}
	var out []measurement
	for _, p := range parts {
		if why, is := f.missing[p.part]; is {
			p.m = absent(p.m, why)
		}
		out = append(out, p.m)
	}
	return out
}

// print tells what the figures hide: which files, and why.
func (f *fileFigures) print(w io.Writer) error {
	for what, lines := range map[string][]string{"survives": f.Survivors, "honest, refused": f.Refused, "text differs": f.Differ} {
		for _, l := range lines {
			fmt.Fprintf(w, "%s: %s\n", what, l)
		}
	}
	if f.TileWorst != "" {
		fmt.Fprintf(w, "least alike: %s, %.3f\n", f.TileWorst, f.TileMin)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, ext := range slices.Sorted(maps.Keys(f.Corpus)) {
		c := f.Corpus[ext]
		fmt.Fprintf(t, "real %s\t%d files\t%d passed\t%d crashed\t", ext, c.Came, c.Passed, c.Crashed)
		for _, code := range slices.Sorted(maps.Keys(c.Refused)) {
			fmt.Fprintf(t, "%s %d  ", code, c.Refused[code])
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// printFiles is the measurement of files alone.
func printFiles() error {
	f := measureFiles()
	return errors.Join(f.print(os.Stdout), printMeasurements(os.Stdout, f.summary()))
}
