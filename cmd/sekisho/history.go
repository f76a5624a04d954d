package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/dataplane/place"
)

// runHistory lists the revisions, newest first.
func runHistory(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("history", stderr)
	most := flags.Int("max", 20, "at most so `many`; 0 = all")
	asJSON := flags.Bool("json", false, "everything that is known of them, as JSON")
	if flags.Parse(args) != nil || *name == "" || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "usage: sekisho history --name N [--max N] [--json]")
		return exitUsage
	}
	var out struct {
		Revisions []revision.Revision `json:"revisions"`
	}
	if err := (control{place.Instance(*name)}).call(ctx, http.MethodGet, fmt.Sprintf("/revisions?max=%d", *most), nil, &out); err != nil {
		fmt.Fprintln(stderr, "sekisho history:", err)
		return exitFailed
	}
	if *asJSON {
		return printJSON(stdout, stderr, out.Revisions)
	}
	for _, r := range out.Revisions {
		who := revision.Author{ID: r.Author, Claim: r.Claim}.String()
		fmt.Fprintf(stdout, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Number, r.Time.Local().Format(time.DateTime), who, r.Policy, shortHash(r.Text), strings.Join(notes(r), ", "), r.Comment)
	}
	return exitOK
}

func shortHash(h string) string {
	if len(h) < 12 {
		return "-"
	}
	return h[:12]
}

// notes tell what happened to a revision.
func notes(r revision.Revision) (out []string) {
	if r.Parent != r.Number-1 {
		out = append(out, fmt.Sprintf("after %d", r.Parent))
	}
	if r.Of != 0 {
		out = append(out, fmt.Sprintf("the text of %d", r.Of))
	}
	if r.Merged != 0 {
		out = append(out, fmt.Sprintf("merged, edited from %d", r.Merged))
	}
	if r.Approver != "" {
		out = append(out, fmt.Sprintf("proposal %d, approved by %s", r.Proposal, r.Approver))
	}
	t := r.Trial
	switch {
	case t == nil:
	case t.State == revision.Running:
		out = append(out, "unconfirmed, until "+t.Until.Local().Format(time.DateTime))
	case t.State == revision.Confirmed:
		out = append(out, fmt.Sprintf("confirmed by %s at %s", t.By, t.At.Local().Format(time.DateTime)))
	default:
		out = append(out, fmt.Sprintf("reverted at %s: %s", t.At.Local().Format(time.DateTime), t.Why))
	}
	if len(out) == 0 {
		out = []string{"-"}
	}
	return out
}

// runShow prints a text with its revision's number, to be edited and committed.
func runShow(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("show", stderr)
	rest, err := interspersed(flags, args)
	if err != nil || *name == "" || len(rest) > 1 || len(rest) == 1 && strings.Trim(rest[0], "0123456789") != "" && rest[0] != "head" {
		fmt.Fprintln(stderr, "usage: sekisho show --name N [REV]")
		return exitUsage
	}
	which := "head"
	if len(rest) == 1 {
		which = rest[0]
	}
	var r struct {
		Revision revision.Revision `json:"revision"`
		Text     string            `json:"text"`
	}
	if err := (control{place.Instance(*name)}).call(ctx, http.MethodGet, "/revisions/"+which, nil, &r); err != nil {
		fmt.Fprintln(stderr, "sekisho show:", err)
		return exitFailed
	}
	if _, err := stdout.Write(revision.Marked([]byte(r.Text), *name, r.Revision.Number)); err != nil {
		fmt.Fprintln(stderr, "sekisho show:", err)
		return exitFailed
	}
	return exitOK
}
