package archive_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/archive/archivetest"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// bitWriter writes the highest bit first.
type bitWriter struct {
	out []byte
	n   int
}

func (w *bitWriter) put(v, n int) {
	for n--; n >= 0; n-- {
		if w.n%8 == 0 {
			w.out = append(w.out, 0)
		}
		w.out[w.n/8] |= byte(v>>n&1) << (7 - w.n%8)
		w.n++
	}
}

// lh packs a body with a fixed complete code: runs of one byte become copies of the byte before.
func lh(method, body string) []byte {
	w := &bitWriter{}
	var symbols []int
	for i := 0; i < len(body); {
		n := i
		for n < len(body) && i > 0 && body[n] == body[i-1] && n-i < 256 {
			n++
		}
		if n-i >= 3 {
			symbols = append(symbols, 256+n-i-3)
			i = n
			continue
		}
		symbols = append(symbols, int(body[i]))
		i++
	}
	for len(symbols) > 0 {
		n := min(len(symbols), 1000)
		w.put(n, 16)
		// lengths of code lengths: only 8 (as 10) and 9 (as 11), one bit each
		w.put(12, 5)
		for i := range 12 {
			if i == 3 {
				w.put(3, 2) // 3, 4 and 5 are zero without being written
			}
			switch {
			case i >= 10:
				w.put(1, 3)
			case i < 3 || i > 5:
				w.put(0, 3)
			}
		}
		// 510 symbols: two of 8 bits, 508 of 9
		w.put(510, 9)
		for s := range 510 {
			w.put(map[bool]int{true: 0, false: 1}[s < 2], 1)
		}
		// one distance, of no bits: the byte before
		bits := 4
		if method != "-lh5-" && method != "-lh4-" {
			bits = 5
		}
		w.put(0, bits)
		w.put(0, bits)
		for _, s := range symbols[:n] {
			if s < 2 {
				w.put(s, 8)
			} else {
				w.put(4+s-2, 9)
			}
		}
		symbols = symbols[n:]
	}
	return w.out
}

func TestLZHBecomesZip(t *testing.T) {
	long := "いろは" + strings.Repeat("a", 5000) + "end" + strings.Repeat("漢字\r\n", 300)
	s := func(x string) string { return sjis(t, x) }
	var in []byte
	in = append(in, archivetest.LZH(0, "-lh0-", "", "a.txt", "1", []byte("1"))...)
	in = append(in, archivetest.LZH(0, "-lh5-", s(`表\`), s("予算.txt"), long, lh("-lh5-", long))...)
	in = append(in, archivetest.LZH(1, "-lh6-", s("ソ")+"\xFF", "c.txt", long, lh("-lh6-", long))...)
	in = append(in, archivetest.LZH(2, "-lh7-", "d\xFFe\xFF", s("一覧.txt"), long, lh("-lh7-", long))...)
	in = append(in, archivetest.LZH(2, "-lhd-", s("空")+"\xFF", "", "", nil)...)
	rep, out := pass(t, "x.lzh", append(in, 0), sanitize.Options{})
	want := []string{"a.txt=1", "932:表/予算.txt=" + long, "932:ソ/c.txt=" + long, "932:d/e/一覧.txt=" + long, "932:空/="}
	if got := tree(t, out); !slices.Equal(got, want) || rep.OutName != "x.zip" {
		t.Errorf("got %s %.300q, want %.300q", rep.OutName, got, want)
	}
}

func TestHostileLZHsAreRefused(t *testing.T) {
	one := archivetest.LZH(0, "-lh0-", "", "a.txt", "1", []byte("1"))
	long := strings.Repeat("a", 1000)
	packed := lh("-lh5-", long)
	for name, c := range map[string]struct {
		in   []byte
		code string
	}{
		"climbs out":                 {archivetest.LZH(2, "-lh0-", "..\xFF", "a.txt", "1", []byte("1")), "archive.path"},
		"absolute":                   {archivetest.LZH(1, "-lh0-", "\xFF", "a.txt", "1", []byte("1")), "archive.path"},
		"a drive":                    {archivetest.LZH(0, "-lh0-", `C:\`, "a.txt", "1", []byte("1")), "archive.path"},
		"two of one name":            {append(slices.Clip(one), one...), "archive.twice"},
		"a symbolic link":            {archivetest.LZH(2, "-lhd-", "", "a|/etc", "", nil), "archive.link"},
		"a method of no decoder":     {archivetest.LZH(2, "-lh1-", "", "a.txt", "1", []byte("1")), "archive.method"},
		"a header of no description": {append(slices.Clip(one), archivetest.LZH(2, "-lh0-", "", "b.txt", "1", []byte("1"))[:20]...), "archive.broken"},
		"bytes behind":               {append(slices.Clip(one), 0, 'M', 'Z'), "archive.structure"},
		"bytes between":              {append(slices.Clip(one), strings.Repeat("x", 40)...), "archive.structure"},
		"data cut off":               {archivetest.LZH(0, "-lh5-", "", "a.txt", long, packed[:len(packed)-3]), "archive.broken"},
		"data behind":                {archivetest.LZH(0, "-lh5-", "", "a.txt", long, append(slices.Clip(packed), 0, 0, 0)), "archive.structure"},
		"another checksum":           {archivetest.LZH(0, "-lh5-", "", "a.txt", strings.Repeat("b", 1000), packed), "archive.broken"},
		"a program":                  {archivetest.LZH(0, "-lh0-", "", "a.exe", "MZ\x00", []byte("MZ\x00")), "type.executable"},
	} {
		rep, _ := sanitizetest.Run(t, "x.lzh", c.in)
		if rep.Outcome != verdict.Blocked || !sanitizetest.Has(rep, c.code, verdict.Refused) {
			t.Errorf("%s: got %s %v, want %s", name, rep.Outcome, rep.Findings, c.code)
		}
	}
}
