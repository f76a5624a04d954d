package crypt

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha1"
	"encoding/binary"
	"fmt"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/sanitize/compound"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// Passwords that the programs try by themselves, so that nobody is asked: of a workbook or document that is only protected against
// changes ([MS-XLS] 2.2.10, [MS-PPT] 2.3.7).
var known = []string{"VelvetSweatshop", "/01Hannes Ruescher/01"}

// Old gives a protected Word, Excel or PowerPoint document of Office 97 to 2003 as it would be without its password: the same compound
// file, in which the streams that were encrypted are open and what says that they are not is blanked. Refused with type.encrypted when
// no password fits.
func Old(ctx context.Context, in []byte, keys []string) ([]byte, error) {
	f, err := compound.Open(in)
	if err != nil {
		return nil, err
	}
	unlock := openShow
	switch {
	case f.Has("WordDocument"):
		unlock = openWord
	case f.Has("Workbook"), f.Has("Book"):
		unlock = openWorkbook
	}
	streams, err := unlock(ctx, f, tried(keys))
	if err != nil {
		return nil, err
	}
	return compound.Change(in, streams)
}

// blockKey is the key of a block of a stream. Blocks are counted from 0; how long one is, or what it is, is the document's matter.
type blockKey func(block uint32) []byte

// readRC4 reads what stands before an encrypted stream ([MS-OFFCRYPTO] 2.3.6.1 and 2.3.5.1) and gives the key that one of the passwords
// opens.
func readRC4(info []byte, keys []string) (blockKey, error) {
	if len(info) < 4 {
		return nil, broken("encryption header")
	}
	major, minor := binary.LittleEndian.Uint16(info), binary.LittleEndian.Uint16(info[2:])
	var derive func(password []byte) blockKey
	var verifier, sum []byte
	hash := md5.New
	switch {
	case major == 1 && minor == 1:
		if len(info) < 52 {
			return nil, broken("encryption header")
		}
		salt := info[4:20]
		verifier, sum = info[20:36], info[36:52]
		derive = func(password []byte) blockKey { return rc4Of40(salt, password) }
	case major >= 2 && major <= 4 && minor == 2:
		h, err := readCryptoAPI(info[4:])
		if err != nil {
			return nil, err
		}
		hash, verifier, sum, derive = sha1.New, h.verifier, h.sum, h.derive
	default:
		return nil, rebuild.Refuse("legacy.encryption", "", fmt.Sprintf("version %d.%d", major, minor))
	}
	for _, k := range keys {
		key := derive(charset.ToUTF16([]byte(k), binary.LittleEndian))
		both := append(append([]byte(nil), verifier...), sum...)
		key.open(0, both)
		if hmac.Equal(digest(hash, both[:len(verifier)]), both[len(verifier):]) {
			return key, nil
		}
	}
	return nil, errPassword
}

// rc4Of40 is how Office 97 makes a key: 40 bits of MD5, however long the password is.
func rc4Of40(salt, password []byte) blockKey {
	short := digest(md5.New, password)[:5]
	var mixed []byte
	for range 16 {
		mixed = append(append(mixed, short...), salt...)
	}
	short = digest(md5.New, mixed)[:5]
	return func(block uint32) []byte {
		return digest(md5.New, short, binary.LittleEndian.AppendUint32(nil, block))
	}
}

// cryptoAPI is the encryption of Office XP and 2003.
type cryptoAPI struct {
	salt, verifier, sum []byte
	keyLen              int
}

func readCryptoAPI(b []byte) (*cryptoAPI, error) {
	if len(b) < 8 {
		return nil, broken("encryption header")
	}
	n := int64(binary.LittleEndian.Uint32(b[4:]))
	if n < 32 || n > int64(len(b))-8 || int64(len(b))-8-n < 4+16+16+4+20 {
		return nil, broken("encryption header")
	}
	h, v := b[8:8+n], b[8+n:]
	const rc4Cipher, sha1Hash = 0x6801, 0x8004
	bits := binary.LittleEndian.Uint32(h[16:])
	if bits == 0 {
		bits = 40
	}
	if binary.LittleEndian.Uint32(h[8:]) != rc4Cipher || binary.LittleEndian.Uint32(h[12:]) != sha1Hash || bits < 40 || bits > 128 || bits%8 != 0 {
		return nil, rebuild.Refuse("legacy.encryption", "", "algorithm")
	}
	if binary.LittleEndian.Uint32(v) != 16 || binary.LittleEndian.Uint32(v[36:]) != sha1.Size {
		return nil, broken("encryption header")
	}
	return &cryptoAPI{salt: v[4:20], verifier: v[20:36], sum: v[40:60], keyLen: int(bits) / 8}, nil
}

func (c *cryptoAPI) derive(password []byte) blockKey {
	first := digest(sha1.New, c.salt, password)
	return func(block uint32) []byte {
		key := digest(sha1.New, first, binary.LittleEndian.AppendUint32(nil, block))[:c.keyLen]
		if c.keyLen == 5 { // the provider of that time filled a short key up
			key = append(key, make([]byte, 11)...)
		}
		return key
	}
}

// open decrypts in place what lies at the beginning of a block.
func (k blockKey) open(block uint32, b []byte) {
	c, err := rc4.NewCipher(k(block))
	if err != nil {
		panic(err) // a key of 5 to 16 bytes is one
	}
	c.XORKeyStream(b, b)
}

// stream decrypts a stream whose blocks have so many bytes.
func (k blockKey) stream(ctx context.Context, in []byte, size int) ([]byte, error) {
	out := append([]byte(nil), in...)
	for i := 0; i*size < len(out); i++ {
		if i&0xFFF == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		k.open(uint32(i), out[i*size:min(len(out), (i+1)*size)])
	}
	return out, nil
}
