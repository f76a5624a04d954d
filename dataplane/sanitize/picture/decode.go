package picture

import (
	"bytes"
	"fmt"
	"image"
	"strconv"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// Bounds of what a helper decodes.
const (
	maxFrames      = 1000
	maxFramePixels = 200_000_000 // of all frames together
)

// decoded has a helper decode a picture, and answers its pages or frames.
func decoded(j *rebuild.Job, format string, in []byte) ([]image.Image, error) {
	raw, err := j.Tools.Ask("decode", map[string]string{"format": format, "frames": fmt.Sprint(maxFrames)}, in)
	if err != nil {
		return nil, err
	}
	var pages []image.Image
	var total int64
	for len(raw) > 0 {
		var img image.Image
		if img, raw, err = pam(raw); err != nil {
			return nil, err
		}
		b := img.Bounds()
		if total += int64(b.Dx()) * int64(b.Dy()); total > maxFramePixels || len(pages) == maxFrames {
			return nil, rebuild.Refuse("limit.pixels", "", fmt.Sprintf("%d frames, %d pixels", len(pages), total))
		}
		pages = append(pages, img)
	}
	if len(pages) == 0 {
		return nil, rebuild.Refuse("image.broken", "", "no picture in it")
	}
	return pages, nil
}

// pam takes one picture of Netpbm's PAM format, of 1 to 4 samples a pixel and 8 bits a sample; what follows it is left. The bytes
// come out of another sandbox and are not trusted.
func pam(b []byte) (image.Image, []byte, error) {
	no := func(what string) (image.Image, []byte, error) {
		return nil, nil, rebuild.Refuse("image.broken", "", "decoded picture: "+what)
	}
	if !bytes.HasPrefix(b, []byte("P7\n")) {
		return no("no PAM")
	}
	head, rest, ok := bytes.Cut(b[3:min(len(b), 1000)], []byte("ENDHDR\n"))
	if !ok {
		return no("header")
	}
	field := map[string]int{}
	for line := range strings.Lines(string(head)) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.Atoi(v); err == nil {
			field[k] = n
		}
	}
	w, h, d := field["WIDTH"], field["HEIGHT"], field["DEPTH"]
	if field["MAXVAL"] != 255 || d < 1 || d > 4 {
		return no("depth")
	}
	if err := checkSize(w, h); err != nil {
		return nil, nil, err
	}
	at := len(b[3:min(len(b), 1000)]) - len(rest) + 3
	if len(b)-at < w*h*d {
		return no("cut off")
	}
	px, left := b[at:at+w*h*d], b[at+w*h*d:]
	r := image.Rect(0, 0, w, h)
	switch d {
	case 1:
		return &image.Gray{Pix: px, Stride: w, Rect: r}, left, nil
	case 4:
		return &image.NRGBA{Pix: px, Stride: 4 * w, Rect: r}, left, nil
	}
	out := image.NewNRGBA(r)
	for i, o := 0, 0; i < len(px); i, o = i+d, o+4 {
		if d == 2 {
			out.Pix[o], out.Pix[o+1], out.Pix[o+2], out.Pix[o+3] = px[i], px[i], px[i], px[i+1]
		} else {
			out.Pix[o], out.Pix[o+1], out.Pix[o+2], out.Pix[o+3] = px[i], px[i+1], px[i+2], 255
		}
	}
	return out, left, nil
}
