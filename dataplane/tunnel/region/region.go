// Package region is the far end of a gate's tunnels: a small router in a cloud region that shapes what comes down.
//
// Problem: a guarantee downstream can only be kept by who sends, before the line; the far end must follow the gate's records
// without having any, over lines that fail, and a stranger in the cloud must not steer it. Mechanism: one WireGuard device for
// each of the gate's lines. Inside the tunnel the gate asks several times a second and tells what it wants: a plan (rates,
// classes, what belongs to which), a grant (the rate that this region may send now) and by which device each class shall come.
// The far end answers with what it measured. The plan becomes an HTB tree on each device, maps in nftables and routes by
// class. Life cycle: Run reads the file and the plan that was kept, serves until its context ends, and reads the file again on
// demand. Invariant: only the gate's messages of this run change anything; a plan that fails a check changes nothing; when the
// gate is silent the region sends no more than its own share.
package region

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/bandwidth/lend"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
	"github.com/sekisho/sekisho/dataplane/tunnel/talk"
)

// Options of Run.
type Options struct {
	Log    *slog.Logger     // nil: slog.Default()
	Stderr io.Writer        // of the WireGuard engine; nil: os.Stderr
	Again  <-chan os.Signal // each value: read the file again
	Ready  chan<- struct{}  // closed once everything stands; nil: nobody waits
}

// far is a running far end. Everything in it happens in the network namespace of the process.
type far struct {
	log    *slog.Logger
	stderr io.Writer
	run    uint64 // names this run to the gate

	mu    sync.Mutex
	file  File
	ends  []*end // as in the file
	plan  *plan.Plan
	parts plan.Assembly
	ways  map[uint8]*end // by class; 0: what has none
	socks map[socketKey]io.Closer
	psks  map[string]kept // by the gate's device
}

// end is the far end of one tunnel.
type end struct {
	Device
	held   *tunnel.Held
	secret talk.Secret
	guard  talk.Guard
	gate   uint64 // the gate's run that is obeyed
	seq    uint64 // highest that was obeyed
	heard  time.Time
	use    uint64
	grant  uint64         // 0: the plan's
	tree   bandwidth.Tree // in force; no classes: unshaped
	meter  meter
}

// Run is a far end in this network namespace until ctx ends.
func Run(ctx context.Context, path string, o Options) error {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	f := &far{log: o.Log, stderr: o.Stderr, run: binary.BigEndian.Uint64(b[:]), ways: map[uint8]*end{}, socks: map[socketKey]io.Closer{}}
	defer f.close()
	if err := tunnel.Urgent(); err != nil {
		f.log.Warn("what this machine does besides may make packets wait", "error", err)
	}
	file, err := Read(path)
	if err == nil {
		err = f.load(file)
	}
	if err != nil {
		return err
	}
	for _, e := range f.ends {
		k, err := e.key()
		if err != nil {
			return err
		}
		f.log.Info("region is up", "device", e.Name, "public-key", k.PublicKey().String(), "kernel", e.held.Kernel())
	}
	if o.Ready != nil {
		close(o.Ready)
	}
	tick := time.NewTicker(lend.Forgotten / 6)
	defer tick.Stop()
	began := time.After(patience)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f.alone(time.Now())
		case <-began:
			f.begin()
		case <-o.Again:
			if err := f.again(path); err != nil {
				f.log.Error("the file was not taken; what was in force stays", "error", err)
			}
		}
	}
}

func (f *far) again(path string) error {
	file, err := Read(path)
	if err != nil {
		return err
	}
	if err := f.load(file); err != nil {
		return err
	}
	f.log.Info("read the file again", "file", path)
	return nil
}

// load makes everything as the file says; devices that stay keep their sessions, and what waits in their queues.
func (f *far) load(file File) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := elsewhere(file); err != nil {
		return fmt.Errorf("region: %w", err)
	}
	first := f.ends == nil
	if first || file.State != f.file.State {
		f.psks = loadPsks(file.State, f.log)
	}
	var ends []*end
	for _, d := range file.Devices {
		e, err := f.open(d)
		if err != nil {
			return fmt.Errorf("region: %w", err)
		}
		ends = append(ends, e)
	}
	for _, old := range f.ends {
		if !slices.Contains(ends, old) {
			f.shut(old)
		}
	}
	f.file, f.ends = file, ends
	if err := f.address(); err != nil {
		return fmt.Errorf("region: %w", err)
	}
	if err := f.route(); err != nil {
		return fmt.Errorf("region: %w", err)
	}
	if first {
		if p := loadPlan(file.State, f.log); p != nil {
			if err := f.apply(*p); err != nil {
				f.log.Error("the plan that was kept cannot be applied", "error", err)
			}
		}
	} else if f.plan != nil {
		if err := f.apply(*f.plan); err != nil {
			return fmt.Errorf("region: %w", err)
		}
	}
	return f.listen()
}

// elsewhere refuses prefixes of the gate that cover what this machine has on other devices: nobody would reach it there any more.
func elsewhere(file File) error {
	all, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list the machine's addresses: %w", err)
	}
	names := map[string]bool{}
	for _, d := range file.Devices {
		names[d.Name] = true
	}
	for _, x := range all {
		l, err := netlink.LinkByIndex(x.LinkIndex)
		if err != nil || names[l.Attrs().Name] {
			continue // gone by now, or a tunnel
		}
		a, _ := netip.AddrFromSlice(x.IP)
		if err := file.takes(a.Unmap(), l.Attrs().Name); err != nil {
			return err
		}
	}
	return nil
}

// open makes or changes the device of one end.
func (f *far) open(d Device) (*end, error) {
	i := slices.IndexFunc(f.ends, func(e *end) bool { return e.Name == d.Name })
	e := &end{guard: talk.Guard{Run: f.run}}
	if i >= 0 {
		e = f.ends[i]
	}
	key, err := d.key()
	if err != nil {
		return nil, err
	}
	gateKey, err := wgtypes.ParseKey(d.Gate.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("device %s: public-key of the gate: %w", d.Name, err)
	}
	if gateKey == key.PublicKey() {
		return nil, fmt.Errorf("device %s: public-key of the gate is the device's own: ask the gate for its own (sekisho tunnel key)", d.Name)
	}
	if e.secret, err = talk.Key(key, gateKey); err != nil {
		return nil, fmt.Errorf("device %s: %w", d.Name, err)
	}
	if e.held == nil {
		if e.held, err = tunnel.Hold(d.Name, f.stderr); err != nil {
			return nil, err
		}
	}
	e.Device = d
	if err := f.configure(e); err != nil {
		return nil, err
	}
	l, err := netlink.LinkByName(d.Name)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", d.Name, err)
	}
	if l.Attrs().MTU != d.MTU {
		if err := netlink.LinkSetMTU(l, d.MTU); err != nil {
			return nil, fmt.Errorf("device %s: set MTU %d: %w", d.Name, d.MTU, err)
		}
	}
	return e, loosen(d.Name)
}

// configure gives WireGuard the keys and the peer.
func (f *far) configure(e *end) error { return f.configureFor(e, -1) }

// configureFor does so with a packet for the gate every so many seconds; -1: none.
func (f *far) configureFor(e *end, keepalive int) error {
	key, err := e.key()
	if err != nil {
		return err
	}
	psk, err := f.preshared(e)
	if err != nil {
		return err
	}
	// The gate begins, see begin. When both ends do at once, each answers the other's handshake and drops its own: neither comes about, and
	// both wait 5 s before they try again.
	peer := tunnel.Peer{ID: "gate", PublicKey: e.Gate.PublicKey, Endpoint: e.Gate.Endpoint, Allowed: e.Gate.Allowed, Keepalive: keepalive}
	return e.held.Configure(tunnel.Spec{Device: e.Name, Listen: e.Listen, Peers: []tunnel.Peer{peer}}, key, map[string]wgtypes.Key{peer.ID: psk})
}

// loosen lets packets of the gate come by any of the devices, whichever the route back is: WireGuard has checked their source.
func loosen(device string) error {
	path := filepath.Join("/proc/sys/net/ipv4/conf", device, "rp_filter")
	if err := os.WriteFile(path, []byte("2"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("device %s: let packets come by several lines: %w", device, err)
	}
	return nil
}

// address gives every device the addresses, so that each accepts what is sent to them; only on the first one a whole network
// lies behind them.
func (f *far) address() error {
	for i, e := range f.ends {
		want := slices.Clone(f.file.Addresses)
		for k, p := range want {
			if i > 0 {
				want[k] = netip.PrefixFrom(p.Addr(), p.Addr().BitLen())
			}
		}
		if err := setAddresses(e.Name, want); err != nil {
			return err
		}
	}
	return nil
}

func setAddresses(device string, want []netip.Prefix) error {
	l, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("addresses of %s: %w", device, err)
	}
	have, err := netlink.AddrList(l, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("addresses of %s: %w", device, err)
	}
	for _, a := range have {
		n, _ := netip.AddrFromSlice(a.IP)
		ones, _ := a.Mask.Size()
		if !n.IsLinkLocalUnicast() && !slices.Contains(want, netip.PrefixFrom(n.Unmap(), ones)) {
			if err := netlink.AddrDel(l, &a); err != nil {
				return fmt.Errorf("remove address %s from %s: %w", a.IPNet, device, err)
			}
		}
	}
	for _, p := range want {
		if err := netlink.AddrReplace(l, &netlink.Addr{IPNet: ipNet(p), Flags: unix.IFA_F_NODAD}); err != nil {
			return fmt.Errorf("address %s on %s: %w", p, device, err)
		}
	}
	return nil
}

// route makes the tables and rules; ways that the gate has chosen stay.
func (f *far) route() error {
	if err := errors.Join(withdraw(f.file.Routes), clearRules()); err != nil {
		return err
	}
	for i, e := range f.ends {
		err := point(deviceTable+i, f.file.Routes, e.Name)
		if err == nil {
			err = rule(deviceRule+i, deviceTable+i, e.Name, 0)
		}
		if err != nil {
			return err
		}
	}
	for c, e := range f.ways {
		if !slices.Contains(f.ends, e) {
			delete(f.ways, c)
		}
	}
	if f.ways[0] == nil {
		f.ways[0] = f.ends[0]
	}
	for c, e := range f.ways {
		if err := f.lead(c, e); err != nil {
			return err
		}
	}
	return nil
}

// lead sends a class by an end from now on; class 0 is what has no class.
func (f *far) lead(class uint8, e *end) error {
	if class == 0 {
		return point(unix.RT_TABLE_MAIN, f.file.Routes, e.Name)
	}
	if err := point(classTable+int(class), f.file.Routes, e.Name); err != nil {
		return err
	}
	return rule(classRule+int(class), classTable+int(class), "", class)
}

func (f *far) shut(e *end) {
	if err := bandwidth.Remove(e.Name); err != nil {
		f.log.Warn("shaping stays on a device that is not used any more", "device", e.Name, "error", err)
	}
	e.held.Close()
}

func (f *far) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for k, c := range f.socks {
		c.Close()
		delete(f.socks, k)
	}
	for _, e := range f.ends {
		e.held.Close()
	}
}
