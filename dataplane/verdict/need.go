package verdict

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Need is what a worker cannot do in its own sandbox: a program of a kind, run on bytes in a sandbox of its own.
type Need struct {
	ID      string            `json:"id"` // names kind, options and bytes; given back with the answer
	Kind    string            `json:"kind"`
	Options map[string]string `json:"options,omitempty"` // at most 16, each at most 256 bytes
	Size    int64             `json:"size"`              // of Body
	Body    []byte            `json:"-"`                 // follows the line
}

// Answer is what a helper made of a Need.
type Answer struct {
	ID     string `json:"id"`
	Failed string `json:"failed,omitempty"` // a code of a catalogue: there is no result
	Detail string `json:"detail,omitempty"` // of a failure; bounded and escaped
	Size   int64  `json:"size"`
	Body   []byte `json:"-"`
}

// Name tells what a need's ID must be: it stands for kind, options and bytes.
func (n Need) Name() string {
	h := sha256.New()
	h.Write([]byte(n.Kind + "\x00"))
	for _, k := range slices.Sorted(maps.Keys(n.Options)) {
		h.Write([]byte(k + "\x00" + n.Options[k] + "\x00"))
	}
	h.Write([]byte{0})
	h.Write(n.Body)
	return hex.EncodeToString(h.Sum(nil))
}

// WriteNeed sends one need to what answers it; WriteAnswer sends the answer back. Both are framed like jobs.
func WriteNeed(w io.Writer, n Need) error {
	n.Size = int64(len(n.Body))
	return writeFrame(w, n, MaxJobLine, n.Body)
}

// ReadNeed reads one need of at most max bytes.
func ReadNeed(r io.Reader, max int64) (Need, error) {
	br := bufio.NewReader(r)
	var n Need
	if err := readLine(br, MaxJobLine, &n); err != nil {
		return Need{}, fmt.Errorf("read need: %w", err)
	}
	bodies, err := readBodies(br, []int64{n.Size}, max)
	if err != nil {
		return Need{}, fmt.Errorf("read need: %w", err)
	}
	n.Body = bodies[0]
	return n, nil
}

// WriteAnswer sends what a helper made.
func WriteAnswer(w io.Writer, a Answer) error {
	a.Size = int64(len(a.Body))
	return writeFrame(w, a, MaxJobLine, a.Body)
}

// ReadAnswer reads one answer of at most max bytes. A failure has none.
func ReadAnswer(r io.Reader, max int64) (Answer, error) {
	br := bufio.NewReader(r)
	var a Answer
	if err := readLine(br, MaxJobLine, &a); err != nil {
		return Answer{}, fmt.Errorf("read answer: %w", err)
	}
	if a.Failed != "" && a.Size != 0 {
		return Answer{}, fmt.Errorf("read answer: %d bytes of a failure: %w", a.Size, ErrFrame)
	}
	bodies, err := readBodies(br, []int64{a.Size}, max)
	if err != nil {
		return Answer{}, fmt.Errorf("read answer: %w", err)
	}
	a.Body = bodies[0]
	return a, nil
}
