package validator

import (
	"archive/zip"
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

// What the program says is told apart by kind, and an answer that judges nothing is an error.
func TestKinds(t *testing.T) {
	for answer, want := range map[string][]string{
		`{"ok":true,"errors":[]}`: nil,
		`{"ok":false,"errors":[{"description":"a 2","path":"/word/header1.xml","xPath":"/x[1]","id":"S1","errorType":"Schema"},{"description":"a 3","path":"/word/header2.xml","id":"S1","errorType":"Schema"}]}`: {"/word/header#.xml S# a #"},
	} {
		if got, err := kinds([]byte(answer)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %q, %v; want %q", answer, got, err, want)
		}
	}
	for answer, unread := range map[string]bool{``: false, `{"ok":false,"errors":[]}`: false, `{"ok":false,"errors":[{"description":"not a package","errorType":"Exception"}]}`: true} {
		if got, err := kinds([]byte(answer)); err == nil || errors.Is(err, ErrUnread) != unread {
			t.Errorf("%q: got %q, %v", answer, got, err)
		}
	}
	if got := New([]string{"a", "b"}, []string{"b", "c"}); !slices.Equal(got, []string{"c"}) {
		t.Errorf("new are %q, want c", got)
	}
}

// The real program finds an element that no schema has.
func TestProgram(t *testing.T) {
	v, err := Fetch(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	sound, err := v.Kinds(t.Context(), ".docx", document(t, `<w:p/>`))
	if err != nil || len(sound) > 0 {
		t.Errorf("a sound document has %q, %v", sound, err)
	}
	broken, err := v.Kinds(t.Context(), ".docx", document(t, `<w:nothing/>`))
	if err != nil || len(broken) != 1 || !strings.Contains(broken[0], "nothing") {
		t.Errorf("a document with an unknown element has %q, %v", broken, err)
	}
	if got, err := v.Kinds(t.Context(), ".docx", []byte("PK no package")); !errors.Is(err, ErrUnread) {
		t.Errorf("what is no package has %q, %v; want %v", got, err, ErrUnread)
	}
	if got, err := (v + "-missing").Kinds(t.Context(), ".docx", document(t, `<w:p/>`)); err == nil || errors.Is(err, ErrUnread) {
		t.Errorf("a missing program says %q, %v; want an error about it", got, err)
	}
}

func document(t *testing.T, body string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, p := range [][2]string{
		{"[Content_Types].xml", `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>`},
		{"_rels/.rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>`},
		{"word/document.xml", `<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>` + body + `</w:body></w:document>`},
	} {
		f, err := w.Create(p[0])
		if err == nil {
			_, err = f.Write([]byte(p[1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
