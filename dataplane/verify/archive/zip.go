package archive

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// member is one of a ZIP, as its directory says.
type member struct {
	raw    string // name as written
	name   string // in visible form
	flags  int
	method int
	crc    uint32
	packed []byte
	size   int
	sealed bool
}

func u16(b []byte, at int) int { return int(binary.LittleEndian.Uint16(b[at:])) }
func u32(b []byte, at int) int { return int(binary.LittleEndian.Uint32(b[at:])) }

// aesField is the one extra field that is written: AE-2, a key of 256 bits (WinZip's AE-x specification 1.04), and the method.
const aesField = "\x01\x99\x07\x00\x02\x00AE\x03"

func checkZip(f *rule.File) error {
	members, err := directory(f.In)
	if err != nil {
		return err
	}
	places, total := newTree(), 0
	for _, m := range members {
		if err := places.add(m.name); err != nil {
			return err
		}
		if total += m.size; total > maxUnpacked {
			return rule.Refuse(codeLimit, m.name, "unpacks to %d bytes", total)
		}
	}
	keys := slices.Clone(f.Keys) // their order changes
	for _, m := range members {
		if m.name[len(m.name)-1] == '/' {
			if m.size != 0 || len(m.packed) != 0 || m.method != 0 || m.sealed || m.crc != 0 {
				return rule.Refuse(codeMember, m.name, "a folder with data")
			}
			continue
		}
		if m.sealed && f.Policy.Passwords != "again" {
			return rule.Refuse(codeMember, m.name, "encrypted, on a route that wants archives open")
		}
		body, err := m.unpack(f.Ctx, keys)
		if err != nil {
			return err
		}
		if err := nested(f, m.name, body); err != nil {
			return err
		}
	}
	return nil
}

// directory accepts local headers one after the other from the first byte, each with its sizes, then the directory in the same order with
// the same values, then the end. No descriptor, comment, ZIP64, and no extra field but the one of AES.
func directory(in []byte) ([]member, error) {
	no := func(place, format string, args ...any) ([]member, error) {
		return nil, rule.Refuse(codeLayout, place, format, args...)
	}
	const endSize, dirSize, localSize = 22, 46, 30
	if len(in) < endSize {
		return no("", "too short")
	}
	end := in[len(in)-endSize:]
	count, size, start := u16(end, 10), u32(end, 12), u32(end, 16)
	if string(end[:8]) != "PK\x05\x06\x00\x00\x00\x00" || u16(end, 8) != count || u16(end, 20) != 0 || count == 0 || count > maxMembers || start+size != len(in)-endSize {
		return no("", "end: %d members, directory of %d bytes at %d", count, size, start)
	}
	dir, at := in[start:start+size], 0
	members := make([]member, 0, count)
	for range count {
		if len(dir) < dirSize || string(dir[:4]) != "PK\x01\x02" {
			return no("", "directory entry")
		}
		n, x := u16(dir, 28), u16(dir, 30)
		if len(dir) < dirSize+n+x || !bytes.Equal(dir[32:38], make([]byte, 6)) || u32(dir, 42) != at || dir[5] != 0 || !bytes.Equal(dir[4:6], dir[6:8]) {
			return no("", "directory entry with comment, disk, attributes or a gap before its data")
		}
		m := member{raw: string(dir[dirSize : dirSize+n]), flags: u16(dir, 8), method: u16(dir, 10), crc: uint32(u32(dir, 16)), size: u32(dir, 24)}
		if err := m.readName(); err != nil {
			return nil, err
		}
		want := 0
		if m.name[len(m.name)-1] == '/' {
			want = 0x10
		}
		if u32(dir, 38) != want || !dosTime(u16(dir, 12), u16(dir, 14)) {
			return no(m.name, "attributes or time")
		}
		packed, local := u32(dir, 20), in[at:start]
		if len(local) < localSize+n+x+packed || string(local[:4]) != "PK\x03\x04" || !bytes.Equal(local[4:localSize], dir[6:32]) || !bytes.Equal(local[localSize:localSize+n+x], dir[dirSize:dirSize+n+x]) {
			return no(m.name, "header in front of the data and directory differ")
		}
		extra := string(dir[dirSize+n : dirSize+n+x])
		switch version := u16(dir, 6); {
		case m.flags&1 != 0:
			if m.method != 99 || m.crc != 0 || len(extra) != len(aesField)+2 || extra[:len(aesField)] != aesField || version != 51 {
				return no(m.name, "encrypted in another way")
			}
			m.method, m.sealed = u16([]byte(extra), len(aesField)), true
		case extra != "" || version != 20:
			return no(m.name, "extra field or version %d", version)
		}
		if m.method != 0 && m.method != 8 {
			return no(m.name, "method %d", m.method)
		}
		m.packed = local[localSize+n+x : localSize+n+x+packed]
		members = append(members, m)
		at += localSize + n + x + packed
		dir = dir[dirSize+n+x:]
	}
	if at != start || len(dir) != 0 {
		return no("", "bytes between members, directory and end")
	}
	return members, nil
}

// readName decodes a name: ASCII without a flag, UTF-8 with it, or the shape of CP932 without it.
func (m *member) readName() error {
	if m.flags&^0x801 != 0 || m.raw == "" {
		return rule.Refuse(codeLayout, m.raw, "flags %x", m.flags)
	}
	ascii := true
	for i := range len(m.raw) {
		ascii = ascii && m.raw[i] < 0x80
	}
	switch {
	case m.flags&0x800 != 0:
		if ascii || !utf8.ValidString(m.raw) {
			return rule.Refuse(codeMember, m.raw, "not the UTF-8 that it says")
		}
		m.name = m.raw
		return nil
	case ascii:
		m.name = m.raw
		return nil
	}
	var shape []rune
	for i := 0; i < len(m.raw); i++ {
		switch c := m.raw[i]; {
		case c < 0x80:
			shape = append(shape, rune(c))
		case 0xA1 <= c && c <= 0xDF:
			shape = append(shape, 0xFF61+rune(c-0xA1))
		default:
			if i++; c == 0x80 || c == 0xA0 || c > 0xFC || i == len(m.raw) || m.raw[i] < 0x40 || m.raw[i] == 0x7F || m.raw[i] > 0xFC {
				return rule.Refuse(codeMember, "", "name neither ASCII nor CP932")
			}
			shape = append(shape, 0x4E00+rune(c-0x81)*188+rune(m.raw[i]-0x40)) // one visible character for each code
		}
	}
	m.name = string(shape)
	return nil
}

// dosTime tells a date of the calendar, roughly, and a time of the day.
func dosTime(t, d int) bool {
	month, day := d>>5&15, d&31
	return 1 <= month && month <= 12 && 1 <= day && t>>11 < 24 && t>>5&63 < 60 && t&31 < 30
}

// unpack gives a member's bytes: as many as announced, with the announced sum, from all of the packed bytes.
func (m member) unpack(ctx context.Context, keys []string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b := m.packed
	if m.sealed {
		var err error
		if b, err = unseal(b, keys); err != nil {
			return nil, rule.Within(m.name, err)
		}
	}
	if m.method == 8 {
		in := rule.ByteByByte(bytes.NewReader(b))
		z := flate.NewReader(in)
		defer z.Close()
		var err error
		if b, err = io.ReadAll(io.LimitReader(&patient{ctx, z}, int64(m.size)+1)); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, rule.Refuse(codeLayout, m.name, "%v", err)
		}
		if _, err := in.ReadByte(); err != io.EOF {
			return nil, rule.Refuse(codeLayout, m.name, "bytes behind the packed data")
		}
	}
	if len(b) != m.size || !m.sealed && crc32.ChecksumIEEE(b) != m.crc {
		return nil, rule.Refuse(codeLayout, m.name, "size or checksum differs")
	}
	return b, nil
}

// patient reads until the context ends.
type patient struct {
	ctx context.Context
	r   io.Reader
}

func (p *patient) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.r.Read(b)
}
