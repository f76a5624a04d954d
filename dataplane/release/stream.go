package release

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A stored file is a magic line and chunks of 64 KiB, each sealed with AES-256-GCM under the file's own random key. The nonce
// is the chunk's number and a flag on the last one (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár), so
// chunks can't be reordered, dropped, repeated or cut off. The associated data name transfer and role, so a file can't
// take another's place. Memory is one chunk, whatever the file's size.
const (
	sealMagic = "sekisho-sealed-1\n"
	chunkSize = 64 << 10
	keySize   = 32
)

var errDamaged = errors.New("stored file is damaged or not what it should be")

type sealer struct {
	w    io.Writer
	aead cipher.AEAD
	aad  []byte
	buf  []byte
	out  []byte
	n    uint32
}

// newSealer encrypts what is written to it into w. Close writes the last chunk and does not close w.
func newSealer(w io.Writer, key []byte, aad string) (io.WriteCloser, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(w, sealMagic); err != nil {
		return nil, err
	}
	return &sealer{w: w, aead: aead, aad: []byte(aad), buf: make([]byte, 0, chunkSize)}, nil
}

func (s *sealer) Write(p []byte) (int, error) {
	done := 0
	for len(p) > 0 {
		if len(s.buf) == chunkSize { // flushed only when more follows: the last chunk carries the flag
			if err := s.flush(false); err != nil {
				return done, err
			}
		}
		n := min(len(p), chunkSize-len(s.buf))
		s.buf = append(s.buf, p[:n]...)
		p, done = p[n:], done+n
	}
	return done, nil
}

func (s *sealer) Close() error { return s.flush(true) }

func (s *sealer) flush(last bool) error {
	s.out = s.aead.Seal(s.out[:0], nonce(s.n, last), s.buf, s.aad)
	s.n++
	if s.n == 0 {
		return errors.New("seal a file: more than 2^32 chunks")
	}
	s.buf = s.buf[:0]
	_, err := s.w.Write(s.out)
	return err
}

type opener struct {
	r     *bufio.Reader
	aead  cipher.AEAD
	aad   []byte
	in    []byte
	plain []byte
	n     uint32
	done  bool
}

// newOpener decrypts r. Every byte that it returns was authenticated; the end of the file too, with the last read.
func newOpener(r io.Reader, key []byte, aad string) (io.Reader, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	o := &opener{r: bufio.NewReaderSize(r, chunkSize), aead: aead, aad: []byte(aad), in: make([]byte, chunkSize+aead.Overhead())}
	magic := make([]byte, len(sealMagic))
	if _, err := io.ReadFull(o.r, magic); err != nil || string(magic) != sealMagic {
		return nil, fmt.Errorf("open a stored file: no magic: %w", errDamaged)
	}
	return o, nil
}

func (o *opener) Read(p []byte) (int, error) {
	for len(o.plain) == 0 {
		if o.done {
			return 0, io.EOF
		}
		if err := o.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, o.plain)
	o.plain = o.plain[n:]
	return n, nil
}

func (o *opener) next() error {
	n, err := io.ReadFull(o.r, o.in)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return err
	}
	_, err = o.r.Peek(1)
	last := errors.Is(err, io.EOF)
	if err != nil && !last {
		return err
	}
	o.plain, err = o.aead.Open(o.in[:0], nonce(o.n, last), o.in[:n], o.aad)
	if err != nil {
		return fmt.Errorf("chunk %d: %w", o.n, errDamaged)
	}
	o.n++
	o.done = last
	return nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("file key of %d bytes, want %d", len(key), keySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func nonce(n uint32, last bool) []byte {
	b := make([]byte, 12)
	binary.BigEndian.PutUint32(b[7:11], n)
	if last {
		b[11] = 1
	}
	return b
}
