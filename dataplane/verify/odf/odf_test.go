package odf_test

import (
	"archive/zip"
	"bytes"
	"image"
	"image/png"
	"io"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/container"
	"github.com/sekisho/sekisho/dataplane/sanitize/odf/odftest"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

// broken is a good result after which a rebuilder with a fault has put something in: each pair of edits replaces text in a part; a
// part that is not there is added.
func broken(t *testing.T, good []byte, part, old, new string) []byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(good), int64(len(good)))
	if err != nil {
		t.Fatal(err)
	}
	var parts []container.Part
	found := false
	add := func(name string, b []byte) {
		p, err := container.Pack(name, b)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, p)
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
		if f.Name == part {
			if found = true; !bytes.Contains(b, []byte(old)) {
				t.Fatalf("%s holds no %q", part, old)
			}
			b = bytes.Replace(b, []byte(old), []byte(new), 1)
		}
		add(f.Name, b)
	}
	if !found {
		add(part, []byte(new))
	}
	var out bytes.Buffer
	if err := container.Write(&out, "mimetype", parts); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestBrokenRebuilders(t *testing.T) {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	_, good := sanitizetest.Clean(t, "a.odt", odftest.Text(t, `<text:p>関所<draw:frame><draw:image xlink:href="Pictures/a.png"/></draw:frame><text:a xlink:href="https://www.example.jp/">x</text:a></text:p>`+
		`<table:table><table:table-row><table:table-cell table:formula="of:=SUM([.A1])"/></table:table-row></table:table>`,
		map[string]string{"Pictures/a.png": picture.String(), "settings.xml": odftest.Settings(`<config:config-item config:name="AddParaTableSpacing" config:type="boolean">true</config:config-item>`)}))
	if r := verify.Check(t.Context(), "a.odt", broken(t, good, "content.xml", "関所", "関所")); r.Outcome != verdict.Clean {
		t.Fatalf("the good one: %v", r.Findings)
	}
	in := func(x string) []byte { return broken(t, good, "content.xml", "<text:p>", x+"<text:p>") }
	formula := func(f string) []byte { return broken(t, good, "content.xml", "of:=SUM([.A1])", f) }
	manifest := func(old, new string) []byte { return broken(t, good, "META-INF/manifest.xml", old, new) }
	for what, c := range map[string]struct {
		name, code string
		in         []byte
	}{
		"another kind":               {"a.ods", "verify.part", good},
		"an element of no standard":  {"a.odt", "verify.markup", in(`<text:launch/>`)},
		"a template's name":          {"a.ott", "verify.part", good},
		"a mimetype with more":       {"a.odt", "verify.part", broken(t, good, "mimetype", "text", "text ")},
		"a part nobody names":        {"a.odt", "verify.part", broken(t, good, "Basic/M.xml", "", "x")},
		"an entry without a part":    {"a.odt", "verify.part", manifest("</manifest:manifest>", `<manifest:file-entry manifest:full-path="x.xml" manifest:media-type="text/xml"/></manifest:manifest>`)},
		"a part of another type":     {"a.odt", "verify.part", manifest(`manifest:media-type="image/png"`, `manifest:media-type="application/x"`)},
		"an encrypted entry":         {"a.odt", "verify.markup", manifest("</manifest:manifest>", `<manifest:encryption-data/></manifest:manifest>`)},
		"a picture nobody shows":     {"a.odt", "verify.part", broken(t, good, "content.xml", `<draw:image xlink:href="Pictures/a.png"/>`, "")},
		"a picture with a tail":      {"a.odt", "verify.image", broken(t, good, "Pictures/a.png", "IEND\xaeB`\x82", "IEND\xaeB`\x82MZ")},
		"a script":                   {"a.odt", "verify.active", in(`<text:script>x</text:script>`)},
		"a listener of a script":     {"a.odt", "verify.markup", in(`<office:event-listeners><script:event-listener/></office:event-listeners>`)},
		"a listener that starts":     {"a.odt", "verify.active", in(`<presentation:event-listener presentation:action="execute"/>`)},
		"something in scripts":       {"a.odt", "verify.active", in("<office:scripts/>")},
		"a macro field":              {"a.odt", "verify.active", in(`<text:p><text:execute-macro/></text:p>`)},
		"an object":                  {"a.odt", "verify.active", in(`<draw:object-ole xlink:href="Pictures/a.png"/>`)},
		"an object that is a part":   {"a.odt", "verify.link", in(`<draw:object xlink:href="./Pictures"/>`)},
		"the document in itself":     {"a.odt", "verify.link", in(`<draw:object xlink:href="."/>`)},
		"a section of another file":  {"a.odt", "verify.active", in(`<text:section-source xlink:href="file:///x"/>`)},
		"a picture from outside":     {"a.odt", "verify.link", in(`<draw:image xlink:href="http://198.51.100.9/x.png"/>`)},
		"a picture that is content":  {"a.odt", "verify.link", in(`<draw:image xlink:href="content.xml"/>`)},
		"a link to a file":           {"a.odt", "verify.link", in(`<text:a xlink:href="file:///c:/x.exe"/>`)},
		"a reference of another":     {"a.odt", "verify.link", in(`<text:p xlink:href="https://www.example.jp/"/>`)},
		"a form that sends":          {"a.odt", "verify.link", in(`<form:form xlink:href="https://www.example.jp/"/>`)},
		"a form of a database":       {"a.odt", "verify.link", in(`<form:form form:command="SELECT"/>`)},
		"a control of another kind":  {"a.odt", "verify.active", in(`<form:text form:control-implementation="ooo:com.sun.star.script.X"/>`)},
		"an attribute of a script":   {"a.odt", "verify.active", in(`<text:p script:language="x"/>`)},
		"an unknown namespace":       {"a.odt", "verify.markup", in(`<x:y xmlns:x="urn:x"/>`)},
		"an attribute without one":   {"a.odt", "verify.markup", in(`<text:p onclick="x"/>`)},
		"a printer":                  {"a.odt", "verify.active", broken(t, good, "settings.xml", `config:type="boolean">true`, `config:type="string">room 3`)},
		"a foreign root":             {"a.odt", "verify.part", broken(t, good, "styles.xml", "office:document-styles", "office:document-content")},
		"a formula of another file":  {"a.odt", "verify.link", formula("of:=['file:///x.ods'#$S.A1]")},
		"a formula of another, bare": {"a.odt", "verify.link", formula("of:=[file:///x.ods#$S.A1]")},
		"a formula that asks":        {"a.odt", "verify.active", formula("of:=1+webservice(&quot;x&quot;)")},
		"DDE behind text":            {"a.odt", "verify.active", formula("of:=&quot;a&quot;&amp;DDE (&quot;a&quot;)")},
		"a link of a formula":        {"a.odt", "verify.link", formula("of:=&quot;https://a&quot;&amp;HYPERLINK(&quot;file:///x&quot;)")},
		"a link that is computed":    {"a.odt", "verify.link", formula("of:=HYPERLINK([.A1])")},
		"Excel's grammar":            {"a.odt", "verify.link", formula("msoxl:=[1]S!A1")},
	} {
		r := verify.Check(t.Context(), c.name, c.in)
		if r.Outcome != verdict.Blocked || r.Findings[0].Code != c.code {
			t.Errorf("%s: got %s %+v, want %s", what, r.Outcome, r.Findings, c.code)
		}
	}
	if strings.Count(string(good), "PK\x03\x04") < 5 {
		t.Error("the good one has lost its parts")
	}
}

// A rebuilder that forgets what the route chose is caught; one that heeds it passes.
func TestRoutesAreKnown(t *testing.T) {
	links, comments, hidden := verdict.Policy{Links: "remove"}, verdict.Policy{Comments: "remove"}, verdict.Policy{Hidden: "remove"}
	styled := func(family, properties, body string) map[string]string {
		return map[string]string{"content.xml": strings.Replace(odftest.Content(body), "<office:body>", `<office:automatic-styles><style:style style:name="h" style:family="`+family+`">`+properties+`</style:style></office:automatic-styles><office:body>`, 1)}
	}
	const secret = "秘密"
	for name, c := range map[string]struct {
		file   string
		in     []byte
		policy verdict.Policy
	}{
		"a link":          {"a.odt", odftest.Text(t, `<text:p><text:a xlink:href="https://www.example.jp/">頁</text:a></text:p>`, nil), links},
		"a formula":       {"a.ods", odftest.Sheet(t, `<table:table><table:table-row><table:table-cell table:formula="of:=HYPERLINK(&quot;https://www.example.jp/&quot;)"/></table:table-row></table:table>`, nil), links},
		"a comment":       {"a.odt", odftest.Text(t, `<text:p><office:annotation><text:p>注</text:p></office:annotation></text:p>`, nil), comments},
		"changes":         {"a.odt", odftest.Text(t, `<text:tracked-changes/><text:p/>`, nil), comments},
		"hidden text":     {"a.odt", odftest.Text(t, `<text:p>x<text:hidden-text>秘密</text:hidden-text></text:p>`, nil), hidden},
		"a hidden part":   {"a.odt", odftest.Text(t, `<text:section text:display="none"><text:p>秘密</text:p></text:section><text:p/>`, nil), hidden},
		"a hidden sheet":  {"a.ods", odftest.Sheet(t, "", styled("table", `<style:table-properties table:display="false"/>`, `<office:spreadsheet><table:table table:style-name="h"><table:table-row><table:table-cell><text:p>秘密</text:p></table:table-cell></table:table-row></table:table><table:table table:style-name="o"/></office:spreadsheet>`)), hidden},
		"a hidden slide":  {"a.odp", odftest.Show(t, "", styled("drawing-page", `<style:drawing-page-properties presentation:visibility="hidden"/>`, `<office:presentation><draw:page draw:style-name="h"><draw:frame><draw:text-box><text:p>秘密</text:p></draw:text-box></draw:frame></draw:page><draw:page/></office:presentation>`)), hidden},
		"text of a style": {"a.odt", odftest.Text(t, "", styled("text", `<style:text-properties text:display="none"/>`, `<office:text><text:p>x<text:span text:style-name="h">秘密</text:span></text:p></office:text>`)), hidden},
	} {
		t.Run(name, func(t *testing.T) {
			rep, forgot, _ := sanitizetest.Ask(t, c.file, c.in, sanitize.Options{})
			if rep.Outcome != verdict.Clean {
				t.Fatalf("not rebuilt: %v", rep.Findings)
			}
			if r := verify.Check(t.Context(), c.file, forgot); r.Outcome != verdict.Clean {
				t.Fatalf("refused on a route without the choice: %v", r.Findings)
			}
			if r := verify.CheckFor(t.Context(), c.policy, c.file, forgot); r.Outcome == verdict.Clean {
				t.Error("passes on a route that wants it out")
			}
			if c.policy.Hidden != "" && !sanitizetest.Has(rep, "odf.hidden", verdict.Reported) {
				t.Errorf("not told: %v", rep.Findings)
			}
			rep, heeded, _ := sanitizetest.Ask(t, c.file, c.in, sanitize.Options{Policy: c.policy})
			if r := verify.CheckFor(t.Context(), c.policy, c.file, heeded); r.Outcome != verdict.Clean {
				t.Errorf("refused although it went: %v %v", rep.Findings, r.Findings)
			}
			if content := odftest.Parts(t, heeded)["content.xml"]; strings.Contains(content, secret) || c.policy.Hidden != "" && !sanitizetest.Has(rep, "odf.hidden-gone", verdict.Removed) {
				t.Errorf("left: %v %s", rep.Findings, content)
			}
		})
	}
}
