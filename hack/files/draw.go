package files

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"path"
	"strings"

	"golang.org/x/image/bmp"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
	"github.com/sekisho/sekisho/dataplane/sandbox/tool/pam"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// decoders draw pictures: Go's where the product has others read them, and the runtime's where Go has none.
var decoders = map[string]func(ctx context.Context, b []byte, most int) ([]image.Image, error){
	".png": one(png.Decode), ".jpg": one(jpeg.Decode), ".jpeg": one(jpeg.Decode), ".bmp": one(bmp.Decode),
	".tif": decoded("tiff"), ".tiff": decoded("tiff"), ".gif": decoded("gif"), ".webp": decoded("webp"), ".heic": decoded("heic"),
}

func one(decode func(io.Reader) (image.Image, error)) func(context.Context, []byte, int) ([]image.Image, error) {
	return func(_ context.Context, b []byte, _ int) ([]image.Image, error) {
		img, err := decode(bytes.NewReader(b))
		return []image.Image{img}, err
	}
}

func decoded(format string) func(context.Context, []byte, int) ([]image.Image, error) {
	return func(ctx context.Context, b []byte, most int) ([]image.Image, error) {
		options := map[string]string{"format": format}
		if format != "heic" {
			options["frames"] = fmt.Sprint(most)
		}
		return answered(ctx, verdict.Need{Kind: "decode", Options: options, Body: b}, most)
	}
}

// Pages draws a file as a reader sees it: pictures by their decoders, documents by LibreOffice and poppler, at most so many pages.
func Pages(ctx context.Context, name string, body []byte, most int) ([]image.Image, error) {
	ext := strings.ToLower(path.Ext(name))
	if decode := decoders[ext]; decode != nil {
		return decode(ctx, body, most)
	}
	if ext != ".pdf" {
		a := tool.Answer(ctx, verdict.Need{Kind: "convert", Options: map[string]string{"from": ext[1:], "to": "pdf"}, Body: body})
		if a.Failed != "" {
			return nil, fmt.Errorf("draw %s: %s %s", name, a.Failed, a.Detail)
		}
		body = a.Body
	}
	return answered(ctx, verdict.Need{Kind: "render", Options: map[string]string{"from": "pdf", "dpi": "72", "first": "1", "last": fmt.Sprint(most)}, Body: body}, most)
}

// answered are the pictures that a program of the runtime makes.
func answered(ctx context.Context, n verdict.Need, most int) ([]image.Image, error) {
	a := tool.Answer(ctx, n)
	if a.Failed != "" {
		return nil, fmt.Errorf("%s: %s %s", n.Kind, a.Failed, a.Detail)
	}
	frames, err := pam.Read(a.Body, most)
	if err != nil {
		return nil, err
	}
	var out []image.Image
	for _, f := range frames {
		img := image.NewNRGBA(image.Rect(0, 0, f.Width, f.Height))
		for i := range f.Width * f.Height {
			p, q := f.Pix[i*f.Depth:(i+1)*f.Depth], img.Pix[4*i:4*i+4]
			q[0], q[1], q[2], q[3] = p[0], p[0], p[0], 255
			if f.Depth >= 3 {
				q[1], q[2] = p[1], p[2]
			}
			if f.Depth == 2 || f.Depth == 4 {
				q[3] = p[f.Depth-1]
			}
		}
		out = append(out, img)
	}
	return out, nil
}
