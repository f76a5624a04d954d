package packet

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// devices gives every device name of the anchors a number that stays its own as long as the pins: tables name devices by
// number, so that a recreated device needs no new tables.
type devices struct {
	numbers map[string]uint16
	names   map[uint16]string
	tunnel  map[string]bool
	bundle  map[string]uint16 // number of the device that stands for a tunnel and others that share its segments
	wanted  []string          // of the anchors, in their order
}

const (
	maxDevices = 256
	nameSize   = 15 // IFNAMSIZ - 1
)

func (d *devices) number(name string) (uint16, bool) {
	n, ok := d.numbers[name]
	return n, ok
}

func (d *devices) name(n uint16) string { return d.names[n] }

// openDevices numbers the devices of the anchors; those that the pins know keep their numbers.
func (c *Core) openDevices() error {
	d := &devices{numbers: map[string]uint16{}, names: map[uint16]string{}, tunnel: map[string]bool{}, bundle: map[string]uint16{}}
	pinned, err := values[programsDevice](c.objects.Devices)
	if err != nil {
		return err
	}
	for n, v := range pinned {
		if name := cString(v.Name); name != "" {
			d.numbers[name], d.names[uint16(n)] = uint16(n), name
		}
	}
	add := func(name string, tunnel bool) error {
		if name == "" || len(name) > nameSize {
			return fmt.Errorf("anchors: device name %q: want 1 to %d characters", name, nameSize)
		}
		if known, ok := d.tunnel[name]; ok {
			if known != tunnel {
				return fmt.Errorf("anchors: device %s is both a port and a tunnel", name)
			}
			return nil
		}
		d.tunnel[name] = tunnel
		d.wanted = append(d.wanted, name)
		if _, ok := d.numbers[name]; ok {
			return nil
		}
		for n := uint16(1); n < maxDevices; n++ {
			if d.names[n] == "" {
				d.numbers[name], d.names[n] = n, name
				return nil
			}
		}
		return fmt.Errorf("anchors: device %s: more than %d devices; remove the pins to forget old ones", name, maxDevices-1)
	}
	for _, s := range c.anchors.Segments {
		if err := add(s.Port, s.Attach == anchors.AttachTunnel); err != nil {
			return err
		}
	}
	for _, t := range c.anchors.Tunnels {
		if err := add(t.Device, true); err != nil {
			return err
		}
	}
	for _, bundle := range c.anchors.Bundles() {
		for _, name := range bundle[1:] {
			d.bundle[name], d.bundle[bundle[0]] = d.numbers[bundle[0]], d.numbers[bundle[0]]
		}
	}
	c.devices = d
	return c.unbundle(pinned)
}

// unbundle lets go of bundles that these anchors do not know: what older ones joined is one place no more. The scan joins what
// they do know.
func (c *Core) unbundle(pinned []programsDevice) error {
	for n, v := range pinned {
		if v.Bundle == 0 || uint16(v.Bundle) == c.devices.bundle[cString(v.Name)] {
			continue
		}
		v.Bundle = 0
		if err := c.objects.Devices.Put(uint32(n), v); err != nil {
			return fmt.Errorf("let device %s go out of its bundle: %w", cString(v.Name), err)
		}
	}
	return nil
}

// showDevice tells the programs about a device; ifindex 0 hides it.
func (c *Core) showDevice(name string, ifindex int, mac MAC) error {
	n, ok := c.devices.number(name)
	if !ok {
		return fmt.Errorf("device %s has no number", name)
	}
	v := programsDevice{Ifindex: uint32(ifindex), Mac: mac, Tunnel: flag(c.devices.tunnel[name]), Bundle: uint8(c.devices.bundle[name])}
	for i := range len(name) {
		v.Name[i] = int8(name[i])
	}
	var old programsDevice
	if err := c.objects.Devices.Lookup(uint32(n), &old); err != nil {
		return fmt.Errorf("look up device %s: %w", name, err)
	}
	if old.Ifindex != 0 && old.Ifindex != v.Ifindex {
		if err := c.forgetIndex(old.Ifindex, n); err != nil {
			return err
		}
	}
	if old != v {
		if err := c.objects.Devices.Put(uint32(n), v); err != nil {
			return fmt.Errorf("write device %s: %w", name, err)
		}
	}
	if ifindex == 0 {
		return nil
	}
	if err := c.putIndex(uint32(ifindex), programsDeviceTags{Device: n}); err != nil {
		return fmt.Errorf("write the index of device %s: %w", name, err)
	}
	return nil
}

// putIndex says what the kernel's device with an index is to the programs.
func (c *Core) putIndex(ifindex uint32, v programsDeviceTags) error {
	if err := c.objects.DeviceIndex.Put(ifindex, v); err != nil {
		return err
	}
	if ifindex >= c.objects.DeviceLowIndex.MaxEntries() {
		return nil
	}
	return c.objects.DeviceLowIndex.Put(ifindex, v)
}

// dropIndex takes it back.
func (c *Core) dropIndex(ifindex uint32) error {
	if ifindex < c.objects.DeviceLowIndex.MaxEntries() {
		if err := c.objects.DeviceLowIndex.Put(ifindex, programsDeviceTags{}); err != nil {
			return err
		}
	}
	return c.objects.DeviceIndex.Delete(ifindex)
}

// forgetIndex removes what was known of an ifindex, if it still stands for device n.
func (c *Core) forgetIndex(ifindex uint32, n uint16) error {
	var now programsDeviceTags
	err := c.objects.DeviceIndex.Lookup(ifindex, &now)
	if err == nil && now.Device == n {
		err = c.dropIndex(ifindex)
	}
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("forget device index %d: %w", ifindex, err)
	}
	for _, exits := range []*ebpf.Map{c.objects.EgressPorts, c.objects.EgressPortsJumbo} {
		if err := exits.Delete(ifindex); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("forget egress port %d: %w", ifindex, err)
		}
	}
	return nil
}

func cString(in [16]int8) string {
	var b [16]byte
	for i, v := range in {
		b[i] = byte(v)
	}
	s, _, _ := bytes.Cut(b[:], []byte{0})
	return string(s)
}
