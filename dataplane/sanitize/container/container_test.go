package container

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// Parts of both levels, each packed twice among others: the bytes are the same, and those of the first time stay as they were.
func TestTheSamePartsGiveTheSameBytes(t *testing.T) {
	parts := map[string]string{}
	for i := range 4 {
		words := rand.New(rand.NewPCG(1, uint64(i)))
		var small, large strings.Builder
		for small.Len() < 5000 {
			fmt.Fprintf(&small, "<w:t>%d</w:t>", words.IntN(100))
		}
		for large.Len() <= largePart {
			fmt.Fprintf(&large, "<c><v>%d</v></c>", words.IntN(1000))
		}
		parts[fmt.Sprintf("small%d.xml", i)], parts[fmt.Sprintf("large%d.xml", i)] = small.String(), large.String()
	}
	all := func() []Part {
		var list []Part
		for name, body := range parts { // in no order
			p, err := Pack(name, []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, p)
		}
		return list
	}
	write := func(list []Part) []byte {
		var b bytes.Buffer
		if err := Write(&b, "", list); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	first := all()
	second := write(all())
	if got := write(first); !bytes.Equal(got, second) {
		t.Error("the second time gives other bytes")
	}
	z, err := zip.NewReader(bytes.NewReader(second), int64(len(second)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(r); err != nil || string(b) != parts[f.Name] {
			t.Errorf("%s: got %d bytes, %v, want the %d that were packed", f.Name, len(b), err, len(parts[f.Name]))
		}
	}
}
