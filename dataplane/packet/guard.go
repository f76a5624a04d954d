package packet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// PortStatus is how one device is guarded.
type PortStatus struct {
	Name    string `json:"name"`
	Index   int    `json:"index"`   // 0: the device does not exist
	Tunnel  bool   `json:"tunnel"`  // layer 3 device: tcx only
	Native  bool   `json:"native"`  // the XDP program is attached in driver mode (ports only)
	Ingress bool   `json:"ingress"` // tcx ingress is attached
	Egress  bool   `json:"egress"`
	Up      bool   `json:"up"`              // administratively up
	Error   string `json:"error,omitempty"` // why it is not guarded (and was taken down)
}

// Guarded tells whether every program that the device needs is attached.
func (p PortStatus) Guarded() bool {
	return p.Index != 0 && p.Error == "" && p.Ingress && p.Egress && (p.Tunnel || p.Native)
}

// Status tells how every device of the anchors stood at the last scan.
func (c *Core) Status() []PortStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.status)
}

// Rescan guards devices that appeared, were recreated, renamed or changed their MAC since, and tells how every device
// stands. Call it whenever a device changed, and every few seconds. It never sets a device up: whoever owns a device sets it
// up once Rescan says that it is guarded. A device that was not guarded before, or under another name, is down afterwards.
func (c *Core) Rescan(ctx context.Context) ([]PortStatus, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.status
	c.status = nil
	guarded, ports := map[string]int{}, map[int]uint16{}
	kept := map[string]error{} // names whose former device could not be let go
	var failed error
	for _, name := range c.devices.wanted { // all before any is guarded: two devices may have swapped their names
		if err := c.letRenamedGo(name); err != nil {
			kept[name] = err
			failed = errors.Join(failed, err)
		}
	}
	for _, name := range c.devices.wanted {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("scan devices: %w", err)
		}
		s, err := c.guard(name, kept[name])
		if err != nil {
			s.Native = false
			s.Error = err.Error()
			if !slices.ContainsFunc(before, func(old PortStatus) bool { return old.Name == name && old.Error == s.Error }) {
				c.log.Error("device is not guarded and stays down", "device", name, "error", err)
			}
			if s.Index != 0 {
				failed = errors.Join(failed, c.takeDown(&s))
			}
			failed = errors.Join(failed, c.showDevice(name, 0, MAC{}))
		}
		c.status = append(c.status, s)
		if !s.Guarded() {
			continue
		}
		if !s.Tunnel {
			ports[s.Index], _ = c.devices.number(name)
		}
		guarded[name] = s.Index
	}
	if err := errors.Join(c.bindPorts(c.bindings(guarded)), c.showVLANs(ports)); err != nil {
		return nil, errors.Join(failed, err)
	}
	return slices.Clone(c.status), failed
}

func (c *Core) takeDown(s *PortStatus) error {
	l, err := netlink.LinkByIndex(s.Index)
	if err == nil {
		err = netlink.LinkSetDown(l)
	}
	if err != nil {
		return fmt.Errorf("take down unguarded device %s: %w; pull its cable", s.Name, err)
	}
	s.Up = false
	return nil
}

// linkHooks are where links of a device attach, as their pins are called.
var linkHooks = []string{"egress", "ingress", "xdp"}

func (c *Core) linkPin(device, hook string) string { return c.path("links", device+"-"+hook) }

// letRenamedGo deals with pinned links of a name whose device is called otherwise by now. It still hangs on its network, so
// it is taken down before its programs go. Whoever holds its new name guards it anew, if anybody does.
func (c *Core) letRenamedGo(name string) error {
	down := map[int]bool{}
	for _, hook := range linkHooks {
		index, err := c.pinnedOn(name, hook)
		if err != nil {
			return err
		}
		if index == 0 {
			continue
		}
		l, err := netlink.LinkByIndex(index)
		var missing netlink.LinkNotFoundError
		if err == nil && l.Attrs().Name == name {
			continue
		}
		if err == nil && !down[index] {
			c.log.Error("a guarded device was renamed: it goes down", "device", name, "now", l.Attrs().Name, "index", index)
			err = errors.Join(c.takeDown(&PortStatus{Name: l.Attrs().Name, Index: index}), c.showDevice(name, 0, MAC{}))
			down[index] = err == nil
		} else if errors.As(err, &missing) { // it went to another namespace, and the kernel took it down on the way
			err = c.showDevice(name, 0, MAC{})
		}
		if err == nil {
			err = c.detach(name, hook)
		}
		if err != nil {
			return fmt.Errorf("let go of device %d, which was %s: %w", index, name, err)
		}
	}
	return nil
}

// detach takes a pinned link of a device off it.
func (c *Core) detach(device, hook string) error { return detach(c.linkPin(device, hook)) }

// detach takes a pinned link off its device now: removing the pin alone lets the kernel do it some time later, and until then
// the place is taken.
func detach(pin string) error {
	l, err := link.LoadPinnedLink(pin, nil)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.Detach(); err != nil {
		return err
	}
	return os.Remove(pin)
}

// detachAll does so with every pinned link of a folder.
func detachAll(dir string) error {
	pins, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, p := range pins {
		if one := detach(filepath.Join(dir, p.Name())); one != nil {
			err = errors.Join(err, fmt.Errorf("detach %s: %w", p.Name(), one))
		}
	}
	return err
}

// pinnedOn is the device that a pinned link is attached to: 0 when there is no link, or its device is gone.
func (c *Core) pinnedOn(device, hook string) (int, error) {
	l, err := link.LoadPinnedLink(c.linkPin(device, hook), nil)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("re-open %s link of %s: %w", hook, device, err)
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return 0, fmt.Errorf("look at the %s link of %s: %w", hook, device, err)
	}
	return attachedTo(info), nil
}

func attachedTo(info *link.Info) int {
	if x := info.XDP(); x != nil {
		return int(x.Ifindex)
	}
	if x := info.TCX(); x != nil {
		return int(x.Ifindex)
	}
	return 0
}

// isNew tells whether none of our programs stands on the device.
func (c *Core) isNew(name string, ifindex int) (bool, error) {
	for _, hook := range linkHooks {
		if on, err := c.pinnedOn(name, hook); err != nil || on == ifindex {
			return false, err
		}
	}
	return true, nil
}

// guard attaches what the device needs and lets the programs know it. A device that does not exist is no error. kept: why
// the name's former device could not be let go.
func (c *Core) guard(name string, kept error) (PortStatus, error) {
	s := PortStatus{Name: name, Tunnel: c.devices.tunnel[name]}
	l, err := netlink.LinkByName(name)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return s, c.showDevice(name, 0, MAC{})
	}
	if err != nil {
		return s, fmt.Errorf("look for device %s: %w", name, err)
	}
	attrs := l.Attrs()
	s.Index, s.Up = attrs.Index, attrs.Flags&net.FlagUp != 0
	if kept != nil {
		return s, kept
	}
	if s.Up {
		fresh, err := c.isNew(name, s.Index)
		if err == nil && fresh {
			err = c.takeDown(&s) // until it is guarded
		}
		if err != nil {
			return s, err
		}
	}
	ingress, egress := c.objects.PortIn, c.objects.PortOut
	if s.Tunnel {
		ingress, egress = c.objects.TunnelIn, c.objects.TunnelOut
	} else if len(attrs.HardwareAddr) != 6 {
		return s, fmt.Errorf("guard port %s: no Ethernet device (hardware address %q)", name, attrs.HardwareAddr)
	}
	if err := c.hold(name, "egress", s.Index, egress, attachTCX(egress, s.Index, ebpf.AttachTCXEgress)); err != nil {
		return s, err
	}
	s.Egress = true
	if err := c.hold(name, "ingress", s.Index, ingress, attachTCX(ingress, s.Index, ebpf.AttachTCXIngress)); err != nil {
		return s, err
	}
	s.Ingress = true
	if s.Tunnel {
		return s, c.showDevice(name, s.Index, MAC{})
	}
	if err := plainFrames(c.features, name); err != nil {
		return s, err
	}
	if err := c.holdClassifier(name, s.Index, attrs.MTU); err != nil {
		return s, err
	}
	if err := isNative(name); err != nil {
		return s, err
	}
	if err := plainFrames(c.features, name); err != nil { // attaching turns GRO on again on a veth
		return s, err
	}
	if err := c.showDevice(name, s.Index, MAC(attrs.HardwareAddr)); err != nil {
		return s, err
	}
	s.Native = true
	return s, c.openExit(name, s.Index)
}

// plainMTU is up to where every driver keeps a frame in one buffer.
const plainMTU = 1500

// holdClassifier guards a port by the program that its frames need. Where they may be longer than a buffer, a driver that
// does not know frames of several buffers takes the plain program, if its buffers are large enough.
func (c *Core) holdClassifier(name string, ifindex, mtu int) error {
	if mtu > plainMTU {
		if err := c.needJumbo(); err != nil {
			return fmt.Errorf("guard port %s, whose MTU is %d: %w", name, mtu, err)
		}
		jumbo := c.hold(name, "xdp", ifindex, c.objects.ClassifyJumbo, attachXDP(c.objects.ClassifyJumbo, ifindex))
		if jumbo == nil {
			return nil
		}
		if err := c.hold(name, "xdp", ifindex, c.objects.Classify, attachXDP(c.objects.Classify, ifindex)); err != nil {
			return fmt.Errorf("%w; with the program for an MTU of %d: %w", err, mtu, jumbo)
		}
		return nil
	}
	return c.hold(name, "xdp", ifindex, c.objects.Classify, attachXDP(c.objects.Classify, ifindex))
}

// openExit lets packets be redirected to a port, through the egress program.
func (c *Core) openExit(name string, ifindex int) error {
	err := openExit(c.objects.EgressPorts, c.objects.Leave, name, ifindex)
	if c.objects.LeaveJumbo != nil {
		err = errors.Join(err, openExit(c.objects.EgressPortsJumbo, c.objects.LeaveJumbo, name, ifindex))
	}
	return err
}

func openExit(exits *ebpf.Map, leave *ebpf.Program, name string, ifindex int) error {
	info, err := leave.Info()
	if err != nil {
		return fmt.Errorf("look at the egress program: %w", err)
	}
	id, _ := info.ID()
	var now programsBpfDevmapVal // read back, it holds the program's id
	err = exits.Lookup(uint32(ifindex), &now)
	if err == nil && now.Ifindex == uint32(ifindex) && ebpf.ProgramID(now.BpfProg.Fd) == id {
		return nil
	}
	exit := programsBpfDevmapVal{Ifindex: uint32(ifindex)}
	exit.BpfProg.Fd = int32(leave.FD())
	if err := exits.Put(uint32(ifindex), exit); err != nil {
		return fmt.Errorf("let packets be redirected to port %s: %w", name, err)
	}
	return nil
}

func attachXDP(p *ebpf.Program, ifindex int) func() (link.Link, error) {
	return func() (link.Link, error) {
		return link.AttachXDP(link.XDPOptions{Program: p, Interface: ifindex, Flags: link.XDPDriverMode})
	}
}

// attachTCX puts p first in the device's chain.
func attachTCX(p *ebpf.Program, ifindex int, at ebpf.AttachType) func() (link.Link, error) {
	return func() (link.Link, error) {
		return link.AttachTCX(link.TCXOptions{Program: p, Interface: ifindex, Attach: at, Anchor: link.Head()})
	}
}

// hold makes the pinned link of a device run program p. A link of a device that was since deleted is severed: it is replaced.
func (c *Core) hold(device, hook string, ifindex int, p *ebpf.Program, attach func() (link.Link, error)) error {
	pin := c.linkPin(device, hook)
	l, err := link.LoadPinnedLink(pin, nil)
	if err == nil {
		defer l.Close()
		done, err := adopt(l, ifindex, p)
		if err != nil {
			return fmt.Errorf("renew %s program of %s: %w", hook, device, err)
		}
		if done {
			return nil
		}
		if err := os.Remove(pin); err != nil {
			return fmt.Errorf("forget the severed %s link of %s: %w", hook, device, err)
		}
		l.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("re-open %s link of %s: %w", hook, device, err)
	}
	fresh, err := attach()
	if err != nil {
		return fmt.Errorf("attach %s program to %s: %w; the driver must do it natively, and nobody else may hold the place", hook, device, err)
	}
	defer fresh.Close()
	if err := fresh.Pin(pin); err != nil {
		return fmt.Errorf("pin %s link of %s: %w", hook, device, err)
	}
	return nil
}

// adopt moves a pinned link to program p; false when the link's device is gone.
func adopt(l link.Link, ifindex int, p *ebpf.Program) (bool, error) {
	info, err := l.Info()
	if err != nil {
		return false, err
	}
	switch attachedTo(info) {
	case ifindex:
	case 0:
		return false, nil
	default: // renamed since letRenamedGo looked; the next scan takes it down
		return false, fmt.Errorf("it stands on device %d", attachedTo(info))
	}
	mine, err := p.Info()
	if err != nil {
		return false, err
	}
	if id, ok := mine.ID(); ok && id == info.Program {
		return true, nil
	}
	if err := l.Update(p); errors.Is(err, unix.ENOLINK) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, nil
}

// isNative refuses anything but driver mode.
func isNative(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("look at the XDP program of %s: %w", name, err)
	}
	if x := l.Attrs().Xdp; x == nil || !x.Attached || x.AttachMode != nl.XDP_ATTACHED_DRV {
		return fmt.Errorf("guard port %s: its XDP program does not run in the driver", name)
	}
	return nil
}
