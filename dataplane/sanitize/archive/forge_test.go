package archive_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"testing"
)

// forged is a member of a ZIP that a test makes byte by byte.
type forged struct {
	name        string
	body        string
	local       string // name in front of the data, when it is another
	flags       int
	method      int
	packed      []byte // when it is not made from body
	size        int    // claimed, when not 0
	localSize   int
	extra       string
	mode        int // of Unix
	descriptor  []byte
	before      string // bytes in front of the header
	crc         uint32 // claimed, when not 0
	time        uint32
	offset      int // added to what the directory says
	noLocalSize bool
}

type zipEnd struct {
	prefix, gap, suffix, comment string
	count                        int
	zip64                        bool
}

func forge(t testing.TB, end zipEnd, members ...forged) []byte {
	t.Helper()
	le := binary.LittleEndian
	out, dir := []byte(end.prefix), []byte(nil)
	for _, m := range members {
		packed := m.packed
		if packed == nil {
			packed = []byte(m.body)
			if m.method == 8 {
				packed = deflate(t, packed)
			}
		}
		size, crc := len(m.body), crc32.ChecksumIEEE([]byte(m.body))
		if m.size != 0 {
			size = m.size
		}
		if m.crc != 0 {
			crc = m.crc
		}
		if m.time == 0 {
			m.time = 46<<25 | 5<<21 | 9<<16 | 13<<11 | 30<<5 | 10
		}
		local, localSize := m.local, m.localSize
		if local == "" {
			local = m.name
		}
		if localSize == 0 {
			localSize = size
		}
		out = append(out, m.before...)
		at := len(out) + m.offset
		head := func(name string, size, packed int, crc uint32) []byte {
			b := le.AppendUint16(le.AppendUint16(le.AppendUint16(nil, 20), uint16(m.flags)), uint16(m.method))
			b = le.AppendUint32(le.AppendUint32(b, m.time), crc)
			b = le.AppendUint32(le.AppendUint32(b, uint32(packed)), uint32(size))
			return le.AppendUint16(le.AppendUint16(b, uint16(len(name))), uint16(len(m.extra)))
		}
		out = le.AppendUint32(out, 0x04034b50)
		if m.noLocalSize {
			out = append(out, head(local, 0, 0, 0)...)
		} else {
			out = append(out, head(local, localSize, len(packed), crc)...)
		}
		out = append(append(append(append(out, local...), m.extra...), packed...), m.descriptor...)
		dir = append(le.AppendUint16(le.AppendUint32(dir, 0x02014b50), 20|3<<8), head(m.name, size, len(packed), crc)...)
		dir = append(dir, make([]byte, 6)...)
		dir = le.AppendUint32(le.AppendUint32(dir, uint32(m.mode)<<16), uint32(at))
		dir = append(append(dir, m.name...), m.extra...)
	}
	out = append(out, end.gap...)
	start := len(out)
	out = append(out, dir...)
	n := len(members)
	if end.count != 0 {
		n = end.count
	}
	at, size, count := uint32(start), uint32(len(dir)), uint16(n)
	if end.zip64 {
		at64 := len(out)
		out = le.AppendUint64(le.AppendUint32(out, 0x06064b50), 44)
		out = append(out, 45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		out = le.AppendUint64(le.AppendUint64(out, uint64(n)), uint64(n))
		out = le.AppendUint64(le.AppendUint64(out, uint64(len(dir))), uint64(start))
		out = le.AppendUint32(le.AppendUint64(le.AppendUint32(le.AppendUint32(out, 0x07064b50), 0), uint64(at64)), 1)
		at, size, count = 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFF
	}
	out = le.AppendUint16(le.AppendUint16(append(le.AppendUint32(out, 0x06054b50), 0, 0, 0, 0), count), count)
	out = le.AppendUint32(le.AppendUint32(out, size), at)
	out = append(le.AppendUint16(out, uint16(len(end.comment))), end.comment...)
	return append(out, end.suffix...)
}

func deflate(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, 9)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// descriptor is what follows the data of a member that was written in one go.
func descriptor(body string, packed int, signed, wide bool) []byte {
	le := binary.LittleEndian
	var b []byte
	if signed {
		b = le.AppendUint32(b, 0x08074b50)
	}
	b = le.AppendUint32(b, crc32.ChecksumIEEE([]byte(body)))
	if wide {
		return le.AppendUint64(le.AppendUint64(b, uint64(packed)), uint64(len(body)))
	}
	return le.AppendUint32(le.AppendUint32(b, uint32(packed)), uint32(len(body)))
}
