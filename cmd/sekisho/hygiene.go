package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"

	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/dataplane/place"
)

const hygieneUsage = "hygiene FILE [--name N] | --name N   [--at MOMENT] [--json]"

// runHygiene reports what there is to tidy up in a configuration, or in the one in force: then what was used is known, too. Exit code
// 1 only when it could not look: findings are no faults.
func runHygiene(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs, o := policyFlags(hygieneUsage, stderr)
	name := fs.String("name", "", "`name` of the gate instance whose use is looked at, and whose configuration when there is no FILE")
	asJSON := fs.Bool("json", false, "print the report as JSON")
	limits := hygieneLimits(fs)
	files, err := interspersed(fs, args)
	if err != nil || len(files) > 1 || len(files) == 0 && *name == "" {
		if err == nil {
			fs.Usage()
		}
		return exitUsage
	}
	file, usage, doc, err := subject(ctx, files, *name)
	if err != nil {
		fmt.Fprintln(stderr, "sekisho hygiene:", err)
		return exitFailed
	}
	cfg, ok := parseText(file, doc, stderr)
	if !ok {
		return exitFailed
	}
	c, ok := compileParsed(file, cfg, o, stderr)
	if !ok {
		return exitFailed
	}
	r := policy.Hygiene(c.cfg, &c.Tables, usage, o.at, *limits)
	if *asJSON {
		return printJSON(stdout, stderr, r)
	}
	printReport(stdout, file, r)
	return exitOK
}

// hygieneLimits makes a flag of each limit.
func hygieneLimits(fs *flag.FlagSet) *policy.HygieneLimits {
	l := policy.UsualLimits()
	fs.IntVar(&l.UnusedDays, "unused-days", l.UnusedDays, "`days` without a packet, or without a word of a station, that are told")
	fs.IntVar(&l.EndingDays, "ending-days", l.EndingDays, "`days` ahead in which an end or a review is told")
	fs.IntVar(&l.Addresses, "addresses", l.Addresses, "`number` of addresses beyond which a prefix is broad")
	fs.IntVar(&l.Ports, "ports", l.Ports, "`number` of ports beyond which a range is broad")
	fs.IntVar(&l.Overlaps, "overlaps", l.Overlaps, "`pairs` of overlapping records that are told at most")
	return &l
}

// subject is the document to look at, and what is known of its use.
func subject(ctx context.Context, files []string, name string) (file string, usage *policy.Usage, doc []byte, err error) {
	if name != "" {
		usage = &policy.Usage{}
		if err := (control{place.Instance(name)}).call(ctx, http.MethodGet, "/usage", nil, usage); err != nil {
			return "", nil, nil, err
		}
	}
	if len(files) == 1 {
		doc, err = readConfig(files[0])
		return files[0], usage, doc, err
	}
	doc, err = textOf(ctx, place.Instance(name), "head")
	return "head", usage, doc, err
}

func printReport(w io.Writer, file string, r policy.Report) {
	last := policy.Kind("")
	for _, f := range r.Findings {
		if f.Kind != last {
			fmt.Fprintf(w, "%s (%d)\n", f.Kind, r.Counts[f.Kind])
			last = f.Kind
		}
		place := file
		if f.Line > 0 {
			place = fmt.Sprintf("%s:%d", file, f.Line)
		}
		fmt.Fprintf(w, "  %s: %s\n      %s\n", place, f.Text, f.Remedy)
	}
	fmt.Fprintf(w, "%s: %d findings\n", file, len(r.Findings))
	if !r.Used {
		fmt.Fprintln(w, "what was used is not known: ask the gate with --name")
	}
}
