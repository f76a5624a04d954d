package sanitize

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize/office/officetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

func TestOutputLimitAndCancel(t *testing.T) {
	var out bytes.Buffer
	rep, _ := Rebuild(t.Context(), "a.docx", officetest.Docx(t, nil), &out, Options{MaxOut: 100})
	if rep.Outcome != verdict.Blocked || !has(rep, "limit.output", verdict.Refused) || out.Len() != 0 {
		t.Errorf("got %v", rep.Findings)
	}
	rep, _ = Rebuild(t.Context(), "a.docx", officetest.Docx(t, nil), &out, Options{Formats: []string{"txt", "csv"}})
	if rep.Outcome != verdict.Blocked || !has(rep, "type.not-admitted", verdict.Refused) {
		t.Errorf("got %v", rep.Findings)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	for _, name := range []string{"a.docx", "a.png", "a.txt", "a.csv"} {
		in := map[string][]byte{"a.docx": officetest.Docx(t, nil), "a.png": pngOf(t, testPicture(9, 9)), "a.txt": []byte("x"), "a.csv": []byte("x,y")}[name]
		if rep, _ := Rebuild(ctx, name, in, &out, Options{}); rep.Outcome != verdict.Blocked || !has(rep, "limit.time", verdict.Refused) || out.Len() != 0 {
			t.Errorf("%s: got %s %v", name, rep.Outcome, rep.Findings)
		}
	}
}

// A panic inside is a block with a reason, not a crash.
func TestPanicIsABlock(t *testing.T) {
	rep, _ := Rebuild(nil, "a.docx", officetest.Docx(t, nil), &bytes.Buffer{}, Options{}) //lint:ignore SA1012 a nil context is the panic
	if rep.Outcome != verdict.Blocked || !has(rep, "internal", verdict.Refused) {
		t.Errorf("got %s %v", rep.Outcome, rep.Findings)
	}
}

func TestFailedOutputIsABlock(t *testing.T) {
	rep, _ := Rebuild(t.Context(), "a.txt", []byte("x"), failing{}, Options{})
	if rep.Outcome != verdict.Blocked || !has(rep, "internal.output", verdict.Refused) {
		t.Errorf("got %s %v", rep.Outcome, rep.Findings)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no space") }
