package legacy_test

import (
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/compound/compoundtest"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// FuzzLegacy looks into whatever comes, up to what a converter is asked.
func FuzzLegacy(f *testing.F) {
	names := []string{"a.doc", "a.xls", "a.ppt", "a.rtf", "a.mht"}
	for i, in := range []string{
		string(compoundtest.File(map[string]string{"WordDocument": "\xEC\xA5\xC1", "ObjectPool/_1/\x01Ole10Native": "x"})),
		string(compoundtest.File(map[string]string{"Workbook": record(0x0809, "\x00\x06") + sheet(0) + sheet(1)})),
		string(compoundtest.File(map[string]string{"PowerPoint Document": show(15, 0x03E8, show(0, 0x03E9, "abc")+show(15, 0x0FCC, ""))})),
		`{\rtf1{\object\objemb{\*\objdata 01}}}`,
		"MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<html>=E9</html>\r\n--b--\r\n",
	} {
		f.Add(byte(i), []byte(in))
	}
	f.Fuzz(func(t *testing.T, kind byte, in []byte) {
		rep, _, needs := sanitizetest.Ask(t, names[int(kind)%len(names)], in, sanitize.Options{Keys: []string{"k"}})
		if sanitizetest.Has(rep, "internal", verdict.Refused) {
			t.Fatalf("%v", rep.Findings)
		}
		if len(needs) > 1 {
			t.Fatalf("asks %d times", len(needs))
		}
	})
}
