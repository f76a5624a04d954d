package text_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/web/text"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// TestSameKeys holds the two catalogues together: the same keys, each once, and the same arguments in each text.
func TestSameKeys(t *testing.T) {
	ja, en := text.JA.Keys(), text.EN.Keys()
	if !slices.Equal(ja, en) {
		t.Errorf("only in ja: %v; only in en: %v", without(ja, en), without(en, ja))
	}
	verb := regexp.MustCompile(`%\[\d\][sd]`)
	for _, k := range ja {
		a, b := verb.FindAllString(text.JA.T(k), -1), verb.FindAllString(text.EN.T(k), -1)
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(a, b) {
			t.Errorf("%s: arguments %v in ja, %v in en", k, a, b)
		}
		for _, l := range []text.Lang{text.JA, text.EN} {
			if s := l.T(k); strings.TrimSpace(s) == "" || strings.Contains(verb.ReplaceAllString(s, ""), "%") {
				t.Errorf("%s %s: %q is empty or has an argument without index", l, k, s)
			}
		}
	}
	for _, l := range []string{"ja", "en"} {
		b, err := os.ReadFile(l + ".json")
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, m := range regexp.MustCompile(`(?m)^  "([^"]+)":`).FindAllStringSubmatch(string(b), -1) {
			if seen[m[1]] {
				t.Errorf("%s.json: %s stands twice", l, m[1])
			}
			seen[m[1]] = true
		}
		if !json.Valid(b) {
			t.Errorf("%s.json is no JSON", l)
		}
	}
}

// TestEveryKeyIsUsedAndEveryUseHasAKey reads the templates and programs: literal keys must exist, a family that is put
// together at run time ("state." and a state) must have at least one, and no text may be left that nothing shows.
func TestEveryKeyIsUsedAndEveryUseHasAKey(t *testing.T) {
	var source strings.Builder
	for _, pattern := range []string{"../templates/*.html", "../*.go", "../portal/*.go", "../portal/*.html", "../account/*.html", "*.go", "../../monitor/report/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(b)
		}
	}
	used := map[string]bool{}
	exact := regexp.MustCompile(`(?:\bt |\.T\(|Title: |"Text" |"Label" )"([a-z-]+(?:\.[a-z0-9-]+)*)"`)
	for _, m := range exact.FindAllStringSubmatch(source.String(), -1) {
		used[m[1]] = true
		if !text.JA.Has(m[1]) {
			t.Errorf("%s is used and has no text", m[1])
		}
	}
	families := map[string]bool{}
	family := regexp.MustCompile(`(?:print |:= |\bHas\(|\bT\()"([a-z-]+(?:\.[a-z-]+)*\.)"`)
	for _, m := range family.FindAllStringSubmatch(source.String(), -1) {
		families[m[1]] = true
	}
	families["title."] = true // "title." + name of the page
	for f := range families {
		if !slices.ContainsFunc(text.JA.Keys(), func(k string) bool { return strings.HasPrefix(k, f) }) {
			t.Errorf("family %s has no text", f)
		}
	}
	for _, k := range text.JA.Keys() {
		inFamily := false
		for f := range families {
			inFamily = inFamily || strings.HasPrefix(k, f)
		}
		if !used[k] && !inFamily {
			t.Errorf("%s is used nowhere", k)
		}
	}
}

// TestReasonsAreExplained compares with the packet core's own list.
func TestReasonsAreExplained(t *testing.T) {
	want := packet.Reasons()
	var have []string
	for _, k := range text.JA.Keys() {
		if r, ok := strings.CutPrefix(k, "reason."); ok && !slices.Contains([]string{"heading", "now", "peak", "none"}, r) {
			have = append(have, r)
		}
	}
	if missing := without(want, have); len(missing) > 0 {
		t.Errorf("no text for %v", missing)
	}
	if extra := without(have, want); len(extra) > 0 {
		t.Errorf("texts for reasons that do not exist: %v", extra)
	}
}

func TestUnknownKeyShows(t *testing.T) {
	if got := text.EN.T("no.such.key"); got != "[no.such.key]" {
		t.Errorf("got %q", got)
	}
	if got := text.Of("fr"); got != text.JA {
		t.Errorf("got %q, want Japanese", got)
	}
}

func TestFindingsAreExplained(t *testing.T) {
	for _, code := range []string{"csv.formula", "verify.limit", "sandbox.time", "gate.broker"} {
		for _, l := range []text.Lang{text.JA, text.EN} {
			if s := l.Finding(code); strings.Contains(s, code) {
				t.Errorf("%s %s: %q", l, code, s)
			}
		}
	}
	if s := text.JA.Finding("x.y"); !strings.Contains(s, "x.y") {
		t.Errorf("an unknown code is not shown: %q", s)
	}
}

func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}
