package plan

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
)

// Check tells everything that is wrong with a plan.
func (p Plan) Check() error {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("plan of region %.64q: "+format, append([]any{p.Region}, args...)...))
	}
	if p.Region == "" || len(p.Region) > 64 {
		fail("want a region's name of 1..64 bytes")
	}
	if len(p.Devices) == 0 || len(p.Devices) > MaxDevices {
		fail("%d devices: want 1..%d", len(p.Devices), MaxDevices)
	}
	if len(p.Matches) > MaxMatches {
		fail("%d matches: want at most %d; join prefixes or ports", len(p.Matches), MaxMatches)
	}
	if errs != nil {
		return errors.Join(errs...) // what is too long is not looked at
	}
	classes := map[uint8]bool{}
	for i, d := range p.Devices {
		if slices.ContainsFunc(p.Devices[:i], func(e Device) bool { return e.Device == d.Device }) {
			fail("device %.32q is there twice", d.Device)
		}
		if err := d.Check(); err != nil {
			errs = append(errs, fmt.Errorf("plan of region %.64q: %w", p.Region, err))
		}
		for _, c := range d.Classes {
			classes[c.ID] = true
		}
	}
	for i, m := range p.Matches {
		if err := m.check(); err != nil {
			fail("match %d: %w", i, err)
		} else if !classes[m.Class] {
			fail("match %d: no device has class %d", i, m.Class)
		}
	}
	if errs == nil {
		if _, err := p.Layers(); err != nil {
			errs = append(errs, err)
		}
	}
	if sum, err := p.sum(); err != nil || sum != p.Hash {
		fail("its hash is %016x, not %016x: %w", sum, p.Hash, errors.Join(err, errDamaged))
	}
	return errors.Join(errs...)
}

var errDamaged = errors.New("it was changed on the way, or never sealed")

// Check tells why a device cannot keep its classes' guarantees.
func (d Device) Check() error {
	for _, c := range d.Classes {
		if c.Ceiling > mostRate || d.Rate > mostRate {
			return fmt.Errorf("device %.32q: more than %d bit/s", d.Device, uint64(mostRate))
		}
	}
	if len(d.Device) > unix.IFNAMSIZ-1 {
		return fmt.Errorf("device %.32q: name is longer than %d bytes", d.Device, unix.IFNAMSIZ-1)
	}
	return d.Tree(d.Device, 0).Check()
}

// mostRate keeps sums of rates far from the end of their type, bit/s.
const mostRate = 1 << 50

// Tree is what the far end's device shall carry while its root may send grant bit/s; 0 is the plan's own rate. A grant below
// the guarantees' sum lowers all guarantees by the same part: the gate lends what this region does not use. Each class keeps
// what its answers to probes need, and the root what that sums to: the kernel refuses a rate of nothing.
func (d Device) Tree(device string, grant uint64) bandwidth.Tree {
	t := bandwidth.Tree{Device: device, Rate: d.Rate, Overhead: d.Overhead, Classes: slices.Clone(d.Classes)}
	part := 1.0
	if grant != 0 && grant < d.Rate {
		part = float64(grant) / float64(d.Rate)
	}
	if grant != 0 {
		t.Rate = grant
	}
	var sum uint64
	for i := range t.Classes {
		c := &t.Classes[i]
		if part < 1 {
			c.Guarantee = max(uint64(float64(c.Guarantee)*part), min(c.Guarantee, leastClass))
		}
		sum += c.Guarantee
	}
	if part < 1 {
		t.Rate = max(t.Rate, sum)
	}
	for i := range t.Classes {
		t.Classes[i].Ceiling = min(t.Classes[i].Ceiling, t.Rate)
	}
	return t
}

// leastClass is what a class keeps of its guarantee when the root may send next to nothing, bit/s.
const leastClass = 8_000

func (m Match) check() error {
	switch {
	case !m.From.IsValid() || !m.To.IsValid() || m.From.Masked() != m.From || m.To.Masked() != m.To:
		return fmt.Errorf("from %s to %s: want prefixes without host bits", m.From, m.To)
	case m.From.Addr().Is4() != m.To.Addr().Is4() || m.From.Addr().Is4In6() || m.To.Addr().Is4In6():
		return fmt.Errorf("from %s to %s: want one family", m.From, m.To)
	case m.Ports.Lo > m.Ports.Hi || m.Dest.Lo > m.Dest.Hi:
		return fmt.Errorf("ports %d-%d, %d-%d: want the lower one first", m.Ports.Lo, m.Ports.Hi, m.Dest.Lo, m.Dest.Hi)
	case !(m.Ports.All() && m.Dest.All()) && !slices.Contains(portProtocols, m.Proto):
		return fmt.Errorf("protocol %d has no ports", m.Proto)
	}
	return nil
}

var portProtocols = []uint8{unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_SCTP}

// Layers parts the matches so that those of one layer exclude each other and each one lies in a later layer than the earlier
// ones that it meets: the first layer that knows a packet decides, as if the matches were asked in order.
func (p Plan) Layers() ([][]Match, error) {
	at := make([]int, len(p.Matches))
	layers := make([][]Match, MaxLayers)
	deepest := 0
	for i, m := range p.Matches {
		for j := range i {
			if at[j] >= at[i] && m.meets(p.Matches[j]) {
				at[i] = at[j] + 1
			}
		}
		if at[i] >= MaxLayers {
			return nil, fmt.Errorf("plan of region %.64q: more than %d matches lie over each other from match %d on (from %s to %s): join some", p.Region, MaxLayers, i, m.From, m.To)
		}
		layers[at[i]] = append(layers[at[i]], m)
		deepest = max(deepest, at[i]+1)
	}
	return layers[:deepest], nil
}

func (m Match) meets(o Match) bool {
	return m.From.Overlaps(o.From) && m.To.Overlaps(o.To) && (m.Proto == 0 || o.Proto == 0 || m.Proto == o.Proto) &&
		m.Ports.meets(o.Ports) && m.Dest.meets(o.Dest)
}

func (p Ports) meets(o Ports) bool { return p.All() || o.All() || p.Lo <= o.Hi && o.Lo <= p.Hi }

// ClassOf is the class of a packet that comes down; 0 when no match fits: the default class.
func (p Plan) ClassOf(from, to netip.Addr, proto uint8, source, dest uint16) uint8 {
	for _, m := range p.Matches {
		if m.From.Contains(from) && m.To.Contains(to) && (m.Proto == 0 || m.Proto == proto) && m.Ports.holds(source) && m.Dest.holds(dest) {
			return m.Class
		}
	}
	return 0
}

func (p Ports) holds(n uint16) bool { return p.All() || p.Lo <= n && n <= p.Hi }
