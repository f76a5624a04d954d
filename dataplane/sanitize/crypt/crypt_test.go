package crypt

import (
	"bytes"
	"context"
	"errors"
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
	ours := crypttest.Packed(crypttest.Standard(plain, "鍵 key", usual.standard))
	if other, err := excelize.Decrypt(ours, &excelize.Options{Password: "鍵 key"}); err != nil || !bytes.HasPrefix(other, plain) {
		t.Fatalf("another implementation does not open the test's file: %v", err)
	}
	for name, in := range map[string][]byte{"agile": agile, "standard": standard, "standard, by the test": ours} {
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

// A workbook that is only protected against changes opens in Excel without a question.
func TestThePasswordThatEveryExcelKnows(t *testing.T) {
	plain := []byte("PK\x03\x04" + strings.Repeat("関所", 3000))
	if got, err := Open(t.Context(), crypttest.File(plain, "VelvetSweatshop"), nil); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if _, err := Old(t.Context(), crypttest.Workbook(bookStream, "VelvetSweatshop", crypttest.RC4), nil); err != nil {
		t.Errorf("of Office 97: %v", err)
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

func FuzzOpen(f *testing.F) {
	plain := []byte("PK\x03\x04 plain text of a package")
	few := rounds{most: 20, standard: 3} // what is behind the rounds is tried, not how long they take
	for _, streams := range []func([]byte, string, int) ([]byte, []byte){crypttest.Agile, crypttest.Standard} {
		info, body := streams(plain, "k", few.standard)
		if got, err := unlock(f.Context(), info, body, []string{"x", "k"}, few); err != nil || !bytes.Equal(got, plain) {
			f.Fatalf("a seed does not open: %q, %v", got, err)
		}
		f.Add(info, body)
	}
	f.Fuzz(func(t *testing.T, info, body []byte) {
		if got, err := unlock(t.Context(), info, body, []string{"x", "k"}, few); err == nil && len(got) > len(body) {
			t.Fatalf("%d bytes came out of %d", len(got), len(body))
		}
	})
}
