package crypt

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/sekisho/sekisho/dataplane/sanitize/crypt/crypttest"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

func TestAgileAndStandardDocumentsAreOpened(t *testing.T) {
	plain := []byte("PK\x03\x04" + strings.Repeat("関所", 3000))
	agile := crypttest.File(plain, "鍵 key")
	if other, err := excelize.Decrypt(agile, &excelize.Options{Password: "鍵 key"}); err != nil || !bytes.HasPrefix(other, plain) {
		t.Fatalf("another implementation does not open the test's file: %v", err)
	}
	standard, err := excelize.Encrypt(plain, &excelize.Options{Password: "鍵 key"})
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string][]byte{"agile": agile, "standard": standard} {
		for _, c := range []struct {
			keys []string
			code string
		}{{[]string{"x", "鍵 key"}, ""}, {[]string{"x", "鍵 Key"}, "type.encrypted"}, {nil, "type.encrypted"}} {
			got, err := Open(t.Context(), in, c.keys)
			if codeOf(err) != c.code || c.code == "" && !bytes.Equal(got, plain) {
				t.Errorf("%s with %q: got %d bytes, %v, want %s", name, c.keys, len(got), err, c.code)
			}
		}
	}
}

func TestWhatWasChangedOrAsksTooMuchIsRefused(t *testing.T) {
	good := crypttest.File([]byte(strings.Repeat("PK", 4000)), "k")
	change := func(old, new string) []byte { return bytes.Replace(good, []byte(old), []byte(new), 1) }
	flipped := bytes.Clone(good)
	flipped[512+100] ^= 1 // in EncryptedPackage, the first stream
	for name, c := range map[string]struct {
		in   []byte
		code string
	}{
		"a changed byte":     {flipped, "legacy.broken"},
		"too many rounds":    {change(`spinCount="1000" saltSize="16"`, `spinCount="100000000000000001"`), "legacy.encryption"},
		"another cipher":     {change(`cipherAlgorithm="AES" cipherChaining="ChainingModeCBC"`, `cipherAlgorithm="RC2" cipherChaining="ChainingModeCBC"`), "legacy.encryption"},
		"another version":    {change("\x04\x00\x04\x00\x40", "\x03\x00\x03\x00\x40"), "legacy.encryption"},
		"no compound file":   {[]byte("x"), "legacy.broken"},
		"cut off":            {good[:600], "legacy.broken"},
		"a huge plain size":  {append(append(bytes.Clone(good[:512]), "\xff\xff\xff\xff\xff\xff\xff\x0f"...), good[520:]...), "legacy.broken"},
		"no rounds to count": {change(`spinCount="1000"`, `spinCount="-100"`), "legacy.encryption"},
	} {
		if _, err := Open(t.Context(), c.in, []string{"k"}); codeOf(err) != c.code {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, good, []string{"k"}); !errors.Is(err, context.Canceled) {
		t.Errorf("after its end: got %v", err)
	}
}

func codeOf(err error) string {
	var r *rebuild.Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

var slow = regexp.MustCompile(`spinCount="[1-9][0-9]{4}`)

func FuzzOpen(f *testing.F) {
	f.Add(crypttest.File([]byte("PK\x03\x04 plain text of a package"), "k"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if slow.Match(in) {
			t.Skip("it would count, and nothing else")
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, _ = Open(ctx, in, []string{"k"})
	})
}
