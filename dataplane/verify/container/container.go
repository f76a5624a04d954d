// Package container reads the ZIP files that rebuilt office documents are, and the XML in them.
//
// Problem: a ZIP file and an XML part can be written in many ways, and readers differ in what they make of the rare ones. Mechanism: one
// plain layout is accepted, and of XML what has one meaning to every reader: no DTD, no comment, no processing instruction, names only
// of namespaces on the caller's list. Life cycle: Read lists the members, Unpack gives their bytes, Walk reads a part. Invariant: each
// byte of the file belongs to a member, a header or the directory.
package container

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"io"
	"strings"

	"github.com/klauspost/compress/flate"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
	"github.com/sekisho/sekisho/dataplane/verify/text"
)

// Codes of refusals, with their sentences in the catalogue of package verify.
const (
	CodeLimit   = "verify.limit"   // larger than the verifier reads
	CodePackage = "verify.package" // structure of the ZIP
	CodePart    = "verify.part"    // a part or content type that does not belong
	CodeLink    = "verify.link"    // a relationship that leads out or nowhere
	CodeActive  = "verify.active"  // macro, OLE, ActiveX, field, action: something that acts
	CodeMarkup  = "verify.markup"  // XML that is not on the list
)

// Limits of a package.
const (
	MaxParts    = 10_000
	maxPart     = 256 << 20 // bytes of one part
	maxUnpacked = 512 << 20 // bytes of all parts
	usualRatio  = 20        // of XML; memory for more is taken as it comes
)

// Member is one part of a package, as its directory says.
type Member struct {
	Name   string
	method uint16
	crc    uint32
	packed []byte
	size   int
}

// Signatures and sizes of PKWARE's APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.
const (
	localSignature, localSize         = 0x04034b50, 30
	directorySignature, directorySize = 0x02014b50, 46
	endSignature, endSize             = 0x06054b50, 22
)

// Read accepts the one layout that a rebuilder writes and that every reader reads alike: local headers one after the
// other from the first byte, each with its sizes in front, then the directory in the same order with the same values, then
// the end, and nothing before, between or behind: no descriptor, no extra field, no comment, no ZIP64, no encryption.
func Read(in []byte) ([]Member, error) {
	no := func(format string, args ...any) error { return rule.Refuse(CodePackage, "", format, args...) }
	if len(in) < endSize {
		return nil, no("too short")
	}
	end := in[len(in)-endSize:]
	u16 := func(b []byte, at int) int { return int(binary.LittleEndian.Uint16(b[at:])) }
	u32 := func(b []byte, at int) int { return int(binary.LittleEndian.Uint32(b[at:])) }
	if u32(end, 0) != endSignature || u16(end, 20) != 0 {
		return nil, no("the directory does not end the file")
	}
	count, size, start := u16(end, 10), u32(end, 12), u32(end, 16)
	if u16(end, 4) != 0 || u16(end, 6) != 0 || u16(end, 8) != count || count == 0 || count > MaxParts || start+size != len(in)-endSize {
		return nil, no("directory of %d parts, %d bytes at %d", count, size, start)
	}
	dir, at := in[start:start+size], 0
	total := 0
	seen := map[string]bool{}
	members := make([]Member, 0, count)
	for range count {
		if len(dir) < directorySize || u32(dir, 0) != directorySignature {
			return nil, no("directory entry")
		}
		n := u16(dir, 28)
		if len(dir) < directorySize+n || u16(dir, 30) != 0 || u16(dir, 32) != 0 || u16(dir, 34) != 0 || u16(dir, 36)&^1 != 0 || u32(dir, 42) != at {
			return nil, no("directory entry with extra field, comment, disk or a gap before its data")
		}
		m := Member{Name: string(dir[directorySize : directorySize+n]), method: uint16(u16(dir, 10)), crc: uint32(u32(dir, 16)), size: u32(dir, 24)}
		packed := u32(dir, 20)
		if err := checkPartName(m.Name, u16(dir, 8)); err != nil {
			return nil, err
		}
		if key := strings.ToLower(m.Name); seen[key] {
			return nil, rule.Refuse(CodePackage, m.Name, "twice")
		} else {
			seen[key] = true
		}
		local := in[at:start]
		// version .. sizes are the same bytes in both headers (directory 6-29, local 4-27)
		if len(local) < localSize+n+packed || u32(local, 0) != localSignature || !bytes.Equal(dir[6:30], local[4:28]) || u16(local, 28) != 0 ||
			string(local[localSize:localSize+n]) != m.Name {
			return nil, rule.Refuse(CodePackage, m.Name, "local header and directory differ")
		}
		switch m.method {
		case 0:
			if packed != m.size {
				return nil, rule.Refuse(CodePackage, m.Name, "stored, but of two sizes")
			}
		case 8:
		default:
			return nil, rule.Refuse(CodePackage, m.Name, "method %d", m.method)
		}
		if total += m.size; m.size > maxPart || total > maxUnpacked {
			return nil, rule.Refuse(CodeLimit, m.Name, "unpacks to %d bytes, %d in all", m.size, total)
		}
		m.packed = local[localSize+n : localSize+n+packed]
		members = append(members, m)
		at += localSize + n + packed
		dir = dir[directorySize+n:]
	}
	if at != start || len(dir) != 0 {
		return nil, no("bytes between the parts and the directory")
	}
	return members, nil
}

// checkPartName holds a part name to relative paths of visible characters (ECMA-376 part 2, 6.2.2). flags are those of the entry:
// only bit 11, UTF-8, and only where the name needs it.
func checkPartName(name string, flags int) error {
	ascii := true
	for i := 0; i < len(name); {
		r, n := text.UTF8([]byte(name[i:]))
		if n == 0 || r < 0x20 || r == 0x7F || text.Invisible(r) || strings.ContainsRune(`\:*?"<>|`, r) {
			return rule.Refuse(CodePackage, name, "part name")
		}
		ascii = ascii && r < 0x80
		i += n
	}
	if flags&^0x800 != 0 || !ascii && flags == 0 || len(name) > 512 {
		return rule.Refuse(CodePackage, name, "part name with flags %x", flags)
	}
	for _, seg := range strings.Split(name, "/") {
		if seg == "" || strings.Trim(seg, ".") == "" {
			return rule.Refuse(CodePackage, name, "part name")
		}
	}
	return nil
}

// Stored gives the bytes of a part that is not compressed, nil for another.
func (m Member) Stored() []byte {
	if m.method != 0 {
		return nil
	}
	return m.packed
}

// Unpack gives a part's bytes: exactly as many as announced, with the announced checksum, and the packed bytes used to the last.
func (m Member) Unpack(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b := m.packed
	if m.method == 8 {
		r := rule.ByteByByte(bytes.NewReader(m.packed))
		z := flate.NewReader(r)
		defer z.Close()
		var out bytes.Buffer
		out.Grow(min(m.size, usualRatio*len(m.packed)) + bytes.MinRead) // what it claims, where that is no lie
		if _, err := io.Copy(&out, io.LimitReader(z, int64(m.size)+1)); err != nil {
			return nil, rule.Refuse(CodePackage, m.Name, "%v", err)
		}
		b = out.Bytes()
		if _, err := r.ReadByte(); err != io.EOF {
			return nil, rule.Refuse(CodePackage, m.Name, "bytes behind the packed data")
		}
	}
	if len(b) != m.size || crc32.ChecksumIEEE(b) != m.crc {
		return nil, rule.Refuse(CodePackage, m.Name, "size or checksum differs")
	}
	return b, nil
}
