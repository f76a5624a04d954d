package verdict

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestSchemaIsThatOfTheTypes: each field of a report is in its schema, required when it is always written, and nothing else is.
func TestSchemaIsThatOfTheTypes(t *testing.T) {
	var schema struct {
		Defs map[string]struct {
			Required   []string
			Properties map[string]any
		} `json:"$defs"`
	}
	if err := json.Unmarshal(ReportSchema, &schema); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{"report": Report{}, "finding": Finding{}, "digest": Digest{}, "preview": Preview{}} {
		def := schema.Defs[name]
		var have, always []string
		for f := range reflect.TypeOf(v).Fields() {
			key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if key == "needs" { // between worker and broker: never in a report that is handed on
				continue
			}
			have = append(have, key)
			if options == "" {
				always = append(always, key)
			}
			if _, ok := def.Properties[key]; !ok {
				t.Errorf("%s.%s is not in the schema", name, key)
			}
		}
		for key := range def.Properties {
			if !slices.Contains(have, key) {
				t.Errorf("%s.%s is in the schema alone", name, key)
			}
		}
		slices.Sort(always)
		slices.Sort(def.Required)
		if !slices.Equal(always, def.Required) {
			t.Errorf("%s: the schema requires %v, always written are %v", name, def.Required, always)
		}
	}
}
