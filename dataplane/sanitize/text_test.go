package sanitize

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// run rebuilds and answers report and result.
func run(t testing.TB, name string, in []byte) (verdict.Report, []byte) {
	t.Helper()
	var out bytes.Buffer
	rep, _ := Rebuild(context.Background(), name, in, &out, Options{})
	if rep.Outcome == verdict.Blocked && out.Len() > 0 {
		t.Fatalf("%s: blocked, but %d bytes were written", name, out.Len())
	}
	if rep.Outcome == verdict.Clean && (rep.After == nil || rep.After.Size != int64(out.Len())) {
		t.Fatalf("%s: clean, but the digest says %v of %d bytes", name, rep.After, out.Len())
	}
	return rep, out.Bytes()
}

func clean(t testing.TB, name string, in []byte) (verdict.Report, []byte) {
	t.Helper()
	rep, out := run(t, name, in)
	if rep.Outcome != verdict.Clean {
		t.Fatalf("%s: got blocked %v, want clean", name, rep.Findings)
	}
	return rep, out
}

func blocked(t testing.TB, name string, in []byte, code string) {
	t.Helper()
	rep, _ := run(t, name, in)
	if rep.Outcome != verdict.Blocked || !has(rep, code, verdict.Refused) {
		t.Errorf("%s: got %s %v, want refused by %s", name, rep.Outcome, rep.Findings, code)
	}
}

func has(rep verdict.Report, code string, action verdict.Action) bool {
	for _, f := range rep.Findings {
		if f.Code == code && f.Action == action {
			return true
		}
	}
	return false
}

// Every CP932 code comes back as it was: gaiji, NEC row 13, NEC selected and IBM duplicates, half-width katakana.
func TestEveryCP932CodeIsStable(t *testing.T) {
	var all []byte
	gaiji, doubles := 0, 0
	for lead := 0x81; lead <= 0xFC; lead++ {
		for trail := 0x40; trail <= 0xFC; trail++ {
			r, n := charset.CP932.Next([]byte{byte(lead), byte(trail)})
			if n != 2 {
				continue
			}
			doubles++
			if 0xF0 <= lead && lead <= 0xF9 {
				if want := rune(0xE000 + gaiji); r != want {
					t.Fatalf("code %02X%02X: got U+%04X, want U+%04X", lead, trail, r, want)
				}
				gaiji++
			}
			all = append(all, byte(lead), byte(trail), '\r', '\n')
		}
	}
	if gaiji != 1880 || doubles < 9000 {
		t.Fatalf("got %d gaiji and %d double-byte codes, want 1880 and more than 9000", gaiji, doubles)
	}
	for c := 0xA1; c <= 0xDF; c++ {
		all = append(all, byte(c))
	}
	rep, out := clean(t, "外字.txt", all)
	if !bytes.Equal(out, all) {
		t.Error("the text changed")
	}
	if len(rep.Findings) != 0 {
		t.Errorf("got findings %v, want none", rep.Findings)
	}
}

func TestSameCharacterKeepsItsCode(t *testing.T) {
	in := []byte("\x87\x54 \xFA\x4A \xEE\xEF \xFA\x40 \x81\xCA \xEE\xF9 \xFA\x54") // Ⅰ Ⅰ ⅰ ⅰ ￢ ￢ ￢: NEC and IBM
	_, out := clean(t, "重複.txt", in)
	if !bytes.Equal(out, in) {
		t.Errorf("got % X, want % X", out, in)
	}
}

func TestTextKeepsEncodingAndLineEndings(t *testing.T) {
	le := binary.LittleEndian
	for name, in := range map[string][]byte{
		"UTF-8":           []byte("日本\r\n語\n\tあ\r"),
		"UTF-8 with mark": []byte("\xEF\xBB\xBF日本\r\n"),
		"CP932":           []byte("\x93\xFA\x96\x7B\r\n\x8C\xEA\n"),
		"UTF-16":          append([]byte("\xFF\xFE"), charset.ToUTF16([]byte("日本𠮷\r\n"), le)...),
		"gaiji and IVS":   []byte("\uE000\uF8FF葛\U000E0100👩\u200D💻"),
	} {
		if _, out := clean(t, "a.txt", in); !bytes.Equal(out, in) {
			t.Errorf("%s: got %q, want %q", name, out, in)
		}
	}
}

func TestControlsAndHiddenCharactersGo(t *testing.T) {
	rep, out := clean(t, "a.txt", []byte("a\x1B[2Jb\u202Egpj.exe\u202C\nc\u2066\x7F\u0085\uFEFF日\U000E0041"))
	if want := "a[2Jbgpj.exe\nc日"; string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
	if !has(rep, "text.control", verdict.Removed) || !has(rep, "text.hidden", verdict.Removed) {
		t.Errorf("findings %v miss the removals", rep.Findings)
	}
	if rep.Findings[0].Place != "L1" || rep.Findings[0].Count != 2 {
		t.Errorf("got %+v, want the first place L1 and 2 controls", rep.Findings[0])
	}
}

func TestUnreadableTextIsRefused(t *testing.T) {
	for code, ins := range map[string][]string{
		"text.invalid":  {"\x93\xFA\n\x81", "abc\x80", "caf\xE9 \xFF", "\xEF\xBB\xBF\x93\xFA", "\xFF\xFE\x00\xD8a\x00"},
		"text.encoding": {"\xFF\xFE\x00\x00a\x00\x00\x00"},
		"text.binary":   {"\x01\x02\x03\x04\x05\x06\x07\x0E\x0F\x01\x02\x03\x04\x05\x06\x07\x0E\x0F"},
		"type.mismatch": {"abc\x00def", "MZ\x90\x00\x03", "{\\rtf1 x}", "%PDF-1.4", "x\n%PDF-1.4"},
		"type.empty":    {""},
	} {
		for _, in := range ins {
			blocked(t, "a.txt", []byte(in), code)
		}
	}
	rep, _ := run(t, "a.txt", []byte("ok\nok\n\x93\xFA\x81"))
	if got := rep.Findings[0].Place; got != "L3" {
		t.Errorf("place of the bad byte: got %s, want L3", got)
	}
}

func TestFormulasBecomeText(t *testing.T) {
	for in, want := range map[string]string{
		"a,=1+1\n":                   "a,'=1+1\n",
		"=cmd|'/c calc'!A0,b\r\n":    "'=cmd|'/c calc'!A0,b\r\n",
		"\"=1,2\",@SUM(A1)\n":        "\"'=1,2\",'@SUM(A1)\n",
		"+81-3-1234-5678,+A1":        "'+81-3-1234-5678,'+A1",
		"-2+3,- 項目":                  "'-2+3,'- 項目",
		"  =1,\"\t=1\",\"\r=1\"":     "  '=1,\"'\t'=1\",\"'\r'=1\"", // the quotes count for a comma, not for a tab
		"\"\"=1+1,\"\"\"=1\"":        "\"\"'=1+1,\"\"\"=1\"",
		"＝１＋１,－Ａ,＠ＳＵＭ":               "'＝１＋１,'－Ａ,'＠ＳＵＭ",
		"1;=A1;2":                    "1;'=A1;2",
		"a;\"b,=c\"":                 "a;\"b,'=c\"",
		"sep=;\n1;=2":                "sep=;\n1;'=2",
		"x\t=1\n":                    "x\t'=1\n",
		"\"open,\n=1+1,2":            "\"open,\n'=1+1,2",
		"\"a\";\"- b\n- c\"\n":       "\"a\";\"'- b\n'- c\"\n", // a comma's reader ends the cell at the line
		" \"a\n=1\"":                 " \"a\n'=1\"",            // a quote behind a space is a quote for some only
		"a, \"x,=1\"":                "a, \"x,'=1\"",           // quotes behind spaces: for some one cell, for others two
		"a,  \"=1\"":                 "a,  \"'=1\"",
		"a, \"x,\n=1\",  \"y,@b\"\n": "a, \"x,\n'=1\",  \"y,'@b\"\n",
		"\u202E=1,a":                 "'=1,a", // what hides goes first, then the cell is judged
		"a\r=1\rb":                   "a\r'=1\rb",
		"-1e,-1.2.3,-1,2345,-１２3x,1": "'-1e,'-1.2.3,-1,2345,'-１２3x,1",
	} {
		rep, out := clean(t, "a.csv", []byte(in))
		if string(out) != want {
			t.Errorf("%q: got %q, want %q", in, out, want)
		}
		if !has(rep, "csv.formula", verdict.Changed) {
			t.Errorf("%q: not reported", in)
		}
	}
}

func TestNumbersAndStructureStay(t *testing.T) {
	for _, in := range []string{
		"-1,+2,-0.5,\"-1,234,567.89\",-1.5E+10,-12%,+.5\r\n",
		"-,--,－,―,△100\n",
		"－１２３,＋１．５\n",
		"a,\"b \"\"q\"\" c\",\"line\r\nbreak\",,\n,,\n",
		"name;-5;x\n", "\t\ta\t-1\n", "a=b,c@d.example,e-f\n", "sep=,\n1,2\n", "　-3 ,x\n", "\"\"\n",
	} {
		if rep, out := clean(t, "a.csv", []byte(in)); string(out) != in || len(rep.Findings) != 0 {
			t.Errorf("%q: got %q, findings %v", in, out, rep.Findings)
		}
	}
}

func TestShiftJISCSVWithTrickyTrailBytes(t *testing.T) {
	// the second byte of 表 is a backslash, of ア an at sign, of ゼ a vertical bar-like 0x5B
	in := []byte("\x95\x5C,\x83\x40,\x83\x5B,\xF0\x40\r\n=\x83\x40,-5\r\n")
	_, out := clean(t, "a.csv", in)
	want := []byte("\x95\x5C,\x83\x40,\x83\x5B,\xF0\x40\r\n'=\x83\x40,-5\r\n")
	if !bytes.Equal(out, want) {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestCSVThatIsSomethingElseIsRefused(t *testing.T) {
	blocked(t, "a.csv", []byte("ID;PWXL;N;E\nC;Y1;X1;K0;ECALL()\n"), "type.mismatch")
	blocked(t, "a.csv", []byte("<html><body>=1</body></html>"), "type.mismatch")
	blocked(t, "a.csv", []byte("sep==\n1=2"), "csv.separator")
	clean(t, "a.csv", []byte("ID,name\n1,a\n"))
}

func TestPreviewIsBounded(t *testing.T) {
	rep, _ := clean(t, "a.txt", []byte(strings.Repeat("漢", 10000)))
	if n := len([]rune(rep.Original.Text)); n != rebuild.PreviewChars {
		t.Errorf("got %d characters, want %d", n, rebuild.PreviewChars)
	}
	if rep.Result == nil || rep.Result.Text != rep.Original.Text {
		t.Error("preview of the result differs")
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"a,=1\r\n", "\x93\xFA\xF0\x40", "\xEF\xBB\xBF\"=1\"\"", "\xFF\xFEa\x00", "sep=;\n;=", "\u202E-1"} {
		f.Add(false, []byte(s))
		f.Add(true, []byte(s))
	}
	f.Fuzz(func(t *testing.T, table bool, in []byte) {
		if table {
			settles(t, "a.csv", in)
		} else {
			settles(t, "a.txt", in)
		}
	})
}
