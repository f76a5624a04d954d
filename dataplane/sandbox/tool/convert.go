package tool

import (
	"archive/zip"
	"bytes"
	"image/png"
	"os"
	"strings"
)

// filters of LibreOffice by what is wanted.
var filters = map[string]string{"docx": "MS Word 2007 XML", "xlsx": "Calc MS Excel 2007 XML", "pptx": "Impress MS PowerPoint 2007 XML", "pdf": "", "png": ""}

// mainParts tell that an Office Open XML package is what was wanted.
var mainParts = map[string]string{"docx": "word/document.xml", "xlsx": "xl/workbook.xml", "pptx": "ppt/presentation.xml"}

// imports name the filter that has to read a kind. Left to itself LibreOffice opens what it does not know as plain text, and calls
// that a success.
var imports = map[string]string{
	"doc": "MS Word 97", "dot": "MS Word 97 Vorlage", "rtf": "Rich Text Format", "html": "HTML (StarWriter)", "docx": "MS Word 2007 XML", "odt": "writer8",
	"xls": "MS Excel 97", "xlt": "MS Excel 97 Vorlage/Template", "xlsb": "Calc MS Excel 2007 Binary", "xlsx": "Calc MS Excel 2007 XML", "ods": "calc8",
	"ppt": "MS PowerPoint 97", "pps": "MS PowerPoint 97 AutoPlay", "pot": "MS PowerPoint 97 Vorlage", "pptx": "Impress MS PowerPoint 2007 XML", "odp": "impress8",
}

// starts are the first bytes of kinds that LibreOffice takes for anything else when they are not there.
var starts = map[string]string{
	"doc": ole, "dot": ole, "xls": ole, "xlt": ole, "ppt": ole, "pps": ole, "pot": ole, "rtf": `{\rtf`,
	"xlsb": "PK", "docx": "PK", "xlsx": "PK", "pptx": "PK", "odt": "PK", "ods": "PK", "odp": "PK",
}

const ole = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

var convertOptions = map[string]func(string) bool{
	"from": one("doc", "dot", "xls", "xlt", "ppt", "pot", "pps", "rtf", "xlsb", "html", "xml", "docx", "xlsx", "pptx", "odt", "ods", "odp", "emf", "wmf"),
	"to":   func(s string) bool { _, ok := filters[s]; return ok }, "password": anything,
}

// officePath is LibreOffice's own program. The script of that name in bin would need a shell.
const officePath = "/usr/lib/libreoffice/program/soffice.bin"

// settings of a fresh profile: no macro runs, no link is followed, nothing is saved by itself.
const settings = `<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<item oor:path="/org.openoffice.Office.Common/Security/Scripting"><prop oor:name="MacroSecurityLevel" oor:op="fuse"><value>3</value></prop><prop oor:name="DisableMacrosExecution" oor:op="fuse"><value>true</value></prop><prop oor:name="DisableActiveContent" oor:op="fuse"><value>true</value></prop><prop oor:name="BlockUntrustedRefererLinks" oor:op="fuse"><value>true</value></prop></item>
<item oor:path="/org.openoffice.Office.Writer/Content/Update"><prop oor:name="Link" oor:op="fuse"><value>0</value></prop></item>
<item oor:path="/org.openoffice.Office.Calc/Content/Update"><prop oor:name="Link" oor:op="fuse"><value>1</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Java/ApplicationSpecific"></item>
</oor:items>
`

// convert opens a document in LibreOffice and stores it in another form.
func convert(w *work) ([]byte, error) {
	from, to := w.need.Options["from"], w.need.Options["to"]
	if w.need.Options["password"] != "" {
		return nil, &failure{Password, "documents with a password are not converted"}
	}
	if !bytes.HasPrefix(w.need.Body, []byte(starts[from])) {
		return nil, failed("this is no %s", from)
	}
	if err := os.MkdirAll(w.dir+"/profile/user", 0o700); err != nil {
		return nil, err
	}
	if err := w.write("profile/user/registrymodifications.xcu", []byte(settings)); err != nil {
		return nil, err
	}
	if err := w.write("in."+from, w.need.Body); err != nil {
		return nil, err
	}
	target := to
	if f := filters[to]; f != "" {
		target += ":" + f
	}
	args := []string{"--headless", "--norestore", "--nolockcheck", "--nodefault", "--nofirststartwizard", "-env:UserInstallation=file://" + w.path("profile")}
	f := imports[from]
	if from == "html" && to == "xlsx" {
		f = "HTML (StarCalc)"
	}
	if f != "" {
		args = append(args, "--infilter="+f)
	}
	args = append(args, "--convert-to", target, "--outdir", w.path("out"), w.path("in."+from))
	said := ""
	for range 3 { // 81: the fresh profile was filled, start again
		text, status, err := w.exec(officePath, args...)
		if err != nil {
			return nil, err
		}
		if said = text; status != 81 {
			break
		}
	}
	if strings.Contains(said, "password") {
		return nil, &failure{Password, ""}
	}
	out, err := w.read("out/in."+to, said)
	if err != nil {
		return nil, err
	}
	if !converted(to, out) {
		return nil, failed("no %s came out; %s", to, said)
	}
	return out, nil
}

// converted tells whether the bytes are such a file.
func converted(to string, b []byte) bool {
	switch to {
	case "pdf":
		return isPDF(b)
	case "png":
		_, err := png.DecodeConfig(bytes.NewReader(b))
		return err == nil
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return false
	}
	for _, f := range z.File {
		if f.Name == mainParts[to] {
			return f.UncompressedSize64 > 0
		}
	}
	return false
}
