package tunnel

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// ImportPreshared keeps a pre-shared key (base64) that was agreed on elsewhere. The Set takes it with the next Apply. While a
// rotation is under way it is refused: the end of that would write over it. The caller knows that there is such a peer.
func ImportPreshared(v Vault, peer, text string) error {
	key, err := parsePreshared(text)
	if err == nil && key == noKey {
		err = errors.New("nothing was given: want 32 bytes in base64, as `wg genpsk` makes them")
	}
	if err != nil {
		return fmt.Errorf("pre-shared key of %s: %w", peer, err)
	}
	return alone(v, peer, func() error {
		if k, err := loadPreshared(v, peer); err == nil && k.Next != noKey { // a damaged one is what an import mends
			return pending(peer)
		}
		return preshared{Key: key, Since: time.Now()}.keep(v, peer)
	})
}

// ExportPreshared gives the pre-shared key of a peer, to be entered at the other side. When there is none, one is made and kept, if
// fresh allows it: the next Apply takes it, and a peer that is up without one goes down with it. For the console of the box only.
func ExportPreshared(v Vault, peer string, fresh bool) (text string, err error) {
	err = alone(v, peer, func() error {
		k, err := loadPreshared(v, peer)
		switch {
		case err != nil:
			return err
		case k.Next != noKey:
			return pending(peer)
		case k.Key == noKey && !fresh:
			return fmt.Errorf("pre-shared key of %s: there is none, and the tunnel is up without: make one with `wg genpsk`, import it here, enter it there, and commit", peer)
		case k.Key == noKey:
			if k.Key, err = wgtypes.GenerateKey(); err != nil {
				return fmt.Errorf("make a pre-shared key for %s: %w", peer, err)
			}
			k.Since = time.Now()
			if err := k.keep(v, peer); err != nil {
				return err
			}
		}
		text = k.Key.String()
		return nil
	})
	return text, err
}

func pending(peer string) error {
	return fmt.Errorf("pre-shared key of %s: it is being rotated: wait until `sekisho tunnel status` says that it is not any more", peer)
}

// alone does something to a peer's keys while no other process does: what one reads must be what it writes over. It does not wait,
// since whoever holds the keys may have been stopped.
func alone(v Vault, peer string, do func() error) error {
	l, ok := v.(interface{ lock() (*os.File, error) })
	if !ok {
		return do()
	}
	f, err := l.lock()
	if err != nil {
		return fmt.Errorf("pre-shared key of %s: another process is at the keys: try again: %w", peer, err)
	}
	defer f.Close() // unlocks
	return do()
}

func (f folder) lock() (*os.File, error) {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return nil, err
	}
	l, err := os.OpenFile(f.Where("preshared.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(l.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// KeyFolder is the vault of files in a directory.
func KeyFolder(dir string) Vault { return folder(dir) }
