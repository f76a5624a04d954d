package packet

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// talk is a TCP connection that a host keeps open; the other side answers each line with it.
type talk struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
}

func (w *town) talk(from, to string) *talk {
	w.t.Helper()
	cmd := w.in(from, "socat", "-", "TCP:"+to+",connect-timeout=3")
	in, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &talk{w.t, in, bufio.NewReader(out)}
}

// echo sends a line and wants it back.
func (x *talk) echo(line string) error {
	if _, err := io.WriteString(x.in, line+"\n"); err != nil {
		return err
	}
	answer := make(chan error, 1)
	go func() {
		got, err := x.out.ReadString('\n')
		if err == nil && got != line+"\n" {
			err = fmt.Errorf("%q came back for %q", got, line)
		}
		answer <- err
	}()
	select {
	case err := <-answer:
		return err
	case <-time.After(5 * time.Second):
		return fmt.Errorf("%q did not come back", line)
	}
}

// echo answers every line of TCP connections to a host's port with it until the test ends.
func (w *town) echo(name, port string) {
	w.t.Helper()
	cmd := w.in(name, "socat", "TCP6-LISTEN:"+port+",fork,reuseaddr,ipv6only=0", "EXEC:cat")
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	w.listens(name, port)
}

// formerEntry writes a flow as layout 1 did: the end with the lower (segment, address, port) is A.
func formerEntry(f Flow, state uint8, now int64) (k [formerKeySize]byte, v [formerValueSize]byte) {
	type end struct {
		segment, port uint16
		addr          netip.Addr
	}
	a, b := end{f.SrcSegment, f.SPort, f.Src}, end{f.DstSegment, f.DPort, f.Dst}
	if b.segment < a.segment {
		a, b = b, a
		v[52] = 1 // opened by B
	}
	addrA, addrB := a.addr.As16(), b.addr.As16()
	copy(k[0:], addrA[:])
	copy(k[16:], addrB[:])
	for i, n := range []uint16{a.segment, b.segment, a.port, b.port} {
		le.PutUint16(k[32+2*i:], n)
	}
	k[40] = f.Proto
	le.PutUint64(v[0:], uint64(now-int64(f.Idle*1e9)))
	le.PutUint32(v[40:], f.Epoch)
	le.PutUint32(v[44:], f.Rule)
	le.PutUint16(v[48:], f.DPort)
	v[50] = v[52]
	v[51], v[52], v[53] = f.BWClass, state, 1
	return k, v
}

// Connections that programs of layout 1 let open go on under these: without a segment lost, and not longer than the policy
// wants.
func TestConnectionsOutliveTheFormerLayout(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	run(t, "ip", "netns", "exec", w.hosts["inweb"].ns, "ip", "addr", "add", "203.0.113.2/24", "dev", "eth0")
	tables := townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 1}, Cell{Src: 22, Dst: 21, Port: 1, Rule: 1}, Cell{Src: 22, Dst: 23, Port: 1, Rule: 2})
	low := Host{Addr: netip.MustParseAddr("203.0.113.2"), Class: 23, Segment: 3}
	for _, h := range tables.Hosts {
		if h.Class == low.Class {
			low.MAC = h.MAC
		}
	}
	tables.Hosts = append(tables.Hosts, low)
	swap(t, c, tables)
	for _, name := range []string{"lgasp", "mnpc", "inweb"} {
		w.echo(name, "443")
	}
	talks := map[string]*talk{}
	for _, x := range [][2]string{
		{"mnpc", "198.18.21.11:443"}, {"mnpc", "[2001:db8:21::11]:443"}, {"lgasp", "198.18.10.11:443"},
		{"lgasp", "203.0.113.2:443"}, // there the ends are ordered otherwise than by segment
	} {
		talks[x[1]] = w.talk(x[0], x[1])
		if err := talks[x[1]].echo("before"); err != nil {
			t.Fatalf("%s to %s: %v", x[0], x[1], err)
		}
	}
	flows, err := c.Flows(1000)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	former, err := ebpf.NewMap(&ebpf.MapSpec{Name: "flows", Type: ebpf.Hash, KeySize: formerKeySize, ValueSize: formerValueSize, MaxEntries: 4096})
	if err != nil {
		t.Fatal(err)
	}
	defer former.Close()
	for _, f := range flows {
		k, v := formerEntry(f, flowAnswered, monotonic())
		if err := former.Put(k, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(w.pins, layoutVersion), filepath.Join(w.pins, "v1")); err != nil {
		t.Fatal(err)
	}
	if err := former.Pin(filepath.Join(w.pins, "v1", "maps", formerFlows)); err != nil {
		t.Fatal(err)
	}
	c, err = Open(context.Background(), Options{
		PinDir: w.pins, Anchors: townAnchors(), Log: slog.New(slog.DiscardHandler), Flows: 4096,
		Prepare: func(c *Core) error {
			s, err := c.Load(tables)
			if err != nil {
				return err
			}
			return s.Swap()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	for to, x := range talks {
		if err := x.echo("after"); err != nil {
			t.Errorf("a connection to %s did not outlive the upgrade: %v", to, err)
		}
	}
	for _, reason := range []string{"tcp-not-syn", "flow-direction", "no-cell"} {
		if n := w.drops(c, reason); n != 0 {
			t.Errorf("%d segments were lost: %s", n, reason)
		}
	}
	moved, err := c.Flows(1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range moved {
		for _, old := range flows {
			if f.SPort == old.SPort && (f.Src != old.Src || f.SrcSegment != old.SrcSegment || f.Dst != old.Dst) {
				t.Errorf("%s to %s of segment %d was opened by %s of segment %d", f.Src, f.Dst, f.SrcSegment, old.Src, old.SrcSegment)
			}
		}
	}
	// What the policy no longer permits ends, former or not.
	tables.Cells = tables.Cells[:1]
	swap(t, c, tables)
	w.expectDrop(c, "no-cell", func() { io.WriteString(talks["203.0.113.2:443"].in, "more\n"); time.Sleep(300 * time.Millisecond) })
}
