package tool

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"
	"strconv"
	"strings"
)

// decodeOptions: frames is the most pictures that are wanted, further ones are left out. A JBIG2 stream comes as it lies in a PDF:
// the first `globals` bytes are its JBIG2Globals, the rest the page. A CCITT stream has no header either: k, columns, rows, black
// (BlackIs1) and align (EncodedByteAlign) are those of its DecodeParms.
var decodeOptions = map[string]func(string) bool{
	"format": func(s string) bool { return decoders[s] != nil }, "frames": between(1, MaxFrames),
	"globals": between(0, MaxAnswer),
	"k":       between(-1, 1<<15), "columns": between(1, 1<<16), "rows": between(1, 1<<16), "black": one("true", "false"), "align": one("true", "false"),
}

// decoders by format. Each is the narrowest program of Debian for it: none of them reads more than one format.
//
//	tiff, ccitt  libtiff's tiff2rgba       bmp, png  Netpbm's bmptopnm and pngtopam
//	gif, webp    libwebp's anim_dump       jpeg      libjpeg-turbo's djpeg
//	heic         libheif's heif-convert    jp2       OpenJPEG's opj_decompress      jbig2  jbig2dec
var decoders = map[string]func(*work) ([]byte, error){
	"tiff": func(w *work) ([]byte, error) { return tiffs(w, w.need.Body) },
	"ccitt": func(w *work) ([]byte, error) {
		b, err := fax(w)
		if err != nil {
			return nil, err
		}
		return tiffs(w, b)
	},
	"gif": animation, "webp": animation,
	"bmp":   func(w *work) ([]byte, error) { return single(w, "bmptopnm", "in", "-quiet") },
	"png":   func(w *work) ([]byte, error) { return single(w, "pngtopam", "in", "-quiet", "-alphapam") },
	"jpeg":  func(w *work) ([]byte, error) { return single(w, "djpeg", "in", "-pnm") },
	"heic":  heic,
	"jp2":   jp2,
	"jbig2": jbig2,
}

func decode(w *work) ([]byte, error) { return decoders[w.need.Options["format"]](w) }

// single decodes with a program that writes one picture to its standard output.
func single(w *work, program, name string, args ...string) ([]byte, error) {
	if err := w.into(name, w.need.Body); err != nil {
		return nil, err
	}
	f, err := os.Create(w.dir + "/out/1")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	said, status, err := w.execTo(f, program, append(args, w.path(name))...)
	if err != nil {
		return nil, err
	}
	if status != 0 {
		return nil, failed("status %d; %s", status, said)
	}
	return w.pictures("out", said, 1)
}

// into lays the file out and makes the directory that the pictures go to.
func (w *work) into(name string, b []byte) error {
	if err := w.write(name, b); err != nil {
		return err
	}
	return os.Mkdir(w.dir+"/out", 0o700)
}

func (w *work) frames() int { return w.number("frames", MaxFrames) }

// animation decodes to whole pictures, each frame laid over those before it as the format says.
func animation(w *work) ([]byte, error) {
	if err := w.into("in", w.need.Body); err != nil {
		return nil, err
	}
	said, _, err := w.exec("anim_dump", "-pam", "-folder", w.path("out"), "-prefix", "p", w.path("in"))
	if err != nil {
		return nil, err
	}
	return w.pictures("out", said, w.frames())
}

func heic(w *work) ([]byte, error) {
	if err := w.into("in.heic", w.need.Body); err != nil {
		return nil, err
	}
	said, _, err := w.exec("heif-convert", w.path("in.heic"), w.path("out/p.png"))
	if err != nil {
		return nil, err
	}
	return w.pictures("out", said, w.frames())
}

func jp2(w *work) ([]byte, error) {
	name := "in.j2k"
	if bytes.HasPrefix(w.need.Body, []byte("\x00\x00\x00\x0cjP")) {
		name = "in.jp2"
	}
	if err := w.into(name, w.need.Body); err != nil {
		return nil, err
	}
	said, _, err := w.exec("opj_decompress", "-i", w.path(name), "-o", w.path("out/p.pnm"))
	if err != nil {
		return nil, err
	}
	return w.pictures("out", said, 1)
}

func jbig2(w *work) ([]byte, error) {
	globals := w.number("globals", 0)
	if globals > len(w.need.Body) {
		return nil, &failure{Unknown, "more globals than bytes"}
	}
	if err := w.into("page.jb2", w.need.Body[globals:]); err != nil {
		return nil, err
	}
	args := []string{"-e", "-t", "pbm", "-o", w.path("out/p.pbm")}
	if globals > 0 {
		if err := w.write("globals.jb2", w.need.Body[:globals]); err != nil {
			return nil, err
		}
		args = append(args, w.path("globals.jb2"))
	}
	said, status, err := w.exec("jbig2dec", append(args, w.path("page.jb2"))...)
	if err != nil {
		return nil, err
	}
	if status != 0 {
		return nil, failed("status %d; %s", status, said)
	}
	return w.pictures("out", said, 1)
}

// fax gives a CCITT stream the header of a TIFF, which says all that the decoder has to know.
func fax(w *work) ([]byte, error) {
	k, columns, rows := w.number("k", 0), w.number("columns", 1728), w.number("rows", 0)
	if rows == 0 || w.need.Options["align"] == "true" {
		return nil, &failure{Unknown, "ccitt needs rows, and lines that are not aligned"}
	}
	compression, options := 3, 0
	switch {
	case k < 0:
		compression = 4
	case k > 0:
		options = 1 // lines in two dimensions
	}
	white := 0 // WhiteIsZero: what a PDF calls BlackIs1 = false paints 0 bits black, and CCITT's white is 1 there
	if w.need.Options["black"] == "true" {
		white = 1
	}
	entries := [][3]int{{256, 4, columns}, {257, 4, rows}, {258, 3, 1}, {259, 3, compression}, {262, 3, white}, {273, 4, 0}, {277, 3, 1}, {278, 4, rows},
		{279, 4, len(w.need.Body)}, {292, 4, options}}
	if compression == 4 {
		entries = entries[:len(entries)-1]
	}
	at := 8 + 2 + 12*len(entries) + 4
	b := binary.LittleEndian.AppendUint32([]byte("II*\x00"), 8)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(entries)))
	for _, e := range entries {
		if e[0] == 273 {
			e[2] = at
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(e[0]))
		b = binary.LittleEndian.AppendUint16(b, uint16(e[1]))
		b = binary.LittleEndian.AppendUint32(b, 1)
		b = binary.LittleEndian.AppendUint32(b, uint32(e[2]))
	}
	b = binary.LittleEndian.AppendUint32(b, 0)
	return append(b, w.need.Body...), nil
}

// made lists what lies in a directory, by the numbers in the names: p-2 comes before p-10.
func (w *work) made(dir string) ([]string, error) {
	list, err := os.ReadDir(w.dir + "/" + dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	slices.SortFunc(names, func(a, b string) int {
		if n := digits(a) - digits(b); n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	return names, nil
}

func digits(name string) int {
	n, err := strconv.Atoi(strings.Trim(name, "abcdefghijklmnopqrstuvwxyz-_."))
	if err != nil {
		return 0
	}
	return n
}
