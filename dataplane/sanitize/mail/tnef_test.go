package mail_test

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// winmail is a text and an attachment in TNEF.
func winmail(t testing.TB) []byte {
	le := binary.LittleEndian
	tnef := le.AppendUint16(le.AppendUint32(nil, 0x223E9F78), 1)
	add := func(level byte, id uint32, data string) {
		tnef = le.AppendUint32(le.AppendUint32(append(tnef, level), id), uint32(len(data)))
		tnef = append(append(tnef, data...), 0, 0)
	}
	add(1, 0x0002800C, sjis(t, "本文")+"\x00")
	add(2, 0x00069002, strings.Repeat("\x00", 14))
	add(2, 0x00018010, "ICHIRA~1.TXT\x00")
	add(2, 0x0006800F, "content")
	wide := ""
	for _, r := range "一覧.txt\x00" {
		wide += string([]byte{byte(r), byte(r >> 8)})
	}
	props := le.AppendUint32(nil, 1)
	props = append(props, 0x1F, 0, 0x07, 0x37, 1, 0, 0, 0)
	props = append(le.AppendUint32(props, uint32(len(wide))), wide...)
	add(2, 0x00069005, string(props))
	return tnef
}

func TestWinmailIsOpened(t *testing.T) {
	rep, out := pass(t, "x.eml", mixed("Content-Type: application/ms-tnef; name=winmail.dat\nContent-Transfer-Encoding: base64\n\n"+base64.StdEncoding.EncodeToString(winmail(t))), sanitize.Options{})
	if s := see(t, out); s.text != "本文" || !slices.Equal(s.files, []string{"一覧.txt=content"}) || !sanitizetest.Has(rep, "mail.tnef", verdict.Changed) {
		t.Errorf("got %q %q %v", s.text, s.files, rep.Findings)
	}
}

func FuzzTNEF(f *testing.F) {
	f.Add(winmail(f))
	f.Fuzz(func(t *testing.T, in []byte) {
		in = append([]byte("From: a@example.jp\nContent-Type: application/ms-tnef\n\n\x78\x9F\x3E\x22"), in[min(4, len(in)):]...)
		if rep, _, _ := sanitizetest.Ask(t, "x.eml", in, sanitize.Options{}); sanitizetest.Has(rep, "internal", verdict.Refused) {
			t.Fatalf("%v", rep.Findings)
		}
	})
}
