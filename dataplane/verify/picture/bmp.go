package picture

import (
	"context"
	"encoding/binary"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// BMP holds a file to the plain layout: header of 40 bytes with a palette of all its colors or 24 bits, or of 108 bytes with
// transparency; rows from the bottom, padded with zeros, to the last byte.
func BMP(ctx context.Context, in []byte, place string) error {
	no := func(format string, args ...any) error { return rule.Refuse(Code, place, format, args...) }
	le := binary.LittleEndian
	if len(in) < 54 || string(in[:2]) != "BM" || int64(le.Uint32(in[2:])) != int64(len(in)) || le.Uint32(in[6:]) != 0 {
		return no("header")
	}
	head, w, h := int(le.Uint32(in[14:])), le.Uint32(in[18:]), le.Uint32(in[22:])
	if err := checkEdges(w, h, place); err != nil {
		return err
	}
	depth, method, colors := int(le.Uint16(in[28:])), le.Uint32(in[30:]), 0
	switch {
	case head == 40 && method == 0 && (depth == 1 || depth == 4 || depth == 8):
		colors = 1 << depth
	case head == 40 && method == 0 && depth == 24:
	case head == 108 && method == 3 && depth == 32 && len(in) >= 122:
		for k, v := range []uint32{0xFF0000, 0xFF00, 0xFF, 0xFF000000, 0x73524742} {
			if le.Uint32(in[54+4*k:]) != v {
				return no("masks")
			}
		}
		for _, b := range in[74:122] {
			if b != 0 {
				return no("color space")
			}
		}
	default:
		return no("header of %d bytes, %d bits, method %d", head, depth, method)
	}
	stride := (int(w)*depth + 31) / 32 * 4
	from := 14 + head + 4*colors
	if le.Uint16(in[26:]) != 1 || int64(le.Uint32(in[10:])) != int64(from) || int64(le.Uint32(in[34:])) != int64(stride)*int64(h) || int64(len(in)) != int64(from)+int64(stride)*int64(h) {
		return no("sizes")
	}
	if le.Uint32(in[38:]) >= 1_000_000 || le.Uint32(in[42:]) >= 1_000_000 || le.Uint32(in[46:]) != 0 || le.Uint32(in[50:]) != 0 {
		return no("header fields")
	}
	for i := range colors {
		if in[14+head+4*i+3] != 0 {
			return no("palette")
		}
	}
	used := int(w) * depth
	for y := range int(h) {
		if y%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		row := in[from+y*stride:][:stride]
		if used%8 != 0 && row[used/8]<<(used%8) != 0 {
			return no("bits behind row %d", y)
		}
		for _, b := range row[(used+7)/8:] {
			if b != 0 {
				return no("bytes behind row %d", y)
			}
		}
	}
	return nil
}
