package crypt

import (
	"context"
	"encoding/binary"
	"math/bits"

	"github.com/sekisho/sekisho/dataplane/sanitize/compound"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// Records of a workbook that stay open ([MS-XLS] 2.2.10), and the sheet's, of which the place in the stream does.
const (
	recordFilePass   = 0x002F
	recordBoundSheet = 0x0085
	workbookBlock    = 1024
)

var openRecords = map[uint16]bool{0x0809: true, recordFilePass: true, 0x0194: true, 0x0195: true, 0x00E1: true, 0x0196: true, 0x0138: true}

// openWorkbook opens the one stream of a workbook. Records keep their places, since others point to them; the heads of records were never
// encrypted. What asked for the password becomes a record that no program knows.
func openWorkbook(ctx context.Context, f *compound.File, keys []string) (map[string][]byte, error) {
	name := "Workbook"
	if !f.Has(name) {
		name = "Book"
	}
	in, err := f.Read(name)
	if err != nil {
		return nil, err
	}
	pass, err := filePass(in)
	if err != nil {
		return nil, err
	}
	var open func(at int, body []byte)
	const excel97 = 0x0600 // the version that BOF tells; those before know XOR only
	switch {
	case binary.LittleEndian.Uint16(in[4:]) < excel97 && len(pass) == 4, len(pass) == 6 && pass[0] == 0 && pass[1] == 0:
		pass = pass[len(pass)-4:]
		array, err := xorArray(binary.LittleEndian.Uint16(pass), binary.LittleEndian.Uint16(pass[2:]), keys)
		if err != nil {
			return nil, err
		}
		open = func(at int, body []byte) {
			for i, c := range body {
				body[i] = bits.RotateLeft8(c^array[(at+len(body)+i)%16], -5)
			}
		}
	case len(pass) > 2 && pass[0] == 1 && pass[1] == 0:
		key, err := readRC4(pass[2:], keys)
		if err != nil {
			return nil, err
		}
		plain, err := key.stream(ctx, in, workbookBlock)
		if err != nil {
			return nil, err
		}
		open = func(at int, body []byte) { copy(body, plain[at:]) }
	default:
		return nil, rebuild.Refuse("legacy.encryption", "", "")
	}
	out := append([]byte(nil), in...)
	for at := 0; len(out)-at >= 4; {
		kind, size := binary.LittleEndian.Uint16(out[at:]), int(binary.LittleEndian.Uint16(out[at+2:]))
		if len(out)-at-4 < size {
			break
		}
		body := out[at+4 : at+4+size]
		switch {
		case kind == recordFilePass:
			clear(out[at : at+2])
			clear(body)
		case kind == recordBoundSheet && size >= 4:
			place := [4]byte(body)
			open(at+4, body)
			copy(body, place[:])
		case !openRecords[kind]:
			open(at+4, body)
		}
		at += 4 + size
	}
	return map[string][]byte{name: out}, ctx.Err()
}

// filePass finds the record that asks for the password.
func filePass(b []byte) ([]byte, error) {
	if len(b) < 8 {
		return nil, broken("workbook")
	}
	for len(b) >= 4 {
		size := int(binary.LittleEndian.Uint16(b[2:]))
		if len(b)-4 < size {
			break
		}
		if binary.LittleEndian.Uint16(b) == recordFilePass {
			return b[4 : 4+size], nil
		}
		b = b[4+size:]
	}
	return nil, broken("encryption header")
}

// XOR obfuscation, method 1 ([MS-OFFCRYPTO] 2.3.7.1 to 2.3.7.3): the first codes by length of the password, the first element of each
// row of the matrix, of which the other six follow, and what fills the password up.
var (
	xorCodes = [15]uint16{0xE1F0, 0x1D0F, 0xCC9C, 0x84C0, 0x110C, 0x0E10, 0xF1CE, 0x313E, 0x1872, 0xE139, 0xD40F, 0x84F9, 0x280C, 0xA96A, 0x4EC3}
	xorRows  = [15]uint16{0xAEFC, 0x7B61, 0x4563, 0x0375, 0xD849, 0x6F45, 0xEB23, 0x47D3, 0xB861, 0x45A0, 0xAA51, 0x76B4, 0x3730, 0x3331, 0x1021}
	xorFill  = [15]byte{0xBB, 0xFF, 0xFF, 0xBA, 0xFF, 0xFF, 0xB9, 0x80, 0x00, 0xBE, 0x0F, 0x00, 0xBF, 0x0F, 0x00}
)

// xorArray is the array of 16 bytes of the password that has this key and this verifier.
func xorArray(key, verifier uint16, keys []string) (array [16]byte, err error) {
	for _, k := range keys {
		password := narrow(k)
		if n := len(password); n == 0 || n > 15 || xorKey(password) != key || xorVerifier(password) != verifier {
			continue
		}
		for i := range array {
			c, of := byte(0), byte(key)
			if i < len(password) {
				c = password[i]
			} else {
				c = xorFill[i-len(password)]
			}
			if i%2 == 1 {
				of = byte(key >> 8)
			}
			array[i] = bits.RotateLeft8(c^of, -1)
		}
		return array, nil
	}
	return array, errPassword
}

// narrow is a password as bytes: the low one of each character, or the high one where that is zero (2.3.7.4).
func narrow(k string) (out []byte) {
	for _, r := range k {
		c := byte(r)
		if c == 0 {
			c = byte(r >> 8)
		}
		out = append(out, c)
	}
	return out
}

func xorKey(password []byte) uint16 {
	key := xorCodes[len(password)-1]
	for i, c := range password {
		element := xorRows[15-len(password)+i]
		for range 7 {
			if c&1 != 0 {
				key ^= element
			}
			c >>= 1
			element = element<<1 ^ (element>>15)*0x1021
		}
	}
	return key
}

func xorVerifier(password []byte) (v uint16) {
	for i := len(password) - 1; i >= -1; i-- {
		c := byte(len(password))
		if i >= 0 {
			c = password[i]
		}
		v = (v<<1&0x7FFF | v>>14&1) ^ uint16(c)
	}
	return v ^ 0xCE4B
}
