package config

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"
)

// FuzzParse: whatever the text, Parse ends soon, does not panic, says the same twice, and points into the document.
func FuzzParse(f *testing.F) {
	lab := read(f, "lab")
	f.Add([]byte(lab))
	for i, x := range faults {
		if i%4 == 0 {
			f.Add([]byte(strings.Replace(lab, x.old, x.new, 1)))
		}
	}
	for _, doc := range []string{timed(f), lived(f), lab + stated} {
		f.Add([]byte(doc))
	}
	for i, x := range lifeFaults {
		if i%4 == 0 {
			f.Add([]byte(strings.Replace(lived(f), x.old, x.new, 1)))
		}
	}
	for _, s := range []string{"", "a: &a [*a]", "? {a: b}\n: c", "- - - x", "version: 1\ntown: {ja: x}\n", "\xef\xbb\xbfversion: 1\r\n", "{[]}", "a: !!binary x", "--- >\n x\n...\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		start := spent(t)
		cfg, errs := Parse(bytes.Clone(doc))
		if took := spent(t) - start; took > 2*time.Second {
			t.Fatalf("took %v for %d bytes", took, len(doc))
		}
		if errs == nil && cfg == nil {
			t.Fatal("neither a configuration nor an error")
		}
		lines := bytes.Count(doc, []byte("\n")) + 1
		for _, e := range errs {
			if e.Line < 1 || e.Line > lines || e.Column < 1 || e.Message == "" {
				t.Fatalf("error %q at %d:%d of %d lines", e.Message, e.Line, e.Column, lines)
			}
		}
		errs.Print(io.Discard, "fuzz.yaml")
		if _, again := Parse(bytes.Clone(doc)); again.Error() != errs.Error() {
			t.Fatalf("got\n%v\nthen\n%v", errs, again)
		}
	})
}
