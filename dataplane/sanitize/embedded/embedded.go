// Package embedded rebuilds the pictures that lie in office documents.
//
// Problem: a document's pictures come in more formats than a rebuilt document may hold, under names that are often wrong. Mechanism:
// by content, each is rebuilt by its own family; what a document may not hold becomes PNG, metafiles with the help of a converter.
// Life cycle: one call a picture. Invariant: what comes out is PNG or JPEG and was written by the family's rebuilder; its pixels lie
// as they lay, because the document says how a picture is turned.
package embedded

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"strings"
	"sync"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/sekisho/sekisho/dataplane/sanitize/picture"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Picture rebuilds one picture; ext is .png or .jpeg.
func Picture(j *rebuild.Job, b []byte, place string) (out []byte, ext string, err error) {
	switch {
	case bytes.HasPrefix(b, []byte(picture.PNGMagic)):
		out, err = picture.PNG(j, b, place)
		return out, ".png", err
	case bytes.HasPrefix(b, []byte("\xFF\xD8\xFF")):
		out, err = picture.JPEG(j, b, place, true)
		return out, ".jpeg", err
	case bytes.HasPrefix(b, []byte("GIF8")):
		if out, err = picture.FirstFrame(j, b, place); err == nil {
			j.Found.Add("image.converted", place, verdict.Changed, "GIF -> PNG")
		}
		return out, ".png", err
	}
	if kind := raster(b); kind != "" {
		return converted(j, kind, b, place)
	}
	kind := metafile(b)
	if kind == "" {
		return nil, "", rebuild.Refuse("image.unsupported", place, "")
	}
	if out, err = j.Tools.Ask("convert", map[string]string{"from": kind, "to": "png"}, b); err != nil {
		return nil, "", rebuild.At(err, place)
	}
	if err := j.Budget.Spend(int64(len(out))); err != nil {
		return nil, "", err
	}
	if out, err = picture.PNG(j, out, place); err == nil {
		j.Found.Add("image.converted", place, verdict.Changed, strings.ToUpper(kind)+" -> PNG")
	}
	return out, ".png", err
}

// raster tells the other kinds of pictures of points that have a family, or "".
func raster(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("BM")):
		return "bmp"
	case bytes.HasPrefix(b, []byte("II*\x00")), bytes.HasPrefix(b, []byte("MM\x00*")):
		return "tiff"
	case len(b) > 12 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP":
		return "webp"
	}
	return ""
}

// converted has a picture rebuilt by its family, and makes PNG of what that wrote in a form that documents may not hold.
func converted(j *rebuild.Job, kind string, b []byte, place string) (out []byte, ext string, err error) {
	r, err := j.Nested(place, "image."+kind, b, true)
	if err != nil {
		return nil, "", err
	}
	var img image.Image
	switch r.Family {
	case "png":
		out, ext = r.Body, ".png"
	case "jpeg":
		out, ext = r.Body, ".jpeg"
	case "bmp":
		img, err = bmp.Decode(j.Read(r.Body))
	case "tiff":
		img, err = tiff.Decode(bytes.NewReader(r.Body)) // its first page
	default:
		return nil, "", rebuild.Refuse("image.unsupported", place, "")
	}
	if err != nil {
		return nil, "", rebuild.Refuse("image.broken", place, err.Error())
	}
	if img != nil {
		w := j.Out()
		if err := png.Encode(w, img); err != nil {
			return nil, "", err
		}
		out, ext = w.Bytes(), ".png"
	}
	j.Found.Add("image.converted", place, verdict.Changed, strings.ToUpper(kind)+" -> "+strings.ToUpper(ext[1:]))
	return out, ext, nil
}

// metafile tells drawings of Windows: emf ([MS-EMF] 2.3.4.2), wmf ([MS-WMF] 2.3.2.2 and 2.3.2.3), or "".
func metafile(b []byte) string {
	switch {
	case len(b) >= 88 && binary.LittleEndian.Uint32(b) == 1 && string(b[40:44]) == " EMF":
		return "emf"
	case bytes.HasPrefix(b, []byte("\xD7\xCD\xC6\x9A")), bytes.HasPrefix(b, []byte("\x01\x00\x09\x00\x00\x03")):
		return "wmf"
	}
	return ""
}

// Blank is a light square with a frame and a diagonal, the usual sign for a picture that is not shown, as PNG.
var Blank = sync.OnceValue(func() []byte {
	img := image.NewPaletted(image.Rect(0, 0, 64, 64), color.Palette{color.Gray{0xF2}, color.Gray{0xB0}})
	for i := range 64 {
		for _, p := range [][2]int{{i, 0}, {i, 63}, {0, i}, {63, i}, {i, i}} {
			img.SetColorIndex(p[0], p[1], 1)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil
	}
	return b.Bytes()
})
