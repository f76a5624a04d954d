package packet_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet/model"
)

const left = 280_000 // frames for the egress program; those that no device takes are left out

// leaving reads tags and addresses of a frame as the second engine must: Ethernet, at most two tags, IPv4 or IPv6. exit has
// no port.
func leaving(f []byte) (exit model.Exit, src, dst netip.Addr, ok bool) {
	kind, l3 := be.Uint16(f[12:]), f[14:]
	service := false
	for n := 0; kind == 0x8100 || kind == 0x88a8 && n == 0; n++ {
		if len(l3) < 4 || n == 2 {
			return exit, src, dst, false
		}
		if id := be.Uint16(l3) & 0xfff; id != 0 {
			exit.Outer, exit.VLAN = exit.VLAN, id
			service = service || kind == 0x88a8
		}
		kind, l3 = be.Uint16(l3[2:]), l3[4:]
	}
	if service && exit.Outer == 0 {
		return exit, src, dst, false
	}
	switch {
	case kind == 0x0800 && len(l3) >= 20 && l3[0]>>4 == 4 && l3[0]&15 >= 5:
		return exit, netip.AddrFrom4([4]byte(l3[12:])), netip.AddrFrom4([4]byte(l3[16:])), true
	case kind == 0x86dd && len(l3) >= 40 && l3[0]>>4 == 6:
		src, dst = netip.AddrFrom16([16]byte(l3[8:])), netip.AddrFrom16([16]byte(l3[24:]))
		low := netip.MustParsePrefix("::/64") // where IPv4 hides in IPv6
		return exit, src, dst, !low.Contains(src) && !low.Contains(dst) && !src.Is4In6() && !dst.Is4In6()
	}
	return exit, src, dst, false
}

// exit is the port where an address lies, mostly.
func (g *generator) exit(dst netip.Addr) string {
	if g.chance(25) || !dst.IsValid() {
		return pick(g, ports...)
	}
	for _, s := range worldAnchors().Segments {
		for _, p := range s.Prefixes {
			if p.Contains(dst) && s.Attach != anchors.AttachTunnel {
				return s.Port
			}
		}
	}
	return pick(g, ports...)
}

// The second engine and its model must agree on every frame, whoever redirected it.
func TestEgressProgramAndModelAgree(t *testing.T) {
	core, index := world(t)
	stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		t.Fatal(err)
	}
	defer stats.Close()
	var devices []int
	for _, p := range ports {
		devices = append(devices, index[p])
	}
	trial, err := core.NewEgressTrial(t, devices)
	if err != nil {
		t.Fatal(err)
	}
	defer trial.Close()
	a := worldAnchors()
	g := &generator{r: rand.New(rand.NewPCG(seed, 7))}
	reached := map[string]int{}
	sent := uint64(0)
	var shut map[anchors.Zone]bool
	for n := range left {
		if n%(left/40) == 0 {
			shut = g.isolated()
			if err := trial.Isolate(nil, shut); err != nil {
				t.Fatal(err)
			}
		}
		in, frame := g.next(false)
		if len(frame) < 14 || len(frame) > 14+smallMTU {
			continue // the kernel redirects no such frames
		}
		if g.chance(20) {
			in = pick(g, slices.Concat(ports, tunnels)...)
		}
		exit, src, dst, ok := leaving(frame)
		out := g.exit(dst)
		want := "egress-malformed"
		if ok {
			exit.Port = out
			want = model.Leave(a, shut, in, exit, src, dst)
		}
		got, err := trial.Leave(index[in], index[out], frame)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Fatalf("after %d frames: from %s to %s: the program says %q, the model %q\n%s", sent, in, out, got, want, dump(frame))
		}
		reached[want]++
		sent++
	}
	if runs, err := trial.EgressRuns(); err != nil || runs != sent || sent < 200_000 {
		t.Errorf("the program ran %d times (%v) for %d frames, want at least 200,000", runs, err, sent)
	}
	for _, reason := range []string{"", "egress-malformed", "egress-source", "egress-destination", "egress-wrong-port", "egress-wrong-source", "egress-zone-pair", "zone-isolated"} {
		if reached[reason] < 500 {
			t.Errorf("only %d frames ended with %q", reached[reason], reason)
		}
	}
	t.Logf("%d frames without a difference: %v", sent, reached)
}
