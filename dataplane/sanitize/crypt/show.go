package crypt

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/sekisho/sekisho/dataplane/sanitize/compound"
)

// Records of a presentation ([MS-PPT] 2.13.24) and of its pictures ([MS-ODRAW] 2.2).
const (
	recordUserEdit     = 0x0FF5
	recordPersist      = 0x1772
	recordCryptSession = 0x2F14
	recordPictureEntry = 0xF007
	recordEMF          = 0xF01A
	recordPICT         = 0xF01C
)

// What CurrentUserAtom says of the document: where its last edit stands, and whether it is encrypted.
const (
	userToken = 12
	userEdit  = 16
	tokenOpen = 0xE391C05F
)

// maxEdits bounds how often a presentation was saved onto itself.
const maxEdits = 10_000

// persisted is one object of the document: encrypted by itself, under its own number.
type persisted struct{ number, at uint32 }

// openShow opens the document of a presentation, object by object, and its pictures.
func openShow(ctx context.Context, f *compound.File, keys []string) (map[string][]byte, error) {
	user, err := f.Read("Current User")
	if err != nil {
		return nil, err
	}
	doc, err := f.Read("PowerPoint Document")
	if err != nil {
		return nil, err
	}
	pictures, err := f.Read("Pictures")
	if err != nil {
		return nil, err
	}
	if len(user) < 20 {
		return nil, broken("Current User")
	}
	user, doc, pictures = slices.Clone(user), slices.Clone(doc), slices.Clone(pictures)
	objects, session, err := edits(ctx, doc, binary.LittleEndian.Uint32(user[userEdit:]))
	if err != nil {
		return nil, err
	}
	info, err := recordAt(doc, session, recordCryptSession)
	if err != nil {
		return nil, err
	}
	key, err := readRC4(info, keys)
	if err != nil {
		return nil, err
	}
	left := uint64(len(doc)) // objects do not overlap
	for i, o := range objects {
		if i&0xFF == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if o.at == session {
			continue
		}
		if uint64(o.at)+8 > uint64(len(doc)) {
			return nil, broken("object of the presentation")
		}
		b := doc[o.at:]
		head := slices.Clone(b[:8])
		key.open(o.number, head)
		n := 8 + uint64(binary.LittleEndian.Uint32(head[4:]))
		if n > uint64(len(b)) || n > left {
			return nil, broken("object of the presentation")
		}
		left -= n
		key.open(o.number, b[:n])
	}
	if err := key.pictures(ctx, pictures); err != nil {
		return nil, err
	}
	binary.LittleEndian.PutUint32(user[userToken:], tokenOpen)
	out := map[string][]byte{"Current User": user, "PowerPoint Document": doc}
	if f.Has("Pictures") {
		out["Pictures"] = pictures
	}
	return out, nil
}

// edits walks from the last edit to the first and gives all objects that they name, each place once, and where the encryption's header
// stands. What says that there is one is blanked in doc.
func edits(ctx context.Context, doc []byte, at uint32) (objects []persisted, session uint32, err error) {
	places := map[uint32]bool{}
	byNumber := map[uint32]uint32{}
	number, left := uint32(0), len(doc) // lists do not overlap
	for range maxEdits {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		edit, err := recordAt(doc, at, recordUserEdit)
		if err != nil {
			return nil, 0, err
		}
		if len(edit) < 28 {
			return nil, 0, broken("edit of the presentation")
		}
		if len(edit) >= 32 {
			if number == 0 {
				number = binary.LittleEndian.Uint32(edit[28:])
			}
			clear(edit[28:32])
		}
		list, err := recordAt(doc, binary.LittleEndian.Uint32(edit[12:]), recordPersist)
		if err != nil {
			return nil, 0, err
		}
		if left -= len(list); left < 0 {
			return nil, 0, broken("list of the presentation")
		}
		for len(list) >= 4 {
			first, n := binary.LittleEndian.Uint32(list)&0xFFFFF, binary.LittleEndian.Uint32(list)>>20
			list = list[4:]
			for i := uint32(0); i < n && len(list) >= 4; i++ {
				place := binary.LittleEndian.Uint32(list)
				list = list[4:]
				if _, ok := byNumber[first+i]; !ok {
					byNumber[first+i] = place
				}
				if !places[place] {
					places[place] = true
					objects = append(objects, persisted{first + i, place})
				}
			}
		}
		before := binary.LittleEndian.Uint32(edit[8:])
		if before == 0 {
			session, ok := byNumber[number]
			if !ok {
				return nil, 0, broken("encryption header")
			}
			return objects, session, nil
		}
		if before >= at { // an edit stands behind those before it
			break
		}
		at = before
	}
	return nil, 0, broken("edits of the presentation")
}

// recordAt gives what a record of the kind holds.
func recordAt(doc []byte, at uint32, kind uint16) ([]byte, error) {
	if uint64(at)+8 > uint64(len(doc)) || binary.LittleEndian.Uint16(doc[at+2:]) != kind {
		return nil, broken("record of the presentation")
	}
	n := uint64(binary.LittleEndian.Uint32(doc[at+4:]))
	if n > uint64(len(doc))-uint64(at)-8 {
		return nil, broken("record of the presentation")
	}
	return doc[at+8 : uint64(at)+8+n], nil
}

// Pictures with two names, by what their head says beside the version.
var twoNames = []uint16{0x217, 0x3D5, 0x46B, 0x543, 0x6E1, 0x6E3, 0x6E5, 0x7A9}

// pictures decrypts the stream of pictures: each field of a head by itself, always as block 0.
func (k blockKey) pictures(ctx context.Context, b []byte) error {
	take := func(n int) []byte {
		n = min(n, len(b))
		field := b[:n]
		k.open(0, field)
		b = b[n:]
		return field
	}
	for len(b) >= 8 {
		if err := ctx.Err(); err != nil {
			return err
		}
		head := take(8)
		instance, kind, n := binary.LittleEndian.Uint16(head)>>4, binary.LittleEndian.Uint16(head[2:]), uint64(binary.LittleEndian.Uint32(head[4:]))
		if n > uint64(len(b)) {
			return broken("pictures of the presentation")
		}
		if kind == recordPictureEntry { // the picture follows its entry
			for _, size := range []int{1, 1, 16, 2, 4, 4, 4, 1, 1, 1, 1} {
				take(size)
			}
			continue
		}
		fields := []int{16}
		if slices.Contains(twoNames, instance) {
			fields = append(fields, 16)
		}
		if kind >= recordEMF && kind <= recordPICT {
			fields = append(fields, 34)
		} else {
			fields = append(fields, 1)
		}
		left := int(n)
		for _, size := range fields {
			left -= len(take(min(size, left)))
		}
		take(left)
	}
	return nil
}
