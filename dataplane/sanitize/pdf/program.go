package pdf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// errFont says that a font program cannot be vouched for.
var errFont = errors.New("font program breaks its format")

// makeProgram rebuilds an embedded font program. The lengths of its parts are written anew.
func makeProgram(rebuild func(in []byte, out dict) ([]byte, error)) func(w *walk, o *object, k kind) (value, bool) {
	return func(w *walk, o *object, k kind) (value, bool) {
		k.quiet = true
		if k.keys == nil {
			k.keys = map[name]rule{}
		}
		v, ok := w.shape(o, k)
		if !ok {
			return nil, false
		}
		d := v.(dict)
		data, ok := w.decoded(o)
		if !ok {
			w.broke(errFont)
			return d, true
		}
		for _, k := range []name{"Length1", "Length2"} {
			if n, ok := integer(first2(w.get(o.dict()[k]))); ok {
				d[k] = whole(n)
			}
		}
		b, err := rebuild(data, d)
		if err != nil {
			w.broke(err)
			return d, true
		}
		w.at.data = b
		return d, true
	}
}

// sfntTables are the tables of a TrueType or OpenType font that a PDF reader needs to show it. Layout (GSUB, GPOS), bitmaps, names and
// signatures are left out: a PDF says itself which glyph stands where.
var sfntTables = words("OS/2 cmap cvt fpgm glyf head hhea hmtx loca maxp name post prep vhea vmtx VORG CFF")

// trueTypeProgram rebuilds a font of tables: known ones, inside the bounds, in the order of their names, with new sums.
func trueTypeProgram(in []byte, out dict) ([]byte, error) {
	b, err := sfnt(in)
	delete(out, "Length2")
	out["Length1"] = whole(len(b))
	return b, err
}

func sfnt(in []byte) ([]byte, error) {
	if len(in) < 12 {
		return nil, errFont
	}
	switch string(in[:4]) {
	case "\x00\x01\x00\x00", "true", "OTTO":
	default:
		return nil, fmt.Errorf("%w: begins with %x", errFont, in[:4])
	}
	n := int(binary.BigEndian.Uint16(in[4:]))
	if n == 0 || n > 100 || 12+16*n > len(in) {
		return nil, fmt.Errorf("%w: %d tables", errFont, n)
	}
	tables := map[string][]byte{}
	for i := range n {
		e := in[12+16*i:]
		tag, at, size := string(e[:4]), int64(binary.BigEndian.Uint32(e[8:])), int64(binary.BigEndian.Uint32(e[12:]))
		if !sfntTables[tagWord(tag)] {
			continue
		}
		if at > int64(len(in)) {
			return nil, fmt.Errorf("%w: table %q lies outside", errFont, tag)
		}
		size = min(size, int64(len(in))-at)
		if tables[tag] != nil {
			return nil, fmt.Errorf("%w: table %q twice", errFont, tag)
		}
		tables[tag] = in[at : at+size]
	}
	delete(tables, "name")
	return writeSfnt(in[:4], tables)
}

func tagWord(tag string) string { return string(bytes.TrimRight([]byte(tag), " ")) }

func writeSfnt(version []byte, tables map[string][]byte) ([]byte, error) {
	if err := checkTables(tables); err != nil {
		return nil, err
	}
	var tags []string
	for t := range tables {
		tags = append(tags, t)
	}
	slices.Sort(tags)
	if len(tags) == 0 || len(tables["CFF "]) > 0 && string(version) != "OTTO" {
		return nil, fmt.Errorf("%w: tables", errFont)
	}
	log := 0
	for 2<<log <= len(tags) {
		log++
	}
	out := append([]byte{}, version...)
	out = binary.BigEndian.AppendUint16(out, uint16(len(tags)))
	out = binary.BigEndian.AppendUint16(out, uint16(16<<log))
	out = binary.BigEndian.AppendUint16(out, uint16(log))
	out = binary.BigEndian.AppendUint16(out, uint16(len(tags)*16-16<<log))
	at := 12 + 16*len(tags)
	for _, t := range tags {
		b := tables[t]
		out = append(out, t...)
		out = binary.BigEndian.AppendUint32(out, sum(b))
		out = binary.BigEndian.AppendUint32(out, uint32(at))
		out = binary.BigEndian.AppendUint32(out, uint32(len(b)))
		at += (len(b) + 3) &^ 3
	}
	for _, t := range tags {
		out = append(out, tables[t]...)
		for len(out)%4 != 0 {
			out = append(out, 0)
		}
	}
	return out, nil
}

func sum(b []byte) (s uint32) {
	for ; len(b) >= 4; b = b[4:] {
		s += binary.BigEndian.Uint32(b)
	}
	var last [4]byte
	copy(last[:], b)
	return s + binary.BigEndian.Uint32(last[:])
}

// checkTables writes the tables anew that hold glyphs, and ends the others where they end.
func checkTables(t map[string][]byte) error {
	var err error
	if t["CFF "] != nil {
		t["CFF "], err = cff(t["CFF "])
	} else {
		err = trim(t)
	}
	if err != nil {
		return err
	}
	measure(t)
	if h, m := t["hhea"], t["hmtx"]; h != nil && (len(h) < 36 || 4*int(binary.BigEndian.Uint16(h[34:])) > len(m)+3) {
		return fmt.Errorf("%w: hmtx", errFont)
	}
	return nil
}

// compactProgram is a CFF font, alone or in an OpenType font.
func compactProgram(in []byte, out dict) ([]byte, error) {
	delete(out, "Length1")
	delete(out, "Length2")
	if out["Subtype"] == name("OpenType") {
		return sfnt(in)
	}
	return cff(in)
}
