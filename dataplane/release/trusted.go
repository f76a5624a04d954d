package release

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"github.com/goccy/go-yaml"
	"golang.org/x/sys/unix"
)

// maxSetting bounds a root-owned file, in bytes.
const maxSetting = 1 << 20

// readTrusted reads a file that only root can have written: regular, owned by root, not writable by group or others, and so is
// every directory above it (a sticky directory such as /tmp is enough: others can't replace root's entries in it).
func readTrusted(path string) ([]byte, error) {
	bad := func(why string, args ...any) error {
		return refuse(http.StatusServiceUnavailable, CodeSetting, "%s: %s", path, fmt.Sprintf(why, args...))
	}
	if !filepath.IsAbs(path) || filepath.Clean(path) != path {
		return nil, bad("not a clean absolute path")
	}
	if err := trustedAbove(path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, bad("%v", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, bad("%v", err)
	}
	if !info.Mode().IsRegular() || owner(info) != 0 || info.Mode().Perm()&0o022 != 0 {
		return nil, bad("must be a regular file of root that nobody else can write (mode %s, owner %d)", info.Mode(), owner(info))
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSetting+1))
	if err != nil {
		return nil, bad("%v", err)
	}
	if len(b) > maxSetting {
		return nil, bad("over %d bytes", maxSetting)
	}
	return b, nil
}

// trustedAbove wants that every directory above a path, as far as there are any, can only be changed by root.
func trustedAbove(path string) error {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Lstat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist): // and whoever may make it is looked at next
		case err != nil:
			return refuse(http.StatusServiceUnavailable, CodeSetting, "%s: %v", path, err)
		case !info.IsDir() || owner(info) != 0 || info.Mode().Perm()&0o022 != 0 && info.Mode()&os.ModeSticky == 0:
			return refuse(http.StatusServiceUnavailable, CodeSetting, "%s: the directory %s must belong to root and be writable by root alone", path, dir)
		}
		if dir == "/" || dir == "." {
			return nil
		}
	}
}

func owner(info os.FileInfo) uint32 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Uid
	}
	return ^uint32(0)
}

// readStrict reads a root-owned YAML file, and answers its bytes; an unknown key is an error.
func readStrict(path string, v any) ([]byte, error) {
	b, err := readTrusted(path)
	if err != nil {
		return nil, err
	}
	if err := yaml.UnmarshalWithOptions(b, v, yaml.Strict()); err != nil {
		return nil, refuse(http.StatusServiceUnavailable, CodeSetting, "%s: %v", path, err)
	}
	return b, nil
}
