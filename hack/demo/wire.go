package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/hack/town"
)

// patience is how long a forbidden attempt waits before it counts as unanswered: less than the second after which TCP would
// repeat its first packet, so that one attempt is one packet.
const patience = 800 * time.Millisecond

// dial opens a TCP connection from a host of the town, from one of its own addresses when one is given.
func (j *job) dial(ctx context.Context, host string, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	var c net.Conn
	err := town.In(j.name.Netns(host), func() error {
		d := net.Dialer{Timeout: 5 * time.Second}
		if from.IsValid() {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
		}
		var err error
		c, err = d.DialContext(ctx, "tcp", to.String())
		return err
	})
	return c, err
}

// browser speaks HTTPS from a host. Roots nil: the town's application servers have certificates of their own making, and
// it is not they who are examined.
func (j *job) browser(host string, roots *tls.Config) *http.Client {
	if roots == nil {
		roots = &tls.Config{InsecureSkipVerify: true}
	}
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: roots,
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			to, err := netip.ParseAddrPort(addr)
			if err != nil {
				return nil, err
			}
			return j.dial(ctx, host, netip.Addr{}, to)
		}}}
}

// fetch gets one page.
func (j *job) fetch(ctx context.Context, host, url string) (string, error) {
	c := j.browser(host, nil)
	defer c.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return string(bytes.TrimSpace(b)), err
}

// frame is an Ethernet frame as a host's own wire saw it.
type frame struct {
	bytes []byte
}

func (f frame) packet() gopacket.Packet {
	return gopacket.NewPacket(f.bytes, layers.LayerTypeEthernet, gopacket.NoCopy)
}

// source is the sender's IP address; zero when the frame carries no IP.
func (f frame) source() netip.Addr {
	switch ip := f.packet().NetworkLayer().(type) {
	case *layers.IPv4:
		a, _ := netip.AddrFromSlice(ip.SrcIP.To4())
		return a
	case *layers.IPv6:
		a, _ := netip.AddrFromSlice(ip.SrcIP)
		return a
	}
	return netip.Addr{}
}

// watch collects what arrives on a device of a namespace until stop is called. Frames that the namespace itself sends are
// not counted.
type watch struct {
	fd     int
	done   chan struct{}
	frames []frame
	err    error
}

func (j *job) watch(ns, dev string) (*watch, error) {
	w := &watch{done: make(chan struct{})}
	err := town.In(ns, func() error {
		ifc, err := net.InterfaceByName(dev)
		if err != nil {
			return err
		}
		if w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(bigEndian(unix.ETH_P_ALL))); err != nil {
			return err
		}
		return errors.Join(
			unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20),
			unix.SetsockoptTimeval(w.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50000}),
			unix.Bind(w.fd, &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_ALL), Ifindex: ifc.Index}))
	})
	if err != nil {
		return nil, fmt.Errorf("watch %s in %s: %w", dev, ns, err)
	}
	return w, nil
}

// start begins to collect; each frame is cut to its first 256 bytes.
func (w *watch) start(ctx context.Context) *watch {
	go func() {
		defer close(w.done)
		b := make([]byte, 65536)
		for ended := false; ; {
			n, from, err := unix.Recvfrom(w.fd, b, 0)
			switch {
			case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
				if ended {
					return // a whole time-out after the end, so that what was on its way is in
				}
			case err != nil:
				w.err = err
				return
			default:
				if ll, ok := from.(*unix.SockaddrLinklayer); !ok || ll.Pkttype != unix.PACKET_OUTGOING {
					w.frames = append(w.frames, frame{bytes.Clone(b[:min(n, 256)])})
				}
			}
			ended = ended || ctx.Err() != nil
		}
	}()
	return w
}

// during collects what arrives on a host's wire while f runs, and a moment longer.
func (j *job) during(host, dev string, f func() error) ([]frame, error) {
	w, err := j.watch(j.name.Netns(host), dev)
	if err != nil {
		return nil, err
	}
	defer unix.Close(w.fd)
	ctx, cancel := context.WithCancel(context.Background())
	w.start(ctx)
	ferr := f()
	cancel()
	<-w.done
	return w.frames, errors.Join(ferr, w.err)
}

// syn builds the first packet of a TCP connection as a forger would: every field as asked.
func syn(srcMAC, dstMAC packet.MAC, from, to netip.AddrPort) ([]byte, error) {
	eth := &layers.Ethernet{SrcMAC: srcMAC[:], DstMAC: dstMAC[:], EthernetType: layers.EthernetTypeIPv4}
	tcp := &layers.TCP{SrcPort: layers.TCPPort(from.Port()), DstPort: layers.TCPPort(to.Port()), Seq: 1000, SYN: true, Window: 64240}
	var ip gopacket.SerializableLayer
	if from.Addr().Is4() {
		v4 := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()}
		ip = v4
		if err := tcp.SetNetworkLayerForChecksum(v4); err != nil {
			return nil, err
		}
	} else {
		eth.EthernetType = layers.EthernetTypeIPv6
		v6 := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()}
		ip = v6
		if err := tcp.SetNetworkLayerForChecksum(v6); err != nil {
			return nil, err
		}
	}
	b := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, tcp)
	return b.Bytes(), err
}

// inject puts frames on the wire of a host.
func (j *job) inject(host string, frames ...[]byte) error {
	return town.In(j.name.Netns(host), func() error {
		ifc, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, f := range frames {
			if err := unix.Sendto(fd, f, 0, &unix.SockaddrLinklayer{Ifindex: ifc.Index, Halen: 6}); err != nil {
				return fmt.Errorf("send a frame from %s: %w", host, err)
			}
		}
		return nil
	})
}

// portMAC is the address of one of the gate's ports, which every host of its segment learns by ARP.
func (j *job) portMAC(port string) (packet.MAC, error) {
	var m packet.MAC
	err := town.In(j.name.Netns(town.Gate), func() error {
		l, err := netlink.LinkByName(port)
		if err != nil {
			return err
		}
		copy(m[:], l.Attrs().HardwareAddr)
		return nil
	})
	return m, err
}

func bigEndian(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

// unanswered tells whether an attempt ended as one does that a gate swallows: silence, not a refusal.
func unanswered(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) || isTimeout(err) }

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
