package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/backstop"
	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/isolation"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
	"github.com/sekisho/sekisho/dataplane/packet/witness"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/lending"
	"github.com/sekisho/sekisho/dataplane/tunnel/measure"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
)

// Gate holds the network of one instance, in the process's network namespace.
type Gate struct {
	instance place.Instance
	anchors  *anchors.Anchors
	core     *packet.Core
	tunnels  *tunnel.Set
	promises *promises
	own      map[string]string // its public keys, by tunnel device
	meter    bandwidth.Meter
	measured measure.Recorder
	events   *hub
	log      *slog.Logger

	isolation *isolation.Keeper

	shield   sync.Mutex // for a moment only: who cuts a zone off does not wait for a generation
	backstop backstop.Options
	print    backstop.Print   // of the backstop as it was installed; none: it has yet to be
	shaped   []bandwidth.Tree // queues that may hold packets
	told     map[string]plan.Plan
	waiting  bool // they may hold some that were let in before a zone was cut off

	checking sync.Mutex // one check at a time: it takes the room of a whole generation

	steering sync.Mutex // for a moment only: a line that is cut does not wait for a generation
	routed   []Route    // what was asked for last, to be put where the ways are

	looking sync.Mutex // one diagnosis at a time

	mu      sync.Mutex  // one change at a time
	current *Generation // in force; nil before the first
	digest  string      // of current
	stand   witness.Stand
	trial   *trial // of current; nil: it is there for good
	ended   *Ended // the last trial
	unkept  *kept  // in force, but not on the disk yet; nil: it is
	indexes map[string]int
	boot    func() (id string, at time.Duration) // which start of the machine this is, and how long ago that was
}

// Result of an accepted generation.
type Result struct {
	Revision string `json:"revision"`
	Hash     string `json:"hash"` // of the tables
	Epoch    uint32 `json:"epoch"`
	Digest   string `json:"digest"` // of the whole generation
}

// Refusal is why a generation was not installed. What was running runs on.
type Refusal struct {
	Violations []proof.Violation // of the tables
	Problems   error             // of everything else
}

func (r *Refusal) Error() string {
	if r.Problems != nil {
		return "refused: " + r.Problems.Error()
	}
	return fmt.Sprintf("refused: %d violations, the first: %s", len(r.Violations), r.Violations[0])
}

// Open takes hold of the network: it makes the portals' namespaces and tunnel devices, guards every device, installs the
// backstop, sets addresses and puts the last accepted generation back into force. Packets that were allowed before go on
// being allowed meanwhile, none that was forbidden is let through.
func Open(ctx context.Context, instance place.Instance, log *slog.Logger) (*Gate, error) {
	a, text, err := anchors.Read(instance.Anchors())
	if err != nil {
		return nil, fmt.Errorf("open the gate: %w", err)
	}
	g := &Gate{instance: instance, anchors: a, log: log, events: newHub(), indexes: map[string]int{}, boot: machineBoot}
	if err := g.open(ctx, text); err != nil {
		return nil, errors.Join(fmt.Errorf("open the gate: %w", err), g.Close())
	}
	return g, nil
}

// open does it. text: of the anchors file.
func (g *Gate) open(ctx context.Context, text []byte) error {
	uid, err := userID(place.TunnelUser)
	if err != nil {
		return err
	}
	if err := g.settleTrial(); err != nil {
		return err
	}
	// What lies under these two belongs to several daemons; each part below is closed by itself.
	for _, dir := range []string{g.instance.Run(), g.instance.State()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	g.keepAnchors(text)
	g.backstop = backstop.Options{Anchors: g.anchors, Tunnel: uid}
	g.openIsolation()
	o := tunnelOptions(g.instance, g.log)
	o.Moved = g.moved
	g.tunnels = tunnel.New(o)
	g.promises = &promises{anchors: g.anchors, tunnels: g.tunnels, lender: lending.New(g.tunnels), log: g.log, inForce: g.setInForce}
	if err := apply(stackSettings); err != nil {
		return err
	}
	if err := layBeneath(g.anchors); err != nil {
		return err
	}
	if err := makePortals(g.instance, g.anchors); err != nil {
		return err
	}
	var devices []string
	for _, t := range g.anchors.Tunnels {
		kernel, err := g.tunnels.Prepare(t.Device)
		if err != nil {
			return err
		}
		g.backstop.Kernel = g.backstop.Kernel || kernel
		devices = append(devices, t.Device)
	}
	if g.own, err = g.tunnels.PublicKeys(devices); err != nil {
		return err
	}
	if err := mountBPF(g.instance.BPF()); err != nil {
		return err
	}
	g.core, err = packet.Open(ctx, packet.Options{
		PinDir: g.instance.BPF(), Anchors: g.anchors, Log: g.log, ClockFile: filepath.Join(g.instance.StateOf("dataplane"), "clock"),
		PickUp:   time.Duration(g.anchors.PickUp) * time.Second,
		Isolated: g.backstop.Isolated,
		Prepare:  g.prepare,
	})
	if err != nil {
		return err
	}
	g.stand.Core = g.core
	g.backstop.Magic = g.core.Magic()
	if err := g.installBackstop(); err != nil {
		return err
	}
	if err := apply(forwarding); err != nil {
		return err
	}
	if err := settlePorts(g.anchors, g.core.Status()); err != nil {
		return err
	}
	return g.restore(ctx)
}

func (g *Gate) installBackstop() error {
	p, err := backstop.Install(g.backstop)
	g.print = p // none, when it failed: then the next look installs it
	return err
}

// settleBackstop puts back rules that somebody changed. While that fails, nothing is forwarded, by the stack or past it: the
// packet core asks the kernel's routing, too.
func (g *Gate) settleBackstop() error {
	g.shield.Lock()
	defer g.shield.Unlock()
	p, err := backstop.Look()
	if err == nil && p == g.print {
		return apply(forwarding)
	}
	g.log.Error("somebody changed the backstop: installing it again", "error", err)
	if err := g.installBackstop(); err != nil {
		return errors.Join(fmt.Errorf("nothing is forwarded until the backstop stands again: %w", err), apply(noForwarding))
	}
	return apply(forwarding)
}

func tunnelOptions(i place.Instance, log *slog.Logger) tunnel.Options {
	return tunnel.Options{Control: filepath.Join(i.Run(), "tunnel"), Keys: i.StateOf("dataplane"), User: place.TunnelUser, Log: log}
}

// prepare makes the tables those of the last accepted generation, before anything else is opened. Before programs whose pins are
// new, so that an upgrade closes nothing that is open. In the place of pinned tables that are others, since they may be those of
// a trial that is over: whether this start has ended it, or an earlier one that came no further, or a daemon that died between
// the tables and the file. What does not fit is not put, and closes what is pinned: restore, later, says why.
func (g *Gate) prepare(core *packet.Core) error {
	g.core = core
	last, err := readGeneration(g.path())
	if err != nil {
		return err
	}
	hash, _, pinned := core.Identity()
	if last != nil && pinned && hash == packet.Hash(last.Tables) {
		return nil
	}
	no := func() error {
		if pinned {
			return g.closeTables()
		}
		return nil
	}
	if last == nil || checkObjects(&last.Generation, g.anchors, g.own) != nil {
		return no()
	}
	swap, discard, err := g.stage(last.Tables, false)
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return no()
	}
	if err != nil {
		return err
	}
	defer discard()
	return swap()
}

// restore puts the last accepted generation back. When the anchors have changed so that it is refused now, tables that
// permit nothing take the place of those that are still pinned.
func (g *Gate) restore(ctx context.Context) error {
	last, err := readGeneration(g.path())
	if err != nil {
		return err
	}
	if last == nil {
		_, _, pinned := g.core.Identity()
		if !pinned {
			g.log.Info("no generation was ever accepted: everything is closed")
			return nil
		}
		g.log.Error("tables are pinned, but no accepted generation is kept: closing everything")
		return g.closeAll(ctx)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.trial, g.ended = last.Trial, last.Ended
	_, err = g.apply(ctx, last.Generation, nil)
	var no *Refusal
	if errors.As(err, &no) && g.trial != nil {
		g.log.Error("the generation on trial does not fit the anchors any more: going back", "revision", last.Revision, "error", err)
		if _, err = g.goBack(ctx, "sekisho-dataplane", "the anchors do not allow it any more"); g.unkept != nil {
			g.log.Error("end the trial", "error", err, "again_in", trialAgain)
			err = nil
		}
	}
	if errors.As(err, &no) {
		g.log.Error("the last accepted generation does not fit the anchors any more: closing everything", "revision", last.Revision, "error", err)
		return g.closeAll(ctx)
	}
	return err
}

// closeTables swaps to tables that permit nothing.
func (g *Gate) closeTables() error {
	staged, err := g.core.Load(packet.Tables{Revision: "closed"})
	if err == nil {
		err = staged.Swap()
	}
	if err != nil {
		return fmt.Errorf("close everything: %w", err)
	}
	return nil
}

// closeAll closes the tables, and takes routes and regions away.
func (g *Gate) closeAll(ctx context.Context) error {
	if err := g.closeTables(); err != nil {
		return err
	}
	var bare []tunnel.Spec // engines that a former daemon left running lose their peers too
	for _, t := range g.anchors.Tunnels {
		if line, ok := g.anchors.Segment(t.Line); ok {
			bare = append(bare, tunnel.Spec{Device: t.Device, Line: deviceOf(line), Listen: t.Listen, MTU: 1280})
		}
	}
	if err := errors.Join(g.routes(nil), g.tunnels.Apply(ctx, bare)); err != nil {
		return fmt.Errorf("close everything: tables are closed, but: %w", err)
	}
	return nil
}

func (g *Gate) path() string {
	return filepath.Join(g.instance.StateOf("dataplane"), "generation.json")
}

// Apply checks a whole generation and swaps to it, for good; a *Refusal, or any other error, leaves the former one in force. It
// ends a trial.
func (g *Gate) Apply(ctx context.Context, n Generation) (Result, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.apply(ctx, n, &kept{Generation: n, Ended: g.replaced()})
}

// apply keeps what keep says once it is in force; nil: what is kept already.
func (g *Gate) apply(ctx context.Context, n Generation, keep *kept) (Result, error) {
	if err := checkObjects(&n, g.anchors, g.own); err != nil {
		return Result{}, &Refusal{Problems: err}
	}
	swap, discard, err := g.stage(n.Tables, keep != nil)
	if err != nil {
		return Result{}, err
	}
	defer discard()
	commit := func() error { return nil }
	if keep != nil {
		if commit, err = prepareGeneration(g.path(), *keep); err != nil {
			return Result{}, err
		}
	}
	old := g.current
	err = g.install(ctx, &n, swap)
	if err == nil {
		err = commit()
	}
	if err != nil {
		err = fmt.Errorf("install revision %s: %w", n.Revision, err)
		if back := g.back(ctx, old); back != nil {
			err = errors.Join(err, fmt.Errorf("and going back failed: %w", back))
		}
		return Result{}, err
	}
	g.current, g.digest = &n, n.Digest()
	if keep != nil {
		g.trial, g.ended, g.unkept = keep.Trial, keep.Ended, nil
	}
	r := g.result()
	g.log.Info("generation in force", "revision", n.Revision, "hash", r.Hash)
	return r, nil
}

// install changes the network in the order that never opens more than either generation alone: what the new one lacks goes
// first, then the tables change, then what it adds comes.
func (g *Gate) install(ctx context.Context, n *Generation, swap func() error) error {
	if err := g.tighten(ctx, n); err != nil {
		return err
	}
	if err := swap(); err != nil {
		return err
	}
	return g.loosen(ctx, n)
}

func (g *Gate) tighten(ctx context.Context, n *Generation) error {
	if err := g.tightenRoutes(n.Routes); err != nil {
		return err
	}
	return g.tunnels.Apply(ctx, common(g.tunnels.Specs(), n.Tunnels))
}

// routes makes the kernel's routes what is asked for, by the ways of now.
func (g *Gate) routes(asked []Route) error {
	g.steering.Lock()
	defer g.steering.Unlock()
	return g.route(asked, g.tunnels.Ways())
}

func (g *Gate) loosen(ctx context.Context, n *Generation) error {
	g.tunnels.Prefer(n.Preferences)
	if err := g.tunnels.Apply(ctx, n.Tunnels); err != nil {
		return err
	}
	g.askInClasses(n)
	if err := g.promises.set(n.Bandwidth, n.Plans); err != nil {
		return err
	}
	return g.routes(n.Routes)
}

// askInClasses has ends asked in the classes of their lines, those that wait least first.
func (g *Gate) askInClasses(n *Generation) {
	for _, s := range n.Tunnels {
		var ids []uint8
		for _, t := range n.Bandwidth {
			if t.Device != s.Device {
				continue
			}
			classes := slices.Clone(t.Classes)
			slices.SortStableFunc(classes, func(a, b bandwidth.Class) int { return int(a.Priority) - int(b.Priority) })
			for _, c := range classes {
				ids = append(ids, c.ID)
			}
		}
		g.tunnels.Classes(s.Device, ids)
	}
}

// setInForce tells whose queues may hold packets from now on, and what far ends are told.
func (g *Gate) setInForce(trees []bandwidth.Tree, plans map[string]plan.Plan) {
	g.shield.Lock()
	defer g.shield.Unlock()
	g.shaped, g.told = trees, plans
}

// shape makes every tunnel device carry its plan; one without a plan is not shaped. A device
// that fails keeps no other one from its plan.
func shape(a *anchors.Anchors, plans []bandwidth.Tree) error {
	var errs []error
	for _, t := range a.Tunnels {
		i := slices.IndexFunc(plans, func(p bandwidth.Tree) bool { return p.Device == t.Device })
		if i < 0 {
			errs = append(errs, bandwidth.Remove(t.Device))
		} else {
			errs = append(errs, bandwidth.Apply(plans[i]))
		}
	}
	return errors.Join(errs...)
}

// back restores the former generation after a failure on the way. Its tables are loaded again: they were proven.
func (g *Gate) back(ctx context.Context, old *Generation) error {
	if old == nil {
		return g.closeAll(ctx)
	}
	swap := func() error { return nil }
	if inForce, _, _ := g.core.Identity(); inForce != packet.Hash(old.Tables) {
		staged, err := g.core.Load(old.Tables)
		if err != nil {
			return err
		}
		swap = staged.Swap
	}
	return g.install(ctx, old, swap)
}

// common is what both have: the devices and peers of a that b keeps unchanged.
func common(a, b []tunnel.Spec) []tunnel.Spec {
	var out []tunnel.Spec
	for _, x := range a {
		for _, y := range b {
			if x.Device != y.Device {
				continue
			}
			var peers []tunnel.Peer
			for _, p := range x.Peers {
				for _, q := range y.Peers {
					if p.PublicKey != q.PublicKey || p.Endpoint != q.Endpoint || p.Region != q.Region || !samePrefixes(p.Allowed, q.Allowed) {
						continue
					}
					p.TakesOver = slices.DeleteFunc(slices.Clone(p.TakesOver), func(r string) bool { return !slices.Contains(q.TakesOver, r) })
					p.Preshared = p.Preshared || q.Preshared
					peers = append(peers, p)
				}
			}
			x.Peers = peers
			out = append(out, x)
		}
	}
	return out
}

func (g *Gate) result() Result {
	r := Result{}
	if g.current != nil {
		r.Revision, r.Digest = g.current.Revision, g.digest
	}
	r.Hash, r.Epoch, _ = g.core.Identity()
	return r
}

// Run keeps the network as it should be until ctx ends: it measures classes, guards devices that
// come or come back, puts back what somebody took away, and goes back from what nobody confirms.
func (g *Gate) Run(ctx context.Context) {
	var trials sync.WaitGroup
	defer trials.Wait()
	trials.Go(func() { g.watchTrial(ctx) })
	go g.events.run(ctx, g.core, g.log)
	go g.keepIsolation(ctx)
	go g.keepMeasures(ctx)
	go g.promises.watch(ctx)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	changed := changes(ctx, g.log)
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			g.measure()
			if n%8 == 0 {
				if err := g.core.KeepTime(); err != nil {
					g.log.Error("keep time", "error", err)
				}
			}
			if n%2 == 0 {
				continue
			}
		case <-changed:
			time.Sleep(calm)
		}
		if err := g.settle(ctx); err != nil && ctx.Err() == nil {
			g.log.Error("settle the network", "error", err)
		}
	}
}

func (g *Gate) measure() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.current == nil {
		return
	}
	if err := g.meter.Sample(g.current.Bandwidth, time.Now()); err != nil {
		g.log.Error("measure bandwidth", "error", err)
	}
}

// settle repairs what changed outside: ports plugged in, devices recreated, rules or routes removed.
func (g *Gate) settle(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var errs []error
	if !portalsStand(g.instance, g.anchors) {
		errs = append(errs, makePortals(g.instance, g.anchors))
	}
	changed, err := g.remakeTunnels()
	errs = append(errs, err)
	status, err := g.core.Rescan(ctx)
	errs = append(errs, err)
	if err := g.settleBackstop(); err != nil {
		return errors.Join(append(errs, err)...)
	}
	errs = append(errs, settlePorts(g.anchors, status))
	if g.current == nil {
		return errors.Join(errs...)
	}
	if changed {
		errs = append(errs, g.loosen(ctx, g.current))
	} else {
		errs = append(errs, g.routes(g.current.Routes))
	}
	for _, p := range status {
		g.indexes[p.Name] = p.Index
	}
	return errors.Join(errs...)
}

// remakeTunnels makes devices that are missing, and tells whether one is another than before.
func (g *Gate) remakeTunnels() (changed bool, err error) {
	for _, t := range g.anchors.Tunnels {
		if l, look := netlink.LinkByName(t.Device); look != nil || g.indexes[t.Device] != l.Attrs().Index {
			_, failed := g.tunnels.Prepare(t.Device)
			changed, err = true, errors.Join(err, failed)
		}
	}
	return changed, err
}

// Close lets go of everything and changes nothing: programs, rules, routes and engines go on.
func (g *Gate) Close() error {
	errs := []error{g.stand.Close()}
	if g.tunnels != nil {
		errs = append(errs, g.tunnels.Close())
	}
	if g.core != nil {
		errs = append(errs, g.core.Close())
	}
	return errors.Join(errs...)
}

// Remove takes away all that Open made in this network namespace, which is the gate's alone. For labs and tests: afterwards
// nothing is guarded.
func Remove(instance place.Instance, log *slog.Logger) error {
	// By what is there, not by the anchors: they may have changed, or be gone.
	var devices []string
	links, err := netlink.LinkList()
	for _, l := range links {
		if l.Type() == "tuntap" || l.Type() == "wireguard" {
			devices = append(devices, l.Attrs().Name)
		}
	}
	return errors.Join(
		err,
		apply(noForwarding),
		tunnel.Remove(tunnelOptions(instance, log), devices),
		removePortals(instance),
		removeRoutes(),
		packet.Remove(instance.BPF()),
		unmountBPF(instance.BPF()),
		backstop.Remove(),
	)
}

func userID(name string) (uint32, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, fmt.Errorf("%w; run hack/bootstrap or add the system user", err)
	}
	n, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("user %s has id %s", name, u.Uid)
	}
	return uint32(n), nil
}
