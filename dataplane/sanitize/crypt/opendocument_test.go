package crypt

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize/container"
	"github.com/sekisho/sekisho/dataplane/sanitize/crypt/crypttest"
)

func openODF(t *testing.T, in []byte, keys ...string) ([]byte, bool, error) {
	t.Helper()
	z, err := container.Open(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return OpenDocument(t.Context(), in, z, keys)
}

func TestOpenDocumentsAreOpened(t *testing.T) {
	plain := []byte("PK\x03\x04" + strings.Repeat("関所", 3000))
	in := crypttest.OpenDocument(plain, "鍵 key", "text", nil)
	for _, c := range []struct {
		keys []string
		code string
	}{{[]string{"x", "鍵 key"}, ""}, {[]string{"鍵 Key"}, "type.encrypted"}, {nil, "type.encrypted"}} {
		if got, opened, err := openODF(t, in, c.keys...); codeOf(err) != c.code || c.code == "" && (!opened || !bytes.Equal(got, plain)) {
			t.Errorf("with %q: got %d bytes, %v, want %q", c.keys, len(got), err, c.code)
		}
	}
}

func TestOpenDocumentsThatLie(t *testing.T) {
	swap := func(old, new string) func(string, []byte) (string, []byte) {
		return func(m string, b []byte) (string, []byte) {
			if !strings.Contains(m, old) {
				t.Fatalf("the manifest has no %q", old)
			}
			return strings.Replace(m, old, new, 1), b
		}
	}
	for name, c := range map[string]struct {
		change func(string, []byte) (string, []byte)
		code   string
	}{
		"a changed byte":            {func(m string, b []byte) (string, []byte) { b[20] ^= 1; return m, b }, "type.encrypted"},
		"another nonce":             {func(m string, b []byte) (string, []byte) { b[0] ^= 1; return m, b }, "odf.broken"},
		"cut off":                   {func(m string, b []byte) (string, []byte) { return m, b[:5] }, "odf.broken"},
		"no algorithm":              {swap("manifest:algorithm ", "manifest:algorythm "), "odf.broken"},
		"an unknown cipher":         {swap("aes256-gcm", "rot13"), "legacy.encryption"},
		"an unknown hash":           {swap("xmlenc#sha256", "xmlenc#md5"), "legacy.encryption"},
		"an unknown derivation":     {swap("argon2id", "scrypt"), "legacy.encryption"},
		"4 TB for the password":     {swap(`argon2-memory="64"`, `argon2-memory="4294967295"`), "legacy.encryption"},
		"128 MB, very often":        {swap(`argon2-iterations="1" loext:argon2-memory="64"`, `argon2-iterations="4000000000" loext:argon2-memory="131072"`), "legacy.encryption"},
		"many lanes":                {swap(`argon2-lanes="1"`, `argon2-lanes="255"`), "legacy.encryption"},
		"no lanes":                  {swap(`argon2-lanes="1"`, `argon2-lanes="-1"`), "legacy.encryption"},
		"rounds without end":        {swap("urn:org:documentfoundation:names:experimental:office:manifest:argon2id", `PBKDF2" manifest:iteration-count="100000000`), "legacy.encryption"},
		"a key of another length":   {swap(`manifest:key-size="32"/></manifest:enc`, `manifest:key-size="3200"/></manifest:enc`), "odf.broken"},
		"more than it says":         {swap(`manifest:size="9004"`, `manifest:size="100"`), "odf.broken"},
		"less than it says":         {swap(`manifest:size="9004"`, `manifest:size="90040"`), "odf.broken"},
		"a size beyond all":         {swap(`manifest:size="9004"`, `manifest:size="9000000000000"`), "limit.expansion"},
		"a member that is not here": {swap(`full-path="encrypted-package"`, `full-path="content.xml"`), ""},
		"markup that breaks":        {swap("</manifest:manifest>", "</manifest:manifests>"), "xml.broken"},
	} {
		_, opened, err := openODF(t, crypttest.OpenDocument([]byte("PK\x03\x04"+strings.Repeat("x", 9000)), "k", "text", c.change), "k")
		if codeOf(err) != c.code || err == nil && !opened {
			t.Errorf("%s: got %v, want %q", name, err, c.code)
		}
	}
}
