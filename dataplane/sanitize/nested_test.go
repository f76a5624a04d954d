package sanitize

import (
	"bytes"
	"errors"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize/office/officetest"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// nestedJob is a job from whose family a nested file is rebuilt.
func nestedJob(t *testing.T) *rebuild.Job {
	return &rebuild.Job{Ctx: t.Context(), In: []byte("x"), Found: &rebuild.Findings{}, MaxOut: 1 << 20, Tools: rebuild.NewTools(nil),
		Budget: &rebuild.Budget{Bytes: 100, Files: 4, Depth: 2}}
}

func TestNestedFilesAreRebuiltWithinTheBudgetOfTheOuter(t *testing.T) {
	j := nestedJob(t)
	res, err := within(j, "in/a.txt", "a.txt", []byte("a\x01b"), false)
	if err != nil || string(res.Body) != "ab" || res.Name != "a.txt" || res.Family != "text" {
		t.Fatalf("got %+v, %v", res, err)
	}
	if f := j.Found.List; len(f) != 1 || f[0].Place != "in/a.txt/L1" || j.Budget.Depth != 2 {
		t.Errorf("findings %+v, depth %d", f, j.Budget.Depth)
	}
	for name, c := range map[string]struct {
		prepare func()
		name    string
		in      []byte
		code    string
		place   string
	}{
		"refused":        {func() {}, "b.exe", []byte("MZ\x00"), "type.executable", "p"},
		"too many bytes": {func() {}, "a.txt", bytes.Repeat([]byte("a"), 101), "limit.expansion", "p"},
		"too deep":       {func() { j.Budget.Depth = 0 }, "a.txt", []byte("a"), "limit.nesting", "p"},
		"too many":       {func() { j.Budget.Files, j.Budget.Depth = 0, 2 }, "a.txt", []byte("a"), "limit.members", "p"},
	} {
		j.Budget.Bytes, j.Budget.Files, j.Budget.Depth = 100, 4, 2
		c.prepare()
		_, err := within(j, "p", c.name, c.in, false)
		var r *rebuild.Refusal
		if !errors.As(err, &r) || r.Code != c.code || r.Place != c.place {
			t.Errorf("%s: got %v, want %s at %s", name, err, c.code, c.place)
		}
	}
}

// What a route forbids is not removed quietly.
func TestPolicyBlocksWhatItForbids(t *testing.T) {
	in := officetest.Docx(t, map[string]string{"word/document.xml": `<w:document ` + officetest.W + `><w:body><w:p><w:r><w:instrText>x</w:instrText></w:r><w:fldSimple w:instr="DDE a b"/></w:p></w:body></w:document>`})
	for _, c := range []struct {
		block []string
		want  verdict.Outcome
	}{{nil, verdict.Clean}, {[]string{"ooxml.vba", "pdf.*"}, verdict.Clean}, {[]string{"ooxml.field"}, verdict.Blocked}, {[]string{"ooxml.*"}, verdict.Blocked}} {
		var out bytes.Buffer
		rep, _ := Rebuild(t.Context(), "a.docx", in, &out, Options{Policy: verdict.Policy{Block: c.block}})
		if rep.Outcome != c.want || (c.want == verdict.Blocked) != has(rep, "policy.blocked", verdict.Refused) {
			t.Errorf("block %q: got %s %v, want %s", c.block, rep.Outcome, rep.Findings, c.want)
		}
		if rep.Outcome == verdict.Blocked && out.Len() > 0 {
			t.Errorf("block %q: blocked, but %d bytes were written", c.block, out.Len())
		}
	}
}
