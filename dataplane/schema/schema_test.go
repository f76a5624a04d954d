package schema

import (
	"regexp"
	"slices"
	"testing"
)

func TestTables(t *testing.T) {
	name := regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
	for what, c := range map[string]struct {
		table map[string][]string
		least int
		has   map[string][]string
	}{
		"OOXML": {OOXML(), 3000, map[string][]string{
			"http://schemas.openxmlformats.org/wordprocessingml/2006/main":  {"document", "p", "smartTag", "object"},
			"http://schemas.openxmlformats.org/spreadsheetml/2006/main":     {"worksheet", "c", "f"},
			"http://schemas.openxmlformats.org/presentationml/2006/main":    {"sld", "timing"},
			"http://schemas.openxmlformats.org/drawingml/2006/main":         {"blip", "hlinkClick"},
			"http://schemas.microsoft.com/office/spreadsheetml/2009/9/main": {"sparkline"},
		}},
		"ODF": {ODF(), 600, map[string][]string{
			"urn:oasis:names:tc:opendocument:xmlns:text:1.0":  {"p", "span"},
			"urn:oasis:names:tc:opendocument:xmlns:table:1.0": {"table-cell"},
			"http://www.w3.org/1998/Math/MathML":              {"mfrac"},
		}},
	} {
		count := 0
		for space, names := range c.table {
			count += len(names)
			if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
				t.Errorf("%s: names of %s are not in order, or twice", what, space)
			}
			for _, n := range names {
				if !name.MatchString(n) {
					t.Errorf("%s: %s of %s is no name", what, n, space)
				}
			}
		}
		if count < c.least {
			t.Errorf("%s: %d names, want at least %d", what, count, c.least)
		}
		for space, names := range c.has {
			for _, n := range names {
				if !slices.Contains(c.table[space], n) {
					t.Errorf("%s: no %s in %s", what, n, space)
				}
			}
		}
	}
}
