// Package tunnel carries traffic to the cloud regions: one WireGuard device per line, the ends of regions as its peers.
//
// Problem: what goes to a region must leave encrypted or not at all, also in the seconds in which a process has just died or a
// line was cut; traffic must find the line that works within a second, and the operator must see a dead tunnel as dead.
// Mechanism: where the kernel has WireGuard, it does the work. Elsewhere the engine is wireguard-go in a process of its own: own
// user, no capabilities, holding one TUN descriptor and UDP sockets. The TUN is persistent and made by the daemon, routes into
// it stay whoever dies, and an unreachable route lies beneath. Every end is asked several times a second inside the tunnel;
// package ways makes of the answers by which end each region and class goes, the owner of the Set puts the routes there, and
// the Set moves the prefixes between peers and tells the far ends. Life cycle: Apply makes and configures devices, a supervisor
// per device starts and adopts engines, Close leaves every engine running for the next daemon to adopt over its control
// socket, Remove takes all away. Invariant: there is no moment in which a packet for a region has another way than a device of
// its tunnels.
package tunnel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/sekisho/sekisho/dataplane/tunnel/ways"
)

// Options of a Set.
type Options struct {
	Control string                // directory of the engines' control sockets; made with mode 0700
	Keys    string                // directory of the private keys
	Vault   Vault                 // nil: files in Keys
	User    string                // whom engines run as
	Log     *slog.Logger          // nil: slog.Default()
	Probe   time.Duration         // between two questions to an end that answers; 0 = 300 ms
	Moved   func(ways.Ways) error // puts the routes where the ways are; called again until it succeeds. nil: nobody does
}

// Set is all tunnels of one gate. Its methods may be called from several goroutines, but everything happens
// in the network namespace of the process.
type Set struct {
	o    Options
	run  uint64 // names this process to the far ends
	stop context.CancelFunc
	done chan struct{} // closed when the keeper has ended; nil: none was started

	applying sync.Mutex // one Apply at a time: it waits for engines

	mu      sync.Mutex // never held while an engine or the network is waited for
	tunnels map[string]*running
	order   []string // devices, as applied
	prefer  map[uint8][]string
	machine *ways.Machine
	askers  []*asker
	keys    map[string]*preshared // by peer
	classes map[string][]uint8    // by device
	plans   map[string]*planText  // by region
	unmoved bool                  // Moved failed
}

// running is one device that was applied.
type running struct {
	engine engine
	kernel bool
	start  func()
	stop   context.CancelFunc
	done   chan struct{}

	setting sync.Mutex // one configuration of the engine at a time; taken before Set.mu, which guards the rest
	spec    Spec
	key     wgtypes.Key
	late    bool             // what the engine was told last is no longer what it shall do
	shaken  map[string]shake // by public key
	linkUp  bool             // of the device, as far as is known
	lineUp  bool
	size    sized
}

// planText is a region's plan as it goes to its far ends.
type planText struct {
	hash uint64
	text []byte
}

// engine is what encrypts: the kernel or a child.
type engine interface {
	configure(setup) error
	state() (engineState, error) // asks
	known() (engineState, error) // as of about a second ago; asks nobody who may hang
}

// New makes an empty set.
func New(o Options) *Set {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Probe == 0 {
		o.Probe = 300 * time.Millisecond
	}
	return &Set{o: o, run: rand.Uint64() | 1, tunnels: map[string]*running{}, machine: ways.New(), keys: map[string]*preshared{},
		classes: map[string][]uint8{}, plans: map[string]*planText{}}
}

// PublicKeys are the gate's own keys, one for each device, made if they do not exist yet.
func (s *Set) PublicKeys(devices []string) (map[string]string, error) {
	keys := map[string]string{}
	for _, d := range devices {
		k, err := loadKey(s.o.vault(), d)
		if err != nil {
			return nil, err
		}
		keys[d] = k.PublicKey().String()
	}
	return keys, nil
}

// Prepare makes the device of a tunnel, addressless and up, so that it can be guarded before anything is configured on it,
// and tells whether WireGuard is the kernel's.
func (s *Set) Prepare(device string) (kernel bool, err error) {
	return makeDevice(device)
}

// Apply makes the set carry exactly specs; their order is that of preference. Devices that stay keep their engines and
// sessions. Devices that go lose their peers, but stay as devices (packets into them vanish); Remove deletes.
func (s *Set) Apply(ctx context.Context, specs []Spec) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	specs = slices.Clone(specs)
	s.mu.Lock()
	for device, r := range s.tunnels {
		if !slices.ContainsFunc(specs, func(n Spec) bool { return n.Device == device }) {
			gone := r.spec
			gone.Peers = nil
			specs = append(specs, gone)
		}
	}
	s.mu.Unlock()
	for _, spec := range specs {
		if err := s.prepare(spec); err != nil {
			return fmt.Errorf("tunnel %s: %w", spec.Device, err)
		}
	}
	s.follow(specs)
	for _, spec := range specs {
		if err := s.configure(spec.Device); err != nil {
			return fmt.Errorf("tunnel %s: %w", spec.Device, err)
		}
	}
	if s.done == nil {
		ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
		s.stop, s.done = stop, make(chan struct{})
		go s.keep(ctx)
	}
	return nil
}

// prepare makes the device as it shall be, and takes the specification.
func (s *Set) prepare(spec Spec) error {
	key, err := loadKey(s.o.vault(), spec.Device)
	if err != nil {
		return err
	}
	if err := spec.check(key); err != nil {
		return err
	}
	keys := map[string]*preshared{}
	for _, p := range spec.Peers {
		k, err := loadPreshared(s.o.vault(), p.ID)
		if err != nil { // the others shall come up all the same
			s.o.Log.Error("the end is left out: its pre-shared key cannot be read", "peer", p.ID, "error", err)
			k = preshared{unread: err}
		}
		keys[p.ID] = &k
	}
	kernel, err := makeDevice(spec.Device)
	if err != nil {
		return err
	}
	s.mu.Lock()
	r := s.tunnels[spec.Device]
	if r == nil {
		r = s.open(spec.Device, kernel)
		s.tunnels[spec.Device] = r
	}
	r.spec, r.key = spec, key
	for id, k := range keys {
		have := s.keys[id]
		switch {
		case have != nil && have.unread == nil && (have.Next != noKey || k.unread != nil):
			// while the two sides agree on one, and when the file was damaged, memory knows more than the file
		default:
			s.keys[id] = k
		}
	}
	s.mu.Unlock()
	return s.setDevice(r)
}

// check tells what WireGuard would take in silence: a peer that can never be.
func (s Spec) check(key wgtypes.Key) error {
	seen := map[string]string{}
	for _, p := range s.Peers {
		if _, err := hexKey(p.PublicKey); err != nil {
			return fmt.Errorf("peer %s: %w", p.ID, err)
		}
		if p.PublicKey == key.PublicKey().String() {
			return fmt.Errorf("peer %s: public key %s is this device's own: enter the far end's", p.ID, p.PublicKey)
		}
		if other, ok := seen[p.PublicKey]; ok {
			return fmt.Errorf("peer %s: public key %s is that of peer %s, too: each far end has its own for a line", p.ID, p.PublicKey, other)
		}
		seen[p.PublicKey] = p.ID
	}
	return nil
}

// Specs is what was applied last.
func (s *Set) Specs() []Spec {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Spec
	for _, r := range s.tunnels {
		out = append(out, r.spec)
	}
	slices.SortFunc(out, func(a, b Spec) int { return strings.Compare(a.Device, b.Device) })
	return out
}

// open readies the engine of a device.
func (s *Set) open(device string, kernel bool) *running {
	ctx, stop := context.WithCancel(context.Background())
	r := &running{kernel: kernel, stop: stop, done: make(chan struct{}), shaken: map[string]shake{}, linkUp: true, lineUp: true}
	if kernel {
		r.engine = kernelEngine{device}
		r.start = func() { close(r.done) }
		return r
	}
	e := newEmbedded(s.o.Control, device, s.o.User, s.o.Log)
	r.engine = e
	r.start = func() {
		go func() {
			defer close(r.done)
			e.supervise(ctx)
		}()
	}
	return r
}

// configure tells the engine of a device what it shall do now.
func (s *Set) configure(device string) error {
	s.mu.Lock()
	r := s.tunnels[device]
	s.mu.Unlock()
	if r == nil {
		return nil
	}
	r.setting.Lock()
	defer r.setting.Unlock()
	s.mu.Lock()
	c := s.setup(r)
	r.late = false
	start := r.start
	r.start = nil
	s.mu.Unlock()
	err := r.engine.configure(c)
	if start != nil {
		start() // knowing what to do: an engine that is adopted must not lose its peers for a moment
	}
	return err
}

// Close stops watching; engines go on.
func (s *Set) Close() error {
	s.applying.Lock()
	defer s.applying.Unlock()
	if s.done != nil {
		s.stop()
		<-s.done
		s.done = nil
	}
	s.mu.Lock()
	tunnels, askers := s.tunnels, s.askers
	s.tunnels, s.askers = map[string]*running{}, nil
	s.mu.Unlock()
	for _, r := range tunnels {
		r.stop()
		s.mu.Lock()
		started := r.start == nil
		s.mu.Unlock()
		if started {
			<-r.done
		}
	}
	for _, a := range askers {
		a.close()
	}
	return nil
}

// Remove ends the engines of devices and deletes the devices. For labs and tests.
func Remove(o Options, devices []string) error {
	var errs []error
	uid, _, err := lookup(o.User)
	for _, d := range devices {
		if err == nil {
			errs = append(errs, endHolders(d, uid))
		}
		errs = append(errs, deleteDevice(d))
	}
	return errors.Join(errs...)
}

// source is the gate's own address from which a region is probed: the one that lies in what the region may carry.
func (s Spec) source(p Peer) netip.Addr {
	for _, a := range s.Addrs {
		if a.Is4() == p.Probe.Addr().Is4() && slices.ContainsFunc(p.Allowed, func(x netip.Prefix) bool { return x.Contains(a) }) {
			return a
		}
	}
	return netip.Addr{}
}
