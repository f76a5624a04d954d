package picture

import (
	"bytes"
	"image/gif"
	"image/png"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// FirstFrame makes a PNG of the first frame of a GIF. The header is checked before a pixel is decoded.
func FirstFrame(j *rebuild.Job, b []byte, place string) ([]byte, error) {
	c, err := gif.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return nil, rebuild.Refuse("image.broken", place, err.Error())
	}
	if err := checkSize(c.Width, c.Height); err != nil {
		return nil, rebuild.At(err, place)
	}
	img, err := gif.Decode(j.Read(b))
	if err != nil {
		return nil, pictureError(j, err, place)
	}
	out := j.Out()
	if err := png.Encode(out, img); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
