package crypt

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"strconv"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// agile is ECMA-376 agile encryption: AES in CBC by segments, under a random key that the password opens.
type agile struct {
	data, pass                           algorithm
	spin                                 int
	hmacKey, hmacValue                   []byte
	verifierInput, verifierSum, keyValue []byte
}

type algorithm struct {
	salt   []byte
	hash   func() hash.Hash
	keyLen int
}

// What is hashed behind the password for each purpose (2.3.4.13, 2.3.4.14).
var (
	forInput     = []byte("\xFE\xA7\xD2\x76\x3B\x4B\x9E\x79")
	forSum       = []byte("\xD7\xAA\x0F\x6D\x30\x61\x34\x4E")
	forKey       = []byte("\x14\x6E\x0B\xE7\xAB\xAC\xD0\xD6")
	forHMACKey   = []byte("\x5F\xB2\xAD\x01\x0C\xB9\xE1\xF6")
	forHMACValue = []byte("\xA0\x67\x7F\x02\xB2\x2C\x84\x33")
)

var spaces = map[string]string{
	"http://schemas.microsoft.com/office/2006/encryption":                        "e",
	"http://schemas.microsoft.com/office/2006/keyEncryptor/password":             "p",
	"http://schemas.microsoft.com/office/2006/keyEncryptor/certificate":          "c",
	"http://schemas.microsoft.com/office/2006/encryption/dataIntegrity/password": "i",
}

func readAgile(b []byte, mostSpin int) (*agile, error) {
	b = bytes.TrimRight(b, "\x00")
	x, err := markup.New(b, spaces)
	if err != nil {
		return nil, err
	}
	a := &agile{}
	var t markup.Token
	for {
		if err := x.Next(&t); err != nil {
			return nil, err
		}
		if t.Kind == markup.EOF {
			break
		}
		if t.Kind != markup.Start {
			continue
		}
		at := map[string]string{}
		for _, v := range t.Attrs {
			at[string(v.Name)] = string(markup.Unescape(v.Value))
		}
		raw := func(name string) []byte {
			v, err := base64.StdEncoding.DecodeString(at[name])
			if err != nil {
				return nil
			}
			return v
		}
		switch t.NS + " " + t.Local {
		case "e keyData":
			if a.data, err = readAlgorithm(at, raw("saltValue")); err != nil {
				return nil, err
			}
		case "e dataIntegrity":
			a.hmacKey, a.hmacValue = raw("encryptedHmacKey"), raw("encryptedHmacValue")
		case "p encryptedKey":
			if a.pass, err = readAlgorithm(at, raw("saltValue")); err != nil {
				return nil, err
			}
			a.spin, err = strconv.Atoi(at["spinCount"])
			if err != nil || a.spin < 0 || a.spin > mostSpin {
				return nil, rebuild.Refuse("legacy.encryption", "", "rounds "+at["spinCount"])
			}
			a.verifierInput, a.verifierSum, a.keyValue = raw("encryptedVerifierHashInput"), raw("encryptedVerifierHashValue"), raw("encryptedKeyValue")
		}
	}
	for _, v := range [][]byte{a.hmacKey, a.hmacValue, a.verifierInput, a.verifierSum, a.keyValue} {
		if len(v) == 0 || len(v)%16 != 0 || len(v) > 1024 {
			return nil, broken("encryption information")
		}
	}
	if a.data.hash == nil || a.pass.hash == nil {
		return nil, broken("encryption information")
	}
	return a, nil
}

func readAlgorithm(at map[string]string, salt []byte) (algorithm, error) {
	hashes := map[string]func() hash.Hash{"SHA1": sha1.New, "SHA-1": sha1.New, "SHA256": sha256.New, "SHA384": sha512.New384, "SHA512": sha512.New}
	a := algorithm{salt: salt, hash: hashes[strings.ToUpper(at["hashAlgorithm"])], keyLen: map[string]int{"128": 16, "192": 24, "256": 32}[at["keyBits"]]}
	if at["cipherAlgorithm"] != "AES" || at["cipherChaining"] != "ChainingModeCBC" || at["blockSize"] != "16" || a.hash == nil || a.keyLen == 0 {
		return a, rebuild.Refuse("legacy.encryption", "", at["cipherAlgorithm"]+" "+at["cipherChaining"]+" "+at["hashAlgorithm"])
	}
	if len(salt) == 0 || len(salt) > 64 {
		return a, broken("salt")
	}
	return a, nil
}

func (a *agile) open(ctx context.Context, key, body []byte) ([]byte, error) {
	sum, err := spun(ctx, a.pass.hash, a.pass.salt, key, a.spin)
	if err != nil {
		return nil, err
	}
	secret := func(purpose, in []byte) ([]byte, error) {
		return chained(fit(digest(a.pass.hash, sum, purpose), a.pass.keyLen), fit(a.pass.salt, 16), in)
	}
	input, err := secret(forInput, a.verifierInput)
	if err != nil {
		return nil, err
	}
	want, err := secret(forSum, a.verifierSum)
	if err != nil {
		return nil, err
	}
	got := digest(a.pass.hash, input[:min(len(input), len(a.pass.salt))])
	if len(want) < len(got) || !hmac.Equal(got, want[:len(got)]) {
		return nil, errPassword
	}
	dataKey, err := secret(forKey, a.keyValue)
	if err != nil {
		return nil, err
	}
	if len(dataKey) < a.data.keyLen {
		return nil, broken("key")
	}
	dataKey = dataKey[:a.data.keyLen]
	if err := a.whole(dataKey, body); err != nil {
		return nil, err
	}
	in := body[8:]
	out := make([]byte, 0, len(in))
	var n [4]byte
	for i := 0; i*4096 < len(in); i++ {
		if i&0xFF == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		binary.LittleEndian.PutUint32(n[:], uint32(i))
		segment := in[i*4096 : min(len(in), (i+1)*4096)]
		plain, err := chained(dataKey, fit(digest(a.data.hash, a.data.salt, n[:]), 16), segment[:len(segment)/16*16])
		if err != nil {
			return nil, err
		}
		out = append(out, plain...)
	}
	return out, nil
}

// whole holds the checksum over the encrypted package.
func (a *agile) whole(key, body []byte) error {
	open := func(purpose, in []byte) ([]byte, error) {
		return chained(key, fit(digest(a.data.hash, a.data.salt, purpose), 16), in)
	}
	size := a.data.hash().Size()
	salt, err := open(forHMACKey, a.hmacKey)
	if err != nil {
		return err
	}
	want, err := open(forHMACValue, a.hmacValue)
	if err != nil {
		return err
	}
	if len(salt) < size || len(want) < size {
		return broken("checksum of the package")
	}
	m := hmac.New(a.data.hash, salt[:size])
	m.Write(body)
	if !hmac.Equal(m.Sum(nil), want[:size]) {
		return broken("checksum of the package")
	}
	return nil
}

func chained(key, iv, in []byte) ([]byte, error) {
	c, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(in))
	cipher.NewCBCDecrypter(c, iv).CryptBlocks(out, in)
	return out, nil
}
