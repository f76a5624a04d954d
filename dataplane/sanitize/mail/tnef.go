package mail

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Attributes of TNEF ([MS-OXTNEF] 2.1.3.2).
const (
	tnefMagic      = 0x223E9F78
	tnefBody       = 0x800C
	tnefBegin      = 0x9002 // of an attachment
	tnefTitle      = 0x8010
	tnefData       = 0x800F
	tnefProperties = 0x9005 // of an attachment
)

// Properties of MAPI ([MS-OXPROPS]).
const (
	propLongName = 0x3707
	propName     = 0x3704
	propData     = 0x3701
	propID       = 0x3712
)

// tnef takes the attachments out of a winmail.dat, and its text where the mail has none.
func (r *reader) tnef(in []byte, say bool) error {
	le := binary.LittleEndian
	if len(in) < 6 || le.Uint32(in) != tnefMagic {
		return rebuild.Refuse("mail.broken", "winmail.dat", "")
	}
	r.job.Found.Add("mail.tnef", "", verdict.Changed, "")
	var open *attachment
	flush := func() {
		if open != nil && open.in != nil {
			if open.name == "" {
				open.name = fmt.Sprintf("attachment%d", len(r.out.attachments)+1)
			}
			r.out.attachments = append(r.out.attachments, *open)
		}
		open = nil
	}
	for in = in[6:]; len(in) >= 9; {
		id, n := le.Uint16(in[1:]), int64(le.Uint32(in[5:]))
		if n > int64(len(in)-11) {
			return rebuild.Refuse("mail.broken", "winmail.dat", "cut off")
		}
		data := in[9 : 9+n]
		in = in[11+n:]
		if r.parts++; r.parts > maxParts {
			return rebuild.Refuse("limit.members", "winmail.dat", "")
		}
		switch {
		case id == tnefBegin:
			flush()
			open = &attachment{}
		case id == tnefBody && say && len(r.out.bodies) == 0:
			if err := r.say("text/plain", "", bytes.TrimRight(data, "\x00")); err != nil {
				return err
			}
		case open == nil:
		case id == tnefTitle && open.name == "":
			open.name = slashless(oneLine(unicodeOf("", bytes.TrimRight(data, "\x00")), 250))
		case id == tnefData:
			open.in = data
		case id == tnefProperties:
			for _, p := range mapi(data) {
				switch p.id {
				case propLongName:
					open.name = slashless(oneLine(p.text(), 250))
				case propID:
					open.id = oneLine(p.text(), 250)
				}
			}
		}
	}
	flush()
	return nil
}

// property is one of MAPI's with a value of bytes: text or binary.
type property struct {
	id, kind uint16
	value    []byte
}

// Types of MAPI's values.
const (
	mapiText8  = 0x001E
	mapiText16 = 0x001F
)

// text decodes the value.
func (p property) text() string {
	if p.kind == mapiText16 {
		s, _, _ := charset.FromUTF16(p.value[:len(p.value)&^1], binary.LittleEndian)
		return string(bytes.TrimRight(s, "\x00"))
	}
	return unicodeOf("", bytes.TrimRight(p.value, "\x00"))
}

// mapi reads a list of properties ([MS-OXTNEF] 2.1.3.4); those of fixed size are passed over, and what cannot be read ends it.
func mapi(b []byte) (list []property) {
	le := binary.LittleEndian
	bad := false
	take := func(n int) []byte {
		if bad || n < 0 || n > len(b) {
			bad = true
			return make([]byte, 8)
		}
		v := b[:n]
		b = b[n:]
		return v
	}
	sized := func() []byte {
		n := le.Uint32(take(4))
		if int64(n) > int64(len(b)) {
			bad = true
			return nil
		}
		v := take(int(n))
		take(min(int(-n&3), len(b)))
		return v
	}
	for count := le.Uint32(take(4)); count > 0 && !bad && len(list) < maxFields; count-- {
		p := property{kind: le.Uint16(take(2)), id: le.Uint16(take(2))}
		if p.id >= 0x8000 { // named
			take(16)
			if le.Uint32(take(4)) == 0 {
				take(4)
			} else {
				sized()
			}
		}
		values := uint32(1)
		if p.kind&0x1000 != 0 {
			values = le.Uint32(take(4))
		}
		for ; values > 0 && !bad; values-- {
			switch p.kind &^ 0x1000 {
			case 2, 3, 4, 0xA, 0xB: // of four bytes, or less and padded
				take(4)
			case 5, 6, 7, 0x14, 0x40:
				take(8)
			case 0x48:
				take(16)
			case mapiText8, mapiText16, 0x0102, 0xD:
				if p.kind&0x1000 == 0 {
					take(4) // how many: one
				}
				p.value = sized()
			default:
				bad = true
			}
		}
		if !bad && p.value != nil {
			list = append(list, p)
		}
	}
	return list
}
