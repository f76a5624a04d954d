package verify

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zlib"

	"github.com/sekisho/sekisho/dataplane/sanitize/picture/dct"
)

// A small maker of files, so that a test can write what a faulty rebuilder would. Pictures come from the standard library's
// encoders; a JPEG is then coded as the rebuilder does.

func smallPNG(t *testing.T) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, 7, 5))
	img.Set(3, 2, color.NRGBA{200, 30, 30, 128})
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func smallJPEG(t *testing.T) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 33, 21))
	for i := range img.Pix {
		img.Pix[i] = byte(i * 7)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	m, _, err := dct.Read(t.Context(), b.Bytes(), dct.Limits{Size: func(int, int) error { return nil }, Bytes: 1 << 20, Scans: 1, Work: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.Write(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// chunk is one PNG chunk with its checksum.
func chunk(kind string, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = append(append(b, kind...), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// pngOf makes a grey 8-bit picture whose packed data come from lines.
func pngOf(w, h uint32, lines []byte, extra ...[]byte) []byte {
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
	b := append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", append(head, 8, 0, 0, 0, 0))...)
	for _, e := range extra {
		b = append(b, e...)
	}
	var z bytes.Buffer
	zw := zlib.NewWriter(&z)
	zw.Write(lines)
	zw.Close()
	return append(append(b, chunk("IDAT", z.Bytes())...), chunk("IEND", nil)...)
}

// behind puts bytes behind the first marker of a JPEG or the signature and header of a PNG.
func behind(b []byte, at int, insert []byte) []byte {
	return slices.Concat(b[:at], insert, b[at:])
}

// pack is a document before it is zipped: parts in order.
type pack struct {
	names []string
	body  map[string]string
}

func (p *pack) set(name, body string) *pack {
	if _, ok := p.body[name]; !ok {
		p.names = append(p.names, name)
	}
	p.body[name] = body
	return p
}

func (p *pack) replace(name, old, new string) *pack {
	if !strings.Contains(p.body[name], old) {
		panic(fmt.Sprintf("%s holds no %q", name, old))
	}
	p.body[name] = strings.Replace(p.body[name], old, new, 1)
	return p
}

// override adds a content type, relate a relationship.
func (p *pack) override(part, typ string) *pack {
	return p.replace(typesName, "</Types>", `<Override PartName="/`+part+`" ContentType="`+typ+`"/></Types>`)
}

func (p *pack) relate(rels, id, typ, target string, more ...string) *pack {
	if p.body[rels] == "" {
		p.set(rels, `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"></Relationships>`)
	}
	if !strings.Contains(typ, "/") {
		typ = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/" + typ
	}
	return p.replace(rels, "</Relationships>", fmt.Sprintf(`<Relationship Id="%s" Type="%s" Target="%s"%s/></Relationships>`, id, typ, target, strings.Join(append([]string{""}, more...), " ")))
}

func (p *pack) zip() []byte { return zipOf(p.names, p.body, zipFault{}) }

// What the tests of the container write, by PKWARE's APPNOTE.
const (
	typesName          = "[Content_Types].xml"
	officeType         = "application/vnd.openxmlformats-officedocument."
	localSignature     = 0x04034b50
	directorySignature = 0x02014b50
	endSignature       = 0x06054b50
)

// zipFault says what the container does wrong.
type zipFault struct {
	descriptor, extra, comment, wrongLocal, wrongCRC, gap, encrypted, twice bool
	method                                                                  uint16
	tail                                                                    string
	bomb                                                                    int
}

// zipOf writes the plain layout: sizes in front, no extra fields.
func zipOf(names []string, body map[string]string, fault zipFault) []byte {
	var out, dir bytes.Buffer
	n := 0
	u16 := func(b *bytes.Buffer, vs ...int) {
		for _, v := range vs {
			binary.Write(b, binary.LittleEndian, uint16(v))
		}
	}
	u32 := func(b *bytes.Buffer, vs ...int) {
		for _, v := range vs {
			binary.Write(b, binary.LittleEndian, uint32(v))
		}
	}
	if fault.twice {
		names = append(slices.Clone(names), names[len(names)-1])
	}
	for i, name := range names {
		last := i == len(names)-1
		plain := []byte(body[name])
		var packed bytes.Buffer
		w, _ := flate.NewWriter(&packed, 5)
		w.Write(plain)
		w.Close()
		method, crc, size, flags := 8, crc32.ChecksumIEEE(plain), len(plain), 0
		if last {
			if fault.method != 0 {
				method = int(fault.method)
			}
			if fault.wrongCRC {
				crc++
			}
			if fault.encrypted {
				flags |= 1
			}
			if fault.bomb > 0 {
				size = fault.bomb
			}
		}
		if fault.gap && last {
			out.WriteString("hidden")
		}
		at := out.Len()
		local := name
		if fault.wrongLocal && last {
			local = strings.ToUpper(name)
		}
		var extra string
		if fault.extra && last {
			extra = "\x55\x54\x05\x00\x01\x00\x00\x00\x00"
		}
		if fault.descriptor && last {
			u32(&out, localSignature)
			u16(&out, 20, 8, method, 0, 0x21)
			u32(&out, 0, 0, 0)
			u16(&out, len(local), len(extra))
			out.WriteString(local + extra)
			out.Write(packed.Bytes())
			u32(&out, 0x08074b50, int(crc), packed.Len(), size)
			flags |= 8
		} else {
			u32(&out, localSignature)
			u16(&out, 20, flags, method, 0, 0x21)
			u32(&out, int(crc), packed.Len(), size)
			u16(&out, len(local), len(extra))
			out.WriteString(local + extra)
			out.Write(packed.Bytes())
		}
		u32(&dir, directorySignature)
		u16(&dir, 20, 20, flags, method, 0, 0x21)
		u32(&dir, int(crc), packed.Len(), size)
		u16(&dir, len(name), len(extra), 0, 0, 0)
		u32(&dir, 0, at)
		dir.WriteString(name + extra)
		n++
	}
	start := out.Len()
	out.Write(dir.Bytes())
	u32(&out, endSignature)
	u16(&out, 0, 0, n, n)
	u32(&out, dir.Len(), start)
	if fault.comment {
		u16(&out, 4)
		out.WriteString("note")
	} else {
		u16(&out, 0)
	}
	out.WriteString(fault.tail)
	return out.Bytes()
}

const (
	nsW   = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
	nsX   = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
	nsP   = "http://schemas.openxmlformats.org/presentationml/2006/main"
	nsA   = "http://schemas.openxmlformats.org/drawingml/2006/main"
	nsR   = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	rels1 = `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`
)

func base(main, mainType string) *pack {
	p := &pack{body: map[string]string{}}
	p.set(typesName, `<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">`+
		`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>`+
		`<Default Extension="png" ContentType="image/png"/><Default Extension="jpeg" ContentType="image/jpeg"/></Types>`)
	p.set("_rels/.rels", rels1+`</Relationships>`)
	p.relate("_rels/.rels", "rId1", "officeDocument", main)
	return p.override(main, mainType)
}

func docx(t *testing.T) *pack {
	p := base("word/document.xml", officeType+"wordprocessingml.document.main+xml")
	p.set("word/document.xml", `<w:document xmlns:w="`+nsW+`" xmlns:r="`+nsR+`" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml" mc:Ignorable="w14">`+
		`<w:body><w:p w14:paraId="00000001"><w:hyperlink r:id="rId2"><w:r><w:t>髙橋と関所</w:t></w:r></w:hyperlink></w:p>`+wordField(" PAGE ")+`</w:body></w:document>`)
	p.set("word/styles.xml", `<w:styles xmlns:w="`+nsW+`"/>`).override("word/styles.xml", officeType+"wordprocessingml.styles+xml")
	p.set("word/media/image1.png", string(smallPNG(t)))
	rels := "word/_rels/document.xml.rels"
	return p.relate(rels, "rId1", "styles", "styles.xml").relate(rels, "rId2", "hyperlink", "https://www.example.jp/", `TargetMode="External"`).relate(rels, "rId3", "image", "media/image1.png")
}

func wordField(instr string) string {
	return `<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>` + instr + `</w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>1</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>`
}

func xlsx(*testing.T) *pack {
	p := base("xl/workbook.xml", officeType+"spreadsheetml.sheet.main+xml")
	p.set("xl/workbook.xml", `<workbook xmlns="`+nsX+`" xmlns:r="`+nsR+`"><sheets><sheet name="表" sheetId="1" r:id="rId1"/></sheets><definedNames><definedName name="n">表!$A$1</definedName></definedNames></workbook>`)
	p.set("xl/worksheets/sheet1.xml", `<worksheet xmlns="`+nsX+`" xmlns:r="`+nsR+`"><sheetData><row r="1"><c r="A1"><f>SUM(B1:B2)+T1[[#This Row],[金額]]+'a''b'!A1&amp;"[1]x|y"</f><v>1</v></c></row></sheetData></worksheet>`)
	p.override("xl/worksheets/sheet1.xml", officeType+"spreadsheetml.worksheet+xml")
	return p.relate("xl/_rels/workbook.xml.rels", "rId1", "worksheet", "worksheets/sheet1.xml")
}

func pptx(*testing.T) *pack {
	p := base("ppt/presentation.xml", officeType+"presentationml.presentation.main+xml")
	p.set("ppt/presentation.xml", `<p:presentation xmlns:p="`+nsP+`" xmlns:r="`+nsR+`"><p:sldIdLst><p:sldId id="256" r:id="rId1"/></p:sldIdLst></p:presentation>`)
	p.set("ppt/slides/slide1.xml", `<p:sld xmlns:p="`+nsP+`" xmlns:a="`+nsA+`" xmlns:r="`+nsR+`"><p:cSld><p:spTree><p:sp><p:nvSpPr><p:cNvPr id="2" name="x"><a:hlinkClick r:id="" action="ppaction://hlinkshowjump?jump=nextslide"/></p:cNvPr></p:nvSpPr></p:sp></p:spTree></p:cSld></p:sld>`)
	p.override("ppt/slides/slide1.xml", officeType+"presentationml.slide+xml")
	return p.relate("ppt/_rels/presentation.xml.rels", "rId1", "slide", "slides/slide1.xml")
}
