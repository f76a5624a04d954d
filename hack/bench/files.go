package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/sekisho/sekisho/hack/files"
	"github.com/sekisho/sekisho/hack/files/honest"
)

// corpusDir holds real files where there are any: beside the checkout, never in it.
const corpusDir = "../shared/corpus"

// validatorDir is where the validator of OOXML is fetched to.
const validatorDir = "out/validator"

// notAsked stands where a part was left out on purpose.
const notAsked = "not asked for"

// fileFigures are those of the sanitizer.
type fileFigures struct {
	files.Figures
	boxes
	neighbours
	fuzzed  fuzzed
	missing map[string]string // parts that were not measured, and why
}

// measureFiles sends made and real files through sanitizer and verifier. What fails is noted, and the rest goes on. dir: a folder for
// pins. only: one of the parts; "" all.
func measureFiles(dir, only string) *fileFigures {
	f := &fileFigures{missing: map[string]string{}}
	ctx := context.Background()
	var made []honest.File
	make := func() (err error) {
		if made == nil {
			made, err = honest.Make(ctx, false)
		}
		return err
	}
	for _, p := range []struct {
		name string
		run  func() error
	}{
		{"hostile files", func() error { return f.MeasureHostile(ctx) }},
		{"honest files", func() error { return errors.Join(make(), f.MeasureHonest(ctx, made, validatorDir)) }},
		{"rates of files", func() error { return errors.Join(make(), f.MeasureRates(ctx, made, false)) }},
		{"files in their sandboxes", func() error { return errors.Join(make(), f.boxes.measure(ctx, made)) }},
		{"the pixel way", func() error { return errors.Join(make(), f.MeasurePixels(ctx, made)) }},
		{"neighbours of files", func() error { return errors.Join(make(), f.neighbours.measure(ctx, dir, made)) }},
		{"real files", func() error {
			if _, err := os.Stat(corpusDir); err != nil {
				return errors.New("no real files lie beside the checkout")
			}
			return f.MeasureCorpus(ctx, corpusDir, validatorDir)
		}},
		{"fuzzing", func() (err error) { f.fuzzed, err = readFuzzed(); return err }},
	} {
		if only != "" && only != p.name {
			f.missing[p.name] = notAsked
			continue
		}
		progress("measuring %s", p.name)
		if err := p.run(); err != nil {
			f.missing[p.name] = err.Error()
			progress("not measured: %s: %v", p.name, err)
		}
	}
	return f
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
	for _, road := range []string{"office", "pdf"} {
		if f.Pixels[road] == nil {
			f.missing["the pixel way"] = cmp.Or(f.missing["the pixel way"], "no file of "+road)
			f.Pixels = map[string]*files.Pixels{"office": {}, "pdf": {}}
		}
	}
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
		{"honest files", plain("sanitize.tile_ssim_min", "", f.Looks.Least, none, 0, atLeast(0.95))},
		{"honest files", plain("sanitize.untold_pages", "pages that differ", float64(len(f.Looks.Untold)+len(f.LegacyLooks.Untold)), none, 0, atMost(0))},
		{"honest files", plain("sanitize.files_drawn", "files", float64(f.Looks.Files), none, 0, atLeast(100))},
		{"honest files", plain("sanitize.files_validated", "files", float64(f.Valid.Files), none, 0, atLeast(30))},
		{"honest files", plain("sanitize.validator_errors_new", "files", float64(len(f.Valid.New)), none, 0, atMost(0))},
		{"honest files", plain("sanitize.legacy_converted", "of them", share(f.Converted, f.Legacy), none, 0, atLeast(0.95))},
		{"honest files", plain("sanitize.growth_median", "of the original", f.Growth, none, 0, atMost(1.05))},
		{"real files", plain("sanitize.corpus_files", "files", float64(came), none, 0, atLeast(500))},
		{"real files", plain("sanitize.corpus_passed", "of them", share(passed, came), none, 0, atLeast(0.95))},
		{"real files", plain("sanitize.corpus_crashed", "files", float64(crashed), none, 0, atMost(0))},
		{"rates of files", plain("sanitize.ooxml_mb_s", "MB/s", f.Rates["ooxml"], none, 0, atLeast(5))},
		{"rates of files", plain("sanitize.jpeg_mb_s", "MB/s", f.Rates["jpeg"], none, 0, atLeast(12))},
		{"rates of files", plain("sanitize.png_mb_s", "MB/s", f.Rates["png"], none, 0, atLeast(3))},
		{"rates of files", plain("sanitize.text_mb_s", "MB/s", f.Rates["text"], none, 0, atLeast(30))},
		{"rates of files", plain("sanitize.pdf_mb_s", "MB/s", f.Rates["pdf"], none, 0, atLeast(3))},
		{"files in their sandboxes", plain("sanitize.office_1mb_ms", "ms", f.office.Seconds()*1000, none, 0, atMost(300))},
		{"files in their sandboxes", plain("sanitize.legacy_pool_ms", "ms", f.legacy.Seconds()*1000, none, 0, atMost(1000))},
		{"the pixel way", over("sanitize.speed_over_pixels", speed(f.Pixels["office"], true), "the pixel way, OOXML and ODF", speed(f.Pixels["office"], false), "MB/s", atLeast(10))},
		{"the pixel way", over("sanitize.size_over_pixels", mega(f.Pixels["office"].OursOut), "the pixel way, OOXML and ODF", mega(f.Pixels["office"].TheirsOut), "MB", atMost(0.25))},
		{"the pixel way", over("sanitize.pdf_speed_over_pixels", speed(f.Pixels["pdf"], true), "the pixel way, PDF", speed(f.Pixels["pdf"], false), "MB/s", atLeast(2))},
		{"neighbours of files", plain("sanitize.neighbour_loss", "of the idle figure", f.loss(), none, 0, atMost(0.05))},
		{"fuzzing", plain("sanitize.fuzz_execs", "executions", float64(f.fuzzed.total()), none, 0, atLeast(50e6))},
	}
	var out []measurement
	for _, p := range parts {
		why, is := f.missing[p.part]
		if why == notAsked {
			continue
		}
		if is {
			p.m = absent(p.m, why)
		}
		out = append(out, p.m)
	}
	return out
}

// print tells what the figures hide: which files, and why.
func (f *fileFigures) print(w io.Writer) error {
	for what, lines := range map[string][]string{"survives": f.Survivors, "honest, refused": f.Refused, "text differs": f.Differ,
		"differs, not told": slices.Concat(f.Looks.Untold, f.LegacyLooks.Untold), "not drawn": slices.Concat(f.Looks.Undrawn, f.LegacyLooks.Undrawn), "new to the validator": f.Valid.New} {
		for _, l := range lines {
			fmt.Fprintf(w, "%s: %s\n", what, l)
		}
	}
	if f.Honest > 0 {
		fmt.Fprintf(w, "honest: %d of %d texts the same; %s; converted: %s; %s\n", f.Identical, f.Compared, looksLine(f.Looks), looksLine(f.LegacyLooks), validLine(f.Valid))
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, ext := range slices.Sorted(maps.Keys(f.Corpus)) {
		c := f.Corpus[ext]
		fmt.Fprintf(t, "real %s\t%d files\t%d passed\t%d crashed\t%d of %d texts the same, %d set otherwise as told\t%s\t%s\t", ext, c.Came, c.Passed, c.Crashed, c.Identical, c.Compared, c.Told, looksLine(c.Looks), validLine(c.Valid))
		for _, code := range slices.Sorted(maps.Keys(c.Refused)) {
			fmt.Fprintf(t, "%s %d  ", code, c.Refused[code])
		}
		fmt.Fprintln(t)
		for what, lines := range map[string][]string{"text differs": c.Differ, "looks another way, not told": c.Looks.Untold, "not drawn": c.Looks.Undrawn, "new to the validator": c.Valid.New} {
			for _, l := range lines {
				fmt.Fprintf(t, "real, %s: %s\n", what, l)
			}
		}
	}
	for _, road := range slices.Sorted(maps.Keys(f.Pixels)) {
		p := f.Pixels[road]
		fmt.Fprintf(t, "%s, both ways\t%d files\t%.1f MB\tours %.2f s, %.2f MB, %d failed\tby pixels %.2f s, %.2f MB, %d failed\n", road, p.Files, mega(p.In), p.Ours.Seconds(), mega(p.OursOut), p.OursFailed, p.Theirs.Seconds(), mega(p.TheirsOut), p.TheirsFailed)
	}
	for _, l := range slices.Concat(f.neighbours.lines(), f.fuzzed.lines()) {
		fmt.Fprintln(t, l)
	}
	return t.Flush()
}

// looksLine tells of how many pages nothing differs, and why the others do.
func looksLine(l files.Looks) string {
	if l.Files == 0 {
		return "none drawn"
	}
	line := fmt.Sprintf("%d files drawn, %d of %d pages and %d of %d tiles the same", l.Files, l.SamePages, l.Pages, l.SameTiles, l.Tiles)
	if l.SamePages < l.Pages {
		line += fmt.Sprintf(", the worst %.3f (%s)", l.Least, l.Worst)
	}
	for _, why := range slices.Sorted(maps.Keys(l.Told)) {
		line += fmt.Sprintf("; %d by %s", l.Told[why], why)
	}
	return line
}

func validLine(v files.Valid) string {
	return fmt.Sprintf("%d validated, %d without an error, %d with new ones, %d unread before", v.Files, v.Sound, len(v.New), v.Unread)
}

// speed is MB of originals a second, ours or theirs.
func speed(p *files.Pixels, ours bool) float64 {
	if ours {
		return mega(p.In) / p.Ours.Seconds()
	}
	return mega(p.In) / p.Theirs.Seconds()
}

func mega(n int64) float64 { return float64(n) / 1e6 }

// printFiles is the measurement of files alone. only: one of its parts; "" all.
func printFiles(dir, only string) error {
	f := measureFiles(dir, only)
	return errors.Join(f.print(os.Stdout), printMeasurements(os.Stdout, f.summary()))
}
