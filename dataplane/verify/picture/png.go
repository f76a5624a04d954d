// Package picture reads rebuilt pictures to their last byte.
//
// Problem: a picture that shows well can hold anything where viewers do not look. Mechanism: a reader of our own for each format
// follows every part, every length and every checksum, and decodes as far as is needed to know where the pixels end. Life cycle:
// one call for each picture, of a file or of a part in a document. Invariant: nil means that each byte of the file has its place
// in the shape that the rebuilder writes.
package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zlib"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// Code of every refusal here.
const Code = "verify.image"

// Limits of a picture, from its header.
const (
	maxEdge   = 30_000
	maxPixels = 64_000_000
)

func checkEdges(w, h uint32, place string) error {
	if w == 0 || h == 0 || w > maxEdge || h > maxEdge || uint64(w)*uint64(h) > maxPixels {
		return rule.Refuse(Code, place, "%d x %d pixels", w, h)
	}
	return nil
}

// bitDepths of each color type (PNG, table 11.1), and samples of a pixel.
var pngColors = map[byte]struct {
	depths  string
	samples uint64
}{0: {"\x01\x02\x04\x08\x10", 1}, 2: {"\x08\x10", 3}, 3: {"\x01\x02\x04\x08", 1}, 4: {"\x08\x10", 2}, 6: {"\x08\x10", 4}}

// PNG walks the chunks: IHDR, pHYs, PLTE where the color type wants one, tRNS, IDAT in one run, IEND, each with its checksum, and
// not a byte behind. The pixel data must be exactly as long as the header says: nothing hides behind the last line.
func PNG(ctx context.Context, in []byte, place string) error {
	no := func(format string, args ...any) error { return rule.Refuse(Code, place, format, args...) }
	const magic = "\x89PNG\r\n\x1a\n"
	if !bytes.HasPrefix(in, []byte(magic)) {
		return no("no PNG signature")
	}
	var header []byte
	var data []io.Reader
	var last string
	palette, end := 0, false
	for rest := in[len(magic):]; len(rest) > 0; {
		if end {
			return no("%d bytes behind IEND", len(rest))
		}
		if len(rest) < 12 || binary.BigEndian.Uint32(rest) > uint32(len(rest)-12) {
			return no("a chunk is longer than the file")
		}
		n := int(binary.BigEndian.Uint32(rest))
		kind, body := string(rest[4:8]), rest[8:8+n]
		if crc32.ChecksumIEEE(rest[4:8+n]) != binary.BigEndian.Uint32(rest[8+n:]) {
			return no("checksum of %q", kind)
		}
		rest = rest[12+n:]
		if (header == nil) != (kind == "IHDR") {
			return no("IHDR is not the first chunk, or comes twice")
		}
		switch kind {
		case "IHDR":
			if err := checkIHDR(body, place); err != nil {
				return err
			}
			header = body
		case "PLTE":
			if palette != 0 || data != nil || n == 0 || n%3 != 0 || n > 768 || header[9] == 0 || header[9] == 4 {
				return no("PLTE of %d bytes out of place", n)
			}
			palette = n / 3
		case "tRNS":
			want := map[byte]int{0: 2, 2: 6, 3: n}[header[9]]
			if last == "tRNS" || data != nil || n != want || n == 0 || header[9] == 3 && n > palette {
				return no("tRNS of %d bytes out of place", n)
			}
		case "pHYs": // pixels per metre, or their shape
			if last != "IHDR" || n != 9 || body[8] > 1 || binary.BigEndian.Uint32(body)-1 >= 1e6 || binary.BigEndian.Uint32(body[4:])-1 >= 1e6 {
				return no("pHYs of %d bytes", n)
			}
		case "IDAT":
			if data != nil && last != "IDAT" {
				return no("IDAT in two places")
			}
			data = append(data, bytes.NewReader(body))
		case "IEND":
			if n != 0 {
				return no("IEND with %d bytes", n)
			}
			end = true
		default:
			return no("chunk %q", kind)
		}
		last = kind
	}
	if !end || data == nil || header[9] == 3 && palette == 0 {
		return no("incomplete")
	}
	return checkPixels(ctx, header, io.MultiReader(data...), place)
}

func checkIHDR(b []byte, place string) error {
	if len(b) != 13 {
		return rule.Refuse(Code, place, "IHDR of %d bytes", len(b))
	}
	c, ok := pngColors[b[9]]
	if !ok || !bytes.Contains([]byte(c.depths), b[8:9]) || b[10] != 0 || b[11] != 0 || b[12] != 0 {
		return rule.Refuse(Code, place, "IHDR says depth %d, color type %d, methods %d %d %d", b[8], b[9], b[10], b[11], b[12])
	}
	return checkEdges(binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), place)
}

// checkPixels inflates the data: one filter byte and one line of samples for each row, and then the end of the stream, which is
// also the end of the chunks.
func checkPixels(ctx context.Context, header []byte, data io.Reader, place string) error {
	no := func(format string, args ...any) error { return rule.Refuse(Code, place, format, args...) }
	w, h := uint64(binary.BigEndian.Uint32(header)), binary.BigEndian.Uint32(header[4:])
	line := make([]byte, 1+(w*pngColors[header[9]].samples*uint64(header[8])+7)/8)
	counted := rule.ByteByByte(data)
	z, err := zlib.NewReader(counted)
	if err != nil {
		return no("pixel data: %v", err)
	}
	defer z.Close()
	for y := range h {
		if y%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if _, err := io.ReadFull(z, line); err != nil {
			return no("pixel data, line %d: %v", y, err)
		}
		if line[0] > 4 {
			return no("pixel data, line %d: filter %d", y, line[0])
		}
	}
	if n, err := z.Read(line[:1]); n != 0 || !errors.Is(err, io.EOF) {
		return no("pixel data goes on behind the last line (%v)", err)
	}
	if _, err := counted.ReadByte(); !errors.Is(err, io.EOF) {
		return no("bytes behind the pixel data")
	}
	return nil
}
