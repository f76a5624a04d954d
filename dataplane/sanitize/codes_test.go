package sanitize

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Every code that the package can put into a report has a sentence in both languages, and the catalogue holds no other.
func TestEveryCodeHasASentence(t *testing.T) {
	m := map[string]map[string]string{}
	var files []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if strings.HasSuffix(path, ".go") {
			files = append(files, path)
		}
		if d.Name() == "codes.json" {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			here := map[string]map[string]string{}
			if err := json.Unmarshal(b, &here); err != nil {
				return err
			}
			for code, s := range here {
				if m[code] != nil {
					t.Errorf("code %s is in two catalogues, also in %s", code, path)
				}
				if got := Sentence(code, "en"); got != s["en"] {
					t.Errorf("code %s of %s: Sentence says %q: is the catalogue named in codes.go?", code, path, got)
				}
				m[code] = s
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{"internal": true}
	shape := regexp.MustCompile(`^(internal|limit|policy|type|name|text|csv|png|jpeg|image|ooxml|xml|odf|pdf|svg|html|json|md|mail|archive|legacy|mynumber|scan)\.[a-z-]+$`)
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
	if got := Sentence("type.encrypted", "en"); !strings.Contains(got, "password") {
		t.Errorf("en: got %q", got)
	}
	if got, want := Sentence("type.encrypted", "fr"), Sentence("type.encrypted", "ja"); got != want || got == "type.encrypted" {
		t.Errorf("another language: got %q, want Japanese", got)
	}
	if got := Sentence("no.such", "ja"); got != "no.such" {
		t.Errorf("unknown code: got %q", got)
	}
}
