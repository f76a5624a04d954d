package packet

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Count is a number of packets and of their bytes (Ethernet header included, FCS not).
type Count struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// Counters are running totals since the pins were made; those of rules since their tables became current.
type Counters struct {
	Reasons    map[string]Count          // drops by reason name; only those that occurred
	Pairs      map[[2]anchors.Zone]Count // allowed, by {from zone, to zone} of the packet
	Rules      map[uint32]Count          // allowed, by rule number of the current tables
	EventsLost uint64                    // drops whose event the ring refused; the drops themselves are counted
}

type countersJSON struct {
	Reasons    map[string]Count `json:"reasons"`
	Pairs      map[string]Count `json:"pairs"` // "lgwan>internet"
	Rules      map[uint32]Count `json:"rules"`
	EventsLost uint64           `json:"events_lost"`
}

// MarshalJSON writes pairs as "from>to".
func (c Counters) MarshalJSON() ([]byte, error) {
	j := countersJSON{Reasons: c.Reasons, Pairs: map[string]Count{}, Rules: c.Rules, EventsLost: c.EventsLost}
	for pair, n := range c.Pairs {
		j.Pairs[pair[0].String()+">"+pair[1].String()] = n
	}
	return json.Marshal(j)
}

// UnmarshalJSON is the inverse.
func (c *Counters) UnmarshalJSON(b []byte) error {
	var j countersJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*c = Counters{Reasons: j.Reasons, Pairs: map[[2]anchors.Zone]Count{}, Rules: j.Rules, EventsLost: j.EventsLost}
	for name, n := range j.Pairs {
		from, to, _ := strings.Cut(name, ">")
		a, err := anchors.ParseZone(from)
		if err != nil {
			return err
		}
		b, err := anchors.ParseZone(to)
		if err != nil {
			return err
		}
		c.Pairs[[2]anchors.Zone{a, b}] = n
	}
	return nil
}

const zoneStride = 8 // MAX_ZONES

// Counters reads all counters.
func (c *Core) Counters() (Counters, error) {
	out := Counters{Reasons: map[string]Count{}, Pairs: map[[2]anchors.Zone]Count{}, Rules: map[uint32]Count{}}
	for n := uint32(1); n < uint32(len(reasons)); n++ {
		v, err := total(c.objects.Drops, n)
		if err != nil {
			return out, fmt.Errorf("read drops of %s: %w", reasons[n], err)
		}
		if v.Packets != 0 {
			out.Reasons[reasons[n]] = v
		}
	}
	for from := anchors.MyNumber; from < anchors.Zones; from++ {
		for to := anchors.MyNumber; to < anchors.Zones; to++ {
			v, err := total(c.objects.Allowed, uint32(from)*zoneStride+uint32(to))
			if err != nil {
				return out, fmt.Errorf("read what passed from %s to %s: %w", from, to, err)
			}
			if v.Packets != 0 {
				out.Pairs[[2]anchors.Zone{from, to}] = v
			}
		}
	}
	var lost []uint64
	if err := c.objects.EventsLost.Lookup(uint32(0), &lost); err != nil {
		return out, fmt.Errorf("read lost events: %w", err)
	}
	for _, n := range lost {
		out.EventsLost += n
	}
	return out, c.ruleCounters(out.Rules)
}

func (c *Core) ruleCounters(out map[uint32]Count) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	slot, epoch := c.current()
	if epoch == 0 {
		return nil
	}
	var m *ebpf.Map
	if err := c.objects.RuleCounts.Lookup(slot, &m); err != nil {
		return fmt.Errorf("read counters of rules: %w", err)
	}
	defer m.Close()
	return each(m, func(rule uint32, perCPU []programsCount) { out[rule] = sum(perCPU) })
}

func total(m *ebpf.Map, key uint32) (Count, error) {
	var perCPU []programsCount
	if err := m.Lookup(key, &perCPU); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return Count{}, err
	}
	return sum(perCPU), nil
}

func sum(perCPU []programsCount) (n Count) {
	for _, v := range perCPU {
		n.Packets += v.Packets
		n.Bytes += v.Bytes
	}
	return n
}
