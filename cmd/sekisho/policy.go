package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/controlplane/policy/equal"
	"github.com/sekisho/sekisho/controlplane/policy/reading"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/isolation"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/model"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
	"github.com/sekisho/sekisho/dataplane/packet/stones"
	"github.com/sekisho/sekisho/dataplane/place"
)

// compiled is a configuration that was read, checked and compiled.
type compiled struct {
	file    string
	cfg     *config.Config
	anchors *anchors.Anchors
	derived bool      // the anchors come from the configuration itself
	at      time.Time // as of when
	gate.Generation
}

// runCheck validates a configuration, compiles it and proves the result.
func runCheck(_ context.Context, args []string, stdout, stderr io.Writer) int {
	fs, o := policyFlags("check FILE [--explain] [--anchors FILE] [--at MOMENT] [--against FILE] [--lang ja|en]", stderr)
	other := fs.String("against", "", "another configuration, such as the one in force: tells what changes in packets, from it to FILE")
	lang := langFlag(fs)
	explain := fs.Bool("explain", false, "also tell what each line promises, and what becomes of it while lines are down")
	file, ok := oneFile(fs, args)
	if !ok {
		return exitUsage
	}
	c, ok := compile(file, o, stderr)
	if !ok {
		return exitFailed
	}
	c.warnExpired(stderr)
	if c.derived {
		fmt.Fprintf(stdout, "%s: no --anchors given: proven against the anchors that the file itself would need\n", file)
	}
	if !c.proven(stderr) {
		return exitFailed
	}
	t := &c.Tables
	fmt.Fprintf(stdout, "%s: valid and proven: %d segments, %s, %d classes, %d cells, %s, hash %s\n",
		file, len(t.Segments), counted(c.cfg), len(t.Classes), len(t.Cells), countStones(len(stones.Find(t, c.anchors))), packet.Hash(*t))
	if *explain {
		c.explainLines(stdout)
	}
	if *other != "" && !against(*other, c.cfg, *lang, stdout, stderr) {
		return exitFailed
	}
	return exitOK
}

// counted says how many records there are, and of which states when not all are active.
func counted(cfg *config.Config) string {
	by := policy.States(cfg)
	var parts []string
	for _, s := range config.States {
		if by[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", by[s], s))
		}
	}
	text := fmt.Sprintf("%d records", len(cfg.Communications))
	if by[config.Active] < len(cfg.Communications) {
		text += " (" + strings.Join(parts, ", ") + "; only active ones permit)"
	}
	return text
}

// runRoutes prints the file routes of a configuration, for root to put into force.
func runRoutes(_ context.Context, args []string, stdout, stderr io.Writer) int {
	return derive("routes FILE", args, stdout, stderr, func(cfg *config.Config) ([]byte, error) {
		return policy.Routes(cfg).YAML()
	})
}

// derive prints what root owns and a configuration implies.
func derive(usage string, args []string, stdout, stderr io.Writer, from func(*config.Config) ([]byte, error)) int {
	fs := flags(usage, stderr)
	file, ok := oneFile(fs, args)
	if !ok {
		return exitUsage
	}
	cfg, ok := parse(file, stderr)
	if !ok {
		return exitFailed
	}
	b, err := from(cfg)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", file, err)
		return exitFailed
	}
	fmt.Fprintf(stdout, "# Made by `sekisho %s`. Owned by root; what stands here binds every later configuration.\n%s", strings.Fields(usage)[0], b)
	return exitOK
}

// runTrace tells what becomes of the first packet of a flow, and why. Exit code 0: it passes; 1: it is dropped.
func runTrace(_ context.Context, args []string, stdout, stderr io.Writer) int {
	fs, o := policyFlags("trace FILE --from ZONE --src A --dst B --proto tcp --dport N [--mac M] [--dscp D] [--name N] [--anchors FILE] [--at MOMENT]", stderr)
	var q query
	fs.StringVar(&q.from, "from", "", "zone that the packet enters from: my-number, lgwan, internet, management, uplink")
	fs.StringVar(&q.src, "src", "", "source address")
	fs.StringVar(&q.dst, "dst", "", "destination address")
	fs.StringVar(&q.proto, "proto", "tcp", "tcp, udp, sctp, icmp, icmp6, esp, ah or gre")
	fs.IntVar(&q.dport, "dport", -1, "destination port; for icmp the type (default: echo request)")
	fs.StringVar(&q.mac, "mac", "", "source MAC (default: the registered one)")
	fs.TextVar(&q.dscp, "dscp", config.DSCP(0), "DSCP `value` that the sender writes, 0 to 63 or a name like ef")
	name := fs.String("name", "", "`name` of a gate instance of this machine: zones that are cut off there count")
	file, ok := oneFile(fs, args)
	if !ok {
		return exitUsage
	}
	mq, err := q.parse()
	if err == nil && *name != "" {
		mq.Isolated, err = cutOff(place.Instance(*name))
	}
	if err != nil {
		fmt.Fprintf(stderr, "sekisho trace: %v\n", err)
		return exitUsage
	}
	c, ok := compile(file, o, stderr)
	if !ok {
		return exitFailed
	}
	c.warnExpired(stderr)
	mq.At = c.at
	return c.trace(mq, stdout)
}

// cutOff are the zones of an instance that people have cut off.
func cutOff(i place.Instance) (map[anchors.Zone]bool, error) {
	s, err := isolation.Read(i.Isolation())
	cut := map[anchors.Zone]bool{}
	for _, z := range s.Zones() {
		cut[z] = true
	}
	return cut, err
}

// query is a packet as a person types it.
type query struct {
	from, src, dst, proto, mac string
	dport                      int
	dscp                       config.DSCP
}

func (q query) parse() (model.Query, error) {
	var m model.Query
	var err, errs error
	if m.From, err = anchors.ParseZone(q.from); err != nil {
		errs = errors.Join(errs, fmt.Errorf("--from: %w", err))
	}
	if m.Src, err = netip.ParseAddr(q.src); err != nil {
		errs = errors.Join(errs, fmt.Errorf("--src %q: want an IP address", q.src))
	}
	if m.Dst, err = netip.ParseAddr(q.dst); err != nil {
		errs = errors.Join(errs, fmt.Errorf("--dst %q: want an IP address", q.dst))
	}
	if errs == nil && m.Src.Is4() != m.Dst.Is4() {
		errs = fmt.Errorf("--src %s and --dst %s are of different IP versions", m.Src, m.Dst)
	}
	if q.mac != "" {
		if m.MAC, err = packet.ParseMAC(q.mac); err != nil {
			errs = errors.Join(errs, fmt.Errorf("--mac: %w", err))
		}
	}
	limit := 65535
	portless := map[string]uint8{"esp": config.ProtoESP, "ah": config.ProtoAH, "gre": config.ProtoGRE}
	switch q.proto {
	case "tcp":
		m.Proto = config.ProtoTCP
	case "udp":
		m.Proto = config.ProtoUDP
	case "sctp":
		m.Proto = config.ProtoSCTP
	case "esp", "ah", "gre":
		m.Proto, limit, q.dport = portless[q.proto], 0, max(q.dport, 0)
	case "icmp", "icmp6", "icmpv6":
		limit = 255
		m.Proto = config.ProtoICMP
		if m.Src.Is6() {
			m.Proto = config.ProtoICMPv6
		}
		if q.dport < 0 {
			q.dport = config.EchoV4
			if m.Src.Is6() {
				q.dport = config.EchoV6
			}
		}
	default:
		errs = errors.Join(errs, fmt.Errorf("--proto %q: want tcp, udp, sctp, icmp, icmp6, esp, ah or gre", q.proto))
	}
	if q.dport < 0 && errs == nil {
		errs = fmt.Errorf("--dport is missing")
	} else if q.dport > limit {
		errs = errors.Join(errs, fmt.Errorf("--dport %d: want 0 to %d", q.dport, limit))
	}
	m.DPort, m.DSCP = uint16(q.dport), uint8(q.dscp)
	return m, errs
}

func (c *compiled) trace(q model.Query, stdout io.Writer) int {
	e := policy.Explain(c.cfg, &c.Tables, c.anchors, q)
	for i, s := range e.Steps {
		word := "pass"
		if !s.OK {
			word = "DROP"
		}
		if s.Reason != "" {
			word += " " + s.Reason
		}
		fmt.Fprintf(stdout, "%d  %-11s %s  %s\n", i+1, s.Name, word, s.Text)
	}
	if e.Allowed {
		fmt.Fprintf(stdout, "=> passes, decided by %s\n   change: %s\n", strings.Join(c.places(e.Records), ", "), e.Advice)
		return exitOK
	}
	fmt.Fprintf(stdout, "=> dropped: %s, decided by step %s\n   change: %s\n", e.Reason, e.Steps[len(e.Steps)-1].Name, e.Advice)
	return exitFailed
}

// flags makes a flag set that prints the subcommand's usage.
func flags(usage string, stderr io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet(strings.Fields(usage)[0], flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprintf(stderr, "usage: sekisho %s\n", usage)
		fs.PrintDefaults()
	}
	return fs
}

// policyOptions say against what and as of when a configuration is looked at.
type policyOptions struct {
	anchors string
	at      time.Time
}

func policyFlags(usage string, stderr io.Writer) (*flag.FlagSet, *policyOptions) {
	fs := flags(usage, stderr)
	o := &policyOptions{at: time.Now()}
	fs.StringVar(&o.anchors, "anchors", "", "anchors file to prove against (default: derived from the configuration)")
	atFlag(fs, &o.at)
	return fs, o
}

// atFlag takes a moment other than now.
func atFlag(fs *flag.FlagSet, at *time.Time) {
	fs.Func("at", "`moment` as of which records count, YYYY-MM-DD or \"YYYY-MM-DD hh:mm\" in Japan's time (default: now)", func(s string) error {
		var m config.Moment
		if err := m.UnmarshalText([]byte(s)); err != nil {
			return err
		}
		*at = time.Unix(60*m.Begin(), 0)
		return nil
	})
}

// oneFile parses flags before and after the one file name.
func oneFile(fs *flag.FlagSet, args []string) (string, bool) {
	files, err := interspersed(fs, args)
	if err != nil {
		return "", false
	}
	if len(files) != 1 {
		fmt.Fprintf(fs.Output(), "sekisho %s: want one configuration file, got %d\n", fs.Name(), len(files))
		fs.Usage()
		return "", false
	}
	return files[0], true
}

// parse reads a configuration and prints its faults.
func parse(file string, stderr io.Writer) (*config.Config, bool) {
	doc, err := readConfig(file)
	if err != nil {
		fmt.Fprintf(stderr, "sekisho: %v\n", err)
		return nil, false
	}
	return parseText(file, doc, stderr)
}

// parseText is parse for a document that was read already.
func parseText(file string, doc []byte, stderr io.Writer) (*config.Config, bool) {
	cfg, errs := config.Parse(doc)
	if errs != nil {
		errs.Print(stderr, file)
		fmt.Fprintf(stderr, "%s: refused, errors: %d\n", file, len(errs))
		return nil, false
	}
	return cfg, true
}

func readConfig(file string) ([]byte, error) { return readBounded(file, config.MaxBytes) }

// readBounded reads a file, up to one byte more than its reader takes.
func readBounded(file string, most int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	doc, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return doc, nil
}

// compile reads and compiles a configuration against the anchors of a file, or against its own.
func compile(file string, o *policyOptions, stderr io.Writer) (*compiled, bool) {
	cfg, ok := parse(file, stderr)
	if !ok {
		return nil, false
	}
	return compileParsed(file, cfg, o, stderr)
}

func compileParsed(file string, cfg *config.Config, o *policyOptions, stderr io.Writer) (*compiled, bool) {
	c := &compiled{file: file, cfg: cfg, derived: o.anchors == "", at: o.at}
	var err error
	if c.derived {
		c.anchors = policy.Anchors(cfg)
		err = c.anchors.Validate()
	} else {
		c.anchors, err = anchors.Load(o.anchors, anchors.AnyOwner())
	}
	if err == nil {
		c.Generation, err = policy.Compile(cfg, c.anchors)
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", file, err)
		return nil, false
	}
	return c, true
}

// warnExpired names every record that permits nothing any more.
func (c *compiled) warnExpired(stderr io.Writer) {
	warnExpired(stderr, c.file, c.cfg, policy.Expired(c.cfg, c.at))
}

func warnExpired(stderr io.Writer, file string, cfg *config.Config, records []*config.Communication) {
	for _, r := range records {
		line := 0
		if p, ok := cfg.PosOf(r); ok {
			line = p.Line
		}
		fmt.Fprintf(stderr, "%s:%d: WARNING: record %s EXPIRED after %s and permits nothing: renew its until, or take it out\n", file, line, r.ID, r.Until)
	}
}

// proven prints every violation with its packet and the lines of its records.
func (c *compiled) proven(stderr io.Writer) bool {
	violations := append(proof.Check(&c.Tables, c.anchors), equal.Violations(reading.Of(c.cfg), &c.Tables, c.anchors)...)
	for _, v := range violations {
		fmt.Fprintf(stderr, "%s: refused: %s: %s\n", c.file, v.Invariant, v.Message)
		if v.Counterexample != nil {
			fmt.Fprintf(stderr, "    counterexample: %s\n", v.Counterexample)
		}
		if len(v.Records) > 0 {
			fmt.Fprintf(stderr, "    permitted by:   %s\n", strings.Join(c.places(v.Records), ", "))
		}
	}
	return len(violations) == 0
}

// places names records with the place where they are written.
func (c *compiled) places(records []string) []string {
	at := make(map[string]string, len(c.cfg.Communications))
	for i := range c.cfg.Communications {
		r := &c.cfg.Communications[i]
		if p, ok := c.cfg.PosOf(r); ok {
			at[r.ID] = fmt.Sprintf("%s (%s:%d)", r.ID, c.file, p.Line)
		}
	}
	out := make([]string, len(records))
	for i, r := range records {
		out[i] = r
		if p, ok := at[r]; ok {
			out[i] = p
		}
	}
	return out
}
