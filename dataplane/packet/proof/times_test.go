package proof

import (
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// timed is sound tables whose first record has a time, and whose second one is a chain.
func timed() *packet.Tables {
	t := sound()
	t.Windows = []packet.Window{{ID: 1, Spans: []packet.Span{{From: 0, To: 495}, {From: 10050, To: 10080}}}, {ID: 2, Spans: []packet.Span{{From: 0, To: 10080}}}}
	t.Rules[0].From, t.Rules[0].Until, t.Rules[0].Window = 100, 200, 1
	t.Rules[1].Until, t.Rules[1].Next, t.Rules[1].Records = 200, 9, []string{"web-use", "web-later"}
	t.Rules = append(t.Rules, packet.Rule{ID: 9, From: 300, Window: 2, Records: []string{"web-later"}})
	return t
}

// lengthen adds n rules to the chain of two.
func lengthen(t *packet.Tables, n uint32) {
	for i := range n {
		t.Rules[8+i].Next = 10 + i
		t.Rules = append(t.Rules, packet.Rule{ID: 10 + i, Records: []string{"web-later"}})
	}
}

func TestTimesAreChecked(t *testing.T) {
	if got := Check(timed(), townAnchors(t)); len(got) > 0 {
		t.Fatalf("sound times: got %v, want nothing", got)
	}
	longest := timed()
	lengthen(longest, packet.MaxChain-2)
	if got := Check(longest, townAnchors(t)); len(got) > 0 {
		t.Fatalf("the longest chain: got %v, want nothing", got)
	}
	cases := []struct {
		name  string
		spoil func(*packet.Tables)
		want  string
	}{
		{"over before it begins", func(t *packet.Tables) { t.Rules[0].Until = 100 }, "until 100 is no time"},
		{"before 1970", func(t *packet.Tables) { t.Rules[0].From = -1 }, "from minute -1"},
		{"beyond what the tables hold", func(t *packet.Tables) { t.Rules[0].Until = 1 << 32 }, "is no time"},
		{"unknown window", func(t *packet.Tables) { t.Rules[0].Window = 3 }, "window 3 does not exist"},
		{"window without a number", func(t *packet.Tables) { t.Windows[0].ID = 0 }, "number is 0"},
		{"window twice", func(t *packet.Tables) { t.Windows[1].ID = 1 }, "used twice"},
		{"window without spans", func(t *packet.Tables) { t.Windows[0].Spans = nil }, "has 0 spans"},
		{"window with too many spans", func(t *packet.Tables) {
			t.Windows[0].Spans = nil
			for i := range uint16(9) {
				t.Windows[0].Spans = append(t.Windows[0].Spans, packet.Span{From: 10 * i, To: 10*i + 5})
			}
		}, "has 9 spans"},
		{"span backwards", func(t *packet.Tables) { t.Windows[1].Spans[0] = packet.Span{From: 9, To: 9} }, "minutes 9 to 9"},
		{"span beyond the week", func(t *packet.Tables) { t.Windows[0].Spans[1].To = 10081 }, "minutes 10050 to 10081"},
		{"spans that touch", func(t *packet.Tables) { t.Windows[0].Spans[1].From = 495 }, "not apart"},
		{"chain to nowhere", func(t *packet.Tables) { t.Rules[1].Next = 10 }, "does not exist or goes back"},
		{"chain to itself", func(t *packet.Tables) { t.Rules[1].Next = 2 }, "does not exist or goes back"},
		{"chain in a circle", func(t *packet.Tables) { t.Rules[8].Next = 2 }, "rule 9: the next rule of its chain does not exist or goes back"},
		{"chain without end", func(t *packet.Tables) {
			lengthen(t, packet.MaxChain-1)
		}, "more than 8 rules"},
		{"chain with a record that its head hides", func(t *packet.Tables) { t.Rules[8].Records = []string{"eltax"} }, `does not name its record "eltax"`},
		{"multicast that the anchors do not allow", func(t *packet.Tables) { t.Segments[2].Multicast = true }, "multicast true"},
		{"router advertisements that the anchors do not allow", func(t *packet.Tables) { t.Segments[2].Routers = true }, "router advertisements true"},
		{"DHCP servers that the anchors do not allow", func(t *packet.Tables) { t.Segments[2].DHCPServers = true }, "DHCP servers true"},
		{"another outer tag", func(t *packet.Tables) { t.Segments[1].Outer = 7 }, "VLAN 20 in 7"},
		{"another outer tag on the way out", func(t *packet.Tables) { class(t, lgPC).Outer = 7 }, "would leave by port lg0 VLAN 20 in 7"},
		{"a segment without bounds", func(t *packet.Tables) { t.Segments[2].Limits = packet.Limits{} }, "want bounds"},
		{"a station without a bound", func(t *packet.Tables) { t.Segments[2].Limits.StationRate = 0 }, "want bounds"},
		{"a station beyond its segment", func(t *packet.Tables) { t.Segments[2].Limits.StationFlows = 101 }, "want bounds"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tables := timed()
			c.spoil(tables)
			got := Check(tables, townAnchors(t))
			for _, v := range got {
				if strings.Contains(v.Message, c.want) {
					return
				}
			}
			t.Fatalf("got %v, want a violation with %q", got, c.want)
		})
	}
}

// A record that is over, or only counts at night, may break an invariant no more than any other.
func TestTimeExcusesNothing(t *testing.T) {
	tables := timed()
	tables.Rules = append(tables.Rules, packet.Rule{ID: 10, Records: []string{"old"}, Until: 1, Window: 1})
	tables.Cells = append(tables.Cells, packet.Cell{Src: mnPC, Dst: web, Port: https, Rule: 10})
	got := Check(tables, townAnchors(t))
	if len(got) != 1 || got[0].Invariant != "I1" || got[0].Counterexample == nil || got[0].Counterexample.DstZone != anchors.Internet {
		t.Fatalf("got %v, want I1 with a packet", got)
	}
}
