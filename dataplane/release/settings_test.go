package release

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func rootDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "sekisho-settings-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestRoutes(t *testing.T) {
	const lgIn = "  - {from: lgwan, to: internet, approvals: [section-head], formats: [txt], max_size: 10, keep_days: 1}\n"
	for _, c := range []struct{ what, routes, want string }{
		{"as it should be", lgIn, ""},
		{"none", "", ""},
		{"F1 out", "  - {from: my-number, to: internet, approvals: [section-head], formats: [txt], max_size: 10, keep_days: 1}\n", "F1"},
		{"F1 in", "  - {from: internet, to: my-number, approvals: [section-head], formats: [txt], max_size: 10, keep_days: 1}\n", "F1"},
		{"management", "  - {from: management, to: internet, approvals: [section-head], formats: [txt], max_size: 10, keep_days: 1}\n", "between my-number"},
		{"uplink", "  - {from: lgwan, to: uplink, approvals: [section-head], formats: [txt], max_size: 10, keep_days: 1}\n", "between my-number"},
		{"to itself", "  - {from: lgwan, to: lgwan, approvals: [section-head], formats: [txt], max_size: 10, keep_days: 1}\n", "between my-number"},
		{"F5 LGWAN without approval", "  - {from: lgwan, to: internet, approvals: [], formats: [txt], max_size: 10, keep_days: 1, decision: x}\n", "F5"},
		{"F5 My Number without approval", "  - {from: my-number, to: lgwan, approvals: [], formats: [txt], max_size: 10, keep_days: 1, decision: x}\n", "F5"},
		{"F5 into My Number without approval", "  - {from: lgwan, to: my-number, approvals: [], formats: [txt], max_size: 10, keep_days: 1, decision: x}\n", "F5"},
		{"F5 without the section head", "  - {from: lgwan, to: internet, approvals: [it-admin], formats: [txt], max_size: 10, keep_days: 1}\n", "section-head"},
		{"F5 inbound without a decision", "  - {from: internet, to: lgwan, approvals: [], formats: [txt], max_size: 10, keep_days: 1}\n", "decision"},
		{"inbound with a decision", "  - {from: internet, to: lgwan, approvals: [], formats: [txt], max_size: 10, keep_days: 1, decision: CISO 12}\n", ""},
		{"twice", lgIn + lgIn, "twice"},
		{"unknown key", strings.Replace(lgIn, "keep_days", "keep-days", 1), "keep-days"},
		{"unknown zone", strings.Replace(lgIn, "lgwan", "lan", 1), "lan"},
		{"unknown format", strings.Replace(lgIn, "[txt]", "[exe]", 1), "exe"},
		{"no formats", strings.Replace(lgIn, "[txt]", "[]", 1), "formats"},
		{"no limit", strings.Replace(lgIn, "max_size: 10", "max_size: 0", 1), "max_size"},
		{"kept for ever", strings.Replace(lgIn, "keep_days: 1", "keep_days: 0", 1), "keep_days"},
	} {
		t.Run(c.what, func(t *testing.T) {
			path := filepath.Join(rootDir(t), "routes.yaml")
			head := "version: 1\nroutes:\n"
			if c.routes == "" {
				head = "version: 1\nroutes: []\n"
			}
			if err := os.WriteFile(path, []byte(head+c.routes), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := LoadRoutes(path)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantCode(t, err, CodeSetting)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestOnlyRootsFilesAreTrusted(t *testing.T) {
	for _, c := range []struct {
		what  string
		spoil func(dir, path string) error
	}{
		{"owned by another", func(_, path string) error { return os.Chown(path, 65534, 0) }},
		{"writable by the group", func(_, path string) error { return os.Chmod(path, 0o664) }},
		{"writable by others", func(_, path string) error { return os.Chmod(path, 0o646) }},
		{"a symbolic link", func(_, path string) error {
			return errors.Join(os.Rename(path, path+".x"), os.Symlink(path+".x", path))
		}},
		{"in another's directory", func(dir, _ string) error { return os.Chown(dir, 65534, 0) }},
		{"in a directory that others can write", func(dir, _ string) error { return os.Chmod(dir, 0o777) }},
		{"a pipe", func(_, path string) error { return errors.Join(os.Remove(path), mkfifo(path)) }},
		{"not there", func(_, path string) error { return os.Remove(path) }},
		{"too large", func(_, path string) error { return os.Truncate(path, maxSetting+1) }},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir := rootDir(t)
			path := filepath.Join(dir, "routes.yaml")
			if err := os.WriteFile(path, []byte("version: 1\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := readTrusted(path); err != nil {
				t.Fatalf("before: %v", err)
			}
			if err := c.spoil(dir, path); err != nil {
				t.Fatal(err)
			}
			_, err := readTrusted(path)
			wantCode(t, err, CodeSetting)
		})
	}
}

func TestApprovers(t *testing.T) {
	hash, err := tanakaHash()
	if err != nil {
		t.Fatal(err)
	}
	good := "version: 1\napprovers:\n  - {person: a, section: s, role: section-head, zones: [lgwan], hash: \"" + hash + "\"}\n"
	for _, c := range []struct{ what, old, new string }{
		{"as it should be", "", ""},
		{"few iterations", "$600000$", "$1000$"},
		{"another scheme", "pbkdf2-sha256", "plain"},
		{"no zones", "[lgwan]", "[]"},
		{"no section", "section: s", "section: \"\""},
		{"unknown key", "role:", "roll:"},
	} {
		path := filepath.Join(rootDir(t), "approvers.yaml")
		if err := os.WriteFile(path, []byte(strings.Replace(good, c.old, c.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadApprovers(path)
		if (err == nil) != (c.old == "") {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

func TestPassphrases(t *testing.T) {
	hash, err := tanakaHash()
	if err != nil {
		t.Fatal(err)
	}
	a := Approver{Person: "tanaka", Hash: hash}
	for _, c := range []struct {
		known bool
		pass  string
		want  bool
	}{{true, passphrase, true}, {true, passphrase + " ", false}, {true, "", false}, {false, passphrase, false}, {true, strings.Repeat("x", 2000), false}} {
		if got := passphraseFits(a, c.known, c.pass); got != c.want {
			t.Errorf("known %t, %.20q: got %t", c.known, c.pass, got)
		}
	}
	for _, short := range []string{"", "seven77", strings.Repeat("あ", 400)} {
		if _, err := HashPassphrase(short); err == nil {
			t.Errorf("%.10q was accepted", short)
		}
	}
}

func mkfifo(path string) error { return syscall.Mkfifo(path, 0o600) }
