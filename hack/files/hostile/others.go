package hostile

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"image"
	"strings"
	"unicode/utf16"

	"github.com/ulikunitz/xz"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/sekisho/sekisho/dataplane/sanitize/archive/archivetest"
	"github.com/sekisho/sekisho/dataplane/sanitize/compound/compoundtest"
)

// program is what stands where a program would.
var program = "MZ\x90\x00" + strings.Repeat(Marker+"\x00", 40)

// bzipped is the beginning of program, packed by bzip2, which Go does not write.
const bzipped = "QlpoOTFBWSZTWRlka/YAAAbfIEAAAAIiAAJujBAUAEAAIAAiIGgaemUKGmmABPBeA1pGgpb144SV8XckU4UJAZZGv2A="

// others are of the kinds that the other lists leave out: rarer pictures and archives, mails of Outlook, and what LibreOffice converts.
func others() []File {
	var out []File
	add := func(name, technique string, body string, blocked bool) {
		out = append(out, File{Name: name, Technique: technique, Nesting: "bare", Body: []byte(body), Blocked: blocked})
	}
	add("記録.txt", "terminal escapes", Kept+"\x1B[2J\x1B[8m\u202E\r\n", false)
	add("記録.txt", "zeros before a program", "\x00\x00"+program, true)

	var b bytes.Buffer
	img := image.NewGray(image.Rect(0, 0, 16, 16))
	must(bmp.Encode(&b, img))
	add("図.bmp", "tail", b.String()+Marker, false)
	add("図.bmp", "gap before the pixels", gapped(b.Bytes()), false)
	b.Reset()
	must(tiff.Encode(&b, img, nil))
	add("図.tif", "description", described(b.Bytes()), false)
	webp := unpacked(still)
	add("図.webp", "chunk behind the picture", riff(webp[12:]+"XMP "+string(binary.LittleEndian.AppendUint32(nil, uint32(len(Marker))))+Marker), false)
	add("写真.heic", "box behind the picture", unpacked(photo)+string(binary.BigEndian.AppendUint32(nil, uint32(8+len(Marker))))+"free"+Marker, false)

	add("資料.7z", "way out", string(archivetest.SevenZip(0x20, []string{"../" + Marker + ".txt"}, "x")), true)
	add("資料.7z", "program", string(archivetest.SevenZip(0x20, []string{"a.exe"}, program)), true)
	add("資料.lzh", "way out", string(archivetest.LZH(0, "-lh0-", `..\`, "a.txt", Marker, []byte(Marker)))+"\x00", true)
	add("資料.lzh", "program", string(archivetest.LZH(0, "-lh0-", "", "a.exe", program, []byte(program)))+"\x00", true)
	b.Reset()
	g := gzip.NewWriter(&b)
	write(g, program)
	must(g.Close())
	add("a.exe.gz", "program", b.String(), true)
	add("a.exe.bz2", "program", unpacked(bzipped), true)
	b.Reset()
	x, err := xz.NewWriter(&b)
	must(err)
	write(x, program)
	must(x.Close())
	add("a.exe.xz", "program", b.String(), true)

	add("連絡.msg", "program attached", string(compoundtest.File(map[string]string{
		"__properties_version1.0": strings.Repeat("\x00", 32), "__substg1.0_0037001F": wide("x"), "__substg1.0_1000001F": wide(Kept),
		"__attach_version1.0_#00000000/__properties_version1.0": strings.Repeat("\x00", 8), "__attach_version1.0_#00000000/__substg1.0_3707001F": wide("a.exe"), "__attach_version1.0_#00000000/__substg1.0_37010102": program,
	})), false)

	add("文書.doc", "macros", string(compoundtest.File(map[string]string{"WordDocument": "\xEC\xA5\xC1\x00" + Marker, "Macros/VBA/_VBA_PROJECT": Marker, "Macros/VBA/dir": Marker})), true)
	add("表.xls", "macros", string(compoundtest.File(map[string]string{"Workbook": "\x09\x08\x02\x00\x00\x06" + Marker, "_VBA_PROJECT_CUR/VBA/dir": Marker})), true)
	add("説明.ppt", "object", string(compoundtest.File(map[string]string{"PowerPoint Document": "\x0F\x00\xE8\x03\x00\x00\x00\x00" + Marker, "\x01Ole10Native": Marker})), true)
	add("文書.rtf", "object", `{\rtf1\ansi `+Kept+`{\object\objemb{\*\objclass Package}{\*\objdata `+hexed(program)+`}}\par}`, false)
	add("表.xlsb", "macros", string(zipped(member{"[Content_Types].xml", []byte(`<Types><Override PartName="/xl/workbook.bin" ContentType="application/vnd.ms-excel.sheet.binary.macroEnabled.main"/></Types>`)},
		member{"xl/workbook.bin", []byte(Marker)}, member{"xl/vbaProject.bin", []byte(Marker)})), true)
	add("頁.mht", "script", "MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<html><body><p>"+Kept+"</p><script>"+Marker+"</script></body></html>\r\n--b--\r\n", false)
	return sorted(out)
}

// still is a WebP and photo a HEIC of four colors, as libwebp and libheif write them: no program that writes them is installed.
const (
	still = "UklGRkYAAABXRUJQVlA4TDoAAAAvP8APAB8gECAUCVcnRyHbCNDYzh/lRRAIEEcihGuSMP/xr4ESApEAiSc96UkTA2gR/Z+A4tG3YdA3"
	photo = "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAUJtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAAA5waXRtAAAAAAABAAAAImlsb2MAAAAAREAAAQABAAAAAAFmAA" +
		"EAAAAAAAAAOAAAACNpaW5mAAAAAAABAAAAFWluZmUCAAAAAAEAAGh2YzEAAAAAwmlwcnAAAACkaXBjbwAAAHhodmNDAQNwAAAAAAAAAAAAHvAA/P34+AAADwMgAAEAGEABDAH//wNwAAADAJAAAAMA" +
		"AAMAHroCQCEAAQArQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqSSmubgQEDAgAAAMACAAAAwAIQCIAAQAHRAHBcrAiQAAAABRpc3BlAAAAAAAAAEAAAABAAAAAEHBpeGkAAAAAAwgICAAAABZpcG1hAA" +
		"AAAAAAAAEAAQOBAoMAAABAbWRhdAAAADQoAa9Y+Q6SX//xnr//YlJD5rdokt804D/WyJ/52cuX/8pzMfQDG/6E3934fv6S33cRXQMV"
)

func must(err error) {
	if err != nil {
		panic(err) // to memory
	}
}

func write(w interface{ Write([]byte) (int, error) }, s string) {
	_, err := w.Write([]byte(s))
	must(err)
}

func unpacked(s string) string {
	b, err := base64.StdEncoding.DecodeString(s)
	must(err)
	return string(b)
}

func wide(s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

func hexed(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteString("0123456789abcdef"[s[i]>>4 : s[i]>>4+1])
		b.WriteString("0123456789abcdef"[s[i]&15 : s[i]&15+1])
	}
	return b.String()
}

// riff is a WebP of the chunks.
func riff(chunks string) string {
	return "RIFF" + string(binary.LittleEndian.AppendUint32(nil, uint32(4+len(chunks)))) + "WEBP" + chunks
}

// gapped has the marker between the headers of a BMP and its pixels.
func gapped(b []byte) string {
	le := binary.LittleEndian
	at := le.Uint32(b[10:])
	out := append(append(bytes.Clone(b[:at]), Marker...), b[at:]...)
	le.PutUint32(out[10:], at+uint32(len(Marker)))
	le.PutUint32(out[2:], uint32(len(out)))
	return string(out)
}

// described is a TIFF with the marker as its description (tag 270), which has to stand before the greater tags.
func described(b []byte) string {
	le := binary.LittleEndian
	at := le.Uint32(b[4:])
	n := int(le.Uint16(b[at:]))
	out := append(bytes.Clone(b), Marker...)
	dir := le.AppendUint16(nil, uint16(n+1))
	placed := false
	for i := range n {
		e := b[int(at)+2+12*i:][:12]
		if tag := le.Uint16(e); tag > 270 && !placed {
			dir = le.AppendUint32(le.AppendUint32(append(dir, 0x0E, 1, 2, 0), uint32(len(Marker))), uint32(len(b)))
			placed = true
		}
		dir = append(dir, e...)
	}
	le.PutUint32(out[4:], uint32(len(out)))
	return string(append(append(out, dir...), 0, 0, 0, 0))
}
