package verdict

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
)

// Catalogue holds what codes mean, in the words of a clerk: code -> language (ja, en) -> sentence.
type Catalogue struct {
	load func() map[string]map[string]string
}

// NewCatalogue reads embedded JSON files at first use; each has codes of its own. A test of the owning package reads it too, so that a broken one is
// never shipped; it would be empty.
func NewCatalogue(files ...[]byte) *Catalogue {
	return &Catalogue{sync.OnceValue(func() map[string]map[string]string {
		m := map[string]map[string]string{}
		for _, b := range files {
			if err := json.Unmarshal(b, &m); err != nil {
				return nil
			}
		}
		return m
	})}
}

// Sentence tells in the language (ja for one that is not there) what a code means and what to do; an unknown code answers
// itself.
func (c *Catalogue) Sentence(code, lang string) string {
	m := c.load()[code]
	if s := m[lang]; s != "" {
		return s
	}
	if s := m["ja"]; s != "" {
		return s
	}
	return code
}

// Codes lists all codes, sorted.
func (c *Catalogue) Codes() []string { return slices.Sorted(maps.Keys(c.load())) }
