package legacy

import (
	"encoding/binary"

	"golang.org/x/text/encoding/charmap"

	"github.com/sekisho/sekisho/dataplane/sanitize/compound"
)

// textOf counts the characters of an old document as its own structures have them: those that a result must have, and those that it
// may; nil where nothing here can tell.
func textOf(f *compound.File) (must, may characters) {
	switch {
	case f.Has("WordDocument"):
		return wordText(f)
	case f.Has("Workbook"):
		return workbookText(f), nil // numbers and dates are shown by formats
	}
	return nil, nil
}

// The head of a Word document since 97 ([MS-DOC] 2.5): counts of characters by kind of text, and where the table of pieces is.
const (
	word97     = 0x00C1
	fibCounts  = 76 // ccpText; notes, headers, macros, comments, endnotes and text boxes follow
	fibPieces  = 418
	fibLength  = 426
	fieldBegin = 0x13
	fieldParts = 0x14
	fieldEnd   = 0x15
)

// wordText reads the table of pieces ([MS-DOC] 2.4.1). Headers only may be in a result, since a document keeps
// those that no page shows.
func wordText(f *compound.File) (must, may characters) {
	doc, err := f.Read("WordDocument")
	if err != nil || len(doc) < fibLength || binary.LittleEndian.Uint16(doc[2:]) < word97 {
		return nil, nil
	}
	le := binary.LittleEndian
	name := "0Table"
	if le.Uint16(doc[10:])&0x0200 != 0 {
		name = "1Table"
	}
	table, err := f.Read(name)
	at, n := uint64(le.Uint32(doc[fibPieces:])), uint64(le.Uint32(doc[fibPieces+4:]))
	if err != nil || at+n > uint64(len(table)) {
		return nil, nil
	}
	pieces := table[at : at+n]
	for len(pieces) >= 3 && pieces[0] == 1 { // formats of pieces
		if skip := 3 + int(le.Uint16(pieces[1:])); skip <= len(pieces) {
			pieces = pieces[skip:]
		} else {
			return nil, nil
		}
	}
	if len(pieces) < 5 || pieces[0] != 2 || uint64(le.Uint32(pieces[1:])) > uint64(len(pieces)-5) {
		return nil, nil
	}
	pieces = pieces[5 : 5+le.Uint32(pieces[1:])]
	count := (len(pieces) - 4) / 12
	if count <= 0 {
		return nil, nil
	}
	var text []uint16
	for i := range count {
		first, end := le.Uint32(pieces[4*i:]), le.Uint32(pieces[4*i+4:])
		fc := le.Uint32(pieces[4*(count+1)+8*i+2:])
		if end < first || uint64(first) != uint64(len(text)) {
			return nil, nil
		}
		length, from := uint64(end-first), uint64(fc&0x3FFFFFFF)
		if uint64(len(text))+length > uint64(len(doc)) { // pieces that lie in each other
			return nil, nil
		}
		if fc&0x40000000 != 0 {
			if from /= 2; from+length > uint64(len(doc)) {
				return nil, nil
			}
			for _, b := range doc[from : from+length] {
				text = append(text, uint16(charmap.Windows1252.DecodeByte(b)))
			}
			continue
		}
		if from+2*length > uint64(len(doc)) {
			return nil, nil
		}
		for k := range length {
			text = append(text, le.Uint16(doc[from+2*k:]))
		}
	}
	must, may = characters{}, characters{}
	at = 0
	for i := range 7 {
		n := uint64(le.Uint32(doc[fibCounts+4*i:]))
		if at+n > uint64(len(text)) {
			return nil, nil
		}
		part := shownWord(text[at : at+n])
		may.addUTF16(part)
		if i != 2 && i != 3 { // headers, macros
			must.addUTF16(part)
		}
		at += n
	}
	return must, may
}

// shownWord is text without the instructions of fields.
func shownWord(text []uint16) (out []uint16) {
	var fields []bool // open ones: is this their instruction?
	instructions := 0 // of them
	for _, u := range text {
		switch {
		case u == fieldBegin:
			fields = append(fields, true)
			instructions++
		case (u == fieldParts || u == fieldEnd) && len(fields) > 0:
			last := len(fields) - 1
			if fields[last] {
				instructions--
			}
			if fields[last] = false; u == fieldEnd {
				fields = fields[:last]
			}
		case u >= 0x20 && instructions == 0:
			out = append(out, u)
		}
	}
	return out
}

// Records of a workbook with text ([MS-XLS] 2.4).
const (
	recordContinue = 0x003C
	recordStrings  = 0x00FC
	recordLabel    = 0x00FD
)

// workbookText counts the shared strings as often as cells show them.
func workbookText(f *compound.File) characters {
	b, err := f.Read("Workbook")
	if err != nil {
		return nil
	}
	le := binary.LittleEndian
	var shared [][]uint16
	used := map[uint32]int{}
	for len(b) >= 4 {
		kind, size := le.Uint16(b), int(le.Uint16(b[2:]))
		if len(b)-4 < size {
			return nil
		}
		body := b[4 : 4+size]
		b = b[4+size:]
		switch {
		case kind == recordStrings:
			pieces := [][]byte{body}
			for len(b) >= 4 && le.Uint16(b) == recordContinue && len(b)-4 >= int(le.Uint16(b[2:])) {
				pieces = append(pieces, b[4:4+int(le.Uint16(b[2:]))])
				b = b[4+int(le.Uint16(b[2:])):]
			}
			if shared = sharedStrings(pieces); shared == nil {
				return nil
			}
		case kind == recordLabel && size >= 10:
			used[le.Uint32(body[6:])]++
		}
	}
	c := characters{}
	for i, n := range used {
		if uint64(i) >= uint64(len(shared)) {
			return nil
		}
		once := characters{}
		once.addUTF16(shared[i])
		for r, m := range once {
			c[r] += n * m
		}
	}
	return c
}

// sharedStrings reads the table of strings ([MS-XLS] 2.5.293): a string that goes on in the next record says anew how wide its characters are.
func sharedStrings(pieces [][]byte) [][]uint16 {
	next := func(n int) ([]byte, bool) { // from one piece
		for len(pieces) > 0 && len(pieces[0]) == 0 {
			pieces = pieces[1:]
		}
		if len(pieces) == 0 || len(pieces[0]) < n {
			return nil, false
		}
		out := pieces[0][:n]
		pieces[0] = pieces[0][n:]
		return out, true
	}
	le := binary.LittleEndian
	head, ok := next(8)
	if !ok {
		return nil
	}
	out := [][]uint16{}
	for range le.Uint32(head[4:]) {
		h, ok := next(3)
		if !ok {
			return nil
		}
		chars, flags := int(le.Uint16(h)), h[2]
		skip := 0
		if flags&8 != 0 { // runs of formats
			n, ok := next(2)
			if !ok {
				return nil
			}
			skip += 4 * int(le.Uint16(n))
		}
		if flags&4 != 0 { // how it is read aloud
			n, ok := next(4)
			if !ok {
				return nil
			}
			skip += int(le.Uint32(n) & 0x7FFFFFFF)
		}
		var s []uint16
		for chars > 0 {
			width := 1 + int(flags&1)
			if len(pieces) == 0 {
				return nil
			}
			n := min(chars, len(pieces[0])/width)
			b, _ := next(n * width)
			for i := range n {
				if width == 2 {
					s = append(s, le.Uint16(b[2*i:]))
				} else {
					s = append(s, uint16(b[i]))
				}
			}
			if chars -= n; chars == 0 {
				break
			}
			if len(pieces) < 2 || len(pieces[0]) != 0 {
				return nil
			}
			f, ok := next(1)
			if !ok {
				return nil
			}
			flags = f[0]
		}
		for skip > 0 {
			for len(pieces) > 0 && len(pieces[0]) == 0 {
				pieces = pieces[1:]
			}
			if len(pieces) == 0 {
				return nil
			}
			n := min(skip, len(pieces[0]))
			next(n)
			skip -= n
		}
		out = append(out, s)
	}
	return out
}
