// Package compound reads the streams of OLE2 compound files ([MS-CFB]): documents of Office before 2007, and what encrypted Office
// documents and Outlook's messages are kept in.
//
// Problem: such a file is a file system of its own, with sizes and chains that a stranger wrote. Mechanism: a library walks it; here
// counts and sizes are bounded by what the file itself can hold. Life cycle: Open lists, Read gives a stream. Invariant: nothing that a
// compound file holds leads to a panic or to more memory than the file's own size.
package compound

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/richardlehane/mscfb"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// Magic is how every compound file begins.
const Magic = "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"

// maxEntries bounds storages and streams.
const maxEntries = 50_000

// File is the directory of a compound file.
type File struct {
	Paths   []string               // of storages and streams, joined by "/", in the order of the directory
	entries map[string]*mscfb.File // by path in capitals: names are compared without regard to case
	size    int64
}

// Open reads the directory.
func Open(in []byte) (f *File, err error) {
	defer broken(&err)
	r, err := mscfb.New(bytes.NewReader(in))
	if err != nil {
		return nil, rebuild.Refuse("legacy.broken", "", err.Error())
	}
	if len(r.File) > maxEntries {
		return nil, rebuild.Refuse("limit.members", "", fmt.Sprintf("%d, limit %d", len(r.File), maxEntries))
	}
	f = &File{entries: map[string]*mscfb.File{}, size: int64(len(in))}
	for _, e := range r.File[min(1, len(r.File)):] { // the first is the root
		if len(e.Path) > 20 {
			continue
		}
		path := strings.Join(append(append([]string{}, e.Path...), name(e)), "/")
		if f.Has(path) {
			return nil, rebuild.Refuse("legacy.broken", "", "two entries of one name")
		}
		f.Paths = append(f.Paths, path)
		f.entries[strings.ToUpper(path)] = e
	}
	return f, nil
}

// name puts back the special first character that the library takes off.
func name(e *mscfb.File) string {
	if e.Initial > 0 && e.Initial < 0x20 {
		return string(rune(e.Initial)) + e.Name
	}
	return e.Name
}

// Has tells whether there is an entry of the path, in whatever case.
func (f *File) Has(path string) bool { return f.entries[strings.ToUpper(path)] != nil }

// Read gives a stream, or nil when there is none.
func (f *File) Read(path string) (b []byte, err error) {
	defer broken(&err)
	e := f.entries[strings.ToUpper(path)]
	if e == nil {
		return nil, nil
	}
	if e.Size > f.size {
		return nil, rebuild.Refuse("legacy.broken", path, "a stream larger than its file")
	}
	if _, err := e.Seek(0, io.SeekStart); err != nil {
		return nil, rebuild.Refuse("legacy.broken", path, err.Error())
	}
	b, err = io.ReadAll(io.LimitReader(e, f.size))
	if err != nil {
		return nil, rebuild.Refuse("legacy.broken", path, err.Error())
	}
	return b, nil
}

func broken(err *error) {
	if p := recover(); p != nil {
		*err = rebuild.Refuse("legacy.broken", "", fmt.Sprint(p))
	}
}
