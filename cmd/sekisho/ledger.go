package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/ledger"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

const ledgerUsage = "ledger import|export|map FILE ..."

// runLedger brings the town's ledger of designated communications in and out.
func runLedger(_ context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		switch args[0] {
		case "import":
			return runLedgerImport(args[1:], stdout, stderr)
		case "export":
			return runLedgerExport(args[1:], stdout, stderr)
		case "map":
			return runLedgerMap(args[1:], stdout, stderr)
		}
	}
	fmt.Fprintf(stderr, "usage: sekisho %s\n"+
		"  sekisho ledger import LEDGER --into CONFIG.yaml [--map MAP] [--sheet NAME] [--dry-run] [--partial] [--out NEW.yaml] [--report FILE.json]\n"+
		"  sekisho ledger export CONFIG.yaml --out FILE.xlsx|FILE.csv [--encoding utf-8|shift_jis] [--map MAP]\n"+
		"  sekisho ledger map LEDGER [--sheet NAME]\n", ledgerUsage)
	return exitUsage
}

// langFlag is the language of reports: that of the terminal unless it is given.
func langFlag(fs *flag.FlagSet) *string {
	lang := "en"
	if l := os.Getenv("LC_ALL") + os.Getenv("LC_MESSAGES") + os.Getenv("LANG"); strings.HasPrefix(l, "ja") {
		lang = "ja"
	}
	fs.StringVar(&lang, "lang", lang, "language of the report, ja or en")
	return &lang
}

// sayFault prints an error in the language of the report.
func sayFault(w io.Writer, file, lang string, err error) {
	var f *ledger.Fault
	if errors.As(err, &f) {
		fmt.Fprintf(w, "%s: %s\n", file, f.Say(lang))
		return
	}
	fmt.Fprintf(w, "%s: %v\n", file, err)
}

// runLedgerImport sets a ledger's records into a configuration. Exit code 1 when a row is refused and --partial is not given.
func runLedgerImport(args []string, stdout, stderr io.Writer) int {
	fs := flags("ledger import LEDGER --into CONFIG.yaml [--map MAP] [--sheet NAME] [--dry-run] [--partial] [--out NEW.yaml] [--report FILE.json]", stderr)
	into := fs.String("into", "", "configuration that takes the records")
	out := fs.String("out", "", "where to write the new configuration (default: over --into)")
	mapFile := fs.String("map", "", "what the columns mean, as `sekisho ledger map` prints it (default: guessed)")
	sheet := fs.String("sheet", "", "the ledger's sheet")
	anchorsFile := fs.String("anchors", "", "anchors file to prove the result against (default: derived from the result)")
	report := fs.String("report", "", "write the report as JSON, too")
	dry := fs.Bool("dry-run", false, "tell what becomes of every row, and write nothing")
	partial := fs.Bool("partial", false, "write the good rows although others are refused")
	lang := langFlag(fs)
	file, ok := oneFile(fs, args)
	if !ok {
		return exitUsage
	}
	if *into == "" {
		fmt.Fprintf(stderr, "sekisho ledger import: --into is missing: want the configuration that takes the records\n")
		return exitUsage
	}
	book, m, ok := readLedger(file, *mapFile, *sheet, *lang, stderr)
	if !ok {
		return exitFailed
	}
	doc, err := readConfig(*into)
	if err != nil {
		fmt.Fprintf(stderr, "sekisho: %v\n", err)
		return exitFailed
	}
	o := ledger.Options{Partial: *partial}
	if *anchorsFile != "" {
		if o.Anchors, err = anchors.Load(*anchorsFile, anchors.AnyOwner()); err != nil {
			fmt.Fprintf(stderr, "sekisho: %v\n", err)
			return exitFailed
		}
	}
	next, r, err := ledger.Import(doc, book, m, o)
	if err != nil {
		var errs config.Errors
		if errors.As(err, &errs) {
			errs.Print(stderr, *into)
		}
		fmt.Fprintf(stderr, "%s: the configuration must be valid before a ledger is set into it\n", *into)
		return exitFailed
	}
	r.File, r.Written = filepath.Base(file), next != nil && !*dry
	if r.Written {
		to := *out
		if to == "" {
			to = *into
		}
		if err := replaceKeeping(to, next); err != nil {
			fmt.Fprintf(stderr, "sekisho: %v\n", err)
			return exitFailed
		}
		defer fmt.Fprintln(stdout, ledger.Note{Code: "report.written", Args: []string{to}}.Say(*lang))
	}
	r.Print(stdout, *lang)
	switch {
	case next == nil:
		fmt.Fprintln(stdout, ledger.Note{Code: "report.nothing"}.Say(*lang))
	case *dry:
		fmt.Fprintln(stdout, ledger.Note{Code: "report.dry"}.Say(*lang))
	}
	if *report != "" {
		b, err := json.MarshalIndent(r, "", "  ")
		if err == nil {
			err = replaceKeeping(*report, append(b, '\n'))
		}
		if err != nil {
			fmt.Fprintf(stderr, "sekisho: %v\n", err)
			return exitFailed
		}
	}
	if next == nil {
		return exitFailed
	}
	return exitOK
}

// runLedgerExport writes a configuration's communications as a ledger.
func runLedgerExport(args []string, stdout, stderr io.Writer) int {
	fs := flags("ledger export CONFIG.yaml --out FILE.xlsx|FILE.csv [--encoding utf-8|shift_jis] [--map MAP]", stderr)
	out := fs.String("out", "", "file to write, .xlsx or .csv")
	encoding := fs.String("encoding", ledger.UTF8, "of a CSV file: utf-8 or shift_jis")
	mapFile := fs.String("map", "", "columns to write (default: all fields)")
	lang := langFlag(fs)
	file, ok := oneFile(fs, args)
	if !ok {
		return exitUsage
	}
	f := ledger.Format{Encoding: strings.ToLower(*encoding)}
	switch ext := strings.ToLower(filepath.Ext(*out)); {
	case *out == "":
		fmt.Fprintln(stderr, "sekisho ledger export: --out is missing: want FILE.xlsx or FILE.csv")
		return exitUsage
	case f.Encoding != ledger.UTF8 && f.Encoding != ledger.ShiftJIS:
		fmt.Fprintf(stderr, "sekisho ledger export: --encoding %q: want utf-8 or shift_jis\n", *encoding)
		return exitUsage
	case ext == ".csv":
		f.CSV = true
	case ext != ".xlsx":
		sayFault(stderr, *out, *lang, &ledger.Fault{Note: ledger.Note{Code: "export.kind", Args: []string{ext}}})
		return exitUsage
	}
	cfg, ok := parse(file, stderr)
	if !ok {
		return exitFailed
	}
	if *mapFile != "" {
		if f.Map, ok = readMap(*mapFile, *lang, stderr); !ok {
			return exitFailed
		}
	}
	var b bytes.Buffer
	if err := ledger.Export(&b, cfg, f); err != nil {
		sayFault(stderr, *out, *lang, err)
		return exitFailed
	}
	if err := replaceKeeping(*out, b.Bytes()); err != nil {
		fmt.Fprintf(stderr, "sekisho: %v\n", err)
		return exitFailed
	}
	fmt.Fprintln(stdout, ledger.Note{Code: "report.written", Args: []string{*out}}.Say(*lang))
	return exitOK
}

// runLedgerMap prints what the columns of a ledger seem to mean, to be edited and given back with --map.
func runLedgerMap(args []string, stdout, stderr io.Writer) int {
	fs := flags("ledger map LEDGER [--sheet NAME]", stderr)
	sheet := fs.String("sheet", "", "the ledger's sheet")
	lang := langFlag(fs)
	file, ok := oneFile(fs, args)
	if !ok {
		return exitUsage
	}
	_, m, ok := readLedger(file, "", *sheet, *lang, stderr)
	if !ok {
		return exitFailed
	}
	fmt.Fprint(stdout, m)
	return exitOK
}

// readLedger reads a ledger and finds out what its columns mean.
func readLedger(file, mapFile, sheet, lang string, stderr io.Writer) (*ledger.Book, *ledger.Mapping, bool) {
	data, err := readBounded(file, ledger.MaxFile)
	if err != nil {
		fmt.Fprintf(stderr, "sekisho: %v\n", err)
		return nil, nil, false
	}
	book, err := ledger.Read(file, data)
	if err != nil {
		sayFault(stderr, file, lang, err)
		return nil, nil, false
	}
	if mapFile == "" {
		m, err := ledger.Guess(book, sheet, nil)
		if err != nil {
			sayFault(stderr, file, lang, err)
		}
		return book, m, err == nil
	}
	mf, ok := readMap(mapFile, lang, stderr)
	if !ok {
		return nil, nil, false
	}
	m, faults := mf.Fit(book, sheet)
	for _, f := range faults {
		fmt.Fprintf(stderr, "%s: %s\n", mapFile, f.Say(lang))
	}
	return book, m, len(faults) == 0
}

func readMap(file, lang string, stderr io.Writer) (*ledger.MapFile, bool) {
	data, err := readBounded(file, ledger.MaxMap)
	if err != nil {
		fmt.Fprintf(stderr, "sekisho: %v\n", err)
		return nil, false
	}
	m, faults := ledger.ParseMap(data)
	for _, f := range faults {
		fmt.Fprintf(stderr, "%s: %s\n", file, f.Say(lang))
	}
	return m, len(faults) == 0
}

// replaceKeeping writes a file anew, durably and at once; one that is there keeps its mode.
func replaceKeeping(path string, b []byte) error {
	mode := os.FileMode(0o644)
	if fi, err := os.Stat(path); err == nil {
		mode = fi.Mode().Perm()
	}
	return replace(path, b, mode)
}
