package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/zlib"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// field is an entry of a directory, with its values read.
type field struct {
	kind uint16
	v    []uint32
}

// directory is what a page may say (TIFF 6.0, appendix A), in this order; those with want 0 have a value of their own.
var directory = []struct {
	tag, kind uint16
	must      bool
}{
	{254, 4, true}, {256, 4, true}, {257, 4, true}, {258, 3, true}, {259, 3, true}, {262, 3, true}, {273, 4, true}, {277, 3, true}, {278, 4, true}, {279, 4, true},
	{282, 5, true}, {283, 5, true}, {296, 3, true}, {317, 3, true}, {320, 3, false}, {338, 3, false},
}

// TIFF reads pages that lie one behind the other: a directory of known entries, the values that do not fit into it, and strips,
// each unpacked to just as many bytes as its rows have. No byte lies outside of these.
func TIFF(ctx context.Context, in []byte, place string) error {
	no := func(format string, args ...any) error { return rule.Refuse(Code, place, format, args...) }
	if len(in) < 8 || string(in[:8]) != "II*\x00\x08\x00\x00\x00" || int64(len(in)) > 1<<32-1 {
		return no("header")
	}
	pages, pixels := 0, uint64(0)
	for at := 8; ; {
		f, next, end, err := readDirectory(in, at, place)
		if err != nil {
			return err
		}
		n, end, err := checkPage(ctx, in, f, end, place)
		if err != nil {
			return err
		}
		pages++
		if pixels += n; pages > maxFrames || pixels > maxFramePixels {
			return no("%d pages, %d pixels", pages, pixels)
		}
		if end&1 == 1 {
			if end == len(in) || in[end] != 0 {
				return no("page %d has no even length", pages)
			}
			end++
		}
		if next == 0 && end == len(in) {
			return nil
		}
		if next != end || end == len(in) {
			return no("page %d is followed by bytes that are no page", pages)
		}
		at = next
	}
}

// readDirectory reads the entries at, and answers where the values behind it end.
func readDirectory(in []byte, at int, place string) (f map[uint16]field, next, end int, err error) {
	no := func(format string, args ...any) (map[uint16]field, int, int, error) {
		return nil, 0, 0, rule.Refuse(Code, place, format, args...)
	}
	le := binary.LittleEndian
	if len(in)-at < 2 {
		return no("directory")
	}
	n := int(le.Uint16(in[at:]))
	end = at + 2 + 12*n + 4
	if n > len(directory) || end > len(in) {
		return no("directory of %d entries", n)
	}
	next = int(le.Uint32(in[end-4:]))
	f = map[uint16]field{}
	at += 2
	for _, d := range directory {
		if n == 0 || le.Uint16(in[at:]) != d.tag {
			if d.must {
				return no("no entry %d where it has to be", d.tag)
			}
			continue
		}
		count, size := int64(le.Uint32(in[at+4:])), int64(map[uint16]int{3: 2, 4: 4, 5: 8}[d.kind])
		if le.Uint16(in[at+2:]) != d.kind || count < 1 || count > 1<<20 {
			return no("entry %d", d.tag)
		}
		value := in[at+8 : at+12]
		if size *= count; size > 4 {
			if int64(le.Uint32(value)) != int64(end) || size > int64(len(in)-end) {
				return no("values of entry %d lie elsewhere", d.tag)
			}
			value = in[end : end+int(size)]
			end += int(size)
		} else if bytes.Count(value[size:], []byte{0}) != int(4-size) {
			return no("bytes behind the value of entry %d", d.tag)
		}
		x := field{kind: d.kind}
		for b := value[:size]; len(b) > 0; {
			if d.kind == 3 {
				x.v, b = append(x.v, uint32(le.Uint16(b))), b[2:]
			} else {
				x.v, b = append(x.v, le.Uint32(b)), b[4:]
			}
		}
		f[d.tag] = x
		at, n = at+12, n-1
	}
	if n != 0 {
		return no("entry %d", le.Uint16(in[at:]))
	}
	return f, next, end, nil
}

// checkPage holds the entries to each other, and unpacks the strips, which begin at; it answers where they end.
func checkPage(ctx context.Context, in []byte, f map[uint16]field, at int, place string) (pixels uint64, end int, err error) {
	no := func(format string, args ...any) (uint64, int, error) {
		return 0, 0, rule.Refuse(Code, place, format, args...)
	}
	for tag, x := range f {
		want := 1
		switch tag {
		case 258:
			want = int(f[277].v[0])
		case 273, 279:
			want = len(f[273].v)
		case 282, 283:
			want = 2
			if x.v[0] == 0 || x.v[1] == 0 || x.v[0] > 1e6 || x.v[1] > 1e6 {
				return no("resolution")
			}
		case 320:
			want = 3 * 256
		}
		if len(x.v) != want {
			return no("entry %d has %d values", tag, len(x.v))
		}
	}
	w, h, bits, samples := f[256].v[0], f[257].v[0], f[258].v[0], f[277].v[0]
	if err := checkEdges(w, h, place); err != nil {
		return 0, 0, err
	}
	for _, b := range f[258].v {
		if b != bits {
			return no("samples of different bits")
		}
	}
	_, palette := f[320]
	extra, alpha := f[338]
	photometric, predictor := f[262].v[0], f[317].v[0]
	ok := false
	switch {
	case palette:
		ok = photometric == 3 && samples == 1 && bits == 8 && predictor == 1 && !alpha
	case samples == 1:
		ok = photometric == 1 && !alpha && (bits == 1 && predictor == 1 || (bits == 8 || bits == 16) && predictor == 2)
	case samples == 3 || samples == 4:
		ok = photometric == 2 && (bits == 8 || bits == 16) && predictor == 2 && alpha == (samples == 4) && (!alpha || extra.v[0] == 1 || extra.v[0] == 2)
	}
	rows := f[278].v[0]
	if !ok || f[254].v[0] != 0 || f[259].v[0] != 8 || f[296].v[0] < 1 || f[296].v[0] > 3 || rows == 0 || rows > h || uint32(len(f[273].v)) != (h+rows-1)/rows {
		return no("entries that do not fit together")
	}
	line := make([]byte, (uint64(w)*uint64(bits)*uint64(samples)+7)/8)
	used := uint64(w) * uint64(bits) * uint64(samples) % 8
	for i, offset := range f[273].v {
		n := int64(f[279].v[i])
		if int64(offset) != int64(at) || n > int64(len(in)-at) {
			return no("strip %d lies elsewhere", i)
		}
		count := min(rows, h-uint32(i)*rows)
		if err := checkStrip(ctx, in[at:at+int(n)], line, count, used); err != nil {
			if ctx.Err() != nil {
				return 0, 0, ctx.Err()
			}
			return no("strip %d: %v", i, err)
		}
		at += int(n)
	}
	return uint64(w) * uint64(h), at, nil
}

var errStrip = errors.New("not as many bytes as its rows have")

// checkStrip unpacks rows; used is how many bits of a row's last byte show something, 0 for all.
func checkStrip(ctx context.Context, packed, line []byte, rows uint32, used uint64) error {
	counted := rule.ByteByByte(bytes.NewReader(packed))
	z, err := zlib.NewReader(counted)
	if err != nil {
		return err
	}
	defer z.Close()
	for range rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := io.ReadFull(z, line); err != nil {
			return err
		}
		if used > 0 && line[len(line)-1]<<used != 0 {
			return errors.New("bits behind a row")
		}
	}
	if n, err := z.Read(line[:1]); n != 0 || !errors.Is(err, io.EOF) {
		return errStrip
	}
	if _, err := counted.ReadByte(); !errors.Is(err, io.EOF) {
		return errStrip
	}
	return nil
}
