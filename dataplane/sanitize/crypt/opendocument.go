package crypt

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"io"

	"golang.org/x/crypto/argon2"
	//lint:ignore SA1019 how files of before 2010 are encrypted is nobody's choice any more
	"golang.org/x/crypto/blowfish"

	"github.com/sekisho/sekisho/dataplane/sanitize/container"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// Bounds of what an OpenDocument file may ask of us.
const (
	maxRounds   = 1_000_000  // of PBKDF2, a member; LibreOffice asks for 100,000
	maxArgonKiB = 128 << 10  // LibreOffice asks for 64 MiB
	maxArgonAll = 1024 << 10 // KiB times passes
	maxLanes    = 16
)

// OpenDocument gives an encrypted OpenDocument package (ODF 1.3 part 2, 3.4, and as LibreOffice has written it since version 24) as it
// would be without its password; the same package when nothing in it is encrypted. Refused with type.encrypted when no password fits.
func OpenDocument(ctx context.Context, in []byte, z *container.Archive, keys []string) (plain []byte, opened bool, err error) {
	f := z.Members[container.Key(manifestName)]
	if f == nil {
		return in, false, nil
	}
	manifest, err := z.Unpack(f)
	if err != nil {
		return nil, false, err
	}
	if !bytes.Contains(manifest, []byte("encryption-data")) {
		return in, false, nil
	}
	sealed, order, err := readSealed(manifest)
	if err != nil || len(sealed) == 0 {
		return in, false, err
	}
	var right string // the password that opened the first, which opens all
	fits := false
	open := func(name string, s *sealing) ([]byte, error) {
		m := z.Members[container.Key(name)]
		if m == nil {
			return nil, brokenODF("no " + name)
		}
		b, err := z.Unpack(m)
		if err != nil {
			return nil, err
		}
		candidates := keys[:min(len(keys), maxKeys)]
		if fits {
			candidates = []string{right}
		}
		for _, k := range candidates {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			out, err := s.open(b, []byte(k))
			if err == errPassword {
				continue
			}
			right, fits = k, err == nil
			return out, err
		}
		return nil, errPassword
	}
	if s := sealed[wholeName]; s != nil {
		plain, err := open(wholeName, s)
		return plain, err == nil, err
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	var left int64 = maxOpened
	for _, m := range z.Order {
		if m.Name == manifestName {
			continue
		}
		var b []byte
		if s := sealed[m.Name]; s != nil {
			b, err = open(m.Name, s)
		} else {
			b, err = z.Unpack(m)
		}
		if err != nil {
			return nil, false, rebuild.At(err, m.Name)
		}
		if left -= int64(len(b)); left < 0 {
			return nil, false, rebuild.Refuse("limit.expansion", m.Name, "")
		}
		if err := stored(w, m.Name, b); err != nil {
			return nil, false, err
		}
	}
	if err := stored(w, manifestName, openManifest(order)); err != nil {
		return nil, false, err
	}
	if err := w.Close(); err != nil {
		return nil, false, err
	}
	return out.Bytes(), true, nil
}

// maxOpened bounds what all members of a package are together, in bytes.
const maxOpened = 512 << 20

func stored(w *zip.Writer, name string, b []byte) error {
	m, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
	if err == nil {
		_, err = m.Write(b)
	}
	return err
}

// key derives the key of the member from a password.
func (s *sealing) key(password []byte) ([]byte, error) {
	unknown := func(what string) error { return rebuild.Refuse("legacy.encryption", manifestName, what) }
	var start []byte
	switch s.start {
	case "sha1":
		h := sha1.Sum(password)
		start = h[:]
	case "sha256":
		h := sha256.Sum256(password)
		start = h[:]
	default:
		return nil, unknown(s.start)
	}
	if s.keyLen < 16 || s.keyLen > 32 || len(s.salt) < 8 || len(s.salt) > 64 {
		return nil, brokenODF("key or salt")
	}
	switch s.by {
	case "pbkdf2":
		if s.rounds < 1 || s.rounds > maxRounds {
			return nil, unknown(fmt.Sprintf("rounds %d", s.rounds))
		}
		return pbkdf2.Key(sha1.New, string(start), s.salt, s.rounds, s.keyLen)
	case "argon2id":
		if s.passes < 1 || s.lanes < 1 || s.lanes > maxLanes || s.memoryKiB < 8*s.lanes || s.memoryKiB > maxArgonKiB || s.passes > maxArgonAll/s.memoryKiB {
			return nil, unknown(fmt.Sprintf("argon2 %d %d %d", s.passes, s.memoryKiB, s.lanes))
		}
		return argon2.IDKey(start, s.salt, uint32(s.passes), uint32(s.memoryKiB), uint8(s.lanes), uint32(s.keyLen)), nil
	}
	return nil, unknown(s.by)
}

// open decrypts and inflates a member.
func (s *sealing) open(in, password []byte) ([]byte, error) {
	if !s.sawAlgorithm || !s.sawDerivation {
		return nil, brokenODF("encryption data")
	}
	key, err := s.key(password)
	if err != nil {
		return nil, err
	}
	var plain []byte
	switch s.cipher {
	case "aes256-gcm":
		return s.galois(key, in)
	case "aes256-cbc":
		plain, err = s.chained(key, in)
	case "blowfish cfb", "blowfish":
		plain, err = s.feedback(key, in)
	default:
		return nil, rebuild.Refuse("legacy.encryption", manifestName, s.cipher)
	}
	if err != nil {
		return nil, err
	}
	head := plain[:min(len(plain), 1024)]
	var sum []byte
	switch s.sumType {
	case "sha1/1k", "sha1-1k":
		h := sha1.Sum(head)
		sum = h[:]
	case "sha256-1k", "sha256/1k":
		h := sha256.Sum256(head)
		sum = h[:]
	default:
		return nil, rebuild.Refuse("legacy.encryption", manifestName, s.sumType)
	}
	if !hmac.Equal(sum, s.sum) {
		return nil, errPassword
	}
	return s.inflated(plain)
}

// galois is AES in GCM: the nonce in front, which the manifest has, too, and the tag behind.
func (s *sealing) galois(key, in []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, brokenODF("key")
	}
	g, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	if len(s.iv) != g.NonceSize() || !bytes.HasPrefix(in, s.iv) {
		return nil, brokenODF("nonce")
	}
	plain, err := g.Open(nil, s.iv, in[len(s.iv):], nil)
	if err != nil {
		return nil, errPassword
	}
	return s.inflated(plain)
}

// chained is AES in CBC; the last byte says how many fill the last block.
func (s *sealing) chained(key, in []byte) ([]byte, error) {
	if len(s.iv) != aes.BlockSize || len(in) == 0 || len(in)%aes.BlockSize != 0 {
		return nil, brokenODF("encrypted member")
	}
	plain, err := chained(key, s.iv, in)
	if err != nil {
		return nil, brokenODF("key")
	}
	fill := int(plain[len(plain)-1])
	if fill < 1 || fill > aes.BlockSize {
		return nil, errPassword
	}
	return plain[:len(plain)-fill], nil
}

// feedback is Blowfish in CFB with whole blocks.
func (s *sealing) feedback(key, in []byte) ([]byte, error) {
	c, err := blowfish.NewCipher(key)
	if err != nil || len(s.iv) != blowfish.BlockSize {
		return nil, brokenODF("key")
	}
	out := make([]byte, len(in))
	last, pad := bytes.Clone(s.iv), make([]byte, blowfish.BlockSize)
	for i := 0; i < len(in); i += blowfish.BlockSize {
		c.Encrypt(pad, last)
		piece := in[i:min(len(in), i+blowfish.BlockSize)]
		for j, b := range piece {
			out[i+j] = b ^ pad[j]
		}
		copy(last, piece)
	}
	return out, nil
}

// inflated unpacks what was packed before it was encrypted, up to the size that the manifest tells.
func (s *sealing) inflated(in []byte) ([]byte, error) {
	if s.size > maxOpened {
		return nil, rebuild.Refuse("limit.expansion", "", fmt.Sprintf("%d bytes", s.size))
	}
	b, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(in)), s.size+1))
	if err != nil || int64(len(b)) != s.size {
		return nil, brokenODF("size of a member")
	}
	return b, nil
}
