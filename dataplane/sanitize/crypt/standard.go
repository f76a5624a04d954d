package crypt

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// standard is ECMA-376 standard encryption: AES in ECB with a key from SHA-1.
type standard struct {
	salt, verifier, sum []byte
	keyLen, spin        int
}

func readStandard(b []byte, spin int) (*standard, error) {
	if len(b) < 8 {
		return nil, broken("encryption header")
	}
	n := int(binary.LittleEndian.Uint32(b[4:]))
	if n < 32 || n > len(b)-8 || len(b)-8-n < 4+16+16+4+32 {
		return nil, broken("encryption header")
	}
	h, v := b[8:8+n], b[8+n:]
	bits := map[uint32]int{0x660E: 128, 0x660F: 192, 0x6610: 256}[binary.LittleEndian.Uint32(h[8:])]
	if bits == 0 || binary.LittleEndian.Uint32(h[12:]) != 0x8004 || binary.LittleEndian.Uint32(h[16:]) != uint32(bits) || binary.LittleEndian.Uint32(v) != 16 {
		return nil, rebuild.Refuse("legacy.encryption", "", "algorithm")
	}
	return &standard{salt: v[4:20], verifier: v[20:36], sum: v[40:72], keyLen: bits / 8, spin: spin}, nil
}

func (s *standard) open(ctx context.Context, key, body []byte) ([]byte, error) {
	sum, err := spun(ctx, sha1.New, s.salt, key, s.spin)
	if err != nil {
		return nil, err
	}
	sum = digest(sha1.New, sum, make([]byte, 4))
	var derived []byte
	for _, pad := range []byte{0x36, 0x5C} {
		x := bytes.Repeat([]byte{pad}, 64)
		for i, c := range sum {
			x[i] ^= c
		}
		derived = append(derived, digest(sha1.New, x)...)
	}
	block, err := aes.NewCipher(derived[:s.keyLen])
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(digest(sha1.New, blocks(block, s.verifier)), blocks(block, s.sum)[:sha1.Size]) {
		return nil, errPassword
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return blocks(block, body), nil
}

// blocks decrypts whole blocks, each by itself.
func blocks(c cipher.Block, in []byte) []byte {
	out := make([]byte, len(in)/16*16)
	for i := 0; i+16 <= len(in); i += 16 {
		c.Decrypt(out[i:], in[i:])
	}
	return out
}
