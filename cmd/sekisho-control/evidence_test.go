package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/monitor"
)

// Control starts without evidence when there is no place for it, says so, and answers who asks for a report.
func TestControlStartsWithoutEvidence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	kept := openEvidence(filepath.Join(file, "evidence"), slog.New(slog.NewTextHandler(&log, nil)))
	if kept != nil || !strings.Contains(log.String(), "NOT kept") {
		t.Errorf("opened %v, told: %s", kept, &log)
	}
	a := &admin{eye: monitor.New(monitor.Options{Evidence: kept})}
	w := httptest.NewRecorder()
	a.report(w, httptest.NewRequest(http.MethodGet, "/report?line=line-a&month=2026-10", nil))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "no evidence is kept") {
		t.Errorf("report: %d %s", w.Code, w.Body)
	}
}
