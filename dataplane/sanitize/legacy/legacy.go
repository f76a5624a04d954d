// Package legacy brings documents of old formats into the present ones: doc, xls, ppt, rtf, xlsb and web archives.
//
// Problem: nobody can rebuild these formats from an allow-list; their programs write memory images of thirty years. Mechanism: they are
// never passed on: a helper (LibreOffice, in a sandbox of its own) converts them to docx, xlsx or pptx, and what it made is
// untrusted and goes through the rebuilder of that format. Before that the original is looked into, only to tell the reader what
// does not come over: macros, macro sheets, embedded objects. Files are taken for what they hold: a web page or a table of text that is
// called .xls is treated as such and gets the right name. Life cycle: Rebuild is called until the helper has answered. Invariant: no
// byte of the original container is in the result.
package legacy

import (
	"bytes"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/compound"
	"github.com/sekisho/sekisho/dataplane/sanitize/container"
	"github.com/sekisho/sekisho/dataplane/sanitize/crypt"
	"github.com/sekisho/sekisho/dataplane/sanitize/office"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/sanitize/text"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// targets is what files of a name become.
var targets = map[string]string{
	".doc": "docx", ".dot": "docx", ".rtf": "docx", ".mht": "docx", ".mhtml": "docx",
	".xls": "xlsx", ".xlt": "xlsx", ".xlsb": "xlsx",
	".ppt": "pptx", ".pot": "pptx", ".pps": "pptx",
}

// Family tells the family of a name of an old format, or "".
func Family(ext string) string {
	switch ext {
	case ".doc", ".dot":
		return "doc"
	case ".xls", ".xlt":
		return "xls"
	case ".ppt", ".pot", ".pps":
		return "ppt"
	case ".mht", ".mhtml":
		return "mht"
	case ".rtf", ".xlsb":
		return ext[1:]
	}
	return ""
}

// Rebuild converts and rebuilds one file.
func Rebuild(j *rebuild.Job) (rebuild.Result, error) {
	to := targets[j.Ext]
	from, in, err := content(j)
	old := in
	switch {
	case err != nil:
		return rebuild.Result{}, err
	case from == "csv":
		sub := *j
		sub.Ext, sub.In = ".csv", in
		r, err := text.Table(&sub)
		r.Family, r.Ext = "csv", ".csv"
		return r, err
	case from != to: // a new format under an old name needs no conversion
		if in, err = j.Tools.Ask("convert", map[string]string{"from": from, "to": to}, in); err != nil {
			return rebuild.Result{}, err
		}
		if err := j.Budget.Spend(int64(len(in))); err != nil {
			return rebuild.Result{}, err
		}
		j.Found.Add("legacy.converted", "", verdict.Changed, from+" -> "+to)
	}
	sub := *j
	sub.Ext, sub.In = "."+to, in
	r, err := office.Rebuild(&sub)
	r.Family, r.Ext = to, sub.Ext
	if err == nil && from != to {
		err = compare(j, old, r.Body)
	}
	return r, err
}

// content tells what the file is, whatever it is called, notes what will not come over, and gives the bytes to convert.
func content(j *rebuild.Job) (from string, in []byte, err error) {
	in = j.In
	head := bytes.TrimLeft(in[:min(len(in), 4096)], "\xEF\xBB\xBF \t\r\n")
	lower := bytes.ToLower(head)
	switch {
	case bytes.HasPrefix(in, []byte(compound.Magic)):
		from, in, err = openCompound(j)
	case bytes.HasPrefix(in, []byte("PK\x03\x04")):
		if from = targets[j.Ext]; j.Ext == ".xlsb" {
			from, err = "xlsb", lookIntoBinaryWorkbook(j)
		}
	case bytes.HasPrefix(head, []byte("{\\rtf")):
		from = "rtf"
		if bytes.Contains(in, []byte("\\objdata")) {
			j.Found.Add("legacy.ole", "", verdict.Removed, "")
		}
	case isWebArchive(lower):
		from = "html"
		in, err = pageOf(in)
	case bytes.Contains(lower, []byte("<html")), bytes.HasPrefix(lower, []byte("<!doctype html")), bytes.HasPrefix(lower, []byte("<table")):
		from = "html"
	case bytes.HasPrefix(lower, []byte("<?xml")):
		from = "xml"
	case targets[j.Ext] == "xlsx":
		from = "csv"
	default:
		err = rebuild.Refuse("type.mismatch", "", "text / "+j.Ext)
	}
	return from, in, err
}

// openCompound looks into a document, and into what a password opens where there is one.
func openCompound(j *rebuild.Job) (from string, in []byte, err error) {
	from, closed, err := lookIntoCompound(j, j.In)
	if err != nil || !closed {
		return from, j.In, err
	}
	if in, err = crypt.Old(j.Ctx, j.In, j.Keys); err != nil {
		return "", nil, err
	}
	if err := j.Budget.Spend(int64(len(in))); err != nil {
		return "", nil, err
	}
	if err := j.Opened(in); err != nil {
		return "", nil, err
	}
	j.Found.Add("legacy.opened", "", verdict.Changed, "")
	if from, closed, err = lookIntoCompound(j, in); err == nil && closed {
		err = rebuild.Refuse("legacy.broken", "", "encrypted twice")
	}
	return from, in, err
}

// lookIntoCompound tells doc, xls and ppt apart and notes what their programs keep beside the document, unless it is closed by a
// password.
func lookIntoCompound(j *rebuild.Job, in []byte) (from string, closed bool, err error) {
	f, err := compound.Open(in)
	if err != nil {
		return "", false, err
	}
	macros, objects := false, false
	for _, p := range f.Paths {
		top, rest, _ := strings.Cut(p, "/")
		macros = macros || top == "Macros" || top == "_VBA_PROJECT_CUR" || top == "VBA" || strings.HasSuffix(p, "/_VBA_PROJECT")
		objects = objects || top == "ObjectPool" && rest != "" || strings.HasPrefix(top, "MBD") || strings.HasSuffix(p, "\x01Ole10Native")
	}
	var found notes
	switch {
	case f.Has("WordDocument"):
		from = "doc"
		found, err = lookIntoWord(f)
	case f.Has("Workbook"), f.Has("Book"):
		from = "xls"
		found, err = lookIntoWorkbook(f)
	case f.Has("PowerPoint Document"):
		from = "ppt"
		found, err = lookIntoShow(f)
	default:
		return "", false, rebuild.Refuse("legacy.broken", "", "no document in it")
	}
	if err != nil || found.password {
		return from, found.password, err
	}
	if macros || found.macros {
		j.Found.Add("legacy.macros", "", verdict.Removed, "")
	}
	for range found.macroSheets {
		j.Found.First("legacy.macro-sheet", "", verdict.Removed, "")
	}
	if objects || found.objects {
		j.Found.Add("legacy.ole", "", verdict.Removed, "")
	}
	return from, false, nil
}

// lookIntoBinaryWorkbook notes what an xlsb holds besides its sheets.
func lookIntoBinaryWorkbook(j *rebuild.Job) error {
	z, err := container.Open(j.Ctx, j.In)
	if err != nil {
		return err
	}
	for _, f := range z.Order {
		switch n := strings.ToLower(f.Name); {
		case strings.HasSuffix(n, "vbaproject.bin"):
			j.Found.First("legacy.macros", "", verdict.Removed, "")
		case strings.Contains(n, "/macrosheets/") && strings.HasSuffix(n, ".bin"):
			j.Found.First("legacy.macro-sheet", "", verdict.Removed, "")
		case strings.Contains(n, "/embeddings/"):
			j.Found.First("legacy.ole", "", verdict.Removed, "")
		}
	}
	return nil
}
