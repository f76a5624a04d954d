package archive

import (
	"bytes"
	"compress/bzip2"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// Compression methods, APPNOTE 4.4.5.
const (
	methodStore   = 0
	methodDeflate = 8
	methodBzip2   = 12
	methodLZMA    = 14
	methodXZ      = 95
	methodAES     = 99
)

// maxWindow bounds what LZMA and xz may ask to keep in memory, in bytes. 7-Zip's strongest setting asks for 64 MiB by default.
const maxWindow = 256 << 20

// unpack gives a member's bytes: exactly as many as claimed, with the claimed sum, from all of the packed bytes.
func (e *entry) unpack(j *rebuild.Job) ([]byte, string, error) {
	switch {
	case e.flags&(flagStrong|flagMasked) != 0:
		return nil, "", rebuild.Refuse("archive.encryption", "", "")
	case e.flags&flagPatched != 0:
		return nil, "", rebuild.Refuse("archive.method", "", "patch data")
	case e.flags&flagEncrypted == 0 && e.method == methodAES:
		return nil, "", no("AES, but not encrypted")
	case e.flags&flagEncrypted == 0:
		b, err := inflate(j, e.method, e.data, e.size)
		if err == nil && crc32.ChecksumIEEE(b) != e.crc {
			err = bad("checksum")
		}
		return b, "", err
	}
	return e.decrypt(j)
}

// inflate unpacks data to exactly size bytes.
func inflate(j *rebuild.Job, method int, data []byte, size int64) ([]byte, error) {
	in := bytes.NewReader(data)
	var r io.Reader
	switch method {
	case methodStore:
		if int64(len(data)) != size {
			return nil, no("stored, but of two sizes")
		}
		return data, nil
	case methodDeflate:
		r = flate.NewReader(in)
	case methodBzip2:
		r = bzip2.NewReader(in)
	case methodXZ:
		x, err := xz.ReaderConfig{DictCap: maxWindow, SingleStream: true}.NewReader(in)
		if err != nil {
			return nil, bad(err.Error())
		}
		r = x
	case methodLZMA:
		x, err := zipLZMA(in, size)
		if err != nil {
			return nil, err
		}
		r = x
	default:
		return nil, rebuild.Refuse("archive.method", "", fmt.Sprint(method))
	}
	b, err := exactly(j, r, size)
	if err == nil && in.Len() != 0 && method != methodBzip2 && method != methodLZMA { // those read ahead
		err = no("bytes behind the packed data")
	}
	return b, err
}

// zipLZMA is APPNOTE 5.8: version, length of the properties, the properties, and LZMA without its header.
func zipLZMA(in *bytes.Reader, size int64) (io.Reader, error) {
	var head [9]byte
	if _, err := io.ReadFull(in, head[:]); err != nil || le16(head[2:]) != 5 {
		return nil, bad("LZMA header")
	}
	if le32(head[5:]) > maxWindow {
		return nil, rebuild.Refuse("archive.method", "", fmt.Sprintf("LZMA, window of %d bytes", le32(head[5:])))
	}
	header := binary.LittleEndian.AppendUint64(head[4:9:9], uint64(size))
	r, err := lzma.ReaderConfig{DictCap: maxWindow}.NewReader(io.MultiReader(bytes.NewReader(header), in))
	if err != nil {
		return nil, bad(err.Error())
	}
	return r, nil
}

// exactly reads size bytes and the end. It grows with what arrives, not with what is claimed.
func exactly(j *rebuild.Job, r io.Reader, size int64) ([]byte, error) {
	if size < 0 || size > j.Budget.Bytes {
		return nil, rebuild.Refuse("limit.expansion", "", fmt.Sprintf("%d bytes, %d left", size, j.Budget.Bytes))
	}
	b, err := upTo(j, r, size)
	if err == nil && int64(len(b)) != size {
		err = no(fmt.Sprintf("unpacks to another size than the %d bytes it claims", size))
	}
	return b, err
}

// upTo reads to the end, at most limit bytes and one more, until the context ends.
func upTo(j *rebuild.Job, r io.Reader, limit int64) ([]byte, error) {
	var b bytes.Buffer
	r = io.LimitReader(r, limit+1)
	for {
		if err := j.Ctx.Err(); err != nil {
			return nil, err
		}
		n, err := io.CopyN(&b, r, 1<<20)
		switch {
		case err == io.EOF:
			return b.Bytes(), nil
		case err != nil:
			return nil, bad(err.Error())
		case n == 0:
			return b.Bytes(), nil
		}
	}
}
