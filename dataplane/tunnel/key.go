package tunnel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/sekisho/sekisho/dataplane/durable"
)

// loadKey reads the private key of a device from dir, or makes and keeps one (mode 0600, file and directory synced before
// it is used, so that a key that a region was told of is never lost to a power failure).
func loadKey(dir, device string) (wgtypes.Key, error) {
	path := filepath.Join(dir, "wireguard-"+device+".key")
	b, err := os.ReadFile(path)
	if err == nil {
		key, err := wgtypes.ParseKey(strings.TrimSpace(string(b)))
		if err != nil {
			return wgtypes.Key{}, fmt.Errorf("tunnel key %s: %w; restore it from a backup, or remove it and tell the regions the new public key", path, err)
		}
		return key, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return wgtypes.Key{}, fmt.Errorf("tunnel key: %w", err)
	}
	key, err := wgtypes.GeneratePrivateKey()
	if err != nil {
		return wgtypes.Key{}, fmt.Errorf("make tunnel key for %s: %w", device, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return wgtypes.Key{}, fmt.Errorf("keep tunnel key for %s: %w", device, err)
	}
	if err := durable.Replace(path, []byte(key.String()+"\n"), 0o600); err != nil {
		return wgtypes.Key{}, fmt.Errorf("keep tunnel key for %s: %w", device, err)
	}
	return key, nil
}
