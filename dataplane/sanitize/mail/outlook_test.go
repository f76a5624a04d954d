package mail_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// node is a stream, or a folder when it has children, of a compound file that a test makes.
type node struct {
	name     string
	body     []byte
	children []node
}

func wide(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

func text(id, s string) node { return node{name: "__substg1.0_" + id + "001F", body: wide(s)} }

// table is a property table of fixed values behind a header.
func table(header int, values map[uint32]uint64) node {
	le := binary.LittleEndian
	b := make([]byte, header)
	for tag, v := range values { // type and id
		b = le.AppendUint64(le.AppendUint32(le.AppendUint32(b, tag), 6), v)
	}
	return node{name: "__properties_version1.0", body: b}
}

// compound writes an OLE2 file: small streams in 64-byte sectors, as the format wants ([MS-CFB]).
func compound(root []node) []byte {
	le := binary.LittleEndian
	const none = 0xFFFFFFFF
	type entry struct {
		node
		child, right uint32
		start        uint32
	}
	entries := []entry{{node: node{name: "Root Entry"}, child: none, right: none}}
	var add func(parent int, children []node)
	add = func(parent int, children []node) {
		last := -1
		for _, c := range children {
			i := len(entries)
			entries = append(entries, entry{node: c, child: none, right: none})
			if last < 0 {
				entries[parent].child = uint32(i)
			} else {
				entries[last].right = uint32(i)
			}
			last = i
			add(i, c.children)
		}
	}
	add(0, root)
	var mini, data []byte
	var miniFAT, fat []uint32
	big := map[int][]byte{}
	for i := range entries {
		b := entries[i].body
		switch {
		case len(b) == 0:
			entries[i].start = 0xFFFFFFFE
		case len(b) >= 4096:
			big[i] = b
		default:
			entries[i].start = uint32(len(mini) / 64)
			n := (len(b) + 63) / 64
			for k := range n {
				next := uint32(len(miniFAT) + 1)
				if k == n-1 {
					next = 0xFFFFFFFE
				}
				miniFAT = append(miniFAT, next)
			}
			mini = append(mini, b...)
			mini = append(mini, make([]byte, n*64-len(b))...)
		}
	}
	place := func(b []byte) uint32 {
		if len(b) == 0 {
			return 0xFFFFFFFE
		}
		start, n := uint32(len(fat)), (len(b)+511)/512
		for k := range n {
			next := uint32(len(fat) + 1)
			if k == n-1 {
				next = 0xFFFFFFFE
			}
			fat = append(fat, next)
		}
		data = append(data, b...)
		data = append(data, make([]byte, n*512-len(b))...)
		return start
	}
	for i := range entries {
		if b, ok := big[i]; ok {
			entries[i].start = place(b)
		}
	}
	entries[0].start = place(mini)
	var mf []byte
	for _, v := range miniFAT {
		mf = le.AppendUint32(mf, v)
	}
	for len(mf)%512 != 0 {
		mf = le.AppendUint32(mf, none)
	}
	miniStart := place(mf)
	var dir []byte
	for i, e := range entries {
		b := make([]byte, 128)
		n := copy(b[:62], wide(e.name))
		le.PutUint16(b[64:], uint16(n+2))
		b[66], b[67] = 2, 1
		size := len(e.body)
		switch {
		case i == 0:
			b[66], size = 5, len(mini)
		case e.children != nil:
			b[66] = 1
		}
		le.PutUint32(b[68:], none)
		le.PutUint32(b[72:], e.right)
		le.PutUint32(b[76:], e.child)
		le.PutUint32(b[116:], e.start)
		le.PutUint64(b[120:], uint64(size))
		dir = append(dir, b...)
	}
	dirStart := place(dir)
	fatStart := uint32(len(fat))
	sectors := (len(fat) + 128) / 127 // of the FAT, which lists itself
	for range sectors {
		fat = append(fat, 0xFFFFFFFD)
	}
	head := make([]byte, 512)
	copy(head, "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1")
	le.PutUint16(head[24:], 0x3E)
	le.PutUint16(head[26:], 3)
	le.PutUint16(head[28:], 0xFFFE)
	le.PutUint16(head[30:], 9)
	le.PutUint16(head[32:], 6)
	le.PutUint32(head[44:], uint32(sectors))
	le.PutUint32(head[48:], dirStart)
	le.PutUint32(head[56:], 4096)
	le.PutUint32(head[60:], miniStart)
	le.PutUint32(head[64:], uint32(len(mf)/512))
	le.PutUint32(head[68:], 0xFFFFFFFE)
	for i := range 109 {
		v := uint32(none)
		if i < sectors {
			v = fatStart + uint32(i)
		}
		le.PutUint32(head[76+4*i:], v)
	}
	var f []byte
	for i := range sectors * 128 {
		v := uint32(none)
		if i < len(fat) {
			v = fat[i]
		}
		f = le.AppendUint32(f, v)
	}
	return append(append(head, data...), f...)
}

func TestOutlookBecomesMail(t *testing.T) {
	inner := []node{table(24, nil), text("0037", "元のメール"), text("1000", "元の本文")}
	in := compound([]node{
		table(32, map[uint32]uint64{0x00390040: (1_790_000_000 + 11644473600) * 10_000_000}),
		text("001A", "IPM.Note"), text("0037", "住民税の件"), text("0C1A", "田中 一郎"), text("5D01", "tanaka@city.example.lg.jp"), text("1035", "<1@x>"),
		text("1000", "本文です\r\n"+strings.Repeat("長い本文", 1000)),
		{name: "__substg1.0_10130102", body: []byte("<html><head><meta charset=shift_jis></head><body><b>" + sjis(t, "本文") + "</b><script>x</script></body></html>")},
		{name: "__recip_version1.0_#00000000", children: []node{table(8, map[uint32]uint64{0x0C150003: 1}), text("3001", "佐藤"), text("39FE", "sato@example.jp")}},
		{name: "__recip_version1.0_#00000001", children: []node{table(8, map[uint32]uint64{0x0C150003: 2}), text("3001", "x@example.jp"), text("3003", "x@example.jp")}},
		{name: "__recip_version1.0_#00000002", children: []node{table(8, map[uint32]uint64{0x0C150003: 3}), text("3003", "secret@example.jp")}},
		{name: "__attach_version1.0_#00000000", children: []node{table(8, nil), text("3704", "ICHIRAN~1.TXT"), text("3707", "一覧表.txt"), {name: "__substg1.0_37010102", body: []byte("content")}}},
		{name: "__attach_version1.0_#00000001", children: []node{table(8, nil), text("3707", "x.exe"), {name: "__substg1.0_37010102", body: []byte("MZ\x00")}}},
		{name: "__attach_version1.0_#00000002", children: []node{table(8, nil), text("3001", "元のメール"), {name: "__substg1.0_3701000D", children: inner}}},
	})
	rep, out := pass(t, "件.msg", in, sanitize.Options{})
	s := see(t, out)
	if rep.OutName != "件.eml" || rep.Family != "eml" || !sanitizetest.Has(rep, "name.kind", verdict.Changed) || !sanitizetest.Has(rep, "mail.attachment", verdict.Removed) {
		t.Errorf("got %s %s %v", rep.OutName, rep.Family, rep.Findings)
	}
	for name, want := range map[string]string{"Subject": "住民税の件", "From": "田中 一郎 <tanaka@city.example.lg.jp>", "To": "佐藤 <sato@example.jp>", "Cc": "x@example.jp", "Message-Id": "<1@x>", "Date": "Mon, 21 Sep 2026 23:13:20 +0900", "Bcc": ""} {
		if got := s.header(t, name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if !strings.HasPrefix(s.text, "本文です\n長い本文") || !strings.HasSuffix(s.text, "・x.exe") || len(s.files) != 2 || s.files[0] != "一覧表.txt=content" || !strings.HasPrefix(s.files[1], "元のメール.eml=") {
		t.Errorf("got %.100q … %q", s.text, s.files)
	}
	_, out = pass(t, "件.msg", in, sanitize.Options{Policy: verdict.Policy{MailBody: "html"}})
	if s := see(t, out); s.kind != "text/html" || !strings.Contains(s.text, "<b>本文</b>") || strings.Contains(s.text, "script") {
		t.Errorf("got %s %q", s.kind, s.text)
	}
}

func TestOutlookTextAndSecrets(t *testing.T) {
	le := binary.LittleEndian
	packed := []byte{0x2b, 0, 0, 0, 0x2b, 0, 0, 0} // the first example of [MS-OXRTFCP], 3.1
	packed = append(le.AppendUint32(packed, 0x75465A4C), 0xf1, 0xc5, 0xc7, 0xa7)
	packed = append(packed, 0x03, 0x00, 0x0a, 0x00, 0x72, 0x63, 0x70, 0x67, 0x31, 0x32, 0x35, 0x42, 0x32, 0x0a, 0xf3, 0x20, 0x68, 0x65, 0x6c, 0x09, 0x00, 0x20, 0x62, 0x77, 0x05, 0xb0, 0x6c, 0x64, 0x7d, 0x0a, 0x80, 0x0f, 0xa0)
	in := compound([]node{table(32, nil), text("0037", "x"), {name: "__substg1.0_10090102", body: packed}})
	rep, _, needs := sanitizetest.Ask(t, "x.msg", in, sanitize.Options{})
	if len(needs) != 1 || string(needs[0].Body) != "{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n" {
		t.Errorf("got %v, needs %+v", rep.Findings, needs)
	}
	sanitizetest.Blocked(t, "x.msg", compound([]node{table(32, nil), text("001A", "IPM.Note.SMIME"), text("0037", "x")}), "mail.encrypted")
	signed := "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nsigned\r\n--b\r\nContent-Type: application/pkcs7-signature\r\n\r\nx\r\n--b--"
	in = compound([]node{table(32, nil), text("001A", "IPM.Note.SMIME.MultipartSigned"), {name: "__attach_version1.0_#00000000", children: []node{table(8, nil), {name: "__substg1.0_37010102", body: []byte(signed)}}}})
	rep, out := pass(t, "x.msg", in, sanitize.Options{})
	if s := see(t, out); s.text != "signed" || !sanitizetest.Has(rep, "mail.signature", verdict.Removed) {
		t.Errorf("got %q, %v", s.text, rep.Findings)
	}
}

func FuzzOutlook(f *testing.F) {
	f.Add(compound([]node{table(32, nil), text("0037", "x"), {name: "__attach_version1.0_#00000000", children: []node{table(8, nil), text("3707", "a.txt"), {name: "__substg1.0_37010102", body: []byte("1")}}}}))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) < 8 {
			return
		}
		in = append([]byte("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"), in[8:]...)
		rep, _, _ := sanitizetest.Ask(t, "x.msg", in, sanitize.Options{})
		if slices.ContainsFunc(rep.Findings, func(f verdict.Finding) bool { return f.Code == "internal" }) {
			t.Fatalf("%v", rep.Findings)
		}
	})
}
