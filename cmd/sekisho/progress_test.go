package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

func TestReadPasswords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(path, []byte("ひみつ\r\nsecond\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, stdin string
		want        []string
		fail        string
	}{
		{"", "unread", nil, ""},
		{path, "unread", []string{"ひみつ", "second"}, ""},
		{"-", "one\n", []string{"one"}, ""},
		{"-", "one\n\x00", nil, "line 2"},
		{"-", strings.Repeat("x\n", 9000), nil, "over"},
		{path + "-none", "", nil, "no such file"},
	} {
		got, err := readPasswords(c.path, strings.NewReader(c.stdin))
		if !slices.Equal(got, c.want) || (err != nil) != (c.fail != "") || err != nil && !strings.Contains(err.Error(), c.fail) {
			t.Errorf("%q: got %q, %v, want %q, %q", c.path, got, err, c.want, c.fail)
		}
	}
}

func TestProgressOnATerminal(t *testing.T) {
	var b bytes.Buffer
	tell := progress("a\x1b]0;x\a.pdf", &b)
	tell(verdict.Stage{Name: verdict.Reading})
	tell(verdict.Stage{Name: verdict.Helping, Done: 1, Of: 3})
	const want = erase + `"a\x1b]0;x\a.pdf": reading` + erase + `"a\x1b]0;x\a.pdf": helping 1/3`
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}
