package tunnel

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Looks at an engine: soon after it was taken on, when its first handshake is over, and then again and again.
const (
	firstLook = 200 * time.Millisecond
	nextLook  = time.Second
)

// answerTime bounds one question to the engine; one that is silent for longer is ended and replaced.
const answerTime = 5 * time.Second

// embedded supervises one engine process: adopts the one that a former daemon left running, or starts one, keeps it
// configured, and starts the next when it dies.
type embedded struct {
	device string
	path   string // control socket
	user   string // whom the engine runs as
	log    *slog.Logger

	mu   sync.Mutex
	want setup
	link *link // nil while there is no engine
	last engineState
}

// link is the connection to one living engine.
type link struct {
	mu    sync.Mutex // one question at a time
	conn  net.Conn
	in    *bufio.Scanner
	pidfd int
	gone  chan struct{} // closed when the process has ended
	done  chan struct{} // closed by close
}

func newEmbedded(dir, device, user string, log *slog.Logger) *embedded {
	return &embedded{device: device, path: filepath.Join(dir, device+".sock"), user: user, log: log}
}

// supervise runs until ctx ends; the engine goes on after that.
func (e *embedded) supervise(ctx context.Context) {
	const least, most = 100 * time.Millisecond, 5 * time.Second
	pause := least
	for ctx.Err() == nil {
		l, err := e.obtain(ctx)
		if err == nil {
			e.mu.Lock()
			e.link, e.last = l, engineState{}
			err = e.configureLocked()
			e.mu.Unlock()
		}
		if err == nil {
			pause = least
			err = e.watch(ctx, l)
		}
		e.mu.Lock()
		e.link = nil
		e.mu.Unlock()
		if l != nil {
			if err != nil && ctx.Err() == nil {
				l.end() // silent or refusing: a fresh engine knows nothing wrong
			}
			l.close()
		}
		if ctx.Err() != nil {
			return
		}
		e.log.Warn("WireGuard engine is down, its packets are dropped until the next one is up", "device", e.device, "cause", err, "again-in", pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, most)
	}
}

// watch returns when the engine has ended or does not answer.
func (e *embedded) watch(ctx context.Context, l *link) error {
	tick := time.NewTimer(firstLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.gone:
			return errors.New("engine process ended")
		case <-tick.C:
			tick.Reset(nextLook)
			a, err := l.ask(request{Op: "get"})
			if err != nil {
				return err
			}
			st, err := parseUAPI(a.UAPI)
			if err != nil {
				return err
			}
			st.at = time.Now()
			e.mu.Lock()
			e.last = st
			e.mu.Unlock()
		}
	}
}

// configure sets what the engine shall do; a dead one gets it when it is up again.
func (e *embedded) configure(s setup) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.want = s
	if e.link == nil {
		return nil
	}
	return e.configureLocked()
}

func (e *embedded) configureLocked() error {
	a, err := e.link.ask(request{Op: "get"})
	if err != nil {
		return err
	}
	now, err := parseUAPI(a.UAPI)
	if err != nil {
		return err
	}
	text, err := e.want.uapi(now)
	if err != nil {
		return err
	}
	if _, err := e.link.ask(request{Op: "set", UAPI: text}); err != nil {
		return fmt.Errorf("configure WireGuard on %s: %w", e.device, err)
	}
	return nil
}

func (e *embedded) state() (engineState, error) {
	e.mu.Lock()
	l := e.link
	e.mu.Unlock()
	if l == nil {
		return engineState{}, fmt.Errorf("WireGuard on %s: engine is down", e.device)
	}
	a, err := l.ask(request{Op: "get"})
	if err != nil {
		return engineState{}, err
	}
	st, err := parseUAPI(a.UAPI)
	st.at = time.Now()
	return st, err
}

func (e *embedded) known() (engineState, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.link == nil {
		return engineState{}, fmt.Errorf("WireGuard on %s: engine is down", e.device)
	}
	return e.last, nil
}

// obtain connects to a running engine or starts one.
func (e *embedded) obtain(ctx context.Context) (*link, error) {
	l, err := e.connect(ctx)
	if err == nil {
		e.log.Info("adopted the WireGuard engine that was running", "device", e.device)
		return l, nil
	}
	ended, err := e.start()
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(answerTime); ; {
		l, err := e.connect(ctx)
		if err == nil || time.Now().After(deadline) {
			return l, err
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("the WireGuard engine of %s ended at once: %w", e.device, cmp.Or(err, errors.New("exit status 0")))
		case <-time.After(20 * time.Millisecond): // it has not come to listen yet
		}
	}
}

// connect opens the control socket and checks who answers: the engine's user, the right version.
func (e *embedded) connect(ctx context.Context) (*link, error) {
	uid, _, err := lookup(e.user)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: answerTime}
	c, err := d.DialContext(ctx, "unix", e.path)
	if err != nil {
		return nil, fmt.Errorf("connect to the WireGuard engine of %s: %w", e.device, err)
	}
	l, err := newLink(c, uid)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("connect to the WireGuard engine of %s: %w", e.device, err)
	}
	return l, nil
}

// start makes a fresh engine process: own user, no group beyond its own, no capabilities, no new privileges, empty
// environment, two descriptors, more urgent than others. It is our own binary, opened by descriptor so that no path needs to be readable to its user.
// The channel gets one value when it has ended.
func (e *embedded) start() (<-chan error, error) {
	uid, gid, err := lookup(e.user)
	if err != nil {
		return nil, err
	}
	t, err := takeTUN(e.device, uid)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	control, err := bindControl(e.path)
	if err != nil {
		return nil, err
	}
	defer control.Close()

	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"sekisho-dataplane", ChildCommand}
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{control, t} // controlFD, tunFD
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uid, Gid: gid, Groups: []uint32{gid}},
		Setsid:     true,
	}
	if err := startConfined(cmd); err != nil {
		return nil, fmt.Errorf("start the WireGuard engine of %s: %w", e.device, err)
	}
	if err := urgentSession(cmd.Process.Pid); err != nil {
		e.log.Warn("what this machine does besides may make packets wait", "device", e.device, "error", err)
	}
	e.log.Info("started a WireGuard engine", "device", e.device, "user", e.user, "process", cmd.Process.Pid)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return ended, nil
}

// startConfined starts cmd from a thread of its own that has given up every capability of the bounding set and the right to
// gain privileges; the process inherits that, the thread ends.
func startConfined(cmd *exec.Cmd) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread dies with the goroutine
		done <- func() error {
			for c := range uintptr(unix.CAP_LAST_CAP + 1) {
				if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
					return fmt.Errorf("drop capability %d: %w", c, err)
				}
			}
			if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
				return fmt.Errorf("set no_new_privs: %w", err)
			}
			_ = unix.Setpriority(unix.PRIO_PROCESS, 0, urgency) // refused, in a container say: it encrypts all the same
			return cmd.Start()
		}()
	}()
	return <-done
}

// bindControl binds the control socket in a directory that only root enters; the engine listens on it.
func bindControl(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	if err := os.Chmod(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// newLink checks who answers: the engine's user, the right version.
func newLink(c net.Conn, uid uint32) (*link, error) {
	// It is the engine who listens, so the kernel names it and not the daemon that bound the socket.
	cred, err := peerCred(c)
	if err != nil {
		return nil, err
	}
	if cred.Uid != uid {
		return nil, fmt.Errorf("user %d answers, want user %d", cred.Uid, uid)
	}
	pidfd, err := unix.PidfdOpen(int(cred.Pid), 0)
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", cred.Pid, err)
	}
	l := &link{conn: c, in: bufio.NewScanner(c), pidfd: pidfd, gone: make(chan struct{}), done: make(chan struct{})}
	l.in.Buffer(nil, maxMessage)
	go l.wait()
	var h hello
	err = l.read(&h)
	if err == nil && h.Version != engineVersion {
		err = fmt.Errorf("it is of version %.20q, want %q", h.Version, engineVersion)
	}
	if err != nil {
		l.end() // it would hold the device against its successor
		l.close()
		return nil, err
	}
	return l, nil
}

// ask sends one request and reads its answer.
func (l *link) ask(q request) (answer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var a answer
	b, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	if err := l.conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return a, err
	}
	if _, err := l.conn.Write(append(b, '\n')); err != nil {
		return a, fmt.Errorf("ask the WireGuard engine: %w", err)
	}
	if err := l.read(&a); err != nil {
		return a, fmt.Errorf("ask the WireGuard engine: %w", err)
	}
	if a.Error != "" {
		return a, fmt.Errorf("the WireGuard engine refuses: %.200q", a.Error)
	}
	return a, nil
}

func (l *link) read(v any) error {
	if err := l.conn.SetReadDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	if !l.in.Scan() {
		return cmp.Or(l.in.Err(), io.ErrUnexpectedEOF)
	}
	return json.Unmarshal(l.in.Bytes(), v)
}

// wait closes gone when the process has ended (its pidfd is readable then), and the pidfd when nobody will use it any more.
func (l *link) wait() {
	defer unix.Close(l.pidfd)
	for {
		fds := []unix.PollFd{{Fd: int32(l.pidfd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 200)
		if n > 0 || (err != nil && !errors.Is(err, unix.EINTR)) {
			close(l.gone)
			<-l.done
			return
		}
		select {
		case <-l.done:
			return
		default:
		}
	}
}

// end kills the process and waits until it is gone. Not after close.
func (l *link) end() {
	if err := unix.PidfdSendSignal(l.pidfd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return
	}
	select {
	case <-l.gone:
	case <-time.After(answerTime):
	}
}

func (l *link) close() {
	l.conn.Close()
	close(l.done)
}

func lookup(name string) (uid, gid uint32, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, fmt.Errorf("user %s for the WireGuard engine: %w; run hack/bootstrap or add the system user", name, err)
	}
	n, err1 := strconv.ParseUint(u.Uid, 10, 32)
	m, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil || n == 0 {
		return 0, 0, fmt.Errorf("user %s for the WireGuard engine: id %s:%s will not do", name, u.Uid, u.Gid)
	}
	return uint32(n), uint32(m), nil
}
