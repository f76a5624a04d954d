package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// maxScanned bounds pixels x scans of one file; a camera writes about ten scans at most.
const maxScanned = 1_000_000_000

// jpegQuality of the rebuilt picture: high enough that a second generation of losses is not seen.
const jpegQuality = 92

// JPEGFile rebuilds a JPEG from its pixels, turned upright.
func JPEGFile(j *rebuild.Job) (rebuild.Result, error) {
	body, img, err := rebuildJPEG(j, j.In, "")
	if err != nil {
		return rebuild.Result{}, err
	}
	original := thumbnail(img)
	img = nil // not both in memory
	again, err := jpeg.Decode(j.Read(body))
	if err != nil {
		return rebuild.Result{}, fmt.Errorf("read the rebuilt picture: %w", err)
	}
	return rebuild.Result{Body: body, Original: original, Result: thumbnail(again)}, nil
}

// JPEG rebuilds a picture that lies in a document at place. asIs: it is not turned upright, because the document says how it lies.
func JPEG(j *rebuild.Job, in []byte, place string, asIs bool) ([]byte, error) {
	job := *j
	job.AsIs = job.AsIs || asIs
	body, _, err := rebuildJPEG(&job, in, place)
	return body, err
}

func rebuildJPEG(j *rebuild.Job, in []byte, place string) ([]byte, image.Image, error) {
	bare, orientation, err := bareJPEG(j, in, place)
	if err != nil {
		return nil, nil, err
	}
	img, err := jpeg.Decode(j.Read(bare))
	if err != nil {
		return nil, nil, pictureError(j, err, place)
	}
	if cmyk, ok := img.(*image.CMYK); ok {
		img = fromCMYK(cmyk)
		j.Found.Add("image.color", place, verdict.Changed, "CMYK -> RGB")
	}
	if orientation != 1 && !j.AsIs {
		img = oriented(img, orientation)
		j.Found.Add("image.orientation", place, verdict.Changed, fmt.Sprint(orientation))
	}
	out := j.Out()
	if err := jpeg.Encode(out, img, &jpeg.Options{Quality: jpegQuality}); err != nil {
		return nil, nil, err
	}
	return out.Bytes(), img, nil
}

func fromCMYK(in *image.CMYK) *image.RGBA {
	out := image.NewRGBA(in.Bounds())
	for i := 0; i+3 < len(in.Pix); i += 4 {
		r, g, b := color.CMYKToRGB(in.Pix[i], in.Pix[i+1], in.Pix[i+2], in.Pix[i+3])
		y, x := i/in.Stride, i%in.Stride/4
		o := out.PixOffset(in.Rect.Min.X+x, in.Rect.Min.Y+y)
		out.Pix[o], out.Pix[o+1], out.Pix[o+2], out.Pix[o+3] = r, g, b, 255
	}
	return out
}

// bytesPerPixel is what the decoder needs: a byte a sample, four more for the coefficients of a progressive file, and RGBA for
// CMYK.
func bytesPerPixel(marker byte, frame []byte) float64 {
	samples, widest := 0, 1
	for i := 6; i+2 < len(frame); i += 3 {
		hv := int(frame[i+1]>>4) * int(frame[i+1]&15)
		samples, widest = samples+hv, max(widest, hv)
	}
	n := float64(samples) / float64(widest)
	if marker == mSOF2 {
		n *= 5
	}
	if frame[5] == 4 {
		n += 4
	}
	return n
}

// Marker codes (ITU-T T.81, table B.1).
const (
	mSOF0 = 0xC0
	mSOF1 = 0xC1
	mSOF2 = 0xC2
	mDHT  = 0xC4
	mJPG  = 0xC8
	mDAC  = 0xCC
	mRST0 = 0xD0
	mRST7 = 0xD7
	mSOI  = 0xD8
	mEOI  = 0xD9
	mSOS  = 0xDA
	mDQT  = 0xDB
	mDNL  = 0xDC
	mDRI  = 0xDD
	mAPP0 = 0xE0
	mAPPF = 0xEF
	mCOM  = 0xFE
)

// bareJPEG walks the markers and keeps what makes pixels: tables, frame, scans and the Adobe segment that names the color
// transform. It answers the orientation that the EXIF segment asks for.
func bareJPEG(j *rebuild.Job, in []byte, place string) (bare []byte, orientation int, err error) {
	broken := func(what string) ([]byte, int, error) { return nil, 0, rebuild.Refuse("image.broken", place, what) }
	if !bytes.HasPrefix(in, []byte{0xFF, mSOI}) {
		return broken("no SOI marker")
	}
	out := append(make([]byte, 0, len(in)), 0xFF, mSOI)
	orientation = 1
	var dropped []string
	drop := func(what string) {
		if !slices.Contains(dropped, what) && len(dropped) < 12 {
			dropped = append(dropped, what)
		}
	}
	frames, scans, pixels := 0, 0, int64(0)
	for at := 2; ; {
		if at >= len(in) {
			return broken("no EOI marker")
		}
		if in[at] != 0xFF {
			return broken(fmt.Sprintf("no marker at byte %d", at))
		}
		for at < len(in) && in[at] == 0xFF { // fill bytes
			at++
		}
		if at >= len(in) {
			return broken("no EOI marker")
		}
		m := in[at]
		at++
		if m == mEOI {
			if frames == 0 || scans == 0 {
				return broken("no picture before EOI")
			}
			out = append(out, 0xFF, mEOI)
			if err := tail(j, in[at:], place); err != nil {
				return nil, 0, err
			}
			break
		}
		if m == 0 || m == 0x01 || m == mSOI || mRST0 <= m && m <= mRST7 {
			return broken(fmt.Sprintf("marker FF%02X out of place", m))
		}
		if len(in)-at < 2 {
			return broken("ends inside a segment")
		}
		size := int(binary.BigEndian.Uint16(in[at:]))
		if size < 2 || size > len(in)-at {
			return broken(fmt.Sprintf("segment FF%02X is longer than the file", m))
		}
		body := in[at+2 : at+size]
		keep := false
		switch {
		case m == mSOF0 || m == mSOF1 || m == mSOF2:
			frames++
			if frames > 1 || len(body) < 6 {
				return broken("frame header")
			}
			if err := checkSize(int(binary.BigEndian.Uint16(body[3:])), int(binary.BigEndian.Uint16(body[1:]))); err != nil {
				return nil, 0, rebuild.At(err, place)
			}
			if err := checkMemory(int64(binary.BigEndian.Uint16(body[3:]))*int64(binary.BigEndian.Uint16(body[1:])), bytesPerPixel(m, body)); err != nil {
				return nil, 0, rebuild.At(err, place)
			}
			pixels = int64(binary.BigEndian.Uint16(body[3:])) * int64(binary.BigEndian.Uint16(body[1:]))
			keep = true
		case m == mDHT, m == mDQT, m == mDRI:
			keep = true
		case m == mSOS:
			scans++
			if frames == 0 {
				return broken("scan before the frame header")
			}
			if scans > 100 || int64(scans)*pixels > maxScanned { // each scan of a progressive file walks all pixels again
				return nil, 0, rebuild.Refuse("limit.scans", place, "")
			}
			keep = true
		case mSOF0 <= m && m <= 0xCF, m == mDNL, m == mDAC:
			return nil, 0, rebuild.Refuse("image.unsupported", place, fmt.Sprintf("JPEG marker FF%02X", m))
		case m == mAPP0+14 && bytes.HasPrefix(body, []byte("Adobe")):
			if len(body) >= 12 { // only the fixed fields
				out = append(out, 0xFF, m, 0, 14)
				out = append(out, body[:12]...)
			}
		case m == mAPP0+1 && bytes.HasPrefix(body, []byte("Exif\x00")):
			drop("EXIF")
			o, gps := readExif(body[min(6, len(body)):])
			if o != 1 {
				orientation = o
			}
			if gps {
				j.Found.Add("jpeg.gps", place, verdict.Removed, "")
			}
		case m == mAPP0+1:
			drop("XMP")
		case m == mAPP0+2 && bytes.HasPrefix(body, []byte("ICC_PROFILE")):
			drop("ICC")
		case m == mAPP0+13:
			drop("IPTC")
		case m == mAPP0:
		case m == mCOM:
			drop("COM")
		case mAPP0 <= m && m <= mAPPF:
			drop(fmt.Sprintf("APP%d", m-mAPP0))
		default:
			return nil, 0, rebuild.Refuse("image.unsupported", place, fmt.Sprintf("JPEG marker FF%02X", m))
		}
		if keep {
			out = append(append(out, 0xFF, m), in[at:at+size]...)
		}
		at += size
		if m == mSOS { // entropy-coded data runs to the next marker that is neither a restart nor a stuffed zero
			start := at
			for {
				i := bytes.IndexByte(in[at:], 0xFF)
				if i < 0 || at+i+1 >= len(in) {
					return broken("no EOI marker")
				}
				at += i
				if c := in[at+1]; c == 0 || mRST0 <= c && c <= mRST7 {
					at += 2
					continue
				}
				if in[at+1] == 0xFF {
					at++
					continue
				}
				break
			}
			out = append(out, in[start:at]...)
		}
	}
	if len(dropped) > 0 {
		j.Found.Add("image.metadata", place, verdict.Removed, strings.Join(dropped, " "))
	}
	return out, orientation, nil
}
