package hostile

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
)

func pngChunk(kind, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = append(append(b, kind...), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// mails are dangerous by themselves.
func mails() []File {
	var out []File
	head := "From: a@town.example\r\nTo: b@town.example\r\nDate: Sun, 22 Nov 2026 09:00:00 +0900\r\nMIME-Version: 1.0\r\n"
	add := func(technique, text string) {
		out = append(out, File{Name: "連絡.eml", Technique: technique, Nesting: "bare", Body: []byte(text)})
	}
	html := func(inside string) string {
		return head + "Subject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body><p>" + Kept + "</p>" + inside + "</body></html>\r\n"
	}
	add("HTML with a script", html("<script>"+Marker+"</script>"))
	add("HTML with a remote picture", html(`<img src="`+remote+`.png">`))
	add("HTML with a form", html(`<form action="`+remote+`"><input name="password"></form>`))
	add("HTML with an event", html(`<p onmouseover="`+Marker+`">x</p>`))
	add("headers of the way", head+"Received: from x by "+Marker+"\r\nX-Evil: "+Marker+"\r\nSubject: x\r\nContent-Type: text/plain\r\n\r\n"+Kept+"\r\n")
	add("attachment of two names", head+"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n"+Kept+"\r\n--b\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\nContent-Disposition: attachment; filename=\"a.exe\"\r\n\r\nMZ\x90"+Marker+"\r\n--b--\r\n")
	add("body elsewhere", head+"Subject: x\r\nContent-Type: message/external-body; access-type=URL; URL=\""+remote+"\"\r\n\r\nContent-Type: text/plain\r\n\r\n")
	add("part of a mail", head+"Subject: x\r\nContent-Type: message/partial; id=\"a\"; number=1; total=2\r\n\r\n"+Marker+"\r\n")
	add("calendar", head+"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n"+Kept+"\r\n--b\r\nContent-Type: text/calendar; method=REQUEST\r\nContent-Disposition: attachment; filename=\"i.ics\"\r\n\r\nBEGIN:VCALENDAR\r\nURL:"+remote+"\r\nEND:VCALENDAR\r\n--b--\r\n")
	add("preamble", head+"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n<script>"+Marker+"</script>\r\n--b\r\nContent-Type: text/plain\r\n\r\n"+Kept+"\r\n--b--\r\n<script>"+Marker+"</script>\r\n")
	return out
}

// archives whose whole is an attack.
func archives() []File {
	var out []File
	add := func(name, technique string, body []byte) {
		out = append(out, File{Name: name, Technique: technique, Nesting: "bare", Body: body, Blocked: true})
	}
	text := []byte(Marker)
	for technique, name := range map[string]string{
		"way out": "../../" + Marker + ".txt", "way out, backslashes": `..\..\` + Marker + ".txt", "from the root": "/" + Marker + ".txt", "from a drive": `C:\` + Marker + ".txt", "share": `\\198.51.100.66\` + Marker + ".txt", "device": "CON.txt", "stream": "a.txt:" + Marker,
		"hidden way out": "a/../../" + Marker + ".txt", "turned name": "a\u202Etxt.exe",
	} {
		add("資料.zip", "name, "+technique, zipped(member{name, text}))
	}
	add("資料.zip", "two members of one name", zipped(member{"a.txt", []byte("x")}, member{"a.txt", text}))
	add("資料.zip", "two members of one name by case", zipped(member{"a.txt", []byte("x")}, member{"A.TXT", text}))
	var link bytes.Buffer
	z := zip.NewWriter(&link)
	h := &zip.FileHeader{Name: "link.txt"}
	h.SetMode(0o777 | 1<<27) // fs.ModeSymlink
	if w, err := z.CreateHeader(h); err != nil {
		panic(err)
	} else if _, err := w.Write([]byte("/etc/" + Marker)); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	add("資料.zip", "symbolic link", link.Bytes())
	add("資料.zip", "bomb", zipped(member{"a.txt", bytes.Repeat([]byte("0"), 300<<20)}))
	deep := zipped(member{"a.txt", text})
	for range 40 {
		deep = zipped(member{"a.zip", deep})
	}
	add("資料.zip", "forty levels", deep)
	var many []member
	for i := range 12_000 {
		many = append(many, member{fmt.Sprintf("%05d.txt", i), []byte("x")})
	}
	add("資料.zip", "twelve thousand members", zipped(many...))
	program := append([]byte("MZ\x90\x00"), strings.Repeat(Marker, 20)...)
	for _, name := range []string{"a.exe", "a.txt", "請求書.pdf.exe", "a.lnk", "a.js", "a.vbs", "a.hta", "a.scr"} {
		add("資料.zip", "program as "+name, zipped(member{name, program}))
	}
	prefixed := append([]byte("#!/bin/sh\necho "+Marker+"\n"), zipped(member{"a.txt", []byte("x")})...)
	add("資料.zip", "script before it", prefixed)
	for technique, head := range map[string]tar.Header{
		"way out": {Name: "../" + Marker, Mode: 0o644}, "symbolic link": {Name: "a", Linkname: "/etc/" + Marker, Typeflag: tar.TypeSymlink}, "hard link": {Name: "a", Linkname: "/etc/" + Marker, Typeflag: tar.TypeLink},
		"device": {Name: Marker, Typeflag: tar.TypeBlock, Devmajor: 8}, "pipe": {Name: Marker, Typeflag: tar.TypeFifo}, "set user": {Name: Marker + ".sh", Mode: 0o4755},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := w.WriteHeader(&head); err != nil {
			panic(err)
		}
		if err := w.Close(); err != nil {
			panic(err)
		}
		add("資料.tar", technique, b.Bytes())
	}
	return sorted(out)
}

// disguised are programs and documents under names that are not theirs.
func disguised() []File {
	var out []File
	program := append([]byte("MZ\x90\x00"), strings.Repeat(Marker+"\x00", 40)...)
	for _, name := range []string{"a.txt", "a.csv", "a.jpg", "a.png", "a.docx", "a.xlsx", "a.pdf", "a.zip", "a.html", "a.exe", "a.scr", "a.com", "a.doc", "a.xml", "a.odt", "a.eml", "a.gif", "a.tiff", "a.svg"} {
		out = append(out, File{Name: name, Technique: "program", Nesting: "bare", Body: program, Blocked: true})
	}
	for name, body := range map[string]string{
		"a.bat": "@echo " + Marker, "a.ps1": "Write-Host " + Marker, "a.vbs": "MsgBox \"" + Marker + "\"", "a.js": "alert('" + Marker + "')", "a.hta": "<script>" + Marker + "</script>", "a.reg": "Windows Registry Editor Version 5.00\r\n; " + Marker, "a.url": "[InternetShortcut]\r\nURL=" + remote,
		"a.lnk": "L\x00\x00\x00\x01\x14\x02\x00" + Marker, "a.iso": strings.Repeat("\x00", 32769) + "CD001" + Marker, "a.jar": string(zipped(member{"M.class", []byte("\xCA\xFE\xBA\xBE" + Marker)})), "a.slk": "ID;P\r\nO;E\r\nC;X1;Y1;EEXEC(\"" + Marker + "\")\r\nE\r\n", "a.iqy": "WEB\r\n1\r\n" + remote,
		"a.jtd": ole, "a.xdw": Marker, "a.dxf": "0\r\nSECTION\r\n" + Marker, "a.chm": "ITSF" + Marker, "a.msi": ole, "a.vhd": "conectix" + Marker, "a.one": "\xE4\x52\x5C\x7B\x8C\xD8\xA7\x4D" + Marker, "a.wsf": "<job><script>" + Marker + "</script></job>", "a.scf": "[Shell]\r\nIconFile=\\\\198.51.100.66\\" + Marker,
	} {
		out = append(out, File{Name: name, Technique: "kind that never passes", Nesting: "bare", Body: []byte(body), Blocked: true})
	}
	return sorted(out)
}
