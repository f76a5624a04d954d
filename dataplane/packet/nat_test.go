package packet

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netns"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// mappedTown is a town with a region behind tunnel wg0 that knows the stations of the My Number zone by other addresses. A host
// named region stands at the far end, a kernel of its own: what it takes, and answers, has right checksums.
func mappedTown(t *testing.T, cells ...Cell) (*town, *Core) {
	t.Helper()
	w := newTown(t)
	near := openTUN(t, "wg0")
	a := townAnchors()
	a.Segments = append(a.Segments, anchors.Segment{
		ID: "tokyo", Zone: anchors.MyNumber, Attach: anchors.AttachTunnel, Port: "wg0", Prefixes: prefixes("198.51.100.0/26"), Gate: addrs("198.51.100.62"),
	})
	a.NAT = []anchors.NAT{{Segment: "tokyo", Inside: netip.MustParsePrefix("198.18.10.0/25"), Outside: netip.MustParsePrefix("198.19.7.128/25")}}
	c, err := Open(context.Background(), Options{PinDir: w.pins, Anchors: a, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	w.up()
	run(t, "ip", "link", "set", "wg0", "up", "mtu", "1280")
	run(t, "ip", "addr", "add", "198.51.100.62/26", "dev", "wg0")

	region := host{name: "region", ns: w.prefix + "-region"}
	run(t, "ip", "netns", "add", region.ns)
	t.Cleanup(func() { run(t, "ip", "netns", "del", region.ns) })
	w.hosts["region"] = region
	far := openTUNIn(t, region.ns, "tun0")
	in := func(args ...string) { run(t, append([]string{"ip", "netns", "exec", region.ns}, args...)...) }
	in("ip", "link", "set", "lo", "up")
	in("ip", "link", "set", "tun0", "up", "mtu", "1280")
	in("ip", "addr", "add", "198.51.100.11/26", "dev", "tun0")
	in("ip", "route", "add", "default", "dev", "tun0")
	for _, x := range [][2]*os.File{{near, far}, {far, near}} {
		go func() {
			b := make([]byte, 4096)
			for {
				n, err := x[0].Read(b)
				if err != nil {
					return
				}
				_, _ = x[1].Write(b[:n]) // a device that is down takes nothing
			}
		}()
	}

	tables := townTables(cells...)
	tables.Segments = append(tables.Segments, Segment{ID: 5, Name: "tokyo", Zone: anchors.MyNumber, Port: "wg0", Tunnel: true})
	tables.Classes = append(tables.Classes, Class{ID: 15, Segment: 5, Kind: KindTunnel, Port: "wg0", OnLink: true}, Class{ID: 35, Segment: 5, Kind: KindLocal, Port: "wg0"})
	tables.Prefixes = append(tables.Prefixes, Prefix{Prefix: prefixes("198.51.100.0/26")[0], Class: 15, Segment: 5})
	tables.Hosts = append(tables.Hosts, Host{Addr: addrs("198.51.100.62")[0], Class: 35, Segment: 5})
	swap(t, c, tables)
	return w, c
}

// openTUNIn makes a tunnel device in another namespace.
func openTUNIn(t *testing.T, ns, name string) *os.File {
	t.Helper()
	f := make(chan *os.File)
	go func() {
		defer close(f)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		h, err := netns.GetFromName(ns)
		if err == nil {
			defer h.Close()
			err = netns.Set(h)
		}
		if err != nil {
			t.Error(err)
			return
		}
		f <- openTUN(t, name)
	}()
	far := <-f
	if far == nil {
		t.FailNow()
	}
	return far
}

// bothWays lets mnpc open to the region, and the region to mnpc: TCP 443, UDP 53, echo.
var bothWays = []Cell{
	{Src: 21, Dst: 15, Port: 1, Rule: 1}, {Src: 21, Dst: 15, Port: 2, Rule: 1}, {Src: 21, Dst: 15, Port: 3, Rule: 1},
	{Src: 15, Dst: 21, Port: 1, Rule: 2}, {Src: 15, Dst: 21, Port: 2, Rule: 2}, {Src: 15, Dst: 21, Port: 3, Rule: 2},
}

const (
	pcInside  = "198.18.10.11"
	pcOutside = "198.19.7.139"
	service   = "198.51.100.11"
)

// Whole conversations across a mapping, by kernels that check every sum.
func TestARegionKnowsStationsByOtherAddresses(t *testing.T) {
	w, c := mappedTown(t, bothWays...)
	w.echo("region", "443")
	w.serve("mnpc", "443")
	w.says(c, "a long stream to the region and back", `(?m)^300000$`, func() *exec.Cmd {
		return w.in("mnpc", "bash", "-c", "head -c 300000 /dev/urandom | socat -t 5 - TCP4:"+service+":443,connect-timeout=3 | wc -c")
	})
	if !w.passes("region", pcOutside, "443") {
		n, _ := c.Counters()
		t.Errorf("the region does not reach mnpc by its outside address; %v", n.Reasons)
	}
	w.expectDrop(c, "nat-inside", func() {
		if w.reaches("region", pcInside, "443") {
			t.Error("the region reached mnpc by its inside address")
		}
	})
	w.expectDrop(c, "destination-unknown", func() {
		if w.reaches("mnpc", pcOutside, "443") {
			t.Error("an outside address means somebody inside")
		}
	})
	w.echoes(c, "mnpc to the region", "mnpc", service, 56)
	w.echoes(c, "the region to mnpc", "region", pcOutside, 56)
	w.echoes(c, "mnpc to the region, in fragments", "mnpc", service, 3000)
	w.echoes(c, "the region to mnpc, in fragments", "region", pcOutside, 3000)
}

// Errors find who is meant by them, whichever side complains: the port that nobody listens at, the gate of a packet's time.
func TestErrorsAreMappedWithWhatTheyQuote(t *testing.T) {
	w, c := mappedTown(t, bothWays...)
	asks := func(from, to, options string) func() *exec.Cmd {
		return func() *exec.Cmd {
			return w.in(from, "bash", "-c", "echo x | socat -T 1 - UDP4:"+to+":53"+options+" 2>&1")
		}
	}
	w.says(c, "the region refuses", "Connection refused", asks("mnpc", service, ""))
	w.says(c, "mnpc refuses", "Connection refused", asks("region", pcOutside, ""))
	w.says(c, "the gate tells the region", `From 198\.51\.100\.62 icmp_seq=1 Time to live exceeded`, func() *exec.Cmd {
		return w.in("region", "ping", "-n", "-c", "1", "-W", "1", "-t", "1", pcOutside)
	})

	// With somebody there: as whom the region sees mnpc, and that a datagram without a checksum needs none.
	cmd := w.in("region", "socat", "UDP4-LISTEN:53,fork", "SYSTEM:echo seen as $SOCAT_PEERADDR")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	w.says(c, "the region sees", "seen as "+pcOutside, asks("mnpc", service, ""))
	w.says(c, "the region sees, without a checksum", "seen as "+pcOutside, asks("mnpc", service, ",so-no-check=1"))
}

// A mapping is the anchors': the start that reads others holds to those, and so do the packets of flows that live.
func TestMappingsEndWithTheirAnchors(t *testing.T) {
	w, c := mappedTown(t, bothWays...)
	w.echoes(c, "at first", "mnpc", service, 56)
	have := func(c *Core) string {
		t.Helper()
		var out []string
		for _, m := range []struct {
			name string
			each func(func(natKey, natSide)) error
		}{
			{"inside", func(f func(natKey, natSide)) error { return each(c.objects.NatInside, f) }},
			{"outside", func(f func(natKey, natSide)) error { return each(c.objects.NatOutside, f) }},
		} {
			err := m.each(func(k natKey, v natSide) {
				out = append(out, fmt.Sprint(m.name, " ", k.Segment, "/", k.Length-32, " ", address(k.Addr), " ", address(v.Net)))
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return strings.Join(out, "; ")
	}
	if got, want := have(c), "inside 5/25 198.18.10.0 198.19.7.128; outside 5/25 198.19.7.128 198.18.10.0"; got != want {
		t.Errorf("mappings: got %s, want %s", got, want)
	}
	// Nobody but the loader writes them: tables are not handed out to be proven over others.
	stray := natKey{Length: 32 + 32, Segment: 5, Addr: 0x0b0a12c6}
	if err := c.objects.NatInside.Put(stray, natSide{Net: 0x01010101}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Load(townTables()); err == nil || !strings.Contains(err.Error(), "not those of the anchors") {
		t.Errorf("tables beside a stray mapping: got %v, want a refusal", err)
	}
	a := *c.anchors
	a.NAT = nil
	c.Close()
	other, err := Open(context.Background(), Options{PinDir: w.pins, Anchors: &a, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	if got := have(other); got != "" {
		t.Errorf("mappings that no anchors know any more: %s", got)
	}
	w.echoes(other, "as itself", "region", pcInside, 56)
}

func address(word uint32) netip.Addr {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], word)
	return netip.AddrFrom4(b)
}

// echoes wants all of three pings of a size answered.
func (w *town) echoes(c *Core, what, from, to string, size int) {
	w.t.Helper()
	w.says(c, what, ` 0% packet loss`, func() *exec.Cmd {
		return w.in(from, "ping", "-n", "-c", "3", "-i", "0.05", "-W", "1", "-s", fmt.Sprint(size), to)
	})
}
