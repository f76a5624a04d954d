package files

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/hack/files/honest"
)

// Honest files of every kind pass, and their readers miss nothing.
func TestHonestFilesPass(t *testing.T) {
	all, err := honest.Make(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	passed, came := map[string]int{}, map[string]int{}
	for _, f := range all {
		kind := path.Ext(f.Name)
		came[kind]++
		o, err := Pass(t.Context(), f.Name, f.Body, sanitize.Options{})
		if err != nil {
			t.Errorf("%s by %s: %v", f.Name, f.Writer, err)
			continue
		}
		if !o.Clean() {
			r, side := o.Refusal()
			t.Errorf("%s by %s: %s refuses: %+v", f.Name, f.Writer, side, r)
			continue
		}
		passed[kind]++
	}
	var lines []string
	for _, kind := range slices.Sorted(maps.Keys(came)) {
		lines = append(lines, fmt.Sprintf("%s %d of %d", kind, passed[kind], came[kind]))
	}
	t.Logf("%d honest files; passed: %s", len(all), strings.Join(lines, ", "))
}
