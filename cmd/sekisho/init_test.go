package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	parsed "github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/sandbox"
)

// TestMain lets the program that the test runs be its own child, as sekisho is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "enter" {
		os.Exit(dispatch(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// instance is a place for a gate of this test alone, removed at its end.
func instance(t *testing.T) place.Instance {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test installs a gate: run it as root")
	}
	i := place.Instance(fmt.Sprintf("it%d", os.Getpid()))
	t.Cleanup(func() {
		for _, d := range []string{i.Etc(), i.State(), i.Run()} {
			os.RemoveAll(d)
		}
		if err := sandbox.Undelegate(string(i)); err != nil {
			t.Error(err)
		}
	})
	return i
}

func sekisho(t *testing.T, want int, args ...string) (string, string) {
	t.Helper()
	var out, said bytes.Buffer
	if got := dispatch(context.Background(), args, &out, &said); got != want {
		t.Fatalf("sekisho %s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, want, out.String(), said.String())
	}
	return out.String(), said.String()
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const town = `
version: 1
sections: [{id: soumu, name: 総務課}]
people:
  - {id: suzuki, name: 鈴木, section: soumu, role: staff, zones: [lgwan, internet]}
  - {id: tanaka, name: 田中, section: soumu, role: section-head, zones: [lgwan]}
`

// keep remembers every file's content, owner and mode.
func keep(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			st, err := e.Info()
			if err != nil {
				return err
			}
			sys := st.Sys().(*syscall.Stat_t)
			all[path] = fmt.Sprintf("%s %d:%d ", st.Mode(), sys.Uid, sys.Gid)
			if st.Mode().IsRegular() {
				b, err := os.ReadFile(path)
				all[path] += string(b)
				return err
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestInit(t *testing.T) {
	i := instance(t)
	config, people := file(t, "town.yaml", string(examples.Lab)), file(t, "people.yaml", town)
	args := []string{"init", "--name", string(i), "--config", config, "--people", people}
	out, _ := sekisho(t, exitOK, args...)
	var made installed
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatal(err)
	}
	if made.Revision != 1 || len(made.People) != 2 || len(made.Portals) != 4 {
		t.Fatalf("%+v", made)
	}
	for _, p := range made.People {
		if len(p.Password) < 12 || (p.Passphrase != "") != (p.ID == "tanaka") {
			t.Errorf("credentials of %s: %q %q", p.ID, p.Password, p.Passphrase)
		}
	}
	t.Run("owners and modes", func(t *testing.T) {
		for path, want := range map[string]struct {
			owner string
			mode  os.FileMode
		}{
			i.Etc():                            {"root", 0o755},
			i.Anchors():                        {"root", 0o644},
			i.Routes():                         {"root", 0o644},
			i.Approvers():                      {"root", 0o640},
			i.VerifierKey():                    {"root", 0o644},
			i.ReleaseKey():                     {"root", 0o644},
			i.AuditKey():                       {"root", 0o644},
			i.CA():                             {"root", 0o644},
			filepath.Join(i.Etc(), "ca.key"):   {"root", 0o600},
			i.State():                          {"root", 0o711},
			i.StateOf("dataplane"):             {"root", 0o700},
			i.StateOf("control"):               {place.ControlUser, 0o700},
			i.AuditSigner():                    {place.ControlUser, 0o600},
			i.StateOf("broker"):                {place.BrokerUser, 0o700},
			i.ClamdConf():                      {"root", 0o644},
			i.Signatures():                     {place.ClamdUser, 0o755},
			i.Unpacked():                       {place.ClamdUser, 0o700},
			filepath.Dir(i.ClamdSocket()):      {place.ClamdUser, 0o750},
			i.StateOf("release"):               {place.ReleaseUser, 0o700},
			filepath.Dir(i.AdminSocket()):      {place.ControlUser, 0o711},
			filepath.Dir(i.BrokerSocket()):     {place.BrokerUser, 0o711},
			filepath.Dir(i.ReleaseSocket()):    {place.ReleaseUser, 0o711},
			filepath.Dir(i.DataplaneSocket()):  {"root", 0o711},
			i.PortalKey(place.PortalZones[1]):  {place.PortalUser(place.PortalZones[1]), 0o600},
			i.PortalCert(place.PortalZones[1]): {place.PortalUser(place.PortalZones[1]), 0o600},
			i.StateOf("portal-mn"):             {"sekisho-portal-mn", 0o700},
		} {
			uid, _, err := idsOf(want.owner)
			if err != nil {
				t.Fatal(err)
			}
			st, err := os.Stat(path)
			if err != nil {
				t.Error(err)
				continue
			}
			if got := st.Sys().(*syscall.Stat_t).Uid; int(got) != uid || st.Mode().Perm() != want.mode {
				t.Errorf("%s: owner %d mode %o, want %s (%d) %o", path, got, st.Mode().Perm(), want.owner, uid, want.mode)
			}
		}
		for path, said := range keep(t, i.StateOf("control")) {
			if uid, _, _ := idsOf(place.ControlUser); !strings.Contains(said, fmt.Sprintf(" %d:", uid)) {
				t.Errorf("%s does not belong to control", path)
			}
		}
	})
	t.Run("certificates", func(t *testing.T) {
		ca, err := readCert(i.CA())
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AddCert(ca)
		for n, p := range made.Portals {
			c, err := readCert(i.PortalCert(p.Zone))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{p.Name, p.Address.String()} {
				if _, err := c.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
					t.Errorf("portal of %s as %s: %v", p.Zone, name, err)
				}
			}
			if other := made.Portals[(n+1)%len(made.Portals)]; c.VerifyHostname(other.Name) == nil {
				t.Errorf("portal of %s may call itself %s", p.Zone, other.Name)
			}
			if c.IsCA || len(c.IPAddresses) != 1 || !c.IPAddresses[0].Equal(net.IP(p.Address.AsSlice())) {
				t.Errorf("portal of %s: %+v", p.Zone, c.IPAddresses)
			}
		}
	})
	t.Run("again: nothing changes, nothing is overwritten", func(t *testing.T) {
		before := keep(t, i.Etc(), i.State())
		out, _ := sekisho(t, exitOK, args...)
		var again installed
		if err := json.Unmarshal([]byte(out), &again); err != nil || len(again.People) != 0 || again.Revision != 1 {
			t.Errorf("%s", out)
		}
		after := keep(t, i.Etc(), i.State())
		for path, was := range before {
			if after[path] != was && !strings.HasSuffix(path, "state.db") {
				t.Errorf("%s changed", path)
			}
		}
		if len(after) != len(before) {
			t.Errorf("%d files, before %d", len(after), len(before))
		}
	})
	t.Run("again, with other rules: refused, nothing changes", func(t *testing.T) {
		other := file(t, "other.yaml", strings.Replace(string(examples.Lab), "max-size: 50MB, keep-days: 7", "max-size: 50MB, keep-days: 30", 1))
		before := keep(t, i.Etc(), i.State())
		_, said := sekisho(t, exitFailed, "init", "--name", string(i), "--config", other)
		for _, want := range []string{i.Routes() + " is in force", "-  keep_days: 7", "+  keep_days: 30", "sekisho routes " + other + " > " + i.Routes(), "--force-rules"} {
			if !strings.Contains(said, want) {
				t.Errorf("not said: %q\n%s", want, said)
			}
		}
		moved := file(t, "moved.yaml", strings.Replace(string(examples.Lab), "{id: in-net, zone: internet, port: inw0, prefixes: [203.0.113.0/24", "{id: in-net, zone: internet, port: inw0, prefixes: [203.0.113.0/25", 1))
		if _, said := sekisho(t, exitFailed, "init", "--name", string(i), "--config", moved); !strings.Contains(said, i.Anchors()+" is in force") || !strings.Contains(said, "+") || !strings.Contains(said, "restart sekisho-dataplane") {
			t.Error(said)
		}
		for path, was := range keep(t, i.Etc(), i.State()) {
			if before[path] != was {
				t.Errorf("%s changed", path)
			}
		}
		if err := os.WriteFile(i.Routes(), []byte("version: 1\nroutes: nonsense\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, said := sekisho(t, exitFailed, args...); !strings.Contains(said, i.Routes()+" cannot be read") {
			t.Error(said)
		}
		sekisho(t, exitOK, append(args, "--force-rules")...)
		sekisho(t, exitOK, args...)
	})
	t.Run("a remark and the officer's decision stay in the routes", func(t *testing.T) {
		b, err := os.ReadFile(i.Routes())
		if err != nil {
			t.Fatal(err)
		}
		decided := "# 第3号\n" + strings.Replace(string(b), "- from: internet\n", "- from: internet\n  decision: CISO 2026-04-01\n", 1)
		if err := os.WriteFile(i.Routes(), []byte(decided), 0o644); err != nil {
			t.Fatal(err)
		}
		sekisho(t, exitOK, args...)
		if b, err := os.ReadFile(i.Routes()); err != nil || string(b) != decided {
			t.Errorf("%v\n%s", err, b)
		}
		other := file(t, "other.yaml", strings.ReplaceAll(string(examples.Lab), "keep-days: 7", "keep-days: 30"))
		sekisho(t, exitOK, "init", "--name", string(i), "--config", other, "--people", people, "--force-rules")
		if b, err := os.ReadFile(i.Routes()); err != nil || !strings.Contains(string(b), "decision: CISO 2026-04-01") || strings.Contains(string(b), "keep_days: 7") {
			t.Errorf("%v\n%s", err, b)
		}
		sekisho(t, exitOK, append(args, "--force-rules")...)
	})
	t.Run("certificates are renewed, rules not", func(t *testing.T) {
		zone := made.Portals[0].Zone
		was, err := readCert(i.PortalCert(zone))
		if err != nil {
			t.Fatal(err)
		}
		if out, _ := sekisho(t, exitOK, "certificates", "renew", "--name", string(i), "--config", config); strings.Contains(out, "new certificate") {
			t.Errorf("renewed though nothing is due: %s", out)
		}
		if err := os.Remove(i.PortalCert(zone)); err != nil {
			t.Fatal(err)
		}
		rules := keep(t, i.Etc())
		out, _ := sekisho(t, exitOK, "certificates", "renew", "--name", string(i), "--config", config)
		if strings.Count(out, "new certificate") != 1 || !strings.Contains(out, "portal of "+zone.String()+": new certificate") {
			t.Error(out)
		}
		for path, said := range keep(t, i.Etc()) {
			if rules[path] != said {
				t.Errorf("%s changed", path)
			}
		}
		cfg, faults := parsed.Parse(examples.Lab)
		if err := faults.Err(); err != nil {
			t.Fatal(err)
		}
		late := was.NotAfter.Add(-29 * 24 * time.Hour)
		renewed, err := certificates(i, cfg, late)
		if err != nil || len(renewed) != len(made.Portals) {
			t.Fatalf("a month before the end: renewed %v, %v", renewed, err)
		}
		now, err := readCert(i.PortalCert(zone))
		if err != nil || !now.NotAfter.After(was.NotAfter.AddDate(0, 6, 0)) {
			t.Errorf("until %v, before %v: %v", now.NotAfter, was.NotAfter, err)
		}
		if key, err := readKey(i.PortalKey(zone)); err != nil || !key.PublicKey.Equal(now.PublicKey) || !key.PublicKey.Equal(was.PublicKey) {
			t.Errorf("the portal's key is another one: %v", err)
		}
		sekisho(t, exitUsage, "certificates", "--name", string(i))
	})
	t.Run("the log of it verifies, and with a byte changed it does not", func(t *testing.T) {
		out, _ := sekisho(t, exitOK, "audit", "verify", "--key", i.AuditKey(), i.AuditLog())
		if !strings.Contains(out, "the log holds: 4 events") {
			t.Error(out)
		}
		copied := filepath.Join(t.TempDir(), "log")
		if err := os.CopyFS(copied, os.DirFS(i.AuditLog())); err != nil {
			t.Fatal(err)
		}
		leaf := filepath.Join(copied, "tile/8/data/000")
		b, err := os.ReadFile(leaf)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(leaf, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, _ := sekisho(t, exitFailed, "audit", "verify", copied); !strings.Contains(out, "tile/8/data/000 line") {
			t.Errorf("it is not said where: %s", out)
		}
		if out, _ := sekisho(t, exitOK, "audit", "show", "--from", "1", "--max", "2", i.AuditLog()); strings.Count(out, "\n") != 2 || !strings.Contains(out, "section.set") {
			t.Error(out)
		}
	})
	t.Run("more people", func(t *testing.T) {
		add := []string{"person", "add", "--name", string(i), "--id", "sato", "--person-name", "佐藤", "--section", "it=情報政策課", "--role", "it-admin", "--zones", "management"}
		if out, _ := sekisho(t, exitOK, add...); !strings.Contains(out, `"password"`) {
			t.Error(out)
		}
		sekisho(t, exitFailed, add...)
		sekisho(t, exitUsage, "person", "add", "--name", string(i), "--id", "x", "--role", "king", "--section", "it", "--zones", "management")
		if out, _ := sekisho(t, exitOK, "person", "reset", "--name", string(i), "--id", "sato"); !strings.Contains(out, `"password"`) {
			t.Error(out)
		}
		sekisho(t, exitFailed, "person", "reset", "--name", string(i), "--id", "nobody")
		approver := []string{"approver", "add", "--name", string(i), "--id", "kato", "--section", "soumu", "--zones", "lgwan"}
		if out, _ := sekisho(t, exitOK, approver...); !strings.Contains(out, `"passphrase"`) {
			t.Error(out)
		}
		sekisho(t, exitFailed, approver...)
		sekisho(t, exitOK, "approver", "remove", "--name", string(i), "--id", "kato")
		if b, err := os.ReadFile(i.Approvers()); err != nil || strings.Contains(string(b), "kato") || !strings.Contains(string(b), "tanaka") {
			t.Errorf("%v\n%s", err, b)
		}
		sekisho(t, exitFailed, "approver", "remove", "--name", string(i), "--id", "kato")
		sekisho(t, exitOK, approver...)

		if _, said := sekisho(t, exitOK, "person", "disable", "--name", string(i), "--id", "tanaka"); !strings.Contains(said, "approver remove") {
			t.Errorf("not said that tanaka may still approve: %s", said)
		}
		sekisho(t, exitOK, "person", "enable", "--name", string(i), "--id", "tanaka")
		if out, _ := sekisho(t, exitOK, "person", "change", "--name", string(i), "--id", "suzuki", "--section", "zeimu=税務課", "--role", "section-head"); !strings.Contains(out, `"zeimu"`) || !strings.Contains(out, "section-head") || !strings.Contains(out, "鈴木") {
			t.Error(out)
		}
		for _, bad := range [][]string{{"disable", "--id", "nobody"}, {"change", "--id", "suzuki", "--role", "king"}, {"change", "--id", "suzuki", "--section", "moon"}} {
			sekisho(t, exitFailed, append([]string{"person", bad[0], "--name", string(i)}, bad[1:]...)...)
		}
		if out, _ := sekisho(t, exitOK, "audit", "show", i.AuditLog()); !strings.Contains(out, "person.disable") || !strings.Contains(out, "person.enable") || !strings.Contains(out, "person.change") {
			t.Error(out)
		}
	})
	t.Run("a lost audit key is not replaced while there is a log", func(t *testing.T) {
		if err := os.Rename(i.AuditSigner(), i.AuditSigner()+".away"); err != nil {
			t.Fatal(err)
		}
		if _, said := sekisho(t, exitFailed, args...); !strings.Contains(said, "audit") {
			t.Error(said)
		}
		if err := os.Rename(i.AuditSigner()+".away", i.AuditSigner()); err != nil {
			t.Fatal(err)
		}
		sekisho(t, exitOK, args...)
	})
}

func TestInitRefuses(t *testing.T) {
	i := instance(t)
	good := file(t, "town.yaml", string(examples.Lab))
	for name, c := range map[string]struct{ config, people, want string }{
		"a faulty configuration": {file(t, "bad.yaml", strings.Replace(string(examples.Lab), "model: alpha", "model: omega", 1)), file(t, "p.yaml", town), "omega"},
		"an unknown key":         {good, file(t, "p.yaml", town+"colour: red\n"), "colour"},
		"an unknown section":     {good, file(t, "p.yaml", strings.Replace(town, "section: soumu", "section: zeimu", 1)), "zeimu"},
	} {
		if _, said := sekisho(t, exitFailed, "init", "--name", string(i), "--config", c.config, "--people", c.people); !strings.Contains(said, c.want) {
			t.Errorf("%s: %s", name, said)
		}
		if _, err := os.Stat(i.State()); err == nil {
			t.Errorf("%s: something was made", name)
		}
	}
}
