package archive

import (
	"crypto/aes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"hash/crc32"
	"slices"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// aesField is WinZip's extra field 0x9901 (AE-x specification 1.04, section II.A).
type aesField struct {
	version  int // 1: with the CRC; 2: without
	strength int // 1, 2, 3: keys of 16, 24, 32 bytes
	method   int // of compression
}

const (
	aesIterations = 1000
	aesVerifier   = 2  // bytes of the key that tell a wrong password early
	aesMac        = 10 // bytes of HMAC-SHA1
)

func readAESField(f []byte) (aesField, error) {
	if len(f) != 7 || string(f[2:4]) != "AE" {
		return aesField{}, no("AES field")
	}
	a := aesField{version: le16(f), strength: int(f[4]), method: le16(f[5:])}
	if a.version < 1 || a.version > 2 || a.strength < 1 || a.strength > 3 || a.method == methodAES {
		return aesField{}, no("AES field")
	}
	return a, nil
}

// decrypt tries the passwords that the sender gave, as UTF-8 and as CP932, which older programs write. The one that fits is tried
// first on the next member: members mostly share it, and trying one takes milliseconds.
func (e *entry) decrypt(j *rebuild.Job) ([]byte, string, error) {
	for _, key := range j.Keys {
		tries := [][]byte{[]byte(key)}
		if b, ok := toCP932(key); ok && string(b) != key {
			tries = append(tries, b)
		}
		for _, try := range tries {
			if err := j.Ctx.Err(); err != nil {
				return nil, "", err
			}
			body, ok, err := e.try(j, try)
			if ok {
				j.Keys = append([]string{key}, slices.DeleteFunc(slices.Clone(j.Keys), func(k string) bool { return k == key })...)
			}
			if ok || err != nil {
				return body, key, err
			}
		}
	}
	return nil, "", rebuild.Refuse("archive.password", "", "")
}

// try is ok when the password is right. An error is one whatever the password is.
func (e *entry) try(j *rebuild.Job, key []byte) (body []byte, ok bool, err error) {
	if e.method != methodAES {
		plain, ok := zipCrypto(e.data, key, byte(e.crc>>24), byte(e.dosTime>>8), e.flags&flagDescriptor != 0)
		if !ok {
			return nil, false, nil
		}
		// One wrong password in 256 comes so far.
		body, err := inflate(j, e.method, plain, e.size)
		if j.Ctx.Err() != nil {
			return nil, false, j.Ctx.Err()
		}
		return body, err == nil && crc32.ChecksumIEEE(body) == e.crc, nil
	}
	if e.aes.strength == 0 {
		return nil, false, no("AES without its field")
	}
	salt := 4 + 4*e.aes.strength
	if len(e.data) < salt+aesVerifier+aesMac {
		return nil, false, bad("AES data")
	}
	sealed := e.data[salt+aesVerifier : len(e.data)-aesMac]
	enc, mac, check, err := aesKeys(key, e.data[:salt], e.aes.strength)
	if err != nil {
		return nil, false, err
	}
	if subtle.ConstantTimeCompare(check, e.data[salt:salt+aesVerifier]) != 1 {
		return nil, false, nil
	}
	if !hmac.Equal(seal(mac, sealed), e.data[len(e.data)-aesMac:]) {
		return nil, false, nil
	}
	plain := make([]byte, len(sealed))
	if err := aesCounter(enc, plain, sealed); err != nil {
		return nil, false, err
	}
	body, err = inflate(j, e.aes.method, plain, e.size)
	if err == nil && (e.aes.version == 1 || e.crc != 0) && crc32.ChecksumIEEE(body) != e.crc {
		err = bad("checksum")
	}
	return body, err == nil, err
}

// zipCrypto is PKWARE's stream cipher, APPNOTE 6.1. It keeps nothing secret; it is read because it is sent. Its twelfth byte tells most
// wrong passwords.
func zipCrypto(data, key []byte, crcByte, timeByte byte, deferred bool) ([]byte, bool) {
	if len(data) < 12 {
		return nil, false
	}
	k := [3]uint32{0x12345678, 0x23456789, 0x34567890}
	update := func(b byte) {
		k[0] = crc32.IEEETable[byte(k[0])^b] ^ k[0]>>8
		k[1] = (k[1]+k[0]&0xFF)*134775813 + 1
		k[2] = crc32.IEEETable[byte(k[2])^byte(k[1]>>24)] ^ k[2]>>8
	}
	for _, b := range key {
		update(b)
	}
	out := make([]byte, len(data))
	for i, b := range data {
		t := k[2] | 2
		out[i] = b ^ byte(t*(t^1)>>8)
		update(out[i])
		if i == 11 && out[i] != crcByte && (!deferred || out[i] != timeByte) {
			return nil, false
		}
	}
	return out[12:], true
}

// aesKeys derives the keys of encryption and of the sum, and the bytes that check a password.
func aesKeys(password, salt []byte, strength int) (enc, mac, check []byte, err error) {
	n := 8 + 8*strength
	k, err := pbkdf2.Key(sha1.New, string(password), salt, aesIterations, 2*n+aesVerifier)
	if err != nil {
		return nil, nil, nil, err
	}
	return k[:n], k[n : 2*n], k[2*n:], nil
}

// aesCounter is AES in counter mode with WinZip's counter: little-endian, from 1.
func aesCounter(key, dst, src []byte) error {
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	var counter, stream [aes.BlockSize]byte
	for n := uint64(1); len(src) > 0; n++ {
		binary.LittleEndian.PutUint64(counter[:], n)
		block.Encrypt(stream[:], counter[:])
		w := subtle.XORBytes(dst, src, stream[:])
		dst, src = dst[w:], src[w:]
	}
	return nil
}

func seal(key, b []byte) []byte {
	h := hmac.New(sha1.New, key)
	h.Write(b)
	return h.Sum(nil)[:aesMac]
}

// encrypt is AE-2 with a key of 32 bytes. The salt is drawn from password, place and content: the same archive gives the same bytes,
// and two contents never share a key stream.
func encrypt(password, place string, b []byte) ([]byte, error) {
	h := hmac.New(sha256.New, []byte(password))
	h.Write([]byte(place + "\x00"))
	h.Write(b)
	salt := h.Sum(nil)[:16]
	enc, mac, check, err := aesKeys([]byte(password), salt, 3)
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(salt)+aesVerifier+len(b), len(salt)+aesVerifier+len(b)+aesMac)
	copy(out, salt)
	copy(out[len(salt):], check)
	sealed := out[len(salt)+aesVerifier:]
	if err := aesCounter(enc, sealed, b); err != nil {
		return nil, err
	}
	return append(out, seal(mac, sealed)...), nil
}
