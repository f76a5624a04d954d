package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// TestEveryCodeIsDocumented: each code that a report may hold, in whatever package it lies, has a line in both languages.
func TestEveryCodeIsDocumented(t *testing.T) {
	tables := map[string]string{}
	for _, lang := range []string{"ja", "en"} {
		t.Setenv("LC_ALL", lang)
		var out bytes.Buffer
		if code := runSanitize(t.Context(), []string{"--codes"}, &out, &out); code != exitOK {
			t.Fatal(out.String())
		}
		tables[lang] = out.String()
	}
	files := 0
	err := filepath.WalkDir("../../dataplane", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "codes.json" || filepath.Dir(path) == "../../dataplane/release" { // what release answers stands in no report
			return err
		}
		files++
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var codes map[string]map[string]string
		if err := json.Unmarshal(b, &codes); err != nil {
			return err
		}
		for code := range codes {
			for lang, table := range tables {
				_, line, ok := strings.Cut(table, "| `"+code+"` | ")
				if line, _, _ = strings.Cut(line, "\n"); !ok || strings.TrimSuffix(line, " |") == code || line == " |" {
					t.Errorf("%s, %s: no line (%q)", code, lang, line)
				}
			}
		}
		return nil
	})
	if err != nil || files < 20 {
		t.Errorf("%d files, %v", files, err)
	}
	if tables["ja"] == tables["en"] {
		t.Error("both languages say the same")
	}
}

// TestTheReportIsWhatItsSchemaSays: the entries of the command's own, and those of the manual.
func TestTheReportIsWhatItsSchemaSays(t *testing.T) {
	var out bytes.Buffer
	if code := runSanitize(t.Context(), []string{"--schema"}, &out, &out); code != exitOK || !bytes.Equal(out.Bytes(), verdict.ReportSchema) {
		t.Errorf("%d %s", code, out.String())
	}
	var schema struct {
		Items struct {
			Required   []string
			Properties map[string]any
		}
		Defs map[string]struct{ Properties map[string]any } `json:"$defs"`
	}
	if err := json.Unmarshal(out.Bytes(), &schema); err != nil {
		t.Fatal(err)
	}
	known := 0
	for f := range reflect.TypeFor[fileResult]().Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if _, ok := schema.Items.Properties[key]; ok {
			known++
		}
	}
	if known != len(schema.Items.Properties) || known != reflect.TypeFor[fileResult]().NumField() {
		t.Errorf("%d of %d fields of an entry are in the schema", known, reflect.TypeFor[fileResult]().NumField())
	}
	for _, manual := range []string{"REPORT.md", "REPORT.ja.md"} {
		b, err := os.ReadFile("../../dataplane/verdict/" + manual)
		if err != nil {
			t.Fatal(err)
		}
		for name, def := range schema.Defs {
			for key := range def.Properties {
				if !bytes.Contains(b, []byte("`"+key+"`")) {
					t.Errorf("%s does not speak of %s.%s", manual, name, key)
				}
			}
		}
	}
}
