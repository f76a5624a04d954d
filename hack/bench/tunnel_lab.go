package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/place"
)

// tunnelLab is one municipality with two lines to its regions:
//
//	station  <->  mn0 [ gate ] wan0, wan1  <->  carriers  <->  wan0, wan1 [ tokyo ] lan0  <->  application
//
// The gate is this process's own namespace. Carriers are bridges whose ports give no more than the contract. A second far
// end, osaka, hangs on the same lines.
type tunnelLab struct {
	station, carrier, tokyo, osaka, app netns.NsHandle
	plainGate                           netns.NsHandle // of the bare tunnel
	keys                                []wgtypes.Key  // of tokyo's two ends and of osaka's
	shape                               labShape
	gate                                *gate.Gate
	stopGate                            func()
	far                                 []*exec.Cmd
	dir                                 string
}

const labInstance = place.Instance("bench")

func newTunnelLab() (*tunnelLab, error) {
	none := netns.None()
	l := &tunnelLab{station: none, carrier: none, tokyo: none, osaka: none, app: none, plainGate: none}
	if err := l.lay(); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *tunnelLab) lay() (err error) {
	if l.dir, err = os.MkdirTemp("/run", "lab-"); err != nil {
		return err
	}
	for _, ns := range []*netns.NsHandle{&l.station, &l.carrier, &l.tokyo, &l.osaka, &l.app, &l.plainGate} {
		if *ns, err = newNamespace(); err != nil {
			return err
		}
		if err := within(*ns, prepareNamespace); err != nil {
			return err
		}
	}
	for range 2 * len(labDevices) {
		k, err := wgtypes.GeneratePrivateKey()
		if err != nil {
			return err
		}
		l.keys = append(l.keys, k)
	}
	if err := l.wire(); err != nil {
		return fmt.Errorf("lay the lab's wires: %w", err)
	}
	return nil
}

// become makes the lab stand in a shape.
func (l *tunnelLab) become(s labShape) error {
	if l.gate != nil && l.shape.both != s.both {
		l.closeGate()
	}
	var public []string
	for _, k := range l.keys {
		public = append(public, k.PublicKey().String())
	}
	cfg, err := labConfig(s, public)
	if err != nil {
		return err
	}
	a := policy.Anchors(cfg)
	if l.gate == nil {
		b, err := a.YAML()
		if err != nil {
			return err
		}
		if err := os.MkdirAll(labInstance.Etc(), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(labInstance.Anchors(), b, 0o644); err != nil {
			return err
		}
		if err := l.openGate(); err != nil {
			return err
		}
	}
	g, err := policy.Compile(cfg, a)
	if err != nil {
		return err
	}
	if s.unshaped {
		g.Bandwidth, g.Plans = nil, nil
	}
	if s.alone {
		g.Tunnels, g.Preferences, g.Bandwidth, g.Plans = nil, nil, nil, nil
		g.Routes = slices.DeleteFunc(g.Routes, func(r gate.Route) bool { return r.Port == labDevices[0].tunnel || r.Port == labDevices[1].tunnel })
	}
	if _, err := l.gate.Apply(context.Background(), g); err != nil {
		return err
	}
	if l.far == nil {
		if err := l.openFar(s.both); err != nil {
			return err
		}
	}
	l.shape = s
	if s.unshaped { // a far end keeps its last plan when the gate has none for it
		if err := patiently(10*time.Second, func() error { // its device comes with it
			return within(l.tokyo, func() error { return bandwidth.Remove(labDevices[0].tunnel) })
		}); err != nil {
			return err
		}
	}
	if err := l.limit(); err != nil || s.alone {
		return err
	}
	return l.settled()
}

func (l *tunnelLab) openGate() error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	g, err := gate.Open(context.Background(), labInstance, log)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		g.Run(ctx)
	}()
	l.gate = g
	l.stopGate = func() {
		stop()
		<-over
		g.Close()
		if err := gate.Remove(labInstance, log); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}
	return nil
}

func (l *tunnelLab) closeGate() {
	if l.gate == nil {
		return
	}
	l.stopGate()
	for _, c := range l.far {
		c.Process.Kill()
		c.Wait()
	}
	l.gate, l.far = nil, nil
}

func (l *tunnelLab) close() {
	if l == nil {
		return
	}
	l.closeGate()
	for _, dev := range []string{"mn0", "wan0", "wan1"} {
		exec.Command("ip", "link", "del", dev).Run() //nolint:errcheck // one that was not made
	}
	os.RemoveAll(l.dir)
	os.RemoveAll(labInstance.State()) // another lab has other keys
	for _, ns := range []netns.NsHandle{l.station, l.carrier, l.tokyo, l.osaka, l.app, l.plainGate} {
		if ns.IsOpen() {
			ns.Close()
		}
	}
}

// ask asks the gate as control does.
func (l *tunnelLab) ask(path string, into any) error {
	w := httptest.NewRecorder()
	l.gate.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		return fmt.Errorf("GET %s: %d: %s", path, w.Code, w.Body)
	}
	return json.Unmarshal(w.Body.Bytes(), into)
}

// openFar starts the regions' far ends.
func (l *tunnelLab) openFar(both bool) error {
	var gateKeys map[string]string
	if err := l.ask("/tunnel-keys", &gateKeys); err != nil {
		return err
	}
	if err := l.startFar("tokyo", l.tokyo, gateKeys, l.keys[:2], "198.51.100.1", "198.51.100.62"); err != nil || !both {
		return err
	}
	return l.startFar("osaka", l.osaka, gateKeys, l.keys[2:], "198.51.100.65", "198.51.100.126")
}

func (l *tunnelLab) startFar(name string, ns netns.NsHandle, gateKeys map[string]string, keys []wgtypes.Key, probe, gate string) error {
	var devices []map[string]any
	for i, d := range labDevices[:len(gateKeys)] {
		devices = append(devices, map[string]any{"device": d.tunnel, "private-key": keys[i].String(), "listen": d.listen, "mtu": labMTU,
			"gate": map[string]any{"public-key": gateKeys[d.tunnel], "endpoint": netip.AddrPortFrom(netip.MustParseAddr(d.gate), d.listen), "allowed": []string{gate + "/32", labOffice.String()}}})
	}
	b, err := json.Marshal(map[string]any{"version": 1, "devices": devices, "addresses": []string{probe + "/32"}, "state": filepath.Join(l.dir, name)})
	if err != nil {
		return err
	}
	file := filepath.Join(l.dir, name+".yaml")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return err
	}
	c, err := l.start(ns, regionCommand, file)
	if err == nil {
		l.far = append(l.far, c)
	}
	return err
}

// start starts this program in another role in a namespace; the role ends with the process of the gate.
func (l *tunnelLab) start(ns netns.NsHandle, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.Command(self, args...)
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a machine of its own, as far as scheduling goes
	return c, within(ns, c.Start)
}

// settled waits until the tunnels are up and both sides shape as they shall.
func (l *tunnelLab) settled() error {
	return patiently(40*time.Second, func() error {
		var s gate.Status
		if err := l.ask("/status", &s); err != nil {
			return err
		}
		for _, t := range s.Tunnels {
			if t.State == "down" { // one that is held back, after a flood, is used all the same where there is no other
				return fmt.Errorf("tunnel %s to %s is down: %s", t.Device, t.Peer, t.Reason)
			}
		}
		own, err := netns.Get()
		if err != nil {
			return err
		}
		defer own.Close()
		for where, ns := range map[string]netns.NsHandle{"the gate": own, "tokyo": l.tokyo} {
			if err := within(ns, l.shapes); err != nil {
				return fmt.Errorf("%s: %w", where, err)
			}
		}
		return nil
	})
}

// shapes tells whether the tunnels of this namespace have the tree of the lab's shape.
func (l *tunnelLab) shapes() error {
	for _, d := range l.shape.devices() {
		link, err := netlink.LinkByName(d.tunnel)
		if err != nil {
			return err
		}
		classes, err := netlink.ClassList(link, netlink.HANDLE_NONE)
		if err != nil {
			return err
		}
		rate := uint64(0)
		for _, c := range classes {
			if h, ok := c.(*netlink.HtbClass); ok && h.Handle == netlink.MakeHandle(1, 1) {
				rate = h.Rate * 8
			}
		}
		if l.shape.unshaped && rate != 0 {
			return fmt.Errorf("%s is still shaped", d.tunnel)
		}
		least := 0.98
		if l.shape.both {
			least = 0.1
		}
		if !l.shape.unshaped && (float64(rate) < least*float64(l.shape.rate) || rate > l.shape.rate) {
			return fmt.Errorf("%s is shaped to %d bit/s, the line has %d", d.tunnel, rate, l.shape.rate)
		}
	}
	return nil
}

// patiently tries until it succeeds, or gives the last error when the time is over.
func patiently(limit time.Duration, try func() error) error {
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		err := try()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("after %s: %w", limit, err)
		}
	}
}

// dial connects from the station to the application.
func (l *tunnelLab) dial(port uint16) (c net.Conn, err error) {
	err = within(l.station, func() error {
		c, err = net.DialTimeout("tcp4", netip.AddrPortFrom(labApp, port).String(), 10*time.Second)
		return err
	})
	return c, err
}

// listen listens at the application.
func (l *tunnelLab) listen(port uint16) (s net.Listener, err error) {
	err = within(l.app, func() error {
		s, err = net.Listen("tcp4", netip.AddrPortFrom(labApp, port).String())
		return err
	})
	return s, err
}
