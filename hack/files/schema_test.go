package files

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// conforms holds the reports on a file to the published schema.
func conforms(t *testing.T, name string, o Outcome) {
	t.Helper()
	var schema map[string]any
	if err := json.Unmarshal(verdict.ReportSchema, &schema); err != nil {
		t.Fatal(err)
	}
	for side, r := range map[string]verdict.Report{"sanitizer": o.Report, "verifier": o.Verified} {
		if r.Version == 0 {
			continue // it was not asked
		}
		b, err := json.Marshal(r)
		var v any
		if err == nil {
			err = json.Unmarshal(b, &v)
		}
		if err == nil {
			err = against(schema, schema["$defs"].(map[string]any)["report"].(map[string]any), v)
		}
		if err != nil {
			t.Errorf("%s: the %s's report: %v", name, side, err)
		}
	}
}

// against holds a value to the words of JSON Schema that the report's uses; any other word is an error, so that none is only believed
// to hold.
func against(root, s map[string]any, v any) error {
	for word, want := range s {
		var err error
		switch word {
		case "description":
		case "$ref":
			name := strings.TrimPrefix(want.(string), "#/$defs/")
			err = against(root, root["$defs"].(map[string]any)[name].(map[string]any), v)
		case "type":
			kinds, many := want.([]any)
			if !many {
				kinds = []any{want}
			}
			if !slices.ContainsFunc(kinds, func(k any) bool { return isKind(k.(string), v) }) {
				err = fmt.Errorf("%v is no %v", v, want)
			}
		case "enum":
			if !slices.Contains(want.([]any), v) {
				err = fmt.Errorf("%v is none of %v", v, want)
			}
		case "pattern":
			if x := v.(string); !regexp.MustCompile(want.(string)).MatchString(x) {
				err = fmt.Errorf("%q does not match %s", x, want)
			}
		case "format":
			_, err = time.Parse(time.RFC3339, v.(string))
		case "maxLength":
			if x := v.(string); utf8.RuneCountInString(x) > int(want.(float64)) {
				err = fmt.Errorf("%q is longer than %v", x, want)
			}
		case "minimum":
			if v.(float64) < want.(float64) {
				err = fmt.Errorf("%v is less than %v", v, want)
			}
		case "required":
			for _, key := range want.([]any) {
				if _, ok := v.(map[string]any)[key.(string)]; !ok {
					err = fmt.Errorf("%v is missing", key)
				}
			}
		case "properties":
			for key, of := range want.(map[string]any) {
				if x, ok := v.(map[string]any)[key]; ok {
					if e := against(root, of.(map[string]any), x); e != nil {
						err = fmt.Errorf("%s: %w", key, e)
					}
				}
			}
		case "items":
			list, _ := v.([]any)
			for i, x := range list {
				if e := against(root, want.(map[string]any), x); e != nil {
					err = fmt.Errorf("%d: %w", i, e)
				}
			}
		default:
			err = fmt.Errorf("the test knows no %s", word)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func isKind(kind string, v any) bool {
	switch x := v.(type) {
	case nil:
		return kind == "null"
	case string:
		return kind == "string"
	case float64:
		return kind == "number" || kind == "integer" && x == float64(int64(x))
	case []any:
		return kind == "array"
	case map[string]any:
		return kind == "object"
	}
	return false
}

func TestTheSchemaRefusesWhatItShould(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(verdict.ReportSchema, &schema); err != nil {
		t.Fatal(err)
	}
	good := `[{"file":"a","report":{"version":1,"name":"a","outcome":"clean","findings":[{"code":"ooxml.vba","action":"removed"}],"before":{"sha256":"` + strings.Repeat("ab", 32) + `","size":1},"engine":"e"}}]`
	for what, c := range map[string]struct{ old, new string }{
		"": {}, "no version": {`"version":1,`, ``}, "another version": {`"version":1`, `"version":2`}, "an outcome of its own": {`"clean"`, `"fine"`}, "no hash": {`"abab`, `"AB`},
		"an action of its own": {`"removed"`, `"gone"`}, "a code that is none": {`"ooxml.vba"`, `"a b"`}, "no file": {`"file":"a",`, ``}, "a size below nothing": {`"size":1`, `"size":-1`},
		"text for a list": {`[{"code":"ooxml.vba","action":"removed"}]`, `"none"`},
	} {
		in := good
		if c.old != "" {
			in = strings.Replace(good, c.old, c.new, 1)
		}
		var v any
		if err := json.Unmarshal([]byte(in), &v); err != nil || what != "" && in == good {
			t.Fatalf("%s: %v", what, err)
		}
		words := map[string]any{"type": schema["type"], "items": schema["items"]}
		if err := against(schema, words, v); (err == nil) != (what == "") {
			t.Errorf("%q: %v", what, err)
		}
	}
}
