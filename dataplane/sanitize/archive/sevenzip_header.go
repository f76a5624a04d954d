package archive

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/bodgit/sevenzip"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// The library makes tables of as many entries, and dictionaries of as many bytes, as headers claim: a hundred bytes may claim four thousand
// million files. So headers are read here first, unpacked when they are packed, held to what their bytes can hold, and handed to the
// library in the open (7zFormat.txt).

const (
	head7z         = 32        // "SignatureHeader"
	maxHeader7z    = 16 << 20  // bytes of a header; it takes some fifty a member
	maxDictionary  = 256 << 20 // 7-Zip takes at most 64 MB unless told otherwise, and no more than the files have
	maxPackings    = 4         // headers may be packed again and again; 7-Zip does it once
	maxCoders      = 32
	idHeader       = 0x01
	idMainStreams  = 0x04
	idFiles        = 0x05
	idPackInfo     = 0x06
	idUnpackInfo   = 0x07
	idSubStreams   = 0x08
	idSize         = 0x09
	idCRC          = 0x0A
	idFolder       = 0x0B
	idUnpackSize   = 0x0C
	idUnpackStream = 0x0D
	idPacked       = 0x17
)

// plain7z is the archive with its header in the open. key is the password that unpacks it where that needs one; sealed tells whether
// there is anything that needs one, as far as it was read.
func plain7z(j *rebuild.Job, key string) (in spliced, sealed bool, err error) {
	at := head7z + le64(j.In[12:])
	header := j.In[at:]
	for range maxPackings {
		h := claims{rest: header, files: j.Budget.Files, sealed: sealed}
		switch h.byte() {
		case idHeader:
			h.header()
			return within7z(j.In[:at], header), h.sealed, h.err
		case idPacked:
			h.streams()
			sealed = h.sealed
			if h.err != nil {
				return spliced{}, sealed, h.err
			}
			packed := header[1 : len(header)-len(h.rest)]
			if header, err = unpackHeader(within7z(j.In[:at], append(append([]byte{idHeader, idMainStreams}, packed...), idFiles, 1, 0, 0)), key); err != nil {
				return spliced{}, sealed, err
			}
		default:
			return spliced{}, sealed, bad("7z header")
		}
	}
	return spliced{}, sealed, bad("7z header, packed too often")
}

// unpackHeader reads the one member of an archive that was made of a packed header.
func unpackHeader(in spliced, key string) ([]byte, error) {
	r, err := sevenzip.NewReaderWithPassword(in, in.size(), key)
	if err != nil {
		return nil, err
	}
	if len(r.File) != 1 {
		return nil, bad("7z header")
	}
	f, err := r.File[0].Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxHeader7z+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxHeader7z {
		return nil, rebuild.Refuse("limit.members", "", "")
	}
	if want := r.File[0].CRC32; want != 0 && crc32.ChecksumIEEE(b) != want {
		return nil, bad("7z header")
	}
	return b, nil
}

// spliced is bytes in three pieces.
type spliced [3][]byte

// within7z puts a header behind an archive's packed streams.
func within7z(in, header []byte) spliced {
	start := append([]byte{}, in[:head7z]...)
	binary.LittleEndian.PutUint64(start[12:], uint64(len(in)-head7z))
	binary.LittleEndian.PutUint64(start[20:], uint64(len(header)))
	binary.LittleEndian.PutUint32(start[28:], crc32.ChecksumIEEE(header))
	binary.LittleEndian.PutUint32(start[8:], crc32.ChecksumIEEE(start[12:]))
	return spliced{start, in[head7z:], header}
}

func (s spliced) size() int64 { return int64(len(s[0]) + len(s[1]) + len(s[2])) }

// ReadAt reads as io.ReaderAt says.
func (s spliced) ReadAt(p []byte, off int64) (n int, err error) {
	for _, piece := range s {
		if off < int64(len(piece)) && n < len(p) {
			m := copy(p[n:], piece[off:])
			n, off = n+m, off+int64(m)
		}
		off -= int64(len(piece))
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// claims walks a header and holds what it claims to the bytes that there are.
type claims struct {
	rest   []byte
	files  int // that a job may still open
	sealed bool
	err    error
}

func (c *claims) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.rest = nil
}

func (c *claims) take(n uint64) []byte {
	if n > uint64(len(c.rest)) {
		c.fail(bad("7z header"))
		return nil
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

func (c *claims) byte() byte {
	if b := c.take(1); len(b) == 1 {
		return b[0]
	}
	return 0xFF // no property
}

// number is the format's own: as many leading ones as bytes follow.
func (c *claims) number() uint64 {
	first := c.byte()
	var v uint64
	for i := range 8 {
		if first&(0x80>>i) == 0 {
			return v | uint64(first&(0x80>>i-1))<<(8*i)
		}
		v |= uint64(c.byte()) << (8 * i)
	}
	return v
}

// count is a number of things of which each takes at least a bit of what follows, or is opened as a file.
func (c *claims) count() uint64 {
	n := c.number()
	if n > uint64(c.files) {
		c.fail(rebuild.Refuse("limit.members", "", ""))
		return 0
	}
	return n
}

// numbers skips as many.
func (c *claims) numbers(n uint64) {
	for ; n > 0 && c.err == nil; n-- {
		c.number()
	}
}

// sums skips checksums of n things.
func (c *claims) sums(n uint64) {
	defined := n
	if c.byte() == 0 {
		defined = 0
		for i, b := range c.take((n + 7) / 8) {
			for k := range 8 {
				if uint64(i*8+k) < n && b&(0x80>>k) != 0 {
					defined++
				}
			}
		}
	}
	c.take(4 * defined)
}

// streams walks "StreamsInfo" up to its end.
func (c *claims) streams() {
	id := c.byte()
	if id == idPackInfo {
		c.number() // where
		n := c.count()
		if id = c.byte(); id == idSize {
			c.numbers(n)
			id = c.byte()
		}
		if id == idCRC {
			c.sums(n)
			id = c.byte()
		}
		c.end(id)
		id = c.byte()
	}
	var unpacked []uint64 // streams of each folder
	if id == idUnpackInfo {
		unpacked = c.unpackInfo()
		id = c.byte()
	}
	if id == idSubStreams {
		c.subStreams(unpacked)
		id = c.byte()
	}
	c.end(id)
}

func (c *claims) end(id byte) {
	if id != 0 {
		c.fail(bad("7z header"))
	}
}

// unpackInfo walks the folders, and gives a 1 for each.
func (c *claims) unpackInfo() (each []uint64) {
	if c.byte() != idFolder {
		c.fail(bad("7z header"))
		return nil
	}
	n := c.count()
	if c.byte() != 0 {
		c.fail(bad("7z header, folders elsewhere"))
		return nil
	}
	var outs uint64
	for ; n > 0 && c.err == nil; n-- {
		outs += c.folder()
		each = append(each, 1)
	}
	if c.byte() != idUnpackSize {
		c.fail(bad("7z header"))
		return nil
	}
	c.numbers(outs)
	id := c.byte()
	if id == idCRC {
		c.sums(uint64(len(each)))
		id = c.byte()
	}
	c.end(id)
	return each
}

// folder walks one, and answers how many streams its coders make.
func (c *claims) folder() uint64 {
	coders := c.number()
	if coders == 0 || coders > maxCoders {
		c.fail(bad("7z coders"))
		return 0
	}
	var ins, outs uint64
	for ; coders > 0 && c.err == nil; coders-- {
		flags := c.byte()
		id := c.take(uint64(flags & 0x0F))
		in, out := uint64(1), uint64(1)
		if flags&0x10 != 0 {
			in, out = c.number(), c.number()
		}
		if flags&0xC0 != 0 || in == 0 || out == 0 || in > maxCoders || out > maxCoders {
			c.fail(bad("7z coders"))
			return 0
		}
		ins, outs = ins+in, outs+out
		var properties []byte
		if flags&0x20 != 0 {
			properties = c.take(c.number())
		}
		if memory7z(id, properties) > maxDictionary {
			c.fail(rebuild.Refuse("limit.expansion", "", "7z dictionary"))
			return 0
		}
		c.sealed = c.sealed || bytes.Equal(id, []byte{6, 0xF1, 7, 1}) // AES; the library bounds the rounds of its hash
	}
	if ins < outs {
		c.fail(bad("7z coders"))
		return 0
	}
	c.numbers(2 * (outs - 1))
	if packed := ins - (outs - 1); packed != 1 {
		c.numbers(packed)
	}
	return outs
}

// memory7z is how much a coder wants to unpack, in bytes.
func memory7z(id, properties []byte) uint64 {
	switch {
	case bytes.Equal(id, []byte{3, 1, 1}) && len(properties) == 5, bytes.Equal(id, []byte{3, 4, 1}) && len(properties) == 5: // LZMA, PPMd
		return uint64(binary.LittleEndian.Uint32(properties[1:]))
	case bytes.Equal(id, []byte{0x21}) && len(properties) == 1: // LZMA2
		if b := properties[0]; b < 40 {
			return (2 | uint64(b&1)) << (b/2 + 11)
		}
		return 1 << 32
	}
	return 0
}

// subStreams walks how many files lie in each folder.
func (c *claims) subStreams(each []uint64) {
	id := c.byte()
	if id == idUnpackStream {
		for i := range each {
			each[i] = c.count()
		}
		id = c.byte()
	}
	var files uint64
	for _, n := range each {
		files += n
	}
	if files > uint64(c.files) {
		c.fail(rebuild.Refuse("limit.members", "", ""))
		return
	}
	if id == idSize {
		for _, n := range each {
			if n > 1 {
				c.numbers(n - 1)
			}
		}
		id = c.byte()
	}
	if id == idCRC { // the library reads one of each, whatever the folders say
		c.sums(files)
		id = c.byte()
	}
	c.end(id)
}

// header walks what stands in the open behind its first byte, as far as it claims numbers.
func (c *claims) header() {
	id := c.byte()
	if id == idMainStreams {
		c.streams()
		id = c.byte()
	}
	if id == idFiles {
		if n := c.number(); n > uint64(c.files) {
			c.fail(rebuild.Refuse("limit.members", "", ""))
		}
	}
}
