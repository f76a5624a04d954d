package tool

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"image/png"
	"strings"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// exports are LibreOffice's filters by what is wanted; for pdf and png the macro picks the one of the document's kind.
var exports = map[string]string{"docx": "MS Word 2007 XML", "xlsx": "Calc MS Excel 2007 XML", "pptx": "Impress MS PowerPoint 2007 XML",
	"odt": "writer8", "ods": "calc8", "odp": "impress8", "pdf": "pdf", "png": "png"}

// mainParts tell that a package is what was wanted.
var mainParts = map[string]string{"docx": "word/document.xml", "xlsx": "xl/workbook.xml", "pptx": "ppt/presentation.xml", "odt": "content.xml", "ods": "content.xml", "odp": "content.xml"}

const ole = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

// source is a kind of document that may be converted.
type source struct {
	start   string // its first bytes
	filters string // of LibreOffice that may read it, by "|". Left to itself it opens what it does not know as plain text, and calls that a success
	forced  string // the filter to read it with, where LibreOffice would take another
}

const (
	word       = "MS Word 97|MS Word 97 Vorlage|MS Word 95|MS Word 95 Vorlage|MS WinWord 6.0"
	excel      = "MS Excel 97|MS Excel 97 Vorlage/Template|MS Excel 95|MS Excel 95 Vorlage/Template|MS Excel 5.0/95|MS Excel 5.0/95 Vorlage/Template"
	powerPoint = "MS PowerPoint 97|MS PowerPoint 97 Vorlage|MS PowerPoint 97 AutoPlay"
)

var sources = map[string]source{
	"doc": {ole, word, ""}, "dot": {ole, word, ""},
	"xls": {ole, excel, ""}, "xlt": {ole, excel, ""},
	"ppt": {ole, powerPoint, ""}, "pot": {ole, powerPoint, ""}, "pps": {ole, powerPoint, ""},
	"rtf":  {`{\rtf`, "Rich Text Format", "Rich Text Format"},
	"xlsb": {"PK", "Calc MS Excel 2007 Binary", ""},
	"html": {"", "HTML (StarWriter)|HTML (StarCalc)", "HTML (StarWriter)"},
	"xml":  {"", "MS Excel 2003 XML|MS Excel 2003 XML Orcus|MS Word 2003 XML", ""},
	"docx": {"PK", "MS Word 2007 XML|MS Word 2007 XML VBA|MS Word 2007 XML Template|Office Open XML Text", ""},
	"xlsx": {"PK", "Calc MS Excel 2007 XML|Calc MS Excel 2007 VBA XML|Calc MS Excel 2007 XML Template|Calc Office Open XML", ""},
	"pptx": {"PK", "Impress MS PowerPoint 2007 XML|Impress MS PowerPoint 2007 XML VBA|Impress MS PowerPoint 2007 XML Template|Impress MS PowerPoint 2007 XML AutoPlay|Impress Office Open XML", ""},
	"odt":  {"PK", "writer8|writer8_template", ""}, "ods": {"PK", "calc8|calc8_template", ""}, "odp": {"PK", "impress8|impress8_template", ""},
	"fodt": {"", "OpenDocument Text Flat XML", ""}, "fods": {"", "OpenDocument Spreadsheet Flat XML", ""}, "fodp": {"", "OpenDocument Presentation Flat XML", ""},
	"emf": {"\x01\x00\x00\x00", "EMF - MS Windows Metafile", ""},
	"wmf": {"", "WMF - MS Windows Metafile", ""},
}

var convertOptions = map[string]func(string) bool{
	"from": func(s string) bool { _, ok := sources[s]; return ok },
	"to":   func(s string) bool { _, ok := exports[s]; return ok }, "password": anything, "last": between(1, 1000),
}

// convert opens a document in LibreOffice and stores it in another form.
func convert(w *work) ([]byte, error) {
	if err := convertible(w); err != nil {
		return nil, err
	}
	o, err := startOffice(w)
	if err != nil {
		return nil, err
	}
	return o.convert()
}

// Ready starts LibreOffice before there is anything to convert, and gives what answers one need, once.
func Ready(ctx context.Context, dir string) func(verdict.Need) verdict.Answer {
	w := in(dir)
	w.ctx = ctx
	o, err := startOffice(w)
	if err == nil {
		_, err = o.wait("ready")
	}
	return func(n verdict.Need) verdict.Answer {
		return answer(ctx, n, w, func(*work) ([]byte, error) {
			switch {
			case n.Kind != "convert":
				return nil, &failure{Unknown, "this is for documents"}
			case err != nil && !errors.Is(err, errEnded):
				return nil, err
			}
			if err := convertible(w); err != nil {
				return nil, err
			}
			if err != nil || o.ended() { // while it waited: the document has no part in it
				if err := w.clear(); err != nil {
					return nil, err
				}
				return convert(w)
			}
			return o.convert()
		})
	}
}

func convertible(w *work) error {
	from := w.need.Options["from"]
	if !bytes.HasPrefix(w.need.Body, []byte(sources[from].start)) {
		return failed("this is no %s", from)
	}
	return nil
}

// convert has the one order done. A few documents end LibreOffice when the macro stores them, and not when it is called to convert
// them by its command line; that way is slower and knows no password.
func (o *office) convert() ([]byte, error) {
	out, err := o.do()
	o.stop()
	if errors.Is(err, errEnded) && o.w.need.Options["password"] == "" {
		return o.w.byCommand()
	}
	return out, err
}

func (o *office) do() ([]byte, error) {
	if _, err := o.wait("ready"); err != nil {
		return nil, err
	}
	w := o.w
	from, to := w.need.Options["from"], w.need.Options["to"]
	if err := w.into("in."+from, w.need.Body); err != nil {
		return nil, err
	}
	if err := o.order(from, to, sources[from].filters, forced(from, to), exports[to], spelled(w.need.Options["password"]), w.need.Options["last"]); err != nil {
		return nil, err
	}
	said, err := o.wait("said")
	if err != nil {
		return nil, err
	}
	if said != "done" {
		return nil, failed("LibreOffice: %s", said)
	}
	return w.converted(said)
}

// byCommand converts with a LibreOffice of its own. It needs to be told the filter: nobody can ask it what it took the file for.
func (w *work) byCommand() ([]byte, error) {
	from, to := w.need.Options["from"], w.need.Options["to"]
	target := to
	if e := exports[to]; e != to {
		target += ":" + e
	}
	filter := forced(from, to)
	if filter == "" {
		filter, _, _ = strings.Cut(sources[from].filters, "|")
	}
	said, _, err := w.exec(officePath, "--headless", "--norestore", "--nolockcheck", "--nodefault", "--nofirststartwizard", "--nologo",
		"-env:UserInstallation=file://"+w.path("profile"), "--infilter="+filter, "--convert-to", target, "--outdir", w.path("out"), w.path("in."+from))
	if err != nil {
		return nil, err
	}
	return w.converted(said)
}

// forced is the filter to read with, where LibreOffice would take another.
func forced(from, to string) string {
	if from == "html" && to == "xlsx" {
		return "HTML (StarCalc)"
	}
	return sources[from].forced
}

// converted gives what came out when it is what was wanted.
func (w *work) converted(said string) ([]byte, error) {
	to := w.need.Options["to"]
	out, err := w.read("out/in."+to, said)
	if err != nil {
		return nil, err
	}
	if !isKind(to, out) {
		return nil, failed("no %s came out", to)
	}
	return out, nil
}

// isKind tells whether the bytes are such a file.
func isKind(to string, b []byte) bool {
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
