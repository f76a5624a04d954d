package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"

	"golang.org/x/image/webp"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// WebPFile makes a PNG of a lossless or transparent WebP, and a JPEG of any other: there is no encoder of WebP that we would
// trust. Of an animation the first frame stays.
func WebPFile(j *rebuild.Job) (rebuild.Result, error) {
	still, lossless, err := stillWebP(j, j.In)
	if err != nil {
		return rebuild.Result{}, err
	}
	img, err := webp.Decode(j.Read(still))
	if err != nil {
		return rebuild.Result{}, pictureError(j, err, "")
	}
	if img = studio(img); lossless {
		return asPNG(j, img)
	}
	return asJPEG(j, img)
}

// studio makes RGB of the samples of a lossy WebP. They have the range of television, black at 16 and white at 235 (RFC 6386, 9.2),
// which the decoder does not say, and colors are mixed from the four nearest samples as the format's own decoder does.
func studio(img image.Image) image.Image {
	var ycc image.YCbCr
	var alpha func(x, y int) byte
	switch i := img.(type) {
	case *image.YCbCr:
		ycc = *i
	case *image.NYCbCrA:
		ycc = i.YCbCr
		alpha = func(x, y int) byte { return i.A[i.AOffset(x, y)] }
	default:
		return img
	}
	w, h := ycc.Rect.Dx(), ycc.Rect.Dy()
	cw, ch := (w+1)/2, (h+1)/2
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		near, far := y/2*ycc.CStride, min(ch-1, max(0, y/2+y%2*2-1))*ycc.CStride
		for x := range w {
			a, b := x/2, min(cw-1, max(0, x/2+x%2*2-1))
			mix := func(c []byte) int {
				return (9*int(c[near+a]) + 3*int(c[near+b]) + 3*int(c[far+a]) + int(c[far+b]) + 8) >> 4
			}
			l, u, v := 19077*int(ycc.Y[y*ycc.YStride+x])>>8, mix(ycc.Cb), mix(ycc.Cr)
			px := out.Pix[out.PixOffset(x, y):][:4]
			for k, c := range [3]int{l + 26149*v>>8 - 14234, l - 6419*u>>8 - 13320*v>>8 + 8708, l + 33050*u>>8 - 17685} {
				px[k] = byte(min(255, max(0, c>>6)))
			}
			if px[3] = 255; alpha != nil {
				px[3] = alpha(x, y)
			}
		}
	}
	return out
}

// asPNG and asJPEG make a result of another kind than the original.
func asPNG(j *rebuild.Job, img image.Image) (rebuild.Result, error) {
	body, err := encodePNG(j, img)
	shown := thumbnail(img)
	return rebuild.Result{Ext: ".png", Body: body, Original: shown, Result: shown}, err
}

func asJPEG(j *rebuild.Job, img image.Image) (rebuild.Result, error) {
	body, m, err := encodeJPEG(j, img, jpegQuality, "")
	if err != nil {
		return rebuild.Result{}, err
	}
	j.Found.Add("image.encoded", "", verdict.Changed, "")
	shown := m.Preview(thumbSide)
	return rebuild.Result{Ext: ".jpg", Body: body, Original: shown, Result: shown}, nil
}

// stillWebP takes what makes the pixels of a WebP, or of the first frame of one that moves, and judges its size. lossless tells
// whether it needs a PNG.
func stillWebP(j *rebuild.Job, in []byte) (still []byte, lossless bool, err error) {
	broken := func(what string) ([]byte, bool, error) { return nil, false, rebuild.Refuse("image.broken", "", what) }
	le := binary.LittleEndian
	if len(in) < 20 || string(in[:4]) != "RIFF" || string(in[8:12]) != "WEBP" {
		return broken("no WebP signature")
	}
	end := 8 + int64(le.Uint32(in[4:]))
	if end += end & 1; end > int64(len(in))+1 {
		return broken("cut off")
	}
	if end = min(end, int64(len(in))); end < 20 {
		return broken("it says to be too short to hold a picture")
	}
	if err := tail(j, in[end:], ""); err != nil {
		return nil, false, err
	}
	out := []byte("RIFF\x00\x00\x00\x00WEBP")
	var gone beside
	var alpha []byte
	chunks := in[12:end]
	for len(chunks) >= 8 {
		name, size := string(chunks[:4]), int64(le.Uint32(chunks[4:]))
		if size > int64(len(chunks)-8) {
			return broken("chunk " + rebuild.Printable(name, 4) + " is longer than the file")
		}
		body := chunks[8 : 8+size]
		next := chunks[min(int64(len(chunks)), 8+size+size&1):]
		switch name {
		case "VP8X":
			if len(body) < 10 {
				return broken("VP8X")
			}
			if err := checkSize(1+int(le.Uint32(body[3:])>>8), 1+int(le.Uint32(body[6:])>>8)); err != nil {
				return nil, false, err
			}
		case "ANMF":
			if len(body) < 16 {
				return broken("ANMF")
			}
			j.Found.Add("image.animation", "", verdict.Removed, "")
			next, size = body[16:], 0
		case "ALPH":
			alpha, lossless = body, true
		case "VP8 ", "VP8L":
			w, h, ok := sizeOfVP8(name, body)
			if !ok {
				return broken(name)
			}
			if err := checkSize(w, h); err != nil {
				return nil, false, err
			}
			if err := checkMemory(int64(w)*int64(h), 8); err != nil {
				return nil, false, err
			}
			if alpha != nil && name == "VP8 " {
				x := append([]byte{0x10, 0, 0, 0}, le.AppendUint32(nil, uint32(w-1))[:3]...)
				out = riff(out, "VP8X", append(x, le.AppendUint32(nil, uint32(h-1))[:3]...))
				out = riff(out, "ALPH", alpha)
			}
			out = riff(out, name, body)
			le.PutUint32(out[4:], uint32(len(out)-8))
			gone.rest(next)
			gone.report(j, "")
			return out, lossless || name == "VP8L", nil
		case "ANIM":
		case "ICCP":
			if name := strange(body); name != "" {
				j.Found.Add("image.profile", "", verdict.Changed, name)
			}
			gone.drop("ICC")
		default:
			gone.drop(rebuild.Printable(name, 4))
		}
		chunks = next
	}
	return broken("no picture in it")
}

// rest notes the chunks behind the picture.
func (b *beside) rest(chunks []byte) {
	for len(chunks) >= 8 {
		b.drop(rebuild.Printable(string(chunks[:4]), 4))
		size := int64(binary.LittleEndian.Uint32(chunks[4:]))
		chunks = chunks[min(int64(len(chunks)), 8+size+size&1):]
	}
}

func riff(out []byte, name string, body []byte) []byte {
	out = append(binary.LittleEndian.AppendUint32(append(out, name...), uint32(len(body))), body...)
	if len(body)&1 == 1 {
		out = append(out, 0)
	}
	return out
}

// sizeOfVP8 reads the size out of a bit stream (RFC 6386, 9.1; WebP lossless, 3).
func sizeOfVP8(name string, b []byte) (w, h int, ok bool) {
	le := binary.LittleEndian
	if name == "VP8L" {
		if len(b) < 5 || b[0] != 0x2F {
			return 0, 0, false
		}
		v := le.Uint32(b[1:])
		return int(v&0x3FFF) + 1, int(v>>14&0x3FFF) + 1, true
	}
	if len(b) < 10 || !bytes.Equal(b[3:6], []byte{0x9D, 0x01, 0x2A}) {
		return 0, 0, false
	}
	return int(le.Uint16(b[6:]) & 0x3FFF), int(le.Uint16(b[8:]) & 0x3FFF), true
}

// HEICFile makes a JPEG of a HEIC, which a helper decodes and turns upright.
func HEICFile(j *rebuild.Job) (rebuild.Result, error) {
	if err := sizesOfHEIC(j.In); err != nil {
		return rebuild.Result{}, err
	}
	if j.Tools == nil {
		return rebuild.Result{}, rebuild.Refuse("image.unsupported", "", "HEIC")
	}
	pages, err := decoded(j, "heic", j.In, 1)
	if rebuild.Refused(err) {
		return rebuild.Result{}, rebuild.Refuse("image.broken", "", err.Error())
	}
	if err != nil {
		return rebuild.Result{}, err
	}
	j.Found.Add("image.metadata", "", verdict.Removed, "HEIC")
	return asJPEG(j, pages[0])
}

// sizesOfHEIC judges every size that the file claims, in the properties of its pictures (ISO/IEC 23008-12, 6.5.3).
func sizesOfHEIC(in []byte) error {
	found := false
	for rest := in; ; {
		i := bytes.Index(rest, []byte("ispe"))
		if i < 0 || len(rest)-i < 16 {
			break
		}
		if i >= 4 && binary.BigEndian.Uint32(rest[i-4:]) == 20 {
			w, h := binary.BigEndian.Uint32(rest[i+8:]), binary.BigEndian.Uint32(rest[i+12:])
			if err := checkSize(int(min(w, 1<<30)), int(min(h, 1<<30))); err != nil {
				return err
			}
			found = true
		}
		rest = rest[i+4:]
	}
	if !found {
		return rebuild.Refuse("image.broken", "", fmt.Sprintf("no size in %d bytes", len(in)))
	}
	return nil
}
