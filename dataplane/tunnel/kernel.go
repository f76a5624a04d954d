package tunnel

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// kernelEngine is the kernel's WireGuard on a device. It lives as long as the device.
type kernelEngine struct{ device string }

func (k kernelEngine) configure(s setup) error {
	spec, key := s.spec, s.key
	c, err := wgctrl.New()
	if err != nil {
		return fmt.Errorf("configure WireGuard on %s: %w", k.device, err)
	}
	defer c.Close()
	d, err := c.Device(k.device)
	if err != nil {
		return fmt.Errorf("configure WireGuard on %s: %w", k.device, err)
	}
	now := stateOf(d)
	conf := wgtypes.Config{PrivateKey: &key}
	if d.ListenPort != int(spec.Listen) {
		port := int(spec.Listen)
		conf.ListenPort = &port
	}
	for _, p := range d.Peers {
		if !slices.ContainsFunc(spec.Peers, func(q Peer) bool { return q.PublicKey == p.PublicKey.String() }) {
			conf.Peers = append(conf.Peers, wgtypes.PeerConfig{PublicKey: p.PublicKey, Remove: true})
		}
	}
	for _, p := range spec.Peers {
		pk, err := wgtypes.ParseKey(p.PublicKey)
		if err != nil {
			return fmt.Errorf("peer %s: public key %q: %w", p.ID, p.PublicKey, err)
		}
		keepalive := time.Duration(p.keepalive()) * time.Second
		psk := s.psk[p.ID]
		pc := wgtypes.PeerConfig{PublicKey: pk, PresharedKey: &psk, PersistentKeepaliveInterval: &keepalive}
		if p.Endpoint.IsValid() {
			pc.Endpoint = net.UDPAddrFromAddrPort(p.Endpoint)
		}
		for _, a := range p.Allowed {
			pc.AllowedIPs = append(pc.AllowedIPs, net.IPNet{IP: a.Addr().AsSlice(), Mask: net.CIDRMask(a.Bits(), a.Addr().BitLen())})
		}
		// Adding takes a prefix from whoever had it. Only what nobody shall have any more makes it necessary to begin anew, and the
		// packets of a moment are lost.
		pc.ReplaceAllowedIPs = slices.ContainsFunc(now.peer(p.PublicKey).allowed, func(a netip.Prefix) bool {
			return !slices.ContainsFunc(spec.Peers, func(q Peer) bool { return slices.Contains(q.Allowed, a) })
		})
		conf.Peers = append(conf.Peers, pc)
	}
	if err := c.ConfigureDevice(k.device, conf); err != nil {
		return fmt.Errorf("configure WireGuard on %s: %w", k.device, err)
	}
	return nil
}

func (k kernelEngine) known() (engineState, error) { return k.state() }

func (k kernelEngine) state() (engineState, error) {
	c, err := wgctrl.New()
	if err != nil {
		return engineState{}, fmt.Errorf("read WireGuard on %s: %w", k.device, err)
	}
	defer c.Close()
	d, err := c.Device(k.device)
	if err != nil {
		return engineState{}, fmt.Errorf("read WireGuard on %s: %w", k.device, err)
	}
	return stateOf(d), nil
}

func stateOf(d *wgtypes.Device) engineState {
	st := engineState{at: time.Now(), listen: uint16(d.ListenPort)}
	for _, p := range d.Peers {
		x := PeerState{
			PublicKey: base64.StdEncoding.EncodeToString(p.PublicKey[:]), Handshake: p.LastHandshakeTime,
			Rx: uint64(p.ReceiveBytes), Tx: uint64(p.TransmitBytes),
		}
		for _, n := range p.AllowedIPs {
			if a, ok := netip.AddrFromSlice(n.IP); ok {
				ones, _ := n.Mask.Size()
				x.allowed = append(x.allowed, netip.PrefixFrom(a.Unmap(), ones))
			}
		}
		st.peers = append(st.peers, x)
	}
	return st
}
