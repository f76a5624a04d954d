// Package tunnel carries traffic to the cloud regions: one WireGuard device per uplink, the regions as its peers.
//
// Problem: what goes to a region must leave encrypted or not at all, also in the seconds in which a process has just died;
// and the operator must see a dead tunnel as dead. Mechanism: where the kernel has WireGuard, it does the work. Elsewhere the
// engine is wireguard-go in a process of its own: own user, no capabilities, holding one TUN descriptor and UDP sockets. The
// TUN is persistent and made by the daemon, routes into it stay whoever dies, and an unreachable route lies beneath. State
// comes from an echo inside the tunnel and the handshake's age, never from configuration. Life cycle: Apply makes and
// configures devices, a supervisor per device starts and adopts engines, Close leaves every engine running for the next
// daemon to adopt over its control socket, Remove takes all away. Invariant: there is no moment in which a packet for a
// region has another way than the device of its tunnel.
package tunnel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// Options of a Set.
type Options struct {
	Control string        // directory of the engines' control sockets; made with mode 0700
	Keys    string        // directory of the private keys
	User    string        // whom engines run as
	Log     *slog.Logger  // nil: slog.Default()
	Probe   time.Duration // between two echoes to a region; 0 = 500 ms
}

// Set is all tunnels of one gate. Its methods may be called from several goroutines, but everything happens
// in the network namespace of the process.
type Set struct {
	o       Options
	mu      sync.Mutex
	tunnels map[string]*running // by device
}

// running is one device that was applied.
type running struct {
	spec   Spec
	engine engine
	kernel bool
	start  func()
	stop   context.CancelFunc
	done   chan struct{}
	probes []*probe
}

// engine is what encrypts: the kernel or a child.
type engine interface {
	configure(Spec, wgtypes.Key) error
	state() (engineState, error)
}

// Status is one region as seen from here.
type Status struct {
	Device    string        `json:"device"`
	Region    string        `json:"region"`
	Engine    string        `json:"engine"` // kernel, embedded
	Up        bool          `json:"up"`     // the probe was answered lately and the keys are fresh
	Handshake time.Time     `json:"handshake,omitzero"`
	RTT       time.Duration `json:"-"`
	ProbeRTT  float64       `json:"probe_rtt_ms"` // of the last answer; 0 = none
	Loss      float64       `json:"probe_loss"`   // 0..1 of the last 20 probes
	Rx        uint64        `json:"rx_bytes"`
	Tx        uint64        `json:"tx_bytes"`
	Reason    string        `json:"reason,omitempty"` // why it is not up
}

// handshakeLimit is WireGuard's REJECT_AFTER_TIME: older keys carry nothing.
const handshakeLimit = 180 * time.Second

// New makes an empty set.
func New(o Options) *Set {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Probe == 0 {
		o.Probe = 500 * time.Millisecond
	}
	return &Set{o: o, tunnels: map[string]*running{}}
}

// PublicKeys are the gate's own keys, one for each device, made if they do not exist yet.
func (s *Set) PublicKeys(devices []string) (map[string]string, error) {
	keys := map[string]string{}
	for _, d := range devices {
		k, err := loadKey(s.o.Keys, d)
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

// Apply makes the set carry exactly specs. Devices that stay keep their engines and sessions. Devices that go lose their
// peers, but stay as devices (packets into them vanish); Remove deletes.
func (s *Set) Apply(ctx context.Context, specs []Spec) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for device, r := range s.tunnels {
		if !slices.ContainsFunc(specs, func(n Spec) bool { return n.Device == device }) {
			gone := r.spec
			gone.Peers = nil
			if err := s.applyOne(ctx, gone); err != nil {
				return err
			}
		}
	}
	for _, spec := range specs {
		if err := s.applyOne(ctx, spec); err != nil {
			return fmt.Errorf("tunnel %s: %w", spec.Device, err)
		}
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

func (s *Set) applyOne(ctx context.Context, spec Spec) error {
	key, err := loadKey(s.o.Keys, spec.Device)
	if err != nil {
		return err
	}
	kernel, err := makeDevice(spec.Device)
	if err != nil {
		return err
	}
	if err := setDevice(spec); err != nil {
		return err
	}
	r := s.tunnels[spec.Device]
	known := r != nil
	if !known {
		r = s.open(spec.Device, kernel)
		s.tunnels[spec.Device] = r
	}
	r.spec = spec
	r.restartProbes(spec, s.o)
	err = r.engine.configure(spec, key)
	if !known {
		r.start() // knowing what to do: an engine that is adopted must not lose its peers for a moment
	}
	return err
}

// open readies the engine of a device.
func (s *Set) open(device string, kernel bool) *running {
	ctx, stop := context.WithCancel(context.Background())
	r := &running{kernel: kernel, stop: stop, done: make(chan struct{})}
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

// Close stops watching; engines go on.
func (s *Set) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for device, r := range s.tunnels {
		r.stop()
		<-r.done
		r.stopProbes()
		delete(s.tunnels, device)
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

// Status tells about every region of every device.
func (s *Set) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Status
	for _, r := range s.tunnels {
		st, err := r.engine.state()
		for i, p := range r.spec.Peers {
			out = append(out, r.status(p, r.probes[i], st, err))
		}
	}
	slices.SortFunc(out, func(a, b Status) int { return strings.Compare(a.Device+"/"+a.Region, b.Device+"/"+b.Region) })
	return out
}

func (r *running) status(p Peer, pr *probe, st engineState, err error) Status {
	x := Status{Device: r.spec.Device, Region: p.ID, Engine: "embedded"}
	if r.kernel {
		x.Engine = "kernel"
	}
	if err != nil {
		x.Reason = err.Error()
		return x
	}
	for _, q := range st.peers {
		if q.PublicKey == p.PublicKey {
			x.Handshake, x.Rx, x.Tx = q.Handshake, q.Rx, q.Tx
		}
	}
	age := time.Since(x.Handshake)
	fresh := !x.Handshake.IsZero() && age < handshakeLimit
	answered := true
	if pr != nil {
		x.RTT, x.Loss, answered = pr.result()
		x.ProbeRTT = float64(x.RTT.Microseconds()) / 1000
	}
	x.Up = fresh && answered
	switch {
	case x.Handshake.IsZero():
		x.Reason = "no handshake yet"
	case !fresh:
		x.Reason = fmt.Sprintf("last handshake %d s ago", int(age.Seconds()))
	case !answered:
		x.Reason = "no answer to the probe inside the tunnel"
	}
	return x
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
