package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet/model"
)

// changes is what changes of a policy of so many records take, from the records to the tables in force: compile, prove as
// control does, load, prove what was read back as the dataplane does, swap.
type changes struct {
	Records, Cells int
	Whole          []steps         // from one policy to another that shares no record with it
	One            []steps         // with one record more or less
	Traces         []time.Duration // one question each, about the tables in force
	Peak           int             // bytes that the process held at most
	Maps           int             // bytes of the kernel's maps, most of them the table of flows
	NftWhole       time.Duration   // the peer's: one atomic load of the same policy as sets, unproven
	NftOne         time.Duration   // the peer's: one record more in its set
}

const changeRounds = 5

// measureChanges measures each size in a process of its own, so that its memory is its own.
func measureChanges(records []int) ([]changes, error) {
	var all []changes
	for _, n := range records {
		c := exec.Command("/proc/self/exe", "-changes", strconv.Itoa(n))
		c.Stderr = os.Stderr
		out, err := c.Output()
		if err != nil {
			return nil, fmt.Errorf("measure changes of %d records: %w", n, err)
		}
		var row changes
		if err := json.Unmarshal(out, &row); err != nil {
			return nil, fmt.Errorf("measure changes of %d records: %w", n, err)
		}
		all = append(all, row)
	}
	return all, nil
}

// printChanges is what such a process does.
func printChanges(dir string, records int) error {
	c, err := change(dir, records)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(c)
}

func change(dir string, records int) (c changes, err error) {
	c.Records = records
	towns := []*town{newCity(records, 2), newCity(records, 3)}
	l, err := newLane(feederSize{packets: flows1k})
	if err != nil {
		return c, err
	}
	defer l.close()
	g, err := guard(l, towns[1], filepath.Join(dir, fmt.Sprint("changes-", records)), flows64k)
	if err != nil {
		return c, err
	}
	for i := range changeRounds {
		g.town = towns[i%2]
		whole, err := g.compileAndCommit(&c.Cells)
		if err != nil {
			return c, err
		}
		all := g.town.config.Communications
		g.town.config.Communications = all[1:]
		one, err := g.compileAndCommit(&c.Cells)
		g.town.config.Communications = all
		if err != nil {
			return c, err
		}
		c.Whole, c.One = append(c.Whole, whole), append(c.One, one)
	}
	if c.Traces, err = g.traces(); err != nil {
		return c, err
	}
	if c.Peak, err = peak(); err != nil {
		return c, err
	}
	held, err := g.memory()
	if err != nil {
		return c, err
	}
	for _, bytes := range held {
		c.Maps += int(bytes)
	}
	if c.NftWhole, err = l.loadTime(rules(g.town, true)); err != nil {
		return c, err
	}
	p := g.town.pairs[0]
	const another = "add element ip bench permits { %s . %s . %d }\n"
	c.NftOne, err = l.loadTime(fmt.Sprintf(another, stationAddr(p.station), serviceAddr(p.service), 9))
	return c, err
}

// traces asks the tables in force about packets that a record permits, and about packets that none does.
func (g *guarded) traces() ([]time.Duration, error) {
	tables, _ := g.core.Active()
	ask := func(p pair, want bool) (time.Duration, error) {
		q := model.Query{From: anchors.LGWAN, Src: stationAddr(p.station), Dst: serviceAddr(p.service), Proto: 6, DPort: p.port}
		begin := time.Now()
		e := policy.Explain(g.town.config, &tables, g.town.anchors, q)
		took := time.Since(begin)
		if e.Allowed != want {
			return took, fmt.Errorf("trace %s to %s tcp/%d: %s", q.Src, q.Dst, q.DPort, e.Reason)
		}
		return took, nil
	}
	var all []time.Duration
	last := len(g.town.pairs)
	for i := range 50 {
		p := g.town.pairs[last-1-i*(last/100)] // the first record is out just now
		yes, err := ask(p, true)
		if err != nil {
			return nil, err
		}
		p.port = 9
		no, err := ask(p, false)
		if err != nil {
			return nil, err
		}
		all = append(all, yes, no)
	}
	return all, nil
}

// peak is the most memory that this process has held so far, in bytes.
func peak() (int, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("the kernel does not tell the memory of this process")
}

func totals(all []steps) float64 {
	var v []float64
	for _, s := range all {
		v = append(v, s.total().Seconds())
	}
	return median(v)
}

func (c changes) trace() float64 {
	var v []float64
	for _, d := range c.Traces {
		v = append(v, d.Seconds()*1000)
	}
	return median(v)
}

// middle is the round whose total is the median.
func middle(all []steps) steps {
	m := totals(all)
	for _, s := range all {
		if s.total().Seconds() == m {
			return s
		}
	}
	return all[0]
}

func printGrowthOfChanges(w io.Writer, all []changes) error {
	fmt.Fprintln(w, "\nchanges of the policy, from the records to the tables in force, median of", changeRounds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tcells\tanother policy ms\tone record ms\ttrace ms\tpeak MB\tnft -f ms\tnft one element ms\t")
	for _, c := range all {
		fmt.Fprintf(t, "%s records\t%d\t%.0f\t%.0f\t%.2f\t%.0f\t%.0f\t%.0f\t\n", short(c.Records), c.Cells, totals(c.Whole)*1000, totals(c.One)*1000, c.trace(),
			float64(c.Peak)/1e6, c.NftWhole.Seconds()*1000, c.NftOne.Seconds()*1000)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, c := range all {
		if _, err := fmt.Fprintf(w, "  %s records, one record: %s\n", short(c.Records), middle(c.One)); err != nil {
			return err
		}
	}
	return nil
}

// summaryOfChanges is what is measured against the figures to reach.
func summaryOfChanges(all []changes) []measurement {
	const nft = "nft -f of the same policy as sets, unproven"
	var out []measurement
	for _, c := range all {
		switch c.Records {
		case 10_000:
			out = append(out,
				plain("policy.commit_10k_s", "s", totals(c.Whole), nft, c.NftWhole.Seconds(), atMost(1)),
				plain("policy.change_one_ms", "ms", totals(c.One)*1000, "nft add element, unproven", c.NftOne.Seconds()*1000, atMost(200)),
				plain("policy.trace_ms", "ms", c.trace(), "no peer", 0, atMost(5)))
		case 100_000:
			out = append(out,
				plain("policy.commit_100k_s", "s", totals(c.Whole), nft, c.NftWhole.Seconds(), atMost(10)),
				plain("policy.commit_100k_mb", "MB", float64(c.Peak+c.Maps)/1e6, "of these, the kernel's maps with 64 k flows", float64(c.Maps)/1e6, atMost(1500)))
		}
	}
	return out
}
