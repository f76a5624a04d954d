package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// both makes files of words at random and has both programs read them; it answers how many were clean.
func both(t *testing.T, name, before, after string, words []string, files int) (clean int) {
	t.Helper()
	dice := rand.New(rand.NewPCG(5, 6))
	for range files {
		var b strings.Builder
		b.WriteString(before)
		for range 1 + dice.IntN(14) {
			b.WriteString(words[dice.IntN(len(words))])
		}
		b.WriteString(after)
		if agree(t, name, []byte(b.String())) {
			clean++
		}
		if t.Failed() {
			return clean
		}
	}
	return clean
}

// TestPagesPassBoth: markup that is nested wrongly, in tables, in raw text, with addresses and styles of all kinds.
func TestPagesPassBoth(t *testing.T) {
	words := []string{"<p>", "</p>", "<table>", "<tr>", "<td>", "</table>", "<a href=x>", "<a href='https://a.example/?b&c'>", "<a href=\"java&#10;script:x\">", "</a>", "<b>", "<i>", "</b>",
		"<style>", "</style>", "a{color:red}", "@media print{", "}", "<!--", "-->", "<svg>", "</svg>", "<title>", "</title>", "<math>", "<mtext>", "<select>", "<option>", "</select>",
		"<pre>", "\n", "<li>", "<ul>", "<img src=x alt='\">'>", "<img src=\"data:image/png;base64,AAAA\">", "&lt;", "&#x202e;", "&#0;", "&nbsp;", "&amp;lt;", "\"", "'", ">", "<", "&", "字", "\x01", "<p style='color:red;x:y'>",
		"<p style=\"font-family:'a;b'\">", "<p title='a\">b'>", "<plaintext>", "<noscript>", "<textarea>", "<form>", "<input value='&quot;>'>", "<h1>", "<dd>", "<br>", "</br>", "<body class=x>", "<html lang=ja>", "<!DOCTYPE html>", "<template>", "<frameset>", "<ruby>", "<rt>"}
	if clean := both(t, "a.html", "<p>", "", words, 6_000); clean < 5_500 {
		t.Errorf("only %d pages were clean", clean)
	}
}

// TestRealTextPassesBoth has every real file of the text families read by both.
func TestRealTextPassesBoth(t *testing.T) {
	for _, ext := range []string{"txt", "csv", "html", "svg", "xml", "json", "md"} {
		files, err := filepath.Glob(filepath.Join("../../../shared/corpus", ext, "*"))
		if err != nil {
			t.Fatal(err)
		}
		clean := 0
		for _, name := range files {
			in, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if agree(t, filepath.Base(name), in) {
				clean++
			}
		}
		t.Logf("%s: %d of %d clean", ext, clean, len(files))
	}
}

// TestDrawingsPassBoth: elements of all kinds in each other, addresses and styles of all kinds.
func TestDrawingsPassBoth(t *testing.T) {
	words := []string{"<g>", "</g>", "<rect width='1' height='2' fill='url(#a)'/>", "<rect fill='url(http://x)' onload='x' class='curly'/>", "<use xlink:href='#b'/>", "<use href='http://x#b'/>", "<path id='b' d='M0 0L1,1z'/>",
		"<linearGradient id='a'><stop offset='5%' stop-color='red'/></linearGradient>", "<text x='1'>字&lt;</text>", "<a href='https://a.example/'>", "<a xlink:href='javascript:x'>", "</a>", "<script>x</script>", "<style>a{fill:url(#a);b:c}</style>",
		"<style><![CDATA[@import url(x); b > c { stroke : red } ]]></style>", "<image href='data:image/png;base64,AAAA'/>", "<foreignObject><p xmlns='http://www.w3.org/1999/xhtml'/></foreignObject>", "<i:x xmlns:i='urn:i' i:y='z'/>",
		"<animate attributeName='href' to='javascript:x'/>", "<!-- c -->", "<?pi?>", "<g style='fill:url(#a) red;filter:url(x);display:none'/>", "<g transform='rotate(45)' font-family=\"'Noto Sans',x\"/>", "<title>&#x202e;t</title>", "<marker id='m'/>", "<g marker-end='url(#m)'/>"}
	clean := both(t, "a.svg", `<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd"><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">`, `</svg>`, words, 6_000)
	if clean < 1_000 {
		t.Errorf("only %d drawings were clean", clean)
	}
}

// TestDataPassesBoth: XML with namespaces, references and instructions; JSON with strings, numbers and brackets.
func TestDataPassesBoth(t *testing.T) {
	clean := both(t, "a.xml", "<r xmlns:a='urn:a'>", "</r>", []string{"<a:b>", "</a:b>", "<c d='1' e=\"&#10;&quot;'\"/>", "<f/>", "字", "&amp;", "&#x9;", "\n", "\r\n", "<!-- c -->", "<?pi x?>", "<![CDATA[<]]>", "<a:g xmlns:a='urn:b' a:h=' i\tj '/>", "<k xmlns='urn:k'/>", "]]", ">", "\"",
		"<l xmlns:v='urn:schemas-microsoft-com:vml'/>", "&#x202e;", "<x:y/>"}, 4_000)
	if clean < 1_500 {
		t.Errorf("only %d documents were clean", clean)
	}
	clean = both(t, "a.json", "[", "]", []string{"{\"a\":", "}", "[", "]", ",", "1", "-0.5e+3", "01", "\"x\"", "\"\\u0000\\ud800\"", "\"\x01\u202e\"", "true", "null", " ", "\n", "\"a\":2", "\"\\x\""}, 30_000)
	if clean < 500 {
		t.Errorf("only %d values were clean", clean)
	}
}

// TestMarkdownPassesBoth: links, pictures, raw HTML and code in each other.
func TestMarkdownPassesBoth(t *testing.T) {
	words := []string{"[", "]", "(", ")", "!", "<", ">", ":", " ", "\n", "\t", "```", "`", "# ", "> ", "* ", "javascript:x", "https://a.example/?b&c", "http://u@h/", "pic.png", "../x", "\\\\srv\\x", "^1", "<b>", "<https://a.example>", "<!--", "&#x6a;", "字", "](x)", "![a](b.png)", "[d]: ", "[d]:\n> ", "mailto:a@b.example", "data:x"}
	if clean := both(t, "a.md", "x", "", words, 20_000); clean < 19_000 {
		t.Errorf("only %d texts were clean", clean)
	}
}
