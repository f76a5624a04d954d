package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sekisho/sekisho/dataplane/packet"
)

const topUsage = "usage: sekisho top --name N [--once] [--interval 2s] [--lines 10]"

// runTop shows what moves: records, flows, pairs of segments and drops, by rate.
func runTop(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("top", stderr)
	flags.Usage = func() { fmt.Fprintln(stderr, topUsage) }
	once := flags.Bool("once", false, "print one interval and end")
	interval := flags.Duration("interval", 2*time.Second, "`time` between two looks")
	lines := flags.Int("lines", 10, "`number` of lines of each list")
	if err := flags.Parse(args); err != nil || *name == "" || flags.NArg() > 0 || *interval < 100*time.Millisecond || *lines < 1 {
		if err == nil {
			fmt.Fprintln(stderr, topUsage)
		}
		return exitUsage
	}
	err := watch(ctx, dataplaneOf(*name), *once, *interval, *lines, stdout)
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(stderr, "sekisho top:", err)
		return exitFailed
	}
	return exitOK
}

// clear puts the cursor home and clears what was there.
const clearScreen = "\x1b[H\x1b[2J"

func watch(ctx context.Context, d dataplane, once bool, interval time.Duration, lines int, stdout io.Writer) error {
	before, err := look(ctx, d)
	if err != nil {
		return err
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		now, err := look(ctx, d)
		if err != nil {
			return err
		}
		var page strings.Builder
		if !once {
			page.WriteString(clearScreen)
		}
		if err := between(before, now, lines).print(&page); err != nil {
			return err
		}
		if _, err := io.WriteString(stdout, page.String()); err != nil || once {
			return err
		}
		before = now
	}
}

// sight is what one look saw.
type sight struct {
	at       time.Time
	counters packet.Counters
	flows    []namedFlow
	names    packet.Names
}

func look(ctx context.Context, d dataplane) (s sight, err error) {
	s.at = time.Now()
	if err = d.get(ctx, "/counters", nil, &s.counters); err != nil {
		return s, err
	}
	s.flows, s.names, err = d.flows(ctx)
	return s, err
}

// speed is how fast something moves, a second.
type speed struct {
	what           string
	packets, bytes float64
	total          packet.Count
}

// motion is what happened between two looks.
type motion struct {
	live                           int
	opened, packets, bytes         float64
	lost                           uint64
	records, flows, segments, drop []speed
	failed                         []speed // no bytes are known
}

func between(a, b sight, lines int) motion {
	seconds := b.at.Sub(a.at).Seconds()
	rate := func(old, now uint64) float64 {
		if now < old { // counted from the start again: other tables, or another flow
			old = 0
		}
		if seconds <= 0 {
			return 0
		}
		return float64(now-old) / seconds
	}
	speedOf := func(what string, old, now packet.Count) speed {
		return speed{what, rate(old.Packets, now.Packets), rate(old.Bytes, now.Bytes), now}
	}
	m := motion{live: len(b.flows), opened: rate(a.counters.Opened, b.counters.Opened), lost: b.counters.EventsLost}
	for pair, n := range b.counters.Pairs {
		s := speedOf("", a.counters.Pairs[pair], n)
		m.packets += s.packets
		m.bytes += s.bytes
	}
	for reason, n := range b.counters.Reasons {
		m.drop = append(m.drop, speedOf(reason, a.counters.Reasons[reason], n))
	}
	for _, f := range b.counters.Redirects {
		i := slices.IndexFunc(a.counters.Redirects, func(o packet.RedirectFailure) bool {
			return o.Device == f.Device && o.Kind == f.Kind && o.Error == f.Error
		})
		var old packet.Count
		if i >= 0 {
			old.Packets = a.counters.Redirects[i].Frames
		}
		m.failed = append(m.failed, speedOf(cmp.Or(f.Device, "other")+" "+f.Kind+" "+f.Error, old, packet.Count{Packets: f.Frames}))
	}
	m.records = recordSpeeds(a, b, speedOf)
	old := map[[2]uint16]packet.Count{}
	for _, p := range a.counters.Segments {
		old[[2]uint16{p.From, p.To}] = p.Count
	}
	for _, p := range b.counters.Segments {
		what := "other"
		if p.From|p.To != 0 {
			what = cmp.Or(b.names.Segments[p.From].Name, fmt.Sprint("#", p.From)) + " > " + cmp.Or(b.names.Segments[p.To].Name, fmt.Sprint("#", p.To))
		}
		m.segments = append(m.segments, speedOf(what, old[[2]uint16{p.From, p.To}], p.Count))
	}
	m.flows = flowSpeeds(a.flows, b.flows, speedOf)
	for _, list := range []*[]speed{&m.records, &m.flows, &m.segments, &m.drop, &m.failed} {
		*list = fastest(*list, lines)
	}
	return m
}

// recordSpeeds adds up the rules of each record. A rule of several records is shown as that, for nobody knows whose packet it was.
func recordSpeeds(a, b sight, speedOf func(string, packet.Count, packet.Count) speed) (out []speed) {
	sum := func(s sight) map[string]packet.Count {
		by := map[string]packet.Count{}
		for rule, n := range s.counters.Rules {
			what := recordsText(b.names.Rules[rule])
			t := by[what]
			by[what] = packet.Count{Packets: t.Packets + n.Packets, Bytes: t.Bytes + n.Bytes}
		}
		return by
	}
	old := map[string]packet.Count{}
	if a.names.Epoch == b.names.Epoch {
		old = sum(a)
	}
	for what, n := range sum(b) {
		if n.Packets > 0 {
			out = append(out, speedOf(what, old[what], n))
		}
	}
	return out
}

func flowSpeeds(a, b []namedFlow, speedOf func(string, packet.Count, packet.Count) speed) (out []speed) {
	type ends struct {
		proto    string
		src, dst netip.AddrPort
	}
	total := func(f namedFlow) packet.Count { return packet.Count{Packets: f.packets(), Bytes: f.bytes()} }
	old := map[ends]packet.Count{}
	for _, f := range a {
		old[ends{f.Proto, f.Src, f.Dst}] = total(f)
	}
	for _, f := range b {
		what := fmt.Sprintf("%s %s > %s  %s", f.Proto, endpoint(f, f.Src), endpoint(f, f.Dst), recordsText(f.Records))
		out = append(out, speedOf(what, old[ends{f.Proto, f.Src, f.Dst}], total(f)))
	}
	return out
}

// fastest sorts by bytes a second, then packets, then what was counted in all.
func fastest(in []speed, lines int) []speed {
	slices.SortFunc(in, func(a, b speed) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(b.packets, a.packets), cmp.Compare(b.total.Bytes, a.total.Bytes), cmp.Compare(a.what, b.what))
	})
	return in[:min(len(in), lines)]
}

func (m motion) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s live flows, %s new/s; passed %s packets/s, %sbit/s; %d events lost\n",
		siPrefix(float64(m.live)), siPrefix(m.opened), siPrefix(m.packets), siPrefix(m.bytes*8), m.lost)
	for _, list := range []struct {
		head string
		of   []speed
	}{{"RECORD", m.records}, {"FLOW", m.flows}, {"SEGMENTS", m.segments}, {"DROPPED", m.drop}} {
		fmt.Fprintf(t, "\n%s\tPACKETS/S\tBIT/S\tPACKETS\tBYTES\n", list.head)
		if len(list.of) == 0 {
			fmt.Fprintln(t, "-")
		}
		for _, s := range list.of {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", s.what, siPrefix(s.packets), siPrefix(s.bytes*8), siPrefix(float64(s.total.Packets)), siPrefix(float64(s.total.Bytes)))
		}
	}
	if len(m.failed) > 0 {
		fmt.Fprintln(t, "\nALLOWED, NOT DELIVERED\tFRAMES/S\tFRAMES")
	}
	for _, s := range m.failed {
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.what, siPrefix(s.packets), siPrefix(float64(s.total.Packets)))
	}
	return t.Flush()
}
