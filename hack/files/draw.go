package files

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"path"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
	"github.com/sekisho/sekisho/dataplane/sandbox/tool/pam"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Pages draws a file as a reader sees it: pictures by Go's decoders, documents by LibreOffice and poppler, at most so many pages.
func Pages(ctx context.Context, name string, body []byte, most int) ([]image.Image, error) {
	ext := strings.ToLower(path.Ext(name))
	decode := map[string]func([]byte) (image.Image, error){
		".png": func(b []byte) (image.Image, error) { return png.Decode(bytes.NewReader(b)) }, ".jpg": func(b []byte) (image.Image, error) { return jpeg.Decode(bytes.NewReader(b)) },
		".bmp": func(b []byte) (image.Image, error) { return bmp.Decode(bytes.NewReader(b)) }, ".tif": func(b []byte) (image.Image, error) { return tiff.Decode(bytes.NewReader(b)) }, ".tiff": func(b []byte) (image.Image, error) { return tiff.Decode(bytes.NewReader(b)) },
	}[ext]
	if decode != nil {
		img, err := decode(body)
		return []image.Image{img}, err
	}
	if ext != ".pdf" {
		a := tool.Answer(ctx, verdict.Need{Kind: "convert", Options: map[string]string{"from": ext[1:], "to": "pdf"}, Body: body})
		if a.Failed != "" {
			return nil, fmt.Errorf("draw %s: %s %s", name, a.Failed, a.Detail)
		}
		body = a.Body
	}
	a := tool.Answer(ctx, verdict.Need{Kind: "render", Options: map[string]string{"from": "pdf", "dpi": "72", "first": "1", "last": fmt.Sprint(most)}, Body: body})
	if a.Failed != "" {
		return nil, fmt.Errorf("draw %s: %s %s", name, a.Failed, a.Detail)
	}
	frames, err := pam.Read(a.Body, most)
	if err != nil {
		return nil, err
	}
	var out []image.Image
	for _, f := range frames {
		img := image.NewNRGBA(image.Rect(0, 0, f.Width, f.Height))
		for i := range f.Width * f.Height {
			p := f.Pix[i*f.Depth : (i+1)*f.Depth]
			c := color.NRGBA{p[0], p[0], p[0], 255}
			if f.Depth >= 3 {
				c.G, c.B = p[1], p[2]
			}
			img.SetNRGBA(i%f.Width, i/f.Width, c)
		}
		out = append(out, img)
	}
	return out, nil
}
