package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/measure"
)

const tunnelUsage = `tunnel list FILE | status --name N [--json]
       sekisho tunnel key --name N [--qr] [--out FILE]
       sekisho tunnel region ID FILE|--name N [--keys FILE] [--out FILE]
       sekisho tunnel import KEYS FILE|--name N [--region ID] [--end ID] [--out FILE]
       sekisho tunnel rotate END --name N`

// runTunnel does one of the things with tunnels, lines and regions.
func runTunnel(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	verbs := map[string]func(context.Context, []string, io.Writer, io.Writer) error{
		"list": tunnelList, "status": tunnelStatus, "key": tunnelKey, "region": tunnelRegion, "import": tunnelImport, "rotate": tunnelRotate,
	}
	if len(args) == 0 || verbs[args[0]] == nil {
		fmt.Fprintln(stderr, "usage: sekisho "+tunnelUsage)
		return exitUsage
	}
	err := verbs[args[0]](ctx, args[1:], stdout, stderr)
	switch {
	case err == errUsage:
		return exitUsage
	case err != nil:
		fmt.Fprintf(stderr, "sekisho tunnel %s: %v\n", args[0], err)
		return exitFailed
	}
	return exitOK
}

var errUsage = fmt.Errorf("usage")

// tunnelFlags makes the flags of one verb; name is empty when none is given.
func tunnelFlags(verb, usage string, stderr io.Writer) (*flag.FlagSet, *string) {
	fs := flags("tunnel "+verb+" "+usage, stderr)
	return fs, fs.String("name", "", "`name` of the gate instance")
}

// configured is the configuration that a verb works on: of a file, or the one in force.
func configured(ctx context.Context, files []string, name string, stderr io.Writer) (*config.Config, string, []byte, error) {
	var file string
	var doc []byte
	var err error
	switch {
	case len(files) == 1:
		file = files[0]
		doc, err = readConfig(file)
	case len(files) == 0 && name != "":
		file = "head"
		doc, err = textOf(ctx, place.Instance(name), "head")
	default:
		err = fmt.Errorf("want one configuration file, or --name for the configuration in force")
	}
	if err != nil {
		return nil, file, nil, err
	}
	cfg, ok := parseText(file, doc, stderr)
	if !ok {
		return nil, file, nil, fmt.Errorf("%s has errors: mend them first", file)
	}
	return cfg, file, doc, nil
}

// tunnelList shows what a configuration says of lines and ends.
func tunnelList(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs, name := tunnelFlags("list", "FILE | --name N", stderr)
	files, err := interspersed(fs, args)
	if err != nil {
		return errUsage
	}
	cfg, _, _, err := configured(ctx, files, *name, stderr)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "LINE\tUP\tDOWN\tKIND\tTUNNEL\tPORT\tCLASSES")
	for i := range cfg.Lines {
		l := &cfg.Lines[i]
		var classes []string
		for j := range cfg.Classes {
			if at, on := cfg.On(&cfg.Classes[j], l); on {
				classes = append(classes, fmt.Sprintf("%s %s", cfg.Classes[j].ID, at.Guarantee))
			}
		}
		device, port := "-", "-"
		for _, x := range cfg.Tunnels {
			if x.Line == l.ID {
				device, port = x.ID, strconv.Itoa(int(x.Listen))
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.Rate, l.Downstream(), dash(string(l.Kind)), device, port, dash(strings.Join(classes, ", ")))
	}
	fmt.Fprintln(t, "\nREGION\tEND\tTUNNEL\tENDPOINT\tPROBE\tSHARE\tTAKES OVER\tSEEN AS")
	for i := range cfg.Regions {
		r := &cfg.Regions[i]
		var nat []string
		for _, n := range r.NAT {
			nat = append(nat, fmt.Sprintf("%s as %s", n.Inside, n.Outside))
		}
		for _, e := range r.Reached() {
			probe := "-"
			if e.Probe.IsValid() {
				probe = e.Probe.String()
			}
			if e.Plain {
				probe += " (echo only)"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", r.ID, e.ID, e.Tunnel, e.Endpoint, probe, r.Weight(), dash(strings.Join(r.TakesOver, ", ")), dash(strings.Join(nat, ", ")))
		}
	}
	return t.Flush()
}

func dash(s string) string { return cmp.Or(s, "-") }

// looking is for how many seconds back the probes of each class are shown.
const looking = 10

// tunnelStatus shows how the ends are: which of them carries what, and how long an answer takes in each class.
func tunnelStatus(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs, name := tunnelFlags("status", "--name N [--json]", stderr)
	asJSON := fs.Bool("json", false, "print it as JSON")
	if rest, err := interspersed(fs, args); err != nil || len(rest) > 0 || *name == "" {
		if err == nil {
			fs.Usage()
		}
		return errUsage
	}
	d := dataplaneOf(*name)
	var s gate.Status
	if err := d.get(ctx, "/status", nil, &s); err != nil {
		return err
	}
	var seconds []measure.Sample
	since := time.Now().Add(-looking * time.Second).Unix()
	if err := d.get(ctx, "/measures", url.Values{"since": {strconv.FormatInt(since, 10)}}, &seconds); err != nil {
		return err
	}
	delays := delaysOf(seconds)
	if *asJSON {
		if printJSON(stdout, stderr, map[string]any{"ends": s.Tunnels, "delays": delays}) != exitOK {
			return fmt.Errorf("could not write")
		}
		return nil
	}
	return printEnds(stdout, s, delays, time.Now())
}

// Delay is what the probes of one class met on one line lately.
type Delay struct {
	Line  string        `json:"line"`
	Class string        `json:"class,omitempty"` // none: of the line as a whole
	P50   time.Duration `json:"p50_ns"`
	Max   time.Duration `json:"max_ns"`
	Sent  uint32        `json:"sent"`
	Lost  uint32        `json:"lost"`
}

// delaysOf sums the seconds of each line and class up: the median of the medians, the longest, and what was lost.
func delaysOf(seconds []measure.Sample) []Delay {
	medians := map[[2]string][]time.Duration{}
	sums := map[[2]string]*Delay{}
	for _, s := range seconds {
		k := [2]string{s.Line, s.Class}
		d := sums[k]
		if d == nil {
			d = &Delay{Line: s.Line, Class: s.Class}
			sums[k] = d
		}
		d.Sent, d.Lost, d.Max = d.Sent+s.Probe.Sent, d.Lost+s.Probe.Lost, max(d.Max, s.Probe.Max)
		if s.Probe.Sent > s.Probe.Lost {
			medians[k] = append(medians[k], s.Probe.P50)
		}
	}
	var out []Delay
	for k, d := range sums {
		slices.Sort(medians[k])
		d.P50 = measure.Quantile(medians[k], 0.5)
		out = append(out, *d)
	}
	slices.SortFunc(out, func(a, b Delay) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Class, b.Class)) })
	return out
}

func printEnds(w io.Writer, s gate.Status, delays []Delay, now time.Time) error {
	names := map[uint8]string{}
	for _, c := range s.Classes {
		names[c.ID] = c.Name
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "REGION\tEND\tTUNNEL\tLINE\tSTATE\tCARRIES\tHANDSHAKE\tRTT ms\tLOST\tMTU\tKEY")
	for _, e := range s.Tunnels {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.1f\t%.0f %%\t%s\t%s\n", e.Region, e.Peer, e.Device, dash(e.Contract), stateText(e, now),
			carries(e, names), ago(e.Handshake, now), e.ProbeRTT, 100*e.Loss, mtuText(e), keyText(e))
	}
	if len(delays) > 0 {
		fmt.Fprintf(t, "\nLINE\tCLASS\tRTT ms\tLONGEST\tLOST\t(last %d s)\n", looking)
		for _, d := range delays {
			fmt.Fprintf(t, "%s\t%s\t%.1f\t%.1f\t%d of %d\n", d.Line, cmp.Or(d.Class, "(all)"), milli(d.P50), milli(d.Max), d.Lost, d.Sent)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, e := range s.Tunnels {
		for _, why := range []string{e.Reason, e.Trouble} {
			if why != "" {
				fmt.Fprintf(w, "%s: %s\n", cmp.Or(e.Peer, e.Region), why)
			}
		}
	}
	return nil
}

func milli(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func stateText(e tunnel.Status, now time.Time) string {
	state := e.State
	if state == "" {
		state = map[bool]string{true: "up", false: "down"}[e.Up]
	}
	if e.Since.IsZero() {
		return state
	}
	return state + " " + now.Sub(e.Since).Round(time.Second).String()
}

// carries lists what goes by an end now: regions, and the classes that take it.
func carries(e tunnel.Status, names map[uint8]string) string {
	var classes []string
	for _, n := range e.Classes {
		classes = append(classes, cmp.Or(names[n], map[bool]string{true: "the rest", false: strconv.Itoa(int(n))}[n == 0]))
	}
	switch {
	case len(e.Carries) == 0 && len(classes) == 0:
		return "-"
	case len(classes) == 0:
		return strings.Join(e.Carries, ", ")
	}
	return strings.Join(e.Carries, ", ") + ": " + strings.Join(classes, ", ")
}

func ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return now.Sub(t).Round(time.Second).String() + " ago"
}

// mtuText: of the device, and what was seen to pass when that is less.
func mtuText(e tunnel.Status) string {
	switch {
	case e.MTU == 0:
		return "-"
	case e.Passes != 0 && e.Passes < e.MTU:
		return fmt.Sprintf("%d, only %d pass", e.MTU, e.Passes)
	case e.LineMTU != 0:
		return fmt.Sprintf("%d of %d", e.MTU, e.LineMTU)
	}
	return strconv.Itoa(e.MTU)
}

func keyText(e tunnel.Status) string {
	switch {
	case e.Rotating:
		return "pre-shared, being changed"
	case e.Preshared && !e.KeySince.IsZero():
		return "pre-shared since " + e.KeySince.Local().Format(time.DateOnly)
	case e.Preshared:
		return "pre-shared"
	}
	return "public only"
}
