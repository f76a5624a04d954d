// Package crypt opens Office documents that a password protects ([MS-OFFCRYPTO]): standard and agile encryption of packages (2.3.4.5 and
// 2.3.4.10), the RC4 and XOR of Office 97 to 2003 (2.3.5 to 2.3.7), and the packages of OpenDocument (ODF 1.3 part 2, 3.4).
//
// Problem: a document under a password cannot be looked into, and one that is let through unseen undoes all else. Mechanism: the
// passwords that came with the file are tried; the key is derived as the standard says, with the sender's count of rounds bounded; the
// checksum over the whole is held where there is one. Life cycle: one call of Open, Old or OpenDocument a file. Invariant: what comes out was
// opened by one of the given passwords, or by one that every such program knows, and, where there is a checksum, is what its writer wrote.
package crypt

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash"
	"slices"
	"strconv"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/sanitize/compound"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// maxKeys is how many of the sender's passwords are tried.
const maxKeys = 20

// rounds of the password's hash, which are what a wrong password costs.
type rounds struct {
	most     int // that a file with agile encryption may ask for; Office asks for 100,000
	standard int // of standard encryption, where the file has no say ([MS-OFFCRYPTO] 2.3.4.7)
}

var usual = rounds{most: 1_000_000, standard: 50_000}

var errPassword = rebuild.Refuse("type.encrypted", "", "")

// Open gives the package in an encrypted document. Refused with type.encrypted when no password fits.
func Open(ctx context.Context, in []byte, keys []string) ([]byte, error) {
	f, err := compound.Open(in)
	if err != nil {
		return nil, err
	}
	info, err := f.Read("EncryptionInfo")
	if err != nil {
		return nil, err
	}
	body, err := f.Read("EncryptedPackage")
	if err != nil {
		return nil, err
	}
	return unlock(ctx, info, body, tried(keys), usual)
}

func unlock(ctx context.Context, info, body []byte, keys []string, n rounds) ([]byte, error) {
	if len(info) < 8 || len(body) < 8 || len(body)-8 < 16 {
		return nil, broken("no encrypted package")
	}
	size := binary.LittleEndian.Uint64(body)
	if size > uint64(len(body)-8) {
		return nil, broken("size of the package")
	}
	major, minor := binary.LittleEndian.Uint16(info), binary.LittleEndian.Uint16(info[2:])
	var by func(key []byte) ([]byte, error)
	switch {
	case major == 4 && minor == 4:
		a, err := readAgile(info[8:], n.most)
		if err != nil {
			return nil, err
		}
		by = func(key []byte) ([]byte, error) { return a.open(ctx, key, body) }
	case minor == 2 && major >= 2 && major <= 4:
		s, err := readStandard(info[4:], n.standard)
		if err != nil {
			return nil, err
		}
		by = func(key []byte) ([]byte, error) { return s.open(ctx, key, body[8:]) }
	default:
		return nil, rebuild.Refuse("legacy.encryption", "", "version "+strconv.Itoa(int(major))+"."+strconv.Itoa(int(minor)))
	}
	for _, k := range keys {
		plain, err := by(charset.ToUTF16([]byte(k), binary.LittleEndian))
		if err == errPassword {
			continue
		}
		if err != nil {
			return nil, err
		}
		if uint64(len(plain)) < size {
			return nil, broken("size of the package")
		}
		return plain[:size], nil
	}
	return nil, errPassword
}

// tried are the passwords that may open a document: so many of the sender's, and those that nobody is asked for.
func tried(keys []string) []string {
	return slices.Concat(keys[:min(len(keys), maxKeys)], known)
}

func broken(detail string) error { return rebuild.Refuse("legacy.broken", "", detail) }

// spun is the hash of salt and password, hashed again with a counter as often as the file says.
func spun(ctx context.Context, h func() hash.Hash, salt, key []byte, rounds int) ([]byte, error) {
	d := h()
	d.Write(salt)
	d.Write(key)
	sum := d.Sum(nil)
	var n [4]byte
	for i := range rounds {
		if i&0x3FFF == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		binary.LittleEndian.PutUint32(n[:], uint32(i))
		d.Reset()
		d.Write(n[:])
		d.Write(sum)
		sum = d.Sum(sum[:0])
	}
	return sum, nil
}

func digest(h func() hash.Hash, parts ...[]byte) []byte {
	d := h()
	for _, p := range parts {
		d.Write(p)
	}
	return d.Sum(nil)
}

// fit cuts or fills with 0x36 ([MS-OFFCRYPTO] 2.3.4.11).
func fit(b []byte, n int) []byte {
	b = bytes.Clone(b)
	for len(b) < n {
		b = append(b, 0x36)
	}
	return b[:n]
}
