package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

const ethernetHeader = 14 // bytes

// prepareNamespace: hosts that speak no IPv6 by themselves and forward what is not theirs.
func prepareNamespace() error {
	for _, path := range []string{"ipv6/conf/all/disable_ipv6", "ipv6/conf/default/disable_ipv6", "ipv4/ip_forward"} {
		if err := os.WriteFile("/proc/sys/net/"+path, []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return run("ip", "link", "set", "lo", "up")
}

// run runs a command in the thread's network namespace.
func run(args ...string) error {
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// runAll runs commands, one a line, in a namespace.
func runAll(ns netns.NsHandle, lines string) error {
	return within(ns, func() error {
		for line := range strings.Lines(lines) {
			if args := strings.Fields(line); len(args) > 0 {
				if err := run(args...); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// wire makes all links. Frames are whole and their checksums right, as on real lines; the ends that face the gate poll, so that
// they take what its programs redirect.
func (l *tunnelLab) wire() error {
	own, err := netns.Get()
	if err != nil {
		return err
	}
	defer own.Close()
	if err := run("ip", "link", "set", "lo", "up"); err != nil {
		return err
	}
	pairs := []struct {
		ns  netns.NsHandle
		dev string
		to  netns.NsHandle
		far string
	}{
		{own, "mn0", l.station, "eth0"}, {l.tokyo, "lan0", l.app, "eth0"},
		{own, "wan0", l.carrier, "a0"}, {l.tokyo, "wan0", l.carrier, "b0"}, {l.osaka, "wan0", l.carrier, "c0"},
		{own, "wan1", l.carrier, "a1"}, {l.tokyo, "wan1", l.carrier, "b1"}, {l.osaka, "wan1", l.carrier, "c1"},
		{l.plainGate, "mn0", l.station, "eth1"}, {l.plainGate, "wan0", l.carrier, "a2"}, {l.tokyo, "wan2", l.carrier, "b2"},
	}
	for _, p := range pairs {
		if err := pairUp(p.ns, p.dev, p.to, p.far); err != nil {
			return err
		}
	}
	var bridges strings.Builder
	for i, ports := range []string{"a0 b0 c0", "a1 b1 c1", "a2 b2"} {
		fmt.Fprintf(&bridges, "ip link add br%d type bridge forward_delay 0\nip link set br%d up\n", i, i)
		for _, port := range strings.Fields(ports) {
			fmt.Fprintf(&bridges, "ip link set %s master br%d\n", port, i)
		}
	}
	return errors.Join(
		runAll(l.carrier, bridges.String()),
		l.carriersLookAtNothing(),
		runAll(l.station, `ip link set eth0 address `+labMAC+`
			ip link set eth0 mtu 1420
			ip addr add 198.18.10.11/24 dev eth0
			ip route add 198.51.100.0/24 via 198.18.10.1
			ip link set eth1 mtu 1420
			ip addr add 198.18.30.11/24 dev eth1
			ip route add 203.0.113.0/24 via 198.18.30.1`),
		runAll(l.app, `ip addr add 198.51.100.11/32 dev eth0
			ip addr add 203.0.113.11/32 dev eth0
			ip link set eth0 mtu 1420
			ip route add default dev eth0 onlink via 198.51.100.2`),
		runAll(l.tokyo, `ip addr add 192.0.2.11/25 dev wan0
			ip addr add 192.0.2.139/25 dev wan1
			ip addr add 192.0.3.2/24 dev wan2
			ip addr add 198.51.100.2/32 dev lan0
			ip route add 198.51.100.11/32 dev lan0
			ip route add 203.0.113.11/32 dev lan0`),
		runAll(l.osaka, `ip addr add 192.0.2.12/25 dev wan0
			ip addr add 192.0.2.140/25 dev wan1`),
		runAll(l.plainGate, `ip addr add 198.18.30.1/24 dev mn0
			ip addr add 192.0.3.1/24 dev wan0`),
	)
}

// carriersLookAtNothing keeps the bridges from asking the machine's packet filters about each frame.
func (l *tunnelLab) carriersLookAtNothing() error {
	return within(l.carrier, func() error {
		for _, filter := range []string{"arptables", "ip6tables", "iptables"} {
			err := os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-"+filter, []byte("0"), 0)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		return nil
	})
}

func pairUp(ns netns.NsHandle, dev string, to netns.NsHandle, far string) error {
	return within(ns, func() error {
		v := netlink.NewVeth(netlink.NewLinkAttrs())
		v.Name, v.PeerName, v.PeerNamespace = dev, far, netlink.NsFd(to)
		if err := netlink.LinkAdd(v); err != nil {
			return fmt.Errorf("make the veth %s: %w", dev, err)
		}
		for ns, dev := range map[netns.NsHandle]string{ns: dev, to: far} {
			err := within(ns, func() error {
				return errors.Join(run("ethtool", "-K", dev, "tx", "off", "tso", "off", "gso", "off", "txvlan", "off"), run("ip", "link", "set", dev, "up"))
			})
			if err != nil {
				return err
			}
		}
		if dev == "lan0" {
			return nil
		}
		return within(to, func() error { return run("ethtool", "-K", far, "gro", "on") })
	})
}

const (
	// carrierBurst is for how long a carrier that was kept from sending may catch up, s. Shorter, it loses rate whenever this
	// machine keeps it waiting, which no line does; what the gate sends above the contract then stays in its queue.
	carrierBurst = 0.02
	// carrierPeak is how much faster it goes while it catches up: a burst of the gate takes five sixths of what it takes on the line.
	carrierPeak = 1.2
	peakBytes   = 6000 // that pass at once
)

// limit makes the carriers give what the contract says, and no more. What a contract counts is IP packets.
func (l *tunnelLab) limit() error {
	return within(l.carrier, func() error {
		for _, port := range []string{"a0", "b0", "a1", "b1"} {
			exec.Command("tc", "qdisc", "del", "dev", port, "root").Run() //nolint:errcheck // there may be none
			if l.shape.unlimited {
				continue
			}
			bytesIn100ms := fmt.Sprint(l.shape.rate / 8 / 10)
			if err := run("tc", "qdisc", "add", "dev", port, "root", "handle", "1:", "stab", "overhead", fmt.Sprint(-ethernetHeader), "linklayer", "ethernet",
				"tbf", "rate", fmt.Sprint(l.shape.rate), "burst", fmt.Sprint(max(int(carrierBurst*float64(l.shape.rate)/8), 16000)), "limit", bytesIn100ms,
				"peakrate", fmt.Sprint(uint64(carrierPeak*float64(l.shape.rate))), "mtu", fmt.Sprint(peakBytes)); err != nil {
				return err
			}
		}
		return nil
	})
}

// counted is what a device has sent, IP bytes without Ethernet.
func counted(ns netns.NsHandle, device string) (n uint64, err error) {
	err = within(ns, func() error {
		link, err := netlink.LinkByName(device)
		if err == nil {
			s := link.Attrs().Statistics
			n = s.TxBytes - s.TxPackets*ethernetHeader
		}
		return err
	})
	return n, err
}
