package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// prepareGeneration writes the generation beside path, on the disk; the returned function makes it the one that is read back.
func prepareGeneration(path string, g Generation) (commit func() error, err error) {
	b, err := json.Marshal(g)
	if err != nil {
		return nil, fmt.Errorf("keep the generation: %w", err)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("keep the generation: %w", err)
	}
	next := path + ".next"
	f, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keep the generation: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("keep the generation: %w", err)
	}
	return func() error {
		if err := os.Rename(next, path); err != nil {
			return fmt.Errorf("keep the generation: %w", err)
		}
		d, err := os.Open(dir)
		if err != nil {
			return fmt.Errorf("keep the generation: %w", err)
		}
		return errors.Join(d.Sync(), d.Close())
	}, nil
}

// readGeneration reads back the last accepted generation; nil when there is none.
func readGeneration(path string) (*Generation, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the last generation: %w", err)
	}
	var g Generation
	if err := json.Unmarshal(b, &g); err != nil {
		return nil, fmt.Errorf("read the last generation: %s: %w; remove it to start closed", path, err)
	}
	return &g, nil
}

// mountBPF mounts a bpffs on dir unless there is one. Pins survive the daemon, but not the mount namespace it was made in:
// see Outside.
func mountBPF(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("mount bpffs: %w", err)
	}
	if isBPF(dir) {
		return nil
	}
	if err := unix.Mount("bpf", dir, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return fmt.Errorf("mount bpffs on %s: %w", dir, err)
	}
	return nil
}

func isBPF(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Type == unix.BPF_FS_MAGIC
}

func unmountBPF(dir string) error {
	if !isBPF(dir) {
		return nil
	}
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return nil
}
