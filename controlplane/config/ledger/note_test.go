package ledger

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryCodeHasASentence: each code that the package uses is in the catalogue, in both languages with the same arguments,
// and none is there for nothing.
func TestEveryCodeHasASentence(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, "../../../cmd/sekisho/ledger.go")
	var source strings.Builder
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
	code := regexp.MustCompile(`"((?:file|csv|sheet|map|skip|row|ditto|cell|text|id|name|side|address|prefix|segment|mac|port|service|date|state|class|window|approved|edit|check|export|report)\.[a-z]+)"`)
	used := map[string]bool{}
	for _, m := range code.FindAllStringSubmatch(source.String(), -1) {
		used[m[1]] = true
	}
	for _, f := range Fates {
		used["fate."+string(f)] = true
	}
	for _, f := range Fields {
		used[f.said()] = true
	}
	for _, k := range []string{"kind.station", "kind.service", "kind.window", "field.missing"} {
		used[k] = true
	}
	known := sentences.Codes()
	for c := range used {
		if !slices.Contains(known, c) {
			t.Errorf("%s has no sentence", c)
		}
	}
	verbs := regexp.MustCompile(`%\[\d\][sq]`)
	for _, c := range known {
		if !used[c] {
			t.Errorf("%s is used nowhere", c)
		}
		ja, en := sentences.Sentence(c, "ja"), sentences.Sentence(c, "en")
		if en == ja || strings.Count(ja, "%") != len(verbs.FindAllString(ja, -1)) {
			t.Errorf("%s: ja %q, en %q", c, ja, en)
		}
		args := func(s string) []string {
			var out []string
			for _, v := range verbs.FindAllString(s, -1) {
				out = append(out, v[:len(v)-1])
			}
			slices.Sort(out)
			return slices.Compact(out)
		}
		if !slices.Equal(args(ja), args(en)) {
			t.Errorf("%s: ja has %v, en %v", c, args(ja), args(en))
		}
	}
}
