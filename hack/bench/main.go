// Command bench measures the packet core, the tunnels and the sanitizer beside their peers, on the machine it runs on.
//
// Problem: a figure without its peer from the same run says nothing, and a packet that is measured carelessly takes a short
// way: the second run sees what the first one rewrote, the hundredth finds every line in the cache. Mechanism: single
// packets are measured with BPF_PROG_TEST_RUN and a program that writes every header of the next packet of a long, shuffled
// list before it tail-calls the classifier; what that program costs by itself is subtracted; the peer, flows and records in
// two HASH maps, gets the same packets in the same round. Forwarding is measured between real veth pairs: one CPU sends live
// frames, a kernel thread on another forwards, and what arrives at the far end is divided by the CPU time of that thread, so
// that whatever else runs on the machine disturbs little. Life cycle: everything is made in namespaces and a mount namespace
// of this process and ends with it. Invariant: a round whose packets did not all fare as expected is an error, not a figure.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if code, ok := role(os.Args[1:]); ok {
		os.Exit(code)
	}
	out := flag.String("out", "out/bench.json", "file for the measurements")
	plot := flag.String("plot", "out/bench.svg", "file for the plot")
	floodPlot := flag.String("flood-plot", "out/flood.svg", "file for the plot of what a backup leaves to others")
	loop := flag.String("loop", "", "for a profiler: measure only hits, firsts, refusals or mix, again and again for -seconds, with -records and -live flows")
	seconds := flag.Int("seconds", 10, "how long -loop goes on")
	records := flag.Int("records", 10_000, "records of -loop: 100, 1000, 10000 or 100000")
	live := flag.Int("live", flows64k, "live flows of -loop")
	changed := flag.Int("changes", 0, "only measure changes of a policy of so many records, and print them as JSON")
	tunnelFile := flag.String("tunnel", "", "for a process that bench starts by itself: measure tunnels and write the figures to this file")
	onlyTunnel := flag.Bool("tunnels", false, "only measure tunnels")
	onlyFiles := flag.Bool("files", false, "only measure the sanitizer")
	part := flag.String("part", "", "of tunnels, only guarantee, flood, delay, page, failover, throughput or idle; of files, only a part as it is named while it runs, like 'the pixel way'")
	flag.Parse()
	if *tunnelFile != "" {
		if err := tunnels(*tunnelFile, *part); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	err := aside(func() error {
		return withPins(func(dir string) error {
			if *changed > 0 {
				return printChanges(dir, *changed)
			}
			if *onlyFiles {
				return printFiles(dir, *part)
			}
			if *onlyTunnel {
				return printTunnels(*part, *floodPlot)
			}
			if *loop != "" {
				return again(dir, *loop, *records, *live, time.Duration(*seconds)*time.Second)
			}
			return bench(dir, *out, *plot, *floodPlot)
		})
	})
	var ended *exec.ExitError
	if errors.As(err, &ended) && os.Getenv(inside) == "" {
		os.Exit(ended.ExitCode()) // it has said why
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// inside is set where aside has done its part.
const inside = "SEKISHO_BENCH_INSIDE"

// aside runs f in this program started once more with mounts of its own, so that nothing is left over however it ends.
func aside(f func() error) error {
	if os.Getenv(inside) != "" {
		return f()
	}
	if os.Geteuid() != 0 {
		return errors.New("BPF and namespaces need root: sudo out/bin/bench")
	}
	if runtime.NumCPU() < 2 {
		return errors.New("forwarding needs one CPU and sending another; this machine has one")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.Command(self, os.Args[1:]...)
	c.Env = append(os.Environ(), inside+"=1")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	return c.Run()
}

// withPins gives f a folder on a bpffs.
func withPins(f func(dir string) error) error {
	dir, err := os.MkdirTemp("", "sekisho-bench-")
	if err != nil {
		return err
	}
	defer os.Remove(dir)
	if err := unix.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		return fmt.Errorf("mount a bpffs: %w", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	return f(dir)
}

func bench(dir, out, plot, floods string) error {
	fmt.Println(machine())
	records := []int{100, 1_000, 10_000, 100_000}
	g := newGrowth(records)
	small, err := newFixtures(records, flows64k, dir)
	defer closeFixtures(small)
	if err != nil {
		return err
	}
	for _, live := range []int{flows1k, flows64k} {
		progress("measuring packets of %d live flows", live)
		if err := g.stage(small, live); err != nil {
			return err
		}
	}
	progress("measuring forwarding")
	f, err := newForwarding(small)
	if err != nil {
		return err
	}
	defer f.close()
	if err := f.measure(); err != nil {
		return err
	}
	large, err := newFixtures(records, flows1m, dir)
	defer closeFixtures(large)
	if err != nil {
		return err
	}
	progress("measuring first, refused and mixed packets beside %d live flows", flows64k)
	for _, x := range large {
		if err := undisturbed(func() error { return x.fill(flows64k) }); err != nil {
			return err
		}
	}
	if err := g.others(large); err != nil {
		return err
	}
	progress("measuring packets of %d live flows", flows1m)
	if err := g.stage(large, flows1m); err != nil {
		return err
	}
	memory, err := large[len(large)-1].footprint()
	if err != nil {
		return err
	}
	progress("measuring commits")
	c, err := measureCommit(dir, 10_000, 5)
	if err != nil {
		return err
	}
	progress("measuring changes of policies")
	changed, err := measureChanges(records)
	if err != nil {
		return err
	}
	// What is measured by now is written before tunnels are tried, and again with them.
	fmt.Println()
	core := slices.Concat(summary(g, f, memory, c), summaryOfChanges(changed))
	if err := errors.Join(g.print(os.Stdout), f.print(os.Stdout), memory.print(os.Stdout), c.print(os.Stdout), printGrowthOfChanges(os.Stdout, changed),
		writeJSON(out, core), writePlot(plot, g, f)); err != nil {
		return err
	}
	progress("measuring tunnels")
	t := measureTunnels("")
	fmt.Println()
	core = slices.Concat(core, t.summary())
	if err := errors.Join(t.print(os.Stdout), writeJSON(out, core), writeFloods(floods, t.Floods)); err != nil {
		return err
	}
	sanitizer := measureFiles(dir, "")
	fmt.Println()
	all := slices.Concat(core, sanitizer.summary())
	return errors.Join(sanitizer.print(os.Stdout), printMeasurements(os.Stdout, all), writeJSON(out, all), t.err())
}

// again measures one kind of packet until the time is over, and prints the median.
func again(dir, kind string, records, live int, d time.Duration) error {
	if _, ok := shapes[records]; !ok {
		return fmt.Errorf("-records %d: want one of 100, 1000, 10000, 100000", records)
	}
	capacity := live
	if kind == "firsts" || kind == "mix" {
		capacity = flows1m // these use it up
	}
	x, err := newFixture(newTown(records), capacity, dir)
	if err != nil {
		return err
	}
	defer x.close()
	if err := undisturbed(func() error { return x.fill(live) }); err != nil {
		return err
	}
	measure, ok := map[string]func(*sample) error{"hits": x.hits, "firsts": x.firsts, "refusals": x.refuse, "mix": x.mix}[kind]
	if !ok {
		return fmt.Errorf("-loop %s: want hits, firsts, refusals or mix", kind)
	}
	var s sample
	for begin := time.Now(); time.Since(begin) < d; {
		if err := undisturbed(func() error { return measure(&s) }); err != nil {
			return err
		}
	}
	fmt.Printf("%s, %d records, %d flows: %s ns, generic %s ns, median of %d rounds\n", kind, records, live, figure(median(s.core)), figure(median(s.generic)), len(s.core))
	return nil
}

func newFixtures(records []int, capacity int, dir string) ([]*fixture, error) {
	var all []*fixture
	progress("making gates for %d flows", capacity)
	for _, n := range records {
		x, err := newFixture(newTown(n), capacity, dir)
		if err != nil {
			return all, err
		}
		all = append(all, x)
	}
	return all, nil
}

func closeFixtures(all []*fixture) {
	for _, x := range all {
		x.close()
	}
}

// summary is what is measured against the figures to reach.
func summary(g *growth, f *forwarding, m footprint, c commitResult) []measurement {
	const usual = 10_000 // records of a designated city
	const generic = "flows and records in HASH maps"
	hit := func(flows int) *sample { return g.hits[[2]int{usual, flows}] }
	ours := f.core(coreLane(usual))
	all := []measurement{
		plain("packet.flow_hit_64k_ns", "ns", median(hit(flows64k).core), generic, median(hit(flows64k).generic), atMost(67)),
		plain("packet.flow_hit_1m_ns", "ns", median(hit(flows1m).core), generic, median(hit(flows1m).generic), atMost(119)),
		plain("packet.first_ns", "ns", median(g.first[usual].core), generic, median(g.first[usual].generic), atMost(400)),
		plain("packet.refused_ns", "ns", median(g.refused[usual].core), generic, median(g.refused[usual].generic), atMost(150)),
		over("packet.growth_100k_over_100", median(g.mix[100_000].core), "the core with 100 records", median(g.mix[100].core), "ns", atMost(1.3)),
		over("packet.veth_over_bare_redirect", ours, bareLane, f.core(bareLane), "Mpps", atLeast(0.7)),
	}
	for i, n := range g.records {
		name := "packet.veth_over_nft_" + []string{"100", "1k", "10k", "100k"}[i]
		all = append(all, over(name, f.core(coreLane(n)), "nftables and conntrack, sets", f.core(nftLane(n)), "Mpps", atLeast(3)))
	}
	return append(all,
		over("packet.veth_over_kernel", ours, "kernel forwarding without rules", f.core(kernelLane), "Mpps", atLeast(2)),
		plain("packet.commit_10k_s", "s", c.median().Seconds(), "nft -f of the same policy as sets, unproven", c.nft.Seconds(), atMost(1)),
		plain("packet.commit_lost_packets", "packets", float64(c.lost), "sent while committing", float64(c.sent), atMost(0)),
		plain("packet.memory_mb", "MB", m.core, generic, m.generic, atMost(400)),
	)
}

func machine() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s, Linux %s, %d CPUs, %s", time.Now().Format("2006-01-02"), unix.ByteSliceToString(u.Release[:]), runtime.NumCPU(), cpuModel())
}

func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

var start = time.Now()

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%4.0f s  %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
}
