package tunnel

import (
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// A line that takes less than what is handed to it must not take the packets beside along.
func TestPacketsThatAreTooLongAreLostAlone(t *testing.T) {
	ns, far := netlab.New(t, "bind"), netlab.New(t, "bound")
	netlab.Veth(t, ns, "short0", far, "eth0")
	netlab.Run(t, ns, "ip", "addr", "add", "192.0.2.1/24", "dev", "short0")
	netlab.Run(t, far, "ip", "addr", "add", "192.0.2.11/24", "dev", "eth0")
	netlab.Run(t, ns, "ip", "link", "set", "short0", "mtu", "1300")
	b := newBind()
	defer b.Close()
	netlab.Do(t, ns, func() error {
		_, _, err := b.Open(51820)
		if err == nil {
			outerUnfragmented()
		}
		return err
	})
	var c net.PacketConn
	netlab.Do(t, far, func() (err error) {
		c, err = net.ListenPacket("udp4", "192.0.2.11:51820")
		return err
	})
	defer c.Close()
	to, err := b.ParseEndpoint("192.0.2.11:51820")
	if err != nil {
		t.Fatal(err)
	}
	packet := func(n, mark int) []byte {
		p := make([]byte, n, 1<<16)
		p[0] = byte(mark)
		return p
	}
	if err := b.Send([][]byte{packet(1000, 1), packet(1400, 2), packet(1400, 3), packet(200, 4), packet(1000, 5), packet(1000, 6)}, to); err != nil {
		t.Errorf("a batch of which some are too long: %v", err)
	}
	if err := b.Send([][]byte{packet(1400, 7)}, to); !errors.Is(err, unix.EMSGSIZE) {
		t.Errorf("a packet that is too long alone: %v, want %v", err, unix.EMSGSIZE)
	}
	if err := c.SetReadDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var got []int
	buf := make([]byte, 2048)
	for {
		_, _, err := c.ReadFrom(buf)
		if err != nil {
			break
		}
		got = append(got, int(buf[0]))
	}
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, []int{1, 4, 5, 6}) {
		t.Errorf("packets %v arrived, want 1, 4, 5 and 6", got)
	}
}
