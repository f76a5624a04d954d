package release

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/place"
)

const keyFile = "approval.key"

// signingKey reads the key that approvals are signed with, base64 of its seed, or makes it.
func signingKey(path string) (ed25519.PrivateKey, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("make %s: %w", path, err)
		}
		if err := replaceFile(path, []byte(base64.StdEncoding.EncodeToString(key.Seed())+"\n"), false); err != nil {
			return nil, fmt.Errorf("make %s: %w", path, err)
		}
		return key, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	seed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("read %s: want one base64 line of %d bytes", path, ed25519.SeedSize)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// Prepare makes, as root, what the daemon needs before its first start: state and socket directory, signing key, and the
// root-owned copy of its public half. Running it again changes nothing.
func Prepare(i place.Instance) error {
	u, err := user.Lookup(place.ReleaseUser)
	if err != nil {
		return fmt.Errorf("prepare release: %w", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("prepare release: %w", err)
	}
	for _, d := range []struct {
		path     string
		mode     os.FileMode
		uid, gid int
	}{
		{i.Etc(), 0o755, 0, 0},
		{i.State(), 0o711, 0, 0},
		{i.Run(), 0o711, 0, 0},
		{i.StateOf("release"), 0o700, uid, gid},
		{filepath.Dir(i.ReleaseSocket()), 0o711, uid, gid},
	} {
		_, statErr := os.Stat(d.path)
		if err := os.MkdirAll(d.path, d.mode); err != nil {
			return fmt.Errorf("prepare release: %w", err)
		}
		if d.uid == 0 && statErr == nil {
			continue // a directory that others share and root has set up already
		}
		if err := errors.Join(os.Chmod(d.path, d.mode), os.Chown(d.path, d.uid, d.gid)); err != nil {
			return fmt.Errorf("prepare release: %w", err)
		}
	}
	var key ed25519.PrivateKey
	if err := asUser(uid, gid, func() (err error) {
		key, err = signingKey(filepath.Join(i.StateOf("release"), keyFile))
		return err
	}); err != nil {
		return fmt.Errorf("prepare release: %w", err)
	}
	pub := []byte(base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)) + "\n")
	if err := replaceFile(i.ReleaseKey(), pub, false); err != nil {
		return fmt.Errorf("prepare release: %w", err)
	}
	if err := os.Chmod(i.ReleaseKey(), 0o644); err != nil {
		return fmt.Errorf("prepare release: %w", err)
	}
	return nil
}

// asUser runs f with the file rights of a user: root never follows what that user may have laid in its own directory.
func asUser(uid, gid int, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := errors.Join(unix.Setfsgid(gid), unix.Setfsuid(uid)); err != nil {
		return err
	}
	return errors.Join(f(), unix.Setfsuid(0), unix.Setfsgid(0))
}
