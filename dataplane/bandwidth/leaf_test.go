package bandwidth

import (
	"errors"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// shaped is a device of its own with one class, whose leaf has no queue of ours yet.
func shaped(t *testing.T) (netlink.Link, Class, uint32) {
	t.Helper()
	c := Class{ID: 1, Name: "core", Guarantee: 10 * mbit, Ceiling: 50 * mbit, Default: true}
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "leaf0"}, PeerName: "leaf1"}); err != nil {
		t.Fatal(err)
	}
	link, err := netlink.LinkByName("leaf0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netlink.LinkDel(link); err != nil {
			t.Error(err)
		}
	})
	if err := Apply(Tree{Device: "leaf0", Rate: 50 * mbit, Classes: []Class{c}}); err != nil {
		t.Fatal(err)
	}
	return link, c, c.leaf()
}

func kindOf(t *testing.T, link netlink.Link, h uint32) string {
	t.Helper()
	have, err := queues(link)
	if err != nil {
		t.Fatal(err)
	}
	return have[h]
}

func TestLeafIsTheBestThatTheKernelKnows(t *testing.T) {
	link, c, h := shaped(t)
	if kind := kindOf(t, link, h); kind != leaves[0].kind && kind != leaves[1].kind {
		t.Fatalf("queue is %q", kind)
	}
	fifo := func(kind string) leaf { return leaf{kind, plain} }
	bytes := leaf{"bfifo", func(Class, int) *nl.RtAttr { return nl.NewRtAttr(nl.TCA_OPTIONS, nl.Uint32Attr(100_000)) }}
	cases := []struct {
		name  string
		kinds []leaf
		want  string
	}{
		{"the first", []leaf{fifo("pfifo"), bytes}, "pfifo"},
		{"the first that is there", []leaf{fifo("sekisho_none"), bytes, fifo("pfifo")}, "bfifo"},
		{"what a class has stays", []leaf{fifo("pfifo"), bytes}, "bfifo"},
		{"unless it is none of ours", []leaf{fifo("pfifo")}, "pfifo"},
	}
	if err := drop(link, h, kindOf(t, link, h)); err != nil {
		t.Fatal(err)
	}
	for i, k := range cases {
		if i == 1 {
			if err := drop(link, h, "pfifo"); err != nil {
				t.Fatal(err)
			}
		}
		if err := queue(link, c, h, kindOf(t, link, h), k.kinds); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
		if got := kindOf(t, link, h); got != k.want {
			t.Errorf("%s: queue is %q, want %q", k.name, got, k.want)
		}
	}
	if err := drop(link, h, "pfifo"); err != nil {
		t.Fatal(err)
	}
	err := queue(link, c, h, "", []leaf{fifo("sekisho_none")})
	if !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "sekisho_none") {
		t.Errorf("no kind is known: %v", err)
	}
}

func TestLatencyDecidesTheQueue(t *testing.T) {
	c := Class{Guarantee: 10 * mbit, Ceiling: 100 * mbit}
	long := c.length(1420)
	c.Latency = Bulk
	if got := c.length(1420); got != long {
		t.Errorf("bulk: %d packets, want %d as without a word", got, long)
	}
	c.Latency = Interactive
	short := c.length(1420)
	if wait := float64(short) * 1420 * 8 / 100e6; short >= long || wait > 0.03 {
		t.Errorf("interactive: %d packets, %.3f s at the ceiling; bulk %d", short, wait, long)
	}
	attr := func(c Class, kind uint16) uint32 {
		attrs, err := nl.ParseRouteAttr(fqCodel(c, 1420).Serialize()[4:])
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range attrs {
			if a.Attr.Type == kind {
				return nl.NativeEndian().Uint32(a.Value)
			}
		}
		return 0
	}
	if target, interval := attr(c, nl.TCA_FQ_CODEL_TARGET), attr(c, nl.TCA_FQ_CODEL_INTERVAL); target != 5000 || interval != 100_000 {
		t.Errorf("interactive: target %d, interval %d microseconds", target, interval)
	}
	c.Guarantee = mbit // one packet and a half take 17 ms
	if target := attr(c, nl.TCA_FQ_CODEL_TARGET); target != 17_040 {
		t.Errorf("slow class: target %d microseconds, want the time of one packet and a half", target)
	}
}

func TestSizeTable(t *testing.T) {
	table := sizeTable(1420, 60)
	for _, c := range []struct{ n, want int }{
		{0, 60}, {1, 76}, {16, 76}, {17, 92}, {1408, 1468}, {1409, 1480}, {1420, 1480},
		{1420 + 1368, 2 * 1480}, {65535, 47*1480 + 1248 + 60}, // 47 full segments and one of 1239 bytes
	} {
		got := int(table[(c.n+padTo-1)>>cellLog]) << sizeLog
		if got < c.want-padTo || got > c.want+padTo {
			t.Errorf("packet of %d bytes: %d on the line, want %d", c.n, got, c.want)
		}
		if c.n <= 1420 && got != c.want {
			t.Errorf("packet of %d bytes: %d on the line, want exactly %d", c.n, got, c.want)
		}
	}
}
