package release

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

func drawnPages() verdict.Pages {
	return verdict.Pages{Version: 1, Before: verdict.Drawing{Failed: "helper.failed"}, After: verdict.Drawing{Pages: []verdict.Sheet{{Width: 3, Height: 4, Size: 6, PNG: []byte("MARKER")}}}}
}

// TestWhatAnApproverIsShown: the broker leaves pages and report, the portal of the sending zone reads them, and nobody else does.
func TestWhatAnApproverIsShown(t *testing.T) {
	h, lg := newHouse(t), anchors.LGWAN
	h.send("t", lg, anchors.Internet, original)
	wantCode(t, h.broker().StorePages(t.Context(), "t", sum(rebuilt), drawnPages()), CodeHashMismatch)
	h.sanitize("t", lg, anchors.Internet, original, rebuilt)
	_, err := h.portal(lg).Pages(t.Context(), "t")
	wantCode(t, err, CodeNotShown)
	wantCode(t, h.broker().StorePages(t.Context(), "t", sum(original), drawnPages()), CodeHashMismatch)

	report := verdict.Report{Version: 1, Name: "MARKER", Outcome: verdict.Clean, Findings: []verdict.Finding{{Code: "ooxml.vba", Action: verdict.Removed}}}
	for range 2 { // drawn again, they take the place of those before
		if err := h.broker().StorePages(t.Context(), "t", sum(rebuilt), drawnPages()); err != nil {
			t.Fatal(err)
		}
		if err := h.broker().StoreReport(t.Context(), "t", sum(rebuilt), report); err != nil {
			t.Fatal(err)
		}
	}
	nothingLeft(t, h.server.vault)
	pages, err := h.portal(lg).Pages(t.Context(), "t")
	if d := cmp.Diff(drawnPages(), pages); err != nil || d != "" {
		t.Errorf("pages: %v (-want +got):\n%s", err, d)
	}
	got, err := h.portal(lg).Report(t.Context(), "t")
	if d := cmp.Diff(report, got); err != nil || d != "" {
		t.Errorf("report: %v (-want +got):\n%s", err, d)
	}
	for who, code := range map[string]string{
		place.ControlUser: CodeRole, "root": CodeRole, "nobody": CodeRole, place.PortalUser(anchors.Internet): CodeZone, place.PortalUser(anchors.Management): CodeZone,
	} {
		_, err := h.as(who).Pages(t.Context(), "t")
		wantCode(t, err, code)
		_, err = h.as(who).Report(t.Context(), "t")
		wantCode(t, err, code)
		wantCode(t, h.as(who).StorePages(t.Context(), "t", sum(rebuilt), drawnPages()), CodeRole)
	}
	wantCode(t, h.broker().store(t.Context(), "t", "original", sum(rebuilt), bytes.NewReader(original)), CodeRequest)
	wantCode(t, h.broker().store(t.Context(), "t", roleReport, sum(rebuilt), bytes.NewReader(make([]byte, showable[roleReport]+1))), CodeTooLarge)
	nothingLeft(t, h.server.vault)
}

// TestWhatIsShownLivesAsLongAsTheBytes: sealed like them, wrapped anew with them, gone when others come or all is erased.
func TestWhatIsShownLivesAsLongAsTheBytes(t *testing.T) {
	h, lg := newHouse(t), anchors.LGWAN
	h.send("t", lg, anchors.Internet, original)
	h.sanitize("t", lg, anchors.Internet, original, rebuilt)
	if err := h.broker().StorePages(t.Context(), "t", sum(rebuilt), drawnPages()); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(h.dir, "state/files/t/*"))
	if err != nil || len(files) != 4 {
		t.Errorf("%v, %v", files, err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err != nil || bytes.Contains(b, []byte("MARKER")) {
			t.Errorf("%s is readable on disk (%v)", f, err)
		}
	}
	if err := h.server.vault.rotate(h.clock().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.portal(lg).Pages(t.Context(), "t"); err != nil {
		t.Errorf("after a rotation: %v", err)
	}
	other := append([]byte("other "), rebuilt...)
	h.sanitize("t", lg, anchors.Internet, original, other)
	_, err = h.portal(lg).Pages(t.Context(), "t")
	wantCode(t, err, CodeNotShown)
	nothingLeft(t, h.server.vault)
	if err := h.broker().StorePages(t.Context(), "t", sum(other), drawnPages()); err != nil {
		t.Fatal(err)
	}
	if err := h.control().Erase(t.Context(), "t", -1); err != nil {
		t.Fatal(err)
	}
	_, err = h.portal(lg).Pages(t.Context(), "t")
	wantCode(t, err, CodeErased)
	nothingLeft(t, h.server.vault)
}
