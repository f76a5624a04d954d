package region

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
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
	ID  uint64 `json:"id"`
	Key []byte `json:"key"`
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
	next := map[string]kept{}
	for d, k := range f.psks {
		next[d] = k
	}
	next[e.Gate.Device] = kept{id, key[:]}
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
	return f.configure(e)
}

// preshared is the pre-shared key that the gate gave last, or the one of the file; zeros: none.
func (f *far) preshared(e *end) (wgtypes.Key, error) {
	if k, ok := f.psks[e.Gate.Device]; ok {
		return wgtypes.NewKey(k.Key)
	}
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
