package tunnel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// reference is the far end as others build it: WireGuard's own program, set up by WireGuard's own tool, with an echo.
type reference struct {
	*bench
	key    wgtypes.Key
	gate   string // public key
	dir    string
	engine *exec.Cmd
}

func newReference(t *testing.T) *reference {
	t.Helper()
	const sockets = "/run/wireguard" // where the program and the tool meet; hidden here from those outside
	if err := os.MkdirAll(sockets, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", sockets, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(sockets, unix.MNT_DETACH) })
	b, key, gate := newLine(t)
	b.spec.Peers[0].Plain = true
	r := &reference{bench: b, key: key, gate: gate, dir: t.TempDir()}
	r.start(t, "")
	netlab.Do(t, b.region, func() error { // an echo (RFC 862), over both protocols
		u, err := net.ListenPacket("udp4", ":7")
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp4", ":7")
		t.Cleanup(func() { u.Close(); l.Close() })
		go func() {
			buf := make([]byte, 2048)
			for {
				n, from, err := u.ReadFrom(buf)
				if errors.Is(err, net.ErrClosed) {
					return
				}
				_, _ = u.WriteTo(buf[:n], from)
			}
		}()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					_, _ = io.Copy(c, c)
				}()
			}
		}()
		return err
	})
	return r
}

// start starts the program and sets it up, with a pre-shared key if there is one.
func (r *reference) start(t *testing.T, psk string) {
	t.Helper()
	r.engine = netlab.Start(t, r.region, "wireguard-go", "-f", "ref0")
	conf := filepath.Join(r.dir, "ref0.conf")
	text := fmt.Sprintf("[Interface]\nPrivateKey = %s\nListenPort = 51820\n[Peer]\nPublicKey = %s\nAllowedIPs = 198.51.100.62/32\n", r.key, r.gate)
	if psk != "" {
		text += "PresharedKey = " + psk + "\n"
	}
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var refused error
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, refused = netlab.Try(r.region, "wg", "setconf", "ref0", conf); refused == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the reference does not take its keys: %v", refused)
		}
	}
	netlab.Run(t, r.region, "ip", "addr", "add", "198.51.100.1/26", "dev", "ref0")
	netlab.Run(t, r.region, "ip", "link", "set", "ref0", "mtu", "1420", "up")
	r.waitListening(t)
}

// stop ends the program. Its device goes some milliseconds before it gives up its socket, on which the next one would not start.
func (r *reference) stop(t *testing.T) {
	t.Helper()
	if err := r.engine.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = r.engine.Wait() // says that it was killed
	if out, err := netlab.Try(r.region, "ip", "link", "show", "dev", "ref0"); err == nil {
		t.Fatalf("the reference ended, its device did not:\n%s", out)
	}
}

// carry sends much there and back over TCP, and compares.
func (r *reference) carry(t *testing.T) {
	t.Helper()
	c, err := net.DialTimeout("tcp4", "198.51.100.1:7", 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	go func() { _, _ = c.Write(sent) }()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(sent, got) {
		t.Fatalf("what came back is not what was sent: %v", err)
	}
}

// A region may be any WireGuard peer: with the reference, tunnels come up, carry, outlive its restart, and agree on a pre-shared key.
func TestTheReferenceIsAPeer(t *testing.T) {
	r := newReference(t)
	line := netlab.Listen(t, "", "wan0")
	s := r.open(t)
	r.waitUp(t, s, true)
	r.carry(t)
	shown := netlab.Run(t, r.region, "wg", "show", "ref0")
	for _, want := range []string{r.gate, "endpoint: 192.0.2.1:51820", "allowed ips: 198.51.100.62/32", "latest handshake"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the reference does not show %q:\n%s", want, shown)
		}
	}
	netlab.Until(t, 5*time.Second, "the status counts a MiB there and back", func() bool {
		st := s.Status()[0]
		return !st.Handshake.IsZero() && st.Rx >= 1<<20 && st.Tx >= 1<<20
	})
	r.stop(t)
	r.waitUp(t, s, false)
	r.start(t, "")
	r.waitUp(t, s, true)
	r.carry(t)

	psk, err := wgtypes.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	r.stop(t)
	r.waitUp(t, s, false)
	r.start(t, psk.String()) // the gate does not know it yet
	time.Sleep(6 * time.Second)
	if s.Status()[0].Up {
		t.Error("up with a peer that wants a pre-shared key which the gate does not have")
	}
	if err := ImportPreshared(r.options.vault(), "tokyo", psk.String()); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(t.Context(), []Spec{r.spec}); err != nil {
		t.Fatal(err)
	}
	r.waitUp(t, s, true)
	r.carry(t)
	if n := r.clear(line.Frames()); n > 0 {
		t.Errorf("%d frames in clear on the line", n)
	}
}
