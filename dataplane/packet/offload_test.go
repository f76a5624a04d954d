package packet

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// stubborn is a driver of one port that keeps one feature on. Everything else is the kernel's.
type stubborn struct {
	kernelFeatures
	device, feature string
}

func (s stubborn) active(device string) (map[string]bool, error) {
	now, err := s.kernelFeatures.active(device)
	if err == nil && device == s.device {
		now[s.feature] = true
	}
	return now, err
}

func (s stubborn) off(device string, names []string) error {
	return s.kernelFeatures.off(device, slices.DeleteFunc(names, func(n string) bool { return device == s.device && n == s.feature }))
}

func TestAPortThatKeepsAnOffloadIsTakenDown(t *testing.T) {
	w := newTown(t)
	if err := w.open().Close(); err != nil { // a port that is new is taken down in any case
		t.Fatal(err)
	}
	for feature, refused := range map[string]bool{
		"rx-vlan-hw-parse": true, "rx-vlan-stag-hw-parse": true, "rx-lro": true, "rx-gro-hw": true,
		"rx-gro": false, // veth turns it on again by itself: costs precision only
	} {
		l, err := netlink.LinkByName("mn0")
		if err == nil {
			err = netlink.LinkSetUp(l)
		}
		if err != nil {
			t.Fatal(err)
		}
		c, err := Open(context.Background(), Options{
			PinDir: w.pins, Anchors: townAnchors(), Log: slog.New(slog.DiscardHandler), Flows: 4096, features: stubborn{device: "mn0", feature: feature},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range c.Status() {
			wrong := refused && s.Name == "mn0"
			if s.Guarded() == wrong || wrong && !strings.Contains(s.Error, feature) {
				t.Errorf("%s stays on at mn0: port %s: %+v", feature, s.Name, s)
			}
		}
		if l, err = netlink.LinkByName("mn0"); err != nil || (l.Attrs().RawFlags&1 == 0) != refused {
			t.Errorf("%s stays on: mn0 has flags %v (%v), want it down: %v", feature, l.Attrs().Flags, err, refused)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
