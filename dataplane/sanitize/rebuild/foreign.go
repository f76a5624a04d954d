package rebuild

import "bytes"

// Foreign tells what the bytes after an image's end are, when they are another file; empty when they are only left-overs
// (padding, a camera's trailer, a second picture), which are cut off.
func Foreign(tail []byte) string {
	trimmed := bytes.TrimLeft(tail, "\x00\r\n\t ")
	switch {
	case bytes.HasPrefix(trimmed, []byte("MZ")) && bytes.Contains(trimmed, []byte("PE\x00\x00")):
		return "Windows program"
	case bytes.HasPrefix(trimmed, []byte("\x7FELF")):
		return "Linux program"
	}
	for _, m := range []struct {
		magic string
		kind  string
	}{
		{"PK\x03\x04", "ZIP archive"}, {"PK\x05\x06", "ZIP archive"}, {"%PDF-", "PDF"}, {"Rar!\x1A\x07", "archive"}, {"7z\xBC\xAF\x27\x1C", "archive"},
		{"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "Office 97-2003 or other compound file"}, {"MSCF\x00\x00\x00\x00", "archive"}, {"This program cannot be run", "Windows program"},
	} {
		if bytes.Contains(tail, []byte(m.magic)) {
			return m.kind
		}
	}
	lower := bytes.ToLower(tail)
	for _, s := range []string{"<script", "<html", "<?php", "<!doctype", "<svg"} {
		if bytes.Contains(lower, []byte(s)) {
			return "HTML"
		}
	}
	return ""
}
