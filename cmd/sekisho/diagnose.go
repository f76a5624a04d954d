package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/web/text"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/tunnel/diagnose"
)

// runDiagnose looks along the way to regions and says where it is broken (障害切り分け). Exit code 1 when it is.
func runDiagnose(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flags("diagnose [REGION] --name N [--line L] [--mtu BYTES] [--resolve DOMAIN] [--json]", stderr)
	name := fs.String("name", "", "`name` of the gate instance")
	look := gate.Look{}
	fs.StringVar(&look.Line, "line", "", "only by this `line` (its id, its tunnel or its far end)")
	fs.IntVar(&look.MTU, "mtu", 0, "`bytes` that the line should carry, outer headers included; 0 = what its port is set to")
	fs.StringVar(&look.Name, "resolve", "", "`domain` name that the region's resolver is to resolve")
	asJSON := fs.Bool("json", false, "print it as JSON")
	rest, err := interspersed(fs, args)
	if err != nil || len(rest) > 1 || *name == "" {
		if err == nil {
			fs.Usage()
		}
		return exitUsage
	}
	if len(rest) == 1 {
		look.Region = rest[0]
	}
	return diagnoseBy(ctx, dataplaneOf(*name), look, *asJSON, stdout, stderr)
}

func diagnoseBy(ctx context.Context, d dataplane, look gate.Look, asJSON bool, stdout, stderr io.Writer) int {
	var found []gate.Diagnosis
	if err := d.get(ctx, "/diagnose", look.Query(), &found); err != nil {
		fmt.Fprintln(stderr, "sekisho diagnose:", err)
		return exitFailed
	}
	if asJSON {
		if code := printJSON(stdout, stderr, found); code != exitOK {
			return code
		}
	} else if len(found) == 0 {
		fmt.Fprintln(stderr, "sekisho diagnose: no such region or line in force (`sekisho tunnel status` names all)")
		return exitFailed
	}
	code := exitOK
	for _, d := range found {
		if !asJSON {
			printDiagnosis(stdout, text.Of(language()), d)
		}
		if _, failed := d.Result.Worst(); failed {
			code = exitFailed
		}
	}
	return code
}

// marks of a terminal, one for each state.
var marks = map[diagnose.State]string{diagnose.OK: "o", diagnose.Failed: "X", diagnose.Skipped: "-", diagnose.Unknown: "?"}

// printDiagnosis writes the tree with what was seen, and below each fault what to do and who has to.
func printDiagnosis(w io.Writer, l text.Lang, d gate.Diagnosis) {
	line := []string{d.Contract, d.End, d.Device, d.Line}
	line = slices.DeleteFunc(line, func(s string) bool { return s == "" })
	fmt.Fprintf(w, "%s  %s  %s  %s\n", d.Region, strings.Join(slices.Compact(line), " / "), d.Endpoint, d.At.In(time.Local).Format(time.DateTime))
	d.Result.Walk(func(r diagnose.Result, depth int) {
		indent := strings.Repeat("  ", depth)
		said := l.Seen(r.Code, r.Args)
		if r.State == diagnose.Skipped {
			said = l.T("fault.because", l.T("check."+r.Because))
		}
		fmt.Fprintf(w, "  %s%s %s: %s\n", indent, marks[r.State], l.T("check."+r.ID), said)
		if r.State == diagnose.Failed {
			fmt.Fprintf(w, "  %s    %s: %s\n", indent, l.T("fault.whose"), l.T("party."+string(r.Party)))
			fmt.Fprintf(w, "  %s    %s: %s\n", indent, l.T("fault.act"), l.Remedy(r.Code, r.Args))
		}
	})
}
