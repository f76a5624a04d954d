package picture

import (
	"fmt"
	"image"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool/pam"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// Bounds of pages and frames of one file.
const (
	maxFrames      = 1000
	maxFramePixels = 200_000_000
)

// decoded has a helper decode a picture whose size was judged, and answers its pages or frames, at most that many. What it answers
// comes from another sandbox and is not trusted.
func decoded(j *rebuild.Job, format string, in []byte, frames int) ([]image.Image, error) {
	raw, err := j.Tools.Ask("decode", map[string]string{"format": format, "frames": fmt.Sprint(frames)}, in)
	if err != nil {
		return nil, err
	}
	all, err := pam.Read(raw, frames)
	if err != nil {
		return nil, rebuild.Refuse("image.broken", "", err.Error())
	}
	var pages []image.Image
	var total int64
	for _, f := range all {
		if err := checkSize(f.Width, f.Height); err != nil {
			return nil, err
		}
		if total += 4 * int64(f.Width) * int64(f.Height); total > maxDecoded {
			return nil, rebuild.Refuse("limit.pixels", "", fmt.Sprintf("%d frames, %d bytes", len(all), total))
		}
		pages = append(pages, fromFrame(f))
	}
	return pages, nil
}

func fromFrame(f pam.Frame) image.Image {
	r := image.Rect(0, 0, f.Width, f.Height)
	switch f.Depth {
	case 1:
		return &image.Gray{Pix: f.Pix, Stride: f.Width, Rect: r}
	case 4:
		return &image.NRGBA{Pix: f.Pix, Stride: 4 * f.Width, Rect: r}
	}
	out := image.NewNRGBA(r)
	for i, o := 0, 0; i < len(f.Pix); i, o = i+f.Depth, o+4 {
		if px := f.Pix[i : i+f.Depth]; f.Depth == 2 {
			out.Pix[o], out.Pix[o+1], out.Pix[o+2], out.Pix[o+3] = px[0], px[0], px[0], px[1]
		} else {
			out.Pix[o], out.Pix[o+1], out.Pix[o+2], out.Pix[o+3] = px[0], px[1], px[2], 255
		}
	}
	return out
}
