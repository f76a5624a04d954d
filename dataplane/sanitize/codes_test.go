package sanitize

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Every code that the package can put into a report has a sentence in both languages, and the catalogue holds no other.
func TestEveryCodeHasASentence(t *testing.T) {
	var m map[string]map[string]string
	if err := json.Unmarshal(codesJSON, &m); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{"internal": true}
	shape := regexp.MustCompile(`^(internal|limit|type|name|text|csv|png|jpeg|image|ooxml)\.[a-z-]+$`)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				if s, err := strconv.Unquote(l.Value); err == nil && shape.MatchString(s) {
					used[s] = true
				}
			}
			return true
		})
	}
	for c := range used {
		for _, lang := range []string{"ja", "en"} {
			if s := m[c][lang]; len(s) < 20 {
				t.Errorf("code %s: no sentence in %s", c, lang)
			}
		}
	}
	for c := range m {
		if !used[c] {
			t.Errorf("code %s is in the catalogue, but nothing reports it", c)
		}
	}
}

func TestSentence(t *testing.T) {
	if got := Sentence("type.pdf", "en"); !strings.Contains(got, "PDF") {
		t.Errorf("en: got %q", got)
	}
	if got, want := Sentence("type.pdf", "fr"), Sentence("type.pdf", "ja"); got != want || got == "type.pdf" {
		t.Errorf("another language: got %q, want Japanese", got)
	}
	if got := Sentence("no.such", "ja"); got != "no.such" {
		t.Errorf("unknown code: got %q", got)
	}
}
