package packet

import (
	gocmp "cmp"
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

func TestReasonsAgreeWithTheHeader(t *testing.T) {
	header, err := os.ReadFile("../../bpf/reason.h")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^\tDROP_([A-Z0-9_]+) = (\d+),`).FindAllStringSubmatch(string(header), -1)
	if len(found) != len(Reasons()) {
		t.Errorf("the header has %d reasons, Go %d", len(found), len(Reasons()))
	}
	for i, m := range found {
		name := strings.ToLower(strings.ReplaceAll(m[1], "_", "-"))
		if got := reasonName(uint32(i + 1)); got != name {
			t.Errorf("reason %d: the header says %q, Go %q", i+1, name, got)
		}
	}
}

func TestCanonicalOrderDoesNotMatter(t *testing.T) {
	a := townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 1}, Cell{Src: 21, Dst: 22, Port: 2, Rule: 2}, Cell{Src: 20, Dst: 22, Port: 2, Rule: 2})
	b := Canonical(a)
	r := rand.New(rand.NewPCG(1, 2))
	shuffle(r, b.Segments)
	shuffle(r, b.Hosts)
	shuffle(r, b.Prefixes)
	shuffle(r, b.Classes)
	shuffle(r, b.Cells)
	shuffle(r, b.Rules)
	b.Epoch = 77
	b.Ports = []PortRange{{Proto: 58, Lo: 128, Hi: 128, Class: 3}, {Proto: 1, Lo: 8, Hi: 8, Class: 3}, {Proto: 17, Lo: 53, Hi: 53, Class: 2}, {Proto: 6, Lo: 443, Hi: 443, Class: 1}}
	if Hash(a) != Hash(b) {
		t.Errorf("the same policy in another order has another hash:\n%s", cmp.Diff(Canonical(a), Canonical(b)))
	}
	b.Hosts[0].Class++
	if Hash(a) == Hash(b) {
		t.Error("another policy has the same hash")
	}
	split := a
	split.Ports = append(slices.Clone(a.Ports), PortRange{Proto: 6, Lo: 444, Hi: 450, Class: 1}, PortRange{Proto: 6, Lo: 451, Hi: 500, Class: 1})
	joined := a
	joined.Ports = append(slices.Clone(a.Ports[1:]), PortRange{Proto: 6, Lo: 443, Hi: 500, Class: 1})
	if Hash(split) != Hash(joined) {
		t.Error("adjoining ranges of one class are not the same as their sum")
	}
}

// The large table has a sort of its own, which must do what that of the others does, whatever the numbers.
func TestCellsAreSortedAsOtherTables(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, numbers := range []int{1, 3, 256, 1 << 16} {
		var cells []Cell
		for i := range 2000 {
			cells = append(cells, Cell{
				Src: uint16(r.IntN(numbers)), Dst: uint16(1<<16 - 1 - r.IntN(numbers)), Port: uint16(r.IntN(numbers)), Rule: uint32(i), BWClass: uint8(i),
			})
		}
		before := slices.Clone(cells)
		want := sorted(cells, func(a, b Cell) int { return gocmp.Compare(a.order(), b.order()) })
		if got := sortedCells(cells); !slices.Equal(got, want) {
			t.Errorf("%d numbers: in another order", numbers)
		}
		if !slices.Equal(cells, before) {
			t.Errorf("%d numbers: what was given is changed", numbers)
		}
	}
}

func shuffle[T any](r *rand.Rand, in []T) {
	r.Shuffle(len(in), func(i, j int) { in[i], in[j] = in[j], in[i] })
}

func TestTablesThatMapsCannotHoldAreRefused(t *testing.T) {
	if err := check(townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 1})); err != nil {
		t.Fatalf("good tables: %v", err)
	}
	for what, spoil := range map[string]func(*Tables){
		"segment 0":                  func(t *Tables) { t.Segments[0].ID = 0 },
		"segment 1024":               func(t *Tables) { t.Segments[0].ID = 1024 },
		"segment twice":              func(t *Tables) { t.Segments[1].ID = 1 },
		"two segments at one place":  func(t *Tables) { t.Segments[1].Port = "mn0" },
		"segment without zone":       func(t *Tables) { t.Segments[0].Zone = anchors.None },
		"VLAN 4095":                  func(t *Tables) { t.Segments[0].VLAN = 4095 },
		"host twice":                 func(t *Tables) { t.Hosts = append(t.Hosts, t.Hosts[0]) },
		"host as mapped address":     func(t *Tables) { t.Hosts[0].Addr = netip.AddrFrom16(t.Hosts[0].Addr.As16()) },
		"host with a scope":          func(t *Tables) { t.Hosts[0].Addr = netip.MustParseAddr("2001:db8::1%eth0") },
		"host without class":         func(t *Tables) { t.Hosts[0].Class = 0 },
		"prefix twice":               func(t *Tables) { t.Prefixes = append(t.Prefixes, t.Prefixes[0]) },
		"prefix with host bits":      func(t *Tables) { t.Prefixes[0].Prefix = netip.MustParsePrefix("198.18.10.1/24") },
		"class 0":                    func(t *Tables) { t.Classes[0].ID = 0 },
		"class twice":                func(t *Tables) { t.Classes[1].ID = t.Classes[0].ID },
		"class of no kind":           func(t *Tables) { t.Classes[0].Kind = 0 },
		"two next hops of a family":  func(t *Tables) { t.Classes[0].Via = addrs("198.18.10.2", "198.18.10.3") },
		"ports that overlap":         func(t *Tables) { t.Ports = append(t.Ports, PortRange{Proto: 6, Lo: 400, Hi: 500, Class: 9}) },
		"ports the wrong way round":  func(t *Tables) { t.Ports[0].Lo = 500 },
		"ICMP type 256":              func(t *Tables) { t.Ports[0].Hi = 256 },
		"port of a protocol without": func(t *Tables) { t.Ports = append(t.Ports, PortRange{Proto: 47, Hi: 1, Class: 9}) },
		"port class 0":               func(t *Tables) { t.Ports[0].Class = 0 },
		"cell twice":                 func(t *Tables) { t.Cells = append(t.Cells, t.Cells[0]) },
		"cell from nowhere":          func(t *Tables) { t.Cells[0].Src = 0 },
		"bandwidth class 64":         func(t *Tables) { t.Cells[0].BWClass = 64 },
		"rule 0":                     func(t *Tables) { t.Rules[0].ID = 0 },
		"rule twice":                 func(t *Tables) { t.Rules[1].ID = t.Rules[0].ID },
	} {
		bad := Canonical(townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 1}))
		spoil(&bad)
		if check(bad) == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

func TestStagedTables(t *testing.T) {
	w := newTown(t)
	c := w.open()
	good := townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 1})
	bad := good
	bad.Cells = append(slices.Clone(good.Cells), good.Cells...)
	if _, err := c.Load(bad); err == nil {
		t.Error("tables with a cell twice were loaded")
	}
	elsewhere := Canonical(good)
	elsewhere.Classes[0].Port = "eth9"
	if _, err := c.Load(elsewhere); err == nil || !strings.Contains(err.Error(), "eth9") {
		t.Errorf("a device that is not in the anchors: %v", err)
	}

	first, err := c.Load(good)
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Load(good)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Active(); ok {
		t.Error("tables are current before any swap")
	}
	if err := first.image.Put(uint32(0), make([]byte, chunkSize)); err == nil {
		t.Error("a frozen image took other bytes")
	}
	if _, err := unix.Mmap(first.image.FD(), 0, chunkSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		t.Error("a frozen image could be mapped for writing")
	}
	if err := first.Swap(); err != nil {
		t.Fatal(err)
	}
	if err := second.Swap(); err == nil || !strings.Contains(err.Error(), "epoch") {
		t.Errorf("tables that were staged before another swap became current with a used epoch: %v", err)
	}
	second.Discard()

	// An image that was exchanged for an unfrozen one after it was read back.
	third, err := c.Load(good)
	if err != nil {
		t.Fatal(err)
	}
	defer third.Discard()
	open := c.spec.Maps[programsMapImages].InnerMap.Copy()
	open.MaxEntries = third.image.MaxEntries()
	frozen := third.image
	defer frozen.Close()
	if third.image.Map, err = ebpf.NewMap(open); err != nil {
		t.Fatal(err)
	}
	if err := third.Swap(); err == nil || !strings.Contains(err.Error(), "not frozen") {
		t.Errorf("unfrozen image: %v", err)
	}
	if got, _ := c.Active(); got.Epoch != 1 {
		t.Errorf("epoch %d after refused swaps, want 1", got.Epoch)
	}
	if epoch, err := c.inForce(); err != nil || epoch != 1 {
		t.Errorf("the image in force has epoch %d after refused swaps, want 1 (%v)", epoch, err)
	}
}

func TestCountersSurviveJSON(t *testing.T) {
	want := Counters{
		Reasons: map[string]Count{"no-cell": {1, 60}}, Pairs: map[[2]anchors.Zone]Count{{anchors.LGWAN, anchors.Internet}: {2, 120}},
		Rules: map[uint32]Count{7: {3, 180}}, EventsLost: 4,
	}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Counters
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%s", b, diff)
	}
}

// A designated city's policy is loaded and read back in seconds, not minutes.
func TestManyCellsLoad(t *testing.T) {
	w := newTown(t)
	c := w.open()
	big := townTables()
	for i := range 4000 {
		a := netip.AddrFrom4([4]byte{198, 18, 10, 0}).As4()
		a[2], a[3] = 64+byte(i/250), byte(1+i%250)
		big.Hosts = append(big.Hosts, Host{Addr: netip.AddrFrom4(a), Class: uint16(1000 + i), Segment: 1})
		big.Classes = append(big.Classes, Class{ID: uint16(1000 + i), Segment: 1, Kind: KindForward, Port: "mn0", OnLink: true})
		for j := range 20 {
			big.Cells = append(big.Cells, Cell{Src: uint16(1000 + i), Dst: uint16(1000 + (i+j)%4000), Port: 1, Rule: 1})
		}
	}
	s, err := c.Load(big)
	if err != nil {
		t.Fatal(err)
	}
	if Hash(s.Decoded()) != Hash(big) {
		t.Error("80,000 cells came back otherwise")
	}
	if err := s.Swap(); err != nil {
		t.Fatal(err)
	}
}
