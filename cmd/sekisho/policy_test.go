package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var updateGolden = flag.Bool("update", false, "write the golden files anew")

const exampleDir = "../../controlplane/config/examples/"

// spoiled writes the lab's configuration with one replacement, as lab.yaml in a directory of its own.
func spoiled(t *testing.T, old, new string) string {
	t.Helper()
	doc, err := os.ReadFile(exampleDir + "lab.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(doc), old, new, 1)
	if strings.Contains(new, "office-hours") {
		text += "windows:\n  - {id: office-hours, days: [mon, tue, wed, thu, fri], from: \"08:30\", to: \"17:15\"}\n"
	}
	if text == string(doc) && old != "" {
		t.Fatalf("%q is not in the lab's configuration", old)
	}
	file := filepath.Join(t.TempDir(), "lab.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// ran runs a subcommand and gives its exit code and all that it printed, file names cut to their last part.
func ran(args ...string) (int, string) {
	var out bytes.Buffer
	code := dispatch(context.Background(), args, &out, &out)
	text := out.String()
	for _, a := range args {
		if strings.Contains(a, "/") {
			text = strings.ReplaceAll(text, a, filepath.Base(a))
		}
	}
	return code, text
}

// Two records, each right, that together join the internet and My Number, and a third that leads on into a region.
const (
	inTheMiddle = "\ncommunications:\n"
	twoRecords  = `  - id: web-maintenance
    from: {stations: [in-pc1]}
    to: {services: [eltax]}
    ports: [tcp/443]
    window: office-hours
    purpose: 保守
    owner: 情報管理室
  - id: asp-notify
    from: {stations: [lg-pc1]}
    to: {services: [resident]}
    ports: [tcp/443]
    purpose: 通知
    owner: 総務課
  - id: lg-mail
    from: {stations: [in-pc1]}
    to: {stations: [lg-pc2]}
    ports: [tcp/25]
    purpose: メール
    owner: 総務課
`
)

func TestPolicyCommands(t *testing.T) {
	t.Setenv("LC_ALL", "C") // the language of reports is the terminal's
	trace := func(args ...string) []string { return append([]string{"trace", "LAB", "--at", "2026-10-01"}, args...) }
	cases := []struct {
		golden   string
		old, new string // replacement in the lab's configuration
		args     []string
		code     int
	}{
		{"check-clean", "", "", []string{"check", "LAB", "--at", "2026-10-01"}, 0},
		{"check-lines", "", "", []string{"check", "LAB", "--explain", "--at", "2026-10-01"}, 0},
		{"check-errors", "{id: mg0, zone: management", "{id: mg0, zone: managment", []string{"check", "LAB", "--at", "2026-10-01"}, 1},
		{"check-counterexample", "to: {services: [eltax]}", "to: {services: [web]}", []string{"check", "LAB", "--at", "2026-10-01"}, 1},
		{"check-any-between-zones", "from: {stations: [mn-pc1]}", "from: {segments: [mn-office]}", []string{"check", "LAB", "--at", "2026-10-01"}, 1},
		{"check-expired", "until: 2036-03-31", "until: 2026-09-30", []string{"check", "LAB", "--at", "2026-10-01"}, 0},
		{"trace-expired", "until: 2036-03-31", "until: 2026-09-30", trace("--from", "my-number", "--src", "198.18.10.11", "--dst", "198.18.21.11", "--proto", "tcp", "--dport", "443"), 1},
		{"trace-last-minute", "until: 2036-03-31", "until: 2026-10-01 17:15", []string{"trace", "LAB", "--at", "2026-10-01 17:14", "--from", "my-number", "--src", "198.18.10.11", "--dst", "198.18.21.11", "--dport", "443"}, 0},
		{"trace-outside-window", "    purpose: 地方税の電子申告の受付", "    window: office-hours\n    purpose: 地方税の電子申告の受付", trace("--from", "my-number", "--src", "198.18.10.11", "--dst", "198.18.21.11", "--proto", "tcp", "--dport", "443"), 1},
		{"check-suspended", "    owner: 税務課", "    state: suspended\n    owner: 税務課", []string{"check", "LAB", "--at", "2026-10-01"}, 0},
		{"check-expired-draft", "until: 2036-03-31", "until: 2026-09-30\n    state: draft", []string{"check", "LAB", "--at", "2026-10-01"}, 0},
		{"trace-suspended", "    owner: 税務課", "    state: suspended\n    owner: 税務課", trace("--from", "my-number", "--src", "198.18.10.11", "--dst", "198.18.21.11", "--proto", "tcp", "--dport", "443"), 1},
		{"hygiene", "    until: 2036-03-31", "    until: 2026-10-15\n    review: 2026-09-30", []string{"hygiene", "LAB", "--at", "2026-10-01"}, 0},
		{"hygiene-json", "from: {stations: [lg-pc1, lg-pc2]}", "from: {stations: [lg-pc1, mn-pc1]}", []string{"hygiene", "LAB", "--at", "2026-10-01", "--json"}, 0},
		{"hygiene-errors", "model: alpha", "model: alfa", []string{"hygiene", "LAB"}, 1},
		{"hygiene-no-argument", "", "", []string{"hygiene", "--at", "2026-10-01"}, 2},
		{"explain", "", "", []string{"explain", "LAB", "resident-core"}, 0},
		{"explain-shared", "    until: 2036-03-31\n  - id: web-use", "    until: 2037-03-31\n  - {id: more, from: {groups: [tax-desks]}, to: {services: [eltax]}, class: general, purpose: x, owner: x, since: 2040-04-01, window: office-hours}\n  - id: web-use", []string{"explain", "LAB", "eltax-submit"}, 0},
		{"explain-segment", "", "", []string{"explain", "LAB", "web-use", "--json"}, 0},
		{"explain-draft", "    owner: 税務課", "    state: draft\n    owner: 税務課", []string{"explain", "LAB", "eltax-submit"}, 0},
		{"explain-gate", "", "", []string{"explain", "LAB", "gate:portal-lgwan"}, 0},
		{"explain-unknown", "", "", []string{"explain", "LAB", "eltax-sumbit"}, 1},
		{"explain-no-record", "", "", []string{"explain", "LAB"}, 2},
		{"stones", inTheMiddle, inTheMiddle + twoRecords, []string{"stones", "LAB"}, 0},
		{"stones-json", inTheMiddle, inTheMiddle + twoRecords, []string{"stones", "LAB", "--json"}, 0},
		{"stones-none", "", "", []string{"stones", "LAB"}, 0},
		{"stones-counted", inTheMiddle, inTheMiddle + twoRecords, []string{"check", "LAB", "--at", "2026-10-01"}, 0},
		{"measures", "model: alpha", "model: beta\nmeasures:\n  - {id: edr, done: {by: 情報政策課, on: 2026-04-01, evidence: 契約書}}\n  - {id: epp, planned: {until: 2026-09-01}}\n  - {id: wireless-lgwan, not-applicable: {why: 無線LANはない}}", []string{"measures", "LAB", "--at", "2026-10-01"}, 1},
		{"measures-broken", "to: {services: [eltax]}", "to: {services: [web]}", []string{"measures", "LAB", "--at", "2026-10-01"}, 1},
		{"templates", "", "", []string{"templates"}, 0},
		{"templates-piece", "", "", []string{"templates", "show", "eltax"}, 0},
		{"templates-model", "", "", []string{"templates", "show", "alpha-prime", "--at", "2026-10-01"}, 0},
		{"templates-unknown", "", "", []string{"templates", "show", "eltacs"}, 1},
		{"templates-nonsense", "", "", []string{"templates", "eltax"}, 2},
		{"check-no-file", "", "", []string{"check", "nowhere.yaml"}, 1},
		{"check-no-argument", "", "", []string{"check"}, 2},
		{"check-two-files", "", "", []string{"check", "LAB", "LAB"}, 2},
		{"trace-passes", "", "", trace("--from", "my-number", "--src", "198.18.10.11", "--dst", "198.18.21.11", "--proto", "tcp", "--dport", "443"), 0},
		{"trace-other-port", "", "", trace("--from", "my-number", "--src", "198.18.10.11", "--dst", "198.18.21.11", "--proto", "tcp", "--dport", "22"), 1},
		{"trace-rogue-mac", "", "", trace("--from", "my-number", "--src", "198.18.10.11", "--dst", "198.18.21.11", "--proto", "tcp", "--dport", "443", "--mac", "02:00:00:00:00:99"), 1},
		{"trace-unregistered", "", "", trace("--from", "my-number", "--src", "198.18.10.99", "--dst", "198.18.21.11", "--proto", "tcp", "--dport", "443"), 1},
		{"trace-spoofed", "", "", trace("--from", "lgwan", "--src", "198.18.10.11", "--dst", "198.18.21.11", "--proto", "tcp", "--dport", "443"), 1},
		{"trace-to-internet", "", "", trace("--from", "my-number", "--src", "2001:db8:10::11", "--dst", "2001:db8:31::11", "--proto", "tcp", "--dport", "443"), 1},
		{"trace-wrong-way", "", "", trace("--from", "lgwan", "--src", "198.18.21.11", "--dst", "198.18.10.11", "--proto", "tcp", "--dport", "443"), 1},
		{"trace-into-tunnel", "", "", trace("--from", "my-number", "--src", "198.18.10.11", "--dst", "198.51.100.11", "--proto", "icmp"), 0},
		{"trace-nowhere", "", "", trace("--from", "my-number", "--src", "198.18.10.11", "--dst", "198.18.99.1", "--proto", "udp", "--dport", "53"), 1},
		{"trace-mixed-up", "", "", trace("--from", "mynumber", "--src", "198.18.10.300", "--dst", "x", "--proto", "igmp", "--mac", "1"), 2},
		{"anchors", "", "", []string{"anchors", "LAB"}, 0},
		{"routes", "", "", []string{"routes", "LAB"}, 0},
		{"routes-errors", "to: internet", "to: my-numbers", []string{"routes", "LAB"}, 1},
	}
	for _, c := range cases {
		t.Run(c.golden, func(t *testing.T) {
			file := spoiled(t, c.old, c.new)
			args := append([]string{}, c.args...)
			for i := range args {
				if args[i] == "LAB" {
					args[i] = file
				}
			}
			code, got := ran(args...)
			if code != c.code {
				t.Errorf("exit code: got %d, want %d", code, c.code)
			}
			golden(t, c.golden, got)
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "policy", name+".golden")
	if *updateGolden {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The anchors that a configuration derives bind the next one: a second configuration that relabels the internet's port is
// refused against them.
func TestCheckAgainstAnchors(t *testing.T) {
	_, text := ran("anchors", exampleDir+"lab.yaml")
	anchors := filepath.Join(t.TempDir(), "anchors.yaml")
	if err := os.WriteFile(anchors, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := ran("check", exampleDir+"lab.yaml", "--anchors", anchors); code != 0 || strings.Contains(out, "no --anchors") {
		t.Fatalf("the same configuration: got exit %d\n%s", code, out)
	}
	lie := spoiled(t, "{id: inw0, zone: internet", "{id: inw0, zone: lgwan")
	doc, err := os.ReadFile(lie)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(lie, bytes.Replace(doc, []byte("{id: in-net, zone: internet"), []byte("{id: in-net, zone: lgwan"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out := ran("check", "--anchors", anchors, lie)
	if code != 1 || !strings.Contains(out, `refused: I10: segment "in-net": the tables say number 5, zone lgwan`) {
		t.Fatalf("a relabelled port: got exit %d\n%s", code, out)
	}
}

func TestTownAndCityAreProven(t *testing.T) {
	for _, name := range []string{"town.yaml", "city.yaml"} {
		if code, out := ran("check", exampleDir+name); code != 0 || !strings.Contains(out, "valid and proven") {
			t.Errorf("%s: got exit %d\n%s", name, code, out)
		}
	}
}
