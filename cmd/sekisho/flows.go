package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// namedFlow is a flow with names for its numbers, as --json prints it.
type namedFlow struct {
	Proto       string         `json:"proto"`
	Src         netip.AddrPort `json:"src"` // initiator; ICMP: the port is the echo identifier
	Dst         netip.AddrPort `json:"dst"`
	FromZone    anchors.Zone   `json:"from_zone"`
	ToZone      anchors.Zone   `json:"to_zone"`
	FromSegment string         `json:"from_segment"`
	ToSegment   string         `json:"to_segment"`
	Records     []string       `json:"records"` // empty: of a former policy, and not asked again since
	IdleSeconds float64        `json:"idle_seconds"`
	Forward     packet.Count   `json:"forward"`
	Reverse     packet.Count   `json:"reverse"`
}

func named(f packet.Flow, n packet.Names) namedFlow {
	from, to := n.Segments[f.SrcSegment], n.Segments[f.DstSegment]
	out := namedFlow{
		Proto: protocol(f.Proto), Src: netip.AddrPortFrom(f.Src, f.SPort), Dst: netip.AddrPortFrom(f.Dst, f.DPort),
		FromZone: from.Zone, ToZone: to.Zone, FromSegment: cmp.Or(from.Name, fmt.Sprint("#", f.SrcSegment)), ToSegment: cmp.Or(to.Name, fmt.Sprint("#", f.DstSegment)),
		Records: []string{}, IdleSeconds: f.Idle, Forward: f.Forward, Reverse: f.Reverse,
	}
	if f.Epoch == n.Epoch && n.Rules[f.Rule] != nil {
		out.Records = n.Rules[f.Rule]
	}
	return out
}

func (f namedFlow) packets() uint64 { return f.Forward.Packets + f.Reverse.Packets }
func (f namedFlow) bytes() uint64   { return f.Forward.Bytes + f.Reverse.Bytes }

// flowFilter keeps flows for which everything given holds, at either end.
type flowFilter struct {
	zone, segment, record string
	addr                  netip.Prefix // of either end; invalid: any
}

func (w *flowFilter) flags(flags *flag.FlagSet) {
	flags.StringVar(&w.zone, "zone", "", "`zone` of either end")
	flags.StringVar(&w.segment, "segment", "", "`segment` of either end")
	flags.StringVar(&w.record, "record", "", "`record` that permits it")
	flags.Func("addr", "`address` or prefix of either end", func(s string) (err error) {
		if a, bad := netip.ParseAddr(s); bad == nil {
			w.addr = netip.PrefixFrom(a, a.BitLen())
			return nil
		}
		w.addr, err = netip.ParsePrefix(s)
		return err
	})
}

// check refuses names that mean nothing, which would list nothing without a word.
func (w *flowFilter) check(n packet.Names) error {
	if w.zone != "" {
		if _, err := anchors.ParseZone(w.zone); err != nil {
			return err
		}
	}
	known := func(name string) bool {
		for _, s := range n.Segments {
			if s.Name == name {
				return true
			}
		}
		return false
	}
	if w.segment != "" && !known(w.segment) {
		return fmt.Errorf("segment %q: the policy in force has no such segment", w.segment)
	}
	if w.record != "" {
		for _, records := range n.Rules {
			if slices.Contains(records, w.record) {
				return nil
			}
		}
		return fmt.Errorf("record %q: the policy in force has no such record, or it permits nothing now", w.record)
	}
	return nil
}

func (w *flowFilter) keeps(f namedFlow) bool {
	return (w.zone == "" || f.FromZone.String() == w.zone || f.ToZone.String() == w.zone) &&
		(w.segment == "" || f.FromSegment == w.segment || f.ToSegment == w.segment) &&
		(w.record == "" || slices.Contains(f.Records, w.record)) &&
		(!w.addr.IsValid() || w.addr.Contains(f.Src.Addr()) || w.addr.Contains(f.Dst.Addr()))
}

// orders of flows; ties are broken by the ends, so that two lists of the same flows are the same.
var orders = map[string]func(a, b namedFlow) int{
	"bytes":   func(a, b namedFlow) int { return cmp.Compare(b.bytes(), a.bytes()) },
	"packets": func(a, b namedFlow) int { return cmp.Compare(b.packets(), a.packets()) },
	"idle":    func(a, b namedFlow) int { return cmp.Compare(a.IdleSeconds, b.IdleSeconds) },
	"addr":    func(a, b namedFlow) int { return 0 },
}

func sortFlows(flows []namedFlow, order func(a, b namedFlow) int) {
	slices.SortFunc(flows, func(a, b namedFlow) int {
		return cmp.Or(order(a, b), a.Src.Addr().Compare(b.Src.Addr()), a.Dst.Addr().Compare(b.Dst.Addr()), cmp.Compare(a.Proto, b.Proto),
			cmp.Compare(a.Src.Port(), b.Src.Port()), cmp.Compare(a.Dst.Port(), b.Dst.Port()))
	})
}

const flowsUsage = "usage: sekisho flows --name N [--zone Z] [--segment S] [--record R] [--addr A|PREFIX] [--sort bytes|packets|idle|addr] [--max N] [--json]"

// runFlows lists live flows.
func runFlows(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("flows", stderr)
	flags.Usage = func() { fmt.Fprintln(stderr, flowsUsage) }
	var wants flowFilter
	wants.flags(flags)
	order := flags.String("sort", "bytes", "`order`: bytes, packets, idle or addr")
	most := flags.Int("max", 100, "`number` of flows that are shown at most; 0: all")
	asJSON := flags.Bool("json", false, "print JSON")
	if err := flags.Parse(args); err != nil || *name == "" || flags.NArg() > 0 || orders[*order] == nil || *most < 0 {
		if err == nil {
			fmt.Fprintln(stderr, flowsUsage)
		}
		return exitUsage
	}
	return listFlows(ctx, dataplaneOf(*name), wants, *order, *most, *asJSON, stdout, stderr)
}

func listFlows(ctx context.Context, d dataplane, wants flowFilter, order string, most int, asJSON bool, stdout, stderr io.Writer) int {
	all, names, err := d.flows(ctx)
	if err == nil {
		err = wants.check(names)
	}
	if err != nil {
		fmt.Fprintln(stderr, "sekisho flows:", err)
		return exitFailed
	}
	flows := slices.DeleteFunc(slices.Clone(all), func(f namedFlow) bool { return !wants.keeps(f) })
	sortFlows(flows, orders[order])
	found := len(flows)
	if most > 0 && found > most {
		flows = flows[:most]
	}
	if asJSON {
		if flows == nil {
			flows = []namedFlow{}
		}
		if code := printJSON(stdout, stderr, flows); code != exitOK {
			return code
		}
	} else {
		err = printFlows(stdout, flows)
	}
	if err != nil {
		fmt.Fprintln(stderr, "sekisho flows:", err)
		return exitFailed
	}
	if found > len(flows) {
		fmt.Fprintf(stderr, "%d of %d flows are shown; --max 0 shows all\n", len(flows), found)
	}
	if len(all) >= mostFlows {
		fmt.Fprintf(stderr, "there are more flows than the dataplane lists at once (%d): some were not looked at\n", mostFlows)
	}
	return exitOK
}

func printFlows(w io.Writer, flows []namedFlow) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PROTO\tFROM\tTO\tSEGMENTS\tRECORD\tIDLE\tFORWARD\tREVERSE")
	for _, f := range flows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s > %s\t%s\t%s\t%s\t%s\n", f.Proto, endpoint(f, f.Src), endpoint(f, f.Dst), f.FromSegment, f.ToSegment,
			recordsText(f.Records), idle(f.IdleSeconds), volume(f.Forward), volume(f.Reverse))
	}
	return t.Flush()
}

// endpoint is an address with its port, where the protocol has ports.
func endpoint(f namedFlow, a netip.AddrPort) string {
	switch f.Proto {
	case "tcp", "udp", "sctp":
		return a.String()
	case "icmp", "icmp6":
		return a.Addr().String() + " id " + strconv.Itoa(int(a.Port()))
	}
	return a.Addr().String()
}

func recordsText(records []string) string {
	if len(records) == 0 {
		return "-"
	}
	return strings.Join(records, ",")
}

func idle(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}

func volume(c packet.Count) string {
	return siPrefix(float64(c.Packets)) + " / " + siPrefix(float64(c.Bytes)) + "B"
}
