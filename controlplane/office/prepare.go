package office

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"github.com/sekisho/sekisho/dataplane/place"
)

// Prepare makes the directory of control's sockets, which is gone after every reboot, with its owner and mode, and that of its
// state, if init has not done so. Only root may; doing it again changes nothing.
func Prepare(i place.Instance) error {
	u, err := user.Lookup(place.ControlUser)
	if err != nil {
		return fmt.Errorf("prepare control: %w; hack/bootstrap adds the gate's users", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("prepare control: %w", err)
	}
	for _, path := range []string{i.State(), i.Run()} { // shared by all daemons; the first to come makes them
		_, missing := os.Lstat(path)
		err := os.MkdirAll(path, 0o711)
		if err == nil && missing != nil {
			err = os.Chmod(path, 0o711) // whatever the umask
		}
		if err != nil {
			return fmt.Errorf("prepare control: %w", err)
		}
	}
	for _, d := range []struct {
		path string
		mode os.FileMode
	}{{i.StateOf("control"), 0o700}, {filepath.Dir(i.AdminSocket()), 0o711}} {
		if err := os.Mkdir(d.path, d.mode); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("prepare control: %w", err)
		}
		// The parents belong to root, so neither name can be a link that somebody else has laid.
		if err := errors.Join(os.Lchown(d.path, uid, gid), os.Chmod(d.path, d.mode)); err != nil {
			return fmt.Errorf("prepare control: %w", err)
		}
	}
	return nil
}
