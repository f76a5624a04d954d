package office

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"path"
	"strings"
	"sync"

	"github.com/sekisho/sekisho/dataplane/sanitize/container"
	"github.com/sekisho/sekisho/dataplane/sanitize/picture"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// picture rebuilds one embedded picture and takes it into the result. What cannot be rebuilt becomes the placeholder: the
// document stays readable, and the report says where something is missing. SVG goes without one, because an ordinary picture
// always stands beside it.
func (o *office) picture(key string) (p *part, code string, err error) {
	b, err := o.Unpack(o.Members[key])
	if err != nil {
		return nil, "", err
	}
	name := o.Members[key].Name
	if strings.Contains(o.typeOf(key), "svg") {
		return nil, "image.svg", nil
	}
	mark := o.Found.Mark()
	out, ext, err := o.rebuildPicture(b, name)
	var no *rebuild.Refusal
	switch {
	case o.Ctx.Err() != nil:
		return nil, "", o.Ctx.Err()
	case errors.As(err, &no):
		o.Found.Back(mark)
		o.Found.Add("image.replaced", name, verdict.Changed, no.Detail)
		p = o.placeholder()
		o.parts[key] = p
		return p, "", nil
	case err != nil:
		return nil, "", err
	}
	p = o.add(key, "image/"+strings.TrimPrefix(ext, "."))
	p.picture = true
	p.name = o.freeName(strings.TrimSuffix(p.name, path.Ext(p.name)), ext, key)
	return p, "", o.emit(p.name, out)
}

// rebuildPicture has a picture rebuilt by its content: names in documents are often wrong. Its pixels stay as they lie, because the
// document says how the picture is turned.
func (o *office) rebuildPicture(b []byte, place string) (out []byte, ext string, err error) {
	switch {
	case bytes.HasPrefix(b, []byte(picture.PNGMagic)):
		out, err = picture.PNG(o.Job, b, place)
		return out, ".png", err
	case bytes.HasPrefix(b, []byte("\xFF\xD8\xFF")):
		out, err = picture.JPEG(o.Job, b, place, true)
		return out, ".jpeg", err
	case bytes.HasPrefix(b, []byte("GIF8")):
		if out, err = picture.FirstFrame(o.Job, b, place); err == nil {
			o.Found.Add("image.converted", place, verdict.Changed, "GIF -> PNG")
		}
		return out, ".png", err
	}
	return nil, "", rebuild.Refuse("image.unsupported", place, "")
}

// freeName finds a name that no other part has or may take later; own is the key of the part that is renamed.
func (o *office) freeName(stem, ext, own string) string {
	delete(o.outNames, own)
	for n := 0; ; n++ {
		name := stem + ext
		if n > 0 {
			name = fmt.Sprintf("%s-%d%s", stem, n, ext)
		}
		key := container.Key(name)
		if !o.outNames[key] && (o.Members[key] == nil || key == own) {
			o.outNames[key] = true
			return name
		}
	}
}

// placeholder is the picture that stands for a missing one.
func (o *office) placeholder() *part {
	if o.blank == nil {
		o.blank = &part{name: o.freeName("media/sekisho-blank", ".png", ""), contentType: "image/png", picture: true}
		o.order = append(o.order, o.blank)
		if err := o.emit(o.blank.name, blankPNG()); err != nil {
			panic(err) // recovered by rebuild: packing from memory cannot fail
		}
	}
	return o.blank
}

// blankPNG is a light square with a frame and a diagonal, the usual sign for a picture that is not shown.
var blankPNG = sync.OnceValue(func() []byte {
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
