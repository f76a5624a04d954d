package hostile

import (
	"bytes"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
)

// tables are formulas in CSV. Text stays, so there is no marker: the judge looks at the cells' beginnings.
func tables() []File {
	var out []File
	for technique, cell := range map[string]string{
		"DDE": `=cmd|'/c calc'!A1`, "plus": `+cmd|'/c calc'!A1`, "minus": `-2+3+cmd|'/c calc'!A1`, "at": `@SUM(1+1)*cmd|'/c calc'!A1`, "link": `=HYPERLINK("http://198.51.100.66/a","x")`, "quoted": `"=cmd|'/c calc'!A1"`, "full width": "＝cmd|'/c calc'!A1", "behind a tab": "\t=cmd|'/c calc'!A1",
		"behind a space": ` =cmd|'/c calc'!A1`, "web": `=WEBSERVICE("http://198.51.100.66/a")`, "in quotes over lines": "\"=cmd|'/c\ncalc'!A1\"",
	} {
		for _, set := range []struct{ name, line string }{{"表.csv", "名前," + cell + "," + Kept + "\r\n"}, {"表.tsv", "名前\t" + cell + "\t" + Kept + "\r\n"}} {
			if technique == "behind a tab" && set.name == "表.tsv" {
				continue // an empty cell, and the formula
			}
			out = append(out, File{Name: set.name, Technique: "formula " + technique, Nesting: "bare", Body: []byte(set.line)})
		}
	}
	return sorted(out)
}

var tinyPNG = func() []byte {
	img := image.NewNRGBA(image.Rect(0, 0, 8, 8))
	for i := range 8 {
		img.Set(i, i, color.NRGBA{200, 30, 30, 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err) // to memory
	}
	return b.Bytes()
}()

// pictures carry data that nobody sees.
func pictures() []File {
	var out []File
	add := func(name, technique string, body []byte) {
		out = append(out, File{Name: name, Technique: technique, Nesting: "bare", Body: body})
	}
	img := image.NewPaletted(image.Rect(0, 0, 16, 16), color.Palette{color.Black, color.White})
	var j, g bytes.Buffer
	if err := jpeg.Encode(&j, img, nil); err != nil {
		panic(err)
	}
	if err := gif.Encode(&g, img, nil); err != nil {
		panic(err)
	}
	segment := func(marker byte, body string) []byte {
		n := len(body) + 2
		return append(append(append([]byte{}, j.Bytes()[:2]...), append([]byte{0xFF, marker, byte(n >> 8), byte(n)}, body...)...), j.Bytes()[2:]...)
	}
	add("写真.jpg", "EXIF", segment(0xE1, "Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00"+Marker))
	add("写真.jpg", "XMP", segment(0xE1, "http://ns.adobe.com/xap/1.0/\x00<x>"+Marker+"</x>"))
	add("写真.jpg", "comment", segment(0xFE, "<?php "+Marker))
	add("写真.jpg", "IPTC", segment(0xED, "Photoshop 3.0\x00"+Marker))
	add("写真.jpg", "colour profile", segment(0xE2, "ICC_PROFILE\x00\x01\x01"+Marker))
	add("写真.jpg", "unknown segment", segment(0xEB, Marker))
	for what, tail := range map[string]string{"text": Marker, "script": "<script>" + Marker + "</script>", "archive": string(zipped(member{"a.exe", []byte(Marker)}))} {
		add("写真.jpg", "tail, "+what, append(bytes.Clone(j.Bytes()), tail...))
		add("図.png", "tail, "+what, append(bytes.Clone(tinyPNG), tail...))
		add("図.gif", "tail, "+what, append(bytes.Clone(g.Bytes()), tail...))
	}
	chunk := func(kind, body string) []byte {
		return append(append(bytes.Clone(tinyPNG[:33]), pngChunk(kind, body)...), tinyPNG[33:]...)
	}
	add("図.png", "text", chunk("tEXt", "Comment\x00"+Marker))
	add("図.png", "international text", chunk("iTXt", "x\x00\x00\x00\x00\x00"+Marker))
	add("図.png", "EXIF", chunk("eXIf", "II*\x00\x08\x00\x00\x00\x00\x00"+Marker))
	add("図.png", "colour profile", chunk("iCCP", "x\x00\x00"+Marker))
	add("図.png", "private chunk", chunk("skSh", Marker))
	trailer := g.Len() - 1
	add("図.gif", "comment", append(append(bytes.Clone(g.Bytes()[:trailer]), append([]byte{0x21, 0xFE, byte(len(Marker))}, Marker...)...), 0, 0x3B))
	add("図.gif", "application block", append(append(bytes.Clone(g.Bytes()[:trailer]), append([]byte{0x21, 0xFF, 11}, append([]byte("XMP DataXMP"), append([]byte{byte(len(Marker))}, Marker...)...)...)...), 0, 0x3B))
	return sorted(out)
}
