package text_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/web/text"
	"github.com/sekisho/sekisho/dataplane/tunnel/diagnose"
)

// TestFaultsAreExplained compares with what a diagnosis can find: each has a text, with no more arguments than there are, and
// whatever has failed a remedy.
func TestFaultsAreExplained(t *testing.T) {
	verb := regexp.MustCompile(`%\[(\d)\]s`)
	for _, l := range []text.Lang{text.JA, text.EN} {
		known := map[string]bool{}
		for _, c := range diagnose.Codes() {
			known[c] = true
			if !l.Has("seen." + c) {
				t.Errorf("%s: no text for %s", l, c)
			}
			k := diagnose.Of(c)
			if k.State == diagnose.Failed && l.Remedy(c, nil) == "" {
				t.Errorf("%s: nothing to do about %s", l, c)
			}
			if k.State == diagnose.OK && l.Remedy(c, nil) != "" {
				t.Errorf("%s: %s needs no remedy", l, c)
			}
			for _, key := range []string{"seen.", "remedy."} {
				for _, m := range verb.FindAllStringSubmatch(l.T(key+c), -1) {
					if n, err := strconv.Atoi(m[1]); err != nil || n > k.Args {
						t.Errorf("%s: %s%s asks for argument %s of %d", l, key, c, m[1], k.Args)
					}
				}
			}
		}
		for _, k := range l.Keys() {
			for _, family := range []string{"seen.", "remedy."} {
				if c, ok := strings.CutPrefix(k, family); ok && !known[c] {
					t.Errorf("%s: %s explains what nothing finds", l, k)
				}
			}
		}
		for _, id := range diagnose.Checks() {
			if !l.Has("check." + id) {
				t.Errorf("%s: check %s has no name", l, id)
			}
		}
		for _, p := range diagnose.Parties {
			if !l.Has("party." + string(p)) {
				t.Errorf("%s: party %s has no name", l, p)
			}
		}
	}
}
