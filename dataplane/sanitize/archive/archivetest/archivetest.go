// Package archivetest makes archives of kinds that no program of the tests' writes.
//
// Problem: 7z and LZH files come from programs that are not installed, and hostile ones from none. Mechanism: headers byte by byte, bodies
// as they are given. Life cycle: one call a test. Invariant: what comes out of honest arguments is well-formed by 7zFormat.txt and
// by the headers that LHA writes.
package archivetest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
)

// SevenZip makes a 7z of stored members; a name that ends in / is a folder.
func SevenZip(attributes uint32, names []string, bodies ...string) []byte {
	le := binary.LittleEndian
	num := func(n int) []byte {
		if n < 0x80 {
			return []byte{byte(n)}
		}
		return []byte{0x80 | byte(n>>8), byte(n)}
	}
	var data, sizes, sums, wide, attr []byte
	files, empty := 0, byte(0)
	for i, n := range names {
		wide = append(wideName(wide, n), 0, 0)
		a := attributes
		if strings.HasSuffix(n, "/") {
			a, empty = 0x10, empty|0x80>>i
		} else {
			if files > 0 {
				sizes = append(sizes, num(len(bodies[files-1]))...)
			}
			data = append(data, bodies[files]...)
			sums = le.AppendUint32(sums, crc32.ChecksumIEEE([]byte(bodies[files])))
			files++
		}
		attr = le.AppendUint32(attr, a)
	}
	h := []byte{1, 4, 6, 0, 1, 9}
	h = append(append(h, num(len(data))...), 0, 7, 11, 1, 0, 1, 1, 0, 12)
	h = append(append(h, num(len(data))...), 0, 8, 13, byte(files))
	if len(sizes) > 0 {
		h = append(append(h, 9), sizes...)
	}
	h = append(append(append(h, 10, 1), sums...), 0, 0, 5, byte(len(names)))
	if empty != 0 {
		h = append(h, 14, 1, empty)
	}
	h = append(append(append(append(h, 17), num(len(wide)+1)...), 0), wide...)
	h = append(append(append(append(h, 21), num(len(attr)+2)...), 1, 0), attr...)
	h = append(h, 0, 0)
	start := le.AppendUint32(le.AppendUint64(le.AppendUint64(nil, uint64(len(data))), uint64(len(h))), crc32.ChecksumIEEE(h))
	out := le.AppendUint32([]byte("7z\xBC\xAF\x27\x1C\x00\x04"), crc32.ChecksumIEEE(start))
	return append(append(append(out, start...), data...), h...)
}

func wideName(b []byte, s string) []byte {
	return append(b, charset.ToUTF16([]byte(strings.TrimSuffix(s, "/")), binary.LittleEndian)...)
}

func arc(b string) uint16 {
	c := uint16(0)
	for i := range len(b) {
		c ^= uint16(b[i])
		for range 8 {
			c = c>>1 ^ 0xA001*(c&1)
		}
	}
	return c
}

// LZH makes one member with a header of the level.
func LZH(level int, method, folder, name, body string, packed []byte) []byte {
	le := binary.LittleEndian
	sizes := func(n int) []byte {
		return le.AppendUint32(le.AppendUint32([]byte(method), uint32(n)), uint32(len(body)))
	}
	ext := func(kind byte, s string) []byte {
		return append(append(le.AppendUint16(nil, uint16(len(s)+3)), kind), s...)
	}
	switch level {
	case 0, 1:
		if level == 0 {
			name = folder + name
		}
		var chain []byte
		if level == 1 {
			if folder != "" {
				chain = ext(2, folder)
			}
			chain = append(chain, 0, 0)
		}
		more := 0
		if level == 1 {
			more = len(chain) - 2
		}
		b := append(sizes(len(packed)+more), 0, 0, 0x21, 0x50, 0x20, byte(level), byte(len(name)))
		b = le.AppendUint16(append(b, name...), arc(body))
		if level == 1 {
			b = append(append(b, 'M'), chain[:2]...)
		}
		sum := byte(0)
		for _, c := range b {
			sum += c
		}
		b = append([]byte{byte(len(b)), sum}, b...)
		if level == 1 {
			b = append(b, chain[2:]...)
		}
		return append(b, packed...)
	}
	b := le.AppendUint32(sizes(len(packed)), 1_790_000_000)
	b = append(le.AppendUint16(append(b, 0x20, 2), arc(body)), 'M')
	b = append(b, ext(1, name)...)
	if folder != "" {
		b = append(b, ext(2, folder)...)
	}
	b = append(b, 0, 0)
	return append(append(le.AppendUint16(nil, uint16(len(b)+2)), b...), packed...)
}

// Sealed7z makes a 7z of one stored member under a password, with its headers encrypted or not (7zFormat.txt; AES-256 by 7-Zip's
// 7zAES: the key is a sum over 2^power rounds of the password in UTF-16 and a counter).
func Sealed7z(password string, headers bool, name, body string) []byte {
	const power = 5
	le := binary.LittleEndian
	h := sha256.New()
	for n := range uint64(1) << power {
		h.Write(charset.ToUTF16([]byte(password), binary.LittleEndian))
		h.Write(le.AppendUint64(nil, n))
	}
	block, err := aes.NewCipher(h.Sum(nil))
	if err != nil {
		panic(err) // a key of 32 bytes
	}
	seal := func(b []byte) []byte {
		out := make([]byte, (len(b)+15)/16*16)
		copy(out, b)
		cipher.NewCBCEncrypter(block, make([]byte, 16)).CryptBlocks(out, out)
		return out
	}
	num := func(n int) []byte {
		if n < 0x80 {
			return []byte{byte(n)}
		}
		return []byte{0x80 | byte(n>>8), byte(n)}
	}
	// streams describes one packed stream of a folder of one coder, and its sum.
	streams := func(at, packed, size int, sum uint32) []byte {
		b := append(append(append([]byte{6}, num(at)...), 1, 9), num(packed)...)
		b = append(b, 0, 7, 11, 1, 0, 1, 0x24, 0x06, 0xF1, 0x07, 0x01, 3, 0x40|power, 0, 0, 12) // one byte of the first block, a zero
		b = append(append(b, num(size)...), 10, 1)
		return append(le.AppendUint32(b, sum), 0)
	}
	data := seal([]byte(body))
	head := append([]byte{1, 4}, streams(0, len(data), len(body), crc32.ChecksumIEEE([]byte(body)))...)
	wideName := append(wideName(nil, name), 0, 0)
	head = append(append(append(head, 0, 5, 1, 17), num(len(wideName)+1)...), 0)
	head = append(append(head, wideName...), 0, 0)
	if headers {
		sealed := seal(head)
		outer := append([]byte{0x17}, streams(len(data), len(sealed), len(head), crc32.ChecksumIEEE(head))...)
		data, head = append(data, sealed...), append(outer, 0)
	}
	start := le.AppendUint32(le.AppendUint64(le.AppendUint64(nil, uint64(len(data))), uint64(len(head))), crc32.ChecksumIEEE(head))
	out := le.AppendUint32([]byte("7z\xBC\xAF\x27\x1C\x00\x04"), crc32.ChecksumIEEE(start))
	return append(append(append(out, start...), data...), head...)
}
