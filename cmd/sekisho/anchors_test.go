package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/policy"
)

// Root changes the anchors at the box: what differs is shown in words, the name is asked for, and only then is the file another.
func TestAnchorsPutAndHistory(t *testing.T) {
	i := instance(t)
	if err := os.MkdirAll(i.Etc(), 0o755); err != nil {
		t.Fatal(err)
	}
	_, text := ran("anchors", exampleDir+"lab.yaml")
	if err := os.WriteFile(i.Anchors(), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	name := string(i)
	draft := filepath.Join(t.TempDir(), "next.yaml")
	write := func(old, new string) string {
		next := strings.Replace(text, old, new, 1)
		if next == text && old != new {
			t.Fatalf("%q is not in the anchors", old)
		}
		if err := os.WriteFile(draft, []byte(next), 0o600); err != nil {
			t.Fatal(err)
		}
		return next
	}
	now := func() string {
		b, err := os.ReadFile(i.Anchors())
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	put := func(typed string, args ...string) (int, string) {
		var out bytes.Buffer
		code := anchorsPut(append([]string{"--name", name, draft}, args...), strings.NewReader(typed), &out, &out)
		return code, out.String()
	}
	if code, out := ran("anchors", "history", "--name", name); code != exitOK || !strings.Contains(out, "none yet") {
		t.Errorf("history before the first start: %d %s", code, out)
	}
	if _, _, err := historyOf(name).Keep([]byte(text), time.Now()); err != nil { // the dataplane starts
		t.Fatal(err)
	}

	next := write("zone: internet\n  attach: port\n  port: inw0", "zone: lgwan\n  attach: port\n  port: inw0")
	for _, x := range []struct {
		name, typed string
		want        string
	}{
		{"nothing typed", "", "nothing was changed"},
		{"another name typed", "sekisho\n", "nothing was changed"},
		{"yes typed", "yes\n", "nothing was changed"},
	} {
		if code, out := put(x.typed); code != exitFailed || !strings.Contains(out, x.want) || !strings.Contains(out, "segment in-net: zone: internet becomes lgwan") || now() != text {
			t.Errorf("%s: %d %s", x.name, code, out)
		}
	}
	write("zone: internet\n  attach: port\n  port: inw0", "zone: dmz\n  attach: port\n  port: inw0")
	if code, out := put(name + "\n"); code != exitFailed || !strings.Contains(out, "dmz") || now() != text {
		t.Errorf("a file that is not valid: %d %s", code, out)
	}
	write("", "")
	if code, out := put(""); code != exitOK || !strings.Contains(out, "nothing changes") {
		t.Errorf("the same file: %d %s", code, out)
	}
	if code, out := ran("anchors", "diff", "--name", name); code != exitOK || out != "" {
		t.Errorf("diff while nothing differs: %d %s", code, out)
	}
	write("zone: internet\n  attach: port\n  port: inw0", "zone: lgwan\n  attach: port\n  port: inw0")
	if code, out := put(name + "\n"); code != exitOK || !strings.Contains(out, "systemctl restart sekisho-dataplane") || now() != next {
		t.Errorf("put: %d %s", code, out)
	}
	if code, out := ran("anchors", "diff", "--name", name); code != exitFailed || out != "segment in-net: zone: internet becomes lgwan\n" {
		t.Errorf("diff of what is in force and the file: %d %s", code, out)
	}
	if _, _, err := historyOf(name).Keep([]byte(next), time.Now()); err != nil {
		t.Fatal(err)
	}
	if code, out := ran("anchors", "history", "--name", name); code != exitOK || strings.Count(out, "\n") != 3 || !strings.Contains(out, "    segment in-net: zone: internet becomes lgwan\n") {
		t.Errorf("history: %d %s", code, out)
	}
	for _, x := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"1", "2"}, exitFailed, "internet becomes lgwan"}, {[]string{"2", "1"}, exitFailed, "lgwan becomes internet"}, {[]string{"2"}, exitOK, ""},
		{[]string{"7"}, exitUsage, "no number 7"}, {[]string{"x"}, exitUsage, "want a number"}, {[]string{"1", "2", "3"}, exitUsage, "usage"},
	} {
		if code, out := ran(append([]string{"anchors", "diff", "--name", name}, x.args...)...); code != x.code || !strings.Contains(out, x.want) {
			t.Errorf("diff %v: %d %s", x.args, code, out)
		}
	}
	// What the policy in force would say to them is told before, not found out at the next start.
	if err := os.MkdirAll(i.StateOf("dataplane"), 0o700); err != nil {
		t.Fatal(err)
	}
	cfg, _ := config.Parse(examples.Lab)
	g, err := policy.Compile(cfg, policy.Anchors(cfg))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := json.Marshal(g)
	if err == nil {
		err = os.WriteFile(filepath.Join(i.StateOf("dataplane"), "generation.json"), kept, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	write("", "")
	if err := os.WriteFile(draft, []byte(text+"# checked\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := put(""); code != exitFailed || strings.Contains(out, "WARNING") {
		t.Errorf("anchors that the policy in force fits: %d %s", code, out)
	}
	write("zone: my-number\n  attach: port\n  port: mn0", "zone: internet\n  attach: port\n  port: mn0")
	if code, out := put(""); code != exitFailed || !strings.Contains(out, "WARNING: the policy in force does not fit them") || !strings.Contains(out, "I10") {
		t.Errorf("anchors that the policy in force does not fit: %d %s", code, out)
	}

	write("", "")
	if code, out := put("", "--yes"); code != exitOK || now() != text {
		t.Errorf("put --yes: %d %s", code, out)
	}
	if fi, err := os.Stat(i.Anchors()); err != nil || fi.Mode().Perm() != 0o644 {
		t.Errorf("the file is %v, %v, want mode 0644", fi, err)
	}
	if code, _ := ran("anchors", "put", "--name", name+"-elsewhere", draft); code != exitFailed {
		t.Error("a gate that does not exist got anchors")
	}
}
