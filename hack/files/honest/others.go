package honest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"mime"
	"strings"

	"github.com/xuri/excelize/v2"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"
)

func keys(m map[string]string) iter.Seq[string] { return maps.Keys(m) }

// must is for writers to memory.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// scene is a picture with areas, edges and grain, as a camera makes them.
func scene(d *rand.Rand, w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	fx, fy := 20+d.Float64()*60, 20+d.Float64()*60
	for y := range h {
		for x := range w {
			v := 128 + 60*math.Sin(float64(x)/fx) + 50*math.Cos(float64(y)/fy) + float64(d.IntN(24))
			c := color.RGBA{byte(max(0, min(255, v))), byte(max(0, min(255, 200-v/2+float64(y*50/h)))), byte(max(0, min(255, v/2+float64(x*60/w)))), 255}
			if x%200 < 3 || y%150 < 3 {
				c = color.RGBA{30, 30, 40, 255}
			}
			img.SetRGBA(x, y, c)
		}
	}
	return img
}

func photo(d *rand.Rand, w, h int) []byte {
	var b bytes.Buffer
	must(jpeg.Encode(&b, scene(d, w, h), &jpeg.Options{Quality: 88}))
	return b.Bytes()
}

func pictures(small bool) []File {
	var out []File
	sizes := [][2]int{{320, 240}, {640, 480}, {1600, 1200}, {2400, 1800}, {3600, 2700}}
	if small {
		sizes = sizes[:2]
	}
	for i, s := range sizes {
		name := fmt.Sprintf("現場写真%d", i+1)
		img := scene(dice(name), s[0], s[1])
		gray := image.NewGray(img.Rect)
		flat := image.NewPaletted(img.Rect, color.Palette{color.Black, color.White, color.RGBA{200, 40, 40, 255}, color.RGBA{40, 90, 200, 255}})
		for y := range s[1] {
			for x := range s[0] {
				gray.Set(x, y, img.At(x, y))
				flat.SetColorIndex(x, y, uint8((x/40+y/30)%4))
			}
		}
		add := func(ext string, write func(*bytes.Buffer) error) {
			var b bytes.Buffer
			must(write(&b))
			out = append(out, File{name + ext, "Go", true, b.Bytes()})
		}
		add(".jpg", func(b *bytes.Buffer) error { return jpeg.Encode(b, img, &jpeg.Options{Quality: 90}) })
		add("-白黒.jpg", func(b *bytes.Buffer) error { return jpeg.Encode(b, gray, nil) })
		add("-図.png", func(b *bytes.Buffer) error { return png.Encode(b, flat) })
		add("-図.gif", func(b *bytes.Buffer) error { return gif.Encode(b, flat, nil) })
		add("-図.tif", func(b *bytes.Buffer) error { return tiff.Encode(b, flat, &tiff.Options{Compression: tiff.Deflate}) })
		if s[0] <= 2400 {
			add(".png", func(b *bytes.Buffer) error { return png.Encode(b, img) })
		}
		if s[0] <= 1600 {
			add(".bmp", func(b *bytes.Buffer) error { return bmp.Encode(b, gray) })
			add(".tiff", func(b *bytes.Buffer) error { return tiff.Encode(b, gray, nil) })
		}
	}
	return out
}

func texts(small bool) []File {
	var out []File
	lines := map[string]int{"お知らせ": 20, "議事メモ": 200, "記録": 20_000}
	if small {
		delete(lines, "記録")
	}
	for name, n := range lines {
		d := dice(name)
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "%d　%s\r\n", i+1, sentence(d, true))
		}
		for set, e := range map[string]encoding.Encoding{"UTF-8": nil, "SJIS": japanese.ShiftJIS, "EUC": japanese.EUCJP, "JIS": japanese.ISO2022JP, "UTF-16": unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)} {
			text := b.String()
			if set != "UTF-8" && set != "UTF-16" {
				text = strings.NewReplacer("髙", "高", "﨑", "崎").Replace(text)
			}
			body := []byte(text)
			if e != nil {
				var err error
				body, err = e.NewEncoder().Bytes([]byte(text))
				must(err)
			}
			out = append(out, File{name + "-" + set + ".txt", "an editor, " + set, true, body})
		}
		var c strings.Builder
		c.WriteString("番号,氏名,金額,備考\r\n")
		for i := range n {
			fmt.Fprintf(&c, "%d,%s,-%d,\"%s\"\r\n", i+1, word(d, true), d.IntN(1e6), sentence(d, true))
		}
		sjis, err := japanese.ShiftJIS.NewEncoder().String(strings.NewReplacer("髙", "高", "﨑", "崎").Replace(c.String()))
		must(err)
		out = append(out, File{name + ".csv", "a spreadsheet, UTF-8", true, []byte("\xEF\xBB\xBF" + c.String())}, File{name + "-SJIS.csv", "a spreadsheet, Shift_JIS", true, []byte(sjis)},
			File{name + ".md", "an editor", true, []byte("# " + title(name, true) + "\n\n- " + sentence(d, true) + "\n- [町](https://www.town.example/)\n")},
			File{name + ".json", "a program", true, fmt.Appendf(nil, "{\"名前\": %q, \"値\": [1, 2.50, -3e2, true, null]}\n", sentence(d, true))},
			File{name + ".xml", "a program", true, []byte(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<申請 番号=\"1\"><氏名>" + escaped(word(d, true)) + "</氏名><備考>" + escaped(sentence(d, true)) + "</備考></申請>\n")},
			File{name + ".svg", "a drawing program", true, []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="200" height="100"><rect width="200" height="100" fill="#eef"/><text x="10" y="40" font-size="16">` + escaped(word(d, true)) + `</text><path d="M10 60 L190 60" stroke="black"/></svg>`)})
	}
	return out
}

// workbooks are written by another library than the product's rebuilder uses, straight and as streams.
func workbooks(small bool) []File {
	var out []File
	sizes := map[string]int{"支給台帳": 50, "納付一覧": 3_000, "年次統計": 12_000, "stock": 500}
	for name, rows := range sizes {
		if small {
			rows = min(rows, 100)
		}
		ja := name != "stock"
		d := dice(name)
		f := excelize.NewFile()
		must(f.SetSheetName("Sheet1", "一覧"))
		for r := range rows {
			for c, v := range []any{r + 1, word(d, ja), d.IntN(1e6), d.Float64() * 1000, sentence(d, ja)} {
				cell, err := excelize.CoordinatesToCellName(c+1, r+1)
				must(err)
				must(f.SetCellValue("一覧", cell, v))
			}
		}
		must(f.SetCellFormula("一覧", "F1", "SUM(C1:C10)"))
		must(f.MergeCell("一覧", "G1", "H2"))
		_, err := f.NewSheet("図")
		must(err)
		must(f.AddChart("図", "B2", &excelize.Chart{Type: excelize.Col, Series: []excelize.ChartSeries{{Name: "一覧!$B$1", Categories: "一覧!$B$1:$B$5", Values: "一覧!$C$1:$C$5"}}}))
		must(f.AddPictureFromBytes("図", "B20", &excelize.Picture{Extension: ".jpg", File: photo(d, 320, 240)}))
		must(f.AddComment("一覧", excelize.Comment{Cell: "A1", Author: "税務課", Text: "要確認"}))
		var b bytes.Buffer
		must(f.Write(&b))
		out = append(out, File{name + ".xlsx", "excelize", ja, b.Bytes()})
	}
	return out
}

// mails carry some of the files.
func mails(files []File) []File {
	var out []File
	for i, f := range files {
		if i%23 != 0 || len(f.Body) > 2<<20 {
			continue
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "From: %s <zeimu@town.example>\r\nTo: kikaku@town.example\r\nSubject: %s\r\nDate: Sun, 22 Nov 2026 09:00:00 +0900\r\nMessage-ID: <%d@town.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=_b\"\r\n\r\n",
			mime.BEncoding.Encode("UTF-8", "税務課"), mime.BEncoding.Encode("UTF-8", "資料の送付（"+f.Name+"）"), i)
		body, err := japanese.ISO2022JP.NewEncoder().String("お世話になっております。\r\n資料をお送りします。\r\n")
		must(err)
		fmt.Fprintf(&b, "--=_b\r\nContent-Type: text/plain; charset=ISO-2022-JP\r\nContent-Transfer-Encoding: 7bit\r\n\r\n%s\r\n", body)
		fmt.Fprintf(&b, "--=_b\r\nContent-Type: application/octet-stream; name=\"%s\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"%s\"\r\n\r\n", mime.BEncoding.Encode("UTF-8", f.Name), mime.BEncoding.Encode("UTF-8", f.Name))
		text := base64.StdEncoding.EncodeToString(f.Body)
		for len(text) > 76 {
			b.WriteString(text[:76] + "\r\n")
			text = text[76:]
		}
		b.WriteString(text + "\r\n--=_b--\r\n")
		out = append(out, File{fmt.Sprintf("連絡%d.eml", i), "a mail program", true, b.Bytes()})
	}
	return out
}

// archives hold some of the files, with names in UTF-8 and in Shift_JIS.
func archives(files []File) []File {
	var out []File
	for i, f := range files {
		if i%29 != 3 || len(f.Body) > 2<<20 {
			continue
		}
		var z, t bytes.Buffer
		w := zip.NewWriter(&z)
		sjis, err := japanese.ShiftJIS.NewEncoder().String("資料/" + f.Name)
		must(err)
		m, err := w.CreateHeader(&zip.FileHeader{Name: sjis, NonUTF8: true, Method: zip.Deflate})
		must(err)
		_, err = m.Write(f.Body)
		must(err)
		must(w.Close())
		out = append(out, File{fmt.Sprintf("送付%d.zip", i), "an archiver, Shift_JIS names", true, z.Bytes()})
		g := gzip.NewWriter(&t)
		a := tar.NewWriter(g)
		must(a.WriteHeader(&tar.Header{Name: "資料/" + f.Name, Mode: 0o644, Size: int64(len(f.Body))}))
		_, err = a.Write(f.Body)
		must(err)
		must(a.Close())
		must(g.Close())
		out = append(out, File{fmt.Sprintf("送付%d.tar.gz", i), "tar", true, t.Bytes()})
	}
	return out
}
