package linelab

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
	"github.com/sekisho/sekisho/dataplane/tunnel/talk"
)

const farCommand = "linelab-region"

// Main replaces netlab.Main: the test binary is also the regions' process.
func Main(m *testing.M) int {
	if len(os.Args) > 2 && os.Args[1] == farCommand {
		err := runFar(os.Args[2])
		fmt.Fprintln(os.Stderr, "region:", err)
		return 1
	}
	return netlab.Main(m)
}

// far is a region's file.
type far struct {
	Devices []farDevice
	Addrs   []netip.Prefix // of the region
	Gate    []netip.Prefix // of the gate; routes to them follow what the gate uses
	Apps    []netip.Addr
	Probe   netip.Addr
}

type farDevice struct {
	Device string
	Key    string
	Listen uint16
	Gate   string // public key
}

// side is what one device of a region is about.
type side struct {
	farDevice
	dev    *device.Device
	secret talk.Secret
	guard  talk.Guard
	psk    uint64
	rx     uint64
}

// region is the running process.
type region struct {
	far
	path  string
	mu    sync.Mutex
	sides []*side
	used  int64 // when the gate sent what the routes follow
	parts map[uint64]map[uint16][]byte
	plan  uint64
}

func runFar(path string) error {
	r := &region{path: path, parts: map[uint64]map[uint16][]byte{}}
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &r.far)
	}
	if err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	for _, a := range r.Addrs {
		if err := netlink.AddrReplace(lo, &netlink.Addr{IPNet: ipNet(a)}); err != nil {
			return err
		}
	}
	for _, d := range r.Devices {
		s, err := r.open(d)
		if err != nil {
			return fmt.Errorf("%s: %w", d.Device, err)
		}
		r.sides = append(r.sides, s)
	}
	if err := r.follow(0); err != nil {
		return err
	}
	for _, s := range r.sides {
		for port := talk.Port; port < talk.Port+8; port++ {
			if err := r.serve(s, uint16(port), r.answer); err != nil {
				return err
			}
		}
		if err := r.serve(s, 7, func(_ *side, b []byte) []byte { return b }); err != nil {
			return err
		}
	}
	for _, a := range r.Apps {
		if err := serveApp(a); err != nil {
			return err
		}
	}
	select {}
}

func (r *region) open(d farDevice) (*side, error) {
	key, err1 := wgtypes.ParseKey(d.Key)
	gate, err2 := wgtypes.ParseKey(d.Gate)
	secret, err3 := talk.Key(key, gate)
	td, err4 := tun.CreateTUN(d.Device, 1420)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	s := &side{farDevice: d, secret: secret, guard: talk.Guard{Run: rand.Uint64() | 1}}
	s.dev = device.NewDevice(td, conn.NewDefaultBind(), &device.Logger{Verbosef: device.DiscardLogf, Errorf: device.DiscardLogf})
	text := fmt.Sprintf("private_key=%s\nlisten_port=%d\npublic_key=%s\n", hex.EncodeToString(key[:]), d.Listen, hex.EncodeToString(gate[:]))
	for _, a := range r.Gate {
		text += fmt.Sprintf("allowed_ip=%s\n", a)
	}
	if b, err := os.ReadFile(r.path + "." + d.Device + ".psk"); err == nil {
		text += fmt.Sprintf("preshared_key=%s\n", b)
	}
	if err := errors.Join(s.dev.IpcSet(text), s.dev.Up()); err != nil {
		return nil, err
	}
	l, err := netlink.LinkByName(d.Device)
	if err == nil {
		err = netlink.LinkSetUp(l)
	}
	return s, err
}

// follow puts the routes to the gate into a device.
func (r *region) follow(i int) error {
	l, err := netlink.LinkByName(r.Devices[i].Device)
	if err != nil {
		return err
	}
	for _, g := range r.Gate {
		if err := netlink.RouteReplace(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: ipNet(g)}); err != nil {
			return err
		}
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// serve answers datagrams of one device on one port, by the device that they came by.
func (r *region) serve(s *side, port uint16, answer func(*side, []byte) []byte) error {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		return errors.Join(raw.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), s.Device) }), err)
	}}
	pc, err := lc.ListenPacket(context.Background(), "udp4", netip.AddrPortFrom(r.Probe, port).String())
	if err != nil {
		return err
	}
	go func() {
		b := make([]byte, talk.MaxMessage)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				continue
			}
			if a := answer(s, b[:n]); a != nil {
				_, _ = pc.WriteTo(a, from)
			}
		}
	}()
	return nil
}

func (r *region) answer(s *side, b []byte) []byte {
	now := time.Now()
	m, err := talk.Parse(b, s.secret)
	if err != nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	h := talk.HeaderOf(m)
	fresh, act := s.guard.Take(h)
	if !fresh {
		return nil
	}
	h.Far = s.guard.Run
	var a talk.Message
	switch m := m.(type) {
	case *talk.Request:
		if act && m.Use&1 != 0 && m.Sent > r.used {
			r.used = m.Sent
			for i, x := range r.sides {
				if x == s {
					if err := r.follow(i); err != nil {
						slog.Error("follow", "error", err)
					}
				}
			}
		}
		a = &talk.Reply{Header: h, Sent: m.Sent, Received: now.UnixNano(), Answered: time.Now().UnixNano(), Plan: r.plan, Psk: s.psk}
	case *talk.Size:
		a = &talk.SizeReply{Header: h, Pad: m.Pad}
	case *talk.Part:
		if r.parts[m.Hash] == nil {
			r.parts[m.Hash] = map[uint16][]byte{}
		}
		if r.parts[m.Hash][m.Index] = m.Bytes; len(r.parts[m.Hash]) == int(m.Count) {
			r.plan = m.Hash
		}
		a = &talk.PartAck{Header: h, Hash: m.Hash, Index: m.Index}
	case *talk.Psk:
		if !act {
			return nil
		}
		text := hex.EncodeToString(m.Key[:])
		gate, _ := wgtypes.ParseKey(s.Gate)
		err := os.WriteFile(r.path+"."+s.Device+".psk", []byte(text), 0o600)
		if err := errors.Join(err, s.dev.IpcSet(fmt.Sprintf("public_key=%s\npreshared_key=%s\n", hex.EncodeToString(gate[:]), text))); err != nil {
			slog.Error("pre-shared key", "error", err)
			return nil
		}
		s.psk = m.ID
		a = &talk.PskAck{Header: h, ID: m.ID}
	default:
		return nil
	}
	out, err := talk.Marshal(a, s.secret)
	if err != nil {
		return nil
	}
	return out
}

// serveApp gives back what it gets.
func serveApp(a netip.Addr) error {
	pc, err := net.ListenPacket("udp4", netip.AddrPortFrom(a, 5000).String())
	if err != nil {
		return err
	}
	go func() {
		b := make([]byte, 2048)
		for {
			if n, from, err := pc.ReadFrom(b); err == nil {
				_, _ = pc.WriteTo(b[:n], from)
			}
		}
	}()
	l, err := net.Listen("tcp4", netip.AddrPortFrom(a, 6000).String())
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				continue
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return nil
}

func contains(frame []byte, s string) bool { return bytes.Contains(frame, []byte(s)) }
