package archive_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// with7Zip has 7-Zip itself pack files.
func with7Zip(t *testing.T, files map[string]string, options ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		path := filepath.Join(dir, "in", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("7zz", append(append([]string{"a"}, options...), "../out.7z", ".")...)
	cmd.Dir = filepath.Join(dir, "in")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("7-Zip: %v (hack/bootstrap installs it): %s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "out.7z"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestArchivesBy7ZipPass(t *testing.T) {
	files := map[string]string{"空き.txt": "", "予算/表.csv": "1,2\n", "予算/内訳.txt": strings.Repeat("関所町\n", 50_000)}
	dice := rand.New(rand.NewPCG(1, 2))
	for i := range 300 { // a header that is worth packing
		files[fmt.Sprintf("一覧/%03d-%d.txt", i, dice.Int())] = fmt.Sprint(dice.Int())
	}
	for name, options := range map[string][]string{
		"as it comes": nil, "LZMA": {"-m0=LZMA"}, "PPMd": {"-m0=PPMd"}, "BZip2": {"-m0=BZip2"}, "Deflate": {"-m0=Deflate"}, "stored": {"-mx0"}, "header in the open": {"-mhc=off"}, "not solid": {"-ms=off"},
		"ultra": {"-mx9"}, "password": {"-pひみつ"}, "header under a password": {"-pひみつ", "-mhe=on"},
	} {
		t.Run(name, func(t *testing.T) {
			in := with7Zip(t, files, options...)
			rep, out, _ := sanitizetest.Ask(t, "資料.7z", in, sanitize.Options{Keys: []string{"different", "ひみつ"}})
			if rep.Outcome != verdict.Clean {
				t.Fatal(rep.Findings)
			}
			members := tree(t, out)
			for name, body := range files {
				if !slices.Contains(members, name+"="+body) {
					t.Errorf("%s did not come through", name)
				}
			}
			if len(options) > 0 && strings.HasPrefix(options[0], "-p") {
				if rep, _ := sanitizetest.Run(t, "資料.7z", in); len(rep.Findings) == 0 || rep.Findings[len(rep.Findings)-1].Code != "archive.password" {
					t.Errorf("without the password: %v", rep.Findings)
				}
			}
		})
	}
}

// header7z puts a header behind nothing, in the open or packed by a coder that copies.
func header7z(header []byte, packed bool) []byte {
	le := binary.LittleEndian
	var data []byte
	if packed {
		data = header
		size := []byte{0xC0, byte(len(header)), byte(len(header) >> 8)}
		header = append(append(append([]byte{0x17, 6, 0, 1, 9}, size...), 0, 7, 11, 1, 0, 1, 1, 0, 12), size...)
		header = append(header, 0, 0)
	}
	start := le.AppendUint32(le.AppendUint64(le.AppendUint64(nil, uint64(len(data))), uint64(len(header))), crc32.ChecksumIEEE(header))
	out := le.AppendUint32([]byte("7z\xBC\xAF\x27\x1C\x00\x04"), crc32.ChecksumIEEE(start))
	return append(append(append(out, start...), data...), header...)
}

// TestClaimsOf7zHeadersAreHeldToTheirBytes: what the library would make room for before it reads on.
func TestClaimsOf7zHeadersAreHeldToTheirBytes(t *testing.T) {
	huge := []byte{0xF0, 0xFF, 0xFF, 0xFF, 0xFF} // 4,294,967,295
	h := func(parts ...any) []byte {
		var b []byte
		for _, p := range parts {
			switch p := p.(type) {
			case int:
				b = append(b, byte(p))
			case []byte:
				b = append(b, p...)
			}
		}
		return b
	}
	folder := func(coder ...any) []byte { return h(1, 4, 6, 0, 1, 9, 1, 0, 7, 11, 1, 0, 1, h(coder...), 12, 1, 0) }
	for name, c := range map[string]struct {
		header []byte
		want   string
	}{
		"files":           {h(1, 5, huge), "limit.members"},
		"packed streams":  {h(1, 4, 6, 0, huge, 10, 1), "limit.members"},
		"folders":         {h(1, 4, 6, 0, 1, 9, 1, 0, 7, 11, huge, 0), "limit.members"},
		"coders":          {h(1, 4, 6, 0, 1, 9, 1, 0, 7, 11, 1, 0, huge), "archive.broken"},
		"streams of one":  {folder(0x11, 0, huge, 1), "archive.broken"},
		"properties":      {folder(0x21, 0, huge), "archive.broken"},
		"files in one":    {h(folder(1, 0), 8, 13, huge, 10, 1), "limit.members"},
		"dictionary":      {h(folder(0x23, 3, 1, 1, 5, 0x5D, 0, 0, 0, 0xC0), 0), "limit.expansion"},
		"dictionary of 2": {h(folder(0x21, 0x21, 1, 40), 0), "limit.expansion"},
		"memory of PPMd":  {h(folder(0x23, 3, 4, 1, 5, 6, 0, 0, 0, 0xC0), 0), "limit.expansion"},
		"another header":  {h(2), "archive.broken"},
		"nothing":         {nil, "archive.broken"},
	} {
		for _, packed := range []bool{false, true} {
			rep, _ := sanitizetest.Run(t, "x.7z", header7z(c.header, packed))
			if n := len(rep.Findings); n == 0 || rep.Findings[n-1].Code != c.want {
				t.Errorf("%s, packed %t: %v, want %s", name, packed, rep.Findings, c.want)
			}
		}
	}
	packed := []byte{0}
	for range 6 {
		packed = header7z(packed, true)[32:]
	}
	if rep, _ := sanitizetest.Run(t, "x.7z", header7z(packed, true)); rep.Outcome != verdict.Blocked {
		t.Error("a header packed in a header in a header passes")
	}
}
