package archive_test

import (
	"archive/zip"
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

func bzip2Of(t *testing.T, b []byte) []byte {
	t.Helper()
	cmd := exec.Command("bzip2", "-c")
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("bzip2: %v (hack/bootstrap installs it)", err)
	}
	return out
}

// Whatever lies in an archive in an archive is reported by the whole way to it, with names in Shift_JIS read as such.
func TestFindingsInNestedArchivesCarryTheirPath(t *testing.T) {
	const 表, 資料, 帳票 = "\x95\x5C", "\x8E\x91\x97\xBF", "\x92\xA0\x95\x5B" // in Shift_JIS; the first ends in a backslash
	for name, c := range map[string]struct {
		ext  string
		pack func([]byte) []byte
		out  string
	}{
		"gz":    {"tar.gz", func(b []byte) []byte { return gz(t, b) }, "資料.tar.gz"},
		"xz":    {"tar.xz", func(b []byte) []byte { return xzOf(t, b) }, "資料.tar.gz"},
		"bzip2": {"tar.bz2", func(b []byte) []byte { return bzip2Of(t, b) }, "資料.tar.gz"},
		"plain": {"tar", func(b []byte) []byte { return b }, "資料.tar"},
	} {
		inner := gz(t, tarOf(t, in("memo.txt", "a\x01b")))
		packed := c.pack(tarOf(t, folder(帳票+"/"), in(帳票+"/"+表+".csv", "=1+cmd|x\r\n"), in("inner.tgz", string(inner))))
		zipped := func(packed []byte) []byte {
			var b bytes.Buffer
			w := zip.NewWriter(&b)
			m, err := w.CreateHeader(&zip.FileHeader{Name: 資料 + "." + c.ext, NonUTF8: true, Method: zip.Deflate})
			if err == nil {
				_, err = m.Write(packed)
			}
			if err == nil {
				err = w.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
			return b.Bytes()
		}
		within := "資料." + c.ext
		if c.ext != "tar" { // what is compressed is a file of its own
			within += "/資料.tar"
		}
		rep, out := pass(t, "x.zip", zipped(packed), sanitize.Options{})
		if got := tree(t, out); len(got) != 1 || !strings.HasPrefix(got[0], "932:"+c.out+"=") {
			t.Errorf("%s: got members %.60q, want %s", name, got, c.out)
		}
		var places []string
		for _, f := range rep.Findings {
			places = append(places, f.Code+" "+f.Place)
		}
		for _, want := range []string{"csv.formula " + within + "/帳票/表.csv/R1C1", "text.control " + within + "/inner.tgz/inner.tar/memo.txt/L1"} {
			if !slices.Contains(places, want) {
				t.Errorf("%s: no finding %q in %q", name, want, places)
			}
		}
		// And what may not pass blocks the whole, and says where it lies.
		bad := c.pack(tarOf(t, in(帳票+"/"+表+".exe", "MZ\x00")))
		rep, _ = sanitizetest.Run(t, "x.zip", zipped(bad))
		last := rep.Findings[len(rep.Findings)-1]
		if rep.Outcome != verdict.Blocked || last.Code != "type.executable" || last.Place != within+"/帳票/表.exe" {
			t.Errorf("%s with a program: %s %v", name, rep.Outcome, rep.Findings)
		}
	}
}
