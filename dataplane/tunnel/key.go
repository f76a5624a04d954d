package tunnel

import (
	"fmt"
	"strings"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// loadKey reads the private key of a device, or makes and keeps one before it is used, so that a key that a region was told of
// is never lost to a power failure.
func loadKey(v Vault, device string) (key wgtypes.Key, err error) {
	name := "wireguard-" + device + ".key"
	err = loadSecret(v, name, func(b []byte) error {
		key, err = wgtypes.ParseKey(strings.TrimSpace(string(b)))
		if err != nil {
			return fmt.Errorf("%s: %w; restore it from a backup, or remove it and tell the regions the new public key", v.Where(name), err)
		}
		return nil
	}, func() ([]byte, error) {
		key, err := wgtypes.GeneratePrivateKey()
		return []byte(key.String() + "\n"), err
	})
	if err != nil {
		return wgtypes.Key{}, fmt.Errorf("tunnel key of %s: %w", device, err)
	}
	return key, nil
}
