package rebuild

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

func TestFindingsOfInnerFilesSayWhereTheyLie(t *testing.T) {
	f := &Findings{}
	f.Add("a.b", "p", verdict.Removed, "")
	inner := f.Within("x.zip").Within("y.docx")
	inner.Add("a.b", "p", verdict.Removed, "")
	mark := inner.Mark()
	inner.Add("a.c", "q", verdict.Removed, "")
	inner.Add("a.b", "p", verdict.Removed, "") // counted to the one before
	inner.First("a.b", "p", verdict.Removed, "")
	inner.Back(mark)
	inner.Back(mark)
	inner.First("a.b", "r", verdict.Removed, "")
	want := []verdict.Finding{{Code: "a.b", Place: "p", Action: verdict.Removed, Count: 2}, {Code: "a.b", Place: "x.zip/y.docx/p", Action: verdict.Removed, Count: 1}}
	if d := cmp.Diff(want, f.List); d != "" || !inner.Reported("a.b") || f.Reported("a.c") {
		t.Errorf("findings differ (-want +got):\n%s", d)
	}
}

func TestToolsAskOnceAndAnswerAgain(t *testing.T) {
	asked := NewTools(nil)
	for range 2 {
		if _, err := asked.Ask("convert", map[string]string{"to": "docx"}, []byte("x")); !errors.Is(err, ErrAsked) {
			t.Fatalf("got %v, want %v", err, ErrAsked)
		}
	}
	if _, err := asked.Ask("convert", map[string]string{"to": "xlsx"}, []byte("x")); !errors.Is(err, ErrAsked) {
		t.Fatalf("got %v, want %v", err, ErrAsked)
	}
	needs := asked.Asked()
	if len(needs) != 2 || needs[0].ID == needs[1].ID {
		t.Fatalf("got needs %+v, want two", needs)
	}
	var answers []verdict.Answer
	for _, n := range needs {
		a := verdict.Answer{ID: n.ID, Failed: "sandbox.time"}
		if n.Options["to"] == "docx" {
			a = verdict.Answer{ID: n.ID, Body: []byte("y")}
		}
		answers = append(answers, a)
	}
	again := NewTools(answers)
	if b, err := again.Ask("convert", map[string]string{"to": "docx"}, []byte("x")); string(b) != "y" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	var r *Refusal
	if _, err := again.Ask("convert", map[string]string{"to": "xlsx"}, []byte("x")); !errors.As(err, &r) || r.Code != "sandbox.time" {
		t.Errorf("got %v, want a refusal", err)
	}
	if n := again.Asked(); len(n) != 0 {
		t.Errorf("asked again for %+v", n)
	}
}

func TestBudgetIsShared(t *testing.T) {
	b := &Budget{Bytes: 10, Files: 3}
	if err := errors.Join(b.Spend(4), b.Spend(6)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		bytes int64
		code  string
	}{{1, "limit.expansion"}, {0, "limit.members"}} {
		var r *Refusal
		if err := b.Spend(c.bytes); !errors.As(err, &r) || r.Code != c.code {
			t.Errorf("got %v, want %s", err, c.code)
		}
	}
}
