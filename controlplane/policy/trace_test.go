package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/policy/internal/drawn"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/model"
	"github.com/sekisho/sekisho/dataplane/packet/packettest"
)

// What trace says is what the loaded programs do: the same verdict, for the same reason, by the same record.

// stage is the loaded programs, over whatever tables are shown to them.
type stage struct {
	core      *packet.Core
	rehearsal *packet.Rehearsal
}

// newStage loads them for anchors, in a network namespace in which nothing is plugged in.
func newStage(t *testing.T, a *anchors.Anchors) *stage {
	t.Helper()
	core := packettest.Open(t, a)
	r, err := core.Rehearse()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return &stage{core, r}
}

// show makes the programs decide by tables until done.
func (s *stage) show(t packet.Tables) (done func(), err error) {
	staged, err := s.core.Load(t)
	if err != nil {
		return nil, err
	}
	return staged.Discard, s.rehearsal.Show(staged)
}

// play gives what the programs do with a query's packet; ok is false when there is no segment for it to enter by.
func (s *stage) play(m *model.Model, q model.Query) (out packet.Played, ok bool, err error) {
	in, ok := m.Entrance(q)
	if !ok {
		return out, false, nil
	}
	out, err = s.rehearsal.Play(m.Part(q, in, false))
	return out, true, err
}

// disagreement compares what trace says with what the programs do; "" when they agree.
func (s *stage) disagreement(cfg *config.Config, t *packet.Tables, a *anchors.Anchors, m *model.Model, q model.Query) (e Explanation, why string) {
	e = Explain(cfg, t, a, q)
	for i, step := range e.Steps {
		if step.Name == "" || step.Text == "" || step.OK != (step.Reason == "") || !step.OK && i != len(e.Steps)-1 {
			return e, fmt.Sprintf("step %d of %+v: every step has a name and a text, and only the last one refuses", i+1, e.Steps)
		}
	}
	if e.Advice == "" {
		return e, "no advice"
	}
	out, entered, err := s.play(m, q)
	switch {
	case err != nil:
		return e, err.Error()
	case !entered && e.Reason == "segment-unknown":
		return e, ""
	}
	passed := out.Verdict != packet.Dropped && !out.Stopped
	if passed != e.Allowed || out.Reason != e.Reason {
		return e, fmt.Sprintf("trace says %t %q, the programs say %+v", e.Allowed, e.Reason, out)
	}
	if !passed {
		return e, ""
	}
	i := slices.IndexFunc(t.Rules, func(r packet.Rule) bool { return r.ID == out.Rule })
	if i < 0 || !slices.Equal(t.Rules[i].Records, e.Records) || len(e.Records) == 0 {
		return e, fmt.Sprintf("trace says that %v permit it, the programs rule %d", e.Records, out.Rule)
	}
	return e, ""
}

func TestTraceAnswersAsTheLoadedPrograms(t *testing.T) {
	var s *stage
	reasons := map[string]int{}
	rapid.Check(t, func(r *rapid.T) {
		doc, cfg := drawn.Config(r)
		a := Anchors(cfg) // the scene is the same always
		if s == nil {
			s = newStage(t, a)
		}
		g, err := Compile(cfg, a)
		if err != nil {
			r.Fatal(err)
		}
		done, err := s.show(g.Tables)
		if err != nil {
			r.Fatal(err)
		}
		defer done()
		m := model.New(&g.Tables)
		addrs, ports := interesting(cfg)
		for range 40 {
			q := drawnQuery(r, &g.Tables, addrs, ports)
			e, why := s.disagreement(cfg, &g.Tables, a, m, q)
			if why != "" {
				r.Fatalf("%+v: %s\n%s", q, why, doc)
			}
			if reasons[e.Reason]++; e.Allowed {
				reasons["by "+strings.SplitN(e.Records[0], "-", 2)[0]]++
			}
		}
	})
	t.Logf("%v", reasons)
	for _, want := range []string{"", "no-cell", "zone-pair", "record-time", "station-mac-mismatch", "station-unregistered", "source-not-in-segment", "source-is-gate", "destination-unknown", "destination-address", "segment-unknown"} {
		if reasons[want] == 0 {
			t.Errorf("no query was answered with %q", want)
		}
	}
}

// drawnQuery is a packet between addresses at which something can change; every other one is one that a cell is for, with at
// most one thing about it that does not fit.
func drawnQuery(r *rapid.T, t *packet.Tables, addrs []netip.Addr, ports []config.Range) model.Query {
	q := model.Query{
		Src: rapid.SampledFrom(addrs).Draw(r, "src"), SPort: rapid.Uint16().Draw(r, "sport"),
		From: anchors.Zone(rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2, 3, 4, 5}).Draw(r, "from")),
		MAC:  packet.MAC{2, 0, 0, 0, 0, byte(rapid.SampledFrom([]int{0x77, 0x78}).Draw(r, "mac"))},
		At:   rapid.SampledFrom(turns).Draw(r, "at"),
	}
	if rapid.IntRange(0, 5).Draw(r, "own mac") > 0 {
		q.MAC = packet.MAC{}
	}
	for !q.Dst.IsValid() || q.Dst.Is4() != q.Src.Is4() {
		q.Dst = rapid.SampledFrom(addrs).Draw(r, "dst")
	}
	p := rapid.SampledFrom(ports).Draw(r, "port")
	q.Proto, q.DPort = p.Proto, p.Lo
	if fit, ok := fitting(r, t); ok && rapid.Bool().Draw(r, "fits") {
		fit.At, fit.SPort = q.At, q.SPort
		switch rapid.IntRange(0, 9).Draw(r, "but for") {
		case 0:
			fit.MAC = q.MAC
		case 1:
			fit.From = q.From
		case 2:
			fit.DPort++
		case 3:
			if fit.Dst.Is4() == q.Dst.Is4() {
				fit.Dst = q.Dst
			}
		}
		q = fit
	}
	switch {
	case q.Proto == config.ProtoICMP && q.Src.Is6():
		q.Proto = config.ProtoICMPv6
	case q.Proto == config.ProtoICMPv6 && q.Src.Is4():
		q.Proto = config.ProtoICMP
	}
	if q.Proto == config.ProtoICMP || q.Proto == config.ProtoICMPv6 {
		q.DPort &= 0xff
	}
	return q
}

// fitting draws a packet that a cell is for, from a registered address.
func fitting(r *rapid.T, t *packet.Tables) (q model.Query, ok bool) {
	if len(t.Cells) == 0 {
		return q, false
	}
	c := rapid.SampledFrom(t.Cells).Draw(r, "cell")
	in := func(class uint16) (out []netip.Addr) {
		for _, h := range t.Hosts {
			if h.Class == class {
				out = append(out, h.Addr)
			}
		}
		for _, p := range t.Prefixes {
			if p.Class == class {
				out = append(out, p.Prefix.Addr().Next())
			}
		}
		return out
	}
	from, to := in(c.Src), in(c.Dst)
	i := slices.IndexFunc(t.Ports, func(p packet.PortRange) bool { return p.Class == c.Port })
	if len(from) == 0 || len(to) == 0 || i < 0 {
		return q, false
	}
	q.Src, q.Dst = rapid.SampledFrom(from).Draw(r, "from"), rapid.SampledFrom(to).Draw(r, "to")
	q.Proto, q.DPort = t.Ports[i].Proto, t.Ports[i].Lo
	return q, q.Src.Is4() == q.Dst.Is4()
}

func TestTraceOfTheExamples(t *testing.T) {
	for _, name := range []string{"lab", "town"} {
		t.Run(name, func(t *testing.T) {
			cfg := example(t, name)
			a := Anchors(cfg)
			g, err := Compile(cfg, a)
			if err != nil {
				t.Fatal(err)
			}
			s := newStage(t, a)
			done, err := s.show(g.Tables)
			if err != nil {
				t.Fatal(err)
			}
			defer done()
			m := model.New(&g.Tables)
			at := time.Date(2026, 10, 1, 3, 0, 0, 0, time.UTC)
			n := map[bool]int{}
			hosts := map[uint16][]netip.Addr{}
			for _, h := range g.Tables.Hosts {
				hosts[h.Class] = append(hosts[h.Class], h.Addr)
			}
			ask := func(src, dst []netip.Addr, p packet.PortRange) {
				if len(src) == 0 || len(dst) == 0 || src[0].Is4() != dst[0].Is4() {
					return
				}
				q := model.Query{Src: src[0], Dst: dst[0], Proto: p.Proto, DPort: p.Lo, SPort: 1024, At: at}
				e, why := s.disagreement(cfg, &g.Tables, a, m, q)
				if why != "" {
					t.Fatalf("%+v: %s", q, why)
				}
				n[e.Allowed]++
			}
			for i := 0; i < len(g.Tables.Cells); i += 1 + len(g.Tables.Cells)/150 { // what cells are for, and the ways back
				c := &g.Tables.Cells[i]
				p := g.Tables.Ports[slices.IndexFunc(g.Tables.Ports, func(p packet.PortRange) bool { return p.Class == c.Port })]
				ask(hosts[c.Src], hosts[c.Dst], p)
				ask(hosts[c.Dst], hosts[c.Src], p)
			}
			if n[true] < 20 || n[false] < 20 {
				t.Errorf("passed and dropped: %v", n)
			}
			t.Logf("passed and dropped: %v", n)
		})
	}
}

// Whoever follows the advice gets what it promises: the packet passes then, in trace and through the loaded programs.
func TestAdviceWorks(t *testing.T) {
	lab := string(examples.Lab)
	edited := func(text string, edits ...string) string {
		for i := 0; i < len(edits); i += 2 {
			text = replaced(t, text, edits[i], edits[i+1])
		}
		return text
	}
	const record = "\ncommunications:\n"
	filing := model.Query{Src: addr("198.18.10.11"), Dst: addr("198.18.21.11"), Proto: 6, DPort: 443}
	with := func(f func(*model.Query)) model.Query { q := filing; f(&q); return q }
	at := time.Date(2026, 10, 1, 3, 0, 0, 0, time.UTC)
	stages := map[string]*stage{} // loading the programs takes seconds; most of the documents need the same anchors
	for _, x := range []struct {
		name   string
		doc    string
		q      model.Query
		advice string   // in it
		follow []string // edits: from, to
		send   func(*model.Query)
	}{
		{"write a record", lab, with(func(q *model.Query) { q.Src = addr("198.18.10.12") }), "write a communication from mn-pc2 (198.18.10.12) to eltax (198.18.21.11) with tcp/443",
			[]string{record, record + "  - {id: new, from: {stations: [mn-pc2]}, to: {services: [eltax]}, ports: [tcp/443], purpose: x, owner: x}\n"}, nil},
		{"write a record with another type of ICMP", lab, with(func(q *model.Query) { q.Src, q.Proto, q.DPort = addr("198.18.20.11"), 1, 8 }), "add icmp/echo to a record that already joins the two: asp-use",
			[]string{"to: {services: [eltax]}\n    ports: []\n    purpose: 申告データの照会", "to: {services: [eltax]}\n    ports: [tcp/443, icmp/echo]\n    purpose: 申告データの照会", "ports: [tcp/443], name: {ja: eLTAX, en: eLTAX}", "ports: [tcp/443, icmp/echo], name: {ja: eLTAX, en: eLTAX}"}, nil},
		{"the other way round", lab, model.Query{Src: addr("198.18.21.11"), Dst: addr("198.18.20.11"), Proto: 6, DPort: 25}, "asp-use lets only the other side open",
			[]string{record, record + "  - {id: new, from: {segments: [lg-asp-net]}, to: {stations: [lg-pc1]}, ports: [tcp/25], purpose: x, owner: x}\n"}, nil},
		{"add a port", lab, with(func(q *model.Query) { q.DPort = 8443 }), "add tcp/8443 to a record that already joins the two: eltax-submit",
			[]string{"to: {services: [eltax]}\n    ports: []\n    class: core", "to: {services: [eltax]}\n    ports: [tcp/443, tcp/8443]\n    class: core", "ports: [tcp/443], name: {ja: eLTAX, en: eLTAX}", "ports: [tcp/443, tcp/8443], name: {ja: eLTAX, en: eLTAX}"}, nil},
		{"register the station", lab, model.Query{Src: addr("198.18.30.99"), Dst: addr("203.0.113.11"), Proto: 6, DPort: 443}, "register it under stations: {id: …, segment: in-office, mac: …, addresses: [198.18.30.99]}",
			[]string{"\nservices:\n", "  - {id: new, segment: in-office, mac: \"02:00:00:00:00:99\", addresses: [198.18.30.99], owner: x}\n\nservices:\n"}, nil},
		{"use the registered MAC", lab, with(func(q *model.Query) { q.MAC = packet.MAC{2, 0, 0, 0, 0, 0x99} }), "send it from the registered MAC", nil, func(q *model.Query) { q.MAC = packet.MAC{} }},
		{"register the MAC", lab, with(func(q *model.Query) { q.MAC = packet.MAC{2, 0, 0, 0, 0, 0x99} }), "or register 02:00:00:00:00:99 for 198.18.10.11",
			[]string{`mac: "02:53:4b:10:00:11"`, `mac: "02:00:00:00:00:99"`}, nil},
		{"send from where it is", lab, with(func(q *model.Query) { q.From = anchors.LGWAN }), "198.18.10.11 lies in segment mn-office of zone my-number: it can only send from there", nil, func(q *model.Query) { q.From = anchors.MyNumber }},
		{"give the destination a segment", lab, model.Query{Src: addr("198.18.30.11"), Dst: addr("198.18.99.1"), Proto: 6, DPort: 443, From: anchors.Internet}, "no segment holds 198.18.99.1: add its prefix to one",
			[]string{"prefixes: [203.0.113.0/24,", "prefixes: [203.0.113.0/24, 198.18.99.0/24,", record, record + "  - {id: new, from: {segments: [in-office]}, to: {prefixes: [198.18.99.0/24]}, ports: [tcp/443], purpose: x, owner: x}\n"}, nil},
		{"give the source a segment", lab, model.Query{Src: addr("198.18.99.1"), Dst: addr("203.0.113.11"), Proto: 6, DPort: 443, From: anchors.Internet}, "no segment holds 198.18.99.1: add its prefix to one",
			[]string{"prefixes: [198.18.30.0/24,", "prefixes: [198.18.30.0/24, 198.18.99.0/24,", "\nservices:\n", "  - {id: new, segment: in-office, mac: \"02:00:00:00:00:99\", addresses: [198.18.99.1], owner: x}\n\nservices:\n"}, nil},
		{"let it go on", edited(lab, "until: 2036-03-31", "until: 2026-09-30"), filing, "the time of eltax-submit is over", []string{"until: 2026-09-30", "until: 2026-10-31"}, nil},
		{"make it active", edited(lab, "    owner: 税務課", "    state: suspended\n    owner: 税務課"), filing, "record eltax-submit names this, but its state is suspended: make it active", []string{"state: suspended", "state: active"}, nil},
	} {
		x.q.At, x.q.SPort = at, 1024
		e, why := answer(t, stages, x.doc, x.q)
		if why != "" || e.Allowed || !strings.Contains(e.Advice, x.advice) {
			t.Errorf("%s: allowed %t, advice %q, want %q in it; %s", x.name, e.Allowed, e.Advice, x.advice, why)
		}
		if x.send != nil {
			x.send(&x.q)
		}
		if e, why := answer(t, stages, edited(x.doc, x.follow...), x.q); why != "" || !e.Allowed {
			t.Errorf("%s: after the advice it is dropped: %s (advice then: %s); %s", x.name, e.Reason, e.Advice, why)
		}
	}
}

// answer asks trace and the programs about one packet under a configuration, against the anchors that it needs.
func answer(t *testing.T, stages map[string]*stage, doc string, q model.Query) (Explanation, string) {
	t.Helper()
	cfg, errs := config.Parse([]byte(doc))
	if errs != nil {
		t.Fatal(errs)
	}
	a := Anchors(cfg)
	g, err := Compile(cfg, a)
	if err != nil {
		t.Fatal(err)
	}
	key, err := a.YAML()
	if err != nil {
		t.Fatal(err)
	}
	s := stages[string(key)]
	if s == nil {
		s = newStage(t, a)
		stages[string(key)] = s
	}
	done, err := s.show(g.Tables)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	return s.disagreement(cfg, &g.Tables, a, model.New(&g.Tables), q)
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }
