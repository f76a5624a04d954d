package crypttest

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// OpenDocument is a package of the kind ("text") encrypted as a whole, as LibreOffice has done it since version 24, with little work for
// the password. Change, when it is there, has the last word on the manifest and on what is encrypted.
func OpenDocument(plain []byte, password, kind string, change func(manifest string, sealed []byte) (string, []byte)) []byte {
	var packed bytes.Buffer
	f, err := flate.NewWriter(&packed, flate.BestCompression)
	if err == nil {
		_, err = f.Write(plain)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		panic(err) // in memory
	}
	salt, nonce := bytes.Repeat([]byte{3}, 16), bytes.Repeat([]byte{4}, 12)
	start := sha256.Sum256([]byte(password))
	block, err := aes.NewCipher(argon2.IDKey(start[:], salt, 1, 64, 1, 32))
	if err != nil {
		panic(err)
	}
	g, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	sealed := g.Seal(bytes.Clone(nonce), nonce, packed.Bytes(), nil)
	manifest := fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?><manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" xmlns:loext="urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0" manifest:version="1.4">`+
		`<manifest:file-entry manifest:full-path="encrypted-package" manifest:media-type="application/vnd.oasis.opendocument.KIND" manifest:size="%d"><manifest:encryption-data>`+
		`<manifest:algorithm manifest:algorithm-name="http://www.w3.org/2009/xmlenc11#aes256-gcm" manifest:initialisation-vector="%s"/>`+
		`<manifest:start-key-generation manifest:start-key-generation-name="http://www.w3.org/2001/04/xmlenc#sha256" manifest:key-size="32"/>`+
		`<manifest:key-derivation manifest:key-derivation-name="urn:org:documentfoundation:names:experimental:office:manifest:argon2id" loext:argon2-iterations="1" loext:argon2-memory="64" loext:argon2-lanes="1" manifest:salt="%s" manifest:key-size="32"/>`+
		`</manifest:encryption-data></manifest:file-entry></manifest:manifest>`, len(plain), base64.StdEncoding.EncodeToString(nonce), base64.StdEncoding.EncodeToString(salt))
	manifest = strings.Replace(manifest, "KIND", kind, 1)
	if change != nil {
		manifest, sealed = change(manifest, sealed)
	}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, m := range []struct {
		name string
		body []byte
	}{{"mimetype", []byte("application/vnd.oasis.opendocument." + kind)}, {"encrypted-package", sealed}, {"META-INF/manifest.xml", []byte(manifest)}} {
		w, err := z.CreateHeader(&zip.FileHeader{Name: m.name, Method: zip.Store})
		if err == nil {
			_, err = w.Write(m.body)
		}
		if err != nil {
			panic(err)
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}
