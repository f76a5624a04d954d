package backstop

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// The backstop cuts a zone off by itself: packets carry the packet core's mark here, whatever they are.
func TestIsolatedZone(t *testing.T) {
	newTown(t, magic<<16)
	o := options(t)
	pair := [][2]net1{{nets[0], nets[1]}, {nets[1], nets[0]}, {nets[1], nets[2]}, {nets[2], nets[1]}}
	for _, zone := range []anchors.Zone{anchors.None, anchors.MyNumber, anchors.LGWAN, anchors.Internet} {
		t.Run(zone.String(), func(t *testing.T) {
			o.Isolated = []anchors.Zone{zone}
			if zone == anchors.None {
				o.Isolated = nil
			}
			install(t, o)
			for _, v := range []int{4, 6} {
				for _, p := range pair {
					want, before := p[0].zone != zone && p[1].zone != zone, count(t, forwardIsolated)
					if got := arrives(t, want, p[0].ns(), "", p[1].ns(), p[1].addr(v, 2)); got != want {
						t.Errorf("IPv%d %s -> %s arrives = %v, want %v", v, p[0].zone, p[1].zone, got, want)
					}
					if counted := count(t, forwardIsolated) > before; counted == want {
						t.Errorf("IPv%d %s -> %s: counted as isolated: %v", v, p[0].zone, p[1].zone, counted)
					}
				}
				for _, n := range nets[:4] {
					want := n.zone != zone
					if got := arrives(t, want, n.ns(), "", "", n.addr(v, 1)); got != want {
						t.Errorf("IPv%d %s -> the gate arrives = %v, want %v", v, n.zone, got, want)
					}
				}
			}
		})
	}
}

// Neighbours find each other whatever is cut off: who comes back is there at once.
func TestNeighboursOfAnIsolatedZoneFindTheGate(t *testing.T) {
	newTown(t, magic<<16)
	o := options(t)
	o.Isolated = []anchors.Zone{anchors.MyNumber}
	install(t, o)
	for _, x := range []struct{ own, far, ns, device string }{
		{"2001:db8:10::1", "2001:db8:10::2", "mn", "eth0"}, {"198.18.10.1", "198.18.10.2", "mn", "eth0"},
	} {
		netlab.Run(t, x.ns, "ip", "neigh", "flush", "all")
		netlab.Run(t, "", "ip", "neigh", "flush", "all")
		netlab.Do(t, x.ns, func() error {
			if exec.Command("ping", "-n", "-c", "1", "-W", "1", x.own).Run() == nil {
				t.Errorf("%s answers a station that is cut off", x.own)
			}
			out, err := exec.Command("ip", "neigh", "show", x.own).CombinedOutput()
			if !strings.Contains(string(out), "lladdr") {
				t.Errorf("a station that is cut off does not find %s: %s", x.own, out)
			}
			return err
		})
		_ = exec.Command("ping", "-n", "-c", "1", "-W", "1", x.far).Run() // refused
		if out := netlab.Run(t, "", "ip", "neigh", "show", x.far); !strings.Contains(out, "lladdr") {
			t.Errorf("the gate does not find %s: %s", x.far, out)
		}
	}
}

func TestNothingIsSentToAnIsolatedZone(t *testing.T) {
	newTown(t, magic<<16)
	netlab.Run(t, "", "ip", "link", "add", "wg0", "type", "veth", "peer", "name", "far0")
	netlab.Run(t, "", "ip", "link", "set", "far0", "up")
	netlab.Run(t, "", "ip", "link", "set", "wg0", "up")
	netlab.Run(t, "", "ip", "addr", "add", "198.51.100.62/32", "dev", "wg0")
	netlab.Run(t, "", "ip", "route", "add", "198.51.100.0/26", "dev", "wg0", "src", "198.51.100.62")
	netlab.Run(t, "", "ip", "neigh", "add", "198.51.100.1", "lladdr", "02:00:00:00:00:01", "dev", "wg0")
	t.Cleanup(func() { netlab.Run(t, "", "ip", "link", "del", "wg0") })
	o := options(t)
	for _, x := range []struct {
		name, user, to, options string
		zone                    anchors.Zone
		sent                    bool
	}{
		{"a service", "root", "198.18.40.2:514", "", anchors.MyNumber, true},
		{"a service of the zone", "root", "198.18.40.2:514", "", anchors.Management, false},
		{"the engine", place.TunnelUser, "192.0.2.2:51821", "sourceport=51820", anchors.MyNumber, true},
		{"the engine on the line", place.TunnelUser, "192.0.2.2:51821", "sourceport=51820", anchors.Uplink, false},
		{"into the tunnel", "root", "198.51.100.1:7", "", anchors.LGWAN, true},
		{"into the tunnel of the zone", "root", "198.51.100.1:7", "", anchors.MyNumber, false},
		{"into the tunnel on the line", "root", "198.51.100.1:7", "", anchors.Uplink, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			o.Isolated = []anchors.Zone{x.zone}
			install(t, o)
			allowed, isolated := count(t, outputAllowed), count(t, outputIsolated)
			uid, gid := ids(t, x.user)
			arg := "UDP4-SENDTO:" + x.to
			if x.options != "" {
				arg += "," + x.options
			}
			cmd := exec.Command("socat", "-u", "-", arg)
			cmd.Stdin = strings.NewReader("x")
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
			_, _ = cmd.CombinedOutput() // a dropped packet is an error to its sender
			for deadline := time.Now().Add(time.Second); count(t, outputAllowed) == allowed && count(t, outputIsolated) == isolated && time.Now().Before(deadline); {
				time.Sleep(5 * time.Millisecond)
			}
			if sent, shut := count(t, outputAllowed) > allowed, count(t, outputIsolated) > isolated; sent != x.sent || shut == x.sent {
				t.Errorf("sent: %v, counted as isolated: %v; want it sent: %v", sent, shut, x.sent)
			}
		})
	}
}

// What comes out of a tunnel whose line is cut off goes nowhere.
func TestNothingComesOutOfATunnelOnAnIsolatedLine(t *testing.T) {
	newTown(t, magic<<16)
	region := netlab.New(t, "rg")
	netlab.Veth(t, "", "wg0", region, "eth0")
	netlab.Run(t, "", "ip", "addr", "add", "198.51.100.62/26", "dev", "wg0")
	netlab.Run(t, region, "ip", "addr", "add", "198.51.100.2/26", "dev", "eth0")
	netlab.Run(t, region, "ip", "route", "add", "default", "via", "198.51.100.62")
	netlab.Run(t, "", "sysctl", "-qw", "net.ipv4.conf.wg0.rp_filter=0")
	o := options(t)
	for _, cut := range []bool{false, true} {
		if cut {
			o.Isolated = []anchors.Zone{anchors.Uplink}
		}
		install(t, o)
		lg := nets[1]
		if got := arrives(t, !cut, region, "", lg.ns(), lg.addr(4, 2)); got == cut {
			t.Errorf("line cut off %v: a packet of the region arrives: %v", cut, got)
		}
		if got := arrives(t, !cut, lg.ns(), "", region, "198.51.100.2"); got == cut {
			t.Errorf("line cut off %v: a packet to the region arrives: %v", cut, got)
		}
		if got := arrives(t, !cut, region, "", "", "198.51.100.62"); got == cut {
			t.Errorf("line cut off %v: a packet of the region to the gate arrives: %v", cut, got)
		}
	}
}
