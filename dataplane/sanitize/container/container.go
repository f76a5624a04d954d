// Package container reads and writes the ZIP files that office documents are.
//
// Problem: programs disagree on what a ZIP file holds when its directory, its headers and its names disagree, and a few bytes of it can
// claim to unpack to more than any memory. Mechanism: the directory is judged before anything is unpacked (names, methods, sizes,
// ratio), members are read with the size that was claimed as the limit, and what is written is one plain layout with sizes in
// front. Life cycle: Open, Unpack of what is wanted; Pack and Write of the result. Invariant: the same parts give the same bytes, and
// no byte of the source's container comes over.
package container

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// Limits of a package, from its directory, before anything is unpacked.
const (
	MaxMembers   = 10_000
	maxMember    = 256 << 20 // bytes of one part
	maxUnpacked  = 512 << 20 // bytes of all parts
	maxRatio     = 250       // unpacked to packed, for parts beyond ratioFrom bytes
	ratioFrom    = 8 << 20
	maxNameBytes = 512
	usualRatio   = 20 // of XML; memory for more is taken as it comes
)

// Archive is the directory of a ZIP file whose members may be read.
type Archive struct {
	life    context.Context
	Members map[string]*zip.File // by Key
	Order   []*zip.File          // as the directory lists them
}

// Key is the form in which part names are compared (ECMA-376 part 2, 6.3.5: without regard to case).
func Key(name string) string { return strings.ToLower(strings.TrimPrefix(name, "/")) }

// Open reads the directory and checks every member's name, kind and size against the limits.
func Open(ctx context.Context, in []byte) (*Archive, error) {
	z, err := zip.NewReader(bytes.NewReader(in), int64(len(in)))
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, rebuild.Refuse("ooxml.broken", "", "ZIP: "+err.Error())
	}
	if at := bytes.LastIndex(in, []byte("PK\x05\x06")); at >= 0 && len(in)-at > 22 { // a comment, or something behind the end
		if k := rebuild.Foreign(in[at+22:]); k != "" {
			return nil, rebuild.Refuse("type.polyglot", "", "ZIP + "+k)
		}
	}
	if len(z.File) > MaxMembers {
		return nil, rebuild.Refuse("limit.members", "", fmt.Sprintf("%d, limit %d", len(z.File), MaxMembers))
	}
	a := &Archive{life: ctx, Members: map[string]*zip.File{}}
	var total uint64
	for _, f := range z.File {
		name := strings.ReplaceAll(f.Name, `\`, "/")
		if strings.HasSuffix(name, "/") && f.UncompressedSize64 == 0 {
			continue
		}
		if !goodName(strings.TrimPrefix(name, "/")) || !f.Mode().IsRegular() {
			return nil, rebuild.Refuse("ooxml.member", rebuild.Printable(name, 100), "")
		}
		if f.Flags&0x41 != 0 {
			return nil, rebuild.Refuse("type.encrypted", "", "")
		}
		if f.Method != zip.Store && f.Method != zip.Deflate {
			return nil, rebuild.Refuse("ooxml.member", name, fmt.Sprintf("method %d", f.Method))
		}
		if a.Members[Key(name)] != nil {
			return nil, rebuild.Refuse("ooxml.duplicate", name, "")
		}
		total += min(f.UncompressedSize64, 1<<40)
		if f.UncompressedSize64 > maxMember || total > maxUnpacked ||
			f.UncompressedSize64 > ratioFrom && f.UncompressedSize64/maxRatio > f.CompressedSize64 {
			return nil, rebuild.Refuse("limit.expansion", name, fmt.Sprintf("%d bytes from %d", f.UncompressedSize64, f.CompressedSize64))
		}
		a.Members[Key(name)] = f
		a.Order = append(a.Order, f)
	}
	return a, nil
}

func goodName(name string) bool {
	if name == "" || len(name) > maxNameBytes || strings.HasPrefix(name, "/") {
		return false
	}
	for _, seg := range strings.Split(name, "/") {
		if seg == "" || strings.Trim(seg, ".") == "" {
			return false
		}
	}
	for _, r := range name {
		if r < 0x20 || r == 0x7F || charset.Hidden(r) || strings.ContainsRune(`:*?"<>|`, r) {
			return false
		}
	}
	return true
}

// Unpack reads one member; its claimed size was checked, and more than it is an error.
func (a *Archive) Unpack(f *zip.File) ([]byte, error) {
	if err := a.life.Err(); err != nil {
		return nil, err
	}
	r, err := f.Open()
	if err != nil {
		return nil, rebuild.Refuse("ooxml.broken", f.Name, err.Error())
	}
	defer r.Close()
	var buf bytes.Buffer
	buf.Grow(int(min(f.UncompressedSize64, usualRatio*f.CompressedSize64)) + bytes.MinRead) // what it claims, where that is no lie
	if _, err := io.Copy(&buf, io.LimitReader(r, int64(f.UncompressedSize64)+1)); err != nil {
		return nil, rebuild.Refuse("ooxml.broken", f.Name, err.Error())
	}
	b := buf.Bytes()
	if uint64(len(b)) != f.UncompressedSize64 {
		return nil, rebuild.Refuse("ooxml.broken", f.Name, "size differs from the directory")
	}
	return b, nil
}

// Part is a part of the result, packed.
type Part struct {
	name   string
	packed []byte
	size   int
	crc    uint32
	method uint16
}

// Large parts are those of sheets: level 4 packs them more than twice as fast as level 6, for 9 % more bytes.
const (
	largePart  = 512 << 10
	largeLevel = 4
	usualLevel = 6
)

// A packer's writer takes 800 KiB, and clearing them takes longer than a small part: it serves the next part of its level.
type packer struct {
	w   *flate.Writer
	out bytes.Buffer
}

var packers [flate.BestCompression + 1]sync.Pool // of *packer, by level

// Pack compresses a part. A picture is stored, it is compressed already; and mimetype, where readers look for it in clear (ODF part 2, 3.3).
func Pack(name string, b []byte) (Part, error) {
	p := Part{name: name, size: len(b), crc: crc32.ChecksumIEEE(b), packed: b}
	if ext := path.Ext(name); ext == ".png" || ext == ".jpeg" || name == "mimetype" {
		return p, nil
	}
	level := usualLevel
	if len(b) > largePart {
		level = largeLevel
	}
	z, ok := packers[level].Get().(*packer)
	if !ok {
		z = &packer{}
		var err error
		if z.w, err = flate.NewWriter(&z.out, level); err != nil {
			return p, err
		}
	}
	z.out = bytes.Buffer{} // the last part has its own
	z.out.Grow(len(b) / 8)
	z.w.Reset(&z.out)
	if _, err := z.w.Write(b); err != nil {
		return p, err
	}
	if err := z.w.Close(); err != nil {
		return p, err
	}
	p.method, p.packed = zip.Deflate, z.out.Bytes()
	z.out = bytes.Buffer{}
	packers[level].Put(z)
	return p, nil
}

// Write writes the parts with sizes in front, one fixed time and a fixed order, so that the same content is the same
// bytes: the part that has to stand first, then by name.
func Write(out io.Writer, first string, parts []Part) error {
	slices.SortFunc(parts, func(a, b Part) int {
		if (a.name == first) != (b.name == first) {
			if a.name == first {
				return -1
			}
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
	z := zip.NewWriter(out)
	for _, p := range parts {
		h := &zip.FileHeader{
			Name: p.name, Method: p.method, CRC32: p.crc,
			CompressedSize64: uint64(len(p.packed)), UncompressedSize64: uint64(p.size),
		}
		//lint:ignore SA1019 the field is the only way to a plain 1980-01-01 without an extra field
		h.ModifiedDate = 1<<5 | 1
		if strings.ContainsFunc(p.name, func(r rune) bool { return r >= 0x80 }) {
			h.Flags |= 0x800
		}
		w, err := z.CreateRaw(h)
		if err != nil {
			return err
		}
		if _, err := w.Write(p.packed); err != nil {
			return err
		}
	}
	return z.Close()
}
