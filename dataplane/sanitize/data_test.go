package sanitize

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// rebuilt is one case: what goes in, what comes out, and the code that says so ("" for none).
type rebuilt struct{ in, want, code string }

func (c rebuilt) check(t *testing.T, name, before, after string) {
	t.Helper()
	rep, out := clean(t, name, []byte(c.in))
	got := strings.TrimSuffix(strings.TrimPrefix(string(out), before), after)
	if got != c.want {
		t.Errorf("%s:\n got %s\nwant %s", c.in, got, c.want)
	}
	said := false
	for _, f := range rep.Findings {
		said = said || f.Code == c.code
	}
	if said != (c.code != "") || c.code == "" && len(rep.Findings) > 0 {
		t.Errorf("%s: findings %v, want %q", c.in, rep.Findings, c.code)
	}
	again, twice := clean(t, name, out)
	if !bytes.Equal(twice, out) {
		t.Errorf("%s: not settled: %s", c.in, twice)
	}
	for _, f := range again.Findings {
		if f.Action != verdict.Reported {
			t.Errorf("%s: the result is changed again: %v", c.in, again.Findings)
		}
	}
}

func TestDrawingsKeepWhatTheListsName(t *testing.T) {
	const open, before, after = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">`, `<?xml version="1.0" encoding="UTF-8"?>` + "\n", `</svg>` + "\n"
	picture := "data:image/png;base64," + base64.StdEncoding.EncodeToString(pngOf(t, testPicture(2, 2)))
	for _, c := range []rebuilt{
		{`<path d="M0 0L1,1" fill="#abc" stroke="url(#g)"/>`, `<path d="M0 0L1,1" fill="#abc" stroke="url(#g)"/>`, ""},
		{`<script>x</script><g onload="x"/>`, `<g/>`, "svg.script"},
		{`<g onload="x"/>`, `<g/>`, "svg.script"},
		{`<foreignObject><p xmlns="http://www.w3.org/1999/xhtml">x</p></foreignObject>`, ``, "svg.foreign"},
		{`<a xlink:href="javascript:x"><text>a</text></a>`, `<a><text>a</text></a>`, "svg.link"},
		{`<a href="https://a.example/"><text>a</text></a>`, `<a xlink:href="https://a.example/"><text>a</text></a>`, ""},
		{`<a id="l"><animate attributeName="href" to="javascript:x"/><set attributeName="href" to="x"/></a>`, `<a id="l"/>`, "svg.animation"},
		{`<use href="http://x/y.svg#z"/>`, `<use/>`, "svg.external"},
		{`<image xlink:href="http://x/y.png"/>`, ``, "svg.picture"},
		{`<image xlink:href="data:image/svg+xml;base64,PHN2Zy8+"/>`, ``, "svg.picture"},
		{`<image width="2" xlink:href="` + picture + `"/>`, `<image width="2" xlink:href="` + picture + `"/>`, ""},
		{`<rect fill="url(http://x)" style="fill:url(//x);stroke:red"/>`, `<rect style="stroke:red"/>`, "svg.style"},
		{`<style><![CDATA[@import "x"; a > b{fill:url(#g)}]]></style>`, "<style>\na &gt; b{fill:url(#g)}\n</style>", "svg.style"},
		{`<filter id="f"><feImage href="http://x"/><feGaussianBlur stdDeviation="2"/></filter>`, `<filter id="f"><feGaussianBlur stdDeviation="2"/></filter>`, "svg.external"},
		{`<metadata><x xmlns="urn:x"/></metadata>`, ``, "svg.metadata"},
		{`<g inkscape:label="x" xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape"/>`, `<g/>`, "svg.metadata"},
		{`<text>縦<tspan dy="1">書き</tspan></text>`, `<text>縦<tspan dy="1">書き</tspan></text>`, ""},
		{`<g display="none"><text>x</text></g>`, `<g display="none"><text>x</text></g>`, ""},
	} {
		c.in = open + c.in + `</svg>`
		end := after
		if c.want == "" {
			end = "\n"
		}
		front := before + open
		if c.want == "" {
			front = before + strings.TrimSuffix(open, ">") + "/>"
		}
		c.check(t, "a.svg", front, end)
	}
	clean(t, "a.svg", []byte("\xEF\xBB\xBF<?xml version='1.0' standalone='no'?>\r\n<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'http://x/svg11.dtd'>\r\n<svg xmlns='http://www.w3.org/2000/svg'/>\r\n"))
}

// laughs is ten uses of ten uses, and so on.
func laughs(levels int) string {
	var b strings.Builder
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"><defs><rect id="l0" width="1" height="1"/>`)
	for i := 1; i <= levels; i++ {
		fmt.Fprintf(&b, `<g id="l%d">%s</g>`, i, strings.Repeat(fmt.Sprintf(`<use xlink:href="#l%d"/>`, i-1), 10))
	}
	fmt.Fprintf(&b, `</defs><use xlink:href="#l%d"/></svg>`, levels)
	return b.String()
}

func TestDrawingsAreBounded(t *testing.T) {
	const open = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">`
	clean(t, "a.svg", []byte(laughs(4)))
	for code, in := range map[string]string{
		"limit.expansion": laughs(9),
		"svg.loop":        open + `<g id="a"><use xlink:href="#a"/></g></svg>`,
		"limit.depth":     open + strings.Repeat("<g>", 10_000) + strings.Repeat("</g>", 10_000) + `</svg>`,
		"xml.dtd":         `<!DOCTYPE svg [<!ENTITY a "x">]>` + open + `&a;</svg>`,
		"svg.broken":      `<html/>`,
		"xml.broken":      open + `<g></svg>`,
	} {
		blocked(t, "a.svg", []byte(in), code)
	}
	blocked(t, "a.svg", []byte(open+`<marker id="m">`+strings.Repeat("<rect/>", 3_000)+`</marker><path marker-mid="url(#m)" d="`+strings.Repeat("L1 1", 2_000)+`"/></svg>`), "limit.expansion")
	blocked(t, "a.svg", []byte(open+`<pattern id="p"><rect fill="url(#p)"/></pattern><rect style="fill:url(#p)"/></svg>`), "svg.loop")
}

func TestXMLKeepsStructureAndText(t *testing.T) {
	const before, after = `<?xml version="1.0" encoding="UTF-8"?>` + "\n", "\n"
	for _, c := range []rebuilt{
		{"<a:r xmlns:a=\"urn:a\"><b c='1\t2' d=\"&#10;'\"/>字&amp;&#x3042;</a:r>", "<a:r xmlns:a=\"urn:a\"><b c=\"1 2\" d=\"&#10;'\"/>字&amp;あ</a:r>", ""},
		{"<r>\r\n<![CDATA[<b>]]></r>", "<r>\n&lt;b&gt;</r>", ""},
		{"<?xml version='1.0'?><?xml-stylesheet href='x.xsl'?><r/>", "<r/>", "xml.instruction"},
		{"<!-- x --><r><!-- y -->z</r>", "<r>z</r>", "xml.comment"},
		{"<!DOCTYPE r SYSTEM 'http://x/r.dtd'><r/>", "<r/>", "xml.doctype"},
		{"<r>a&#x202e;b\u200E</r>", "<r>ab</r>", "text.hidden"},
		{"<?xml version=\"1.0\" encoding=\"Shift_JIS\"?><r>\x93\xFA\xF0\x40</r>", "<r>日\uE000</r>", "xml.charset"},
		{"<?xml version=\"1.0\" encoding=\"EUC-JP\"?><r>\xC6\xFC</r>", "<r>日</r>", "xml.charset"},
	} {
		c.check(t, "a.xml", before, after)
	}
	for code, ins := range map[string][]string{
		"xml.dtd":    {"<!DOCTYPE r [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><r>&x;</r>", "<r>&x;</r>", "<!DOCTYPE r [<!ENTITY a 'a'><!ENTITY b '&a;&a;'>]><r>&b;</r>"},
		"xml.office": {"<?mso-application progid='Word.Document'?><w:x xmlns:w='http://schemas.microsoft.com/office/word/2003/wordml'/>", "<Workbook xmlns='urn:schemas-microsoft-com:office:spreadsheet'/>"},
		"xml.active": {"<r><xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='x'/></r>", "<html xmlns='http://www.w3.org/1999/xhtml'><script>x</script></html>", "<r><s:svg xmlns:s='http://www.w3.org/2000/svg'/></r>",
			"<xsl:stylesheet xmlns:xsl='http://www.w3.org/1999/XSL/Transform'/>", "<r xmlns:e='http://www.w3.org/2001/xml-events' e:x='y'/>"},
		"limit.depth": {strings.Repeat("<a>", 10_000) + strings.Repeat("</a>", 10_000)},
		"xml.broken":  {"<a>", "<a></b>", "x", "<a b=c/>", "<a\u202E/>", "<x:y/>"},
	} {
		for _, in := range ins {
			blocked(t, "a.xml", []byte(in), code)
		}
	}
}

func TestJSONStaysAsItIsWritten(t *testing.T) {
	for _, c := range []rebuilt{
		{"{\"a\" : [1.0e+2,-0,\"\\u3042\\/\\ud83d\\ude00\", true,null ] }\r\n", "{\"a\" : [1.0e+2,-0,\"\\u3042\\/\\ud83d\\ude00\", true,null ] }\r\n", ""},
		{"\"a\x01b\tc\nd\"", `"a\u0001b\u0009c\u000ad"`, "json.control"},
		{"[\"a\u202Eb\"]", `["ab"]`, "text.hidden"},
		{`{"a":1,"\u0061":2}`, `{"a":1,"\u0061":2}`, "json.duplicate"},
		{`{"a":{"b":1},"c":[{"b":2}]}`, `{"a":{"b":1},"c":[{"b":2}]}`, ""},
		{"[\"\x93\xFA\x96\x7B\"]", `["日本"]`, "json.charset"},
	} {
		c.check(t, "a.json", "", "")
	}
	for code, ins := range map[string][]string{
		"json.broken": {"{", "[1,]", "{a:1}", "'x'", "01", "1.", "+1", "[1] x", "// c\n1", "NaN", "\"\\x\"", "\"\\u12\"", "\"", "[}", "{\"a\" 1}", "{\"a\":1,}", "-"},
		"limit.depth": {strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)},
	} {
		for _, in := range ins {
			blocked(t, "a.json", []byte(in), code)
		}
	}
	rep, _ := run(t, "a.json", []byte("[1,\n2,\n}"))
	if got := rep.Findings[0].Place; got != "L3" {
		t.Errorf("place of the fault: got %s, want L3", got)
	}
	rep, _ = clean(t, "a.json", []byte(`{"氏名": "山田", "個人番号": "123456789018"}`))
	if !has(rep, "mynumber.found", verdict.Reported) {
		t.Errorf("a number by its name: got %v", rep.Findings)
	}
}

func TestMarkdownCannotAct(t *testing.T) {
	for _, c := range []rebuilt{
		{"# 見出し\n\n* 項目 a < b, c<1\n\n[リンク](https://a.example/ \"題\") <https://b.example> [x]: https://c.example\n![図](fig/a.png)\n", "# 見出し\n\n* 項目 a < b, c<1\n\n[リンク](https://a.example/ \"題\") <https://b.example> [x]: https://c.example\n![図](fig/a.png)\n", ""},
		{"<script>x</script>", "< script>x< /script>", "md.html"},
		{"a <!-- b --> <?php ?>", "a < !-- b --> < ?php ?>", "md.html"},
		{"`<b>`", "`< b>`", "md.html"}, // readers disagree about where code is
		{"[a](javascript:x)", "[a] (javascript:x)", "md.link"},
		{"[a]( <java&#115;cript:x>)", "[a] ( < java&#115;cript:x>)", "md.link"},
		{"[a](data:text/html,x) [b](\\\\srv\\x) [c](file:///x) [d](//x/y)", "[a] (data:text/html,x) [b] (\\\\srv\\x) [c] (file:///x) [d] (//x/y)", "md.link"},
		{"[a](java&#115;cript:x)", "[a] (java&#115;cript:x)", "md.link"},
		{"[a]: javascript:x", "[a] : javascript:x", "md.link"},
		{"> [a]:\n> javascript:x", "> [a] :\n> javascript:x", "md.link"},
		{"<javascript:x>", "< javascript:x>", "md.html"},
		{"![a](https://x/y.png)", "! [a](https://x/y.png)", "md.picture"},
		{"![a][b] ![c]", "! [a][b] ! [c]", "md.picture"},
		{"語[^1]\n\n[^1]: 注: 説明", "語[^1]\n\n[^1]: 注: 説明", ""},
		{"a\u202Eb\x1B[0m", "ab[0m", "text.hidden"},
	} {
		c.check(t, "a.md", "", "")
	}
}

// Every encoding of a town's files comes back as it was, and is told apart from the others in a few characters.
func TestEncodingsStay(t *testing.T) {
	for name, in := range map[string]string{
		"EUC-JP":                 "\xBB\xE1\xCC\xBE,\xBD\xBB\xBD\xEA\r\n\xBB\xB3\xC5\xC4,\xF5\xA1\x8E\xB1\x8F\xB0\xA1\n",
		"ISO-2022-JP":            "\x1B$B;aL>\x1B(B,\x1B(I1\x1B(B\r\n",
		"CP932 katakana":         "\xCC\xD8\xBA\xD0 \xD4\xCF\xC0\xDE \xC0\xDB\xB3\n",
		"UTF-16 with mark":       "\xFE\xFF\x65\xE5\x00,\x00a\x00\n",
		"UTF-8, mixed line ends": "日\r本\n語\r\n",
	} {
		rep, out := clean(t, "a.csv", []byte(in))
		if string(out) != in || len(rep.Findings) > 0 {
			t.Errorf("%s: got %q %v, want %q", name, out, rep.Findings, in)
		}
	}
	if _, out := clean(t, "a.txt", []byte("a\x00b\x00\r\x00\n\x00a\x00")); string(out) != "\xFF\xFEa\x00b\x00\r\x00\n\x00a\x00" {
		t.Errorf("UTF-16 without a mark: got %q", out)
	}
	if _, out := clean(t, "a.csv", []byte("\x1B$B!a\x1B(B1,=2,\x1B$B;aL>\x1B(B\n")); string(out) != "'\x1B$B!a\x1B(B1,'=2,\x1B$B;aL>\x1B(B\n" {
		t.Errorf("formulas in ISO-2022-JP: got %q", out)
	}
	if _, out := clean(t, "a.csv", []byte("\xA1\xE11,=2,\xBB\xE1\xCC\xBE\xA4\xCE\n")); string(out) != "'\xA1\xE11,'=2,\xBB\xE1\xCC\xBE\xA4\xCE\n" {
		t.Errorf("formulas in EUC-JP: got %q", out)
	}
}

func TestPolicyConvertsEncodingsAndOnlyReportsFormulas(t *testing.T) {
	do := func(name, in string, p verdict.Policy) (verdict.Report, string) {
		var out bytes.Buffer
		rep, _ := Rebuild(t.Context(), name, []byte(in), &out, Options{Policy: p})
		return rep, out.String()
	}
	for _, c := range []struct{ name, in, want string }{
		{"a.txt", "\x93\xFA\xF0\x40", "日\uE000"}, {"a.csv", "\x93\xFA,\xFA\x4A\n", string(charset.MarkUTF8) + "日,Ⅰ\n"},
		{"a.txt", "\xC6\xFC\x8F\xF4\xFE\xA4\xCE", "日黑の"}, {"a.txt", "\x1B$BF|\x1B(B", "日"}, {"a.txt", "\xFF\xFEa\x00", "a"}, {"a.txt", "日", "日"},
	} {
		rep, out := do(c.name, c.in, verdict.Policy{Charset: "utf-8"})
		if out != c.want || has(rep, "text.converted", verdict.Changed) != (c.in != "日") {
			t.Errorf("%q: got %q %v, want %q", c.in, out, rep.Findings, c.want)
		}
	}
	rep, out := do("a.csv", "a,=1+1,-5\n", verdict.Policy{Formulas: "report"})
	if out != "a,=1+1,-5\n" || !has(rep, "csv.formula", verdict.Reported) {
		t.Errorf("a machine's lane: got %q %v", out, rep.Findings)
	}
}

func FuzzData(f *testing.F) {
	names := []string{"a.xml", "a.svg", "a.json", "a.md", "a.html"}
	for i := range names {
		for _, s := range []string{"<r a='b'>c</r>", "{\"a\":[1]}", "[a](b) <c>", laughs(2), "<svg><style>a{b:c}</style></svg>", "<p style='a:b'>"} {
			f.Add(byte(i), []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, in []byte) { settles(t, names[int(kind)%len(names)], in, "base64") })
}

// settles rebuilds whatever comes, and what came out once more, unless it holds that: no fault of ours, and nothing is left to change.
func settles(t *testing.T, name string, in []byte, unless ...string) {
	t.Helper()
	rep, out := run(t, name, in)
	if has(rep, "internal", verdict.Refused) {
		t.Fatalf("%s: %v", name, rep.Findings)
	}
	if rep.Outcome != verdict.Clean || len(out) == 0 || slices.ContainsFunc(unless, func(s string) bool { return bytes.Contains(out, []byte(s)) }) {
		return
	}
	if again, twice := run(t, name, out); again.Outcome != verdict.Clean || !bytes.Equal(out, twice) {
		t.Fatalf("%s: not settled after one rebuild: %q, then %s %q %v", name, out, again.Outcome, twice, again.Findings)
	}
}
