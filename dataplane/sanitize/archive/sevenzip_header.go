package archive

import (
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
