package honest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strings"
	"unicode/utf16"

	"github.com/ulikunitz/xz"

	"github.com/sekisho/sekisho/dataplane/sanitize/archive/archivetest"
	"github.com/sekisho/sekisho/dataplane/sanitize/compound/compoundtest"
)

// Of kinds that no program here writes: a WebP by libwebp, a HEIC by libheif, a line of text by bzip2.
const (
	still      = "UklGRkYAAABXRUJQVlA4TDoAAAAvP8APAB8gECAUCVcnRyHbCNDYzh/lRRAIEEcihGuSMP/xr4ESApEAiSc96UkTA2gR/Z+A4tG3YdA3"
	photograph = "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAUJtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAAA5waXRtAAAAAAABAAAAImlsb2MAAAAAREAAAQABAAAAAAFmAA" +
		"EAAAAAAAAAOAAAACNpaW5mAAAAAAABAAAAFWluZmUCAAAAAAEAAGh2YzEAAAAAwmlwcnAAAACkaXBjbwAAAHhodmNDAQNwAAAAAAAAAAAAHvAA/P34+AAADwMgAAEAGEABDAH//wNwAAADAJAAAAMA" +
		"AAMAHroCQCEAAQArQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqSSmubgQEDAgAAAMACAAAAwAIQCIAAQAHRAHBcrAiQAAAABRpc3BlAAAAAAAAAEAAAABAAAAAEHBpeGkAAAAAAwgICAAAABZpcG1hAA" +
		"AAAAAAAAEAAQOBAoMAAABAbWRhdAAAADQoAa9Y+Q6SX//xnr//YlJD5rdokt804D/WyJ/52cuX/8pzMfQDG/6E3934fv6S33cRXQMV"
	bzipped = "QlpoOTFBWSZTWUpon+UAAAVAcQASMDAACIIACIAgACIBoZCAaaaIwuAyO8l4u5IpwoSCU0T/KA=="
)

// rare are one each of the kinds that come seldom.
func rare() []File {
	const news = "お知らせ\r\n"
	unpacked := func(s string) []byte {
		b, err := base64.StdEncoding.DecodeString(s)
		must(err)
		return b
	}
	var b bytes.Buffer
	x, err := xz.NewWriter(&b)
	must(err)
	_, err = x.Write([]byte(news))
	must(err)
	must(x.Close())
	var tape bytes.Buffer
	w := tar.NewWriter(&tape)
	must(w.WriteHeader(&tar.Header{Name: "資料/記録.txt", Mode: 0o644, Size: int64(len(news))}))
	_, err = w.Write([]byte(news))
	must(err)
	must(w.Close())
	message := compoundtest.File(map[string]string{
		"__properties_version1.0": strings.Repeat("\x00", 32), "__substg1.0_0037001F": string(wide("資料の送付")), "__substg1.0_1000001F": string(wide("資料をお送りします。\r\n")), "__substg1.0_0C1A001F": string(wide("税務課")),
		"__attach_version1.0_#00000000/__properties_version1.0": strings.Repeat("\x00", 8), "__attach_version1.0_#00000000/__substg1.0_3707001F": string(wide("資料.txt")), "__attach_version1.0_#00000000/__substg1.0_37010102": strings.Repeat(news, 300), // not filled up
	})
	page := "MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte("<html><head><meta charset=utf-8></head><body><p>"+news+"</p></body></html>")) + "\r\n--b--\r\n"
	return []File{
		{"図.webp", "libwebp", true, unpacked(still)}, {"写真.heic", "libheif", true, unpacked(photograph)}, {"記録.txt.bz2", "bzip2", true, unpacked(bzipped)}, {"記録.txt.xz", "xz", true, b.Bytes()},
		{"送付.7z", "an archiver", true, archivetest.SevenZip(0x20, []string{"資料/", "資料/記録.txt"}, news)}, {"送付.lzh", "an archiver", true, append(archivetest.LZH(0, "-lh0-", "", "NEWS.TXT", "news\r\n", []byte("news\r\n")), 0)},
		{"送付.tar", "tar", true, tape.Bytes()}, {"連絡.msg", "Outlook's form", true, message}, {"頁.mht", "a browser's form", true, []byte(page)}, {"表.xlsb", "Excel's form", true, binaryWorkbook()},
	}
}

func wide(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// binaryWorkbook is a table of one row in the records of [MS-XLSB].
func binaryWorkbook() []byte {
	le := binary.LittleEndian
	record := func(kind int, body ...[]byte) []byte { // 2.1.4
		all := bytes.Join(body, nil)
		out := []byte{byte(kind)}
		if kind >= 0x80 {
			out = []byte{byte(kind)&0x7F | 0x80, byte(kind >> 7)}
		}
		n := len(all)
		for ; n >= 0x80; n >>= 7 {
			out = append(out, byte(n)&0x7F|0x80)
		}
		return append(append(out, byte(n)), all...)
	}
	numbers := func(v ...uint32) (b []byte) {
		for _, n := range v {
			b = le.AppendUint32(b, n)
		}
		return b
	}
	text := func(s string) []byte {
		w := wide(s)
		return append(numbers(uint32(len(w)/2)), w...)
	}
	book := bytes.Join([][]byte{record(131), record(143), record(156, numbers(0, 1), text("rId1"), text("表")), record(144), record(132)}, nil)
	row := record(0, numbers(0, 0), []byte{44, 1, 0, 0, 0}, numbers(1, 0, 1))
	sheet := bytes.Join([][]byte{record(129), record(145), row, record(5, numbers(0, 0), le.AppendUint64(nil, math.Float64bits(12.5))), record(6, numbers(1, 0), text("お知らせ")), record(146), record(130)}, nil)
	relation := func(kind, target string) []byte {
		return []byte(`<?xml version="1.0" encoding="UTF-8"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/` + kind + `" Target="` + target + `"/></Relationships>`)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, p := range []struct {
		name string
		body []byte
	}{
		{"[Content_Types].xml", []byte(`<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
			`<Override PartName="/xl/workbook.bin" ContentType="application/vnd.ms-excel.sheet.binary.macroEnabled.main"/><Override PartName="/xl/worksheets/sheet1.bin" ContentType="application/vnd.ms-excel.worksheet"/></Types>`)},
		{"_rels/.rels", relation("officeDocument", "xl/workbook.bin")}, {"xl/_rels/workbook.bin.rels", relation("worksheet", "worksheets/sheet1.bin")}, {"xl/workbook.bin", book}, {"xl/worksheets/sheet1.bin", sheet},
	} {
		w, err := z.Create(p.name)
		must(err)
		_, err = w.Write(p.body)
		must(err)
	}
	must(z.Close())
	return b.Bytes()
}
