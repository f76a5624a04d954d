package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/release"
)

// rule is a file that root owns and every later configuration is held to, as a configuration implies it.
type rule struct {
	path, verb, daemon string
	want               []byte
	// load reads the file in force and gives it in the form of want, so that comments and layout make no difference.
	load func() ([]byte, error)
	// check reads what was written as the daemon will.
	check func() error
}

// rulesOf gives anchors and transfer routes as the configuration has them. A security officer's decision that root wrote into
// the routes file is kept: it is no part of what a configuration may take away by leaving it out.
func rulesOf(i place.Instance, cfg *config.Config) ([]rule, error) {
	a, err := policy.Anchors(cfg).YAML()
	if err != nil {
		return nil, err
	}
	routes := policy.Routes(cfg)
	if there, err := release.LoadRoutes(i.Routes()); err == nil {
		for n := range routes.Routes {
			r := &routes.Routes[n]
			for _, old := range there.Routes {
				if r.Decision == "" && old.From.String() == r.From && old.To.String() == r.To {
					r.Decision = old.Decision
				}
			}
		}
	}
	r, err := routes.YAML()
	if err != nil {
		return nil, err
	}
	return []rule{
		{i.Anchors(), "anchors", "sekisho-dataplane and sekisho-control", a, func() ([]byte, error) {
			a, err := anchors.Load(i.Anchors())
			if err != nil {
				return nil, err
			}
			return a.YAML()
		}, func() error { _, err := anchors.Load(i.Anchors()); return err }},
		{i.Routes(), "routes", "nothing: release reads them for each file", r, func() ([]byte, error) {
			rs, err := release.LoadRoutes(i.Routes())
			if err != nil {
				return nil, err
			}
			out := policy.RoutesFile{Version: rs.Version, Routes: []policy.Route{}}
			for _, r := range rs.Routes {
				out.Routes = append(out.Routes, policy.Route{From: r.From.String(), To: r.To.String(), Approvals: r.Approvals, Formats: r.Formats,
					MaxSize: r.MaxSize, KeepDays: r.KeepDays, Decision: r.Decision, Sanitize: r.Sanitize})
			}
			return out.YAML()
		}, func() error { _, err := release.LoadRoutes(i.Routes()); return err }},
	}, nil
}

// compare refuses a configuration whose rules are not those in force: whoever installs again does not mean to change them.
func compare(rules []rule, file string) error {
	var errs []error
	for _, r := range rules {
		if _, err := os.Lstat(r.path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		have, err := r.load()
		if err != nil {
			errs = append(errs, fmt.Errorf("%s cannot be read: %w\nmend it, or replace it by that of %s with --force-rules", r.path, err, file))
			continue
		}
		if string(have) == string(r.want) {
			continue
		}
		d, err := diff(r.path, file, have, r.want)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, fmt.Errorf("%s is in force, and %s would change it; nothing was done\n%s"+
			"to change it: `sekisho %s %s > %s`, then restart %s; or `sekisho init --force-rules`", r.path, file, d, r.verb, file, r.path, r.daemon))
	}
	return errors.Join(errs...)
}

// laid writes the rules that are missing, or all when they are to be replaced.
func laid(rules []rule, force bool) error {
	for _, r := range rules {
		_, err := os.Lstat(r.path)
		missing := errors.Is(err, fs.ErrNotExist)
		if !missing {
			have, err := r.load()
			if !force || err == nil && string(have) == string(r.want) {
				continue // as it stands, comments and all: approvals are bound to the routes file's very bytes
			}
		}
		if err := replace(r.path, r.want, 0o644); err != nil {
			return err
		}
		if err := r.check(); err != nil {
			return err
		}
	}
	return nil
}

// diff shows two texts as people know it.
func diff(nameA, nameB string, a, b []byte) (string, error) {
	dir, err := os.MkdirTemp("", "sekisho-diff")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	fa, fb := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := errors.Join(os.WriteFile(fa, a, 0o600), os.WriteFile(fb, b, 0o600)); err != nil {
		return "", err
	}
	out, err := exec.Command("diff", "-u", "--label", nameA, "--label", nameB, fa, fb).Output()
	if exit := new(exec.ExitError); err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		return "", fmt.Errorf("compare %s with %s: %w", nameA, nameB, err)
	}
	return strings.TrimRight(string(out), "\n") + "\n", nil
}
