package antivirus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// Command starts clamd in a place of its own (bubblewrap): no network, no processes but its own, no files but its programs, its
// signatures, and the two directories that it writes to. Run it as User, never as root. It ends when its parent does.
func (s Settings) Command() []string {
	run := filepath.Dir(s.Socket)
	return []string{"bwrap", "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--cap-drop", "ALL", "--clearenv",
		"--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
		"--ro-bind-try", "/etc/localtime", "/etc/localtime", // in which it tells when its signatures were made
		"--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp",
		"--ro-bind", s.File, s.File, "--ro-bind", s.Signatures, s.Signatures, "--bind", run, run, "--bind", s.Temporary, s.Temporary,
		"--remount-ro", "/", "--chdir", "/", "--", "/usr/sbin/clamd", "--config-file", s.File}
}

// Run runs clamd until ctx ends. Who reads strangers' files is never root.
func (s Settings) Run(ctx context.Context, log io.Writer) error {
	if os.Geteuid() == 0 {
		return errors.New("clamd does not run as root: start it as user " + User)
	}
	runtime.LockOSThread() // clamd ends with the thread that started it
	defer runtime.UnlockOSThread()
	command := append([]string{"nice", "-n", "10"}, s.Command()...) // packets and tunnels come first
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); ctx.Err() == nil {
		return fmt.Errorf("clamd ended: %w", err)
	}
	return nil
}
