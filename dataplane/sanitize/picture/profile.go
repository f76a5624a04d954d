package picture

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// strange names a color profile that is not sRGB or gray of the same curve, so that without it colors look different; empty when
// it is, or when there is none. Profiles are tables and little programs that viewers run: none is kept, and pixels are then taken
// for sRGB, as those without a profile are.
func strange(profile []byte) string {
	if len(profile) < 132 || string(profile[36:40]) != "acsp" {
		return ""
	}
	name := ""
	n := int(min(binary.BigEndian.Uint32(profile[128:]), 100))
	for i := range n { // ICC.1:2022, 7.3: tag, offset, size
		at := 132 + 12*i
		if at+12 > len(profile) {
			break
		}
		if string(profile[at:at+4]) != "desc" {
			continue
		}
		from, size := uint64(binary.BigEndian.Uint32(profile[at+4:])), uint64(binary.BigEndian.Uint32(profile[at+8:]))
		if from+size <= uint64(len(profile)) {
			name = description(profile[from : from+size])
		}
	}
	if strings.Contains(name, "sRGB") || strings.Contains(name, "IEC61966") || strings.Contains(name, "IEC 61966") {
		return ""
	}
	if name == "" {
		name = "?"
	}
	return rebuild.Printable(name, 60)
}

// description reads a profile's name: ASCII (version 2) or the first of several in UTF-16 (version 4).
func description(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("desc")) && len(b) > 12:
		n := min(uint64(binary.BigEndian.Uint32(b[8:])), uint64(len(b)-12))
		return strings.TrimRight(string(b[12:12+n]), "\x00")
	case bytes.HasPrefix(b, []byte("mluc")) && len(b) >= 28:
		size, from := uint64(binary.BigEndian.Uint32(b[20:])), uint64(binary.BigEndian.Uint32(b[24:]))
		if from+size > uint64(len(b)) || size > 400 {
			return ""
		}
		var u []uint16
		for t := b[from : from+size]; len(t) >= 2; t = t[2:] {
			u = append(u, binary.BigEndian.Uint16(t))
		}
		return string(utf16.Decode(u))
	}
	return ""
}
