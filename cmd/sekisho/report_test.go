package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/monitor/report"
	"github.com/sekisho/sekisho/controlplane/web/text"
)

func TestReportRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for _, args := range [][]string{{}, {"--month", "2026-10", "--line", "a"}, {"--month", "October", "--line", "a", "--out", "x"}, {"--month", "2026-10", "--line", "a", "--out", "x", "--lang", "fr"}, {"--month", "2026-10", "--line", "a", "--out", "x", "y"}} {
		var out, err bytes.Buffer
		if code := runReport(context.Background(), args, &out, &err); code != exitUsage || err.Len() == 0 {
			t.Errorf("%v: exit %d, %q", args, code, err.String())
		}
	}
}

// Without the font the tables are written all the same, and what to install is said.
func TestReportWritesWhatItCan(t *testing.T) {
	m := report.Month{Line: "../line", From: time.Date(2026, 10, 1, 0, 0, 0, 0, report.Japan), Name: report.Name{JA: "閉域網A"}}
	for _, fonts := range []bool{true, false} {
		if !fonts {
			defer func(was []string) { report.Fonts = was }(report.Fonts)
			report.Fonts = nil
		}
		dir := t.TempDir()
		var out, errs bytes.Buffer
		code := writeReport(m, dir, text.JA, &out, &errs)
		files, err := filepath.Glob(filepath.Join(dir, "*-2026-10*"))
		if err != nil {
			t.Fatal(err)
		}
		want, wantCode := 3, exitOK
		if !fonts {
			want, wantCode = 2, exitFailed
		}
		if len(files) != want || code != wantCode || fonts != (errs.Len() == 0) {
			t.Errorf("fonts %v: exit %d, files %v, said %q", fonts, code, files, errs.String())
		}
		for _, f := range files {
			if st, err := os.Stat(f); err != nil || st.Size() == 0 || !strings.Contains(out.String(), f) {
				t.Errorf("%s: %v, told %q", f, err, out.String())
			}
		}
	}
}
