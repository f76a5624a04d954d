package legacy_test

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
	"github.com/sekisho/sekisho/dataplane/sandbox/tool/tooltest"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/compound"
	"github.com/sekisho/sekisho/dataplane/sanitize/crypt/crypttest"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

const flat = `<?xml version="1.0" encoding="UTF-8"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" ` +
	`xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" ` +
	`office:version="1.3" office:mimetype="application/vnd.oasis.opendocument.KIND"><office:body>BODY</office:body></office:document>`

func flatOf(kind, body string) string {
	return strings.NewReplacer("KIND", kind, "BODY", body).Replace(flat)
}

var (
	flatText  = flatOf("text", `<office:text><text:p>関所の申請書</text:p></office:text>`)
	flatSheet = flatOf("spreadsheet", `<office:spreadsheet><table:table table:name="表"><table:table-row><table:table-cell office:value-type="string"><text:p>関所の申請書</text:p></table:table-cell></table:table-row></table:table></office:spreadsheet>`)
	flatShow  = flatOf("presentation", `<office:presentation><draw:page draw:name="p1"><draw:frame svg:width="10cm" svg:height="3cm" svg:x="1cm" svg:y="1cm"><draw:text-box><text:p>関所の申請書</text:p></draw:text-box></draw:frame></draw:page></office:presentation>`)
)

// converted runs a rebuild with the helpers that it asks for.
func converted(t *testing.T, name string, in []byte, opt sanitize.Options) (verdict.Report, []byte) {
	t.Helper()
	for range 4 {
		rep, out, needs := sanitizetest.Ask(t, name, in, opt)
		if len(needs) == 0 {
			return rep, out
		}
		for _, n := range needs {
			opt.Answers = append(opt.Answers, tool.Answer(t.Context(), n))
		}
	}
	t.Fatalf("%s: it asks and asks", name)
	return verdict.Report{}, nil
}

// says tells whether a package has the text in one of its parts.
func says(t *testing.T, pack []byte, text string) bool {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(pack), int64(len(pack)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), text) {
			return true
		}
	}
	return false
}

// TestOldDocumentsUnderAPasswordAreOpenedAndConverted with files of LibreOffice's own encryption, and with a presentation, which it does
// not encrypt.
func TestOldDocumentsUnderAPasswordAreOpenedAndConverted(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: LibreOffice takes seconds a file")
	}
	const key = "kagi-2026"
	plain, err := compound.Open(tooltest.Written(t, flatShow, "fodp", "MS PowerPoint 97", ""))
	if err != nil {
		t.Fatal(err)
	}
	streams := map[string]string{}
	for _, p := range plain.Paths {
		if b, err := plain.Read(p); err == nil && !strings.Contains(p, "\x05") {
			streams[p] = string(b)
		}
	}
	for name, in := range map[string][]byte{
		"申請.doc": tooltest.Written(t, flatText, "fodt", "MS Word 97", key),
		"申請.xls": tooltest.Written(t, flatSheet, "fods", "MS Excel 97", key),
		"申請.ppt": crypttest.Show(streams, key),
	} {
		shown := 0
		opened := sanitize.Options{Keys: []string{"chigau", key}, Member: func(string, []byte) error { shown++; return nil }}
		rep, out := converted(t, name, in, opened)
		if rep.Outcome != verdict.Clean || !sanitizetest.Has(rep, "legacy.opened", verdict.Changed) || shown == 0 {
			t.Errorf("%s with its password: %s %v, shown to the antivirus program %d times", name, rep.Outcome, rep.Findings, shown)
			continue
		}
		if !says(t, out, "関所の申請書") {
			t.Errorf("%s: the text is not in the result", name)
		}
		if again := verify.Check(t.Context(), rep.OutName, out); again.Outcome != verdict.Clean {
			t.Errorf("%s: the verifier refuses %v", name, again.Findings)
		}
		for _, keys := range [][]string{nil, {"chigau"}} {
			if rep, _ := converted(t, name, in, sanitize.Options{Keys: keys}); rep.Outcome != verdict.Blocked || !sanitizetest.Has(rep, "type.encrypted", verdict.Refused) || !verdict.WantsKey(rep.Findings) {
				t.Errorf("%s with %q: %s %v", name, keys, rep.Outcome, rep.Findings)
			}
		}
	}
}

// What a password hides from the first look is looked for behind it.
func TestMacrosBehindAPasswordAreNamed(t *testing.T) {
	in := crypttest.Workbook(record(0x0809, "\x00\x06\x05\x00")+sheet(0)+sheet(1)+record(0x000A, ""), "k", crypttest.CryptoAPI)
	_, _, needs := sanitizetest.Ask(t, "a.xls", in, sanitize.Options{Keys: []string{"k"}})
	if len(needs) != 1 || bytes.Equal(needs[0].Body, in) || needs[0].Options["password"] != "" {
		t.Fatalf("asks %d times, want one conversion of the opened workbook", len(needs))
	}
	rep, _, _ := sanitizetest.Ask(t, "a.xls", in, sanitize.Options{Keys: []string{"k"}, Answers: []verdict.Answer{{ID: needs[0].ID, Failed: "helper.failed"}}})
	if !sanitizetest.Has(rep, "legacy.macro-sheet", verdict.Removed) || !sanitizetest.Has(rep, "legacy.opened", verdict.Changed) {
		t.Errorf("got %v", rep.Findings)
	}
}
