package crypt

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize/compound"
	"github.com/sekisho/sekisho/dataplane/sanitize/crypt/crypttest"
)

// FuzzOld opens whatever comes: what was opened is as long as it was.
func FuzzOld(f *testing.F) {
	f.Add(crypttest.Show(showStreams(), "k")[len(compound.Magic):])
	for _, c := range []crypttest.Cipher{crypttest.RC4, crypttest.CryptoAPI} {
		f.Add(crypttest.Word(wordStreams, "k", c)[len(compound.Magic):])
		f.Add(crypttest.Workbook(bookStream, "k", c)[len(compound.Magic):])
	}
	f.Fuzz(func(t *testing.T, rest []byte) {
		in := append([]byte(compound.Magic), rest...)
		if out, err := Old(t.Context(), in, []string{"x", "k"}); err == nil && len(out) != len(in) {
			t.Fatalf("%d bytes became %d", len(in), len(out))
		}
	})
}

// FuzzOpenDocument reads a manifest and opens a member by it, unless that would only take long.
func FuzzOpenDocument(f *testing.F) {
	crypttest.OpenDocument([]byte("PK\x03\x04 plain"), "k", "text", func(manifest string, sealed []byte) (string, []byte) {
		f.Add([]byte(manifest), sealed)
		f.Add([]byte(strings.NewReplacer("http://www.w3.org/2009/xmlenc11#aes256-gcm", "http://www.w3.org/2001/04/xmlenc#aes256-cbc",
			"urn:org:documentfoundation:names:experimental:office:manifest:argon2id", `PBKDF2" manifest:iteration-count="2`).Replace(manifest)), sealed)
		return manifest, sealed
	})
	f.Fuzz(func(t *testing.T, manifest, member []byte) {
		sealed, order, err := readSealed(manifest)
		if err != nil {
			return
		}
		for _, s := range sealed {
			if s.rounds > 20 || s.memoryKiB > 64 || s.passes > 2 {
				continue
			}
			if out, err := s.open(bytes.Clone(member), []byte("k")); err == nil && int64(len(out)) > maxOpened {
				t.Fatalf("%d bytes", len(out))
			}
		}
		if again, _, err := readSealed(openManifest(order)); err != nil || len(again) != 0 {
			t.Fatalf("what is written of %q: %v, %d closed members", manifest, err, len(again))
		}
	})
}
