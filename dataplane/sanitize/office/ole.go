package office

import (
	"bytes"

	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
)

// oleInside looks ahead into a graphic frame: does it show an OLE object, and what are the frame's number and name?
func (f *partFilter) oleInside() (o oleFrame, found bool, err error) {
	err = f.x.Fork().Skip(func(t *markup.Token) {
		if t.Kind != markup.Start || t.NS != "p" {
			return
		}
		switch t.Local {
		case "oleObj":
			found = true
		case "cNvPr":
			if o.id == nil {
				for _, a := range t.Attrs {
					switch string(a.Name) {
					case "id":
						o.id = bytes.Clone(a.Value)
					case "name":
						o.name = bytes.Clone(a.Value)
					}
				}
			}
		}
	})
	return o, found, err
}

// isNote looks ahead into a shape: does it show a cell's comment?
func (f *partFilter) isNote() bool {
	note := false
	err := f.x.Fork().Skip(func(t *markup.Token) {
		note = note || t.Kind == markup.Start && t.NS == "xvml" && t.Local == "ClientData" && attr(t, "ObjectType") == "Note"
	})
	return note && err == nil
}

// insideOLE passes only the first picture inside a graphic frame of an OLE object.
func (f *partFilter) insideOLE(o *oleFrame, t *markup.Token) (handled bool, err error) {
	inPicture := false
	for _, fr := range f.frames[o.depth:] {
		inPicture = inPicture || fr.element == element{"p", "pic"}
	}
	switch {
	case inPicture && t.NS == "p" && t.Local == "cNvPr" && o.id != nil:
		for i := range t.Attrs {
			switch string(t.Attrs[i].Name) {
			case "id":
				t.Attrs[i].Value = o.id
			case "name":
				t.Attrs[i].Value = o.name
			}
		}
		o.id = nil
		return false, nil
	case inPicture:
		return false, nil
	case t.NS == "p" && t.Local == "pic" && !o.done:
		o.done = true
		return false, nil
	case t.NS == "p" && (t.Local == "pic" || t.Local == "nvGraphicFramePr"):
		return true, f.drop(t, "", "")
	}
	f.open(t, true)
	return true, nil
}
