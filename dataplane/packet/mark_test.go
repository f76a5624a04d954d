package packet

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// marking makes mn0's stations trusted and gives two code points a class: 46 (EF) class 2, 10 (AF11) class 3.
func marking(t Tables, trust bool) Tables {
	t.Segments = slices.Clone(t.Segments)
	t.Segments[0].TrustDSCP = trust
	t.DSCP[46], t.DSCP[10] = 2, 3
	return t
}

// A record's class wins over a code point's, which counts from trusted segments only; what has neither takes the default class.
func TestCodePointsChooseClasses(t *testing.T) {
	w := newTown(t)
	openTUN(t, "wg0")
	c := tokyo(t, w)
	run(t, "tc", "qdisc", "add", "dev", "wg0", "root", "handle", "1:", "htb", "default", "1f")
	for _, class := range []string{"1:12", "1:13", "1:14", "1:1f"} {
		run(t, "tc", "class", "add", "dev", "wg0", "parent", "1:", "classid", class, "htb", "rate", "1gbit", "quantum", "1514")
	}
	for _, x := range []struct {
		what   string
		tos    int
		trust  bool
		cell   uint8
		want   string
		marked string
	}{
		{"expedited, of a trusted segment", 46 << 2, true, 0, "1:12", "46"},
		{"another code point", 10<<2 | 1, true, 0, "1:13", "10"},
		{"a code point of no class", 34 << 2, true, 0, "1:1f", ""},
		{"of a segment that nobody trusts", 46 << 2, false, 0, "1:1f", ""},
		{"with a record's class", 46 << 2, true, 4, "1:14", ""},
	} {
		tables := c.active
		next := *tables
		next.Cells = []Cell{{Src: 21, Dst: 15, Port: 2, Rule: 1, BWClass: x.cell}, {Src: 21, Dst: 15, Port: 3, Rule: 1, BWClass: x.cell}}
		swap(t, c, marking(next, x.trust))
		for _, packet := range []struct {
			what string
			n    int
			cmd  []string
		}{
			{"", 1, []string{"bash", "-c", fmt.Sprintf("echo x | socat -u - UDP4-SENDTO:198.51.100.11:53,sourceport=4000,ip-tos=%d", x.tos)}},
			{", in fragments that the tunnel cuts once more", 5, []string{"ping", "-n", "-c", "1", "-W", "0.1", "-s", "3000", "-Q", fmt.Sprint(x.tos), "198.51.100.11"}},
		} {
			before, counted := packetsOf(t, x.want), c.markedBy(t)
			_, _ = w.in("mnpc", packet.cmd...).CombinedOutput() // nobody answers
			if got := packetsOf(t, x.want) - before; got != packet.n {
				t.Errorf("%s%s: class %s sent %d packets, want %d", x.what, packet.what, x.want, got, packet.n)
			}
			want := map[string]uint64{}
			if x.marked != "" {
				want[x.marked] = 1
			}
			after := c.markedBy(t)
			for dscp, n := range counted {
				if after[dscp] -= n; after[dscp] == 0 {
					delete(after, dscp)
				}
			}
			if packet.n == 1 && !reflect.DeepEqual(after, want) {
				t.Errorf("%s: counted %v by code point, want %v", x.what, after, want)
			}
		}
	}
}

func packetsOf(t *testing.T, class string) (n int) {
	t.Helper()
	sent := strings.Fields(sentBy(t, class))
	if _, err := fmt.Sscan(sent[3], &n); err != nil {
		t.Fatalf("packets of class %s in %q: %v", class, sent, err)
	}
	return n
}

func (c *Core) markedBy(t *testing.T) map[string]uint64 {
	t.Helper()
	n, err := c.Counters()
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	var again Counters
	if err := json.Unmarshal(b, &again); err != nil || !reflect.DeepEqual(again.Marked, n.Marked) && len(n.Marked) > 0 {
		t.Errorf("counters read back: %v, %v", again.Marked, err)
	}
	out := map[string]uint64{}
	for dscp, v := range n.Marked {
		out[fmt.Sprint(dscp)] = v.Packets
	}
	return out
}

// Classes by code point are part of a policy's name; a policy without them keeps the name that it had before there were any.
func TestHashNamesCodePoints(t *testing.T) {
	plain := townTables()
	names := func(t Tables) (out []string) {
		for _, h := range TableHashes(t) {
			out = append(out, h.Table)
		}
		return out
	}
	if got := names(plain); slices.Contains(got, "dscp") {
		t.Errorf("tables that know no code points: %v", got)
	}
	seen := map[string]string{Hash(plain): "plain"}
	for what, x := range map[string]Tables{"trusted": marking(plain, true), "not trusted": marking(plain, false)} {
		if other, again := seen[Hash(x)]; again {
			t.Errorf("%s has the hash of %s", what, other)
		}
		seen[Hash(x)] = what
	}
	bad := plain
	bad.DSCP[1] = maxBWClass + 1
	if Check(bad) == nil {
		t.Error("a class that no mark can carry is accepted")
	}
	bad = plain
	bad.Segments = append(slices.Clone(plain.Segments), Segment{ID: 9, Name: "r", Zone: 1, Port: "wg0", Tunnel: true, TrustDSCP: true})
	if Check(bad) == nil {
		t.Error("a tunnel whose marks count is accepted")
	}
}
