package pdf

import "encoding/binary"

// faxFile puts a CCITT stream into a TIFF, whose tags say what the stream's parameters say (7.4.6; TIFF 6.0, sections 10 and 11).
func faxFile(data []byte, parms dict, width, height int) []byte {
	k, _ := integer(parms["K"])
	if n, ok := integer(parms["Columns"]); ok {
		width = n
	} else {
		width = 1728
	}
	if n, ok := integer(parms["Rows"]); ok && n > 0 {
		height = n
	}
	compression, options := 3, 0
	switch {
	case k < 0:
		compression = 4
	case k > 0:
		options |= 1
	}
	if parms["EncodedByteAlign"] == true && k >= 0 {
		options |= 4
	}
	photometric := 1 // 0 is black, the pixels as the PDF has them
	if parms["BlackIs1"] == true {
		photometric = 0
	}
	tags := [][2]int{{256, width}, {257, height}, {258, 1}, {259, compression}, {262, 1 - photometric}, {273, 0}, {277, 1}, {278, height}, {279, len(data)}, {292 + (compression-3)*1, options}}
	at := 8
	out := []byte("II*\x00")
	out = binary.LittleEndian.AppendUint32(out, uint32(at))
	out = binary.LittleEndian.AppendUint16(out, uint16(len(tags)))
	behind := at + 2 + 12*len(tags) + 4
	for _, t := range tags {
		if t[0] == 273 {
			t[1] = behind
		}
		out = binary.LittleEndian.AppendUint16(out, uint16(t[0]))
		out = binary.LittleEndian.AppendUint16(out, 4) // LONG
		out = binary.LittleEndian.AppendUint32(out, 1)
		out = binary.LittleEndian.AppendUint32(out, uint32(t[1]))
	}
	out = binary.LittleEndian.AppendUint32(out, 0)
	return append(out, data...)
}

// jbig2File puts an embedded stream behind its globals into a file of one page, in sequential order (ITU-T T.88, Annex D).
func jbig2File(globals, data []byte) []byte {
	out := []byte("\x97JB2\r\n\x1a\n\x01\x00\x00\x00\x01")
	return append(append(out, globals...), data...)
}
