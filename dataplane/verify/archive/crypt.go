package archive

import (
	"crypto/aes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"encoding/binary"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// unseal opens what is encrypted as AE-2 with 256 bits under one of the passwords that came with the original. The one that fits comes to
// stand first: the next member most likely has the same, and trying one takes milliseconds.
func unseal(b []byte, keys []string) ([]byte, error) {
	const salt, key, check, sum = 16, 32, 2, 10
	if len(b) < salt+check+sum {
		return nil, rule.Refuse(codeLayout, "", "encrypted data of %d bytes", len(b))
	}
	sealed, mac := b[salt+check:len(b)-sum], b[len(b)-sum:]
	for i, password := range keys {
		k, err := pbkdf2.Key(sha1.New, password, b[:salt], 1000, 2*key+check)
		if err != nil {
			return nil, err
		}
		if string(k[2*key:]) != string(b[salt:salt+check]) {
			continue
		}
		h := hmac.New(sha1.New, k[key:2*key])
		h.Write(sealed)
		if !hmac.Equal(h.Sum(nil)[:sum], mac) {
			continue
		}
		block, err := aes.NewCipher(k[:key])
		if err != nil {
			return nil, err
		}
		copy(keys[1:i+1], keys[:i])
		keys[0] = password
		out := make([]byte, len(sealed))
		var counter, stream [16]byte
		for i := range sealed {
			if i%16 == 0 {
				binary.LittleEndian.PutUint64(counter[:], uint64(i/16)+1)
				block.Encrypt(stream[:], counter[:])
			}
			out[i] = sealed[i] ^ stream[i%16]
		}
		return out, nil
	}
	return nil, rule.Refuse(codePassword, "", "none of %d passwords", len(keys))
}
