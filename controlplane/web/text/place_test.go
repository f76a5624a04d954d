package text_test

import (
	"testing"

	"github.com/sekisho/sekisho/controlplane/web/text"
)

func TestPlacesInTheWordsOfAReader(t *testing.T) {
	for place, want := range map[string]string{
		"p12": "12ページ", "L5": "5行目", "R1C2": "1行目の2列目", "word/document.xml": "本文", "content.xml": "本文",
		"ppt/slides/slide3.xml": "スライド(slide3)", "xl/worksheets/sheet1.xml": "シート(sheet1)", "xl/workbook.xml": "ブック全体",
		"資料.zip/案内.docx/word/header1.xml": "資料.zip/案内.docx: ヘッダー", "資料.zip/p1": "資料.zip: 1ページ",
		"word/media/a.png": "画像(a.png)", "xl/comments1.xml": "コメント", "": "", "a.exe": "a.exe", "Sheet1!B3": "Sheet1!B3", "docx/p1x": "docx/p1x", "xp1": "xp1",
	} {
		if got := text.JA.Place(place); got != want {
			t.Errorf("%q: got %q, want %q", place, got, want)
		}
	}
	if got := text.EN.Place("p12"); got != "page 12" {
		t.Errorf("in English: %q", got)
	}
}
