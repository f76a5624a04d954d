package picture

import (
	"context"
	"encoding/binary"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// Markers of a JPEG that a rebuilder writes (ITU-T T.81, table B.1).
const (
	soi, eoi, sos       = 0xD8, 0xD9, 0xDA
	dqt, dht, dri       = 0xDB, 0xC4, 0xDD
	sof0, sof1, sof2    = 0xC0, 0xC1, 0xC2
	rst0, rst7          = 0xD0, 0xD7
	app0                = 0xE0
	maxScans            = 100
	maxComponentsInJPEG = 3 // grey or YCbCr; CMYK is turned into RGB when rebuilt
)

// JPEG walks the markers: tables, one frame, scans, end. No application segment but a bare JFIF header, no comment, and not
// a byte behind the end. Table contents are checked for shape; coefficients are not decoded.
func JPEG(ctx context.Context, in []byte, place string) error {
	no := func(format string, args ...any) error { return rule.Refuse(Code, place, format, args...) }
	if len(in) < 4 || in[0] != 0xFF || in[1] != soi {
		return no("no SOI")
	}
	frame := []byte(nil)
	scans := 0
	tables := map[byte]bool{} // DQT: 0x10|id, DHT: class<<5|id|0x80
	for at := 2; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(in)-at < 2 || in[at] != 0xFF {
			return no("no marker at byte %d", at)
		}
		m := in[at+1]
		at += 2
		if m == eoi {
			if frame == nil || scans == 0 {
				return no("no picture before EOI")
			}
			if at != len(in) {
				return no("%d bytes behind EOI", len(in)-at)
			}
			return nil
		}
		if len(in)-at < 2 {
			return no("cut off")
		}
		n := int(binary.BigEndian.Uint16(in[at:]))
		if n < 2 || n > len(in)-at {
			return no("segment FF%02X is longer than the file", m)
		}
		body := in[at+2 : at+n]
		at += n
		switch m {
		case app0:
			// JFIF 1.02: identifier, version, units, densities, thumbnail of 0 x 0 pixels
			if frame != nil || len(body) != 14 || string(body[:5]) != "JFIF\x00" || body[12] != 0 || body[13] != 0 {
				return no("APP0 is not a bare JFIF header")
			}
		case dqt:
			if !quantization(body, tables) {
				return no("quantization table")
			}
		case dht:
			if !huffman(body, tables) {
				return no("Huffman table")
			}
		case dri:
			if len(body) != 2 {
				return no("restart interval")
			}
		case sof0, sof1, sof2:
			if frame != nil {
				return no("two frames")
			}
			if err := checkFrame(m, body, place); err != nil {
				return err
			}
			frame = body
		case sos:
			if scans++; frame == nil || scans > maxScans || !scan(body, frame, tables) {
				return no("scan header")
			}
			end := entropy(in, at)
			if end <= at {
				return no("scan without data")
			}
			at = end
		default:
			return no("marker FF%02X", m)
		}
	}
}

func checkFrame(m byte, b []byte, place string) error {
	if len(b) < 6 || b[0] != 8 || b[5] == 0 || b[5] > maxComponentsInJPEG || len(b) != 6+3*int(b[5]) {
		return rule.Refuse(Code, place, "frame header FF%02X", m)
	}
	for c := b[6:]; len(c) > 0; c = c[3:] {
		if h, v := c[1]>>4, c[1]&15; h == 0 || h > 4 || v == 0 || v > 4 || c[2] > 3 {
			return rule.Refuse(Code, place, "frame component")
		}
	}
	return checkEdges(uint32(binary.BigEndian.Uint16(b[3:])), uint32(binary.BigEndian.Uint16(b[1:])), place)
}

func quantization(b []byte, tables map[byte]bool) bool {
	if len(b) == 0 {
		return false
	}
	for len(b) > 0 {
		size := 65
		if b[0]>>4 == 1 {
			size = 129
		}
		if b[0]>>4 > 1 || b[0]&15 > 3 || len(b) < size {
			return false
		}
		tables[0x10|b[0]&15] = true
		b = b[size:]
	}
	return true
}

func huffman(b []byte, tables map[byte]bool) bool {
	if len(b) == 0 {
		return false
	}
	for len(b) > 0 {
		if len(b) < 17 || b[0]>>4 > 1 || b[0]&15 > 3 {
			return false
		}
		count, code := 0, 0
		for length, n := range b[1:17] {
			count += int(n)
			code += int(n)
			if code > 1<<(length+1) { // more codes than that length has
				return false
			}
			code <<= 1
		}
		if count > 256 || len(b) < 17+count {
			return false
		}
		tables[0x80|b[0]>>4<<5|b[0]&15] = true
		b = b[17+count:]
	}
	return true
}

func scan(b, frame []byte, tables map[byte]bool) bool {
	if len(b) < 6 || b[0] == 0 || int(b[0]) > int(frame[5]) || len(b) != 4+2*int(b[0]) {
		return false
	}
	for c := b[1 : 1+2*int(b[0])]; len(c) > 0; c = c[2:] {
		found := false
		for f := frame[6:]; len(f) > 0; f = f[3:] {
			found = found || f[0] == c[0] && tables[0x10|f[2]]
		}
		if !found || c[1]>>4 > 3 || c[1]&15 > 3 {
			return false
		}
	}
	s := b[len(b)-3:]
	return s[0] <= s[1] && s[1] <= 63
}

// entropy gives the offset of the marker that ends entropy-coded data: stuffed zeros and restarts belong to it.
func entropy(in []byte, at int) int {
	for at+1 < len(in) {
		if in[at] != 0xFF {
			at++
			continue
		}
		if c := in[at+1]; c != 0 && (c < rst0 || c > rst7) {
			return at
		}
		at += 2
	}
	return len(in)
}
