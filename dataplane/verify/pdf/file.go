package pdf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"

	"github.com/klauspost/compress/zlib"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// Bounds of a file, and of what its streams unpack to.
const (
	maxObjects  = 2_000_000
	maxUnpacked = 2 << 30
	maxStream   = 512 << 20
)

// file is a PDF whose every byte was read: objects one behind the other, one table of them, one end.
type file struct {
	*rule.File
	objects  map[int]*object
	table    int // number of the cross-reference stream
	packs    map[int]bool
	unpacked int64
}

type object struct {
	v      *node
	data   []byte // as it stands in the file
	stream bool
	at     int // in the file; in an object stream its index
	in     int // object stream that holds it, or 0
	kind   string
}

func (f *file) no(place, format string, args ...any) error {
	return rule.Refuse("verify.pdf", place, format, args...)
}

// load reads the whole file from its first byte to its last.
func (f *file) load() error {
	const head = "%PDF-1.7\n%\xBF\xF7\xA2\xFE\n"
	in := f.In
	if len(in) < len(head)+20 || string(in[:5]) != "%PDF-" || in[5] != '1' || in[6] != '.' || in[7] < '5' || in[7] > '7' || string(in[8:len(head)]) != head[8:] {
		return f.no("", "header")
	}
	s := &scanner{in: in, at: len(head), inFile: true}
	for {
		if f.Ctx.Err() != nil {
			return f.Ctx.Err()
		}
		if bytes.HasPrefix(in[s.at:], []byte("startxref\n")) {
			break
		}
		if err := f.object(s); err != nil {
			return err
		}
	}
	end := fmt.Sprintf("startxref\n%d\n%%%%EOF\n", f.at(f.table))
	if f.table == 0 || string(in[s.at:]) != end {
		return f.no("", "the end is not that of the only revision")
	}
	for n := range f.packs {
		if err := f.unpack(n); err != nil {
			return err
		}
	}
	return f.crossReferences()
}

func (f *file) at(n int) int {
	if o := f.objects[n]; o != nil {
		return o.at
	}
	return 0
}

// object reads "n 0 obj" to "endobj" and the line ends behind it.
func (f *file) object(s *scanner) error {
	start := s.at
	place := "byte " + strconv.Itoa(start)
	n, err := strconv.Atoi(s.word())
	if err != nil || n <= 0 || n > maxObjects || !s.literal(" 0 obj\n") {
		return f.no(place, "something between objects")
	}
	if f.objects[n] != nil || f.table != 0 {
		return f.no(place, "object %d twice, or behind the table", n)
	}
	v, err := s.value(0)
	if err != nil {
		return f.no(place, "object %d: %v", n, err)
	}
	o := &object{v: v, at: start}
	f.objects[n] = o
	s.skip()
	if s.literal("stream\n") {
		size := v.key("Length")
		if v.t != 'd' || size.t != 'i' || size.i < 0 || size.i > len(s.in)-s.at {
			return f.no(place, "length of stream %d", n)
		}
		o.stream, o.data = true, s.in[s.at:s.at+size.i]
		s.at += size.i
		s.literal("\n")
		if !s.literal("endstream\n") {
			return f.no(place, "end of stream %d", n)
		}
	}
	if !s.literal("endobj\n") {
		return f.no(place, "end of object %d", n)
	}
	s.literal("\n")
	if o.stream {
		switch v.key("Type").s {
		case "XRef":
			f.table = n
		case "ObjStm":
			f.packs[n] = true
		}
	}
	return nil
}

func (s *scanner) literal(want string) bool {
	if bytes.HasPrefix(s.in[s.at:], []byte(want)) {
		s.at += len(want)
		return true
	}
	return false
}

// only holds a dictionary to the keys.
func (f *file) only(place string, d *node, keys ...string) error {
	for k := range d.keys {
		known := false
		for _, w := range keys {
			known = known || k == w
		}
		if !known {
			return f.no(place, "key %s", k)
		}
	}
	return nil
}

// unpack reads an object stream: numbers and places, then objects with nothing else between them.
func (f *file) unpack(n int) error {
	place := "object stream " + strconv.Itoa(n)
	o := f.objects[n]
	if err := f.only(place, o.v, "Type", "Length", "Filter", "N", "First"); err != nil {
		return err
	}
	b, err := f.content(o, maxStream)
	if err != nil {
		return rule.Within(place, err)
	}
	count, first := o.v.key("N"), o.v.key("First")
	if count.t != 'i' || first.t != 'i' || count.i < 0 || count.i > maxObjects || first.i < 0 || first.i > len(b) {
		return f.no(place, "head")
	}
	head := &scanner{in: b[:first.i]}
	body := &scanner{in: b, at: first.i, inFile: true}
	for i := range count.i {
		num, err1 := head.value(0)
		at, err2 := head.value(0)
		if err1 != nil || err2 != nil || num.t != 'i' || at.t != 'i' || num.i <= 0 || num.i > maxObjects || f.objects[num.i] != nil {
			return f.no(place, "entry %d", i)
		}
		if body.skip(); body.at != first.i+at.i {
			return f.no(place, "entry %d does not lie where the one before it ends", i)
		}
		v, err := body.value(0)
		if err != nil || v.t == 'w' || v.t == 'e' {
			return f.no(place, "entry %d", i)
		}
		f.objects[num.i] = &object{v: v, at: i, in: n}
	}
	head.skip()
	body.skip()
	if head.at != first.i || body.at != len(b) {
		return f.no(place, "bytes between or behind objects")
	}
	return nil
}

// crossReferences holds the table to where objects lie.
func (f *file) crossReferences() error {
	const place = "table of objects"
	o := f.objects[f.table]
	if err := f.only(place, o.v, "Type", "Length", "Filter", "DecodeParms", "W", "Root", "Size", "ID", "Index"); err != nil {
		return err
	}
	if id := o.v.key("ID"); id.t != '0' && (id.t != 'a' || len(id.kids) != 2 || id.kids[0].t != 's' || len(id.kids[0].s) != 16 || id.kids[1].t != 's' || id.kids[1].s != id.kids[0].s) {
		return f.no(place, "the file's ID is not one sum, twice")
	}
	b, err := f.content(o, maxStream)
	if err != nil {
		return rule.Within(place, err)
	}
	if p := o.v.key("DecodeParms"); p.t != '0' {
		if p.key("Predictor").i != 12 || p.key("Columns").i <= 0 {
			return f.no(place, "predictor")
		}
		if b, err = up(b, p.key("Columns").i); err != nil {
			return f.no(place, "predictor")
		}
	}
	w, size := o.v.key("W"), o.v.key("Size").i
	if w.t != 'a' || len(w.kids) != 3 || w.kids[0].i != 1 || o.v.key("Index").t != '0' {
		return f.no(place, "widths")
	}
	w1, w2 := w.kids[1].i, w.kids[2].i
	if w1 < 0 || w1 > 8 || w2 < 0 || w2 > 8 || len(b) != size*(1+w1+w2) || size != len(f.objects)+1 {
		return f.no(place, "%d entries for %d objects", size, len(f.objects))
	}
	for n := range size {
		e := b[n*(1+w1+w2):]
		t, a, c := int(e[0]), bigEndian(e[1:1+w1]), bigEndian(e[1+w1:1+w1+w2])
		o := f.objects[n]
		switch {
		case n == 0:
			if t != 0 {
				return f.no(place, "entry 0")
			}
		case o == nil, o.in == 0 && (t != 1 || a != o.at || c != 0), o.in != 0 && (t != 2 || a != o.in || c != o.at):
			return f.no(place, "entry %d does not lead to the object", n)
		}
	}
	return nil
}

func bigEndian(b []byte) int {
	var eight [8]byte
	copy(eight[8-len(b):], b)
	return int(binary.BigEndian.Uint64(eight[:]))
}

// up undoes the predictor that adds the row above (PNG filter 2; 0 where there is none).
func up(b []byte, columns int) ([]byte, error) {
	if columns > 1000 || len(b)%(columns+1) != 0 {
		return nil, errSyntax
	}
	out := make([]byte, 0, len(b))
	above := make([]byte, columns)
	for ; len(b) > 0; b = b[columns+1:] {
		if b[0] != 2 && b[0] != 0 {
			return nil, errSyntax
		}
		for i := range columns {
			v := b[1+i]
			if b[0] == 2 {
				v += above[i]
			}
			out = append(out, v)
		}
		above = out[len(out)-columns:]
	}
	return out, nil
}

// content is what a stream holds: as it stands, or inflated.
func (f *file) content(o *object, most int64) ([]byte, error) {
	switch filter := o.v.key("Filter"); {
	case filter.t == '0':
		return o.data, nil
	case filter.t != 'N' || filter.s != "FlateDecode":
		return nil, f.no("", "filter %s", filter.s)
	}
	if len(o.data) == 0 {
		return nil, nil // qpdf names the filter of an empty stream, too
	}
	z, err := zlib.NewReader(bytes.NewReader(o.data))
	if err != nil {
		return nil, f.no("", "compression: %v", err)
	}
	most = min(most, maxUnpacked-f.unpacked)
	b, err := io.ReadAll(io.LimitReader(z, most+1))
	if err != nil {
		return nil, f.no("", "compression: %v", err)
	}
	if f.unpacked += int64(len(b)); int64(len(b)) > most {
		return nil, f.no("", "unpacks to more than %d bytes", most)
	}
	return b, nil
}
