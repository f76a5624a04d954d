package main

import (
	"archive/zip"
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

// Two programs, written apart, must agree: what the rebuilder calls clean, the verifier passes. Where they do not, either something
// dangerous came through the first, or the second blocks a file that is fine.
func agree(t *testing.T, name string, in []byte) (clean bool) {
	t.Helper()
	var out bytes.Buffer
	r, _ := sanitize.Rebuild(t.Context(), name, in, &out, sanitize.Options{})
	if r.Outcome != verdict.Clean {
		return false
	}
	if v := verify.Check(t.Context(), r.OutName, out.Bytes()); v.Outcome != verdict.Clean {
		t.Errorf("%q: rebuilt as %q, refused: %+v", in, out.Bytes(), v.Findings)
	}
	return true
}

// TestTablesPassBoth: quotes that open late or never, separators of others, and cells that begin in one reading only.
func TestTablesPassBoth(t *testing.T) {
	for _, in := range []string{"a, \"x,=1\"", "a,  \"=1\"", "a, \"x,\n=1\", \"y,@b\"\n", " \"a\n=1\"", "\"a,b\n=1", "\"a\";\"b\n=1;\"\n", "a,\"\t=1\""} {
		if !agree(t, "a.csv", []byte(in)) {
			t.Errorf("%q is blocked", in)
		}
	}
	words := []string{",", ";", "\t", "\n", "\r\n", "\"", "\"\"", " ", "=", "+", "-", "@", "1", "x", "'", "＝", "−", "\u3000", "%", "e"}
	dice := rand.New(rand.NewPCG(1, 2))
	clean := 0
	for range 15_000 {
		var b strings.Builder
		for range 1 + dice.IntN(10) {
			b.WriteString(words[dice.IntN(len(words))])
		}
		if agree(t, "a.csv", []byte(b.String())) {
			clean++
		}
		if t.Failed() {
			return
		}
	}
	if clean < 10_000 {
		t.Errorf("only %d tables were clean", clean)
	}
}

// TestFieldsPassBoth makes fields whose marks, instructions and results lie in runs, in elements that go and in alternatives.
func TestFieldsPassBoth(t *testing.T) {
	const head = `<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" ` +
		`xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml" xmlns:e="urn:e" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><w:body><w:p>`
	leaves := []string{}
	for _, m := range []string{"begin", "separate", "end"} {
		leaves = append(leaves, `<w:r><w:fldChar w:fldCharType="`+m+`"/></w:r>`, `<w:r><w:fldChar w:fldCharType="`+m+`"/></w:r>`)
	}
	for _, s := range []string{"PAGE ", "DDEAUTO cmd", "IF ", "=", ` HYPERLINK "file:///x" `, " "} {
		leaves = append(leaves, `<w:r><w:instrText>`+s+`</w:instrText></w:r>`, `<w:r><w:t>`+s+`</w:t></w:r>`)
	}
	leaves = append(leaves, `<w:r><w:delText>DDE</w:delText></w:r>`, `<w:r><w:instrText>DD<e:x>Q</e:x>E x</w:instrText></w:r>`, `<w:r><w:instrText>DD<w:tab/>E x</w:instrText></w:r>`)
	dice := rand.New(rand.NewPCG(3, 4))
	var some func(depth int) string
	some = func(depth int) string {
		var b strings.Builder
		for range 1 + dice.IntN(5) {
			switch k := dice.IntN(12); {
			case depth < 2 && k == 0:
				b.WriteString(`<e:x>` + some(depth+1) + `</e:x>`)
			case depth < 2 && k == 1:
				b.WriteString(`<w:smartTag r:id="rId77">` + some(depth+1) + `</w:smartTag>`)
			case depth < 2 && k == 2:
				b.WriteString(`<mc:AlternateContent><mc:Choice Requires="` + []string{"w14", "e"}[dice.IntN(2)] + `">` + some(depth+1) + `</mc:Choice><mc:Fallback>` + some(depth+1) + `</mc:Fallback></mc:AlternateContent>`)
			default:
				b.WriteString(leaves[dice.IntN(len(leaves))])
			}
		}
		return b.String()
	}
	clean := 0
	for range 3_000 {
		body := some(0)
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, p := range [][2]string{
			{"[Content_Types].xml", `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
				`<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>`},
			{"_rels/.rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>`},
			{"word/document.xml", head + body + `</w:p></w:body></w:document>`},
		} {
			w, err := z.Create(p[0])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(p[1])); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if agree(t, "a.docx", b.Bytes()) {
			clean++
		}
		if t.Failed() {
			t.Fatalf("of %s", body)
		}
	}
	if clean < 2_400 {
		t.Errorf("only %d documents were clean", clean)
	}
}
