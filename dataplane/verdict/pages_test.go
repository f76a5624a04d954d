package verdict

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func somePages() Pages {
	return Pages{Version: 1,
		Before:   Drawing{Pages: []Sheet{{Width: 10, Height: 20, PNG: []byte("one")}, {Width: 9, Height: 8, PNG: []byte("two\n")}}, More: true},
		After:    Drawing{Pages: []Sheet{{Width: 10, Height: 20, PNG: []byte("three")}}},
		Compared: []Comparison{{Marks: [][4]int{{0, 0, 10, 10}}}}}
}

func TestPagesComeBackAsWritten(t *testing.T) {
	var b bytes.Buffer
	if err := WritePages(&b, somePages()); err != nil {
		t.Fatal(err)
	}
	got, err := ReadPages(&b)
	if err != nil {
		t.Fatal(err)
	}
	want := somePages()
	want.Before.Pages[0].Size, want.Before.Pages[1].Size, want.After.Pages[0].Size = 3, 4, 5
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("pages differ (-want +got):\n%s", d)
	}
}

func TestPagesAreBounded(t *testing.T) {
	for what, change := range map[string]func(*Pages){
		"another version":       func(p *Pages) { p.Version = 2 },
		"too many":              func(p *Pages) { p.After.Pages = make([]Sheet, MaxPages+1) },
		"too wide":              func(p *Pages) { p.After.Pages[0].Width = MaxPageEdge + 1 },
		"no height":             func(p *Pages) { p.Before.Pages[1].Height = 0 },
		"failed and drawn":      func(p *Pages) { p.After.Failed = "helper.failed" },
		"compares what is not":  func(p *Pages) { p.Compared = make([]Comparison, 2) },
		"marks without a bound": func(p *Pages) { p.Compared[0].Marks = make([][4]int, maxMarks+1) },
	} {
		p := somePages()
		change(&p)
		if err := WritePages(&bytes.Buffer{}, p); !errors.Is(err, ErrFrame) {
			t.Errorf("%s is written: %v", what, err)
		}
	}
	var b bytes.Buffer
	if err := WritePages(&b, somePages()); err != nil {
		t.Fatal(err)
	}
	for what, in := range map[string]string{
		"a byte less":      strings.TrimSuffix(b.String(), "e"),
		"a byte more":      b.String() + "x",
		"claims a lot":     strings.Replace(b.String(), `"size":3`, `"size":99999999999`, 1),
		"claims less":      strings.Replace(b.String(), `"size":3`, `"size":-3`, 1),
		"of another kind":  strings.Replace(b.String(), `"version":1`, `"version":9`, 1),
		"no end of a line": "{",
	} {
		if _, err := ReadPages(strings.NewReader(in)); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzReadPages(f *testing.F) {
	var b bytes.Buffer
	if err := WritePages(&b, somePages()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := ReadPages(bytes.NewReader(in))
		if err != nil {
			return
		}
		if err := WritePages(&bytes.Buffer{}, p); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	})
}
