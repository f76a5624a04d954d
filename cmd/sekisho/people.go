package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/sekisho/sekisho/controlplane/identity"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/release"
)

// runPerson enters people in control's directory.
func runPerson(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	const usage = `usage: sekisho person add --name N --id ID --person-name NAME --section ID[=NAME] --role ROLE --zones A,B
       sekisho person reset|disable|enable --name N --id ID
       sekisho person change --name N --id ID [--section ID[=NAME]] [--role ROLE] [--zones A,B]`
	if len(args) == 0 || !slices.Contains([]string{"add", "reset", "disable", "enable", "change"}, args[0]) {
		fmt.Fprintln(stderr, usage)
		return exitUsage
	}
	name, p, section, ok := personFlags("person", args[1:], stderr)
	if !ok || p.ID == "" {
		fmt.Fprintln(stderr, usage)
		return exitUsage
	}
	if !isRoot(stderr, "person") {
		return exitFailed
	}
	var e entry
	switch args[0] {
	case "reset":
		e.Reset = p.ID
	case "disable":
		e.Disable = p.ID
	case "enable":
		e.Enable = p.ID
	case "change":
		e.Change = &p
		if section.Name != "" {
			e.Sections = []identity.Section{section}
		}
	case "add":
		if err := p.Check(); err != nil {
			fmt.Fprintln(stderr, "sekisho person:", err)
			return exitUsage
		}
		e = entry{People: []identity.Person{p}}
		if section.Name != "" {
			e.Sections = []identity.Section{section}
		}
	}
	out, err := enter(ctx, name, e)
	if err == nil && len(out.People) == 0 {
		err = fmt.Errorf("person %s: %w", p.ID, identity.ErrExists)
	}
	if err != nil {
		fmt.Fprintln(stderr, "sekisho person:", err)
		return exitFailed
	}
	if args[0] == "disable" || args[0] == "change" {
		if as, err := readApprovers(name); err == nil && as.has(p.ID) {
			fmt.Fprintf(stderr, "sekisho person: %s still stands in release's own list of approvers (%s) with the section, role and zones there: `sekisho approver remove --name %s --id %s`, and add anew if that is meant\n", p.ID, name.Approvers(), name, p.ID)
		}
	}
	return printJSON(stdout, stderr, out.People[0])
}

// runApprover enters who may approve in release's own file, which no daemon can change.
func runApprover(_ context.Context, args []string, stdout, stderr io.Writer) int {
	const usage = "usage: sekisho approver add --name N --id ID --section ID --zones A,B [--role section-head]\n" +
		"       sekisho approver remove --name N --id ID"
	if len(args) == 0 || args[0] != "add" && args[0] != "remove" {
		fmt.Fprintln(stderr, usage)
		return exitUsage
	}
	name, p, _, ok := personFlags("approver", args[1:], stderr)
	if p.Role == "" {
		p.Role = web.SectionHead
	}
	if !ok || p.ID == "" || args[0] == "add" && (p.Section == "" || len(p.Zones) == 0) {
		fmt.Fprintln(stderr, usage)
		return exitUsage
	}
	if !isRoot(stderr, "approver") {
		return exitFailed
	}
	if args[0] == "remove" {
		if err := removeApprover(name, p.ID); err != nil {
			fmt.Fprintln(stderr, "sekisho approver:", err)
			return exitFailed
		}
		fmt.Fprintf(stdout, "%s is no approver any more\n", p.ID)
		return exitOK
	}
	phrase := secret()
	as, err := readApprovers(name)
	if err == nil && as.has(p.ID) {
		err = fmt.Errorf("approver %s is there already; `sekisho approver remove --name %s --id %s` first, to give a new passphrase", p.ID, name, p.ID)
	}
	if err == nil {
		err = as.add(p, phrase)
	}
	if err == nil {
		err = as.write(name)
	}
	if err != nil {
		fmt.Fprintln(stderr, "sekisho approver:", err)
		return exitFailed
	}
	return printJSON(stdout, stderr, credentials{Person: p, Passphrase: phrase})
}

// removeApprover takes a person out of release's list; release reads it for each approval.
func removeApprover(i place.Instance, id string) error {
	as, err := readApprovers(i)
	if err != nil {
		return err
	}
	if !as.has(id) {
		return fmt.Errorf("approver %s: not in %s", id, i.Approvers())
	}
	as.Approvers.Approvers = slices.DeleteFunc(as.Approvers.Approvers, func(a release.Approver) bool { return a.Person == id })
	return as.write(i)
}

func personFlags(verb string, args []string, stderr io.Writer) (name place.Instance, p identity.Person, s identity.Section, ok bool) {
	flags := flag.NewFlagSet(verb, flag.ContinueOnError)
	flags.SetOutput(stderr)
	instance := flags.String("name", "", "`name` of the gate instance")
	flags.StringVar(&p.ID, "id", "", "sign-in `name`")
	flags.StringVar(&p.Name, "person-name", "", "`name` to show")
	section := flags.String("section", "", "section `id`, or id=name to make it")
	role := flags.String("role", "", "staff, section-head, it-admin or auditor")
	zones := flags.String("zones", "", "`zones`, separated by commas")
	if flags.Parse(args) != nil || *instance == "" || flags.NArg() > 0 {
		return "", p, s, false
	}
	s.ID, s.Name, _ = strings.Cut(*section, "=")
	p.Section, p.Role = s.ID, web.Role(*role)
	if p.Name == "" {
		p.Name = p.ID
	}
	for _, z := range strings.Split(*zones, ",") {
		if z == "" {
			continue
		}
		v, err := anchors.ParseZone(z)
		if err != nil {
			fmt.Fprintln(stderr, err)
			return "", p, s, false
		}
		p.Zones = append(p.Zones, v)
	}
	return place.Instance(*instance), p, s, true
}

// approverList is release's file, as release reads it.
type approverList struct{ release.Approvers }

func readApprovers(i place.Instance) (*approverList, error) {
	as, err := release.LoadApprovers(i.Approvers())
	if _, serr := os.Lstat(i.Approvers()); errors.Is(serr, fs.ErrNotExist) {
		as, err = release.Approvers{Version: 1}, nil
	}
	return &approverList{as}, err
}

func (l *approverList) has(person string) bool {
	for _, a := range l.Approvers.Approvers {
		if a.Person == person {
			return true
		}
	}
	return false
}

func (l *approverList) add(p identity.Person, phrase string) error {
	hash, err := release.HashPassphrase(phrase)
	if err != nil {
		return err
	}
	l.Approvers.Approvers = append(l.Approvers.Approvers, release.Approver{Person: p.ID, Section: p.Section, Role: string(p.Role), Zones: p.Zones, Hash: hash})
	return nil
}

func (l *approverList) write(i place.Instance) error {
	if l.Approvers.Approvers == nil {
		l.Approvers.Approvers = []release.Approver{}
	}
	b, err := yaml.Marshal(l.Approvers)
	if err != nil {
		return fmt.Errorf("write %s: %w", i.Approvers(), err)
	}
	// Readable by release; the hashes are slow ones, but nobody else needs them.
	if err := replace(i.Approvers(), b, 0o640); err != nil {
		return err
	}
	_, gid, err := idsOf(place.ReleaseUser)
	if err != nil {
		return err
	}
	if err := os.Lchown(i.Approvers(), 0, gid); err != nil {
		return err
	}
	_, err = release.LoadApprovers(i.Approvers())
	return err
}

// secret makes a passphrase of 80 random bits from letters and digits that nobody confuses.
func secret() string {
	const alphabet = "abcdefghijkmnpqrstuvwxyz23456789" // 32
	b := make([]byte, 16)
	rand.Read(b)
	var s strings.Builder
	for i, c := range b {
		if i > 0 && i%4 == 0 {
			s.WriteByte('-')
		}
		s.WriteByte(alphabet[c%32])
	}
	return s.String()
}
