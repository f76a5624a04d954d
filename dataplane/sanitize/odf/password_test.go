package odf_test

import (
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool/tooltest"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

func flat(kind, body string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" ` +
		`xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" ` +
		`office:version="1.3" office:mimetype="application/vnd.oasis.opendocument.` + kind + `"><office:body>` + body + `</office:body></office:document>`
}

// TestDocumentsUnderAPasswordAreOpened with files of LibreOffice: of the present (AES-GCM, Argon2), of ODF 1.2 (AES-CBC, PBKDF2) and
// of ODF 1.1 (Blowfish).
func TestDocumentsUnderAPasswordAreOpened(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: LibreOffice takes seconds a file")
	}
	const key = "かぎ-2026"
	letter := flat("text", `<office:text><text:p>関所の申請書</text:p></office:text>`)
	for name, c := range map[string]struct{ file, in, from, filter, version string }{
		"text":         {"申請.odt", letter, "fodt", "writer8", "3"},
		"text of 1.2":  {"申請.odt", letter, "fodt", "writer8", "4"},
		"text of 1.1":  {"申請.odt", letter, "fodt", "writer8", "2"},
		"sheet":        {"申請.ods", flat("spreadsheet", `<office:spreadsheet><table:table table:name="表"><table:table-row><table:table-cell office:value-type="string"><text:p>関所の申請書</text:p></table:table-cell></table:table-row></table:table></office:spreadsheet>`), "fods", "calc8", "3"},
		"presentation": {"申請.odp", flat("presentation", `<office:presentation><draw:page draw:name="p"><draw:frame svg:width="9cm" svg:height="3cm"><draw:text-box><text:p>関所の申請書</text:p></draw:text-box></draw:frame></draw:page></office:presentation>`), "fodp", "impress8", "3"},
	} {
		in := tooltest.WrittenIn(t, c.in, c.from, c.filter, key, c.version)
		shown := 0
		rep, out, needs := sanitizetest.Ask(t, c.file, in, sanitize.Options{Keys: []string{"chigau", key}, Member: func(string, []byte) error { shown++; return nil }})
		if rep.Outcome != verdict.Clean || len(needs) > 0 || !has(rep, "legacy.opened", verdict.Changed) || shown == 0 {
			t.Errorf("%s: %s %v, shown %d times", name, rep.Outcome, rep.Findings, shown)
			continue
		}
		if all := parts(t, c.file, out); !strings.Contains(all["content.xml"], "関所の申請書") {
			t.Errorf("%s: the text is gone", name)
		}
		for _, keys := range [][]string{nil, {"chigau"}} {
			if rep, _, _ := sanitizetest.Ask(t, c.file, in, sanitize.Options{Keys: keys}); rep.Outcome != verdict.Blocked || !has(rep, "type.encrypted", verdict.Refused) {
				t.Errorf("%s with %q: %s %v", name, keys, rep.Outcome, rep.Findings)
			}
		}
	}
}
