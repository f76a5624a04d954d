// Package sandbox runs one program on one file, where it can do no harm, under a budget.
//
// Problem: what parses a stranger's file will one day be taken over by it, or be driven out of memory, or never end.
// Mechanism: bubblewrap gives the program new namespaces (no network, no processes but itself, a read-only root that holds the
// program's own file and nothing else, uid nobody, no environment); a seccomp filter leaves a static Go program the calls it
// needs and kills it for any other; a control group bounds memory and tasks, resource limits bound CPU time and files; the
// caller bounds wall time and output. Bytes go in by standard input and come out by standard output, and that is all.
//
// Life cycle: a sandbox is made for one job and destroyed with all its processes when Run returns. The program starts only
// after it has been put into its control group.
//
// Invariant (F4): whatever goes wrong, crash, time, memory, output, garbage, a missing control group, is an error, and its
// text is bounded and escaped because it may hold the attacker's words. There is no way in which an error looks like a result.
package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Budget is what one job may use.
type Budget struct {
	Time   time.Duration // wall clock
	CPU    time.Duration // over all threads, counted in whole seconds
	Memory int64         // bytes, counted by the control group
	Output int64         // bytes on standard output
	Tasks  int           // threads and, where there is a tree, processes
}

// Job is one run of a program.
type Job struct {
	Binary string // absolute path; a static program
	Tree   string // what it sees as its root beside itself, read-only; empty: nothing. With one it may start other programs
	Args   []string
	Stdin  io.Reader
	Budget Budget
	// Front reads what comes before the output proper, while it comes; its error ends the job and is what Run answers.
	Front func(*bufio.Reader) error
}

// Box says how sandboxes are made here.
type Box struct {
	// Group bounds memory. Without one a box refuses to run, unless DataLimit says otherwise.
	Group *Group
	// DataLimit bounds memory by RLIMIT_DATA when there is no control group: for an operator's own command line where
	// nothing was delegated. It counts a little less than a control group does (no stacks of threads, no page cache).
	DataLimit bool
	// Credential is the user that bubblewrap runs as; nil keeps the caller's. Set by a caller that is root.
	Credential *syscall.Credential
}

// Kind of a failure, a key of the message catalogue.
type Kind string

const (
	Start  Kind = "sandbox.start"  // could not be made; nothing ran
	Time   Kind = "sandbox.time"   // wall clock or CPU time
	Memory Kind = "sandbox.memory" // over the memory limit
	Output Kind = "sandbox.output" // too much output
	Crash  Kind = "sandbox.crash"  // ended by a signal or with a status
	Answer Kind = "sandbox.answer" // its output was not what was agreed
	Many   Kind = "helper.many"    // a worker asked for more than a file may need
)

// Failure is why a job has no result. Detail is bounded and printable.
type Failure struct {
	Kind   Kind
	Detail string
}

func (f *Failure) Error() string { return string(f.Kind) + ": " + f.Detail }

func fail(k Kind, format string, args ...any) *Failure {
	return &Failure{Kind: k, Detail: escape(fmt.Sprintf(format, args...), 400)}
}

// escape makes text from inside a sandbox fit to be logged and shown: printable, one line, at most max characters.
func escape(s string, max int) string {
	var out []rune
	for _, r := range s {
		if len(out) >= max {
			return string(out) + "…"
		}
		if strconv.IsPrint(r) && r != '\ufffd' {
			out = append(out, r)
		} else {
			q := strconv.QuoteRuneToASCII(r)
			out = append(out, []rune(q[1:len(q)-1])...)
		}
	}
	return string(out)
}

const maxStderr = 4 << 10

// Run gives what the program wrote when it ended by itself with status 0 within its budget, and a *Failure otherwise.
func (b *Box) Run(ctx context.Context, j Job) (out []byte, err error) {
	if b.Group == nil && !b.DataLimit {
		return nil, fail(Start, "no control group is delegated; run `sekisho-broker prepare` as root first")
	}
	if _, err := os.Stat(j.Binary); err != nil {
		return nil, fail(Start, "%v", err)
	}
	makeFilter := Filter
	if j.Tree != "" {
		makeFilter = ToolFilter
		if _, err := os.Stat(j.Tree); err != nil {
			return nil, fail(Start, "the programs are not installed, hack/runtime does it: %v", err)
		}
	}
	filter, err := makeFilter()
	if err != nil {
		return nil, fail(Start, "seccomp filter: %v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, j.Budget.Time)
	defer cancel()

	cell := (*cell)(nil)
	if b.Group != nil {
		if cell, err = b.Group.cell(j.Budget.Memory, j.Budget.Tasks); err != nil {
			return nil, fail(Start, "%v", err)
		}
		defer cell.remove()
	}
	pipes, err := newPipes()
	if err != nil {
		return nil, fail(Start, "%v", err)
	}
	defer pipes.close()

	// A descriptor that somebody forgot to mark, or that this process was started with, must not be handed in.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return nil, fail(Start, "mark descriptors: %v", err)
	}
	runtime.LockOSThread() // the parent-death signal is tied to the thread that starts the child
	defer runtime.UnlockOSThread()
	cmd := b.command(j)
	cmd.ExtraFiles = []*os.File{pipes.filter.r, pipes.info.w, pipes.gate.r}
	var stderr limited
	stderr.max = maxStderr
	cmd.Stdin, cmd.Stdout, cmd.Stderr = pipes.in.r, pipes.out.w, pipes.err.w
	if err := cmd.Start(); err != nil {
		return nil, fail(Start, "%v", err)
	}
	kill := func() {
		// The group holds bubblewrap; what it started dies with it (--die-with-parent), and the control group holds all.
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			cmd.Process.Kill()
		}
		cell.kill()
	}
	stop := context.AfterFunc(ctx, kill)
	defer stop()
	pipes.closeChildEnds()

	errDone := make(chan struct{})
	go func() { defer close(errDone); io.Copy(&stderr, pipes.err.r) }()
	started := b.admit(pipes, filter, cell)
	if started != nil {
		kill()
	}
	go func() { // ends at the latest when the child does: the pipe breaks
		if started == nil && j.Stdin != nil {
			io.Copy(pipes.in.w, j.Stdin)
		}
		pipes.in.w.Close()
	}()
	bounded := &io.LimitedReader{R: pipes.out.r, N: j.Budget.Output + 1}
	written := bufio.NewReader(bounded)
	var frontErr error
	if j.Front != nil {
		if frontErr = j.Front(written); frontErr != nil {
			kill()
		}
	}
	out, readErr := io.ReadAll(written)
	tooMuch := bounded.N == 0
	if tooMuch {
		kill()
	}
	waitErr := cmd.Wait()
	late := ctx.Err() != nil && !stop()
	cell.kill() // whatever is left
	pipes.err.r.SetReadDeadline(time.Now().Add(time.Second))
	<-errDone

	switch {
	case cell.oom():
		return nil, fail(Memory, "over %d bytes of memory", j.Budget.Memory)
	case late:
		return nil, fail(Time, "not done after %s", j.Budget.Time)
	case tooMuch:
		return nil, fail(Output, "over %d bytes of output", j.Budget.Output)
	case started != nil:
		return nil, fail(Start, "%v; %s", started, stderr.text())
	case frontErr != nil:
		return nil, frontErr
	case waitErr != nil:
		return nil, ended(waitErr, j.Budget, stderr.text())
	case readErr != nil:
		return nil, fail(Crash, "reading its output: %v", readErr)
	}
	return out, nil
}

// admit hands over the filter, learns the child's number, puts it into its control group and only then lets it run.
func (b *Box) admit(p *pipes, filter []byte, c *cell) error {
	if _, err := p.filter.w.Write(filter); err != nil {
		return fmt.Errorf("hand over the seccomp filter: %w", err)
	}
	if err := p.filter.w.Close(); err != nil {
		return fmt.Errorf("hand over the seccomp filter: %w", err)
	}
	var info struct {
		Child int `json:"child-pid"`
	}
	if err := json.NewDecoder(io.LimitReader(p.info.r, 4096)).Decode(&info); err != nil || info.Child <= 1 {
		return fmt.Errorf("bubblewrap did not start: %v", err)
	}
	if c != nil {
		if err := c.add(info.Child); err != nil {
			return err
		}
	}
	if _, err := p.gate.w.Write([]byte{1}); err != nil {
		return fmt.Errorf("let the program run: %w", err)
	}
	return nil
}

// ended tells a CPU limit from any other end.
func ended(err error, b Budget, stderr string) *Failure {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fail(Crash, "%v", err)
	}
	status := exit.ExitCode()
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		status = 128 + int(ws.Signal())
	}
	used := exit.SystemTime() + exit.UserTime()
	if status == 128+int(syscall.SIGXCPU) || status == 128+int(syscall.SIGKILL) && used >= b.CPU*8/10 { // the kernel rounds
		return fail(Time, "over %s of CPU time", b.CPU)
	}
	if status == 128+int(syscall.SIGSYS) {
		return fail(Crash, "killed for a system call that it may not make; %s", stderr)
	}
	return fail(Crash, "ended with status %d; %s", status, stderr)
}

// pipe is both ends of one.
type pipe struct{ r, w *os.File }

type pipes struct{ in, out, err, filter, info, gate pipe }

func newPipes() (*pipes, error) {
	p := &pipes{}
	for _, one := range p.all() {
		var err error
		if one.r, one.w, err = os.Pipe(); err != nil {
			p.close()
			return nil, err
		}
	}
	return p, nil
}

func (p *pipes) all() []*pipe {
	return []*pipe{&p.in, &p.out, &p.err, &p.filter, &p.info, &p.gate}
}

// closeChildEnds closes here what only the child uses, so that an end of the child is seen as an end of the stream.
func (p *pipes) closeChildEnds() {
	for _, f := range []*os.File{p.in.r, p.out.w, p.err.w, p.filter.r, p.info.w, p.gate.r} {
		f.Close()
	}
}

// close closes every end; closing twice is harmless.
func (p *pipes) close() {
	for _, one := range p.all() {
		if one.r != nil {
			one.r.Close()
		}
		if one.w != nil {
			one.w.Close()
		}
	}
}

// limited keeps the first max bytes and swallows the rest.
type limited struct {
	buf bytes.Buffer
	max int
}

func (l *limited) Write(p []byte) (int, error) {
	if room := l.max - l.buf.Len(); room > 0 {
		l.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (l *limited) text() string { return escape(l.buf.String(), 300) }
