package archive_test

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/archive/archivetest"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

// pkware encrypts as PKWARE's stream cipher does; the first eleven bytes are noise to nobody.
func pkware(key, plain string, check byte) []byte {
	k := [3]uint32{0x12345678, 0x23456789, 0x34567890}
	step := func(b byte) {
		k[0] = crc32.IEEETable[byte(k[0])^b] ^ k[0]>>8
		k[1] = (k[1]+uint32(byte(k[0])))*134775813 + 1
		k[2] = crc32.IEEETable[byte(k[2])^byte(k[1]>>24)] ^ k[2]>>8
	}
	for i := range len(key) {
		step(key[i])
	}
	var out []byte
	for _, b := range []byte("elevenbytes" + string([]byte{check}) + plain) {
		x := k[2] | 2
		out = append(out, b^byte(x*(x^1)>>8))
		step(b)
	}
	return out
}

func TestEncryptedZips(t *testing.T) {
	body := strings.Repeat("個人番号ではない\r\n", 50)
	packed := deflate(t, []byte(body))
	sum := crc32.ChecksumIEEE([]byte(body))
	keys := []string{"違う", "ひみつ", "x"}
	for name, m := range map[string]forged{
		"the password in UTF-8":      {name: "a.txt", body: body, method: 8, flags: 1, packed: pkware("ひみつ", string(packed), byte(sum>>24))},
		"the password in CP932":      {name: "a.txt", body: body, method: 8, flags: 1, packed: pkware(sjis(t, "ひみつ"), string(packed), byte(sum>>24))},
		"checked by the time of day": {name: "a.txt", body: body, method: 8, flags: 9, packed: pkware("x", string(packed), byte((13<<11|30<<5|10)>>8)), noLocalSize: true, descriptor: descriptor(body, len(packed)+12, true, false)},
	} {
		in := forge(t, zipEnd{}, m)
		sanitizetest.Blocked(t, "x.zip", in, "archive.password")
		rep, out := pass(t, "x.zip", in, sanitize.Options{Keys: keys})
		if got := tree(t, out); !slices.Equal(got, []string{"a.txt=" + body}) || !sanitizetest.Has(rep, "archive.opened", verdict.Changed) {
			t.Errorf("%s: got %q, %v", name, got, rep.Findings)
		}
		// Under the same password again, and what was written so is opened again: by this package, and by the verifier's own cipher.
		again := sanitize.Options{Keys: keys, Policy: verdict.Policy{Passwords: "again"}}
		rep, sealed := pass(t, "x.zip", in, again)
		if !sanitizetest.Has(rep, "archive.again", verdict.Reported) || bytes.Contains(sealed, []byte("個人番号")) {
			t.Errorf("%s: got %v", name, rep.Findings)
		}
		_, opened := pass(t, "x.zip", sealed, sanitize.Options{Keys: keys})
		if got := tree(t, opened); !slices.Equal(got, []string{"a.txt=" + body}) {
			t.Errorf("%s: got %q", name, got)
		}
		if v := verify.CheckFor(t.Context(), again.Policy, "x.zip", sealed, "other"); v.Outcome != verdict.Blocked || v.Findings[0].Code != "verify.password" {
			t.Errorf("%s: without the password the verifier says %v", name, v.Findings)
		}
		for i := range sealed { // each byte counts
			if i%97 != 0 {
				continue
			}
			bent := bytes.Clone(sealed)
			bent[i] ^= 4
			if v := verify.CheckFor(t.Context(), again.Policy, "x.zip", bent, keys...); v.Outcome != verdict.Blocked {
				t.Errorf("%s: byte %d is bent, and the verifier passes it", name, i)
			}
		}
	}
}

// Info-ZIP's own program makes one.
// TestManyMembersUnderOneOfManyPasswords: a password is tried on each member only until one fits; all of them on all of them would take
// longer than an honest archive is given.
func TestManyMembersUnderOneOfManyPasswords(t *testing.T) {
	var members []forged
	for i := range 150 {
		body := strings.Repeat("x", i+1)
		packed := deflate(t, []byte(body))
		members = append(members, forged{name: fmt.Sprintf("%d.txt", i), body: body, method: 8, flags: 1, packed: pkware("right", string(packed), byte(crc32.ChecksumIEEE([]byte(body))>>24))})
	}
	opt := sanitize.Options{Keys: []string{"right"}, Policy: verdict.Policy{Passwords: "again"}}
	_, sealed := pass(t, "x.zip", forge(t, zipEnd{}, members...), opt)
	took := func(keys ...string) (rebuilt, verified time.Duration) {
		opt.Keys = keys
		rebuilt, verified = time.Hour, time.Hour
		for range 3 { // the fastest counts: others may have the processor meanwhile
			began := time.Now()
			rep, out, _ := sanitizetest.Ask(t, "x.zip", sealed, opt)
			rebuilt = min(rebuilt, time.Since(began))
			began = time.Now()
			v := verify.CheckFor(t.Context(), opt.Policy, "x.zip", out, keys...)
			if verified = min(verified, time.Since(began)); rep.Outcome != verdict.Clean || v.Outcome != verdict.Clean {
				t.Fatalf("%v %v", rep.Findings, v.Findings)
			}
		}
		return rebuilt, verified
	}
	r1, v1 := took("right")
	wrong := strings.Split("abcdefghijklmno", "")
	r16, v16 := took(append(wrong, "right")...)
	if r16 > 6*r1 || v16 > 6*v1 {
		t.Errorf("rebuilt in %s and verified in %s with one password, in %s and %s with 16", r1, v1, r16, v16)
	}
}

func TestInfoZipsEncryption(t *testing.T) {
	if _, err := exec.LookPath("zip"); err != nil {
		t.Fatal("no zip program: run hack/bootstrap")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte(strings.Repeat("abc\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("zip", "-q", "-P", "secret", "x.zip", "a.txt")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	in, err := os.ReadFile(filepath.Join(dir, "x.zip"))
	if err != nil {
		t.Fatal(err)
	}
	_, out := pass(t, "x.zip", in, sanitize.Options{Keys: []string{"secret"}})
	if got := tree(t, out); !slices.Equal(got, []string{"a.txt=" + strings.Repeat("abc\n", 100)}) {
		t.Errorf("got %.80q", got)
	}
}

// A 7z is opened with the first password that fits, whether it hides its names or not, and is a ZIP after that, open or under the same one.
func TestEncrypted7z(t *testing.T) {
	for _, headers := range []bool{false, true} {
		in := archivetest.Sealed7z("ひみつ", headers, "資料.txt", "個人番号ではない\r\n")
		for _, keys := range [][]string{nil, {"違う"}, {"違う", "x"}} {
			if rep, _, _ := sanitizetest.Ask(t, "x.7z", in, sanitize.Options{Keys: keys}); rep.Outcome != verdict.Blocked || !sanitizetest.Has(rep, "archive.password", verdict.Refused) {
				t.Errorf("headers %v, passwords %q: got %s %v", headers, keys, rep.Outcome, rep.Findings)
			}
		}
		rep, out := pass(t, "x.7z", in, sanitize.Options{Keys: []string{"違う", "ひみつ"}})
		if got := tree(t, out); !slices.Equal(got, []string{"資料.txt=個人番号ではない\r\n"}) || !sanitizetest.Has(rep, "archive.opened", verdict.Changed) {
			t.Errorf("headers %v: got %q, %v", headers, got, rep.Findings)
		}
		rep, out = pass(t, "x.7z", in, sanitize.Options{Keys: []string{"違う", "ひみつ"}, Policy: verdict.Policy{Passwords: "again"}})
		if bytes.Contains(out, []byte("個人番号")) || !sanitizetest.Has(rep, "archive.again", verdict.Reported) {
			t.Errorf("headers %v: got %v", headers, rep.Findings)
		}
	}
}
