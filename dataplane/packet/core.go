// Package packet is the packet lane's hands: it loads the programs of bpf/, guards every port with them, and puts the
// compiled tables in front of them.
//
// Problem: what decides about a packet must go on deciding while every daemon is dead, must never decide by half a policy,
// and must never trust whoever compiled the policy. Mechanism: programs, maps and links are pinned; a policy is one image that is
// filled, frozen, read back and only then made current by one atomic update; ports, prefixes and zones of
// the separately written egress program come from the anchors alone; flows that are over are removed by a timer in the
// kernel. Life cycle: Open loads or re-opens what is pinned,
// Load stages tables, Swap makes them current, Close leaves everything in place, Remove takes it away. Invariant: a port
// of the anchors is either guarded by the native XDP program and both tcx programs, or it is down.
package packet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Options say what to guard and where the pins live.
type Options struct {
	PinDir  string           // a directory on a bpffs that the caller mounted; pins lie under PinDir/v2
	Anchors *anchors.Anchors // which devices exist, and the zones of all addresses
	Log     *slog.Logger     // nil: slog.Default()
	Flows   uint32           // flows that may live at once; 0 = 65536. Room for them is made when the pins are first made. The initiators of one segment without a limit of its own share a quarter.

	// Prepare is called once tables can be loaded, and before any device is guarded by these programs: whoever knows the tables
	// in force puts them there, so that programs of another layout take over without a gap. nil: none are known.
	Prepare func(*Core) error

	// ClockFile keeps how late it has been, so that a clock that was set back opens no record again; "": only while the pins live.
	ClockFile string

	// PickUp is for how long after the flow table was made, as it is at a start of the machine, a TCP connection may go on whose
	// beginning the programs have not seen; from its initiator's side only. Opening a table that is pinned, and so knows its
	// flows, grants no further time. 0: not at all.
	PickUp time.Duration

	// Isolated are the zones that are cut off from the first packet on. See Isolate.
	Isolated []anchors.Zone

	features features // nil: the kernel's
}

// Core is the packet core of one gate. Its methods may be called from several goroutines.
type Core struct {
	dir      string // PinDir/v2
	log      *slog.Logger
	anchors  *anchors.Anchors
	spec     *ebpf.CollectionSpec
	objects  programsObjects
	maps     map[string]*ebpf.Map // all that the programs use, by name
	traces   redirectObjects
	unseen   string // why redirects that fail are not counted
	lines    lines
	capacity uint32 // of the flow table
	fresh    bool   // the flow table was made by this Open
	magic    uint16

	clockFile string
	floor     atomic.Uint32 // minute since 1970 that has been

	features features
	former   []string // folders of other layouts
	captures captures

	mu         sync.Mutex
	active     *Tables
	activeHash string // of active, once somebody asked
	names      names  // of active
	devices    *devices
	status     []PortStatus
	shown      shown
	clock      clockValue // as it was written last
	counting   *ebpf.Map  // counters of rules that the next epoch has already

	tidying sync.WaitGroup // takes away what a swap left; with mu held only
}

// layoutVersion names the folder of the pins: programs of another layout do not see these maps.
const layoutVersion = "v2"

// Open loads the programs, or re-opens those that are pinned, in the caller's network namespace, and guards every device
// of the anchors that exists. A device that cannot be guarded is taken down and reported by Status; that is not an error
// of Open.
func Open(ctx context.Context, o Options) (*Core, error) {
	c := &Core{dir: filepath.Join(o.PinDir, layoutVersion), log: o.Log, anchors: o.Anchors, clockFile: o.ClockFile, features: o.features}
	if c.log == nil {
		c.log = slog.Default()
	}
	if c.features == nil {
		c.features = kernelFeatures{}
	}
	if err := c.open(ctx, o); err != nil {
		c.Close()
		return nil, fmt.Errorf("open the packet core under %s: %w", o.PinDir, err)
	}
	return c, nil
}

func (c *Core) open(ctx context.Context, o Options) error {
	if o.Anchors == nil {
		return errors.New("no anchors given")
	}
	var st unix.Statfs_t
	if err := unix.Statfs(o.PinDir, &st); err != nil {
		return fmt.Errorf("look at the pin directory: %w", err)
	}
	if st.Type != unix.BPF_FS_MAGIC {
		return errors.New("not on a bpffs; mount one there first (mount -t bpf bpf DIR)")
	}
	for _, d := range []string{c.dir, c.path("maps"), c.path("programs"), c.path("links"), c.path("traces")} {
		if err := os.Mkdir(d, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make a folder for pins: %w", err)
		}
	}
	var err error
	if c.former, err = formerLayouts(o.PinDir); err != nil {
		return err
	}
	steps := []func() error{
		func() error { return c.load(o.Flows, o.Isolated) },
		c.pinPrograms,
		c.beginCollecting,
		c.settleMagic,
		c.settleClock,
		c.settlePairs,
		func() error { return c.settlePickUp(o.PickUp) },
		c.watchRedirects,
		c.settleZonePairs,
		c.openDevices,
		c.settlePrefixes,
		c.settleMappings,
		c.recall,
		func() error {
			if o.Prepare == nil {
				return nil
			}
			return o.Prepare(c)
		},
		c.inherit,
		func() error {
			_, err := c.Rescan(ctx)
			return err
		},
		c.forgetFormer,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Core) path(elem ...string) string { return filepath.Join(append([]string{c.dir}, elem...)...) }

// passing are the maps that hold nothing between two packets, or nothing that means something to the next process; they
// belong to one set of programs.
var passing = []string{programsMapVerdicts, programsMapPackets, programsMapQuotes, programsMapAtHand, programsMapCaptureFilters,
	programsMapCaptureRules, programsMapCaptureRings, programsMapCapturesLost, programsMapOverflowDrafts, programsMapAdjacencyDrafts,
	programsMapLookups, programsMapOpeningEnds, programsMapFormerFlows, programsMapFormerKeys}

// load brings the programs into the kernel, over the pinned maps where they exist. Links are moved to these programs by
// the scan that follows.
func (c *Core) load(flows uint32, isolated []anchors.Zone) error {
	spec, err := loadPrograms()
	if err != nil {
		return fmt.Errorf("read the built-in programs: %w", err)
	}
	if err := beginIsolated(spec, isolated); err != nil {
		return err
	}
	if err := beginMapping(spec, c.anchors); err != nil {
		return err
	}
	for name, m := range spec.Maps {
		if !slices.Contains(passing, name) && name[0] != '.' {
			m.Pinning = ebpf.PinByName
		}
	}
	keys, err := c.prepareFlows(spec, flows)
	if err != nil {
		return err
	}
	former, err := c.openFormer(spec)
	if err != nil {
		return err
	}
	c.spec = spec
	opts := ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: c.path("maps")}}
	if former != nil {
		defer former.Close()
		opts.MapReplacements = map[string]*ebpf.Map{programsMapFormerFlows: former}
	}
	if err := c.loadFirst(opts); err != nil {
		return fmt.Errorf("load programs and maps (pins of another version are removed with the folder %s): %w", c.dir, err)
	}
	if err := c.keepKeys(keys); err != nil {
		return err
	}
	c.lines, err = mapLines(&c.objects.programsMaps, unix.PROT_READ)
	return err
}

// beginCollecting starts the timer that removes flows that are over, or hands the running one to these programs. It lives
// in a pinned map and outlives every process.
func (c *Core) beginCollecting() error {
	code, err := c.objects.BeginCollecting.Run(&ebpf.RunOptions{})
	if err == nil && code != 0 {
		err = fmt.Errorf("the kernel answers %d", int32(code))
	}
	if err != nil {
		return fmt.Errorf("start the timer that removes flows that are over: %w", err)
	}
	return nil
}

// settleMagic draws the magic when the pins are new and reads it back otherwise.
func (c *Core) settleMagic() error {
	var v uint32
	if err := c.objects.Boot.Lookup(uint32(0), &v); err != nil {
		return fmt.Errorf("read the magic: %w", err)
	}
	if v == 0 {
		former, err := c.formerMagic()
		if err == nil && former != 0 {
			v, err = former, c.objects.Boot.Put(uint32(0), former)
		}
		if err != nil {
			return fmt.Errorf("settle the magic: %w", err)
		}
	}
	for v == 0 {
		var b [2]byte
		if _, err := rand.Read(b[:]); err != nil {
			return fmt.Errorf("draw the magic: %w", err)
		}
		v = uint32(le.Uint16(b[:]))
		if err := c.objects.Boot.Put(uint32(0), v); err != nil {
			return fmt.Errorf("store the magic: %w", err)
		}
	}
	c.magic = uint16(v)
	return freeze(c.objects.Boot)
}

// freeze is Freeze that does not mind a frozen map.
func freeze(m *ebpf.Map) error {
	info, err := m.Info()
	if err != nil {
		return fmt.Errorf("freeze %s: %w", m, err)
	}
	if info.Frozen() {
		return nil
	}
	if err := m.Freeze(); err != nil {
		return fmt.Errorf("freeze %s: %w", m, err)
	}
	return nil
}

// Magic is the upper half of the mark on every packet that the programs let up the stack; random per pin directory, never 0.
func (c *Core) Magic() uint16 { return c.magic }

// Close releases handles; everything pinned goes on working.
func (c *Core) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tidying.Wait()
	err := c.lines.close()
	if c.objects.Classify != nil {
		err = errors.Join(err, c.objects.Close())
		for name, m := range c.maps {
			if name[0] == '.' { // of the programs' variables; objects has the others
				err = errors.Join(err, m.Close())
			}
		}
	}
	if c.traces.SendFailed != nil {
		err = errors.Join(err, c.traces.Close())
	}
	return err
}

// Remove detaches and unpins all that Open made under pinDir. For labs and tests: the ports are unguarded afterwards.
func Remove(pinDir string) error {
	former, err := formerLayouts(pinDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, dir := range append(former, filepath.Join(pinDir, layoutVersion)) {
		err = errors.Join(err, detachAll(filepath.Join(dir, "links")), os.RemoveAll(dir))
	}
	if err != nil {
		return fmt.Errorf("remove the packet core under %s: %w", pinDir, err)
	}
	return nil
}
