package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ulikunitz/xz"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/archive/archivetest"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// tarred is a member of a tar that a test makes.
type tarred struct {
	tar.Header
	body string
}

func tarOf(t testing.TB, members ...tarred) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		h, body := m.Header, m.body
		h.Size, h.ModTime = int64(len(body)), time.Unix(1_790_000_000, 0)
		if h.Mode == 0 {
			h.Mode = 0o4777
		}
		h.Uname, h.Uid = "tanaka", 1000
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func in(name, body string) tarred { return tarred{tar.Header{Name: name}, body} }

func odd(h tar.Header) tarred { return tarred{Header: h} }

func folder(name string) tarred { return odd(tar.Header{Name: name, Typeflag: tar.TypeDir}) }

func gz(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Name, w.Comment = "/etc/x", "by"
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func xzOf(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := xz.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func untar(t *testing.T, b []byte) (list []string) {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(b))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Uname != "" || h.Uid != 0 || h.Mode&^0o755 != 0 || h.ModTime.Unix() != 1_790_000_000 {
			t.Errorf("%s: got owner %q %d, mode %o, time %v", h.Name, h.Uname, h.Uid, h.Mode, h.ModTime)
		}
		list = append(list, h.Name+"="+string(body))
	}
}

func ungz(t *testing.T, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "" || r.Comment != "" {
		t.Errorf("got name %q, comment %q", r.Name, r.Comment)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTarKeepsItsTree(t *testing.T) {
	long := strings.Repeat("長い名前", 20) + "/" + strings.Repeat("x", 120) + ".txt"
	plain := tarOf(t, folder("d/"), in("./d/a.txt", "1"), in(long, strings.Repeat("2", 513)), in("d/\x83\x5C.txt", "3"))
	want := []string{"d/=", "d/a.txt=1", long + "=" + strings.Repeat("2", 513), "d/ソ.txt=3"}
	_, out := pass(t, "x.tar", plain, sanitize.Options{})
	if got := untar(t, out); !slices.Equal(got, want) {
		t.Errorf("tar: got %q, want %q", got, want)
	}
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"x.tar.gz": {gz(t, plain), "x.tar.gz"}, "x.tgz": {gz(t, plain), "x.tgz"}, "x.gz": {gz(t, plain), "x.tar.gz"},
		"x.tar.xz": {xzOf(t, plain), "x.tar.gz"}, "x.txz": {xzOf(t, plain), "x.tar.gz"},
	} {
		rep, out := pass(t, name, c.in, sanitize.Options{})
		if got := untar(t, ungz(t, out)); !slices.Equal(got, want) || rep.OutName != c.want {
			t.Errorf("%s: got %s %q, want %s %q", name, rep.OutName, got, c.want, want)
		}
		if kind := strings.Contains(name, "x.tar.xz") || strings.Contains(name, "txz"); kind != sanitizetest.Has(rep, "name.kind", verdict.Changed) {
			t.Errorf("%s: got %v", name, rep.Findings)
		}
	}
}

func TestSingleFilesAreRebuilt(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"a.csv.gz":  {gz(t, []byte("=1+cmd|x\r\n")), "a.csv.gz"},
		"a.csv.xz":  {xzOf(t, []byte("=1+cmd|x\r\n")), "a.csv.gz"},
		"a.txt.bz2": {[]byte(bzip2Hello), "a.txt.gz"},
	} {
		rep, out := pass(t, name, c.in, sanitize.Options{})
		if got := string(ungz(t, out)); rep.OutName != c.want || !strings.Contains("'=1+cmd|x\r\nhello\n", got) {
			t.Errorf("%s: got %s %q", name, rep.OutName, got)
		}
	}
	for name, c := range map[string]struct {
		in   []byte
		code string
	}{
		"a.txt.gz": {gz(t, make([]byte, 100<<20)), "archive.bomb"},
		"b.txt.gz": {append(gz(t, []byte("1")), "tail"...), "archive.broken"},
		"c.exe.gz": {gz(t, []byte("MZ\x00")), "type.executable"},
		"d.txt.gz": {gz(t, []byte("1"))[:20], "archive.broken"},
		"e.txt.xz": {append(xzOf(t, []byte("1")), "tail"...), "archive.broken"},
		"x.rar":    {[]byte("Rar!\x1A\x07\x01\x00"), "archive.rar"},
	} {
		sanitizetest.Blocked(t, name, c.in, c.code)
	}
}

func TestHostileTarsAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		code string
	}{
		"cut off":          {tarOf(t, in("a.txt", "12345"))[:514], "archive.broken"},
		"climbs out":       {tarOf(t, in("../a.txt", "1")), "archive.path"},
		"absolute":         {tarOf(t, in("/a.txt", "1")), "archive.path"},
		"a symbolic link":  {tarOf(t, odd(tar.Header{Name: "a.txt", Typeflag: tar.TypeSymlink, Linkname: "/etc"})), "archive.link"},
		"a hard link":      {tarOf(t, in("b.txt", "1"), odd(tar.Header{Name: "a.txt", Typeflag: tar.TypeLink, Linkname: "b.txt"})), "archive.link"},
		"a device":         {tarOf(t, odd(tar.Header{Name: "a.txt", Typeflag: tar.TypeBlock})), "archive.device"},
		"a pipe":           {tarOf(t, odd(tar.Header{Name: "a.txt", Typeflag: tar.TypeFifo})), "archive.device"},
		"two of one name":  {tarOf(t, in("a.txt", "1"), in("A.txt", "1")), "archive.twice"},
		"a reserved name":  {tarOf(t, in("nul", "1")), "archive.name"},
		"behind the end":   {append(tarOf(t, in("a.txt", "1")), "MZ"...), "archive.structure"},
		"a sparse file":    {bytes.ReplaceAll(tarOf(t, odd(tar.Header{Name: "a.txt", PAXRecords: map[string]string{"VENDOR.sparse.f": "1"}})), []byte("VENDOR.sparse.f"), []byte("GNU.sparse.ffff")), "archive.method"},
		"an empty archive": {append(tarOf(t, folder("./")), make([]byte, 512)...), "archive.empty"},
	} {
		rep, _ := sanitizetest.Run(t, "x.tar", c.in)
		if rep.Outcome != verdict.Blocked || !sanitizetest.Has(rep, c.code, verdict.Refused) {
			t.Errorf("%s: got %s %v, want %s", name, rep.Outcome, rep.Findings, c.code)
		}
	}
}

func Test7zBecomesZip(t *testing.T) {
	rep, out := pass(t, "資料.7z", archivetest.SevenZip(0x20, []string{"空/", "d/表.txt", "b.csv"}, "1", "=cmd|x"), sanitize.Options{})
	if got, want := tree(t, out), []string{"空/=", "d/表.txt=1", "b.csv='=cmd|x"}; !slices.Equal(got, want) || rep.OutName != "資料.zip" || !sanitizetest.Has(rep, "name.kind", verdict.Changed) {
		t.Errorf("got %s %q, %v, want %q", rep.OutName, got, rep.Findings, want)
	}
	contradiction := "7z\xbc\xaf'\x1c\x00\x04\xf5\x8f\xf1(\x01\x00\x00\x00\x00\x00\x00\x00C\x00\x00\x00\x00\x00\x00\x001\xe57\xc61\x01\x04\x06\x00\x01\t\x11\x00\a\v\x01\x00\x01\x01\x00\f\x01\x00\b\r\x01\n\x01\xb7\xef\u0703\x00\x00\x05@\x0e\x01\x80\x11\x01\x00d\x00\x15\x01\x00\x00.\x00\x10\x00x\x00t\x00\x00\x00\x15\n\x01\x00\x10\x00\x00\x00 \x00d\x00\x00\x00"
	good := archivetest.SevenZip(0x20, []string{"a.txt"}, "1")
	wrong := bytes.Clone(good)
	wrong[32] ^= 1
	for name, c := range map[string]struct {
		in   []byte
		code string
	}{
		"climbs out":      {archivetest.SevenZip(0x20, []string{"../a.txt"}, "1"), "archive.path"},
		"a link":          {archivetest.SevenZip(0xA1FF<<16|0x8000, []string{"a.txt"}, "/etc"), "archive.link"},
		"two of one name": {archivetest.SevenZip(0x20, []string{"a.txt", "A.txt"}, "1", "2"), "archive.twice"},
		"a program":       {archivetest.SevenZip(0x20, []string{"a.exe"}, "MZ\x00"), "type.executable"},
		"bytes behind":    {append(slices.Clip(good), 'x'), "archive.structure"},
		"cut off":         {good[:len(good)-4], "archive.structure"},
		"a contradiction": {[]byte(contradiction), "archive.broken"}, // found by fuzzing: more members than names
		"another sum":     {wrong, "archive.broken"},
	} {
		rep, _ := sanitizetest.Run(t, "x.7z", c.in)
		if rep.Outcome != verdict.Blocked || !sanitizetest.Has(rep, c.code, verdict.Refused) {
			t.Errorf("%s: got %s %v, want %s", name, rep.Outcome, rep.Findings, c.code)
		}
	}
}
