// Package compound reads the streams of OLE2 compound files ([MS-CFB]): documents of Office before 2007, and what encrypted Office
// documents and Outlook's messages are kept in.
//
// Problem: such a file is a file system of its own, with sizes and chains that a stranger wrote. Mechanism: a library walks it; here
// counts and sizes are bounded by what the file itself can hold. Life cycle: Open lists, Read gives a stream, Change writes
// streams in their places. Invariant: nothing that a
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

// Change gives the file with other contents in some of its streams. Each keeps its length, and with it its place.
func Change(in []byte, streams map[string][]byte) (out []byte, err error) {
	defer broken(&err)
	w := &writable{*bytes.NewReader(nil), bytes.Clone(in)}
	w.Reset(w.b)
	r, err := mscfb.New(w)
	if err != nil {
		return nil, rebuild.Refuse("legacy.broken", "", err.Error())
	}
	left := len(streams)
	for _, e := range r.File[min(1, len(r.File)):] {
		path := strings.Join(append(append([]string{}, e.Path...), name(e)), "/")
		for of, b := range streams {
			if !strings.EqualFold(of, path) {
				continue
			}
			if int64(len(b)) != e.Size {
				return nil, fmt.Errorf("change stream %q of %d bytes: got %d", path, e.Size, len(b))
			}
			if _, err := e.WriteAt(b, 0); err != nil {
				return nil, rebuild.Refuse("legacy.broken", path, err.Error())
			}
			left--
		}
	}
	if left != 0 {
		return nil, fmt.Errorf("change %d streams: %d are not there", len(streams), left)
	}
	return w.b, nil
}

// writable is a file in memory that the library may write to, where it already has bytes.
type writable struct {
	bytes.Reader
	b []byte
}

func (w *writable) WriteAt(p []byte, at int64) (int, error) {
	if at < 0 || at > int64(len(w.b)) {
		return 0, io.ErrShortWrite
	}
	n := copy(w.b[at:], p)
	if n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

func broken(err *error) {
	if p := recover(); p != nil {
		*err = rebuild.Refuse("legacy.broken", "", fmt.Sprint(p))
	}
}
