package tunnel

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/device"
)

// ChildCommand is the sub-command under which the daemon starts its own binary as a WireGuard engine.
const ChildCommand = "wireguard"

// engineVersion is told to whoever connects; a daemon replaces an engine of another version.
const engineVersion = "1"

// File descriptors that the daemon leaves to the child.
const (
	controlFD = 3 // listening Unix socket, in a directory that only root enters
	tunFD     = 4 // attached TUN device
)

// Messages on the control socket: one JSON object a line, in both directions. The child speaks first, with hello.
type (
	hello struct {
		Version string `json:"version"`
	}
	request struct {
		Op   string `json:"op"` // "set", "get"
		UAPI string `json:"uapi,omitempty"`
	}
	answer struct {
		UAPI  string `json:"uapi,omitempty"`
		Error string `json:"error,omitempty"`
	}
)

// maxMessage bounds one line: a line card with a thousand peers needs about 300 KiB.
const maxMessage = 1 << 20

// Child is the WireGuard engine process. It holds one TUN descriptor and UDP sockets and nothing else: the daemon starts it
// as its own user without capabilities, and it refuses to run otherwise. It goes on when the daemon dies, so that a crash of
// the daemon does not cut the regions off, and waits for the next daemon to connect.
func Child(ctx context.Context, stderr io.Writer) int {
	signal.Ignore(unix.SIGHUP, unix.SIGINT) // the terminal of a lab is not ours to obey
	if err := runEngine(ctx, stderr); err != nil {
		fmt.Fprintln(stderr, "sekisho-dataplane wireguard:", err)
		return 1
	}
	return 0
}

func runEngine(ctx context.Context, stderr io.Writer) error {
	if err := withoutRights(); err != nil {
		return fmt.Errorf("refusing to run: %w", err)
	}
	// The process holds the private key: keep it out of core files and of other processes of the user.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("become undumpable: %w", err)
	}
	// Listening again makes this process, not the daemon that bound the socket, the peer whom the kernel names.
	if err := unix.Listen(controlFD, 4); err != nil {
		return fmt.Errorf("control socket (descriptor %d): %w", controlFD, err)
	}
	f := os.NewFile(controlFD, "control")
	l, err := net.FileListener(f)
	f.Close()
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	defer l.Close()

	td, name, err := newBatched(tunFD)
	if err != nil {
		return err
	}
	dev := device.NewDevice(td, newBind(), logTo(stderr, name))
	defer dev.Close()
	if err := dev.Up(); err != nil {
		return fmt.Errorf("start engine on %s: %w", name, err)
	}

	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	go func() {
		<-dev.Wait() // the TUN is gone
		l.Close()
	}()
	for {
		c, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("control socket: %w", err)
		}
		go serveControl(c, dev)
	}
}

// withoutRights tells why the process holds more than it should.
func withoutRights() error {
	if os.Getuid() == 0 || os.Geteuid() == 0 {
		return errors.New("user is root; sekisho-dataplane run starts this itself")
	}
	if n, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || n != 1 {
		return fmt.Errorf("no_new_privs is not set (%d, %v)", n, err)
	}
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if strings.HasPrefix(name, "Cap") && strings.Trim(value, "\t 0") != "" {
			return fmt.Errorf("capabilities are left: %s", strings.TrimSpace(line))
		}
	}
	return nil
}

// configMu keeps two connections (an old daemon's and a new one's) from configuring at once.
var configMu sync.Mutex

func serveControl(c net.Conn, dev *device.Device) {
	defer c.Close()
	if !peerIsRoot(c) {
		return
	}
	enc := json.NewEncoder(c)
	if enc.Encode(hello{Version: engineVersion}) != nil {
		return
	}
	sc := bufio.NewScanner(c)
	sc.Buffer(nil, maxMessage)
	for sc.Scan() {
		var q request
		var a answer
		if err := json.Unmarshal(sc.Bytes(), &q); err != nil {
			a.Error = err.Error()
		} else if a.UAPI, err = operate(dev, q); err != nil {
			a.Error = err.Error()
		}
		if enc.Encode(a) != nil {
			return
		}
	}
}

func operate(dev *device.Device, q request) (string, error) {
	configMu.Lock()
	defer configMu.Unlock()
	switch q.Op {
	case "set":
		if err := dev.IpcSet(q.UAPI); err != nil {
			return "", err
		}
		dev.DisableSomeRoamingForBrokenMobileSemantics() // a region is where the anchors say, wherever packets come from
		outerUnfragmented()                              // the sockets are others when the port has changed
		return "", nil
	case "get":
		text, err := dev.IpcGet()
		return withoutKeys(text), err
	}
	return "", fmt.Errorf("operation %q: want set or get", q.Op)
}

// outerUnfragmented makes every UDP socket of this process set "don't fragment". Packets that are too long for the line are then
// lost, which is noticed and mended; in pieces they would pass, each at the price of two. By the descriptors, since the
// library does not give its sockets away.
func outerUnfragmented() {
	for fd := range 256 {
		if p, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL); err != nil || p != unix.IPPROTO_UDP {
			continue
		}
		domain, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		_ = neverFragment(fd, domain == unix.AF_INET6) // refused: what the search for the MTU finds may be too long
	}
}

// withoutKeys drops private and pre-shared keys: whoever reads statistics needs neither.
func withoutKeys(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "private_key=") && !strings.HasPrefix(line, "preshared_key=") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func peerIsRoot(c net.Conn) bool {
	cred, err := peerCred(c)
	return err == nil && cred.Uid == 0
}

// peerCred is the other side of a Unix connection, by the kernel's word.
func peerCred(c net.Conn) (*unix.Ucred, error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("peer of %T: not a Unix socket", c)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var inner error
	err = raw.Control(func(fd uintptr) {
		cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return cred, errors.Join(err, inner)
}

// logTo lets errors through, a few at a time: a line that is gone is an error of every packet. The engine's own verbose lines name
// keys and addresses of every handshake.
func logTo(w io.Writer, name string) *device.Logger {
	l := &sparing{now: time.Now}
	return &device.Logger{
		Verbosef: device.DiscardLogf,
		Errorf: func(format string, args ...any) {
			if passedOver, ok := l.admit(); ok {
				format += ifAny(passedOver, " (and %d more errors before)")
				fmt.Fprintf(w, "wireguard "+name+": "+format+"\n", args...)
			}
		},
	}
}

func ifAny(n int, format string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(format, n)
}

// sparing admits a few lines at once, and then one in a while.
type sparing struct {
	now func() time.Time

	mu     sync.Mutex
	credit int
	last   time.Time
	passed int
}

const (
	linesAtOnce = 5
	lineEvery   = 10 * time.Second
)

func (l *sparing) admit() (passedOver int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if l.last.IsZero() || now.Sub(l.last) >= linesAtOnce*lineEvery {
		l.credit, l.last = linesAtOnce, now
	}
	for ; l.credit < linesAtOnce && now.Sub(l.last) >= lineEvery; l.last = l.last.Add(lineEvery) {
		l.credit++
	}
	if l.credit == 0 {
		l.passed++
		return 0, false
	}
	if l.credit == linesAtOnce {
		l.last = now
	}
	l.credit--
	passedOver, l.passed = l.passed, 0
	return passedOver, true
}
