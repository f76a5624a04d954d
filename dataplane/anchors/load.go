package anchors

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/goccy/go-yaml"
)

// maxBytes bounds the file; a designated city needs about a tenth.
const maxBytes = 4 << 20

// Option changes how Load trusts a file.
type Option func(*options)

type options struct{ anyOwner bool }

// AnyOwner lets Load read a file that others than root could have written. For tests and for looking at drafts; never in a
// daemon.
func AnyOwner() Option { return func(o *options) { o.anyOwner = true } }

// Load reads and checks the file. It refuses a file, or a file in a directory, that anybody but root could change; a
// symbolic link; an unknown key; and everything that Validate refuses.
func Load(path string, opts ...Option) (*Anchors, error) {
	a, _, err := Read(path, opts...)
	return a, err
}

// Read is Load, and gives the file's text, too.
func Read(path string, opts ...Option) (*Anchors, []byte, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("anchors: %w", err)
	}
	defer f.Close()
	if !o.anyOwner {
		if err := rootOnly(f, path); err != nil {
			return nil, nil, err
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, nil, fmt.Errorf("anchors: read %s: %w", path, err)
	}
	if len(b) > maxBytes {
		return nil, nil, fmt.Errorf("anchors: %s has more than %d bytes", path, maxBytes)
	}
	a, err := Parse(b)
	if err != nil {
		return nil, nil, fmt.Errorf("anchors: %s: %w", path, err)
	}
	return a, b, nil
}

// Parse decodes and checks the text of an anchors file.
func Parse(b []byte) (*Anchors, error) {
	d := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict())
	var a Anchors
	if err := d.Decode(&a); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the file is empty")
		}
		return nil, err
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one document in the file")
	}
	if err := a.Validate(); err != nil {
		return nil, err
	}
	return &a, nil
}

// YAML writes the file's text.
func (a *Anchors) YAML() ([]byte, error) {
	b, err := yaml.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("anchors: %w", err)
	}
	return b, nil
}

// rootOnly refuses a file that somebody but root could change, or replace through its directory.
func rootOnly(f *os.File, path string) error {
	fi, err := f.Stat()
	if err != nil {
		return fmt.Errorf("anchors: %w", err)
	}
	if !fi.Mode().IsRegular() {
		return fmt.Errorf("anchors: %s is not a regular file", path)
	}
	if err := ownedByRoot(fi, path); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	di, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("anchors: %w", err)
	}
	return ownedByRoot(di, dir)
}

func ownedByRoot(fi os.FileInfo, path string) error {
	st, ok := fi.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return fmt.Errorf("anchors: cannot tell who owns %s", path)
	case st.Uid != 0:
		return fmt.Errorf("anchors: %s belongs to user %d: only root may own it (chown root %s)", path, st.Uid, path)
	case fi.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("anchors: %s has mode %04o: only root may write it (chmod go-w %s)", path, fi.Mode().Perm(), path)
	}
	return nil
}
