package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// audited is step 8.
func (j *job) audited(ctx context.Context) error {
	j.section(8, "The audit log verifies; a changed one does not")
	dir, err := os.MkdirTemp("", "sekisho-audit")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	log := j.name.AuditLog()
	j.check("sekisho audit verify of the gate's log", "verifies", func() (string, bool, error) {
		out, err := j.verify(ctx, log)
		return lastLine(out), err == nil, err
	})
	j.check("what it holds", "sign-in, transfers, approval, rejection, refusal", func() (string, bool, error) {
		all, err := content(log)
		var missing []string
		for _, action := range []string{"sign-in", "transfer.", "approv", "reject"} {
			if !bytes.Contains(all, []byte(action)) {
				missing = append(missing, action)
			}
		}
		return fmt.Sprintf("%d bytes, missing: %v", len(all), missing), len(missing) == 0, err
	})
	j.check("copies, each with one byte of another file changed", "none verifies", func() (string, bool, error) {
		return j.tampered(ctx, log, dir)
	})
	return nil
}

// verify checks a log with the key that root kept, not the copy that lies with it.
func (j *job) verify(ctx context.Context, log string) (string, error) {
	return j.town.Sekisho(ctx, "audit", "verify", "--key", j.name.Instance().AuditKey(), log)
}

// tampered changes one bit in the middle of each file of the log in turn, in a copy, and expects a refusal every time.
func (j *job) tampered(ctx context.Context, log, scratch string) (string, bool, error) {
	whole := filepath.Join(scratch, "log")
	if err := os.CopyFS(whole, os.DirFS(log)); err != nil {
		return "", false, err
	}
	if out, err := j.verify(ctx, whole); err != nil {
		return "the unchanged copy does not verify: " + lastLine(out), false, err
	}
	tried, found := 0, 0
	var passed []string
	err := filepath.WalkDir(whole, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, ".lock") || d.Name() == "key.pub" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || len(b) == 0 {
			return err
		}
		changed := bytes.Clone(b)
		changed[len(b)/2] ^= 1
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			return err
		}
		tried++
		_, verr := j.verify(ctx, whole)
		var exit *exec.ExitError
		if errors.As(verr, &exit) && exit.ExitCode() == 1 {
			found++
		} else {
			passed = append(passed, filepath.Base(path))
		}
		return os.WriteFile(path, b, 0o600)
	})
	return fmt.Sprintf("%d changed, %d found %s", tried, found, strings.Join(passed, " ")), err == nil && tried > 0 && found == tried, err
}

// content is everything written in a log's folder.
func content(dir string) ([]byte, error) {
	var all []byte
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		all = append(all, b...)
		return err
	})
	return all, err
}
