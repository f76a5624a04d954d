package evidence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A ring's file is a head of one page and slots. Little-endian.
//
//	head: magic [12], version u16, step u32, slots u32, slot size u32, name length u16, name, CRC-32C of all that
//	slot: CRC-32C of the rest u32, time u32 (Unix seconds), record
//
// The record of the time t lies in slot (t / step) mod slots.
const (
	magic      = "SEKISHO-EVID"
	version    = 1
	headerSize = 4096
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type ring struct {
	Tier
	f *os.File
}

// path is a series' file: escaped, so that no id leads elsewhere; the line itself is "_", which no id is.
func (id Series) path(dir string, t Tier) string {
	class := "_"
	if id.Class != "" {
		class = "c." + url.PathEscape(id.Class)
	}
	return filepath.Join(dir, "l."+url.PathEscape(id.Line), class+t.end)
}

// seriesAt is the series of a file of seconds.
func seriesAt(dir, path string) (Series, bool) {
	line, err := url.PathUnescape(strings.TrimPrefix(filepath.Base(filepath.Dir(path)), "l."))
	id := Series{Line: line}
	if class, ok := strings.CutPrefix(strings.TrimSuffix(filepath.Base(path), Seconds.end), "c."); ok && err == nil {
		id.Class, err = url.PathUnescape(class)
	}
	return id, err == nil && id.path(dir, Seconds) == path
}

func head(t Tier, id Series) []byte {
	b := binary.LittleEndian.AppendUint16([]byte(magic), version)
	b = binary.LittleEndian.AppendUint32(b, uint32(t.Step))
	b = binary.LittleEndian.AppendUint32(b, uint32(t.Slots))
	b = binary.LittleEndian.AppendUint32(b, uint32(t.size))
	name := id.Line + "\x00" + id.Class
	b = binary.LittleEndian.AppendUint16(b, uint16(len(name)))
	b = append(b, name...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// openRing opens a ring or makes it. One whose head is not what it should be is set aside, never overwritten.
func openRing(path string, t Tier, id Series) (r *ring, aside string, err error) {
	fail := func(err error) (*ring, string, error) {
		return nil, "", fmt.Errorf("open the evidence: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fail(err)
	}
	want := head(t, id)
	if len(want) > headerSize {
		return fail(fmt.Errorf("the names of line and class are %d bytes too long", len(want)-headerSize))
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fail(err)
	}
	have := make([]byte, len(want))
	n, err := f.ReadAt(have, 0)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return fail(errors.Join(err, f.Close()))
	case n == 0: // new
	case string(have) == string(want):
		return &ring{t, f}, "", nil
	default:
		if len(have) > len(magic)+2 && string(have[:len(magic)]) == magic && binary.LittleEndian.Uint16(have[len(magic):]) > version {
			return fail(errors.Join(fmt.Errorf("%s was written by a newer version of this program", path), f.Close()))
		}
		aside = fmt.Sprintf("%s.damaged-%d", path, time.Now().UnixNano())
		if err := errors.Join(f.Close(), os.Rename(path, aside)); err != nil {
			return fail(err)
		}
		r, _, err = openRing(path, t, id)
		return r, aside, err
	}
	page := make([]byte, headerSize)
	copy(page, want)
	if _, err = f.WriteAt(page, 0); err == nil {
		err = errors.Join(f.Sync(), syncDir(filepath.Dir(path)), syncDir(filepath.Dir(filepath.Dir(path))))
	}
	if err != nil {
		return fail(errors.Join(err, f.Close()))
	}
	return &ring{t, f}, "", nil
}

// syncDir makes a file's name last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (r *ring) offset(at int64) int64 { return headerSize + at/r.Step%r.Slots*r.size }

// write puts a record where its time belongs, whatever was there.
func (r *ring) write(x Record) error {
	b := binary.LittleEndian.AppendUint32(make([]byte, 4, r.size), uint32(x.At))
	b = x.encode(b, r.Tier)
	b = append(b, make([]byte, int(r.size)-len(b))...)
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	if _, err := r.f.WriteAt(b, r.offset(x.At)); err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	return nil
}

// read gives the records of n times from first on. Slots of other times are gaps; a damaged one is counted.
func (r *ring) read(first, n int64) (out []Record, damaged int, err error) {
	for n > 0 {
		piece := min(n, r.Slots-first/r.Step%r.Slots) // up to the end of the file
		b := make([]byte, piece*r.size)
		got, err := r.f.ReadAt(b, r.offset(first))
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, fmt.Errorf("read evidence: %w", err)
		}
		for i := int64(0); i < piece && (i+1)*r.size <= int64(got); i++ {
			x, state := r.decode(b[i*r.size : (i+1)*r.size])
			if state == broken {
				damaged++
			}
			if state == whole && x.At == first+i*r.Step {
				out = append(out, x)
			}
		}
		first, n = first+piece*r.Step, n-piece
	}
	return out, damaged, nil
}

type slotState int

const (
	empty slotState = iota
	whole
	broken
)

func (r *ring) decode(b []byte) (x Record, state slotState) {
	sum := binary.LittleEndian.Uint32(b)
	if sum == 0 && binary.LittleEndian.Uint32(b[4:]) == 0 {
		return x, empty // a hole in the file
	}
	if sum != crc32.Checksum(b[4:], castagnoli) {
		return x, broken
	}
	x = decodeRecord(b[8:], r.Tier)
	x.At = int64(binary.LittleEndian.Uint32(b[4:]))
	return x, whole
}

// at gives the record of one time.
func (r *ring) at(t int64) (x Record, state slotState, err error) {
	b := make([]byte, r.size)
	n, err := r.f.ReadAt(b, r.offset(t))
	if err != nil && !errors.Is(err, io.EOF) {
		return x, empty, fmt.Errorf("read evidence: %w", err)
	}
	if n < len(b) {
		clear(b[n:])
	}
	x, state = r.decode(b)
	if state == whole && x.At != t {
		return Record{}, empty, nil
	}
	return x, state, nil
}
