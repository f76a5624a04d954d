package tunnel_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/tunnel/linelab"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

func TestMTUIsFoundInsideTheTunnel(t *testing.T) {
	cases := []struct {
		name   string
		narrow func(t *testing.T)
	}{
		{"the carrier says that packets are too big", func(t *testing.T) {
			netlab.Run(t, "carrier0", "ip", "link", "set", "tokyo", "mtu", "1400")
		}},
		{"the carrier loses them in silence", func(t *testing.T) {
			netlab.Run(t, "carrier0", "nft", "add rule ip cut forward ip length > 1400 drop")
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newTown(t)
			c.narrow(t)
			w.waitAll(t, "up")
			netlab.Until(t, 40*time.Second, "the MTU of both lines", func() bool {
				return w.status(t, "tokyo-0").Passes > 0 && w.status(t, "tokyo-1").Passes > 0 && w.status(t, "tokyo-0").MTU == w.status(t, "tokyo-0").Passes
			})
			// 60 bytes of cost, and what is encrypted is a multiple of 16.
			if st := w.status(t, "tokyo-0"); st.Passes < 1324 || st.Passes > 1340 || st.MTU != st.Passes || st.LineMTU != 1500 {
				t.Errorf("narrow line: %d pass, device %d, line %d; want 1324..1340 in the device too, and 1500", st.Passes, st.MTU, st.LineMTU)
			}
			if st := w.status(t, "tokyo-1"); st.Passes != 1420 || st.MTU != 1420 || st.Trouble != "" {
				t.Errorf("other line: %d pass, device %d, %q; want 1420 and no trouble", st.Passes, st.MTU, st.Trouble)
			}
			// One that is set too large is named.
			w.specs[0].MTU = 1400
			if err := w.set.Apply(t.Context(), w.specs); err != nil {
				t.Fatal(err)
			}
			w.set.Close()
			w.open(t)
			netlab.Until(t, 40*time.Second, "trouble with MTU 1400", func() bool { return strings.Contains(w.status(t, "tokyo-0").Trouble, "1400") })
		})
	}
}

// Garbage at the ports, as fast as one can send it, must neither end a tunnel nor stop the others.
func TestGarbageAtThePort(t *testing.T) {
	w := newTown(t)
	w.waitAll(t, "up")
	stream := w.Tokyo.Stream(t, 10*time.Millisecond)
	sent := 0
	netlab.Do(t, "carrier0", func() error { // the line itself is hostile
		c, err := net.Dial("udp4", "192.0.2.1:51820")
		if err != nil {
			return err
		}
		defer c.Close()
		b := make([]byte, 148)
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end); sent++ {
			b[0] = byte(1 + sent%4) // a handshake's, an answer's, a cookie's, data's type
			binary.BigEndian.PutUint64(b[8:], uint64(sent)*0x9e3779b97f4a7c15)
			_, _ = c.Write(b[:32+sent%117])
		}
		return nil
	})
	seen := stream()
	t.Logf("%d datagrams of garbage; %d of %d of ours lost", sent, seen.Lost, seen.Sent)
	if sent < 1000 || seen.Lost == seen.Sent {
		t.Errorf("nothing came through beside %d datagrams of garbage", sent)
	}
	netlab.Until(t, 5*time.Second, "the tunnels stand", func() bool {
		return w.status(t, "tokyo-1").State == "up" && w.status(t, "osaka-1").State == "up" && w.way("tokyo") != ""
	})
	stream = w.Tokyo.Stream(t, 5*time.Millisecond)
	time.Sleep(300 * time.Millisecond)
	if seen := stream(); seen.Lost > 0 {
		t.Errorf("%d of %d datagrams lost after the garbage, want none", seen.Lost, seen.Sent)
	}
}

// The daemon's part of what tunnels cost when nothing is sent; engines come on top.
func TestIdleCost(t *testing.T) {
	w := newTown(t)
	w.waitAll(t, "up")
	time.Sleep(3 * time.Second) // the search for the MTU is over
	for i := range 2 {
		w.set.Classes(linelab.Device(i), []uint8{1, 2, 3, 4})
	}
	self, all := cpu(t), engines(t)
	const span = 10 * time.Second
	time.Sleep(span)
	self, all = cpu(t)-self, engines(t)-all
	t.Logf("of a core: %.2f %% by the daemon, %.2f %% by two engines", 100*self.Seconds()/span.Seconds(), 100*all.Seconds()/span.Seconds())
	if self > span/50 { // half of it on a machine that does nothing else
		t.Errorf("asking four ends in four queues took %s of %s, want at most 2 %%", self, span)
	}
}

func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// engines is what the engines of this namespace have used.
func engines(t *testing.T) (sum time.Duration) {
	t.Helper()
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range stats {
		var pid int
		fmt.Sscanf(f, "/proc/%d", &pid)
		b, err := os.ReadFile(f)
		if err != nil || pid == os.Getpid() || !sameNet(pid) {
			continue
		}
		var user, system int64
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
		sum += time.Duration(user+system) * 10 * time.Millisecond
	}
	return sum
}
