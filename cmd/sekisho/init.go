package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/identity"
	"github.com/sekisho/sekisho/controlplane/office"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/durable"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/sandbox/broker"
)

// roll is the file of sections and people that init takes in.
type roll struct {
	Version  int                `yaml:"version"`
	Sections []identity.Section `yaml:"sections"`
	People   []identity.Person  `yaml:"people"`
}

// credentials of somebody who is new, for one first use.
type credentials struct {
	identity.Person
	Password   string `json:"password,omitempty"`   // to be changed at the first sign-in
	Passphrase string `json:"passphrase,omitempty"` // for approvals; known to release alone
}

// installed is what init prints.
type installed struct {
	Name     place.Instance `json:"name"`
	Revision int            `json:"revision"`
	CA       string         `json:"ca"`
	AuditKey string         `json:"audit_key"`
	Portals  []portalPlace  `json:"portals"`
	People   []credentials  `json:"people"` // only those who are new
}

type portalPlace struct {
	Zone    anchors.Zone `json:"zone"`
	Name    string       `json:"name"`
	Address netip.Addr   `json:"address"`
	URL     string       `json:"url"`
}

// runInit makes a gate out of a configuration. Run again, it makes what is missing and keeps what is there: no key, no
// password and no person is ever overwritten, and rules (anchors, routes) that the configuration would change are an error,
// unless root says that they are to be replaced.
func runInit(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("init", flag.ContinueOnError)
	flags.SetOutput(stderr)
	name := flags.String("name", "", "`name` of the gate instance")
	file := flags.String("config", "", "configuration `file`")
	people := flags.String("people", "", "`file` of sections and people; without it, an empty gate gets the person admin")
	force := flags.Bool("force-rules", false, "replace anchors and routes that are in force by those of the configuration")
	if flags.Parse(args) != nil || *name == "" || *file == "" || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "usage: sekisho init --name N --config FILE [--people FILE] [--force-rules]")
		return exitUsage
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(stderr, "sekisho init: only root installs a gate")
		return exitFailed
	}
	out, err := install(ctx, place.Instance(*name), *file, *people, *force)
	if err != nil {
		var faults config.Errors
		if errors.As(err, &faults) {
			faults.Print(stderr, *file)
		} else {
			fmt.Fprintln(stderr, "sekisho init:", err)
		}
		return exitFailed
	}
	return printJSON(stdout, stderr, out)
}

func install(ctx context.Context, i place.Instance, file, people string, force bool) (installed, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return installed{}, err
	}
	cfg, faults := config.Parse(text)
	if err := faults.Err(); err != nil {
		return installed{}, err
	}
	r, err := readRoll(people)
	if err != nil {
		return installed{}, err
	}
	rules, err := rulesOf(i, cfg)
	if err == nil && !force {
		err = compare(rules, file)
	}
	if err != nil {
		return installed{}, err
	}
	if err := directories(i); err != nil {
		return installed{}, err
	}
	if err := office.Prepare(i); err != nil {
		return installed{}, err
	}
	if err := release.Prepare(i); err != nil {
		return installed{}, err
	}
	if _, err := broker.Prepare(i); err != nil {
		return installed{}, err
	}
	if err := laid(rules, force); err != nil {
		return installed{}, err
	}
	if err := auditKeys(i); err != nil {
		return installed{}, err
	}
	out := installed{Name: i, CA: i.CA(), AuditKey: i.AuditKey(), Portals: []portalPlace{}, People: []credentials{}}
	if _, err := certificates(i, cfg, time.Now()); err != nil {
		return out, err
	}
	for _, p := range cfg.Portals {
		out.Portals = append(out.Portals, portalPlace{p.Zone, p.Name, p.Address, "https://" + p.Name + "/"})
	}
	made, err := enter(ctx, i, entry{Text: string(text), Comment: "init", Sections: r.Sections, People: r.People, First: people == ""})
	if err != nil {
		return out, err
	}
	out.Revision, out.People = made.Revision, append(out.People, made.People...)
	return out, approvers(i, r.People, &out)
}

func readRoll(file string) (roll, error) {
	r := roll{Version: 1}
	if file == "" {
		return r, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	if err := yaml.UnmarshalWithOptions(b, &r, yaml.Strict()); err != nil {
		return r, fmt.Errorf("%s: %w", file, err)
	}
	if r.Version != 1 {
		return r, fmt.Errorf("%s: version %d: want 1", file, r.Version)
	}
	known := map[string]bool{}
	for _, s := range r.Sections {
		known[s.ID] = true
	}
	for _, p := range r.People {
		if err := p.Check(); err != nil {
			return r, fmt.Errorf("%s: %w", file, err)
		}
		if !known[p.Section] {
			return r, fmt.Errorf("%s: person %s: section %q is not in the file", file, p.ID, p.Section)
		}
	}
	return r, nil
}

// directories gives each daemon its places, with the owner and mode that package place promises. Those of release,
// broker and control are made by themselves.
func directories(i place.Instance) error {
	shared := []struct {
		path string
		mode os.FileMode
	}{{i.Etc(), 0o755}, {i.State(), 0o711}, {i.Run(), 0o711}}
	for _, d := range shared {
		if err := os.MkdirAll(d.path, d.mode); err != nil {
			return err
		}
		if err := os.Chmod(d.path, d.mode); err != nil {
			return err
		}
	}
	type owned struct {
		path, user string
		mode       os.FileMode
	}
	own := []owned{
		{i.StateOf("dataplane"), "root", 0o700}, {filepath.Dir(i.DataplaneSocket()), "root", 0o711},
	}
	for _, z := range place.PortalZones {
		own = append(own, owned{i.StateOf("portal-" + z.Short()), place.PortalUser(z), 0o700})
	}
	for _, d := range own {
		uid, gid, err := idsOf(d.user)
		if err != nil {
			return err
		}
		if err := os.Mkdir(d.path, d.mode); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := errors.Join(os.Lchown(d.path, uid, gid), os.Chmod(d.path, d.mode)); err != nil {
			return err
		}
	}
	return nil
}

// approvers enters the section heads among people in release's own file, each with a passphrase of their own.
func approvers(i place.Instance, people []identity.Person, out *installed) error {
	as, err := readApprovers(i)
	if err != nil {
		return err
	}
	for _, p := range people {
		if p.Role != web.SectionHead || as.has(p.ID) {
			continue
		}
		phrase := secret()
		if err := as.add(p, phrase); err != nil {
			return err
		}
		at := -1
		for n := range out.People {
			if out.People[n].ID == p.ID {
				at = n
			}
		}
		if at < 0 {
			out.People = append(out.People, credentials{Person: p})
			at = len(out.People) - 1
		}
		out.People[at].Passphrase = phrase
	}
	return as.write(i)
}

// replace writes a root-owned file whole; it leaves one alone that says the same already.
func replace(path string, b []byte, mode os.FileMode) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, b) {
		return nil
	}
	return durable.Replace(path, b, mode)
}

func printJSON(stdout, stderr io.Writer, v any) int {
	e := json.NewEncoder(stdout)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		fmt.Fprintln(stderr, "sekisho:", err)
		return exitFailed
	}
	return exitOK
}
