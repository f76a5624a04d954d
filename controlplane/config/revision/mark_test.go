package revision

import "testing"

func TestMark(t *testing.T) {
	text := "version: 1\n# sekisho: revision 9 of hall\n"
	for name, c := range map[string]struct {
		given, gate, want string
		number            int
	}{
		"of this gate":      {string(Marked([]byte(text), "hall", 12)), "hall", text, 12},
		"of another gate":   {string(Marked([]byte(text), "hall", 12)), "annex", text, 0},
		"none":              {text, "hall", text, 0},
		"an editor's bytes": {"\xef\xbb\xbf# sekisho: revision 3 of hall\r\n" + text, "hall", text, 3},
		"too large":         {"# sekisho: revision 12345678901 of hall\n" + text, "hall", "# sekisho: revision 12345678901 of hall\n" + text, 0},
	} {
		if rest, n := Unmarked([]byte(c.given), c.gate); string(rest) != c.want || n != c.number {
			t.Errorf("%s: %q %d", name, rest, n)
		}
	}
}
