// Package talk is what a gate and a far end say to each other inside a tunnel.
//
// Problem: whether an end carries packets, how late and how many, only the other side can tell, and it must be told what it
// may send; but whatever hangs behind a tunnel can send datagrams to the same ports. Mechanism: small UDP messages, each
// under a code (HMAC-SHA-256, 16 bytes) whose key both sides derive from their WireGuard keys. The gate asks, the far end
// answers, each side names its own run by a random session; a request's number is used once. One port for each bandwidth
// class, so that a question waits where the class's packets wait. Life cycle: Key once for a peer, then Marshal and Parse;
// the far end shows what it parsed to a Guard. Invariant: what Parse returns was written by the holder of the other key,
// for this pair of keys; what does not parse has no effect.
package talk

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Port is where a far end listens for questions that belong to no class; class n is asked at Port+n.
const Port = 7000

// Sizes, bytes.
const (
	MaxClasses = 16   // in a Reply; as many as a line has
	MaxPart    = 1100 // of a plan in one Part
	MaxMessage = 9000 // of a datagram; a Size fills the tunnel's packets
	macSize    = 16
	headSize   = 32
)

// Secret is the key of one pair of peers.
type Secret [32]byte

// Key derives the secret from one side's private and the other's public WireGuard key; both sides come to the same.
func Key(private, peer [32]byte) (Secret, error) {
	own, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		return Secret{}, fmt.Errorf("derive the key for talking: %w", err)
	}
	other, err := ecdh.X25519().NewPublicKey(peer[:])
	if err != nil {
		return Secret{}, fmt.Errorf("derive the key for talking: %w", err)
	}
	shared, err := own.ECDH(other)
	if err != nil {
		return Secret{}, fmt.Errorf("derive the key for talking: %w; the public key is no usable point", err)
	}
	b, err := hkdf.Key(sha256.New, shared, nil, "sekisho talk 1", len(Secret{}))
	if err != nil {
		return Secret{}, fmt.Errorf("derive the key for talking: %w", err)
	}
	return Secret(b), nil
}

// Why a datagram is no message; for counters. Nothing is ever answered to one.
var (
	ErrShort   = errors.New("truncated")
	ErrForeign = errors.New("no message of this protocol and version")
	ErrCode    = errors.New("wrong code: another key, or changed on the way")
	ErrForm    = errors.New("malformed")
)

func (s *Secret) code(b []byte) []byte {
	h := hmac.New(sha256.New, s[:])
	h.Write(b)
	return h.Sum(nil)[:macSize]
}

// Marshal writes a message as a datagram. It fails only for one that is larger than its kind may be.
func Marshal(m Message, s Secret) ([]byte, error) {
	w := &writer{b: make([]byte, 0, 256)}
	w.header(m.kind(), m.head())
	m.write(w)
	if w.err != nil {
		return nil, w.err
	}
	if len(w.b)+macSize > MaxMessage {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrForm, len(w.b)+macSize, MaxMessage)
	}
	return append(w.b, s.code(w.b)...), nil
}

// Parse reads a datagram. The code is looked at first: nothing else of a stranger's bytes is.
func Parse(b []byte, s Secret) (Message, error) {
	if len(b) < headSize+macSize {
		return nil, ErrShort
	}
	if len(b) > MaxMessage || b[0] != magic[0] || b[1] != magic[1] || b[2] != version {
		return nil, ErrForeign
	}
	text, code := b[:len(b)-macSize], b[len(b)-macSize:]
	if !hmac.Equal(code, s.code(text)) {
		return nil, ErrCode
	}
	r := &reader{b: text}
	kind, h := r.header()
	m := blank(kind)
	if m == nil {
		return nil, ErrForeign
	}
	*m.head() = h
	m.read(r)
	if r.err != nil {
		return nil, r.err
	}
	if len(r.b) > 0 {
		return nil, ErrForm
	}
	return m, nil
}
