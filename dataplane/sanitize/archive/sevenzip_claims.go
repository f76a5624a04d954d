package archive

import (
	"bytes"
	"encoding/binary"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

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
