package archive

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Signatures and sizes of PKWARE's APPNOTE 6.3.10, 4.3.7 to 4.3.16.
const (
	sigLocal, sizeLocal         = 0x04034b50, 30
	sigDescriptor               = 0x08074b50
	sigDirectory, sizeDirectory = 0x02014b50, 46
	sigEnd, sizeEnd             = 0x06054b50, 22
	sigEnd64, sizeEnd64         = 0x06064b50, 56
	sigLocator, sizeLocator     = 0x07064b50, 20
)

// Bits of the general purpose flags, APPNOTE 4.4.4.
const (
	flagEncrypted  = 1 << 0
	flagDescriptor = 1 << 3
	flagPatched    = 1 << 5
	flagStrong     = 1 << 6
	flagUTF8       = 1 << 11
	flagMasked     = 1 << 13
)

// entry is a member as the directory describes it.
type entry struct {
	maker         byte // host system
	flags, method int
	dosTime, crc  uint32
	packed, size  int64
	offset        int64
	name          []byte
	unicodeName   string // of Info-ZIP's field
	unixMode      uint32
	aes           aesField
	data          []byte // packed
}

func le16(b []byte) int     { return int(binary.LittleEndian.Uint16(b)) }
func le32(b []byte) int64   { return int64(binary.LittleEndian.Uint32(b)) }
func le64(b []byte) int64   { return int64(binary.LittleEndian.Uint64(b)) }
func dec(b []byte) uint32   { return binary.LittleEndian.Uint32(b) }
func no(what string) error  { return rebuild.Refuse("archive.structure", "", what) }
func bad(what string) error { return rebuild.Refuse("archive.broken", "", what) }

// readZip lists the members of an archive that can be read in one way only: its directory ends the file, the members lie one behind
// the other from the first byte to the directory, and the header in front of each says what the directory says.
func readZip(j *rebuild.Job) (listing, error) {
	dir, start, count, err := findDirectory(j)
	if err != nil {
		return listing{}, err
	}
	if count > int64(j.Budget.Files) || count > int64(len(dir)/sizeDirectory) {
		return listing{}, rebuild.Refuse("limit.members", "", fmt.Sprint(count))
	}
	var entries []*entry
	for range count {
		e, rest, err := directoryEntry(dir)
		if err != nil {
			return listing{}, err
		}
		entries, dir = append(entries, e), rest
	}
	if len(dir) != 0 {
		return listing{}, no("directory has more bytes than members")
	}
	byPlace := slices.Clone(entries)
	slices.SortStableFunc(byPlace, func(a, b *entry) int { return int(min(1, max(-1, a.offset-b.offset))) })
	at := int64(0)
	for i, e := range byPlace {
		next := start
		if i+1 < len(byPlace) {
			next = byPlace[i+1].offset
		}
		if e.offset != at || next <= at || next > start {
			return listing{}, no(fmt.Sprintf("member at %d, expected at %d", e.offset, at))
		}
		if err := e.local(j.In[at:next]); err != nil {
			return listing{}, rebuild.At(err, rebuild.Printable(string(e.name), 100))
		}
		at = next
	}
	if at != start {
		return listing{}, no("bytes between members and directory")
	}
	names, cp932, err := zipNames(entries)
	if err != nil {
		return listing{}, err
	}
	list := listing{cp932: cp932}
	for i, e := range entries {
		list.members = append(list.members, e.member(j, names[i]))
	}
	return list, nil
}

// findDirectory answers the directory's bytes, where it starts, and how many members it has.
func findDirectory(j *rebuild.Job) (dir []byte, start, count int64, err error) {
	in := j.In
	end := -1
	for at := len(in) - sizeEnd; at >= 0 && at >= len(in)-sizeEnd-0xFFFF; at-- {
		if le32(in[at:]) == sigEnd && at+sizeEnd+le16(in[at+20:]) == len(in) {
			if end >= 0 {
				return nil, 0, 0, no("two ends")
			}
			end = at
		}
	}
	if end < 0 {
		return nil, 0, 0, bad("no end of directory, or bytes behind it")
	}
	e := in[end:]
	if le16(e[20:]) > 0 {
		j.Found.Add("archive.comment", "", verdict.Removed, "")
	}
	disk, dirDisk := int64(le16(e[4:])), int64(le16(e[6:]))
	here, all, size, at := int64(le16(e[8:])), int64(le16(e[10:])), le32(e[12:]), le32(e[16:])
	stop := int64(end)
	if l := end - sizeLocator; l >= sizeEnd64 && le32(in[l:]) == sigLocator {
		at64 := le64(in[l+8:])
		if at64 < 0 || at64 != int64(l-sizeEnd64) || le32(in[at64:]) != sigEnd64 || le64(in[at64+4:]) != sizeEnd64-12 {
			return nil, 0, 0, no("ZIP64 end")
		}
		r := in[at64:]
		d64, c64, h64, a64, s64, o64 := le32(r[16:]), le32(r[20:]), le64(r[24:]), le64(r[32:]), le64(r[40:]), le64(r[48:])
		for _, v := range [][3]int64{{disk, d64, 0xFFFF}, {dirDisk, c64, 0xFFFF}, {here, h64, 0xFFFF}, {all, a64, 0xFFFF}, {size, s64, 0xFFFFFFFF}, {at, o64, 0xFFFFFFFF}} {
			if v[0] != v[1] && v[0] != v[2] {
				return nil, 0, 0, no("ZIP64 end and end differ")
			}
		}
		disk, dirDisk, here, all, size, at, stop = d64, c64, h64, a64, s64, o64, at64
	}
	switch {
	case disk != 0 || dirDisk != 0 || here != all:
		return nil, 0, 0, rebuild.Refuse("archive.split", "", "")
	case at < 0 || size < 0 || at > stop || size != stop-at:
		return nil, 0, 0, no(fmt.Sprintf("directory of %d bytes at %d, end at %d", size, at, stop))
	}
	return in[at:stop], at, all, nil
}

func directoryEntry(b []byte) (*entry, []byte, error) {
	if len(b) < sizeDirectory || le32(b) != sigDirectory {
		return nil, nil, no("directory entry")
	}
	n, x, c := le16(b[28:]), le16(b[30:]), le16(b[32:])
	if len(b) < sizeDirectory+n+x+c {
		return nil, nil, no("directory entry")
	}
	e := &entry{
		maker: b[5], flags: le16(b[8:]), method: le16(b[10:]), dosTime: dec(b[12:]), crc: dec(b[16:]), packed: le32(b[20:]), size: le32(b[24:]), offset: le32(b[42:]),
		name: b[sizeDirectory : sizeDirectory+n],
	}
	if le16(b[34:]) != 0 {
		return nil, nil, rebuild.Refuse("archive.split", "", "")
	}
	if e.maker == 3 || e.maker == 19 { // Unix, macOS
		e.unixMode = dec(b[38:]) >> 16
	}
	if err := e.fields(b[sizeDirectory+n:sizeDirectory+n+x], &e.size, &e.packed, &e.offset); err != nil {
		return nil, nil, err
	}
	if e.size < 0 || e.packed < 0 || e.offset < 0 {
		return nil, nil, no("sizes")
	}
	return e, b[sizeDirectory+n+x+c:], nil
}

// fields reads those extra fields that change what a member is: ZIP64, the Unicode path and AES. large are, in this order, the values
// that ZIP64 replaces when they are all ones.
func (e *entry) fields(x []byte, large ...*int64) error {
	for len(x) >= 4 {
		id, n := le16(x), le16(x[2:])
		if len(x) < 4+n {
			return nil // programs pad; what is not a field is not copied either
		}
		f := x[4 : 4+n]
		x = x[4+n:]
		switch id {
		case 0x0001:
			for _, v := range large {
				if *v == 0xFFFFFFFF && len(f) >= 8 {
					*v, f = le64(f), f[8:]
				}
			}
		case 0x7075:
			if n > 5 && f[0] == 1 && dec(f[1:]) == crc32.ChecksumIEEE(e.name) {
				e.unicodeName = string(f[5:])
			}
		case 0x9901:
			a, err := readAESField(f)
			if err != nil {
				return err
			}
			e.aes = a
		}
	}
	return nil
}

// local holds the header in front of the data to the directory. b reaches to the next member.
func (e *entry) local(b []byte) error {
	if len(b) < sizeLocal || le32(b) != sigLocal {
		return no("no header in front of the data")
	}
	n, x := le16(b[26:]), le16(b[28:])
	if len(b) < sizeLocal+n+x {
		return no("header in front of the data")
	}
	flags, method, crc, packed, size := le16(b[6:]), le16(b[8:]), dec(b[14:]), le32(b[18:]), le32(b[22:])
	if !bytes.Equal(b[sizeLocal:sizeLocal+n], e.name) || method != e.method || (flags^e.flags)&(flagEncrypted|flagDescriptor|flagUTF8|flagMasked) != 0 {
		return no("header in front of the data and directory differ")
	}
	before, name := e.aes, e.unicodeName
	if err := e.fields(b[sizeLocal+n:sizeLocal+n+x], &size, &packed); err != nil {
		return err
	}
	if e.aes != before || e.unicodeName != name {
		return no("name or encryption in front of the data and in the directory differ")
	}
	deferred := flags&flagDescriptor != 0
	same := crc == e.crc && packed == e.packed && size == e.size
	if !same && !(deferred && crc == 0 && (packed == 0 || packed == e.packed) && (size == 0 || size == e.size)) {
		return no("sizes in front of the data and in the directory differ")
	}
	body := b[sizeLocal+n+x:]
	if e.packed > int64(len(body)) {
		return no("data reaches into the next member")
	}
	e.data = body[:e.packed]
	return e.descriptor(body[e.packed:], deferred)
}

// descriptor holds what follows the data to the directory: nothing, or the sizes once more, with or without a signature, in four or
// in eight bytes.
func (e *entry) descriptor(b []byte, deferred bool) error {
	if !deferred {
		if len(b) != 0 {
			return no("bytes behind the data")
		}
		return nil
	}
	if (len(b) == 16 || len(b) == 24) && le32(b) == sigDescriptor {
		b = b[4:]
	}
	switch {
	case len(b) == 12 && dec(b) == e.crc && le32(b[4:]) == e.packed && le32(b[8:]) == e.size:
	case len(b) == 20 && dec(b) == e.crc && le64(b[4:]) == e.packed && le64(b[12:]) == e.size:
	case len(b) == 0 && e.size == 0 && strings.HasSuffix(string(e.name), "/"): // some writers set the flag on folders
	default:
		return no("descriptor and directory differ")
	}
	return nil
}

// member makes of an entry what all kinds of archives have.
func (e *entry) member(j *rebuild.Job, name string) member {
	m := member{path: name, dir: strings.HasSuffix(strings.ReplaceAll(name, `\`, "/"), "/"), time: fromDOS(e.dosTime), size: e.size}
	switch e.unixMode & 0xF000 {
	case 0, 0x8000, 0x4000:
	case 0xA000:
		m.odd = "archive.link"
	default:
		m.odd = "archive.device"
	}
	if m.dir && e.size != 0 {
		m.odd = "archive.structure"
	}
	m.open = func() ([]byte, string, error) { return e.unpack(j) }
	return m
}

// office is the time zone of archives: DOS times are local, and those in UTC become local.
var office = time.FixedZone("JST", 9*60*60)

// fromDOS is APPNOTE 4.4.6: two-second steps since 1980.
func fromDOS(v uint32) time.Time {
	d, t := int(v>>16), int(v&0xFFFF)
	return time.Date(1980+d>>9, time.Month(d>>5&15), d&31, t>>11, t>>5&63, t&31*2, 0, office)
}
