// Package crypttest writes Office documents under a password ([MS-OFFCRYPTO] 2.3.4.5 and 2.3.4.10) for tests.
//
// Problem: no program that writes them runs in tests. Mechanism: the steps of the specification from the writer's side, with salts and
// keys that are the same each time. Life cycle: one call a test. Invariant: what comes out is opened by another implementation, too
// (see the tests of package crypt).
package crypttest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"unicode/utf16"

	"github.com/sekisho/sekisho/dataplane/sanitize/compound/compoundtest"
)

// Rounds of the password's hash in File.
const Rounds = 1000

// File is the document under the password, with agile encryption.
func File(plain []byte, password string) []byte { return Packed(Agile(plain, password, Rounds)) }

// Packed puts the two streams of an encrypted document into a compound file.
func Packed(info, body []byte) []byte {
	return compoundtest.File(map[string]string{"EncryptionInfo": string(info), "EncryptedPackage": string(body)})
}

// Agile gives the streams of agile encryption, whose password is hashed so many times.
func Agile(plain []byte, password string, rounds int) (info, body []byte) {
	salt, dataSalt := bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 16)
	key := bytes.Repeat([]byte{7}, 32)
	sum := sha512.Sum512(append(bytes.Clone(salt), wide(password)...))
	for i := range uint32(rounds) {
		sum = sha512.Sum512(append(binary.LittleEndian.AppendUint32(nil, i), sum[:]...))
	}
	seal := func(key, iv, in []byte) []byte {
		for len(in)%16 != 0 {
			in = append(bytes.Clone(in), 0)
		}
		c, err := aes.NewCipher(key)
		if err != nil {
			panic(err)
		}
		out := make([]byte, len(in))
		cipher.NewCBCEncrypter(c, iv).CryptBlocks(out, in)
		return out
	}
	secret := func(purpose string, in []byte) string {
		k := sha512.Sum512(append(sum[:], purpose...))
		return base64.StdEncoding.EncodeToString(seal(k[:32], salt, in))
	}
	iv := func(purpose []byte) []byte {
		h := sha512.Sum512(append(bytes.Clone(dataSalt), purpose...))
		return h[:16]
	}
	body = binary.LittleEndian.AppendUint64(nil, uint64(len(plain)))
	for i := 0; i*4096 < len(plain); i++ {
		body = append(body, seal(key, iv(binary.LittleEndian.AppendUint32(nil, uint32(i))), plain[i*4096:min(len(plain), (i+1)*4096)])...)
	}
	for len(body) < 4096 { // below, the stream would lie in the mini stream
		body = append(body, 0)
	}
	input := bytes.Repeat([]byte{5}, 16)
	check := sha512.Sum512(input)
	mac := hmac.New(sha512.New, bytes.Repeat([]byte{9}, 64))
	mac.Write(body)
	info = []byte{4, 0, 4, 0, 0x40, 0, 0, 0}
	info = fmt.Appendf(info, `<?xml version="1.0" encoding="UTF-8" standalone="yes"?><encryption xmlns="http://schemas.microsoft.com/office/2006/encryption" xmlns:p="http://schemas.microsoft.com/office/2006/keyEncryptor/password">`+
		`<keyData saltSize="16" blockSize="16" keyBits="256" hashSize="64" cipherAlgorithm="AES" cipherChaining="ChainingModeCBC" hashAlgorithm="SHA512" saltValue="%s"/>`+
		`<dataIntegrity encryptedHmacKey="%s" encryptedHmacValue="%s"/><keyEncryptors><keyEncryptor uri="http://schemas.microsoft.com/office/2006/keyEncryptor/password">`+
		`<p:encryptedKey spinCount="%d" saltSize="16" blockSize="16" keyBits="256" hashSize="64" cipherAlgorithm="AES" cipherChaining="ChainingModeCBC" hashAlgorithm="SHA512" saltValue="%s" encryptedVerifierHashInput="%s" encryptedVerifierHashValue="%s" encryptedKeyValue="%s"/>`+
		`</keyEncryptor></keyEncryptors></encryption>`,
		base64.StdEncoding.EncodeToString(dataSalt),
		base64.StdEncoding.EncodeToString(seal(key, iv([]byte("\x5F\xB2\xAD\x01\x0C\xB9\xE1\xF6")), bytes.Repeat([]byte{9}, 64))),
		base64.StdEncoding.EncodeToString(seal(key, iv([]byte("\xA0\x67\x7F\x02\xB2\x2C\x84\x33")), mac.Sum(nil))),
		rounds, base64.StdEncoding.EncodeToString(salt),
		secret("\xFE\xA7\xD2\x76\x3B\x4B\x9E\x79", input), secret("\xD7\xAA\x0F\x6D\x30\x61\x34\x4E", check[:]), secret("\x14\x6E\x0B\xE7\xAB\xAC\xD0\xD6", key))
	return info, body
}

// Standard gives the streams of standard encryption with AES-128; programs hash the password 50,000 times.
func Standard(plain []byte, password string, rounds int) (info, body []byte) {
	le := binary.LittleEndian
	salt, verifier := bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{5}, 16)
	sum := sha1.Sum(append(bytes.Clone(salt), wide(password)...))
	for i := range uint32(rounds) {
		sum = sha1.Sum(append(le.AppendUint32(nil, i), sum[:]...))
	}
	sum = sha1.Sum(append(sum[:], 0, 0, 0, 0))
	inner := bytes.Repeat([]byte{0x36}, 64)
	for i, c := range sum {
		inner[i] ^= c
	}
	key := sha1.Sum(inner)
	seal := func(in []byte) []byte {
		c, err := aes.NewCipher(key[:16])
		if err != nil {
			panic(err)
		}
		out := make([]byte, (len(in)+15)/16*16)
		copy(out, in)
		for i := 0; i < len(out); i += 16 {
			c.Encrypt(out[i:], out[i:])
		}
		return out
	}
	var header []byte
	for _, v := range []uint32{0x24, 0, 0x660E, 0x8004, 128, 0x18, 0, 0} { // 2.3.2: AES-128, SHA-1
		header = le.AppendUint32(header, v)
	}
	header = append(header, 0, 0) // no name of a provider
	info = []byte{4, 0, 2, 0, 0x24, 0, 0, 0}
	info = append(le.AppendUint32(info, uint32(len(header))), header...)
	info = append(append(le.AppendUint32(info, 16), salt...), seal(verifier)...)
	check := sha1.Sum(verifier)
	info = append(le.AppendUint32(info, sha1.Size), seal(check[:])...)
	return info, append(le.AppendUint64(nil, uint64(len(plain))), seal(plain)...)
}

func wide(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}
