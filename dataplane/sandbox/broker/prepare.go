package broker

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

	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/durable"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/sandbox"
)

// KeyPath is where the broker keeps its signing key.
func KeyPath(i place.Instance) string { return filepath.Join(i.StateOf("broker"), "verifier.key") }

// LoadKey reads the signing key, base64 of its seed.
func LoadKey(i place.Instance) (ed25519.PrivateKey, error) {
	b, err := os.ReadFile(KeyPath(i))
	if err != nil {
		return nil, fmt.Errorf("read the verifier's key (`sekisho-broker prepare` makes it): %w", err)
	}
	seed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("read %s: want one base64 line of %d bytes", KeyPath(i), ed25519.SeedSize)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// Prepare makes, as root, what the broker needs before each start: directories, its key, the root-owned copy of the public half
// that release trusts, what clamd runs with, and its control group, whose path is answered. Running it again changes nothing.
func Prepare(i place.Instance) (group string, err error) { return PrepareFor(i, Parallel) }

// Parallel is how many files are worked on at once when nobody says otherwise.
const Parallel = 2

// PrepareFor is Prepare with memory for so many files at once.
func PrepareFor(i place.Instance, parallel int) (group string, err error) {
	u, err := user.Lookup(place.BrokerUser)
	if err != nil {
		return "", fmt.Errorf("prepare the broker: %w", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return "", fmt.Errorf("prepare the broker: %w", err)
	}
	if err := directories(i, uid, gid); err != nil {
		return "", fmt.Errorf("prepare the broker: %w", err)
	}
	if err := antivirus.Prepare(i, gid); err != nil {
		return "", fmt.Errorf("prepare the broker: %w", err)
	}
	var pub ed25519.PublicKey
	if err := asUser(uid, gid, func() error {
		pub, err = makeKey(i)
		return err
	}); err != nil {
		return "", fmt.Errorf("prepare the broker: %w", err)
	}
	if err := publish(i.VerifierKey(), pub); err != nil {
		return "", fmt.Errorf("prepare the broker: %w", err)
	}
	total, err := sandbox.Total(parallel)
	if err != nil {
		return "", fmt.Errorf("prepare the broker: %w", err)
	}
	if group, err = sandbox.Delegate(string(i), uid, gid, total); err != nil {
		return "", err
	}
	c, err := user.Lookup(place.ClamdUser)
	if err != nil {
		return "", fmt.Errorf("prepare the broker: %w", err)
	}
	cuid, err1 := strconv.Atoi(c.Uid)
	cgid, err2 := strconv.Atoi(c.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return "", fmt.Errorf("prepare the broker: %w", err)
	}
	return group, sandbox.DelegateScanner(string(i), cuid, cgid, sandbox.ScannerMemory)
}

func directories(i place.Instance, uid, gid int) error {
	for _, dir := range []struct {
		path string
		mode os.FileMode
	}{{i.Etc(), 0o755}, {i.State(), 0o711}, {i.Run(), 0o711}} {
		if err := os.MkdirAll(dir.path, dir.mode); err != nil {
			return err
		}
	}
	for _, dir := range []struct {
		path string
		mode os.FileMode
	}{{i.StateOf("broker"), 0o700}, {filepath.Dir(i.BrokerSocket()), 0o711}} {
		if err := os.MkdirAll(dir.path, dir.mode); err != nil {
			return err
		}
		if err := errors.Join(os.Chmod(dir.path, dir.mode), os.Chown(dir.path, uid, gid)); err != nil {
			return err
		}
	}
	return nil
}

func makeKey(i place.Instance) (ed25519.PublicKey, error) {
	key, err := LoadKey(i)
	if errors.Is(err, fs.ErrNotExist) {
		if _, key, err = ed25519.GenerateKey(rand.Reader); err != nil {
			return nil, err
		}
		err = durable.Replace(KeyPath(i), []byte(base64.StdEncoding.EncodeToString(key.Seed())+"\n"), 0o600)
	}
	if err != nil {
		return nil, err
	}
	return key.Public().(ed25519.PublicKey), nil
}

// publish writes the public half, readable by all and writable by root.
func publish(path string, pub ed25519.PublicKey) error {
	line := base64.StdEncoding.EncodeToString(pub) + "\n"
	if b, err := os.ReadFile(path); err == nil && string(b) == line {
		return nil
	}
	return durable.Replace(path, []byte(line), 0o644)
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
