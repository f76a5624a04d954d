package tunnel

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// What waits comes in one read, in order and nothing missing; a reader that finds nothing waits, and closing ends it.
func TestReadTakesAllPacketsThatWait(t *testing.T) {
	const device, sent = "batch0", 200
	ns := netlab.New(t, "batch")
	var d tun.Device
	netlab.Do(t, ns, func() error {
		f, err := attachTUN(device, false)
		if err != nil {
			return err
		}
		defer f.Close()
		fd, err := unix.Dup(int(f.Fd()))
		if err != nil {
			return err
		}
		d, _, err = newBatched(fd)
		return err
	})
	defer d.Close()
	netlab.Run(t, ns, "ip", "addr", "add", "198.51.100.1/24", "dev", device)
	netlab.Run(t, ns, "ip", "link", "set", device, "up")
	var c net.Conn
	netlab.Do(t, ns, func() (err error) {
		c, err = net.Dial("udp4", "198.51.100.2:9")
		return err
	})
	defer c.Close()
	for i := range sent {
		if _, err := c.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	bufs, sizes := make([][]byte, 2*readAtOnce), make([]int, 2*readAtOnce)
	for i := range bufs {
		bufs[i] = make([]byte, 2048)
	}
	const offset, ours = 16, 20 + 8 + 1
	reads, got := 0, 0
	for got < sent {
		n, err := d.Read(bufs, sizes, offset)
		if err != nil {
			t.Fatal(err)
		}
		if reads++; n > readAtOnce {
			t.Errorf("%d packets at once, want at most %d", n, readAtOnce)
		}
		for i := range n {
			p := bufs[i][offset : offset+sizes[i]]
			if p[0]>>4 != 4 || len(p) != ours {
				continue // what the kernel says by itself
			}
			if p[ours-1] != byte(got) {
				t.Fatalf("packet %d carries %d", got, p[ours-1])
			}
			got++
		}
	}
	if reads > 1+sent/readAtOnce+2 {
		t.Errorf("%d packets took %d reads of at most %d", sent, reads, readAtOnce)
	}
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := d.Read(bufs, sizes, offset); err != nil {
				ended <- err
				return
			}
		}
	}()
	select {
	case err := <-ended:
		t.Fatalf("a read with nothing to read: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed while it waits: %v, want %v", err, os.ErrClosed)
	}
}
