package packet

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// The kernel verifies each of the large programs for some tenths of a second, and not every gate needs all of them: those of
// tunnels are loaded where the anchors have one, those for frames of several buffers once a port of large MTU is to be
// guarded. All share the same maps.

var (
	portPrograms   = []string{"begin_collecting", "classify", "leave", "port_in", "port_out", "ticks_now"}
	tunnelPrograms = []string{"tunnel_in", "tunnel_out"}
	jumboPrograms  = []string{"classify_jumbo", "leave_jumbo"}
)

// slots are where each program is kept, by its name.
func (c *Core) slots() map[string]**ebpf.Program {
	o := &c.objects
	return map[string]**ebpf.Program{
		"begin_collecting": &o.BeginCollecting, "classify": &o.Classify, "leave": &o.Leave, "port_in": &o.PortIn, "port_out": &o.PortOut,
		"ticks_now": &o.TicksNow, "tunnel_in": &o.TunnelIn, "tunnel_out": &o.TunnelOut, "classify_jumbo": &o.ClassifyJumbo, "leave_jumbo": &o.LeaveJumbo,
	}
}

// hasTunnels tells whether any device of the anchors is a tunnel.
func hasTunnels(a *anchors.Anchors) bool {
	return len(a.Tunnels) > 0 || slices.ContainsFunc(a.Segments, func(s anchors.Segment) bool { return s.Attach == anchors.AttachTunnel })
}

// loadFirst makes the maps and loads what every start needs.
func (c *Core) loadFirst(opts ebpf.CollectionOptions) error {
	names := portPrograms
	if hasTunnels(c.anchors) {
		names = slices.Concat(names, tunnelPrograms)
	}
	all, err := c.loadSome(names, opts)
	if err != nil {
		return err
	}
	c.maps = maps.Clone(all.Maps)
	err = all.Assign(&struct {
		*programsMaps
		*programsVariables
	}{&c.objects.programsMaps, &c.objects.programsVariables})
	if err != nil {
		c.maps = nil
		all.Close()
		return err
	}
	c.take(all)
	return nil
}

// loadSome loads programs by name.
func (c *Core) loadSome(names []string, opts ebpf.CollectionOptions) (*ebpf.Collection, error) {
	spec := c.spec.Copy()
	for name := range spec.Programs {
		if !slices.Contains(names, name) {
			delete(spec.Programs, name)
		}
	}
	return ebpf.NewCollectionWithOptions(spec, opts)
}

// take keeps loaded programs.
func (c *Core) take(all *ebpf.Collection) {
	for name, slot := range c.slots() {
		if p := all.DetachProgram(name); p != nil {
			*slot = p
		}
	}
}

// needJumbo loads the programs for frames of several buffers, before the first port runs them. What they let go leaves by the
// ports by which packets may leave already.
func (c *Core) needJumbo() error {
	if c.objects.ClassifyJumbo != nil {
		return nil
	}
	all, err := c.loadSome(jumboPrograms, ebpf.CollectionOptions{MapReplacements: c.maps})
	if err != nil {
		return fmt.Errorf("load the programs for frames of several buffers: %w", err)
	}
	defer all.Close()
	var exits []uint32
	if err := each(c.objects.EgressPorts, func(ifindex uint32, _ programsBpfDevmapVal) { exits = append(exits, ifindex) }); err != nil {
		return err
	}
	for _, ifindex := range exits {
		if err := openExit(c.objects.EgressPortsJumbo, all.Programs["leave_jumbo"], fmt.Sprintf("#%d", ifindex), int(ifindex)); err != nil {
			return err
		}
	}
	for _, name := range jumboPrograms {
		if err := c.pinProgram(name, all.Programs[name]); err != nil {
			return err
		}
	}
	c.take(all)
	return nil
}

// pinPrograms keeps the programs nameable for whoever looks from outside; the links alone would keep them alive.
func (c *Core) pinPrograms() error {
	for name, slot := range c.slots() {
		if err := c.pinProgram(name, *slot); err != nil {
			return err
		}
	}
	return nil
}

// pinProgram replaces a program's pin; by none when p is nil.
func (c *Core) pinProgram(name string, p *ebpf.Program) error {
	path := c.path("programs", name)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace the pin of program %s: %w", name, err)
	}
	if p == nil {
		return nil
	}
	if err := p.Pin(path); err != nil {
		return fmt.Errorf("pin program %s: %w", name, err)
	}
	return nil
}
