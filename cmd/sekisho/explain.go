package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy"
)

// runExplain tells what the compiler made of a record: which classes, ports, rules and cells, and what it shares with others.
func runExplain(_ context.Context, args []string, stdout, stderr io.Writer) int {
	fs, o := policyFlags("explain FILE RECORD [--json] [--anchors FILE]", stderr)
	asJSON := fs.Bool("json", false, "print it as JSON")
	rest, err := interspersed(fs, args)
	if err != nil || len(rest) != 2 {
		if err == nil {
			fs.Usage()
		}
		return exitUsage
	}
	c, ok := compile(rest[0], o, stderr)
	if !ok {
		return exitFailed
	}
	u, err := policy.Unfold(c.cfg, &c.Tables, rest[1])
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", rest[0], err)
		return exitFailed
	}
	if *asJSON {
		return printJSON(stdout, stderr, u)
	}
	if err := c.unfold(u, stdout); err != nil {
		fmt.Fprintln(stderr, "sekisho explain:", err)
		return exitFailed
	}
	return exitOK
}

func (c *compiled) unfold(u policy.Unfolded, w io.Writer) error {
	fmt.Fprintf(w, "record %s: %s\n", strings.Join(c.places([]string{u.Record}), ""), u.State)
	if len(u.Cells) == 0 {
		why := "no packet can use it"
		if u.State != config.Active {
			why = "only active records permit"
		}
		_, err := fmt.Fprintf(w, "it became no cell: %s\n", why)
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, side := range []struct {
		word    string
		classes []policy.ClassView
	}{{"from", u.From}, {"to", u.To}} {
		for _, k := range side.classes {
			fmt.Fprintf(t, "%s\tclass %d\t%s\t%s\t%s\n", side.word, k.Class, k.Zone, k.Segment, membersText(k))
		}
	}
	for _, p := range u.Ports {
		fmt.Fprintf(t, "ports\tclass %d\t%s\n", p.Class, p.Ports)
	}
	for _, r := range u.Rules {
		with := "of this record alone"
		if len(r.With) > 0 {
			with = "shared with " + strings.Join(r.With, ", ")
		}
		var times []string
		for _, x := range r.Times {
			times = append(times, x.String())
		}
		fmt.Fprintf(t, "rule\t%d\t%s\t%s\n", r.Rule, strings.Join(times, ", or "), with)
	}
	for _, k := range u.Cells {
		class := "the line's default class"
		if k.Class != "" {
			class = "class " + k.Class
		}
		fmt.Fprintf(t, "cell\t%d > %d : %d\trule %d\t%s\n", k.From, k.To, k.Port, k.Rule, class)
	}
	return t.Flush()
}

// membersText lists a class's addresses by their names.
func membersText(k policy.ClassView) string {
	var out []string
	for _, h := range k.Hosts {
		text := h.Addr.String()
		if len(h.Names) > 0 {
			text += " (" + strings.Join(h.Names, ", ") + ")"
		}
		out = append(out, text)
	}
	for _, p := range k.Prefixes {
		out = append(out, p.String()+" without what other classes hold of it")
	}
	return strings.Join(out, ", ")
}
