package pdf

import (
	"bytes"
	"compress/zlib"
	"encoding/ascii85"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool/pam"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// Limits of a picture, told by its dictionary before a pixel is decoded.
const (
	maxSide   = 30_000
	maxPixels = 64_000_000
	maxRaw    = 256 << 20 // bytes of pixels
)

var imageKeys = map[name]rule{
	"Type": trimmed, "Subtype": oneOf("Image"), "Width": anInt, "Height": anInt, "ColorSpace": colour, "BitsPerComponent": anInt, "Decode": each(aNumber), "Intent": aName,
	"ImageMask": aBool, "Mask": either(each(anInt), reach("Image")), "SMask": reach("Image"), "Matte": each(aNumber), "Interpolate": aBool, "OC": membership, "StructParent": anInt,
	"Filter": trimmed, "DecodeParms": trimmed, "Length": trimmed, "Name": trimmed, "SMaskInData": trimmed, "Alternates": trimmed, "ID": trimmed, "OPI": trimmed, "PieceInfo": gone("pdf.private"),
}

func makeXObject(w *walk, o *object, _ kind) (value, bool) {
	if !o.stream {
		return nil, false
	}
	w.at.stream = true
	if w.unseenLayer(o.dict()["OC"]) {
		return nil, false
	}
	switch s, _ := w.get(o.dict()["Subtype"]); s {
	case name("Image"):
		w.at.kind = "Image"
		return makeImage(w, o, w.kinds["Image"])
	case name("PS"):
		w.removed("pdf.postscript", "")
		return nil, false
	}
	w.at.kind = "Form"
	return makeContent(w, o, w.kinds["Form"])
}

// makeImage decodes a picture and writes its pixels, or the JPEG that the family of JPEGs rebuilt. The bytes of the original are
// never copied: what follows the pixels, or lies in a file around them, ends here.
func makeImage(w *walk, o *object, k kind) (value, bool) {
	v, ok := w.shape(o, k)
	if !ok {
		return nil, false
	}
	d := v.(dict)
	d["Subtype"] = name("Image")
	filters, parms, ok := w.filters(o.dict())
	if !ok {
		w.broke(fmt.Errorf("filters of a picture: %w", errGrammar))
		return d, true
	}
	err := w.picture(d, o, filters, parms)
	switch {
	case errors.Is(err, rebuild.ErrAsked):
		w.asked = true
	case err == nil:
	case direct(err):
		w.changed("pdf.picture", err.Error())
		return nil, false
	default:
		w.broke(err)
	}
	return d, true
}

// direct tells a refusal of the picture, which is then left out, from one of a decoder, which says nothing about the picture: a
// reader may well show it.
func direct(err error) bool {
	_, ok := err.(*rebuild.Refusal)
	return ok
}

// filters of a stream by name, and the parameters of the last.
func (w *walk) filters(d dict) (names []name, parms dict, ok bool) {
	v, _ := w.get(d["Filter"])
	p, _ := w.get(d["DecodeParms"])
	all, many := v.(array)
	if !many && v != nil {
		all = array{v}
	}
	if a, many := p.(array); many && len(a) > 0 {
		p, _ = w.get(a[len(a)-1])
	}
	parms, _ = p.(dict)
	for _, f := range all {
		f, _ := w.get(f)
		n, ok := f.(name)
		if !ok || len(names) > 4 {
			return nil, nil, false
		}
		names = append(names, n)
	}
	return names, parms, true
}

func (w *walk) picture(d dict, o *object, filters []name, parms dict) error {
	width, _ := integer(d["Width"])
	height, _ := integer(d["Height"])
	if width <= 0 || height <= 0 || width > maxSide || height > maxSide || width*height > maxPixels {
		return rebuild.Refuse("limit.pixels", "", fmt.Sprintf("%d x %d", width, height))
	}
	data := o.data
	for len(filters) > 1 && (filters[0] == "RunLengthDecode" || filters[0] == "RL") {
		var ok bool
		if data, ok = runLength(data); !ok {
			return errGrammar
		}
		filters = filters[1:]
	}
	if len(filters) == 0 || len(filters) == 1 && (filters[0] == "RunLengthDecode" || filters[0] == "RL") {
		return w.raw(d, o, width, height)
	}
	if len(filters) > 1 {
		return errGrammar
	}
	switch filters[0] {
	case "DCTDecode", "DCT":
		return w.jpeg(d, data, parms)
	case "JPXDecode":
		return w.frames(d, map[string]string{"format": "jp2"}, data, false)
	case "CCITTFaxDecode", "CCF":
		return w.frames(d, fax(w.plain(parms), height), data, true)
	case "JBIG2Decode":
		var globals []byte
		if _, g := w.get(parms["JBIG2Globals"]); g != nil {
			globals, _ = w.decoded(g)
		}
		return w.frames(d, map[string]string{"format": "jbig2", "globals": strconv.Itoa(len(globals))}, append(bytes.Clone(globals), data...), true)
	}
	return errGrammar
}

// fax are the decoder's options for a CCITT stream (7.4.6).
func fax(parms dict, height int) map[string]string {
	o := map[string]string{"format": "ccitt", "k": "0", "columns": "1728", "rows": strconv.Itoa(height)}
	if k, _ := integer(parms["K"]); k != 0 {
		o["k"] = strconv.Itoa(max(-1, min(k, 1)))
	}
	if n, ok := integer(parms["Columns"]); ok {
		o["columns"] = strconv.Itoa(n)
	}
	if n, ok := integer(parms["Rows"]); ok && n > 0 {
		o["rows"] = strconv.Itoa(n)
	}
	if parms["BlackIs1"] == true {
		o["black"] = "true"
	}
	if parms["EncodedByteAlign"] == true {
		o["align"] = "true"
	}
	return o
}

// plain are the values of a dictionary behind their references.
func (w *walk) plain(d dict) dict {
	out := dict{}
	for k, v := range d {
		out[k], _ = w.get(v)
	}
	return out
}

// bits of a picture by its dictionary: of a component, and of a pixel.
func (w *walk) bits(d, old dict) (component, pixel int) {
	component, _ = integer(d["BitsPerComponent"])
	if d["ImageMask"] == true {
		return 1, 1
	}
	switch component {
	case 1, 2, 4, 8, 16:
		return component, component * w.components(old["ColorSpace"], 0)
	}
	return 0, 0
}

func (w *walk) raw(d dict, o *object, width, height int) error {
	data, ok := w.decoded(o)
	if !ok {
		return errGrammar
	}
	bpc, bits := w.bits(d, o.dict())
	if bits == 0 {
		return fmt.Errorf("colours of a picture: %w", errGrammar)
	}
	d["BitsPerComponent"] = whole(bpc)
	need := (width*bits + 7) / 8 * height
	if need > maxRaw {
		return rebuild.Refuse("limit.pixels", "", fmt.Sprintf("%d bytes of pixels", need))
	}
	if len(data) < need { // readers show what is there
		if len(data) < need/4 && need > 1<<16 {
			return rebuild.Refuse("image.broken", "", fmt.Sprintf("%d of %d bytes", len(data), need))
		}
		data = append(data[:len(data):len(data)], make([]byte, need-len(data))...)
	}
	w.at.data = data[:need]
	return nil
}

// jpeg has the picture rebuilt as one. A picture of four colours may come back with three.
func (w *walk) jpeg(d dict, data []byte, parms dict) error {
	mark := w.Found.Mark()
	res, err := w.Nested(w.place(), "picture.jpg", data, true)
	if r := (*rebuild.Refusal)(nil); errors.As(err, &r) && !strings.HasPrefix(r.Code, "limit.") {
		w.Found.Back(mark)
		return fmt.Errorf("picture (jpeg): %w", err) // a reader may well show what is left of it
	} else if err != nil {
		return err
	}
	before, _, _ := jpegShape(data)
	n, width, height := jpegShape(res.Body)
	if n == 0 {
		return fmt.Errorf("rebuilt picture: %w", errGrammar)
	}
	d["Filter"], d["BitsPerComponent"], d["Width"], d["Height"] = name("DCTDecode"), number("8"), whole(width), whole(height)
	if t, ok := integer(first2(w.get(parms["ColorTransform"]))); ok && n == before && (t == 0 || t == 1) {
		d["DecodeParms"] = dict{"ColorTransform": whole(t)}
	}
	if n != before {
		d["ColorSpace"] = device(n)
		delete(d, "Decode")
		delete(d, "Mask")
	}
	w.at.data = res.Body
	return nil
}

// jpegShape reads colours and size from the frame header; zeros when there is none.
func jpegShape(b []byte) (components, width, height int) {
	for at := 2; at+10 < len(b); {
		if b[at] != 0xFF {
			at++
			continue
		}
		m := b[at+1]
		if m == 0xFF || m == 0 || m >= 0xD0 && m <= 0xD8 {
			at++
			continue
		}
		if m >= 0xC0 && m <= 0xCF && m != 0xC4 && m != 0xC8 && m != 0xCC {
			return int(b[at+9]), int(b[at+7])<<8 | int(b[at+8]), int(b[at+5])<<8 | int(b[at+6])
		}
		at += 2 + int(b[at+2])<<8 + int(b[at+3])
	}
	return 0, 0, 0
}

func device(components int) name {
	switch components {
	case 1:
		return "DeviceGray"
	case 4:
		return "DeviceCMYK"
	}
	return "DeviceRGB"
}

// frames asks for the pixels. bilevel pictures come back with one bit a pixel.
func (w *walk) frames(d dict, options map[string]string, data []byte, bilevel bool) error {
	b, err := w.Tools.Ask("decode", options, data)
	if rebuild.Refused(err) {
		return fmt.Errorf("picture (%s): %w", options["format"], err)
	} else if err != nil {
		return err
	}
	all, err := pam.Read(b, 1)
	if err != nil {
		return err
	}
	p := all[0]
	if p.Width > maxSide || p.Height > maxSide || p.Width*p.Height > maxPixels {
		return rebuild.Refuse("limit.pixels", "", fmt.Sprintf("%d x %d", p.Width, p.Height))
	}
	d["Width"], d["Height"], d["BitsPerComponent"] = whole(p.Width), whole(p.Height), number("8")
	if bilevel {
		row := (p.Width + 7) / 8
		out := make([]byte, row*p.Height)
		for y := range p.Height {
			for x := range p.Width {
				if p.Pix[(y*p.Width+x)*p.Depth] >= 128 {
					out[y*row+x/8] |= 0x80 >> (x & 7)
				}
			}
		}
		d["BitsPerComponent"], w.at.data = number("1"), out
		return nil
	}
	n, pix := p.Depth, p.Pix
	if n == 4 || n == 2 { // without what shines through
		pix = make([]byte, 0, p.Width*p.Height*(n-1))
		for i := 0; i < len(p.Pix); i += n {
			pix = append(pix, p.Pix[i:i+n-1]...)
		}
		n--
	}
	if w.components(d["ColorSpace"], 0) != n || d["ColorSpace"] == nil {
		d["ColorSpace"] = device(n)
	}
	w.at.data = pix
	return nil
}

// inlineNames spells the short names of inline pictures (8.9.7) in full.
var inlineNames = map[name]name{
	"BPC": "BitsPerComponent", "CS": "ColorSpace", "D": "Decode", "DP": "DecodeParms", "F": "Filter", "H": "Height", "IM": "ImageMask", "I": "Interpolate", "W": "Width",
	"BitsPerComponent": "BitsPerComponent", "ColorSpace": "ColorSpace", "Decode": "Decode", "DecodeParms": "DecodeParms", "Filter": "Filter", "Height": "Height",
	"ImageMask": "ImageMask", "Interpolate": "Interpolate", "Width": "Width",
}

// inline writes a picture that stands in a content stream again, without a filter, with its length told (/L, ISO 32000-2, 8.9.7).
func (w *walk) inline(in dict, l *lexer, resources dict) ([]byte, error) {
	d := dict{}
	for k, v := range in {
		if full := inlineNames[k]; full != "" {
			d[full] = v
		}
	}
	width, _ := integer(d["Width"])
	height, _ := integer(d["Height"])
	space := d["ColorSpace"]
	if n, ok := space.(name); ok {
		spaces, _ := w.get(resources["ColorSpace"])
		if of, ok := spaces.(dict); ok && of[n] != nil {
			space = of[n]
		}
	}
	bpc, bits := w.bits(d, dict{"ColorSpace": space})
	if width <= 0 || height <= 0 || width > maxSide || height > maxSide || bits == 0 {
		return nil, fmt.Errorf("picture in the text: %w", errGrammar)
	}
	need := (width*bits + 7) / 8 * height
	if need > 4<<20 {
		return nil, fmt.Errorf("picture in the text: %w", errGrammar)
	}
	if l.at < len(l.b) {
		l.at++ // the space behind ID
	}
	data, err := inlineData(l, d, need)
	if err != nil {
		return nil, err
	}
	out := dict{"W": whole(width), "H": whole(height), "BPC": whole(bpc)}
	if d["ImageMask"] == true {
		out["IM"] = true
	} else {
		switch cs := d["ColorSpace"].(type) {
		case name:
			out["CS"] = cs
		case array: // Indexed, of a device's colours
			if len(cs) != 4 {
				return nil, errGrammar
			}
			out["CS"] = cs
		}
	}
	if a, ok := d["Decode"].(array); ok && len(a) <= 8 {
		out["D"] = a
	}
	if b, ok := d["Interpolate"].(bool); ok {
		out["I"] = b
	}
	if bytes.Contains(data, []byte("EI")) { // a reader that looks for the end must not find it inside
		out["F"] = name("AHx")
		data = append(bytes.ToUpper(hex.AppendEncode(nil, data)), '>')
	}
	out["L"] = whole(len(data))
	b := []byte("BI\n")
	for _, k := range out.keys() {
		b = append(append(append(b, '/'), k...), ' ')
		b = append(appendValue(b, out[k]), '\n')
	}
	b = append(append(b, "ID "...), data...)
	return append(b, "\nEI\n"...), nil
}

// inlineData decodes and ends behind EI.
func inlineData(l *lexer, d dict, need int) ([]byte, error) {
	bad := fmt.Errorf("data of a picture in the text: %w", errGrammar)
	filters, _ := d["Filter"].(array)
	if n, ok := d["Filter"].(name); ok {
		filters = array{n}
	}
	if len(filters) == 0 {
		if l.at+need > len(l.b) {
			return nil, bad
		}
		data := l.b[l.at : l.at+need]
		l.at += need
		if _, ok := l.ends(); !ok {
			return nil, bad
		}
		return data, nil
	}
	start := l.at
	for {
		i, ok := l.ends()
		if !ok {
			return nil, bad
		}
		if data, ok := unfilter(l.b[start:i], filters, d["DecodeParms"], need); ok {
			return data, nil
		}
	}
}

// ends goes behind the next EI that stands alone, and tells where it begins.
func (l *lexer) ends() (int, bool) {
	for i := l.at; i+2 <= len(l.b); i++ {
		if l.b[i] == 'E' && l.b[i+1] == 'I' && (i == 0 || space(l.b[i-1]) || l.b[i-1] == '>' || i == l.at) && (i+2 == len(l.b) || space(l.b[i+2]) || delimiter(l.b[i+2])) {
			l.at = i + 2
			return i, true
		}
	}
	return 0, false
}

func unfilter(data []byte, filters array, parms value, need int) ([]byte, bool) {
	if p, ok := parms.(dict); ok && len(p) > 0 {
		if n, _ := integer(p["Predictor"]); n > 1 {
			return nil, false
		}
	}
	for _, f := range filters {
		var r io.Reader
		switch f {
		case name("AHx"), name("ASCIIHexDecode"):
			t, err := (&lexer{b: append(bytes.TrimRight(data, " \n\r\t>"), '>')}).hex()
			s, ok := t.v.(text)
			if err != nil || !ok {
				return nil, false
			}
			data = []byte(s)
			continue
		case name("RL"), name("RunLengthDecode"):
			var ok bool
			if data, ok = runLength(data); !ok {
				return nil, false
			}
			continue
		case name("A85"), name("ASCII85Decode"):
			if i := bytes.IndexByte(data, '~'); i >= 0 {
				data = data[:i]
			}
			r = ascii85.NewDecoder(bytes.NewReader(data))
		case name("Fl"), name("FlateDecode"):
			z, err := zlib.NewReader(bytes.NewReader(data))
			if err != nil {
				return nil, false
			}
			r = z
		default:
			return nil, false
		}
		out, err := io.ReadAll(io.LimitReader(r, int64(need)*4+1000))
		if err != nil && len(out) < need {
			return nil, false
		}
		data = out
	}
	if len(data) < need {
		return nil, false
	}
	return data[:need], true
}
