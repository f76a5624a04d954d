package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// PNGMagic begins each PNG.
const PNGMagic = "\x89PNG\r\n\x1a\n"

// pngHeader is what IHDR says.
type pngHeader struct {
	w, h        int
	depth, kind byte
	interlaced  bool
}

// samples of a pixel by color type (PNG, table 11.1), and the depths that they may have.
var pngKinds = map[byte]struct {
	samples int
	depths  string
}{0: {1, "\x01\x02\x04\x08\x10"}, 2: {3, "\x08\x10"}, 3: {1, "\x01\x02\x04\x08"}, 4: {2, "\x08\x10"}, 6: {4, "\x08\x10"}}

func (h pngHeader) bits() int { return pngKinds[h.kind].samples * int(h.depth) }

// rowBytes of w pixels.
func (h pngHeader) rowBytes(w int) int { return (w*h.bits() + 7) / 8 }

// step is how many bytes lie between a byte and the one of the pixel before.
func (h pngHeader) step() int { return max(1, h.bits()/8) }

// PNGFile rebuilds a PNG from its pixels.
func PNGFile(j *rebuild.Job) (rebuild.Result, error) {
	if j.AsIs { // the document has a preview of its own
		body, err := PNG(j, j.In, "")
		return rebuild.Result{Body: body}, err
	}
	shown := new(*verdict.Preview)
	body, err := rebuildPNG(j, j.In, "", shown)
	return rebuild.Result{Body: body, Original: *shown, Result: *shown}, err
}

// PNG rebuilds a picture that lies in a document at place.
func PNG(j *rebuild.Job, in []byte, place string) ([]byte, error) {
	return rebuildPNG(j, in, place, nil)
}

// rebuildPNG unpacks the rows, takes their filters off, and packs them again in the same depth and colors; an interlaced picture
// is laid row by row. Each row is filtered as it was, which costs nothing and packs as well as it did.
func rebuildPNG(j *rebuild.Job, in []byte, place string, shown **verdict.Preview) ([]byte, error) {
	p, err := readPNG(j, in, place)
	if err != nil {
		return nil, err
	}
	var small *shrinker
	if shown != nil {
		small = newShrinker(p.w, p.h)
	}
	z, err := zlib.NewReader(p.data)
	if err != nil {
		return nil, rebuild.At(noPixels(err), place)
	}
	defer z.Close()
	w := newPNGWriter(j, p)
	defer w.end()
	noise := newNoise(j)
	see := func(y int, row []byte) {
		if small != nil && small.wants(y) {
			small.add(y, p.pixels(row))
		}
	}
	if p.interlaced {
		rows, err := p.deinterlace(j, z)
		if err != nil {
			return nil, rebuild.At(err, place)
		}
		for y := range p.h {
			row := rows[y*p.rowBytes(p.w):][:p.rowBytes(p.w)]
			noise.png(p.pngHeader, row)
			see(y, row)
			w.row(row, adaptive)
		}
	} else {
		line := make([]byte, 1+p.rowBytes(p.w))
		before := make([]byte, p.rowBytes(p.w))
		for y := range p.h {
			if err := j.Ctx.Err(); err != nil {
				return nil, err
			}
			if err := p.unfilter(z, line, before); err != nil {
				return nil, rebuild.At(err, place)
			}
			copy(before, line[1:])
			noise.png(p.pngHeader, line[1:])
			see(y, line[1:])
			w.row(line[1:], int(line[0]))
		}
	}
	switch n, err := z.Read(make([]byte, 1)); {
	case n > 0:
		j.Found.Add("image.tail", place, verdict.Removed, "IDAT")
	case !errors.Is(err, io.EOF):
		return nil, rebuild.At(noPixels(err), place)
	}
	out, err := w.close()
	if err != nil {
		return nil, rebuild.At(err, place)
	}
	if small != nil {
		*shown = small.preview()
	}
	return out, nil
}

// pngFile is what makes pixels of a PNG.
type pngFile struct {
	pngHeader
	palette, transparent, physical []byte
	data                           io.Reader // of IDAT
}

// readPNG walks the chunks and takes those that make pixels: IHDR, PLTE, tRNS, IDAT, IEND; and pHYs, the size on paper.
func readPNG(j *rebuild.Job, in []byte, place string) (*pngFile, error) {
	broken := func(what string) (*pngFile, error) { return nil, rebuild.Refuse("image.broken", place, what) }
	if !bytes.HasPrefix(in, []byte(PNGMagic)) {
		return broken("no PNG signature")
	}
	p := &pngFile{}
	var data []io.Reader
	var dropped []string
	for at, count := len(PNGMagic), 0; ; count++ {
		if len(in)-at < 12 {
			return broken("ends inside a chunk")
		}
		size, typ := binary.BigEndian.Uint32(in[at:]), string(in[at+4:at+8])
		if int64(size) > int64(len(in)-at-12) {
			return broken("chunk " + typ + " is longer than the file")
		}
		sum := in[at+4 : at+8+int(size)]
		body := sum[4:]
		whole := crc32.ChecksumIEEE(sum) == binary.BigEndian.Uint32(in[at+8+int(size):])
		at += 12 + int(size)
		if (count == 0) != (typ == "IHDR") {
			return broken("IHDR is not the first chunk")
		}
		switch typ {
		case "IHDR", "PLTE", "IDAT", "IEND", "tRNS":
			if !whole {
				return broken("checksum of chunk " + typ)
			}
		default:
			if typ[0]&0x20 == 0 {
				return nil, rebuild.Refuse("image.unsupported", place, "chunk "+typ)
			}
		}
		switch typ {
		case "IHDR":
			if err := p.header(body); err != nil {
				return nil, rebuild.At(err, place)
			}
		case "PLTE":
			if p.palette != nil || data != nil || len(body) == 0 || len(body)%3 != 0 || len(body) > 768 {
				return broken("PLTE")
			}
			if p.kind == 3 {
				p.palette = body[:min(len(body), 3<<p.depth)]
			} // else a proposal for screens of few colors
		case "tRNS":
			want := map[byte]int{0: 2, 2: 6, 3: len(body)}[p.kind]
			if data != nil || len(body) != want || want == 0 || p.kind == 3 && p.palette == nil {
				return broken("tRNS")
			}
			p.transparent = body
			if p.kind == 3 {
				p.transparent = body[:min(len(body), len(p.palette)/3)]
			}
		case "IDAT":
			data = append(data, bytes.NewReader(body))
		case "IEND":
			if data == nil || p.kind == 3 && p.palette == nil {
				return broken("no pixels, or no palette")
			}
			if err := tail(j, in[at:], place); err != nil {
				return nil, err
			}
			if len(dropped) > 0 {
				j.Found.Add("image.metadata", place, verdict.Removed, strings.Join(dropped, " "))
			}
			p.data = &impatient{j: j, r: io.MultiReader(data...)}
			return p, nil
		case "pHYs":
			if whole && len(body) == 9 && body[8] <= 1 && binary.BigEndian.Uint32(body)-1 < 1e6 && binary.BigEndian.Uint32(body[4:])-1 < 1e6 {
				p.physical = body
			}
		case "sRGB", "sBIT", "bKGD", "hIST", "tIME": // say nothing about people, and pixels are sRGB without them
		default:
			special(j, typ, body, place)
			if !slices.Contains(dropped, typ) && len(dropped) < 12 {
				dropped = append(dropped, typ)
			}
		}
	}
}

// special reports of a chunk that goes what its reader should know beside that it went.
func special(j *rebuild.Job, typ string, body []byte, place string) {
	switch typ {
	case "eXIf":
		if _, gps := readExif(body); gps {
			j.Found.Add("png.gps", place, verdict.Removed, "")
		}
	case "acTL":
		j.Found.Add("image.animation", place, verdict.Removed, "")
	case "gAMA":
		if len(body) == 4 && math.Abs(float64(binary.BigEndian.Uint32(body))-45455) > 1000 {
			j.Found.Add("image.profile", place, verdict.Changed, "gAMA")
		}
	case "iCCP":
		_, packed, _ := bytes.Cut(body, []byte{0})
		if len(packed) < 2 {
			return
		}
		z, err := zlib.NewReader(bytes.NewReader(packed[1:]))
		if err != nil {
			return
		}
		defer z.Close()
		profile, err := io.ReadAll(io.LimitReader(z, 1<<20))
		if name := strange(profile); err == nil && name != "" {
			j.Found.Add("image.profile", place, verdict.Changed, name)
		}
	}
}

// impatient reads until the job's context ends.
type impatient struct {
	j *rebuild.Job
	r io.Reader
}

func (i *impatient) Read(b []byte) (int, error) {
	if err := i.j.Ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(b)
}

func (h *pngHeader) header(b []byte) error {
	if len(b) != 13 {
		return rebuild.Refuse("image.broken", "", "IHDR of a wrong size")
	}
	w, ht := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if w > math.MaxInt32 || ht > math.MaxInt32 {
		return rebuild.Refuse("image.broken", "", "size")
	}
	if err := checkSize(int(w), int(ht)); err != nil {
		return err
	}
	k, ok := pngKinds[b[9]]
	if !ok || !strings.Contains(k.depths, string(b[8:9])) || b[10] != 0 || b[11] != 0 || b[12] > 1 {
		return rebuild.Refuse("image.unsupported", "", fmt.Sprintf("PNG of depth %d, color type %d, methods %d %d %d", b[8], b[9], b[10], b[11], b[12]))
	}
	*h = pngHeader{int(w), int(ht), b[8], b[9], b[12] == 1}
	return checkMemory(int64(w)*int64(ht), float64(h.bits())/8)
}

// unfilter reads a row with its filter into line and takes the filter off (PNG, 9.2).
func (p *pngFile) unfilter(z io.Reader, line, before []byte) error {
	if _, err := io.ReadFull(z, line); err != nil {
		return noPixels(err)
	}
	if line[0] > 4 {
		return rebuild.Refuse("image.broken", "", fmt.Sprintf("filter %d", line[0]))
	}
	row, step := line[1:], p.step()
	before = before[:len(row)]
	switch line[0] {
	case 1:
		for i := step; i < len(row); i++ {
			row[i] += row[i-step]
		}
	case 2:
		for i, b := range before {
			row[i] += b
		}
	case 3:
		for i := range min(step, len(row)) {
			row[i] += before[i] / 2
		}
		for i := step; i < len(row); i++ {
			row[i] += byte((int(row[i-step]) + int(before[i])) / 2)
		}
	case 4:
		for i := range min(step, len(row)) {
			row[i] += before[i]
		}
		for i := step; i < len(row); i++ {
			row[i] += paeth(row[i-step], before[i], before[i-step])
		}
	}
	return nil
}

// noPixels tells a broken stream from the end of time.
func noPixels(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return rebuild.Refuse("image.broken", "", "fewer pixels than the header says")
	}
	if errors.Is(err, zlib.ErrHeader) || errors.Is(err, zlib.ErrChecksum) || strings.HasPrefix(err.Error(), "flate:") {
		return rebuild.Refuse("image.broken", "", err.Error())
	}
	return err
}

func paeth(a, b, c byte) byte {
	pa, pb := int(b)-int(c), int(a)-int(c)
	pc := pa + pb
	if pa < 0 {
		pa = -pa
	}
	if pb < 0 {
		pb = -pb
	}
	if pc < 0 {
		pc = -pc
	}
	switch {
	case pa <= pb && pa <= pc:
		return a
	case pb <= pc:
		return b
	}
	return c
}

// passes of Adam7 (PNG, 8.2): first column and row, and the steps between.
var passes = [7][4]int{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}}

func (p *pngFile) deinterlace(j *rebuild.Job, z io.Reader) ([]byte, error) {
	full := p.rowBytes(p.w)
	out := make([]byte, full*p.h)
	bits := p.bits()
	for _, s := range passes {
		w, h := (p.w-s[0]+s[2]-1)/s[2], (p.h-s[1]+s[3]-1)/s[3]
		if w <= 0 || h <= 0 {
			continue
		}
		line, before := make([]byte, 1+p.rowBytes(w)), make([]byte, p.rowBytes(w))
		for y := range h {
			if err := j.Ctx.Err(); err != nil {
				return nil, err
			}
			if err := p.unfilter(z, line, before); err != nil {
				return nil, err
			}
			copy(before, line[1:])
			row := out[(s[1]+y*s[3])*full:][:full]
			for x := range w {
				to := s[0] + x*s[2]
				if bits >= 8 {
					copy(row[to*bits/8:][:bits/8], line[1+x*bits/8:])
					continue
				}
				v := line[1+x*bits/8] >> (8 - bits - x*bits%8) & (1<<bits - 1)
				row[to*bits/8] |= v << (8 - bits - to*bits%8)
			}
		}
	}
	return out, nil
}

// pixels of a row, 4 bytes each, not premultiplied.
func (p *pngFile) pixels(row []byte) []byte {
	out := make([]byte, 4*p.w)
	n := pngKinds[p.kind].samples
	for x := range p.w {
		var s [4]byte
		for k := range n {
			i := x*n + k
			switch {
			case p.depth == 16:
				s[k] = row[2*i]
			case p.depth == 8:
				s[k] = row[i]
			default:
				d := int(p.depth)
				s[k] = row[i*d/8] >> (8 - d - i*d%8) & (1<<d - 1)
				if p.kind == 0 {
					s[k] *= 255 / (1<<d - 1)
				}
			}
		}
		px := out[4*x : 4*x+4]
		switch p.kind {
		case 0:
			px[0], px[1], px[2], px[3] = s[0], s[0], s[0], 255
		case 2:
			px[0], px[1], px[2], px[3] = s[0], s[1], s[2], 255
		case 3:
			px[3] = 255
			if i := int(s[0]); i*3 < len(p.palette) {
				copy(px, p.palette[i*3:i*3+3])
				if i < len(p.transparent) {
					px[3] = p.transparent[i]
				}
			}
		case 4:
			px[0], px[1], px[2], px[3] = s[0], s[0], s[0], s[1]
		case 6:
			copy(px, s[:])
		}
	}
	return out
}

// encodePNG writes pixels of 8 bits as a PNG of ours, gray, RGB or with transparency.
func encodePNG(j *rebuild.Job, img image.Image) ([]byte, error) {
	b := img.Bounds()
	p := &pngFile{pngHeader: pngHeader{w: b.Dx(), h: b.Dy(), depth: 8, kind: 6}}
	gray, isGray := img.(*image.Gray)
	switch {
	case isGray:
		p.kind = 0
	case !transparent(img):
		p.kind = 2
	}
	w := newPNGWriter(j, p)
	defer w.end()
	noise := newNoise(j)
	row := make([]byte, p.rowBytes(p.w))
	for y := range p.h {
		if err := j.Ctx.Err(); err != nil {
			return nil, err
		}
		if isGray {
			copy(row, gray.Pix[y*gray.Stride:])
		}
		for x := 0; x < p.w && !isGray; x++ {
			c := nrgba(img.At(b.Min.X+x, b.Min.Y+y))
			copy(row[x*p.step():][:p.step()], []byte{c.R, c.G, c.B, c.A})
		}
		noise.png(p.pngHeader, row)
		w.row(row, adaptive)
	}
	return w.close()
}
