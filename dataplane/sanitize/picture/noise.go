package picture

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// noise replaces the lowest bit of samples, where messages are hidden that no eye sees. It is made from the content's hash, so
// that the same file gives the same result. A picture with a palette or with few shades has no room for it: each of its bits is
// seen.
type noise struct{ r *rand.ChaCha8 }

// newNoise is nil where the route does not want any.
func newNoise(j *rebuild.Job) *noise {
	if !j.Policy.Noise {
		return nil
	}
	return &noise{rand.NewChaCha8(sha256.Sum256(j.In))}
}

// samples are n bytes apart, the lowest byte of the first at from.
func (n *noise) samples(row []byte, from, apart int) {
	if n == nil {
		return
	}
	var bits uint64
	for i, left := from, 0; i < len(row); i, left = i+apart, left-1 {
		if left == 0 {
			bits, left = n.r.Uint64(), 64
		}
		row[i] = row[i]&^1 | byte(bits&1)
		bits >>= 1
	}
}

// png treats a row. Transparency stays exact where it hides all or nothing: what is invisible must not shine through.
func (n *noise) png(h pngHeader, row []byte) {
	if n == nil || h.kind == 3 || h.depth < 8 {
		return
	}
	samples, size := pngKinds[h.kind].samples, int(h.depth)/8
	var alpha []byte
	if samples%2 == 0 {
		for i := (samples - 1) * size; i+size <= len(row); i += samples * size {
			alpha = append(alpha, row[i:i+size]...)
		}
	}
	n.samples(row, size-1, size)
	for i, k := (samples-1)*size, 0; k < len(alpha); i, k = i+samples*size, k+size {
		if v := binary.BigEndian.Uint16([]byte{alpha[k], alpha[k+size-1]}); v == 0 || v == 0xFFFF {
			copy(row[i:], alpha[k:k+size])
		}
	}
}
