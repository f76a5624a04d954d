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
