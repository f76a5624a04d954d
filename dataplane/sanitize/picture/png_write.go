package picture

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/adler32"
	"hash/crc32"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// adaptive lets the writer choose the filter of a row.
const adaptive = -1

// pngWriter packs rows as they come. Pieces are packed side by side, each with the end of the one before as its dictionary, so
// that the result is one deflate stream and both cores work.
type pngWriter struct {
	j       *rebuild.Job
	p       *pngFile
	before  []byte
	line    [5][]byte // the row by each filter
	mask    byte      // of the bits that a row's last byte shows
	piece   []byte
	last    []byte // what was before the piece
	sum     hash.Hash32
	packing chan chan []byte // pieces on their way, in order
	done    chan []byte      // of all of them
	size    int64
}

const (
	pieceBytes = 256 << 10
	window     = 32 << 10
)

func newPNGWriter(j *rebuild.Job, p *pngFile) *pngWriter {
	w := &pngWriter{j: j, p: p, before: make([]byte, p.rowBytes(p.w)), mask: 0xFF, sum: adler32.New(), packing: make(chan chan []byte, 2), done: make(chan []byte, 1)}
	for f := range w.line {
		w.line[f] = make([]byte, 1+len(w.before))
		w.line[f][0] = byte(f)
	}
	if over := p.w * p.bits() % 8; over > 0 {
		w.mask = 0xFF << (8 - over)
	}
	go w.gather(w.packing)
	return w
}

// gather puts packed pieces together in their order.
func (w *pngWriter) gather(packing <-chan chan []byte) {
	out := []byte{0x78, 0x9C}
	for c := range packing {
		b := <-c
		if int64(len(out)+len(b)) <= w.j.MaxOut {
			out = append(out, b...)
		} else {
			w.size = w.j.MaxOut + 1
		}
	}
	w.done <- out
}

// row takes one row, which is filtered by the filter of that number.
func (w *pngWriter) row(row []byte, filter int) {
	row[len(row)-1] &= w.mask
	if filter == adaptive {
		filter = w.choose(row)
	} else {
		w.filter(row, filter)
	}
	w.piece = append(w.piece, w.line[filter]...)
	copy(w.before, row)
	if len(w.piece) >= pieceBytes {
		w.pack(false)
	}
}

func (w *pngWriter) filter(row []byte, filter int) {
	out, step := w.line[filter][1:], w.p.step()
	step = min(step, len(row))
	before := w.before[:len(row)]
	switch filter {
	case 0:
		copy(out, row)
	case 1:
		copy(out, row[:step])
		for i := step; i < len(row); i++ {
			out[i] = row[i] - row[i-step]
		}
	case 2:
		for i, b := range before {
			out[i] = row[i] - b
		}
	case 3:
		for i := range step {
			out[i] = row[i] - before[i]/2
		}
		for i := step; i < len(row); i++ {
			out[i] = row[i] - byte((int(row[i-step])+int(before[i]))/2)
		}
	case 4:
		for i := range step {
			out[i] = row[i] - before[i]
		}
		for i := step; i < len(row); i++ {
			out[i] = row[i] - paeth(row[i-step], before[i], before[i-step])
		}
	}
}

// choose takes the filter that leaves the smallest differences (PNG, 12.7).
func (w *pngWriter) choose(row []byte) int {
	if w.p.kind == 3 || w.p.depth < 8 {
		w.filter(row, 0)
		return 0
	}
	best, least := 0, -1
	for f := range w.line {
		w.filter(row, f)
		sum := 0
		for _, b := range w.line[f][1:] {
			if d := int(int8(b)); d < 0 {
				sum -= d
			} else {
				sum += d
			}
		}
		if least < 0 || sum < least {
			best, least = f, sum
		}
	}
	return best
}

// pack sends a piece on its way.
func (w *pngWriter) pack(end bool) {
	c, piece, last := make(chan []byte, 1), w.piece, w.last
	w.sum.Write(piece)
	w.last, w.piece = piece[max(0, len(piece)-window):], make([]byte, 0, pieceBytes+len(w.line[0]))
	go func() {
		var b bytes.Buffer
		z, err := flate.NewWriterDict(&b, flate.DefaultCompression, last)
		if err == nil {
			_, err = z.Write(piece)
		}
		if err == nil && end {
			err = z.Close()
		} else if err == nil {
			err = z.Flush()
		}
		if err != nil { // writing to memory does not fail
			b.Reset()
		}
		c <- b.Bytes()
	}()
	w.packing <- c
}

// end waits for all pieces. Who gives up calls it, too.
func (w *pngWriter) end() []byte {
	if w.packing == nil {
		return nil
	}
	close(w.packing)
	w.packing = nil
	return <-w.done
}

// close answers the file.
func (w *pngWriter) close() ([]byte, error) {
	w.pack(true)
	data := w.end()
	if w.size > w.j.MaxOut || int64(len(data)) > min(w.j.MaxOut, 1<<31-1) {
		return nil, rebuild.Refuse("limit.output", "", fmt.Sprintf("limit %d bytes", w.j.MaxOut))
	}
	data = w.sum.Sum(data)
	p := w.p
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(p.w)), uint32(p.h))
	out := append(make([]byte, 0, len(data)+2000), PNGMagic...)
	out = pngChunk(out, "IHDR", append(head, p.depth, p.kind, 0, 0, 0))
	if p.physical != nil {
		out = pngChunk(out, "pHYs", p.physical)
	}
	if p.palette != nil {
		out = pngChunk(out, "PLTE", p.palette)
	}
	if p.transparent != nil {
		out = pngChunk(out, "tRNS", p.transparent)
	}
	return pngChunk(pngChunk(out, "IDAT", data), "IEND", nil), nil
}

func pngChunk(out []byte, typ string, body []byte) []byte {
	out = binary.BigEndian.AppendUint32(out, uint32(len(body)))
	from := len(out)
	out = append(append(out, typ...), body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[from:]))
}
