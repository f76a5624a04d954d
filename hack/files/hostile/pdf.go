package hostile

import (
	"bytes"
	"fmt"
	"strings"
)

// portable is a PDF of one page with one line of text that stays. catalog and page are added to their dictionaries, objects from
// number 10 on follow.
func portable(catalog, page string, objects ...string) []byte {
	content := "BT /F1 12 Tf 20 100 Td (" + Kept + ") Tj ET"
	all := []string{
		"<< /Type /Catalog /Pages 2 0 R " + catalog + " >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Resources << /Font << /F1 5 0 R >> >> /Contents 4 0 R " + page + " >>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(content), content),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
		"<< >>", "<< >>", "<< >>", "<< >>",
	}
	return assemble(append(all, objects...))
}

func assemble(objects []string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n%\xE2\xE3\xCF\xD3\n")
	var at []int
	for i, o := range objects {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, n := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", n)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, start)
	return b.Bytes()
}

func stream(dictionary, body string) string {
	return fmt.Sprintf("<< %s /Length %d >>\nstream\n%s\nendstream", dictionary, len(body), body)
}

func annotation(subtype, more string) string {
	return "/Annots [<< /Type /Annot /Subtype /" + subtype + " /Rect [10 10 100 50] " + more + " >>]"
}

func pdf() []File {
	var out []File
	add := func(technique string, body []byte) {
		out = append(out, File{Name: "資料.pdf", Technique: technique, Nesting: "bare", Body: body})
	}
	script := "<< /S /JavaScript /JS (app.alert\\('" + Marker + "'\\)) >>"
	actions := map[string]string{
		"JavaScript": script, "Launch": "<< /S /Launch /F (" + Marker + ".exe) /Win << /F (cmd.exe) /P (" + Marker + ") >> >>", "GoToR": "<< /S /GoToR /F (" + Marker + ".pdf) /D [0 /Fit] >>",
		"GoToE": "<< /S /GoToE /T << /R /C /N (" + Marker + ") >> >>", "SubmitForm": "<< /S /SubmitForm /F << /FS /URL /F (" + remote + ") >> >>", "ImportData": "<< /S /ImportData /F (" + Marker + ".fdf) >>",
		"URI of a script": "<< /S /URI /URI (javascript:" + Marker + ") >>", "URI of a file": "<< /S /URI /URI (file:///c:/" + Marker + ") >>", "Sound": "<< /S /Sound /Sound 10 0 R /T (" + Marker + ") >>", "Movie": "<< /S /Movie /T (" + Marker + ") >>",
		"Rendition": "<< /S /Rendition /JS (" + Marker + ") /OP 0 >>", "Hide": "<< /S /Hide /T (" + Marker + ") >>", "Named": "<< /S /Named /N /" + strings.ReplaceAll(Marker, "-", "") + "Print >>", "Thread": "<< /S /Thread /F (" + Marker + ") /D 0 >>",
		"chain": "<< /S /URI /URI (http://town.example/) /Next " + script + " >>", "script as a stream": "<< /S /JavaScript /JS 10 0 R >>",
	}
	for name, a := range actions {
		add("OpenAction "+name, portable("/OpenAction "+a, "", stream("", Marker)))
		add("link "+name, portable("", annotation("Link", "/A "+a), stream("", Marker)))
	}
	add("scripts by name", portable("/Names << /JavaScript << /Names [(a) "+script+"] >> >>", ""))
	add("action of the page", portable("", "/AA << /O "+script+" /C "+script+" >>"))
	add("action of the catalog", portable("/AA << /WC "+script+" >>", ""))
	add("action of an outline", portable("/Outlines << /First 10 0 R /Last 10 0 R /Count 1 >>", "", "<< /Title (x) /Parent 1 0 R /A "+script+" >>"))
	for _, key := range []string{"K", "F", "V", "C"} {
		add("action "+key+" of a field", portable("/AcroForm << /Fields [10 0 R] >>", "/Annots [10 0 R]", "<< /Type /Annot /Subtype /Widget /FT /Tx /T (f) /V (v) /Rect [10 10 90 30] /AA << /"+key+" "+script+" >> >>"))
	}
	add("XFA form", portable("/AcroForm << /Fields [] /XFA 10 0 R >>", "", stream("", "<xdp:xdp xmlns:xdp=\"http://ns.adobe.com/xdp/\"><script>"+Marker+"</script></xdp:xdp>")))
	add("embedded file", portable("/Names << /EmbeddedFiles << /Names [(a.exe) 10 0 R] >> >>", "", "<< /Type /Filespec /F (a.exe) /EF << /F 11 0 R >> >>", stream("/Type /EmbeddedFile", Marker)))
	add("attached file", portable("", annotation("FileAttachment", "/FS 10 0 R"), "<< /Type /Filespec /F (a.exe) /EF << /F 11 0 R >> >>", stream("/Type /EmbeddedFile", Marker)))
	add("associated file", portable("/AF [10 0 R]", "", "<< /Type /Filespec /F (a.exe) /AFRelationship /Data /EF << /F 11 0 R >> >>", stream("/Type /EmbeddedFile", Marker)))
	add("portfolio", portable("/Collection << /View /T /D (a.exe) >> /Names << /EmbeddedFiles << /Names [(a.exe) 10 0 R] >> >>", "", "<< /Type /Filespec /F (a.exe) /EF << /F 11 0 R >> >>", stream("/Type /EmbeddedFile", Marker)))
	for name, a := range map[string]string{
		"RichMedia": "/RichMediaContent << /Assets << /Names [(" + Marker + ") 10 0 R] >> >>", "3D": "/3DD 10 0 R", "Movie": "/Movie << /F (" + Marker + ") >>", "Sound": "/Sound 10 0 R", "Screen": "/A << /S /Rendition /R << /S /MR /C << /S /MCD /D (" + Marker + ") >> >> >>",
		"Projection": "/ProjectionData (" + Marker + ")", "TrapNet": "/Version [10 0 R]", "PrinterMark": "/MN (" + Marker + ")",
	} {
		add("annotation "+name, portable("", annotation(name, a), stream("/Type /3D /Subtype /U3D", Marker)))
	}
	add("metadata", portable("/Metadata 10 0 R", "", stream("/Type /Metadata /Subtype /XML", "<x:xmpmeta>"+Marker+"</x:xmpmeta>")))
	add("private data", portable("/PieceInfo << /X << /Private ("+Marker+") >> >>", "/PieceInfo << /X << /Private ("+Marker+") >> >>"))
	add("thumbnail", portable("", "/Thumb 10 0 R", stream("/Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8", Marker)))
	add("signature", portable("/AcroForm << /SigFlags 3 /Fields [10 0 R] >>", "/Annots [10 0 R]", "<< /Type /Annot /Subtype /Widget /FT /Sig /T (s) /Rect [0 0 0 0] /V << /Type /Sig /Filter /Adobe.PPKLite /Contents <"+fmt.Sprintf("%x", Marker)+"> >> >>"))
	add("PostScript object", portable("", "/Resources << /XObject << /P 10 0 R >> >>", stream("/Type /XObject /Subtype /PS", Marker)))
	add("stream kept elsewhere", portable("", "", "<< /F << /FS /URL /F ("+remote+") >> /Length 0 >>\nstream\n\nendstream"))
	add("object that nothing leads to", portable("", "", stream("", Marker)))
	add("unknown keys", portable("/Sekisho ("+Marker+")", "/Sekisho ("+Marker+")"))
	add("bytes behind the end", append(portable("", ""), ("<script>"+Marker+"</script>")...))
	add("bytes before the beginning", append([]byte("GIF89a"+Marker+"\n"), portable("", "")...))
	add("comment", bytes.Replace(portable("", ""), []byte("1 0 obj\n"), []byte("1 0 obj % "+Marker+"\n"), 1))
	former := portable("/Lang ("+Marker+")", "")
	add("former revision", append(former, fmt.Appendf(nil, "1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\nxref\n1 1\n%010d 00000 n \ntrailer\n<< /Size 10 /Root 1 0 R /Prev %s >>\nstartxref\n%d\n%%%%EOF\n",
		len(former), startxref(former), len(former)+len("1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"))...))
	add("font program with a tail", portable("", "/Resources << /Font << /F1 5 0 R /F2 10 0 R >> >>", "<< /Type /Font /Subtype /TrueType /BaseFont /X /FirstChar 32 /LastChar 32 /Widths [500] /FontDescriptor 11 0 R >>", "<< /Type /FontDescriptor /FontName /X /Flags 32 /FontFile2 12 0 R >>", stream("/Length1 20", "\x00\x01\x00\x00"+Marker)))
	add("JBIG2 picture", portable("", "/Resources << /XObject << /I 10 0 R >> >>", stream("/Type /XObject /Subtype /Image /Width 8 /Height 8 /ColorSpace /DeviceGray /BitsPerComponent 1 /Filter /JBIG2Decode", Marker)))
	add("other picture for printing", portable("", "/Resources << /XObject << /I 10 0 R >> >>", stream("/Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 /OPI << /2.0 << /F ("+Marker+") >> >>", "x")))
	add("content with a foreign operator", portable("", "/Contents 10 0 R", stream("", "q ("+Marker+") sekisho Q")))
	return sorted(out)
}

func startxref(b []byte) string {
	tail := string(b[bytes.LastIndex(b, []byte("startxref"))+len("startxref"):])
	return strings.Fields(tail)[0]
}
