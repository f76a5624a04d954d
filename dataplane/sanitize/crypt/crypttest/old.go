package crypttest

import (
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha1"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/sekisho/sekisho/dataplane/sanitize/compound/compoundtest"
)

// A Cipher is how documents of Office 97 to 2003 are protected.
type Cipher int

const (
	RC4       Cipher = iota // of Office 97: 40 bits of MD5
	CryptoAPI               // of Office XP and 2003: RC4 with 128 bits of SHA-1
)

// sealed is the encryption's header and what encrypts the bytes that begin a block.
func (c Cipher) sealed(password string) (info []byte, seal func(block uint32, b []byte)) {
	var pw []byte
	for _, u := range utf16.Encode([]rune(password)) {
		pw = binary.LittleEndian.AppendUint16(pw, u)
	}
	salt, verifier := []byte(strings.Repeat("s", 16)), []byte(strings.Repeat("v", 16))
	var key func(block uint32) []byte
	var sum []byte
	if c == RC4 {
		h := md5.Sum(pw)
		h = md5.Sum([]byte(strings.Repeat(string(h[:5])+string(salt), 16)))
		key = func(block uint32) []byte {
			k := md5.Sum(binary.LittleEndian.AppendUint32(slices.Clone(h[:5]), block))
			return k[:]
		}
		s := md5.Sum(verifier)
		sum, info = s[:], []byte{1, 0, 1, 0}
	} else {
		h := sha1.Sum(slices.Concat(salt, pw))
		key = func(block uint32) []byte {
			k := sha1.Sum(binary.LittleEndian.AppendUint32(slices.Clone(h[:]), block))
			return k[:16]
		}
		s := sha1.Sum(verifier)
		sum, info = s[:], []byte{2, 0, 2, 0, 4, 0, 0, 0}
		for _, v := range []uint32{34, 4, 0, 0x6801, 0x8004, 128, 1, 0, 0} {
			info = binary.LittleEndian.AppendUint32(info, v)
		}
		info = append(info, 0, 0) // no name of a provider
		info = append(info, 16, 0, 0, 0)
	}
	seal = func(block uint32, b []byte) {
		r, err := rc4.NewCipher(key(block))
		if err != nil {
			panic(err)
		}
		r.XORKeyStream(b, b)
	}
	both := slices.Concat(verifier, sum)
	seal(0, both)
	info = append(append(info, salt...), both[:16]...)
	if c == CryptoAPI {
		info = append(info, 20, 0, 0, 0)
	}
	return append(info, both[16:]...), seal
}

func blocks(seal func(uint32, []byte), s string, size int) []byte {
	b := []byte(s)
	for i := 0; i*size < len(b); i++ {
		seal(uint32(i), b[i*size:min(len(b), (i+1)*size)])
	}
	return b
}

// Word is the document of these streams under the password. Its table stream begins with as many zeros as there is room for the header.
func Word(streams map[string]string, password string, c Cipher) []byte {
	streams = maps.Clone(streams)
	info, seal := c.sealed(password)
	doc, table := []byte(streams["WordDocument"]), streams["1Table"]
	binary.LittleEndian.PutUint16(doc[10:], 0x0300)
	binary.LittleEndian.PutUint32(doc[14:], uint32(len(info)))
	streams["WordDocument"] = string(doc[:68]) + string(blocks(seal, string(doc), 512)[68:])
	streams["1Table"] = string(info) + string(blocks(seal, table, 512)[len(info):])
	if data := streams["Data"]; data != "" {
		streams["Data"] = string(blocks(seal, data, 512))
	}
	return compoundtest.File(streams)
}

// Workbook is a workbook's stream under the password. It begins with BOF; what asks for the password is put behind that.
func Workbook(stream, password string, c Cipher) []byte {
	info, seal := c.sealed(password)
	n := 4 + int(binary.LittleEndian.Uint16([]byte(stream[2:])))
	pass := binary.LittleEndian.AppendUint16([]byte{0x2F, 0}, uint16(2+len(info)))
	stream = stream[:n] + string(pass) + "\x01\x00" + string(info) + stream[n:]
	plain, out := []byte(stream), blocks(seal, stream, 1024)
	for at := 0; at+4 <= len(plain); {
		kind, n := binary.LittleEndian.Uint16(plain[at:]), int(binary.LittleEndian.Uint16(plain[at+2:]))
		open := 4
		switch kind {
		case 0x0809, 0x002F, 0x00E1:
			open += n
		case 0x0085:
			open += 4
		}
		copy(out[at:at+open], plain[at:])
		at += 4 + n
	}
	return compoundtest.File(map[string]string{"Workbook": string(out)})
}

// Show is the presentation of these streams under the password: all objects of its edits behind one new edit.
func Show(streams map[string]string, password string) []byte {
	streams = maps.Clone(streams)
	info, seal := CryptoAPI.sealed(password)
	le := binary.LittleEndian
	user, doc := []byte(streams["Current User"]), []byte(streams["PowerPoint Document"])
	plain := slices.Clone(doc)
	objects := map[uint32]uint32{}
	edit := plain[le.Uint32(user[16:]):]
	last := slices.Clone(edit[:36])
	list := plain[le.Uint32(edit[20:]):]
	list = list[8 : 8+le.Uint32(list[4:])]
	for len(list) > 0 {
		head := le.Uint32(list)
		list = list[4:]
		for i := range head >> 20 {
			at := le.Uint32(list)
			list = list[4:]
			objects[head&0xFFFFF+i] = at
			seal(head&0xFFFFF+i, doc[at:at+8+le.Uint32(plain[at+4:])])
		}
	}
	record := func(head uint32, body []byte) uint32 {
		at := uint32(len(doc))
		doc = le.AppendUint32(le.AppendUint32(doc, head), uint32(len(body)))
		doc = append(doc, body...)
		return at
	}
	session := slices.Max(slices.Collect(maps.Keys(objects))) + 1
	objects[session] = record(0x2F14_000F, info)
	var directory []byte
	for _, n := range slices.Sorted(maps.Keys(objects)) {
		directory = le.AppendUint32(le.AppendUint32(directory, 1<<20|n), objects[n])
	}
	at := record(0x1772_0000, directory)
	le.PutUint32(last[16:], 0)
	le.PutUint32(last[20:], at)
	le.PutUint32(last[28:], session)
	le.PutUint32(user[12:], 0xF3D1C4DF)
	le.PutUint32(user[16:], record(0x0FF5_0000, le.AppendUint32(last[8:], session)))
	streams["Current User"], streams["PowerPoint Document"] = string(user), string(doc)
	if p := []byte(streams["Pictures"]); len(p) > 0 {
		pictures(p, func(b []byte) { seal(0, b) })
		streams["Pictures"] = string(p)
	}
	return compoundtest.File(streams)
}

// pictures seals each field of the heads by itself: of JPEG and PNG with one name, as LibreOffice writes them.
func pictures(b []byte, seal func([]byte)) {
	for len(b) >= 8 {
		n := int(binary.LittleEndian.Uint32(b[4:]))
		seal(b[8:24])
		seal(b[24:25])
		seal(b[25 : 8+n])
		seal(b[:8])
		b = b[8+n:]
	}
}
