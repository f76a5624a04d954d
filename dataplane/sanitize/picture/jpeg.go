package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/picture/dct"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Bounds of a file's scans: each of a progressive file walks all pixels again. A camera writes about ten.
const (
	maxScans   = 100
	maxScanned = 1_000_000_000
)

// jpegQuality of a picture that was no JPEG of ours: high enough that a second generation of losses is not seen.
const jpegQuality = 92

// JPEGFile rebuilds a JPEG from its coefficients, turned upright.
func JPEGFile(j *rebuild.Job) (rebuild.Result, error) {
	if j.AsIs { // the document has a preview of its own
		body, _, err := rebuildJPEG(j, j.In, "", nil)
		return rebuild.Result{Body: body}, err
	}
	show := make(chan *verdict.Preview, 1)
	body, m, err := rebuildJPEG(j, j.In, "", show)
	if err != nil {
		return rebuild.Result{}, err
	}
	var shown *verdict.Preview
	select {
	case shown = <-show:
	default: // encoded again
		shown = m.Preview(thumbSide)
	}
	return rebuild.Result{Body: body, Original: shown, Result: shown}, nil
}

// JPEG rebuilds a picture that lies in a document at place. asIs: it is not turned upright, because the document says how it lies.
func JPEG(j *rebuild.Job, in []byte, place string, asIs bool) ([]byte, error) {
	job := *j
	job.AsIs = job.AsIs || asIs
	body, _, err := rebuildJPEG(&job, in, place, nil)
	return body, err
}

// rebuildJPEG keeps each coefficient. A picture that is to be turned and whose size leaves no way to do so without a loss is
// decoded and encoded again, as all are where the route wants it, and so is one that is coded in a way that few programs read.
func rebuildJPEG(j *rebuild.Job, in []byte, place string, show chan<- *verdict.Preview) ([]byte, *dct.Image, error) {
	m, err := readJPEG(j, in, place)
	var no *rebuild.Refusal
	if errors.As(err, &no) && no.Detail == dct.Arithmetic && j.Tools != nil {
		return foreignJPEG(j, in, place, no)
	}
	if err != nil {
		return nil, nil, err
	}
	return writeJPEG(j, m.Image, m.orientation, place, show)
}

// foreignJPEG has a helper decode what is coded in a way that we do not read, and encodes its pixels. What the helper cannot read
// either is refused for the reason that we had.
func foreignJPEG(j *rebuild.Job, in []byte, place string, no *rebuild.Refusal) ([]byte, *dct.Image, error) {
	pages, err := decoded(j, "jpeg", in, 1)
	if rebuild.Refused(err) {
		return nil, nil, no
	}
	if err != nil {
		return nil, nil, err
	}
	j.Found.Add("image.encoded", place, verdict.Changed, no.Detail)
	return encodeJPEG(j, pages[0], jpegQuality, place)
}

type upright struct {
	*dct.Image
	orientation int
}

func readJPEG(j *rebuild.Job, in []byte, place string) (upright, error) {
	m, beside, err := dct.Read(j.Ctx, in, dct.Limits{Size: checkSize, Bytes: maxDecoded, Scans: maxScans, Work: maxScanned})
	if err != nil {
		return upright{}, rebuild.At(err, place)
	}
	if err := tail(j, beside.Tail, place); err != nil {
		return upright{}, err
	}
	orientation, gps := 1, false
	if beside.Exif != nil {
		orientation, gps = readExif(beside.Exif)
	}
	if gps {
		j.Found.Add("jpeg.gps", place, verdict.Removed, "")
	}
	if len(beside.Segments) > 0 {
		j.Found.Add("image.metadata", place, verdict.Removed, strings.Join(beside.Segments, " "))
	}
	if name := strange(beside.Profile); name != "" {
		j.Found.Add("image.profile", place, verdict.Changed, name)
	}
	if beside.Cut {
		j.Found.Add("image.cut", place, verdict.Reported, "")
	}
	if j.AsIs {
		orientation = 1
	}
	return upright{m, orientation}, nil
}

// writeJPEG writes m, turned upright. show, if not nil, is given the preview, which is made meanwhile, unless m is encoded again.
func writeJPEG(j *rebuild.Job, m *dct.Image, orientation int, place string, show chan<- *verdict.Preview) ([]byte, *dct.Image, error) {
	pixels := j.Policy.Pixels
	if orientation != 1 {
		j.Found.Add("image.orientation", place, verdict.Changed, fmt.Sprint(orientation))
		if m.CanTurn(orientation) {
			m.Turn(orientation)
			orientation = 1
		} else {
			pixels = true
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }() // there is no preview then, and the one who waits makes it, where a panic is a report
		if show != nil && !pixels {
			show <- m.Preview(thumbSide)
		}
	}()
	body, err := m.Write(j.Ctx)
	<-done
	if err != nil {
		return nil, nil, err
	}
	if pixels {
		j.Found.Add("image.encoded", place, verdict.Changed, "")
		if body, m, err = throughPixels(j, m, body, orientation, place); err != nil {
			return nil, nil, err
		}
	}
	if int64(len(body)) > j.MaxOut {
		return nil, nil, rebuild.Refuse("limit.output", place, fmt.Sprintf("limit %d bytes", j.MaxOut))
	}
	return body, m, nil
}

// throughPixels decodes a JPEG of ours, turns it and encodes it again, about as well as it was.
func throughPixels(j *rebuild.Job, m *dct.Image, body []byte, orientation int, place string) ([]byte, *dct.Image, error) {
	if err := checkMemory(int64(m.Width)*int64(m.Height), 8); err != nil {
		return nil, nil, rebuild.At(err, place)
	}
	img, err := jpeg.Decode(j.Read(body))
	if err != nil {
		return nil, nil, pictureError(j, err, place)
	}
	if cmyk, ok := img.(*image.CMYK); ok {
		img = fromCMYK(cmyk)
		j.Found.Add("image.color", place, verdict.Changed, "CMYK -> RGB")
	}
	return encodeJPEG(j, oriented(img, orientation), m.Quality(), place)
}

// encodeJPEG writes pixels as a JPEG of ours.
func encodeJPEG(j *rebuild.Job, img image.Image, quality int, place string) ([]byte, *dct.Image, error) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: quality}); err != nil {
		return nil, nil, rebuild.Refuse("image.broken", place, err.Error())
	}
	m, _, err := dct.Read(j.Ctx, b.Bytes(), dct.Limits{Size: checkSize, Bytes: maxDecoded, Scans: maxScans, Work: maxScanned})
	if err != nil {
		return nil, nil, err
	}
	body, err := m.Write(j.Ctx)
	return body, m, err
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
