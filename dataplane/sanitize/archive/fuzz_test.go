package archive_test

import (
	"slices"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/archive/archivetest"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

// fuzz rebuilds whatever comes: no fault of ours, and what passes, the verifier passes as well.
func fuzz(f *testing.F, name string, seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s)
	}
	opt := sanitize.Options{Keys: []string{"x"}, Policy: verdict.Policy{Members: "remove", Passwords: "again"}}
	f.Fuzz(func(t *testing.T, in []byte) {
		rep, out, _ := sanitizetest.Ask(t, name, in, opt)
		if rep.Outcome != verdict.Clean {
			if slices.ContainsFunc(rep.Findings, func(f verdict.Finding) bool { return f.Code == "internal" }) {
				t.Fatalf("%v", rep.Findings)
			}
			return
		}
		if v := verify.CheckFor(t.Context(), opt.Policy, rep.OutName, out, opt.Keys...); v.Outcome != verdict.Clean {
			t.Fatalf("the verifier says %v of %q", v.Findings, out)
		}
	})
}

func FuzzZip(f *testing.F) {
	sealed := pkware("x", "1", 0x83) // 0x83 begins the sum of "1"
	fuzz(f, "x.zip", forge(f, zipEnd{}, forged{name: "a/"}, forged{name: "a/b.txt", body: "1", method: 8}, forged{name: "c.txt", body: "1", flags: 9, packed: sealed, noLocalSize: true, descriptor: descriptor("1", 13, true, false)}),
		forge(f, zipEnd{zip64: true, comment: "x"}, forged{name: "\x83\x5C.txt", body: "1"}))
}

func FuzzTar(f *testing.F) { fuzz(f, "x.tar", tarOf(f, in("長い.txt", "1"), in("a.txt", "2"))) }

func FuzzLZH(f *testing.F) {
	fuzz(f, "x.lzh", archivetest.LZH(0, "-lh5-", "", "a.txt", "aaaaaaaa", lh("-lh5-", "aaaaaaaa")), archivetest.LZH(1, "-lh7-", "d\xFF", "a.txt", "ab", lh("-lh7-", "ab")), archivetest.LZH(2, "-lh6-", "d\xFF", "a.txt", "ab", lh("-lh6-", "ab")))
}

func Fuzz7z(f *testing.F) { fuzz(f, "x.7z", archivetest.SevenZip(0x20, []string{"d/", "a.txt"}, "1")) }

func FuzzSingle(f *testing.F) {
	fuzz(f, "a.txt.gz", gz(f, []byte("1")), xzOf(f, []byte("1")), []byte(bzip2Hello))
}
