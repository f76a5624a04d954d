package packet

import (
	"context"
	"net"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// guardedOrDown fails for every Ethernet device of the gate that is up without a native program of its own.
func (w *town) guardedOrDown(what string) {
	w.t.Helper()
	links, err := netlink.LinkList()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, l := range links {
		a := l.Attrs()
		if l.Type() == "veth" && a.Flags&net.FlagUp != 0 && (a.Xdp == nil || !a.Xdp.Attached) {
			w.t.Errorf("%s: %s (device %d) is up and nothing guards it", what, a.Name, a.Index)
		}
	}
}

func (w *town) rename(from, to string) {
	w.t.Helper()
	run(w.t, "ip", "link", "set", from, "name", to)
}

// A renamed port is still plugged into its network: it is taken down before its program is let go.
func TestRenamedPortIsTakenDown(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 1}))
	index := c.portIndex(t, "mn0")
	w.rename("mn0", "spare0")
	status, err := c.Rescan(context.Background())
	if err != nil || status[0].Guarded() || status[0].Index != 0 {
		t.Errorf("renamed port: %+v, %v; want it gone", status[0], err)
	}
	l, err := netlink.LinkByIndex(index)
	if err != nil || l.Attrs().Flags&net.FlagUp != 0 {
		t.Errorf("device %d, now spare0, is up (%v)", index, err)
	}
	// Back under its name it is guarded as before, and only then set up by whoever owns it.
	w.rename("spare0", "mn0")
	if status, err = c.Rescan(context.Background()); err != nil || !status[0].Guarded() || status[0].Up {
		t.Fatalf("port under its name again: %+v, %v; want it guarded and down", status[0], err)
	}
	w.guardedOrDown("after the way back")
	w.up()
	w.serve("lgasp", "443")
	if !w.passes("mnpc", "198.18.21.11", "443") || w.reaches("mnpc", "198.18.21.11", "80") {
		t.Error("back under its name the policy does not hold as before")
	}
}

// Another device takes the name while the old one is still there and up.
func TestNameTakenByAnotherDevice(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 1}))
	old := c.portIndex(t, "mn0")
	w.rename("mn0", "spare0")
	h := w.hosts["mnpc"]
	run(t, "ip", "netns", "exec", h.ns, "ip", "link", "set", "eth0", "name", "eth9")
	w.wire(h)
	run(t, "ip", "link", "set", "mn0", "up") // somebody was quick
	status, err := c.Rescan(context.Background())
	if err != nil || !status[0].Guarded() || status[0].Index == old || status[0].Up {
		t.Errorf("the new mn0: %+v, %v; want it guarded, and down until its owner sets it up", status[0], err)
	}
	w.guardedOrDown("after the scan")
	if l, err := netlink.LinkByIndex(old); err != nil || l.Attrs().Flags&net.FlagUp != 0 {
		t.Errorf("the old device is up (%v)", err)
	}
}

// Two ports exchange their names: each is down until it is guarded as what it is called now.
func TestPortsThatSwapNames(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 1}))
	mn, in := c.portIndex(t, "mn0"), c.portIndex(t, "inw0")
	w.rename("mn0", "spare0")
	w.rename("inw0", "mn0")
	w.rename("spare0", "inw0")
	for n := range 3 {
		status, err := c.Rescan(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		w.guardedOrDown("after a scan")
		if n > 0 {
			continue
		}
		for _, s := range status {
			if s.Name == "mn0" && (s.Index != in || s.Up) || s.Name == "inw0" && (s.Index != mn || s.Up) {
				t.Errorf("after the first scan: %+v, want it down", s)
			}
		}
	}
	for _, s := range c.Status() {
		if !s.Guarded() {
			t.Errorf("after some scans: %+v", s)
		}
	}
	w.up()
	// What hangs on the cables has not changed, so nobody is where the anchors say: nothing crosses.
	w.serve("lgasp", "443")
	for _, from := range []string{"mnpc", "inweb"} {
		if w.reaches(from, "198.18.21.11", "443") {
			t.Errorf("%s crosses by the other's port", from)
		}
	}
}

// Frames for a port's new address are its own, those for the old one are not any more.
func TestPortThatChangesItsMAC(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 1}))
	w.serve("lgasp", "443")
	run(t, "ip", "link", "set", "mn0", "address", "02:00:00:00:77:77")
	if status, err := c.Rescan(context.Background()); err != nil || !status[0].Guarded() || !status[0].Up {
		t.Fatalf("after the change: %+v, %v", status[0], err)
	}
	run(t, "ip", "netns", "exec", w.hosts["mnpc"].ns, "ip", "neigh", "flush", "all")
	if !w.passes("mnpc", "198.18.21.11", "443") || !w.passes("mnpc", "2001:db8:21::11", "443") {
		t.Error("by the port's new address nothing passes")
	}
}

// Nothing but native mode guards a port: a device whose driver cannot, or whose place is taken, goes down.
func TestPortsWithoutNativeXDPGoDown(t *testing.T) {
	w := newTown(t)
	run(t, "ip", "link", "del", "mn0")
	run(t, "ip", "link", "add", "mn0", "up", "type", "bridge")
	foreign, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "GPL", Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R0, 2), asm.Return(), // let everything up the stack
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	l, err := netlink.LinkByName("inw0")
	if err != nil {
		t.Fatal(err)
	}
	held, err := link.AttachXDP(link.XDPOptions{Program: foreign, Interface: l.Attrs().Index, Flags: link.XDPGenericMode})
	if err != nil {
		t.Fatal(err)
	}
	run(t, "ip", "link", "set", "inw0", "up")
	c := w.open()
	for range 2 {
		for _, s := range c.Status() {
			l, err := netlink.LinkByName(s.Name)
			if err != nil {
				t.Fatal(err)
			}
			wrong := s.Name == "mn0" || s.Name == "inw0"
			if s.Guarded() == wrong || wrong && (s.Error == "" || s.Up || l.Attrs().Flags&net.FlagUp != 0) {
				t.Errorf("port %s: %+v, flags %v", s.Name, s, l.Attrs().Flags)
			}
		}
		run(t, "ip", "link", "set", "mn0", "up") // whoever sets it up
		run(t, "ip", "link", "set", "inw0", "up")
		if _, err := c.Rescan(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if status, err := c.Rescan(context.Background()); err != nil || !status[2].Guarded() || status[2].Name != "inw0" {
		t.Errorf("the place is free again: %+v, %v", status[2], err)
	}
}
