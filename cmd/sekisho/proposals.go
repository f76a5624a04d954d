package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/config/merge"
	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/dataplane/place"
)

// runProposals lists what waits for a second administrator, or shows one proposal.
func runProposals(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("proposals", stderr)
	all := flags.Bool("all", false, "those that have ended, too")
	lang := langFlag(flags)
	number, ok := proposalArgs(flags, args)
	if !ok || *name == "" {
		fmt.Fprintln(stderr, "usage: sekisho proposals --name N [--all] [--lang ja|en] [NUMBER]")
		return exitUsage
	}
	c := control{place.Instance(*name)}
	if number != 0 {
		if _, err := showProposal(ctx, c, number, *lang, stdout, stderr); err != nil {
			fmt.Fprintln(stderr, "sekisho proposals:", err)
			return exitFailed
		}
		return exitOK
	}
	var out struct {
		Proposals []revision.Proposal `json:"proposals"`
	}
	if err := c.call(ctx, http.MethodGet, fmt.Sprintf("/proposals?all=%v", *all), nil, &out); err != nil {
		fmt.Fprintln(stderr, "sekisho proposals:", err)
		return exitFailed
	}
	for _, p := range out.Proposals {
		fmt.Fprintln(stdout, proposalLine(p))
	}
	return exitOK
}

// proposalArgs reads flags and at most one number; 0: none was given.
func proposalArgs(flags *flag.FlagSet, args []string) (number int, ok bool) {
	rest, err := interspersed(flags, args)
	if err == nil && len(rest) == 1 {
		if number, err = strconv.Atoi(rest[0]); number < 1 {
			return 0, false
		}
	}
	return number, err == nil && len(rest) <= 1
}

func proposalLine(p revision.Proposal) string {
	state := string(p.State)
	switch {
	case p.State == revision.Open:
		state += " until " + p.Expires.Local().Format(time.DateTime)
	case p.Because != "":
		state += ": " + p.Because
	}
	return strings.Join([]string{strconv.Itoa(p.Number), p.Time.Local().Format(time.DateTime), p.Author, fmt.Sprintf("after revision %d", p.Parent), state, p.Comment}, "\t")
}

// looked is a proposal with the texts that it stands between.
type looked struct {
	Proposal     revision.Proposal
	Text, Before string
}

// showProposal prints what somebody must know who approves.
func showProposal(ctx context.Context, c control, number int, lang string, w, stderr io.Writer) (revision.Proposal, error) {
	var l looked
	err := c.call(ctx, http.MethodGet, fmt.Sprintf("/proposals/%d", number), nil, &l)
	if err == nil {
		err = l.print(lang, w, stderr)
	}
	return l.Proposal, err
}

// print says what passes that did not, or the other way round, and then each entry with all that it says. What is approved later is
// the text of the proposal's hash, so this must be of that text.
func (l looked) print(lang string, w, stderr io.Writer) error {
	p := l.Proposal
	if sum := sha256.Sum256([]byte(l.Text)); hex.EncodeToString(sum[:]) != p.Text {
		return fmt.Errorf("proposal %d is of the text %s, but control gave another one: look at it in the portal, and have control examined", p.Number, p.Text)
	}
	fmt.Fprintln(w, proposalLine(p))
	fmt.Fprintf(w, "text %s\ncompiled %s\n", p.Text, p.Digest)
	for _, why := range p.Why {
		fmt.Fprintln(w, "touches My Number:", why)
	}
	before, text := []byte(l.Before), []byte(l.Text)
	if d := compared([2][]byte{before, text}, []string{fmt.Sprintf("revision %d", p.Parent), fmt.Sprintf("proposal %d", p.Number)}, stderr); d != nil {
		if err := d.Print(w, lang); err != nil {
			return err
		}
	}
	changes, err := merge.Changes(before, text)
	if err != nil {
		fmt.Fprintf(w, "what changes cannot be listed: %v; the whole text is:\n%s\n", err, l.Text)
	}
	for _, ch := range changes {
		fmt.Fprintln(w, "  "+ch.String())
	}
	return nil
}

// runApprove brings another person's proposal into force.
func runApprove(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("approve", stderr)
	yes := flags.Bool("yes", false, "do not ask again")
	lang := langFlag(flags)
	as := asFlag(flags)
	number, ok := proposalArgs(flags, args)
	if !ok || *name == "" || number == 0 {
		fmt.Fprintln(stderr, "usage: sekisho approve --name N --as ID [--yes] [--lang ja|en] NUMBER")
		return exitUsage
	}
	p, err := showProposal(ctx, control{place.Instance(*name)}, number, *lang, stdout, stderr)
	if err == nil && !*yes {
		fmt.Fprint(stderr, "bring this into force? (yes) ")
		var said string
		if said, err = line(os.Stdin); err == nil && said != "yes" {
			fmt.Fprintln(stderr, "sekisho approve: not approved")
			return exitFailed
		}
	}
	var r changed
	if err == nil {
		err = postAs(ctx, *name, *as, fmt.Sprintf("/proposals/%d/approve", number), map[string]string{"text_sha256": p.Text, "digest": p.Digest}, &r, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "sekisho approve:", err)
		return exitFailed
	}
	if r.Trial != nil {
		fmt.Fprintf(stdout, "revision %d is in force: policy %s, tables %s\non trial: it goes back by itself at %s unless its author, %s, confirms it\n", r.Number, r.Policy, r.Hash, r.Trial.Until.Local().Format(time.DateTime), r.Author)
		return exitOK
	}
	return r.tell(*name, stdout)
}

// runWithdraw ends a proposal.
func runWithdraw(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("withdraw", stderr)
	reason := flags.String("reason", "", "why")
	as := asFlag(flags)
	number, ok := proposalArgs(flags, args)
	if !ok || *name == "" || number == 0 {
		fmt.Fprintln(stderr, "usage: sekisho withdraw --name N [--as ID] [--reason TEXT] NUMBER")
		return exitUsage
	}
	if err := postAs(ctx, *name, *as, fmt.Sprintf("/proposals/%d/withdraw", number), map[string]string{"why": *reason}, nil, stderr); err != nil {
		fmt.Fprintln(stderr, "sekisho withdraw:", err)
		return exitFailed
	}
	fmt.Fprintf(stdout, "proposal %d is withdrawn\n", number)
	return exitOK
}
