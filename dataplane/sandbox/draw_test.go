package sandbox

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// TestPagesAreDrawnInSandboxes: by the programs that drew them for the figures, in the sandboxes that files meet.
func TestPagesAreDrawnInSandboxes(t *testing.T) {
	w := askingWorker(t)
	long := `{\rtf1\ansi` + strings.Repeat(`Sekisho\page `, 7) + `end}`
	frames, err := w.Draw(t.Context(), "案内.RTF", []byte(long), 4)
	if err != nil || len(frames) != 5 {
		t.Fatalf("%d pages, %v; want four and one that tells of more", len(frames), err)
	}
	for _, f := range frames {
		if max(f.Width, f.Height) != verdict.MaxPageEdge || f.Depth != 3 || !bytes.Contains(f.Pix, []byte{255, 255, 255}) {
			t.Errorf("a page of %d x %d with %d samples", f.Width, f.Height, f.Depth)
		}
	}
	again, err := w.Draw(t.Context(), "a.rtf", []byte(long), 4)
	if err != nil || !bytes.Equal(again[0].Pix, frames[0].Pix) {
		t.Errorf("drawn again it looks otherwise: %v", err)
	}
}

func TestWhatCannotBeDrawnSaysWhy(t *testing.T) {
	w := askingWorker(t)
	for name, want := range map[string]Kind{"a.txt": "draw.kind", "a.exe": "draw.kind", "a.pdf": Kind(tool.Failed), "a.docx": Kind(tool.Failed)} {
		_, err := w.Draw(t.Context(), name, []byte("PK no file"), 4)
		var f *Failure
		if !errors.As(err, &f) || f.Kind != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
		if s := Sentences.Sentence(string(want), "ja"); s == string(want) {
			t.Errorf("%s has no sentence", want)
		}
	}
	if HasPages("a.txt") || !HasPages("A.DOCM") {
		t.Error("a text has no pages, a document has")
	}
}
