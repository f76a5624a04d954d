package linelab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
	"github.com/sekisho/sekisho/dataplane/tunnel/region"
)

const farCommand = "linelab-region"

// Main replaces netlab.Main: the test binary is also the WireGuard engine and the regions' process.
func Main(m *testing.M) int {
	if len(os.Args) > 1 && os.Args[1] == tunnel.ChildCommand {
		return tunnel.Child(context.Background(), os.Stderr)
	}
	if len(os.Args) > 3 && os.Args[1] == farCommand {
		err := serveApps(os.Args[3:])
		if err == nil {
			err = region.Run(context.Background(), os.Args[2], region.Options{})
		}
		fmt.Fprintln(os.Stderr, "region:", err)
		return 1
	}
	return netlab.Main(m)
}

// serveApps gives back what it gets at each of the addresses, which are made.
func serveApps(addrs []string) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	for _, text := range addrs {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return err
		}
		if err := netlink.AddrReplace(lo, &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(32, 32)}}); err != nil {
			return err
		}
		if err := serveApp(a); err != nil {
			return err
		}
	}
	return nil
}

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
