package verify

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// TestBrokenWritersOfText feeds what the rebuilders of text and markup would let through with a fault, one fault each.
func TestBrokenWritersOfText(t *testing.T) {
	const (
		page    = `<!DOCTYPE html>` + "\n" + `<html lang="ja"><head><meta charset="utf-8"><title>t</title><style>` + "\n" + `p{color:red}` + "\n" + `@media print{` + "\n" + `a > b{margin:0 1px}` + "\n" + `}` + "\n" + `</style></head><body>◆</body></html>`
		data    = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<r xmlns:a="urn:a">◆</r>` + "\n"
		drawing = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">◆</svg>` + "\n"
	)
	picture := "data:image/png;base64," + base64.StdEncoding.EncodeToString(smallPNG(t))
	for _, group := range []struct {
		name, around, code string
		good, bad          []string
	}{
		{"a.html", page, "verify.html", []string{
			`<p class="a">字 &lt;b&gt; &amp; &quot;'<br></p>`, `<a href="https://a.example/?a=1&amp;b=2#c">x</a><a href="#x">y</a><a href="mailto:a@b.example">z</a><a href="a/b.html">z</a>`,
			`<table><tbody><tr><td style="color:rgb(1,2,3);font-family:'M S',x">1</td></tr></tbody></table>`, `<img alt="x" src="` + picture + `">`, `<style>` + "\n" + `p{color:red}` + "\n" + `</style>`,
		}, []string{
			`<script>x</script>`, `<p onclick="x">a</p>`, `<a href="javascript:x">a</a>`, `<a href="java&#115;cript:x">a</a>`, `<a href="//x/y">a</a>`, `<a href="\\x\y">a</a>`, `<a href="https://a@b/">a</a>`, `<a href="data:text/html,x">a</a>`,
			`<img src="http://x/y.png">`, `<img src="cid:a">`, `<img alt="x">`, `<img src="data:image/svg+xml;base64,PHN2Zy8+">`, `<iframe></iframe>`, `<form></form>`, `<svg></svg>`, `<math></math>`, `<meta charset="x">`, `<base href="x">`,
			`<p style="background:url(x)">a</p>`, `<p style="position:absolute">a</p>`, `<p style="width:expression(x)">a</p>`, `<p style="color:\72 ed">a</p>`, `<p style="color:red;">a</p>`, `<p STYLE="color:red">a</p>`,
			`<!-- x -->`, `<p class=a>b</p>`, `<p class='a'>b</p>`, `<p class="a"class="b">b</p>`, `<p class="a" class="b">b</p>`, `<p>a`, `<p><b>a</p></b>`, `a < b`, `a > b`, `a " b`, `&nbsp;`, `&#x3c;script&#x3e;`, `</body></html><script>x</script>`,
			"a\u202Eb", "a\x00b", "a\x1Bb", "\xFF", `<p/>`, `<style>` + "\n" + `@import "x";` + "\n" + `</style>`, `<style>` + "\n" + `p{background:url(x)}` + "\n" + `</style>`, `<style>p{}</style>`, `<P>a</P>`, `<p src="x">a</p>`, `<td background="x"></td>`, `<template></template>`,
		}},
		{"a.xml", data, "verify.xml", []string{`<a:b c="1&#10;"/>字&amp;&lt;`, `<k xmlns="urn:k" xml:lang="ja"><l/></k>`}, []string{
			`<!-- x -->`, `<?x y?>`, `<![CDATA[x]]>`, `<b c='1'/>`, `<b  c="1"/>`, `<b c="1" c="2"/>`, `<b>`, `</b>`, `&x;`, `&apos;`, `a > b`, `<c:d/>`, `<b c:d="1"/>`, `<b xmlns="http://www.w3.org/1999/xhtml"/>`,
			`<x:include xmlns:x="http://www.w3.org/2001/XInclude"/>`, `<x:y xmlns:x="http://www.w3.org/1999/XSL/Transform"/>`, `<x:y xmlns:x="urn:schemas-microsoft-com:office:spreadsheet"/>`, "a\u202Eb", "a\x01", `</r><r>`, "<b c=\"\n\"/>", `<b /`,
		}},
		{"a.svg", drawing, "verify.svg", []string{
			`<path id="b" d="M0 0L1,1z" fill="url(#a) red" stroke="#123"/>`, `<use xlink:href="#b"/>`, `<a xlink:href="https://a.example/"><text>x</text></a>`, `<image width="2" xlink:href="` + picture + `"/>`, `<style>` + "\n" + `a &gt; b{fill:url(#a)}` + "\n" + `</style>`, `<g style="filter:url(#f)" class="curly" xml:space="preserve"/>`,
		}, []string{
			`<script/>`, `<foreignObject/>`, `<g onload="x"/>`, `<a xlink:href="javascript:x"/>`, `<use xlink:href="x.svg#b"/>`, `<use href="#b"/>`, `<image xlink:href="http://x/"/>`, `<image xlink:href="data:image/png;base64,AAAA"/>`, `<image xlink:href="data:image/svg+xml;base64,PHN2Zy8+"/>`,
			`<animate attributeName="href"/>`, `<set/>`, `<g fill="url(http://x)"/>`, `<g fill="url(#a"/>`, `<g style="fill:url(x)"/>`, `<style>` + "\n" + `@import "x";` + "\n" + `</style>`, `<style><g/></style>`, `<feImage/>`, `<x:y xmlns:x="urn:x"/>`, `<g transform="url(x)"/>`, `<metadata/>`,
			`<g id="a"><use xlink:href="#a"/></g>`, `<svg xmlns="http://www.w3.org/1999/xhtml"/>`,
		}},
		{"a.json", `[◆]`, "verify.json", []string{`1,-0.5e+3,"字\u0000\\",true,null,{"a":[],"b":{}}`, ` `[1:] + `"\ud800"`}, []string{
			`01`, `1.`, `.5`, `+1`, `1,`, `'x'`, `"a`, "\"\x01\"", `"\x"`, `"\u12"`, `{"a"}`, `{"a":1,}`, `{a:1}`, `[`, `]`, `//x`, `NaN`, `1 2`, "\"\u202E\"", "\"\xFF\"", strings.Repeat("[", 600) + strings.Repeat("]", 600),
		}},
		{"a.md", "# x\n◆\n", "verify.md", []string{`a < b [x](https://a.example/) <https://a.example> ![a](b.png)`, `[^1]: 注: x`, "[x]()"}, []string{
			`<b>`, `</b>`, `<!-- x`, `<?x`, `<javascript:x>`, `[a](javascript:x)`, `[a](<javascript:x>)`, `[a]( //x/y)`, "[a]:\njavascript:x", `[a]: data:x`, `[a](java&#115;cript:x)`, `![a](https://x/y.png)`, `![a][b]`, `![a](//x/y)`, "a\u202Eb", "a\x1B[0m", `[a](\\x\y)`, `[a](../../x)`,
		}},
		{"a.txt", "◆", "verify.text", []string{"\xC6\xFC\xF5\xA1\x8E\xB1\x8F\xB0\xA1", "\x1B$BF|\x1B(B\n\x1B(I1\x1B(B", "\x1B$(D0!\x1B(Bx"}, []string{
			"\x1B$BF|", "\x1B$BF|\n\x1B(B", "\x1B$BF\x1B(B", "\x1B(JF", "\x1B$@F|\x1B(B", "\x1B$BF|\x1B$BF|\x1B(B", "\x1B[2J", "\x1B(B", "\xC6\xFC\x8F\xB0\xA1\x80", "\x8E\xFF\xC6\xFC\x8F\xB0", "\x1B(I\x1F\x1B(B",
		}},
		{"a.csv", "◆\n", "verify.csv", nil, []string{"\xA1\xE11\xA4\xCE,x", "\xC6\xFC\xA4\xCE,=1", "\x1B$B!a\x1B(B1", "x,\x1B$B!w\x1B(BSUM"}},
	} {
		for _, g := range group.good {
			if r := Check(t.Context(), group.name, []byte(strings.Replace(group.around, "◆", g, 1))); r.Outcome != verdict.Clean {
				t.Errorf("%s: %q is blocked: %+v", group.name, g, r.Findings)
			}
		}
		for _, b := range group.bad {
			r := Check(t.Context(), group.name, []byte(strings.Replace(group.around, "◆", b, 1)))
			if r.Outcome != verdict.Blocked {
				t.Errorf("%s: %q passes", group.name, b)
			} else if c := r.Findings[0].Code; c != group.code && c != "verify.xml" && c != "verify.image" {
				t.Errorf("%s: %q is blocked by %s, want %s", group.name, b, c, group.code)
			}
		}
	}
	for _, whole := range []string{`<html><head><meta charset="utf-8"></head><body></body></html>` + "\n", `<html><head></head><body></body></html>`, `<html><head><meta charset="shift_jis"></head><body></body></html>`, `x<html><head><meta charset="utf-8"></head><body></body></html>`} {
		if r := Check(t.Context(), "a.html", []byte(whole)); r.Outcome != verdict.Blocked {
			t.Errorf("%q passes", whole)
		}
	}
	var laughs strings.Builder
	laughs.WriteString(`<rect id="l0"/>`)
	for i := 1; i < 10; i++ {
		laughs.WriteString(`<g id="l` + string(rune('0'+i)) + `">` + strings.Repeat(`<use xlink:href="#l`+string(rune('0'+i-1))+`"/>`, 10) + `</g>`)
	}
	if r := Check(t.Context(), "a.svg", []byte(strings.Replace(drawing, "◆", laughs.String(), 1))); r.Outcome != verdict.Blocked {
		t.Error("a thousand million shapes pass")
	}
	p := verdict.Policy{Formulas: "report"}
	if r := CheckFor(t.Context(), p, "a.csv", []byte("=1\n")); r.Outcome != verdict.Clean {
		t.Errorf("a machine's table: %+v", r.Findings)
	}
}

func FuzzPages(f *testing.F) {
	f.Add(0, []byte(`<html><head><meta charset="utf-8"></head><body><p a="b">x</p></body></html>`))
	f.Add(1, []byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<r/>\n"))
	f.Add(2, []byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\"><use xlink:href=\"#\"/></svg>\n"))
	f.Add(3, []byte(`{"a":[1,"\u0000"]}`))
	f.Add(4, []byte("[a](b) ![c](d) [^1]: x"))
	f.Add(5, []byte("\x1B$BF|\x1B(B"))
	f.Fuzz(func(t *testing.T, kind int, in []byte) {
		name := []string{"a.html", "a.xml", "a.svg", "a.json", "a.md", "a.csv"}[uint(kind)%6]
		if r := Check(t.Context(), name, in); r.Outcome == verdict.Blocked && r.Findings[0].Code == codeFault {
			t.Errorf("the verifier failed: %v", r.Findings)
		}
	})
}
