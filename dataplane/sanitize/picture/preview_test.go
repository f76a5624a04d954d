package picture_test

import (
	"bytes"
	"image/jpeg"
	"image/png"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize/picture"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// A picture in a document is shown with the document. The work for a preview of its own is saved, and the picture is the same.
func TestOnlyAFileOfItsOwnHasAPreview(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		file func(*rebuild.Job) (rebuild.Result, error)
	}{
		"jpeg": {made(t, func(b *bytes.Buffer) error { return jpeg.Encode(b, sample(40, 24), nil) }), picture.JPEGFile},
		"png":  {made(t, func(b *bytes.Buffer) error { return png.Encode(b, sample(40, 24)) }), picture.PNGFile},
	} {
		var bodies [2][]byte
		for i, inside := range []bool{false, true} {
			res, err := c.file(&rebuild.Job{Ctx: t.Context(), In: c.in, Found: &rebuild.Findings{}, MaxOut: 1 << 20, AsIs: inside})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got, want := res.Original != nil && res.Result != nil, !inside; got != want || inside && (res.Original != nil || res.Result != nil) {
				t.Errorf("%s, in a document %t: previews %v and %v", name, inside, res.Original, res.Result)
			}
			bodies[i] = res.Body
		}
		if !bytes.Equal(bodies[0], bodies[1]) {
			t.Errorf("%s: in a document it is another picture", name)
		}
	}
}
