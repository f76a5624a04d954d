package legacy

import (
	"encoding/binary"

	"github.com/sekisho/sekisho/dataplane/sanitize/compound"
)

// notes are what of an old document is worth telling before it is converted.
type notes struct {
	macros, objects, password bool
	macroSheets               int
}

// lookIntoWord reads the flags at the head of a Word document ([MS-DOC] 2.5.2).
func lookIntoWord(f *compound.File) (n notes, err error) {
	b, err := f.Read("WordDocument")
	if err == nil && len(b) >= 12 {
		n.password = binary.LittleEndian.Uint16(b[10:])&0x0100 != 0 // fEncrypted
	}
	return n, err
}

// Records of a workbook ([MS-XLS] 2.3).
const (
	recordFilePass   = 0x002F
	recordBoundSheet = 0x0085
	recordVBA        = 0x00D3 // ObProj: there is a VBA project
	sheetMacro       = 1      // dt of BoundSheet8
)

// lookIntoWorkbook walks the records of a workbook.
func lookIntoWorkbook(f *compound.File) (n notes, err error) {
	name := "Workbook"
	if !f.Has(name) {
		name = "Book"
	}
	b, err := f.Read(name)
	for len(b) >= 4 && err == nil {
		kind, size := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if len(b) < 4+size {
			break
		}
		switch body := b[4 : 4+size]; {
		case kind == recordFilePass:
			n.password = true // the rest is not readable
			return n, nil
		case kind == recordVBA:
			n.macros = true
		case kind == recordBoundSheet && len(body) >= 6 && body[5] == sheetMacro:
			n.macroSheets++
		}
		b = b[4+size:]
	}
	return n, err
}

// Records of a presentation ([MS-PPT] 2.13.24).
const (
	recordVBAInfo    = 0x03FF
	recordOLEObject  = 0x0FCC // ExOleEmbedContainer
	recordOLELink    = 0x0FCE
	recordOLEControl = 0x0FEE
	tokenEncrypted   = 0xF3D1C4DF // of CurrentUserAtom
)

// lookIntoShow walks the tree of records of a presentation.
func lookIntoShow(f *compound.File) (n notes, err error) {
	user, err := f.Read("Current User")
	if err != nil {
		return n, err
	}
	if len(user) >= 16 && binary.LittleEndian.Uint32(user[12:]) == tokenEncrypted {
		n.password = true
		return n, nil
	}
	b, err := f.Read("PowerPoint Document")
	for len(b) >= 8 && err == nil {
		version, kind, size := b[0]&0xF, binary.LittleEndian.Uint16(b[2:]), uint64(binary.LittleEndian.Uint32(b[4:]))
		switch kind {
		case recordVBAInfo:
			n.macros = true
		case recordOLEObject, recordOLELink, recordOLEControl:
			n.objects = true
		}
		b = b[8:]
		if version == 0xF {
			continue // a container: what is in it follows
		}
		if size > uint64(len(b)) {
			break
		}
		b = b[size:]
	}
	return n, err
}
