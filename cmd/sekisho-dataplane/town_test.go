package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/socket"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// The test binary is also the daemon, its engine and the region's gateway.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "run", tunnel.ChildCommand, "region", "remove":
			os.Exit(dispatch(context.Background(), os.Args[1:], os.Stderr))
		}
	}
	os.Exit(netlab.Main(m))
}

// town is the lab's example around a real daemon that runs in the test's own network namespace.
type town struct {
	instance place.Instance
	cfg      *config.Config
	daemon   *exec.Cmd
	keys     map[string]wgtypes.Key
}

// host is a network namespace behind a port.
type host struct {
	name, port, mac string
	addrs           []string
}

func hosts() []host {
	return []host{
		{"mn-pc1", "mn0", "02:53:4b:10:00:11", []string{"198.18.10.11/24", "2001:db8:10::11/64"}},
		{"lg-pc1", "lg0", "02:53:4b:20:00:11", []string{"198.18.20.11/24", "2001:db8:20::11/64"}},
		{"in-pc1", "in0", "02:53:4b:30:00:11", []string{"198.18.30.11/24", "2001:db8:30::11/64"}},
		{"lg-asp", "lga0", "02:53:4b:21:00:11", []string{"198.18.21.11/24", "2001:db8:21::11/64"}},
		{"in-web", "inw0", "02:53:4b:31:00:11", []string{"203.0.113.11/24", "2001:db8:31::11/64"}},
		{"noc", "mg0", "02:53:4b:40:00:11", []string{"198.18.40.11/24"}},
		{"region1", "wan0", "02:53:4b:50:00:11", []string{"192.0.2.11/24"}},
	}
}

func newTown(t *testing.T) *town {
	t.Helper()
	return newTownOf(t, examples.Lab)
}

// newTownOf takes a configuration for the lab's ports.
func newTownOf(t *testing.T, doc []byte) *town {
	t.Helper()
	for _, d := range []string{"/run/sekisho", "/var/lib/sekisho", "/etc/sekisho"} { // private to the test's mount namespace
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", d, "tmpfs", 0, "mode=0755"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Unmount(d, unix.MNT_DETACH) })
	}
	w := &town{instance: "town", keys: map[string]wgtypes.Key{}}
	draft, errs := config.Parse(doc)
	if err := errs.Err(); err != nil {
		t.Fatal(err)
	}
	for _, r := range draft.Regions {
		key, err := wgtypes.GeneratePrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		w.keys[r.ID] = key
		doc = bytes.ReplaceAll(doc, []byte(r.PublicKey), []byte(key.PublicKey().String()))
	}
	if w.cfg, errs = config.Parse(doc); errs.Err() != nil {
		t.Fatal(errs.Err())
	}
	w.writeAnchors(t, w.cfg)

	netlab.Run(t, "", "ip", "netns", "attach", "gw", "1")
	t.Cleanup(func() { netlab.Run(t, "", "ip", "netns", "del", "gw") })
	netlab.Run(t, "", "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
	for _, h := range hosts() {
		netlab.New(t, h.name)
		netlab.Veth(t, "", h.port, h.name, "eth0")
		netlab.Run(t, h.name, "ethtool", "-K", "eth0", "gro", "on") // so that frames redirected here are taken
		netlab.Run(t, h.name, "ip", "link", "set", "eth0", "address", h.mac)
		for _, a := range h.addrs {
			p := netip.MustParsePrefix(a)
			netlab.Run(t, h.name, "ip", "addr", "add", a, "dev", "eth0", "nodad")
			netlab.Run(t, h.name, "ip", "route", "add", "default", "via", p.Masked().Addr().Next().String())
		}
	}
	t.Cleanup(func() {
		w.stop(t)
		w.sub(t, "remove", "--name", string(w.instance))
	})
	return w
}

func (w *town) writeAnchors(t *testing.T, cfg *config.Config) {
	t.Helper()
	b, err := policy.Anchors(cfg).YAML()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(w.instance.Etc(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.instance.Anchors(), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// start runs the daemon and waits until it answers.
func (w *town) start(t *testing.T) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// `ip netns exec` gives the daemon a mount namespace that ends with it: pins and portals' names must not.
	w.daemon = exec.Command("ip", "netns", "exec", "gw", exe, "run", "--name", string(w.instance))
	w.daemon.Stderr = os.Stderr
	if err := w.daemon.Start(); err != nil {
		t.Fatal(err)
	}
	netlab.Until(t, 40*time.Second, "the daemon's answer", func() bool {
		_, err := w.ask(http.MethodGet, "/status", nil, nil)
		return err == nil
	})
}

func (w *town) stop(t *testing.T) {
	t.Helper()
	if w.daemon != nil {
		w.daemon.Process.Kill()
		w.daemon.Wait()
		w.daemon = nil
	}
}

func (w *town) sub(t *testing.T, args ...string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	netlab.Run(t, "", exe, args...)
}

// startRegion runs region1's gateway with the application's address on it.
func (w *town) startRegion(t *testing.T) {
	t.Helper()
	var keys map[string]string
	if code, err := w.ask(http.MethodGet, "/tunnel-keys", nil, &keys); err != nil || code != http.StatusOK {
		t.Fatal(code, err)
	}
	text := fmt.Sprintf(`{device: wg0, private-key: %q, listen: 51820, addresses: [198.51.100.1/32, 198.51.100.11/32], routes: [198.51.100.62/32, 198.18.10.0/24],
gate: {public-key: %q, endpoint: "192.0.2.1:51820", allowed: [198.51.100.62/32, 198.18.10.0/24]}}`, w.keys["tokyo"], keys["wg0"])
	file := filepath.Join(t.TempDir(), "region.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	netlab.Start(t, "region1", exe, "region", "--config", file)
}

func (w *town) compile(t *testing.T) gate.Generation {
	t.Helper()
	g, err := policy.Compile(w.cfg, policy.Anchors(w.cfg))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// ask speaks to the daemon as root.
func (w *town) ask(method, path string, body, into any) (int, error) {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		in = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://gate"+path, in)
	if err != nil {
		return 0, err
	}
	c := socket.Client(w.instance.DataplaneSocket())
	defer c.CloseIdleConnections()
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && into != nil {
		err = json.Unmarshal(b, into)
	}
	return resp.StatusCode, err
}

// askAs tells the code with which a user's GET /status is answered.
func (w *town) askAs(t *testing.T, name string) string {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatalf("%v: run hack/bootstrap", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	cmd := exec.Command("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", w.instance.DataplaneSocket(), "http://gate/status")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

type verdictOf struct {
	Error      string `json:"error"`
	Violations []struct {
		Invariant string `json:"invariant"`
		Message   string `json:"message"`
	} `json:"violations"`
}

func (w *town) apply(t *testing.T, g gate.Generation) (int, verdictOf) {
	t.Helper()
	var v verdictOf
	code, err := w.ask(http.MethodPost, "/generation", g, &v)
	if err != nil {
		t.Fatal(err)
	}
	return code, v
}

func (w *town) mustApply(t *testing.T, g gate.Generation) {
	t.Helper()
	if code, v := w.apply(t, g); code != http.StatusOK {
		t.Fatalf("generation answered with %d: %+v", code, v)
	}
}

func (w *town) status(t *testing.T) gate.Status {
	t.Helper()
	var s gate.Status
	if code, err := w.ask(http.MethodGet, "/status", nil, &s); err != nil || code != http.StatusOK {
		t.Fatal(code, err)
	}
	return s
}

func (w *town) waitRegion(t *testing.T) {
	t.Helper()
	netlab.Until(t, 15*time.Second, "region tokyo up", func() bool {
		for _, r := range w.status(t).Tunnels {
			if r.Region == "tokyo" && r.Up {
				return true
			}
		}
		return false
	})
}

// serve accepts TCP connections at an address of a namespace and says hello.
func serveTCP(t *testing.T, ns, addr string) {
	t.Helper()
	handleTCP(t, ns, addr, func(c net.Conn) { io.WriteString(c, "hello") })
}

// handleTCP gives each connection to a handler of its own, until the test ends.
func handleTCP(t *testing.T, ns, addr string, handle func(net.Conn)) {
	t.Helper()
	netlab.Do(t, ns, func() error {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					handle(c)
				}()
			}
		}()
		return nil
	})
}

// expect checks whether a TCP connection from a namespace to an address is served. It is patient when it should be: the
// first packets may wait for a neighbour's address.
func expect(t *testing.T, want bool, ns, addr string) {
	t.Helper()
	patience := 300 * time.Millisecond
	if want {
		patience = 5 * time.Second
	}
	var got []byte
	netlab.Do(t, ns, func() error {
		c, err := net.DialTimeout("tcp", addr, patience)
		if err != nil {
			return nil
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		got, _ = io.ReadAll(c)
		return nil
	})
	if served := strings.Contains(string(got), "hello"); served != want {
		t.Errorf("%s reaches %s = %v, want %v", ns, addr, served, want)
	}
}
