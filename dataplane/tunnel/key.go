package tunnel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
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
	if err := writeSynced(path, []byte(key.String()+"\n")); err != nil {
		return wgtypes.Key{}, fmt.Errorf("keep tunnel key for %s: %w", device, err)
	}
	return key, nil
}

// writeSynced replaces path with b by rename, mode 0600; both the file and its directory are on the disk when it returns.
func writeSynced(path string, b []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // no-op after the rename
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
