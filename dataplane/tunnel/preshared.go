package tunnel

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/sekisho/sekisho/dataplane/tunnel/talk"
)

// preshared is a peer's pre-shared keys as they are kept: the one in force, and the one that the far end is being told of. The
// next is kept before it is told, and becomes the one in force when the far end says that it is: whichever side loses power at
// whichever moment, the gate has what the far end has.
type preshared struct {
	Key   wgtypes.Key // zeros: none
	Next  wgtypes.Key
	Since time.Time // Key is in force

	trying bool      // Next is: with Key, no handshake comes about
	tried  time.Time // since when the one or the other is
	unread error     // why they could not be read: the peer is left out, since without its key it would be less than was agreed on
}

// presharedFile is preshared on the disk.
type presharedFile struct {
	Key   string    `json:"key,omitempty"` // base64
	Next  string    `json:"next,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

var noKey wgtypes.Key

// keyID names a pre-shared key to the far end without telling it to anybody; 0: none.
func keyID(k wgtypes.Key) uint64 {
	if k == noKey {
		return 0
	}
	sum := sha256.Sum256(append([]byte("sekisho psk "), k[:]...))
	return max(binary.BigEndian.Uint64(sum[:]), 1)
}

// inUse is the key that handshakes are made with.
func (p *preshared) inUse() wgtypes.Key {
	if p.trying {
		return p.Next
	}
	return p.Key
}

// offer is what the far end shall be told; nil: nothing.
func (p *preshared) offer() *talk.Psk {
	if p == nil || p.Next == noKey {
		return nil
	}
	return &talk.Psk{ID: keyID(p.Next), Key: p.Next}
}

func presharedName(peer string) string { return "preshared-" + peer + ".json" }

// loadPreshared reads a peer's keys; none are kept: none.
func loadPreshared(v Vault, peer string) (p preshared, err error) {
	name := presharedName(peer)
	b, err := v.Load(name)
	if errors.Is(err, fs.ErrNotExist) {
		return preshared{}, nil
	}
	var f presharedFile
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	if err == nil {
		p.Since = f.Since
		p.Key, err = parsePreshared(f.Key)
	}
	if err == nil {
		p.Next, err = parsePreshared(f.Next)
	}
	if err != nil {
		return preshared{}, fmt.Errorf("pre-shared key of %s: %s: %w; import it again on both sides", peer, v.Where(name), err)
	}
	return p, nil
}

func (p preshared) keep(v Vault, peer string) error {
	f := presharedFile{Since: p.Since}
	if p.Key != noKey {
		f.Key = p.Key.String()
	}
	if p.Next != noKey {
		f.Next = p.Next.String()
	}
	b, err := json.Marshal(f)
	if err == nil {
		err = v.Keep(presharedName(peer), b)
	}
	if err != nil {
		return fmt.Errorf("keep the pre-shared key of %s: %w", peer, err)
	}
	return nil
}

// parsePreshared reads base64; its errors never show what it read.
func parsePreshared(s string) (wgtypes.Key, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return noKey, nil
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != wgtypes.KeyLen {
		return noKey, errors.New("no pre-shared key: want 32 bytes in base64, as `wg genpsk` makes them")
	}
	return wgtypes.Key(b), nil
}
