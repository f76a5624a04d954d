package bandwidth_test

import (
	"context"
	"encoding/binary"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// timed receives what pace sends, and tells how long each packet was under way.
func timed(t *testing.T, region string, port int) func() []time.Duration {
	t.Helper()
	var mu sync.Mutex
	var all []time.Duration
	netlab.Do(t, region, func() error {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{Port: port})
		if err != nil {
			return err
		}
		t.Cleanup(func() { c.Close() })
		go func() {
			b := make([]byte, 2048)
			for {
				n, _, err := c.ReadFrom(b)
				if err != nil {
					return
				}
				if n >= 8 {
					d := time.Since(time.Unix(0, int64(binary.BigEndian.Uint64(b))))
					mu.Lock()
					all = append(all, d)
					mu.Unlock()
				}
			}
		}()
		return nil
	})
	return func() []time.Duration {
		mu.Lock()
		defer mu.Unlock()
		out := all
		all = nil
		slices.Sort(out)
		return out
	}
}

func part(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)].Round(10 * time.Microsecond)
}

// measureDelay is how long packets of the core class wait, first on an idle line and then beside a flood of backups.
func measureDelay(t *testing.T, latency string) (idle, flooded []time.Duration) {
	t.Helper()
	region := newTunnel(t)
	p := plan()
	p.Classes[0].Latency, p.Classes[2].Latency = latency, Bulk
	if err := Apply(p); err != nil {
		t.Fatal(err)
	}
	times := timed(t, region, 5001)
	receive(t, region, 5003)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	c := dial(t, ctx, 1, 5001)
	defer c.Close()
	pace := func() []time.Duration {
		b := make([]byte, 400)
		times()
		for range 500 {
			binary.BigEndian.PutUint64(b, uint64(time.Now().UnixNano()))
			if _, err := c.Write(b); err != nil {
				t.Fatal(err)
			}
			time.Sleep(4 * time.Millisecond)
		}
		time.Sleep(200 * time.Millisecond)
		return times()
	}
	idle = pace()
	var senders sync.WaitGroup
	send(t, ctx, &senders, 3, 5003, 1300, 60*mbit)
	time.Sleep(500 * time.Millisecond)
	flooded = pace()
	stop()
	senders.Wait()
	leaf := "pfifo"
	if strings.Contains(netlab.Run(t, "", "tc", "qdisc", "show", "dev", "wg0"), "fq_codel") {
		leaf = "fq_codel"
	}
	t.Logf("core class over %s leaves, %q: idle p50 %s p99 %s, under flood p50 %s p99 %s max %s of %d packets", leaf, latency,
		part(idle, 0.5), part(idle, 0.99), part(flooded, 0.5), part(flooded, 0.99), part(flooded, 1), len(flooded))
	return idle, flooded
}

// A class that stays within its guarantee waits for hardly more than the packet that is being sent, however long others wait.
func TestFloodDelaysOthersOnly(t *testing.T) {
	idle, flooded := measureDelay(t, Interactive)
	if len(flooded) < 495 {
		t.Errorf("%d of 500 packets arrived under flood", len(flooded))
	}
	if added := part(flooded, 0.5) - part(idle, 0.5); added > 20*time.Millisecond {
		t.Errorf("half of the packets wait more than %s longer under flood, want at most 20 ms", added)
	}
}
