package odf_test

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"image"
	"image/png"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/crypt/crypttest"
	"github.com/sekisho/sekisho/dataplane/sanitize/odf/odftest"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

var clean, has = sanitizetest.Clean, sanitizetest.Has

// parts unpacks a result: mimetype first, well-formed XML, and nothing that the manifest does not name. The verifier agrees, and a
// second rebuild changes nothing and says nothing.
func parts(t testing.TB, name string, out []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(out), int64(len(out)))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for i, f := range z.File {
		if i == 0 && (f.Name != "mimetype" || f.Method != zip.Store) {
			t.Errorf("begins with %s, method %d", f.Name, f.Method)
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all[f.Name] = string(b)
		if strings.HasSuffix(f.Name, ".xml") {
			for d := xml.NewDecoder(bytes.NewReader(b)); ; {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("%s: %v\n%s", f.Name, err, b)
				}
			}
		}
	}
	for n := range all {
		if n != "mimetype" && n != "META-INF/manifest.xml" && !strings.Contains(all["META-INF/manifest.xml"], `full-path="`+n+`"`) {
			t.Errorf("the manifest does not name %s", n)
		}
	}
	if r := verify.Check(t.Context(), name, out); r.Outcome != verdict.Clean {
		t.Errorf("%s: the verifier refuses %v", name, r.Findings)
	}
	rep, again := clean(t, name, out)
	if len(rep.Findings) != 0 && !has(rep, "odf.hidden", verdict.Reported) || !bytes.Equal(out, again) {
		t.Errorf("%s is not settled: %v", name, rep.Findings)
	}
	return all
}

func picture(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWhatActsInATextGoes(t *testing.T) {
	in := odftest.Text(t, `<text:p xml:id="a">本文<text:a xlink:type="simple" xlink:href="https://www.example.jp/">安全</text:a><text:a xlink:href="file:///c:/x.exe">危険</text:a>`+
		`<text:execute-macro text:name="M">押す</text:execute-macro><text:script script:language="JavaScript">x()</text:script><text:database-display text:database-name="d">値</text:database-display></text:p>`+
		`<text:section text:name="s"><text:section-source xlink:href="file:///x.odt"/><text:p>写し</text:p></text:section>`+
		`<text:p><draw:frame><draw:image xlink:href="Pictures/a.png" loext:mime-type="image/png"/></draw:frame><draw:frame><draw:image xlink:href="http://198.51.100.9/x.png"/></draw:frame>`+
		`<draw:frame><draw:object-ole xlink:href="./Object 2"/><draw:image xlink:href="./ObjectReplacements/Object 2"/></draw:frame>`+
		`<draw:frame><draw:object xlink:href="./Object 1"/></draw:frame><draw:frame><draw:plugin xlink:href="x.swf"/></draw:frame><draw:frame><draw:floating-frame xlink:href="http://198.51.100.9/"/></draw:frame></text:p>`+
		`<office:forms><form:form form:command="SELECT" form:datasource="d" xlink:href="http://198.51.100.9/"><form:properties><form:property form:property-name="HelpURL"/></form:properties><form:text form:control-implementation="ooo:com.sun.star.form.component.TextField" form:current-value="氏名"><office:event-listeners><script:event-listener script:language="ooo:script" xlink:href="vnd.sun.star.script:M"/></office:event-listeners></form:text></form:form></office:forms>`+
		`<x:evil xmlns:x="urn:x"><text:p>隠れた</text:p></x:evil>`,
		map[string]string{"Pictures/a.png": picture(t), "ObjectReplacements/Object 2": picture(t), "Object 2": "\xD0\xCF\x11\xE0", "Basic/Standard/M.xml": "x", "meta.xml": "<x/>", "META-INF/documentsignatures.xml": "<x/>", "Thumbnails/thumbnail.png": "x",
			"Configurations2/accelerator/current.xml": "", "Object 1/content.xml": odftest.Content(`<office:chart><chart:chart xlink:href=".."/></office:chart>`), "Object 1/styles.xml": `<script/>`[:0] + odftest.Styles("")})
	rep, out := clean(t, "申請.odt", in)
	for _, code := range []string{"odf.macros", "odf.external", "odf.object", "odf.form", "odf.unknown", "odf.properties", "odf.signature", "odf.link"} {
		if !has(rep, code, verdict.Removed) {
			t.Errorf("%s is not reported: %v", code, rep.Findings)
		}
	}
	all := parts(t, "申請.odt", out)
	names := slices.Sorted(maps.Keys(all))
	want := []string{"META-INF/manifest.xml", "Object 1/content.xml", "Object 1/styles.xml", "Pictures/Object 2.png", "Pictures/a.png", "content.xml", "mimetype", "styles.xml"}
	if !slices.Equal(names, want) {
		t.Errorf("parts %v, want %v", names, want)
	}
	body := all["content.xml"]
	for _, s := range []string{"本文", "安全", "危険", "押す", "値", "写し", `xlink:href="https://www.example.jp/"`, `form:current-value="氏名"`, `xlink:href="Pictures/a.png"`, `xlink:href="./Object 1"`, `form.component.TextField`} {
		if !strings.Contains(body, s) {
			t.Errorf("%s is gone:\n%s", s, body)
		}
	}
	for _, s := range []string{"script", "file:", "198.51", "SELECT", "HelpURL", "隠れた", "execute-macro", "x.swf"} {
		if strings.Contains(strings.ReplaceAll(body, `xmlns:script="urn:oasis:names:tc:opendocument:xmlns:script:1.0"`, ""), s) {
			t.Errorf("%s is still there:\n%s", s, body)
		}
	}
}

// LibreOffice 25 opens no document whose manifest names another version of OpenDocument than its content, or one where that names none.
// An element that no standard defines loses its tags in a paragraph, and everything elsewhere.
func TestElementsOfNoStandardGo(t *testing.T) {
	rep, out := clean(t, "a.odt", odftest.Text(t, `<text:launch text:what="calc"><text:p>inside</text:p></text:launch><text:p>kept <text:glow>too</text:glow></text:p>`, nil))
	content := parts(t, "a.odt", out)["content.xml"]
	if strings.Contains(content, "launch") || strings.Contains(content, "inside") || strings.Contains(content, "glow") || !strings.Contains(content, "kept too") || !has(rep, "odf.unknown", verdict.Removed) {
		t.Errorf("got %v %s", rep.Findings, content)
	}
}

func TestManifestNamesTheVersionOfTheContent(t *testing.T) {
	for in, want := range map[string]string{`office:version="1.4"`: ` manifest:version="1.4"`, `office:version="1.2"`: ` manifest:version="1.2"`, `office:version="9&quot;"`: "", "": ""} {
		content := strings.Replace(odftest.Content("<office:text/>"), `office:version="1.2"`, in, 1)
		_, out := clean(t, "a.odt", odftest.Text(t, "", map[string]string{"content.xml": content}))
		manifest := parts(t, "a.odt", out)["META-INF/manifest.xml"]
		for _, element := range []string{`<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"`, `<manifest:file-entry manifest:full-path="/"`} {
			_, rest, _ := strings.Cut(manifest, element)
			if !strings.HasPrefix(rest, want) || want == "" && strings.Contains(manifest, "manifest:version") {
				t.Errorf("content of %q: %s", in, manifest)
			}
		}
	}
}

func TestSpreadsheetsLoseWhatReachesOut(t *testing.T) {
	cell := func(formula, value string) string {
		return `<table:table-cell table:formula="` + formula + `" office:value-type="float" office:value="` + value + `"><text:p>` + value + `</text:p></table:table-cell>`
	}
	in := odftest.Sheet(t, `<table:table table:name="表"><table:table-source xlink:href="file:///x.ods"/><table:table-row>`+
		cell("of:=SUM([.A1:.B2])", "1")+cell("of:=['file:///c:/x.ods'#$表.A1]", "2")+cell(`of:=WEBSERVICE(&quot;http://x/&quot;)`, "3")+cell(`of:=DDE(&quot;a&quot;;&quot;b&quot;;&quot;c&quot;)`, "4")+
		cell(`of:=HYPERLINK(&quot;https://www.example.jp/&quot;)`, "5")+cell(`of:=HYPERLINK(&quot;file:///x&quot;)`, "6")+cell("msoxl:=[1]S!A1", "7")+`</table:table-row></table:table>`+
		`<table:database-ranges><table:database-range table:name="r"><table:database-source-sql table:database-name="d" table:sql-statement="SELECT"/></table:database-range></table:database-ranges>`+
		`<table:dde-links><table:dde-link><office:dde-source office:dde-application="cmd"/></table:dde-link></table:dde-links>`, nil)
	rep, out := clean(t, "a.ods", in)
	body := parts(t, "a.ods", out)["content.xml"]
	for _, v := range []string{"1", "2", "3", "4", "5", "6", "7"} {
		if !strings.Contains(body, "<text:p>"+v+"</text:p>") {
			t.Errorf("value %s is gone", v)
		}
	}
	if strings.Count(body, "table:formula") != 2 || strings.Contains(body, "file:") || strings.Contains(body, "DDE") || strings.Contains(body, "SELECT") || strings.Contains(body, "dde-source") || !has(rep, "odf.formula", verdict.Removed) {
		t.Errorf("left: %s", body)
	}
}

func TestShowsKeepWhatStaysInTheShow(t *testing.T) {
	in := odftest.Show(t, `<draw:page><draw:frame><office:event-listeners><presentation:event-listener script:event-name="dom:click" presentation:action="next-page"/><presentation:event-listener script:event-name="dom:click" presentation:action="execute" xlink:href="file:///x.exe"/></office:event-listeners></draw:frame>`+
		`<anim:par><anim:audio xlink:href="media/a.wav"/><anim:command anim:command="verb"/></anim:par><presentation:sound xlink:href="x.wav"/></draw:page>`, map[string]string{"media/a.wav": "x"})
	rep, out := clean(t, "a.odp", in)
	body := parts(t, "a.odp", out)["content.xml"]
	if !strings.Contains(body, "next-page") || !strings.Contains(body, "dom:click") || strings.Contains(body, "execute") || strings.Contains(body, "wav") || !has(rep, "odf.media", verdict.Removed) {
		t.Errorf("left: %s\n%v", body, rep.Findings)
	}
}

func TestSettingsKeepTheLayoutOnly(t *testing.T) {
	item := func(name, typ, value string) string {
		return `<config:config-item config:name="` + name + `" config:type="` + typ + `">` + value + `</config:config-item>`
	}
	in := odftest.Text(t, "<text:p/>", map[string]string{"settings.xml": odftest.Settings(item("PrinterIndependentLayout", "string", "x") + item("AddParaTableSpacing", "boolean", "true") + item("PrinterName", "string", "総務課3F") +
		item("PrinterSetup", "base64Binary", "AAAA") + item("LinkUpdateMode", "short", "2") + item("ViewId", "string", "view2"))})
	rep, out := clean(t, "a.odt", in)
	s := parts(t, "a.odt", out)["settings.xml"]
	if strings.Contains(s, "Printer") || strings.Contains(s, "LinkUpdate") || !strings.Contains(s, "AddParaTableSpacing") || !strings.Contains(s, "view2") || !has(rep, "odf.settings", verdict.Removed) {
		t.Errorf("left: %s", s)
	}
}

func TestPolicyTakesLinksCommentsAndChanges(t *testing.T) {
	in := odftest.Text(t, `<text:tracked-changes><text:changed-region xml:id="c"><text:deletion><text:p>消した</text:p></text:deletion></text:changed-region></text:tracked-changes>`+
		`<text:p><text:change text:change-id="c"/><office:annotation><dc:creator>山田</dc:creator><text:p>注</text:p></office:annotation><text:a xlink:href="https://www.example.jp/">頁</text:a><text:a xlink:href="#目次">目次</text:a></text:p>`, nil)
	_, out := clean(t, "a.odt", in)
	if body := parts(t, "a.odt", out)["content.xml"]; !strings.Contains(body, "消した") || !strings.Contains(body, "山田") || !strings.Contains(body, "https:") {
		t.Errorf("gone by default: %s", body)
	}
	rep, out, _ := sanitizetest.Ask(t, "a.odt", in, sanitize.Options{Policy: verdict.Policy{Comments: "remove", Links: "remove"}})
	body := parts(t, "a.odt", out)["content.xml"]
	if strings.Contains(body, "消した") || strings.Contains(body, "山田") || strings.Contains(body, "https:") || !strings.Contains(body, "#目次") || !strings.Contains(body, "頁") ||
		!has(rep, "odf.comments", verdict.Removed) || !has(rep, "odf.changes", verdict.Removed) {
		t.Errorf("left: %s %v", body, rep.Findings)
	}
}

func TestBrokenEncryptedAndMisnamedPackagesAreRefused(t *testing.T) {
	good := func(more map[string]string) []byte { return odftest.Text(t, "<text:p/>", more) }
	for name, c := range map[string]struct {
		file string
		in   []byte
		code string
	}{
		"another kind":                 {"a.ods", good(nil), "type.mismatch"},
		"encrypted":                    {"a.odt", good(map[string]string{"META-INF/manifest.xml": `<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><manifest:file-entry manifest:full-path="content.xml"><manifest:encryption-data/></manifest:file-entry></manifest:manifest>`}), "type.encrypted"},
		"encrypted without a password": {"a.odt", crypttest.OpenDocument(good(nil), "k", "text", nil), "type.encrypted"},
		"no content":                   {"a.odt", odftest.Zip(t, map[string]string{"mimetype": "application/vnd.oasis.opendocument.text", "META-INF/manifest.xml": `<x/>`}), "odf.broken"},
		"not well-formed":              {"a.odt", good(map[string]string{"content.xml": "<a"}), "xml.broken"},
		"a document type":              {"a.odt", good(map[string]string{"content.xml": `<!DOCTYPE x [<!ENTITY a "b">]><x/>`}), "xml.dtd"},
		"a foreign root":               {"a.odt", good(map[string]string{"content.xml": `<html/>`}), "odf.broken"},
		"a flat document":              {"a.fodt", []byte("<office:document/>"), "type.mismatch"},
		"a name that rises":            {"a.odt", good(map[string]string{"../x": "x"}), "ooxml.member"},
	} {
		rep, _ := sanitizetest.Run(t, c.file, c.in)
		if rep.Outcome != verdict.Blocked || !has(rep, c.code, verdict.Refused) {
			t.Errorf("%s: got %s %v, want %s", name, rep.Outcome, rep.Findings, c.code)
		}
	}
}

func FuzzContent(f *testing.F) {
	f.Add(`<text:p><text:a xlink:href="x">a</text:a></text:p>`)
	f.Add(`<draw:frame><draw:object xlink:href="."/><draw:image xlink:href="content.xml"/></draw:frame>`)
	f.Add(`<table:table-cell table:formula="of:='a'#b"/><office:forms xmlns:text="urn:x"><text:p/></office:forms>`)
	f.Fuzz(func(t *testing.T, inner string) {
		rep, out := sanitizetest.Run(t, "a.odt", odftest.Text(t, inner, nil))
		if has(rep, "internal", verdict.Refused) {
			t.Fatalf("panic: %v", rep.Findings)
		}
		if rep.Outcome == verdict.Clean {
			parts(t, "a.odt", out)
		}
	})
}

func TestNumbersOfPersonsAreHeardInRows(t *testing.T) {
	const number = "123456789018"
	cells := ""
	for _, c := range number {
		cells += `<table:table-cell><text:p>` + string(c) + `</text:p></table:table-cell>`
	}
	for name, in := range map[string][]byte{
		"a.ods": odftest.Sheet(t, `<table:table table:name="表"><table:table-row><table:table-cell><text:p>個人番号</text:p></table:table-cell></table:table-row><table:table-row>`+cells+`</table:table-row></table:table>`, nil),
		"a.odt": odftest.Text(t, `<text:p>個人番号 1234<text:span>56789018</text:span></text:p>`, nil),
	} {
		if rep, _ := clean(t, name, in); !has(rep, "mynumber.found", verdict.Reported) && !has(rep, "mynumber.likely", verdict.Reported) {
			t.Errorf("%s: not found: %v", name, rep.Findings)
		}
	}
}
