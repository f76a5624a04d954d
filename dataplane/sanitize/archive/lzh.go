package archive

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// readLZH lists the members of an LHA archive: header levels 0, 1 and 2 as LHa for UNIX 1.14i writes and describes them
// (header.doc.euc). Its names are CP932.
func readLZH(j *rebuild.Job) (listing, error) {
	list := listing{cp932: true}
	in := j.In
	for len(in) > 0 && in[0] != 0 {
		if err := j.Ctx.Err(); err != nil {
			return listing{}, err
		}
		if len(list.members) >= j.Budget.Files {
			return listing{}, rebuild.Refuse("limit.members", "", "")
		}
		h, n, err := lzhHeader(in)
		if err != nil {
			return listing{}, err
		}
		data := in[n : n+int(h.packed)]
		in = in[n+int(h.packed):]
		m, err := h.member(j, data)
		if err != nil {
			return listing{}, err
		}
		list.members = append(list.members, m)
	}
	if len(bytes.Trim(in, "\x00")) != 0 {
		return listing{}, no(fmt.Sprintf("%d bytes behind the end", len(in)))
	}
	return list, nil
}

type lzhMember struct {
	method       string
	packed, size int64
	crc          uint16
	time         time.Time
	name, folder []byte // CP932
	wide         bool   // name and folder were UTF-16 and are UTF-8 now
	unixMode     int
}

// lzhHeader reads one header and answers its length.
func lzhHeader(b []byte) (*lzhMember, int, error) {
	if len(b) < 24 {
		return nil, 0, bad("LZH header")
	}
	h := &lzhMember{method: string(b[2:7]), packed: le32(b[7:]), size: le32(b[11:])}
	if h.method[:3] != "-lh" && h.method[:3] != "-lz" || h.method[4] != '-' {
		return nil, 0, no("bytes between the members")
	}
	var n int
	var err error
	switch level := b[20]; level {
	case 0, 1:
		n, err = h.shortHeader(b, int(level))
	case 2:
		n = le16(b)
		h.time, h.crc = time.Unix(le32(b[15:]), 0), uint16(le16(b[21:]))
		if n < 26 || n > len(b) {
			return nil, 0, bad("LZH header")
		}
		var used int
		used, err = h.extensions(b[24:n], 0)
		if err == nil && used > n-24 {
			err = bad("LZH header")
		}
	default:
		err = rebuild.Refuse("archive.method", "", fmt.Sprintf("LZH header level %d", level))
	}
	if err != nil {
		return nil, 0, err
	}
	if h.packed < 0 || h.packed > int64(len(b)-n) {
		return nil, 0, bad("LZH member is cut off")
	}
	return h, n, nil
}

// shortHeader reads levels 0 and 1, which sum their bytes up and hold the name.
func (h *lzhMember) shortHeader(b []byte, level int) (int, error) {
	n, name := int(b[0])+2, int(b[21])
	if n > len(b) || 22+name+2 > n {
		return 0, bad("LZH header")
	}
	sum := byte(0)
	for _, c := range b[2:n] {
		sum += c
	}
	if sum != b[1] {
		return 0, bad("LZH header checksum")
	}
	h.time = fromDOS(dec(b[15:]))
	h.name, h.crc = b[22:22+name], uint16(le16(b[22+name:]))
	if i := bytes.IndexByte(h.name, 0); i >= 0 {
		return 0, no("LZH name with a zero")
	}
	if level == 0 {
		return n, nil
	}
	// The first extension's size is the header's last two bytes; the extensions are counted with the packed data.
	used, err := h.extensions(b[n-2:], h.packed)
	if err != nil {
		return 0, err
	}
	more := used - 2
	h.packed -= int64(more)
	return n + more, nil
}

// extensions walks the chain: each begins behind the size that announces it, and ends with the size of the next. bound, when not
// 0, is what they may take together. It answers the bytes read, those of the first size among them.
func (h *lzhMember) extensions(b []byte, bound int64) (int, error) {
	at := 0
	for {
		if len(b) < at+2 {
			return 0, bad("LZH extension")
		}
		n := le16(b[at:])
		at += 2
		if n == 0 {
			return at, nil
		}
		if n < 3 || len(b) < at+n || bound > 0 && int64(at+n-2) > bound {
			return 0, bad("LZH extension")
		}
		f := b[at+1 : at+n-2]
		switch b[at] {
		case 0x01:
			h.name = f
		case 0x02:
			h.folder = f
		case 0x44:
			if s, ok := fromWide(f); ok {
				h.name, h.wide = []byte(s), true
			}
		case 0x45:
			if s, ok := fromWide(f); ok {
				h.folder, h.wide = []byte(s), true
			}
		case 0x50:
			if len(f) >= 2 {
				h.unixMode = le16(f)
			}
		case 0x54:
			if len(f) >= 4 {
				h.time = time.Unix(le32(f), 0)
			}
		}
		at += n - 2
	}
}

// fromWide is UTF-16LE, with U+FFFF between folders.
func fromWide(b []byte) (string, bool) {
	b = bytes.ReplaceAll(b, []byte{0xFF, 0xFF}, []byte{'/', 0})
	return utf16LE(b)
}

func (h *lzhMember) member(j *rebuild.Job, data []byte) (member, error) {
	m := member{time: h.time, size: h.size, dir: h.method == "-lhd-"}
	decode := func(b []byte) (string, error) {
		if h.wide {
			return string(b), nil
		}
		s, ok := fromCP932(b)
		if !ok {
			return "", rebuild.Refuse("archive.name", rebuild.Printable(string(b), 100), "not CP932")
		}
		return s, nil
	}
	name, err := decode(h.name)
	if err != nil {
		return m, err
	}
	var folder []string
	for part := range bytes.SplitSeq(h.folder, []byte{0xFF}) { // never part of a character
		s, err := decode(part)
		if err != nil {
			return m, err
		}
		folder = append(folder, s)
	}
	m.path = strings.TrimSuffix(strings.Join(folder, "/"), "/") + "/" + name
	if len(h.folder) == 0 {
		m.path = name
	}
	switch h.unixMode & 0xF000 {
	case 0, 0x8000, 0x4000:
	case 0xA000:
		m.odd = "archive.link"
	default:
		m.odd = "archive.device"
	}
	if m.dir && strings.Contains(name, "|") { // how LHa keeps a symbolic link
		m.odd = "archive.link"
	}
	if m.dir && (h.size != 0 || len(data) != 0) {
		return m, no("LZH folder with data")
	}
	m.open = func() ([]byte, string, error) {
		b, err := lha(j, h.method, data, h.size)
		if err == nil && crc16(b) != h.crc {
			err = bad("checksum")
		}
		return b, "", err
	}
	return m, nil
}

// crc16 is CRC-16/ARC.
func crc16(b []byte) uint16 {
	c := uint16(0)
	for _, x := range b {
		c = c>>8 ^ crc16Table[byte(c)^x]
	}
	return c
}

var crc16Table = func() (t [256]uint16) {
	for i := range t {
		c := uint16(i)
		for range 8 {
			if c&1 != 0 {
				c = c>>1 ^ 0xA001
			} else {
				c >>= 1
			}
		}
		t[i] = c
	}
	return t
}()
