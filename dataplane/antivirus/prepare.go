package antivirus

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"github.com/sekisho/sekisho/dataplane/durable"
	"github.com/sekisho/sekisho/dataplane/place"
)

// At are the settings of an instance's clamd, whose broker may connect to it.
func At(i place.Instance) Settings {
	return Settings{File: i.ClamdConf(), Socket: i.ClamdSocket(), Signatures: i.Signatures(), Temporary: i.Unpacked(), Shared: true}
}

// Prepare makes, as root, what clamd needs before each start: its configuration and its directories. The socket's directory is open
// to the group with the number broker alone, the signatures to whoever may bring them as clamd's user. Running it again changes
// nothing.
func Prepare(i place.Instance, broker int) error {
	u, err := user.Lookup(User)
	if err != nil {
		return fmt.Errorf("prepare clamd: %w; install Debian's clamav-daemon", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("prepare clamd: %w", err)
	}
	s := At(i)
	for _, dir := range []struct {
		path     string
		uid, gid int
		mode     os.FileMode
	}{
		{filepath.Dir(s.Signatures), 0, 0, 0o711},
		{s.Signatures, uid, gid, 0o755},
		{s.Temporary, uid, gid, 0o700},
		{filepath.Dir(s.Socket), uid, broker, os.ModeSetgid | 0o750},
	} {
		if err := os.MkdirAll(dir.path, 0o711); err != nil {
			return fmt.Errorf("prepare clamd: %w", err)
		}
		if err := errors.Join(os.Chown(dir.path, dir.uid, dir.gid), os.Chmod(dir.path, dir.mode)); err != nil { // chown takes the bit away
			return fmt.Errorf("prepare clamd: %w", err)
		}
	}
	text := s.Configuration()
	if b, err := os.ReadFile(s.File); err == nil && string(b) == text {
		return nil
	}
	if err := durable.Replace(s.File, []byte(text), 0o644); err != nil {
		return fmt.Errorf("prepare clamd: %w", err)
	}
	return nil
}
