package archive_test

import (
	"bytes"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

// No byte of a rebuilt archive may be another, but in the data of tar, which has no sums.
func TestVerifierReadsEveryByte(t *testing.T) {
	sealed := sanitize.Options{Keys: []string{"x"}, Policy: verdict.Policy{Passwords: "again"}}
	for name, c := range map[string]struct {
		in  []byte
		opt sanitize.Options
	}{
		"x.zip":    {forge(t, zipEnd{}, forged{name: "d/"}, forged{name: "d/a.txt", body: "1"}, forged{name: "b.txt", body: string(bytes.Repeat([]byte("2"), 99))}), sanitize.Options{}},
		"y.zip":    {forge(t, zipEnd{}, forged{name: "a.txt", body: "1", flags: 9, packed: pkware("x", "1", (13<<11|30<<5|10)>>8), noLocalSize: true, descriptor: descriptor("1", 13, true, false)}), sealed},
		"x.txt.gz": {gz(t, []byte("1")), sanitize.Options{}},
		"x.tar":    {tarOf(t, folder("d/"), in("a.txt", ""), in("b.txt", "")), sanitize.Options{}},
	} {
		_, out := pass(t, name, c.in, c.opt)
		for i := range out {
			bent := bytes.Clone(out)
			bent[i] ^= 1
			if v := verify.CheckFor(t.Context(), c.opt.Policy, name, bent, c.opt.Keys...); v.Outcome != verdict.Blocked {
				t.Errorf("%s: byte %d of %d is bent, and passes", name, i, len(out))
			}
		}
		for _, more := range [][]byte{append(bytes.Clone(out), 0), append([]byte{0}, out...), out[:len(out)-1]} {
			if v := verify.CheckFor(t.Context(), c.opt.Policy, name, more, c.opt.Keys...); v.Outcome != verdict.Blocked {
				t.Errorf("%s: with a byte more or less it passes", name)
			}
		}
	}
}

func TestVerifierHoldsTheTree(t *testing.T) {
	_, out := pass(t, "x.zip", forge(t, zipEnd{}, forged{name: "aaa/a.txt", body: "1"}, forged{name: "aaa/b.txt", body: "1"}, forged{name: "c0n", body: ""}, forged{name: "dd.txt/", body: ""}), sanitize.Options{Policy: verdict.Policy{Members: "remove"}})
	for from, to := range map[string]string{
		"aaa/b.txt": "aaa/A.txt", "aaa/a.txt": "../aa.txt", "dd.txt/": "aaa/b/.", "a/b.txt": "a/b.t\x00t", "aa/b.txt": "\xFD\x81/b.txt", "/b.txt": "\\b.txt", "b.txt": "b.tx.",
	} {
		bent := bytes.ReplaceAll(out, []byte(from), []byte(to))
		if bytes.Equal(bent, out) {
			t.Fatalf("%q is not in it", from)
		}
		if v := verify.Check(t.Context(), "x.zip", bent); v.Outcome != verdict.Blocked {
			t.Errorf("%q for %q passes", to, from)
		}
	}
	for from, to := range map[string]string{"aaa/b": "CON/b", "aaa/a.txt": "aux.a.txt"} {
		if v := verify.Check(t.Context(), "x.zip", bytes.ReplaceAll(out, []byte(from), []byte(to))); v.Outcome != verdict.Blocked {
			t.Errorf("%q for %q passes", to, from)
		}
	}
}
