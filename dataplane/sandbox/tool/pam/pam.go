// Package pam holds raw pictures as they go between a sandboxed decoder and a rebuilder.
//
// Problem: what a decoder writes is as hostile as what it read. Mechanism: the simplest of all formats, Netpbm's PAM (P7) with one byte
// a sample, one picture behind the other; nothing in it is compressed, so the size is known from the header and is there or not.
// Life cycle: a helper writes them, the rebuilder reads them once. Invariant: Read never allocates more than it was given, and a
// sequence that is not exact is an error.
package pam

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Frame is one picture. Depth 1 is grey, 2 grey with alpha, 3 RGB, 4 RGB with alpha (not premultiplied).
type Frame struct {
	Width, Height, Depth int
	Pix                  []byte // Width*Height*Depth bytes, by rows from the top
}

// MaxEdge bounds width and height.
const MaxEdge = 1 << 20

// ErrForm is answered for anything that is not a sequence of such pictures.
var ErrForm = errors.New("not a sequence of PAM pictures")

var tuples = [...]string{1: "GRAYSCALE", 2: "GRAYSCALE_ALPHA", 3: "RGB", 4: "RGB_ALPHA"}

// Append writes one more picture behind those in b.
func Append(b []byte, f Frame) []byte {
	b = fmt.Appendf(b, "P7\nWIDTH %d\nHEIGHT %d\nDEPTH %d\nMAXVAL 255\nTUPLTYPE %s\nENDHDR\n", f.Width, f.Height, f.Depth, tuples[f.Depth])
	return append(b, f.Pix...)
}

// Read takes a sequence apart; the pixels are those of b. At most max pictures; more are an error.
func Read(b []byte, max int) ([]Frame, error) {
	var frames []Frame
	for len(b) > 0 {
		if len(frames) == max {
			return nil, fmt.Errorf("more than %d pictures: %w", max, ErrForm)
		}
		f, rest, err := next(b)
		if err != nil {
			return nil, fmt.Errorf("picture %d: %w", len(frames)+1, err)
		}
		frames, b = append(frames, f), rest
	}
	if len(frames) == 0 {
		return nil, fmt.Errorf("nothing: %w", ErrForm)
	}
	return frames, nil
}

const maxHeader = 512

func next(b []byte) (Frame, []byte, error) {
	end := bytes.Index(b[:min(len(b), maxHeader)], []byte("\nENDHDR\n"))
	if end < 0 || !bytes.HasPrefix(b, []byte("P7\n")) {
		return Frame{}, nil, ErrForm
	}
	var f Frame
	values := map[string]int{}
	for line := range strings.Lines(string(b[3 : end+1])) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key == "TUPLTYPE" || key == "" || strings.HasPrefix(key, "#") {
			continue // the depth says it, too
		}
		n, err := strconv.Atoi(value)
		if _, twice := values[key]; err != nil || twice || n < 1 || n > MaxEdge {
			return Frame{}, nil, fmt.Errorf("%s %.20q: %w", key, value, ErrForm)
		}
		values[key] = n
	}
	f.Width, f.Height, f.Depth = values["WIDTH"], values["HEIGHT"], values["DEPTH"]
	if f.Width == 0 || f.Height == 0 || f.Depth < 1 || f.Depth > 4 || values["MAXVAL"] != 255 {
		return Frame{}, nil, ErrForm
	}
	b = b[end+len("\nENDHDR\n"):]
	size := int64(f.Width) * int64(f.Height) * int64(f.Depth) // at most 2^42
	if size > int64(len(b)) {
		return Frame{}, nil, fmt.Errorf("%d of %d bytes: %w", len(b), size, ErrForm)
	}
	f.Pix = b[:size:size]
	return f, b[size:], nil
}
