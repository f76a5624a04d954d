package sanitize

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sekisho/sekisho/dataplane/sanitize/crypt/crypttest"
	"github.com/sekisho/sekisho/dataplane/sanitize/office/officetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// zipped is an archive with the members in the order of the arguments: name, body, name, body.
func zipped(t *testing.T, members ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		w, err := z.Create(members[i])
		if err == nil {
			_, err = w.Write([]byte(members[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func letterWith(name, body string) []byte {
	return fmt.Appendf(nil, "From: a@town.example\r\nTo: b@town.example\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nx\r\n"+
		"--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=%q\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n--b--\r\n", name, base64.StdEncoding.EncodeToString([]byte(body)))
}

// Whatever lies in a file, and whatever a password opened, is shown to the antivirus program once, also what is then refused.
func TestMembersAreShown(t *testing.T) {
	plain := string(officetest.Docx(t, map[string]string{"word/document.xml": `<w:document ` + officetest.W + `><w:body><w:p/></w:body></w:document>`}))
	locked := string(crypttest.File([]byte(plain), "k"))
	inner := zipped(t, "a.txt", "one", "again.txt", "one", "empty.txt", "", "b.docx", locked, "c.exe", "MZ\x00")
	var out bytes.Buffer
	var got [][2]string
	opt := Options{Keys: []string{"k"}, Policy: verdict.Policy{Members: "remove"}, Member: func(place string, in []byte) error {
		got = append(got, [2]string{place, string(in)})
		return nil
	}}
	rep, _ := Rebuild(t.Context(), "a.eml", letterWith("x.zip", inner), &out, opt)
	if rep.Outcome != verdict.Clean {
		t.Fatalf("%+v", rep.Findings)
	}
	want := [][2]string{{"x.zip", inner}, {"x.zip/a.txt", "one"}, {"x.zip/b.docx", locked}, {"x.zip/b.docx", plain}, {"x.zip/c.exe", "MZ\x00"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("what is shown differs (-want +got):\n%s", d)
	}

	got = nil
	rep, _ = Rebuild(t.Context(), "b.docx", []byte(locked), &out, opt)
	if rep.Outcome != verdict.Clean || len(got) != 1 || got[0] != [2]string{"", plain} {
		t.Errorf("what a password opened: %+v, %d shown", rep.Findings, len(got))
	}

	opt.Member = func(string, []byte) error { return errors.New("the pipe is broken") }
	if rep, _ = Rebuild(t.Context(), "a.eml", letterWith("x.zip", inner), &out, opt); rep.Outcome != verdict.Blocked {
		t.Errorf("a member that could not be shown: %s", rep.Outcome)
	}
}
