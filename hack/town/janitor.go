package town

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// Janitor is a small process beside the one that owns a town. It holds the other end of a pipe: when the owner is gone for
// whatever reason (kill -9, a panic, a closed terminal) the pipe ends, and the janitor takes the town down.
type Janitor struct {
	pipe *os.File
	cmd  *exec.Cmd
}

const dismissed = "keep"

// hireJanitor starts `lab janitor` in a session of its own. lab is the path of the lab program.
func hireJanitor(n Name, lab string) (*Janitor, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("lab %s: janitor: %w", n, err)
	}
	defer r.Close()
	cmd := exec.Command(lab, "janitor", "--name", string(n))
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, fmt.Errorf("lab %s: janitor: %w", n, err)
	}
	return &Janitor{pipe: w, cmd: cmd}, nil
}

// Dismiss ends the janitor without cleaning: the town stays, or is down already.
func (j *Janitor) Dismiss() error {
	_, err := j.pipe.WriteString(dismissed)
	return errors.Join(err, j.pipe.Close(), j.cmd.Wait())
}

// RunJanitor is the janitor's whole life.
func RunJanitor(n Name, owner io.Reader) error {
	word, err := io.ReadAll(owner)
	if err == nil && string(word) == dismissed {
		return nil
	}
	return Down(n)
}
