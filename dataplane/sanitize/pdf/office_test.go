package pdf_test

import (
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// A document of a town, as LibreOffice makes a PDF of it: Japanese text, in columns too, tables and links come out letter by letter.
func TestDocumentsOfAnOffice(t *testing.T) {
	const body = `<html><head><meta charset="utf-8"></head><body style="font-family:'Noto Sans CJK JP','IPAexGothic',sans-serif">
<h1>住民税のお知らせ</h1><p>髙橋 﨑山 様 ①②③ ㈱関所 <a href="https://www.example.jp/">案内</a></p>
<table border="1"><tr><td>年度</td><td>金額</td></tr><tr><td>令和七年</td><td>12,345円</td></tr></table>
<p style="writing-mode:vertical-rl">縦書きの文</p></body></html>`
	a := tool.Answer(t.Context(), verdict.Need{ID: "x", Kind: "convert", Options: map[string]string{"from": "html", "to": "pdf"}, Body: []byte(body)})
	if a.Failed != "" {
		t.Fatalf("LibreOffice: %s %s", a.Failed, a.Detail)
	}
	rep, out := clean(t, a.Body, sanitize.Options{})
	before, after := words(t, a.Body), words(t, []byte(out))
	if before != after || !strings.Contains(after, "住民税") || !strings.Contains(after, "髙橋 﨑山") {
		t.Errorf("text before:\n%s\nafter:\n%s", before, after)
	}
	if !strings.Contains(out, "https://www.example.jp/") || reported(rep, "pdf.flattened", "p1") {
		t.Errorf("got %+v", rep.Findings)
	}
}
