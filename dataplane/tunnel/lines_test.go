package tunnel_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/linelab"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
	"github.com/sekisho/sekisho/dataplane/tunnel/ways"
)

// town is a gate with two lines to two regions, as far as a Set makes one.
type town struct {
	*linelab.Lab
	o     tunnel.Options
	specs []tunnel.Spec
	set   *tunnel.Set
}

// newTown builds it; osaka takes over the regions that are named.
func newTown(t *testing.T, takesOver ...string) *town {
	t.Helper()
	dir := t.TempDir()
	w := &town{o: tunnel.Options{Control: filepath.Join(dir, "control"), Keys: filepath.Join(dir, "keys"), User: place.TunnelUser,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Moved: steer}}
	keys, err := tunnel.New(w.o).PublicKeys([]string{linelab.Device(0), linelab.Device(1)})
	if err != nil {
		t.Fatal(err)
	}
	w.Lab = linelab.New(t, [2]string{keys[linelab.Device(0)], keys[linelab.Device(1)]})
	for i := range 2 {
		spec := tunnel.Spec{Device: linelab.Device(i), Line: linelab.Line(i), Listen: 51820 + uint16(i), Contract: fmt.Sprintf("line-%d", i)}
		for _, r := range []*linelab.Region{w.Tokyo, w.Osaka} {
			spec.Addrs = append(spec.Addrs, r.Gate)
			p := tunnel.Peer{ID: fmt.Sprintf("%s-%d", r.Name, i), Region: r.Name, PublicKey: r.Ends[i].Key.PublicKey().String(), Endpoint: r.Ends[i].Endpoint,
				Allowed: []netip.Prefix{r.Prefix}, Probe: netip.AddrPortFrom(r.Probe, 7)}
			if r == w.Osaka {
				p.TakesOver = takesOver
			}
			spec.Peers = append(spec.Peers, p)
		}
		w.specs = append(w.specs, spec)
	}
	for _, r := range []*linelab.Region{w.Tokyo, w.Osaka} {
		netlab.Run(t, "", "ip", "route", "replace", "unreachable", r.Prefix.String(), "metric", "4278198272")
	}
	t.Cleanup(func() {
		if err := tunnel.Remove(w.o, []string{"wg0", "wg1"}); err != nil {
			t.Error(err)
		}
		netlab.Run(t, "", "ip", "route", "flush", "table", "main", "type", "unreachable")
	})
	w.open(t)
	return w
}

// steer does what the gate does with the usual class.
func steer(w ways.Ways) error {
	for i, region := range []string{"tokyo", "osaka"} {
		l, err := netlink.LinkByName(w.Devices[ways.Stream{Region: region}])
		if err != nil {
			return err
		}
		prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(64 * i)}), 26)
		err = netlink.RouteReplace(&netlink.Route{LinkIndex: l.Attrs().Index, Scope: netlink.SCOPE_LINK,
			Dst: &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(26, 32)}, Src: net.IPv4(198, 51, 100, byte(64*i+62))})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *town) open(t *testing.T) {
	t.Helper()
	w.set = tunnel.New(w.o)
	if err := w.set.Apply(t.Context(), w.specs); err != nil {
		t.Fatal(err)
	}
	if err := steer(w.set.Ways()); err != nil {
		t.Fatal(err)
	}
	s := w.set
	t.Cleanup(func() { s.Close() })
}

func (w *town) waitAll(t *testing.T, state string) {
	t.Helper()
	netlab.Until(t, 40*time.Second, "all ends are "+state, func() bool {
		for _, st := range w.set.Status() {
			if st.State != state {
				return false
			}
		}
		return true
	})
}

// way is the end that carries a region.
func (w *town) way(region string) string {
	x := w.set.Ways()
	return x.Holders[ways.Place{Device: x.Devices[ways.Stream{Region: region}], Region: region}]
}

func (w *town) status(t *testing.T, peer string) tunnel.Status {
	t.Helper()
	for _, st := range w.set.Status() {
		if st.Peer == peer {
			return st
		}
	}
	t.Fatalf("no end %s", peer)
	return tunnel.Status{}
}

// talkTCP says something over an open connection every few milliseconds and returns what the longest wait for an answer was.
func talkTCP(t *testing.T, r *linelab.Region) (stop func() (longest time.Duration, err error)) {
	t.Helper()
	c, err := net.DialTimeout("tcp4", netip.AddrPortFrom(r.App, 6000).String(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	end, done := make(chan struct{}), make(chan error)
	var longest time.Duration
	go func() {
		b := make([]byte, len(linelab.Secret))
		for {
			select {
			case <-end:
				done <- nil
				return
			case <-time.After(5 * time.Millisecond):
			}
			at := time.Now()
			_ = c.SetDeadline(at.Add(20 * time.Second))
			if _, err := c.Write([]byte(linelab.Secret)); err != nil {
				done <- err
				return
			}
			if _, err := io.ReadFull(c, b); err != nil {
				done <- err
				return
			}
			longest = max(longest, time.Since(at))
		}
	}()
	return func() (time.Duration, error) {
		close(end)
		err := <-done
		c.Close()
		return longest, err
	}
}

func TestLineIsLeftWithinASecond(t *testing.T) {
	w := newTown(t)
	w.waitAll(t, "up")
	if got := w.way("tokyo"); got != "tokyo-0" {
		t.Fatalf("tokyo goes by %s, want the first line", got)
	}
	tcp, stream := talkTCP(t, w.Tokyo), w.Tokyo.Stream(t, 5*time.Millisecond)
	time.Sleep(500 * time.Millisecond)
	w.Cut(0)
	netlab.Until(t, 5*time.Second, "tokyo goes by the other line", func() bool { return w.way("tokyo") == "tokyo-1" })
	time.Sleep(time.Second)
	seen := stream()
	t.Logf("cut: %d of %d datagrams lost, longest gap %s", seen.Lost, seen.Sent, seen.LongestGap)
	if seen.LongestGap > time.Second || seen.LongestGap < 100*time.Millisecond {
		t.Errorf("the first answer by the other line came %s after the last by the first, want at most 1 s (and a gap at all)", seen.LongestGap)
	}
	w.Mend(0)
	mended := time.Now()
	netlab.Until(t, 5*time.Second, "the first line answers again", func() bool { return w.status(t, "tokyo-0").State == "held" })
	stream = w.Tokyo.Stream(t, 5*time.Millisecond)
	netlab.Until(t, 30*time.Second, "tokyo goes by the first line again", func() bool { return w.way("tokyo") == "tokyo-0" })
	if held := time.Since(mended); held < 10*time.Second {
		t.Errorf("it came back after %s, want at least 10 s", held)
	}
	time.Sleep(300 * time.Millisecond)
	if seen := stream(); seen.Lost > seen.Sent/100 { // some, on a machine that has no time for both ends
		t.Errorf("%d of %d datagrams lost on the way back, want next to none: both lines work", seen.Lost, seen.Sent)
	}
	if longest, err := tcp(); err != nil || longest > 2*time.Second {
		t.Errorf("TCP connection: longest wait %s, %v; want it to go on", longest, err)
	}
}

func TestAnotherRegionCarriesThePrefixes(t *testing.T) {
	w := newTown(t, "tokyo")
	w.waitAll(t, "up")
	line := [2]*netlab.Capture{netlab.Listen(t, "", "wan0"), netlab.Listen(t, "", "wan1")}
	tcp, stream := talkTCP(t, w.Osaka), w.Tokyo.Stream(t, 5*time.Millisecond)
	time.Sleep(300 * time.Millisecond)
	w.Cut(0, w.Tokyo)
	w.Cut(1, w.Tokyo)
	netlab.Until(t, 5*time.Second, "osaka carries tokyo's prefixes", func() bool { return w.way("tokyo") == "osaka-0" })
	time.Sleep(500 * time.Millisecond)
	seen := stream()
	t.Logf("region failover: longest gap %s", seen.LongestGap)
	if seen.LongestGap > time.Second || seen.Lost == seen.Sent {
		t.Errorf("longest gap %s (%d of %d lost), want at most 1 s", seen.LongestGap, seen.Lost, seen.Sent)
	}
	if st := w.status(t, "osaka-0"); fmt.Sprint(st.Carries) != "[osaka tokyo]" {
		t.Errorf("osaka carries %v, want osaka and tokyo", st.Carries)
	}
	w.Mend(0)
	netlab.Until(t, 30*time.Second, "tokyo carries its own", func() bool { return w.way("tokyo") == "tokyo-0" })
	stream = w.Tokyo.Stream(t, 5*time.Millisecond)
	time.Sleep(300 * time.Millisecond)
	if seen := stream(); seen.Lost > 0 {
		t.Errorf("%d of %d datagrams lost after the prefixes came back, want none", seen.Lost, seen.Sent)
	}
	if _, err := tcp(); err != nil {
		t.Errorf("the other region's connection: %v; want it undisturbed", err)
	}
	for i := range line {
		if n := linelab.Clear(line[i].Frames()); n > 0 {
			t.Errorf("%d frames in clear on line %d, want none", n, i)
		}
	}
}
