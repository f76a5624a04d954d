package sanitize

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// Limits of a package, from its directory, before anything is unpacked.
const (
	maxMembers   = 10_000
	maxMember    = 256 << 20 // bytes of one part
	maxUnpacked  = 512 << 20 // bytes of all parts
	maxRatio     = 250       // unpacked to packed, for parts beyond ratioFrom bytes
	ratioFrom    = 8 << 20
	maxNameBytes = 512
)

// archive is the directory of a ZIP file whose members may be read.
type archive struct {
	life    context.Context
	members map[string]*zip.File // by partKey
	types   contentTypes
}

// partKey is the form in which part names are compared (ECMA-376 part 2, 6.3.5: without regard to case).
func partKey(name string) string { return strings.ToLower(strings.TrimPrefix(name, "/")) }

// openArchive reads the directory and checks every member's name, kind and size against the limits.
func openArchive(ctx context.Context, in []byte) (*archive, error) {
	z, err := zip.NewReader(bytes.NewReader(in), int64(len(in)))
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, brokenPart("ZIP: " + err.Error())
	}
	if at := bytes.LastIndex(in, []byte("PK\x05\x06")); at >= 0 && len(in)-at > 22 { // a comment, or something behind the end
		if k := rebuild.Foreign(in[at+22:]); k != "" {
			return nil, rebuild.Refuse("type.polyglot", "", "ZIP + "+k)
		}
	}
	if len(z.File) > maxMembers {
		return nil, rebuild.Refuse("limit.members", "", fmt.Sprintf("%d, limit %d", len(z.File), maxMembers))
	}
	a := &archive{life: ctx, members: map[string]*zip.File{}}
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
		if a.members[partKey(name)] != nil {
			return nil, rebuild.Refuse("ooxml.duplicate", name, "")
		}
		total += min(f.UncompressedSize64, 1<<40)
		if f.UncompressedSize64 > maxMember || total > maxUnpacked ||
			f.UncompressedSize64 > ratioFrom && f.UncompressedSize64/maxRatio > f.CompressedSize64 {
			return nil, rebuild.Refuse("limit.expansion", name, fmt.Sprintf("%d bytes from %d", f.UncompressedSize64, f.CompressedSize64))
		}
		a.members[partKey(name)] = f
	}
	return a, a.readTypes()
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

// read unpacks one member; its claimed size was checked, and more than it is an error.
func (a *archive) read(f *zip.File) ([]byte, error) {
	if err := a.life.Err(); err != nil {
		return nil, err
	}
	r, err := f.Open()
	if err != nil {
		return nil, rebuild.Refuse("ooxml.broken", f.Name, err.Error())
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, int64(f.UncompressedSize64)+1))
	if err != nil {
		return nil, rebuild.Refuse("ooxml.broken", f.Name, err.Error())
	}
	if uint64(len(b)) != f.UncompressedSize64 {
		return nil, rebuild.Refuse("ooxml.broken", f.Name, "size differs from the directory")
	}
	return b, nil
}

// contentTypes of a package: by part, else by extension; keys and values in lower case.
type contentTypes struct{ parts, extensions map[string]string }

func (a *archive) typeOf(key string) string {
	if t, ok := a.types.parts[key]; ok {
		return t
	}
	return a.types.extensions[strings.TrimPrefix(path.Ext(key), ".")]
}

const typesName = "[Content_Types].xml"

func (a *archive) readTypes() error {
	a.types = contentTypes{map[string]string{}, map[string]string{}}
	f := a.members[partKey(typesName)]
	if f == nil {
		return brokenPart("no " + typesName)
	}
	b, err := a.read(f)
	if err != nil {
		return err
	}
	return eachElement(b, typesName, func(x *markup.Reader, t *markup.Token) error {
		switch (element{t.NS, t.Local}) {
		case element{"ct", "Default"}:
			a.types.extensions[strings.ToLower(attr(t, "Extension"))] = mediaType(attr(t, "ContentType"))
		case element{"ct", "Override"}:
			a.types.parts[partKey(attr(t, "PartName"))] = mediaType(attr(t, "ContentType"))
		}
		return nil
	})
}

func mediaType(s string) string {
	s, _, _ = strings.Cut(s, ";")
	return strings.ToLower(strings.TrimSpace(s))
}

// brokenPart refuses a package that is not what the standard asks for.
func brokenPart(detail string) error { return rebuild.Refuse("ooxml.broken", "", detail) }

// eachElement calls f with every start tag of a small part.
func eachElement(b []byte, place string, f func(*markup.Reader, *markup.Token) error) error {
	x, err := markup.New(b, spaces)
	if err != nil {
		return rebuild.At(err, place)
	}
	var t markup.Token
	for {
		if err := x.Next(&t); err != nil {
			return rebuild.At(err, place)
		}
		switch t.Kind {
		case markup.EOF:
			return nil
		case markup.Start:
			if err := f(x, &t); err != nil {
				return rebuild.At(err, place)
			}
		}
	}
}

// attr is the value of an attribute without prefix, empty when it is missing.
func attr(t *markup.Token, name string) string {
	for _, a := range t.Attrs {
		if string(a.Name) == name {
			return string(markup.Unescape(a.Value))
		}
	}
	return ""
}

// rel is one relationship as the package has it.
type rel struct {
	id, typ, target string
	external        bool
}

// relsOf reads the relationships of a part; of the package for an empty name.
func (a *archive) relsOf(name string) ([]rel, error) {
	relsName := path.Join(path.Dir(name), "_rels", path.Base(name)+".rels")
	if name == "" {
		relsName = "_rels/.rels"
	}
	f := a.members[partKey(relsName)]
	if f == nil {
		return nil, nil
	}
	b, err := a.read(f)
	if err != nil {
		return nil, err
	}
	var rels []rel
	seen := map[string]bool{}
	err = eachElement(b, relsName, func(x *markup.Reader, t *markup.Token) error {
		if t.NS != "rel" || t.Local != "Relationship" {
			return nil
		}
		r := rel{attr(t, "Id"), attr(t, "Type"), strings.TrimSpace(attr(t, "Target")), strings.EqualFold(attr(t, "TargetMode"), "External")}
		if r.id == "" || seen[r.id] || len(rels) >= maxMembers*2 {
			return brokenPart("relationship " + rebuild.Printable(r.id, 40))
		}
		seen[r.id] = true
		rels = append(rels, r)
		return nil
	})
	return rels, err
}

// resolve answers the key of the part that a relationship of the named part leads to, empty when it is not in the package.
func (a *archive) resolve(from, target string) string {
	target = strings.ReplaceAll(target, `\`, "/")
	target, _, _ = strings.Cut(target, "#")
	for _, t := range []string{target, unescaped(target)} {
		key := path.Join(path.Dir("/"+from), t)
		if strings.HasPrefix(t, "/") {
			key = path.Clean(t)
		}
		if key = partKey(key); a.members[key] != nil {
			return key
		}
	}
	return ""
}

func unescaped(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// outPart is a part of the result, packed.
type outPart struct {
	name   string
	packed []byte
	size   int
	crc    uint32
	method uint16
}

func pack(name string, b []byte) (outPart, error) {
	p := outPart{name: name, size: len(b), crc: crc32.ChecksumIEEE(b), packed: b}
	if ext := path.Ext(name); ext == ".png" || ext == ".jpeg" {
		return p, nil
	}
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, flate.DefaultCompression)
	if err != nil {
		return p, err
	}
	if _, err := w.Write(b); err != nil {
		return p, err
	}
	if err := w.Close(); err != nil {
		return p, err
	}
	p.method, p.packed = zip.Deflate, buf.Bytes()
	return p, nil
}

// writeArchive writes the parts with sizes in front, one fixed time and a fixed order, so that the same content is the same
// bytes: the content types first, then by name.
func writeArchive(out io.Writer, parts []outPart) error {
	slices.SortFunc(parts, func(a, b outPart) int {
		if (a.name == typesName) != (b.name == typesName) {
			if a.name == typesName {
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
