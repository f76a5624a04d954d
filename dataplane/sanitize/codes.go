package sanitize

import (
	_ "embed"
	"encoding/json"
	"maps"
	"slices"
	"sync"
)

//go:embed codes.json
var codesJSON []byte

var catalogue = sync.OnceValue(func() map[string]map[string]string {
	m := map[string]map[string]string{}
	if err := json.Unmarshal(codesJSON, &m); err != nil {
		return map[string]map[string]string{} // the package's test reads the file, so this is never shipped
	}
	return m
})

// Sentence tells in the language (ja or en, ja for any other) what a finding's code means to a clerk and what to do. An
// unknown code answers itself.
func Sentence(code, lang string) string {
	m := catalogue()[code]
	if m == nil {
		return code
	}
	if s := m[lang]; s != "" {
		return s
	}
	return m["ja"]
}

// Codes lists all codes that a report can hold, sorted.
func Codes() []string { return slices.Sorted(maps.Keys(catalogue())) }
