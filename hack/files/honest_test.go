package files

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/likeness"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/hack/files/honest"
)

// drawable are kinds of documents whose results LibreOffice or poppler draws; one of each is.
var drawable = map[string]bool{".docx": true, ".xlsx": true, ".pptx": true, ".odt": true, ".ods": true, ".odp": true, ".pdf": true}

// Honest files of every kind pass, and their readers miss nothing: other programs open the results and draw the same pages.
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
		conforms(t, f.Name, o)
		if !o.Clean() {
			r, side := o.Refusal()
			t.Errorf("%s by %s: %s refuses: %+v", f.Name, f.Writer, side, r)
			continue
		}
		if slices.ContainsFunc(o.Report.Findings, func(f verdict.Finding) bool { return f.Code == "mail.attachment" }) {
			t.Errorf("%s by %s lost an attachment: %+v", f.Name, f.Writer, o.Report.Findings)
		}
		passed[kind]++
		if result := path.Ext(o.Report.OutName); drawable[result] && passed[kind] == 1 {
			after, err := Pages(t.Context(), o.Report.OutName, o.Body, mostPages)
			if err != nil {
				t.Errorf("%s, of %s: %v", o.Report.OutName, f.Name, err)
				continue
			}
			if result != kind {
				continue
			}
			if before, err := Pages(t.Context(), f.Name, f.Body, mostPages); err != nil || likeness.Least(before, after) < 0.95 {
				t.Errorf("%s looks like its original by %.3f: %v", f.Name, likeness.Least(before, after), err)
			}
		}
	}
	var lines []string
	for _, kind := range slices.Sorted(maps.Keys(came)) {
		lines = append(lines, fmt.Sprintf("%s %d of %d", kind, passed[kind], came[kind]))
	}
	t.Logf("%d honest files; passed: %s", len(all), strings.Join(lines, ", "))
}
