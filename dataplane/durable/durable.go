// Package durable writes files that survive a loss of power: whole or not at all.
//
// Problem: a rename is atomic for readers, yet after a crash the name may point to an empty file, or to none. Mechanism: the
// bytes are synced under another name, then renamed, then the directory is synced. Invariant: when Replace returns nil, the
// new content is on the disk under its name; when it fails or the machine dies in it, the old content still is.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace makes b the content of path, with exactly that mode. It uses path + ".new" on the way.
func Replace(path string, b []byte, mode os.FileMode) error {
	stage := path + ".new"
	if err := Write(stage, b, mode); err != nil {
		return err
	}
	return Rename(stage, path)
}

// Write makes a new file with exactly that mode and syncs it; a leftover of the same name is removed first, never followed.
func Write(path string, b []byte, mode os.FileMode) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// Rename puts a synced file in place and syncs the directory; both names lie in the same one.
func Rename(stage, path string) error {
	if err := os.Rename(stage, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir brings the names in a directory to the disk.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
