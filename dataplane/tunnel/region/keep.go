package region

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/sekisho/sekisho/dataplane/durable"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
)

const (
	planFile = "plan.json"
	pskFile  = "preshared.json"
)

// keepPlan writes the plan for the next start.
func keepPlan(dir string, p plan.Plan) error {
	b, err := p.Encode()
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = durable.Replace(filepath.Join(dir, planFile), b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep the plan: %w", err)
	}
	return nil
}

// loadPlan reads the plan that was kept; a damaged one is as good as none, the gate sends it again.
func loadPlan(dir string, log *slog.Logger) *plan.Plan {
	b, err := os.ReadFile(filepath.Join(dir, planFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var p plan.Plan
	if err == nil {
		p, err = plan.Decode(b)
	}
	if err != nil {
		log.Warn("the plan that was kept is not used; the gate will send it again", "error", err)
		return nil
	}
	return &p
}

// kept is a pre-shared key that the gate has given, by its device.
type kept struct {
	ID   uint64 `json:"id"`
	Key  []byte `json:"key"`
	Gate string `json:"gate,omitempty"` // public key of the gate that gave it
	File string `json:"file,omitempty"` // digest of the key in the operator's file at that time
}

func loadPsks(dir string, log *slog.Logger) map[string]kept {
	out := map[string]kept{}
	b, err := os.ReadFile(filepath.Join(dir, pskFile))
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Error("pre-shared keys that were kept cannot be read; a tunnel with one stays down until the gate's is reset", "error", err)
		out = map[string]kept{}
	}
	return out
}

// rotate keeps a pre-shared key and then uses it, so that a loss of power leaves no end with a key that it forgot.
func (f *far) rotate(e *end, id uint64, key [32]byte) error {
	if f.psks[e.Gate.Device].ID == id {
		return nil // come twice
	}
	if err := f.keepPsk(e, id, key); err != nil {
		return err
	}
	return f.configure(e)
}

func (f *far) keepPsk(e *end, id uint64, key [32]byte) error {
	own, err := e.filePsk()
	file := digest(own)
	if errors.Is(err, fs.ErrNotExist) {
		file = f.psks[e.Gate.Device].File // it says no more than before
	} else if err != nil {
		return err
	}
	next := map[string]kept{}
	for d, k := range f.psks {
		next[d] = k
	}
	next[e.Gate.Device] = kept{id, key[:], e.Gate.PublicKey, file}
	b, err := json.Marshal(next)
	if err == nil {
		err = os.MkdirAll(f.file.State, 0o700)
	}
	if err == nil {
		err = durable.Replace(filepath.Join(f.file.State, pskFile), b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep the pre-shared key: %w", err)
	}
	f.psks = next
	return nil
}

// preshared is the pre-shared key that the gate gave last, or the one of the file; zeros: none. The file counts once the operator
// has entered another key or another gate since: what a gate gave that was replaced would keep the tunnel down for ever.
func (f *far) preshared(e *end) (wgtypes.Key, error) {
	own, err := e.filePsk()
	k, ok := f.psks[e.Gate.Device]
	if ok && k.Gate == e.Gate.PublicKey && (k.File == digest(own) || errors.Is(err, fs.ErrNotExist)) {
		return wgtypes.NewKey(k.Key)
	}
	if ok && err == nil {
		next := maps.Clone(f.psks)
		delete(next, e.Gate.Device) // the gate is not told of it any more
		f.psks = next
		f.log.Info("the pre-shared key of the file is used: it or the gate is another than when the gate gave one", "device", e.Name)
	}
	return own, err
}

// digest names a key without showing it.
func digest(k wgtypes.Key) string {
	sum := sha256.Sum256(append([]byte("sekisho file psk "), k[:]...))
	return hex.EncodeToString(sum[:])
}

// filePsk is the pre-shared key that the operator has entered; zeros: none.
func (e *end) filePsk() (wgtypes.Key, error) {
	if e.Gate.Preshared == "" {
		return wgtypes.Key{}, nil
	}
	b, err := os.ReadFile(e.Gate.Preshared)
	if err != nil {
		return wgtypes.Key{}, fmt.Errorf("pre-shared key of device %s: %w", e.Name, err)
	}
	k, err := wgtypes.ParseKey(strings.TrimSpace(string(b)))
	if err != nil {
		return k, fmt.Errorf("pre-shared key %s of device %s: %w", e.Gate.Preshared, e.Name, err)
	}
	return k, nil
}
