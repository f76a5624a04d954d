// Package exchange carries public keys between a gate and the far ends of its tunnels.
//
// Problem: a private key is made where it is used and never leaves, so both sides must be told the other's public key; a key that
// is typed from a screen is typed wrong, and one that came by mail may be another's. Mechanism: a small document, a few lines of
// text, also as a QR code that a telephone can photograph; beside it a short fingerprint, which the two people compare by voice.
// What comes in is put into the configuration's text in place of the key that stood there, comments and all. Life cycle: Keys are
// written by one side, read by the other, and put into a configuration once. Invariant: nothing here is secret or trusted: a key
// counts when it is committed, and when root has put it into the anchors.
package exchange

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/sekisho/sekisho/controlplane/config"
)

// Bounds of a document.
const (
	MaxBytes = 8 << 10
	maxKeys  = 64
)

// Keys is the document: the public keys of one side, by tunnel device.
type Keys struct {
	Version int    `yaml:"sekisho-keys"` // 1
	Of      string `yaml:"of"`           // whose: gate or region
	Name    string `yaml:"name"`         // of the gate, or id of the region
	Keys    []Key  `yaml:"keys"`
}

// Key is the public key of one device.
type Key struct {
	Device    string           `yaml:"device"`
	PublicKey config.PublicKey `yaml:"public-key"`
}

// Whose keys a document holds.
const (
	Gate   = "gate"
	Region = "region"
)

// New makes a document of keys by device.
func New(of, name string, byDevice map[string]string) (Keys, error) {
	k := Keys{Version: 1, Of: of, Name: name}
	for device, text := range byDevice {
		var key config.PublicKey
		if err := key.UnmarshalText([]byte(text)); err != nil {
			return k, fmt.Errorf("device %s: %w", device, err)
		}
		k.Keys = append(k.Keys, Key{device, key})
	}
	slices.SortFunc(k.Keys, func(a, b Key) int { return cmp.Compare(a.Device, b.Device) })
	return k, k.check()
}

// Text writes the document.
func (k Keys) Text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Public keys, nothing secret. Compare by voice: %s\nsekisho-keys: 1\nof: %s\nname: %q\nkeys:\n", k.Fingerprint(), k.Of, k.Name)
	for _, x := range k.Keys {
		fmt.Fprintf(&b, "  - {device: %s, public-key: %q}\n", x.Device, x.PublicKey)
	}
	return b.Bytes()
}

// Fingerprint is what two people compare by voice: 80 bits of SHA-256 over the keys.
func (k Keys) Fingerprint() string {
	h := sha256.New()
	for _, x := range k.Keys {
		fmt.Fprintf(h, "%s %s\n", x.Device, x.PublicKey)
	}
	digits := hex.EncodeToString(h.Sum(nil)[:10])
	var groups []string
	for g := range slices.Chunk([]byte(digits), 4) {
		groups = append(groups, string(g))
	}
	return strings.Join(groups, " ")
}

// Parse reads a document, or the plain lines "DEVICE KEY" that `sekisho-dataplane region key` prints, whose name is then empty.
func Parse(doc []byte) (Keys, error) {
	if len(doc) > MaxBytes {
		return Keys{}, fmt.Errorf("public keys: %d bytes, want at most %d", len(doc), MaxBytes)
	}
	var k Keys
	if bytes.Contains(doc, []byte("sekisho-keys:")) {
		if err := yaml.UnmarshalWithOptions(doc, &k, yaml.Strict()); err != nil {
			return Keys{}, fmt.Errorf("public keys: %s", yaml.FormatError(err, false, false))
		}
	} else {
		k = Keys{Version: 1, Of: Region}
		lines := bufio.NewScanner(bytes.NewReader(doc))
		for n := 1; lines.Scan(); n++ {
			f := strings.Fields(lines.Text())
			if len(f) == 0 || f[0][0] == '#' {
				continue
			}
			if len(f) != 2 {
				return Keys{}, fmt.Errorf("public keys, line %d: want a document that begins with sekisho-keys: 1, or lines of a device and its key", n)
			}
			k.Keys = append(k.Keys, Key{f[0], config.PublicKey(f[1])})
		}
	}
	return k, k.check()
}

func (k Keys) check() error {
	var errs []error
	if k.Version != 1 {
		errs = append(errs, fmt.Errorf("version %d: this program reads version 1", k.Version))
	}
	if k.Of != Gate && k.Of != Region {
		errs = append(errs, fmt.Errorf("of: %q: want gate or region", k.Of))
	}
	if len(k.Name) > 200 {
		errs = append(errs, errors.New("the name is longer than 200 bytes"))
	}
	if len(k.Keys) == 0 || len(k.Keys) > maxKeys {
		errs = append(errs, fmt.Errorf("%d keys: want 1 to %d", len(k.Keys), maxKeys))
	}
	for i, x := range k.Keys {
		var key config.PublicKey
		if err := key.UnmarshalText([]byte(x.PublicKey)); err != nil {
			errs = append(errs, fmt.Errorf("device %.32q: %w", x.Device, err))
		}
		if !deviceName(x.Device) || slices.ContainsFunc(k.Keys[:i], func(o Key) bool { return o.Device == x.Device }) {
			errs = append(errs, fmt.Errorf("device %.32q: want a device's name, each once", x.Device))
		}
	}
	if errs != nil {
		return fmt.Errorf("public keys: %w", errors.Join(errs...))
	}
	return nil
}

func deviceName(s string) bool {
	return s != "" && len(s) <= 15 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
