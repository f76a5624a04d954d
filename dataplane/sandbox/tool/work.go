package tool

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Tree is where hack/runtime puts the programs of Debian 13 with all that they need.
const Tree = "/usr/lib/sekisho/runtime"

// Work is the directory of a need inside its sandbox, below the one that is writable there anyway.
const Work = "/tmp/job"

// work is one need on its way.
type work struct {
	ctx  context.Context
	need verdict.Need
	dir  string // as we see it
	at   string // as the program sees it
	tree string // root of the programs; empty: the root that we have
}

// path is where the program finds a file of the directory.
func (w *work) path(name string) string { return filepath.Join(w.at, name) }

func (w *work) write(name string, b []byte) error {
	return os.WriteFile(filepath.Join(w.dir, name), b, 0o600)
}

// read gives a file that a program made. One that is not there is its failure; said is what it had to say.
func (w *work) read(name, said string) ([]byte, error) {
	path := filepath.Join(w.dir, name)
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, failed("%s", said)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, failed("it made no file")
	case info.Size() > MaxAnswer:
		return nil, &failure{TooLarge, ""}
	}
	return os.ReadFile(path)
}

// maxSaid bounds what is kept of what a program says.
const maxSaid = 4 << 10

// exec runs a program to its end and tells what it said and its status. Only a program that could not be started is an error.
func (w *work) exec(program string, args ...string) (said string, status int, err error) {
	return w.execTo(nil, program, args...)
}

// execTo is exec with a file for the standard output.
func (w *work) execTo(to *os.File, program string, args ...string) (said string, status int, err error) {
	cmd := w.command(program, args)
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	if to != nil {
		cmd.Stdout = to
	}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			return "", 0, &failure{Absent, program}
		}
		return "", 0, err
	}
	cmd.Wait() // how it ended proves nothing; what it made does
	if w.ctx.Err() != nil {
		return "", 0, &failure{Late, program}
	}
	return out.text(), cmd.ProcessState.ExitCode(), nil
}

func (w *work) command(program string, args []string) *exec.Cmd {
	env := []string{"PATH=/usr/bin", "HOME=" + w.at, "TMPDIR=" + w.at, "LANG=C.UTF-8", "SAL_USE_VCLPLUGIN=svp", "SEKISHO_WORK=" + w.at}
	if !filepath.IsAbs(program) {
		program = filepath.Join("/usr/bin", program)
	}
	argv := append([]string{program}, args...)
	if w.tree != "" {
		argv = append([]string{"bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", w.tree, "/", "--tmpfs", "/tmp",
			"--bind", w.dir, w.at, "--proc", "/proc", "--dev", "/dev", "--chdir", w.at, "--"}, argv...)
	}
	cmd := exec.CommandContext(w.ctx, argv[0], argv[1:]...)
	cmd.Env = env
	cmd.Dir = w.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // what it started may hold its output open
	return cmd
}

// tail keeps the last of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p[max(0, len(p)-maxSaid):]...)
	t.b = t.b[max(0, len(t.b)-maxSaid):]
	return len(p), nil
}

func (t *tail) text() string { return string(bytes.ToValidUTF8(bytes.TrimSpace(t.b), []byte("?"))) }
