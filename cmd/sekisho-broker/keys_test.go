package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/sandbox/broker"
	"github.com/sekisho/sekisho/dataplane/sandbox/tool/tooltest"
	"github.com/sekisho/sekisho/dataplane/sanitize/crypt/crypttest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// letter is what LibreOffice writes as a document of Word 97, under a password.
const letter = `<?xml version="1.0" encoding="UTF-8"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" ` +
	`office:version="1.3" office:mimetype="application/vnd.oasis.opendocument.text"><office:body><office:text><text:p>海山町</text:p></office:text></office:body></office:document>`

// TestPasswordsOpenFiles: they come with the order and reach the worker; without the right one the file is blocked by name, and what
// is no password is refused before anything is read.
func TestPasswordsOpenFiles(t *testing.T) {
	l := newLane(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("海山町\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("zip", "-q", "-P", "himitsu", "x.zip", "a.txt")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s (hack/bootstrap installs zip)", err, out)
	}
	locked, err := os.ReadFile(filepath.Join(dir, "x.zip"))
	if err != nil {
		t.Fatal(err)
	}
	sheet := crypttest.File(xlsx(t), "ひみつ")
	order := func(id, name string, body []byte, keys ...string) broker.Outcome {
		t.Helper()
		l.send(id, name, body)
		out, err := l.order(broker.Order{Transfer: id, From: anchors.LGWAN, To: anchors.Internet, Keys: keys})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for id, c := range map[string]struct {
		name string
		body []byte
		key  string
		code string
	}{
		"z": {"一覧.zip", locked, "himitsu", "archive.password"},
		"x": {"一覧.xlsx", sheet, "ひみつ", "type.encrypted"},
		"d": {"申請.doc", tooltest.Written(t, letter, "fodt", "MS Word 97", "himitsu"), "himitsu", "type.encrypted"},
	} {
		if out := order(id+"1", c.name, c.body, "chigau", c.key); out.Attestation == nil {
			t.Errorf("%s with its password: %+v %+v", c.name, out.Report.Findings, out.Verified)
		}
		for i, keys := range [][]string{nil, {"chigau"}} {
			out := order(id+string(rune('2'+i)), c.name, c.body, keys...)
			if !verdict.WantsKey(out.Report.Findings) || !slices.ContainsFunc(out.Report.Findings, func(f verdict.Finding) bool { return f.Code == c.code }) {
				t.Errorf("%s with %q: %+v, want %s", c.name, keys, out.Report.Findings, c.code)
			}
		}
	}
	_, err = l.order(broker.Order{Transfer: "z1", From: anchors.LGWAN, To: anchors.Internet, Keys: []string{"a\nb"}})
	if no := (*release.Refusal)(nil); !errors.As(err, &no) || no.Code != "broker.request" || strings.Contains(no.Text, "a\nb") {
		t.Errorf("no password at all: %v", err)
	}
}

// xlsx is a sheet with one cell.
func xlsx(t *testing.T) []byte {
	t.Helper()
	const rels = `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/`
	const main = `xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"`
	const kind = "application/vnd.openxmlformats-officedocument.spreadsheetml."
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, part := range [][2]string{
		{"[Content_Types].xml", `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
			`<Override PartName="/xl/workbook.xml" ContentType="` + kind + `sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="` + kind + `worksheet+xml"/></Types>`},
		{"_rels/.rels", rels + `officeDocument" Target="xl/workbook.xml"/></Relationships>`},
		{"xl/workbook.xml", `<workbook ` + main + ` xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>`},
		{"xl/_rels/workbook.xml.rels", rels + `worksheet" Target="worksheets/sheet1.xml"/></Relationships>`},
		{"xl/worksheets/sheet1.xml", `<worksheet ` + main + `><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>海山町</t></is></c></row></sheetData></worksheet>`},
	} {
		w, err := z.Create(part[0])
		if err == nil {
			_, err = io.WriteString(w, part[1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
