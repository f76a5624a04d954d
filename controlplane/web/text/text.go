// Package text is what the screens say, in Japanese and English.
//
// Problem: a sentence that is written in code can be neither reviewed by the people who must understand it nor translated.
// Mechanism: one JSON catalogue a language, embedded, looked up by key; arguments are fmt verbs with explicit indexes, since
// the languages order them differently. Life cycle: read once when the program starts. Invariant, held by the tests: both
// catalogues have the same keys, every key that a template or program uses exists, and none is unused.
package text

import (
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
)

//go:embed ja.json en.json
var files embed.FS

// Lang is a language of the screens.
type Lang string

const (
	JA Lang = "ja" // the default
	EN Lang = "en"
)

// Of reads a language from a cookie or form; whatever is not English is Japanese.
func Of(s string) Lang {
	if Lang(s) == EN {
		return EN
	}
	return JA
}

// T gives the text of key with its arguments filled in. A missing key shows itself, so that it is seen and not silently blank.
func (l Lang) T(key string, args ...any) string {
	format, ok := catalogues()[l][key]
	if !ok {
		return "[" + key + "]"
	}
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}

// Has tells whether key has a text.
func (l Lang) Has(key string) bool {
	_, ok := catalogues()[l][key]
	return ok
}

// Keys lists every key of the language, sorted.
func (l Lang) Keys() []string { return slices.Sorted(maps.Keys(catalogues()[l])) }

var catalogues = sync.OnceValue(func() map[Lang]map[string]string {
	all := map[Lang]map[string]string{}
	for _, l := range []Lang{JA, EN} {
		m := map[string]string{}
		// The files are embedded and tested: a fault in them cannot reach a running gate, where it would show as bare keys.
		if b, err := files.ReadFile(string(l) + ".json"); err == nil {
			if err := json.Unmarshal(b, &m); err != nil {
				m = map[string]string{}
			}
		}
		all[l] = m
	}
	return all
})
