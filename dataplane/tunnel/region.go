package tunnel

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"

	"github.com/goccy/go-yaml"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// RegionConfig is the far end of a tunnel in labs and tests: a region's gateway in one process.
type RegionConfig struct {
	Device     string         `yaml:"device"`      // default "wg0"
	PrivateKey string         `yaml:"private-key"` // base64
	Listen     uint16         `yaml:"listen"`
	MTU        int            `yaml:"mtu"`       // default 1420
	Addresses  []netip.Prefix `yaml:"addresses"` // on the tunnel device
	Routes     []netip.Prefix `yaml:"routes"`    // into the tunnel
	Echo       uint16         `yaml:"echo"`      // UDP port of the echo; default 7, answers on the addresses
	Gate       RegionPeer     `yaml:"gate"`
}

// RegionPeer is the gate as the region sees it.
type RegionPeer struct {
	PublicKey string         `yaml:"public-key"`
	Endpoint  netip.AddrPort `yaml:"endpoint"`
	Allowed   []netip.Prefix `yaml:"allowed"`
}

// ReadRegion reads a region's file.
func ReadRegion(path string) (RegionConfig, error) {
	c := RegionConfig{Device: "wg0", MTU: 1420, Echo: 7}
	b, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("region: %w", err)
	}
	if err := yaml.UnmarshalWithOptions(b, &c, yaml.Strict()); err != nil {
		return c, fmt.Errorf("region %s: %w", path, err)
	}
	return c, nil
}

// Region runs a region's gateway in this network namespace until ctx ends; its device goes with it. Ready, when not nil, is
// closed once the tunnel and the echo stand.
func Region(ctx context.Context, c RegionConfig, log *slog.Logger, ready chan<- struct{}) error {
	key, err := wgtypes.ParseKey(c.PrivateKey)
	if err != nil {
		return fmt.Errorf("region: private-key: %w", err)
	}
	if _, err := base64.StdEncoding.DecodeString(c.Gate.PublicKey); err != nil {
		return fmt.Errorf("region: public-key of the gate: %w", err)
	}
	f, err := attachTUN(c.Device, false)
	if err != nil {
		return fmt.Errorf("region: %w", err)
	}
	fd, err := unix.Dup(int(f.Fd()))
	f.Close()
	if err != nil {
		return fmt.Errorf("region: %w", err)
	}
	td, _, err := tun.CreateUnmonitoredTUNFromFD(fd)
	if err != nil {
		return fmt.Errorf("region: TUN %s: %w", c.Device, err)
	}
	dev := device.NewDevice(td, conn.NewDefaultBind(), logTo(os.Stderr, c.Device))
	defer dev.Close()
	if err := c.setUp(dev, key); err != nil {
		return fmt.Errorf("region: %w", err)
	}
	stopped, err := c.echo(ctx)
	if err != nil {
		return fmt.Errorf("region: %w", err)
	}
	log.Info("region is up", "device", c.Device, "public-key", key.PublicKey().String())
	if ready != nil {
		close(ready)
	}
	<-ctx.Done()
	<-stopped
	return nil
}

func (c RegionConfig) setUp(dev *device.Device, key wgtypes.Key) error {
	// The gate begins. When both ends do at once, each answers the other's handshake and drops its own: neither comes about, and
	// both wait 5 s before they try again.
	spec := Spec{Listen: c.Listen, Peers: []Peer{{ID: "gate", PublicKey: c.Gate.PublicKey, Endpoint: c.Gate.Endpoint, Allowed: c.Gate.Allowed, Keepalive: -1}}}
	text, err := uapiSet(spec, key, engineState{})
	if err != nil {
		return err
	}
	if err := dev.IpcSet(text); err != nil {
		return fmt.Errorf("configure WireGuard: %w", err)
	}
	l, err := netlink.LinkByName(c.Device)
	if err != nil {
		return err
	}
	if err := quiet(c.Device); err != nil {
		return err
	}
	if err := errors.Join(netlink.LinkSetMTU(l, c.MTU), netlink.LinkSetUp(l)); err != nil {
		return fmt.Errorf("device %s: %w", c.Device, err)
	}
	for _, p := range c.Addresses {
		a := &netlink.Addr{IPNet: ipNet(p), Flags: unix.IFA_F_NODAD}
		if err := netlink.AddrReplace(l, a); err != nil {
			return fmt.Errorf("address %s: %w", p, err)
		}
	}
	for _, p := range c.Routes {
		if err := netlink.RouteReplace(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: ipNet(p)}); err != nil {
			return fmt.Errorf("route %s: %w", p, err)
		}
	}
	return dev.Up()
}

// echo answers UDP with what it got (RFC 862) on every address.
func (c RegionConfig) echo(ctx context.Context) (<-chan struct{}, error) {
	stopped := make(chan struct{})
	var conns []net.PacketConn
	for _, p := range c.Addresses {
		pc, err := net.ListenPacket("udp", netip.AddrPortFrom(p.Addr(), c.Echo).String())
		if err != nil {
			return nil, fmt.Errorf("echo: %w", err)
		}
		conns = append(conns, pc)
		go func() {
			b := make([]byte, 2048)
			for {
				n, from, err := pc.ReadFrom(b)
				if err != nil {
					return // closed
				}
				_, _ = pc.WriteTo(b[:n], from) // a lost answer is a lost echo
			}
		}()
	}
	context.AfterFunc(ctx, func() {
		closeAll(conns)
		close(stopped)
	})
	return stopped, nil
}

func closeAll[T io.Closer](cs []T) {
	for _, c := range cs {
		c.Close()
	}
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
