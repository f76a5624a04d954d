package odf_test

import (
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/odf/odftest"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// A document that is one XML is asked to be converted, and what comes back is trusted no more than any other package.
func TestFlatDocumentsAreConvertedAndRebuilt(t *testing.T) {
	in := []byte(flat("text", `<office:text><text:p>関所の申請書</text:p></office:text>`))
	_, _, needs := sanitizetest.Ask(t, "申請.fodt", in, sanitize.Options{})
	if len(needs) != 1 || needs[0].Kind != "convert" || needs[0].Options["from"] != "fodt" || needs[0].Options["to"] != "odt" || tool.Check(needs[0]) != nil {
		t.Fatalf("asks %v", needs)
	}
	answer := odftest.Text(t, `<text:p>関所<text:execute-macro>m</text:execute-macro></text:p>`, map[string]string{"Basic/Standard/M.xml": "x"})
	rep, out, _ := sanitizetest.Ask(t, "申請.fodt", in, sanitize.Options{Answers: []verdict.Answer{{ID: needs[0].ID, Body: answer}}})
	if rep.Outcome != verdict.Clean || rep.OutName != "申請.odt" || rep.Family != "odt" || !has(rep, "odf.flat", verdict.Changed) || !has(rep, "odf.macros", verdict.Removed) {
		t.Errorf("got %s %s %s %v", rep.Outcome, rep.OutName, rep.Family, rep.Findings)
	}
	if all := parts(t, rep.OutName, out); all["Basic/Standard/M.xml"] != "" {
		t.Error("a macro crossed")
	}
	for name, c := range map[string]struct{ file, in, code string }{
		"another XML":      {"a.fodt", "<?xml version=\"1.0\"?><x/>", "type.mismatch"},
		"an entity":        {"a.fodt", `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + string(in), "xml.dtd"},
		"no text":          {"a.fods", "PK\x03\x04\x00", "type.mismatch"},
		"a program":        {"a.fodp", "MZ\x00\x00", "type.mismatch"},
		"not on the route": {"申請.fodt", string(in), "type.not-admitted"},
	} {
		opt := sanitize.Options{}
		if c.code == "type.not-admitted" {
			opt.Formats = []string{"docx"}
		}
		if rep, _, _ := sanitizetest.Ask(t, c.file, []byte(c.in), opt); !has(rep, c.code, verdict.Refused) {
			t.Errorf("%s: got %v, want %s", name, rep.Findings, c.code)
		}
	}
	// A route that admits the result admits the original.
	if _, _, needs := sanitizetest.Ask(t, "申請.fodt", in, sanitize.Options{Formats: []string{"odt"}}); len(needs) != 1 {
		t.Error("a route for odt does not take fodt")
	}
}

// With LibreOffice: the text comes over, Basic in the document does not.
func TestFlatDocumentsByLibreOffice(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: LibreOffice takes seconds a file")
	}
	basic := `<office:scripts><office:script script:language="ooo:Basic" xmlns:script="urn:oasis:names:tc:opendocument:xmlns:script:1.0"><ooo:libraries xmlns:ooo="http://openoffice.org/2004/office" xmlns:xlink="http://www.w3.org/1999/xlink"><ooo:library-embedded ooo:name="Standard"><ooo:module ooo:name="M"><ooo:source-code>Sub AutoOpen
End Sub</ooo:source-code></ooo:module></ooo:library-embedded></ooo:libraries></office:script></office:scripts>`
	for file, body := range map[string]string{
		"申請.fodt": flat("text", `<office:text><text:p>関所の申請書</text:p></office:text>`),
		"申請.fods": flat("spreadsheet", `<office:spreadsheet><table:table table:name="表"><table:table-row><table:table-cell office:value-type="string"><text:p>関所の申請書</text:p></table:table-cell></table:table-row></table:table></office:spreadsheet>`),
		"申請.fodp": flat("presentation", `<office:presentation><draw:page draw:name="p"><draw:frame svg:width="9cm" svg:height="3cm"><draw:text-box><text:p>関所の申請書</text:p></draw:text-box></draw:frame></draw:page></office:presentation>`),
	} {
		in := []byte(strings.Replace(body, "<office:body>", basic+"<office:body>", 1))
		_, _, needs := sanitizetest.Ask(t, file, in, sanitize.Options{})
		if len(needs) != 1 {
			t.Fatalf("%s: asks %d times", file, len(needs))
		}
		a := tool.Answer(t.Context(), needs[0])
		if a.Failed == tool.Absent {
			t.Skipf("no %s here", a.Detail)
		}
		rep, out, _ := sanitizetest.Ask(t, file, in, sanitize.Options{Answers: []verdict.Answer{a}})
		if rep.Outcome != verdict.Clean || !has(rep, "odf.macros", verdict.Removed) {
			t.Errorf("%s: %s %s %v", file, a.Detail, rep.Outcome, rep.Findings)
			continue
		}
		if all := parts(t, rep.OutName, out); !strings.Contains(all["content.xml"], "関所の申請書") {
			t.Errorf("%s: the text is gone", file)
		}
	}
}
