package office

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/container"
	"github.com/sekisho/sekisho/dataplane/sanitize/embedded"
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
	out, ext, err := embedded.Picture(o.Job, b, name)
	var no *rebuild.Refusal
	switch {
	case o.Ctx.Err() != nil:
		return nil, "", o.Ctx.Err()
	case errors.Is(err, rebuild.ErrAsked): // and so may be others: all go out together
		o.asked = true
		return o.placeholder(), "", nil
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
		if err := o.emit(o.blank.name, embedded.Blank()); err != nil {
			panic(err) // recovered by rebuild: packing from memory cannot fail
		}
	}
	return o.blank
}
