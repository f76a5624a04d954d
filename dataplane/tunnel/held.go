package tunnel

import (
	"errors"
	"fmt"
	"io"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// Held is a WireGuard device that the process itself holds, for far ends: the kernel's where it has WireGuard, which stays when
// the process ends, else wireguard-go within the process, whose device goes with it. Not for several goroutines at once.
type Held struct {
	name   string
	engine engine
	own    *device.Device // nil: the kernel's
}

// Hold makes the device, or takes the kernel's that is there. Errors of the engine within the process go to stderr.
func Hold(name string, stderr io.Writer) (*Held, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	err := netlink.LinkAdd(&netlink.Wireguard{LinkAttrs: attrs})
	if errors.Is(err, unix.EEXIST) {
		err = nil
		if l, lookErr := netlink.LinkByName(name); lookErr != nil || l.Type() != "wireguard" {
			err = fmt.Errorf("device %s is there and is no WireGuard device of the kernel: rename or remove it", name)
		}
	}
	switch {
	case err == nil:
		return &Held{name: name, engine: kernelEngine{name}}, nil
	case !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOSYS):
		return nil, fmt.Errorf("make WireGuard device %s: %w", name, err)
	}
	f, err := attachTUN(name, false)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Dup(int(f.Fd()))
	f.Close()
	if err != nil {
		return nil, fmt.Errorf("TUN %s: %w", name, err)
	}
	td, _, err := newBatched(fd)
	if err != nil {
		return nil, err
	}
	dev := device.NewDevice(td, newBind(), logTo(stderr, name))
	return &Held{name: name, engine: ownEngine{dev}, own: dev}, nil
}

// Kernel tells whether it is the kernel's WireGuard.
func (h *Held) Kernel() bool { return h.own == nil }

// Configure makes the device serve spec's peers and brings it up; its MTU and addresses are the caller's. Pre-shared keys, by
// peer's ID, count for the handshakes to come: sessions go on.
func (h *Held) Configure(spec Spec, key wgtypes.Key, psk map[string]wgtypes.Key) error {
	if err := h.engine.configure(setup{spec, key, psk}); err != nil {
		return err
	}
	l, err := netlink.LinkByName(h.name)
	if err != nil {
		return fmt.Errorf("look for device %s: %w", h.name, err)
	}
	if err := quiet(h.name); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return fmt.Errorf("set device %s up: %w", h.name, err)
	}
	if h.own != nil {
		return h.own.Up()
	}
	return nil
}

// Peers is what WireGuard knows of its peers.
func (h *Held) Peers() ([]PeerState, error) {
	st, err := h.engine.state()
	return st.peers, err
}

// Close lets go of the device.
func (h *Held) Close() {
	if h.own != nil {
		h.own.Close()
	}
}

// ownEngine is wireguard-go within this process.
type ownEngine struct{ dev *device.Device }

func (e ownEngine) configure(s setup) error {
	now, err := e.state()
	if err != nil {
		return err
	}
	text, err := s.uapi(now)
	if err != nil {
		return err
	}
	if err := e.dev.IpcSet(text); err != nil {
		return fmt.Errorf("configure WireGuard on %s: %w", s.spec.Device, err)
	}
	return nil
}

func (e ownEngine) state() (engineState, error) {
	text, err := e.dev.IpcGet()
	if err != nil {
		return engineState{}, fmt.Errorf("read WireGuard: %w", err)
	}
	return parseUAPI(text)
}

func (e ownEngine) known() (engineState, error) { return e.state() }
