package html

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// job is one whose pictures come back as the family says, and are refused when they say "bad".
func job(t testing.TB) *rebuild.Job {
	j := &rebuild.Job{Ctx: t.Context(), Found: &rebuild.Findings{}, MaxOut: 1 << 20, Tools: rebuild.NewTools(nil)}
	j.Nested = func(place, name string, in []byte, asIs bool) (rebuild.Result, error) {
		switch {
		case string(in) == "bad":
			return rebuild.Result{}, rebuild.Refuse("image.broken", place, "")
		case string(in) == "ask":
			return rebuild.Result{}, rebuild.ErrAsked
		}
		return rebuild.Result{Family: "png", Body: []byte("clean")}, nil
	}
	return j
}

const empty = `<html><head><meta charset="utf-8"></head><body>`

func TestOnlyWhatTheListsNameStays(t *testing.T) {
	for _, c := range []struct{ in, want, code string }{
		{`<p>a<script>alert(1)</script>b`, `<p>ab</p>`, "html.script"},
		{`<p onclick="x()" class=k>a</p>`, `<p class="k">a</p>`, "html.script"},
		{`<a href="javascript:x()">a</a>`, `<a>a</a>`, "html.unsafe-link"},
		{"<a href=' java\nscript:x()'>a</a>", `<a>a</a>`, "html.unsafe-link"},
		{`<a href="\\srv\share\x">a</a><a href="file:///c:/x">b</a><a href="data:text/html,x">c</a><a href="https://good.example@evil.example/">d</a>`, `<a>a</a><a>b</a><a>c</a><a>d</a>`, "html.unsafe-link"},
		{`<a href="https://example.jp/?a=1&b=2#c">a</a>`, `<a href="https://example.jp/?a=1&amp;b=2#c">a</a>`, ""},
		{`<img src="http://x/y.png" alt="地図">`, `[地図]`, "html.picture"},
		{`<img src="//x/y.png">`, `[画像]`, "html.picture"},
		{`<img alt="x" src="data:image/png;base64,YWJj" onerror=x>`, `<img alt="x" src="data:image/png;base64,Y2xlYW4=">`, "html.script"},
		{`<img src="data:image/png;base64,YmFk">`, `[画像]`, "html.picture"},
		{`<img src="cid:a@b"><img src="cid:c@d">`, `<img src="cid:a@b">[画像]`, "html.picture"},
		{`<iframe src=x>y</iframe><object data=x>z</object><embed src=x>`, `z`, "html.frame"},
		{`<form action=x><input value="v"><button>b</button></form>`, `vb`, "html.form"},
		{`<svg><script>1</script></svg><math><mi>x</mi></math>a`, `a`, "html.drawing"},
		{`<!-- x --><p>a</p>`, `<p>a</p>`, "html.comment"},
		{`<base href=x><p>a</p><link rel=stylesheet href=x>`, `<p>a</p>`, "html.external"},
		{`<p style="color:red;background:url(http://x);position:absolute;left:-999px">a</p>`, `<p style="color:red">a</p>`, "html.style"},
		{`<p style="width:expression(alert(1));behavior:url(x)">a</p>`, `<p>a</p>`, "html.style"},
		{`<p style="co/**/lor:red;color:\72 ed;font-family:'a;}b'">a</p>`, `<p>a</p>`, "html.style"},
		{`<p style="display:none">a</p>`, `<p style="display:none">a</p>`, "html.hidden"},
		{"<p>a\u202Eb\u200E</p>", `<p>ab</p>`, "text.hidden"},
		{`<o:p>a</o:p><blink>b</blink>`, `ab`, "html.unknown"},
		{`<noscript><p>a</p></noscript>`, `<p>a</p>`, ""},
		{`<table><tr><td background="http://x">1<td>2</table>`, `<table><tbody><tr><td>1</td><td>2</td></tr></tbody></table>`, "html.external"},
		{`<p>&lt;script&gt;"'&amp;&nbsp;`, "<p>&lt;script&gt;&quot;'&amp;\u00A0</p>", ""},
	} {
		j := job(t)
		got, err := Clean(j, c.in, Options{Keep: func(id string) bool { return id == "a@b" }})
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		body := strings.TrimSuffix(strings.TrimPrefix(got, empty), "</body></html>")
		if body != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.in, body, c.want)
		}
		if (c.code == "") != (len(j.Found.List) == 0) || c.code != "" && !j.Found.Reported(c.code) {
			t.Errorf("%s: got findings %v, want %q", c.in, j.Found.List, c.code)
		}
		again := job(t)
		if twice, err := Clean(again, got, Options{Keep: func(string) bool { return true }}); err != nil || !strings.Contains(got, "base64") && twice != got {
			t.Errorf("%s: not settled: %s, %v", c.in, twice, err)
		}
	}
}

func TestHeadKeepsTitleAndStyles(t *testing.T) {
	j := job(t)
	got, err := Clean(j, `<!doctype html><html lang=ja><head><meta charset=shift_jis><meta http-equiv=refresh content="0;url=http://x"><title>お知らせ </title>
<style>@import url(x); p { color: red; background: url(http://x) } </style><style>@font-face{src:url(x)} @media print { a:hover > b { display: none } } a[href^="x"]{b:c}</style></head><body bgcolor="#fff" onload=x>あ`, Options{})
	want := "<!DOCTYPE html>\n<html lang=\"ja\"><head><meta charset=\"utf-8\"><title>お知らせ</title><style>\np{color:red}\n</style>" +
		"<style>\n@media print{\na:hover > b{display:none}\n}\n</style></head><body bgcolor=\"#fff\">あ</body></html>"
	if err != nil || got != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
	for _, code := range []string{"html.refresh", "html.style", "html.script", "html.hidden"} {
		if !j.Found.Reported(code) {
			t.Errorf("%s is not reported: %v", code, j.Found.List)
		}
	}
}

func TestPicturesAskAndStay(t *testing.T) {
	if _, err := Clean(job(t), `<img src="data:image/bmp;base64,YXNr"><img src="data:image/png;base64,YXNr">`, Options{}); !errors.Is(err, rebuild.ErrAsked) {
		t.Errorf("got %v, want %v", err, rebuild.ErrAsked)
	}
}

func TestPolicyOfLinksAndHiddenText(t *testing.T) {
	j := job(t)
	j.Policy = verdict.Policy{Links: "remove", Hidden: "remove"}
	got, err := Clean(j, `<a href="https://a.example/">x</a><a href="#n">y</a><p hidden>z</p><p style="visibility: hidden">z</p>`, Options{})
	if want := empty + `<a>x</a><a href="#n">y</a></body></html>`; got != want || err != nil {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestTextReadsLikeThePage(t *testing.T) {
	for in, want := range map[string]string{
		`<p>一行目<br>二行目</p><p>次</p>`:                    "一行目\n二行目\n\n次",
		"<p>日本語の文章は\n  途中で改行\nされる。 English\nwords</p>": "日本語の文章は途中で改行される。 English words",
		"<p>山田 太郎</p>":                                                        "山田 太郎",
		`<a href="https://a.example/x">こちら</a>を見る`:                            "こちら <https://a.example/x>を見る",
		`<a href="https://a.example/">https://a.example</a>`:                  "https://a.example",
		`<a href="javascript:x">y</a>`:                                        "y",
		`<ul><li>い<li>ろ<ul><li>は</ul></ul><ol start=3><li>x<li><p>y</p></ol>`: "・い\n・ろ\n  ・は\n\n3. x\n4. y",
		`<table><tr><th>名前<th>年齢<tr><td>山田<td>30</table>`:                     "名前 | 年齢\n山田 | 30",
		`<table><tr><td><p>左</p><p>左2</p></td><td>右</td></tr></table>`:        "左\n左2\n右",
		`<ruby>漢字<rp>(</rp><rt>かんじ</rt><rp>)</rp></ruby>`:                     "漢字（かんじ）",
		"<pre>a\n  b\n</pre>c":                                                "a\n  b\n\nc",
		`<blockquote>引用<br>続き</blockquote>`:                                   "> 引用\n> 続き",
		`<style>p{}</style><script>x</script><p hidden>h</p>a`:                "a",
		`<img src="x" alt="市章"><hr>z`:                                         "[市章]\n----------------\nz",
		"":                                                                    "",
	} {
		if got, err := Text(t.Context(), in, Options{}); err != nil || got != want {
			t.Errorf("%s:\n got %q, %v\nwant %q", in, got, err, want)
		}
	}
}

func TestDepthIsBounded(t *testing.T) {
	deep := strings.Repeat("<div>", 10_000) + "x"
	if _, err := Clean(job(t), deep, Options{}); !rebuild.Refused(err) {
		t.Errorf("Clean: got %v, want a refusal", err)
	}
	if _, err := Text(t.Context(), deep, Options{}); !rebuild.Refused(err) {
		t.Errorf("Text: got %v, want a refusal", err)
	}
}

// Formatting that is never closed is made anew in every block: a small page, an endless tree.
func TestTreesAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 300 {
		fmt.Fprintf(&b, "<font size=%d>", i)
	}
	for name, page := range map[string]string{"formatting": "<p>" + b.String() + strings.Repeat("<p>x", 100_000), "closed": "<p>" + b.String() + strings.Repeat("<p>x</p>y", 100_000), "tags": strings.Repeat("<br>", 3_000_000)} {
		if _, err := Clean(job(t), page, Options{}); !rebuild.Refused(err) {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
	j := job(t)
	j.MaxOut = 64 << 20
	if _, err := Clean(j, strings.Repeat("<p><b>x</b> <font color=red>y</font> <b>unclosed", 5_000), Options{}); err != nil {
		t.Errorf("an honest page: %v", err)
	}
}

func TestDecodeTakesWhatThePageSays(t *testing.T) {
	for in, set := range map[string]string{
		"<meta charset=euc-jp>\xC6\xCC":            "EUC-JP",
		"<meta charset=x-sjis>\xC6\xCC":            "Shift_JIS (CP932)",
		"<p>\x93\xFA\x96\x7B":                      "Shift_JIS (CP932)",
		"<p>\x1B$BF|K\\\x1B(B":                     "ISO-2022-JP",
		"<p>日本":                                    "UTF-8",
		"<meta charset=iso-8859-1><p>caf\xE9 \xFF": "iso-8859-1",
		"<meta charset=shift_jis><p>\xE6\x97\xA5":  "UTF-8",
		"<meta http-equiv=content-type content='text/html; charset=EUC-JP'>\xC6\xFC": "EUC-JP",
	} {
		if _, got, err := Decode([]byte(in)); err != nil || got != set {
			t.Errorf("%q: got %s, %v, want %s", in, got, err, set)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{`<p style="a:b">x<table><a><b></a><p>`, `<svg><style><img title="</style><img src=x onerror=1>">`, "<pre>\n\nx", `<style>a{b:c}</style>`, `<a href=x><table><a href=y>`, `<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, err := Clean(job(t), in, Options{})
		if err != nil {
			if !rebuild.Refused(err) && !errors.Is(err, rebuild.ErrAsked) {
				t.Fatal(err)
			}
			return
		}
		if again, err := Clean(job(t), out, Options{}); err != nil || again != out && !strings.Contains(out, "base64") {
			t.Fatalf("not settled: %q, then %q, %v", out, again, err)
		}
		if _, err := Text(t.Context(), in, Options{}); err != nil && !rebuild.Refused(err) {
			t.Fatal(err)
		}
	})
}
