package packet

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

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
	Notices    map[string]Count          // what was told though it is no drop, by kind; only those that occurred
	Marked     map[uint8]Count           // into tunnels, in the bandwidth class that their code point chose: by it; only those that occurred
	Pairs      map[[2]anchors.Zone]Count // allowed, by {from zone, to zone} of the packet
	Segments   []SegmentCount            // allowed, by segments of the packet; what live flows hold included
	Rules      map[uint32]Count          // allowed, by rule number of the current tables
	LastUsed   map[uint32]time.Time      // the last packet of each rule's live flows; without any, when its last flow was booked (after its timeout)
	Redirects  []RedirectFailure         // frames that came to nothing after they were allowed
	Unseen     string                    // why such frames are not counted; "": they are
	Opened     uint64                    // flows opened
	Flows      FlowUse                   // how full the flow table is
	EventsLost uint64                    // drops and notices whose event the ring refused; they themselves are counted
}

// SegmentCount is what went from one segment to another. Numbers are of the tables that decided; they stay a segment's as
// long as its policy keeps them.
type SegmentCount struct {
	From uint16 `json:"from"` // 0 with To 0: pairs that found no room of their own
	To   uint16 `json:"to"`
	Count
}

type countersJSON struct {
	Reasons    map[string]Count     `json:"reasons"`
	Notices    map[string]Count     `json:"notices"`
	Marked     map[uint8]Count      `json:"marked"`
	Pairs      map[string]Count     `json:"pairs"` // "lgwan>internet"
	Segments   []SegmentCount       `json:"segments"`
	Rules      map[uint32]Count     `json:"rules"`
	LastUsed   map[uint32]time.Time `json:"last_used"`
	Redirects  []RedirectFailure    `json:"redirect_failures"`
	Unseen     string               `json:"redirect_failures_unseen,omitempty"`
	Opened     uint64               `json:"opened"`
	Flows      FlowUse              `json:"flows"`
	EventsLost uint64               `json:"events_lost"`
}

// MarshalJSON writes pairs as "from>to".
func (c Counters) MarshalJSON() ([]byte, error) {
	j := countersJSON{Reasons: c.Reasons, Notices: c.Notices, Marked: c.Marked, Pairs: map[string]Count{}, Segments: c.Segments, Rules: c.Rules, LastUsed: c.LastUsed,
		Redirects: c.Redirects, Unseen: c.Unseen, Opened: c.Opened, Flows: c.Flows, EventsLost: c.EventsLost}
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
	*c = Counters{Reasons: j.Reasons, Notices: j.Notices, Marked: j.Marked, Pairs: map[[2]anchors.Zone]Count{}, Segments: j.Segments, Rules: j.Rules, LastUsed: j.LastUsed,
		Redirects: j.Redirects, Unseen: j.Unseen, Opened: j.Opened, Flows: j.Flows, EventsLost: j.EventsLost}
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
	out := Counters{Reasons: map[string]Count{}, Notices: map[string]Count{}, Marked: map[uint8]Count{}, Pairs: map[[2]anchors.Zone]Count{}, Rules: map[uint32]Count{}, LastUsed: map[uint32]time.Time{}}
	for n := uint32(1); n < uint32(len(reasons)); n++ {
		v, err := total(c.objects.Drops, n)
		if err != nil {
			return out, fmt.Errorf("read drops of %s: %w", reasons[n], err)
		}
		if v.Packets != 0 {
			out.Reasons[reasons[n]] = v
		}
	}
	for n := uint32(1); n < uint32(len(notices)); n++ {
		v, err := total(c.objects.Notices, n)
		if err != nil {
			return out, fmt.Errorf("read notices of %s: %w", notices[n], err)
		}
		if v.Packets != 0 {
			out.Notices[notices[n]] = v
		}
	}
	for dscp := range uint8(CodePoints) {
		v, err := total(c.objects.Marked, uint32(dscp))
		if err != nil {
			return out, fmt.Errorf("read what code point %d chose the class of: %w", dscp, err)
		}
		if v.Packets != 0 {
			out.Marked[dscp] = v
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
	var err error
	if out.Opened, err = sumNumber(c.objects.FlowsOpened); err != nil {
		return out, fmt.Errorf("read how many flows were opened: %w", err)
	}
	if out.EventsLost, err = sumNumber(c.objects.EventsLost); err != nil {
		return out, fmt.Errorf("read lost events: %w", err)
	}
	if out.Segments, err = c.flowCounters(out.Rules, out.LastUsed); err != nil {
		return out, err
	}
	if out.Flows, err = c.FlowUse(); err != nil {
		return out, err
	}
	out.Unseen = c.unseen
	if out.Redirects, err = c.redirectFailures(); err != nil {
		return out, err
	}
	return out, nil
}

// flowCounters gives what flows carried, by segments in order and by rule: what is booked of those that ended, and what the
// lines of the live ones hold.
func (c *Core) flowCounters(rules map[uint32]Count, used map[uint32]time.Time) ([]SegmentCount, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pairs := map[uint32]Count{}
	if err := each(c.objects.SegmentPairs, func(pair uint32, n programsCount) { pairs[pair] = Count{n.Packets, n.Bytes} }); err != nil {
		return nil, fmt.Errorf("read what passed from segment to segment: %w", err)
	}
	if err := c.ruleCounters(rules, used); err != nil {
		return nil, err
	}
	now, hz, err := c.ticks()
	if err != nil {
		return nil, err
	}
	today := time.Now()
	epoch := uint32(0)
	if c.active != nil {
		epoch = c.active.Epoch
	}
	err = c.lines.walk(func(r rawFlow) bool {
		a, b := r.segments()
		for by, pair := range []uint32{uint32(a)<<16 | uint32(b), uint32(b)<<16 | uint32(a)} {
			n := r.count(by)
			pairs[pair] = pairs[pair].plus(n)
			if _, known := rules[r.Rule]; known && r.Epoch == epoch {
				rules[r.Rule] = rules[r.Rule].plus(n)
				if last := today.Add(-r.idle(now, hz)).Truncate(time.Second).UTC(); last.After(used[r.Rule]) {
					used[r.Rule] = last
				}
			}
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	if c.shown.epoch != epoch {
		c.shown.epoch, c.shown.rules = epoch, nil
	}
	c.shown.rules, c.shown.pairs = steady(c.shown.rules, rules), steady(c.shown.pairs, pairs)
	out := []SegmentCount{}
	for pair, n := range pairs {
		if n.Packets != 0 {
			out = append(out, SegmentCount{From: uint16(pair >> 16), To: uint16(pair), Count: n})
		}
	}
	slices.SortFunc(out, func(a, b SegmentCount) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return out, nil
}

func (n Count) plus(m Count) Count { return Count{n.Packets + m.Packets, n.Bytes + m.Bytes} }

// shown is what was told last.
type shown struct {
	epoch uint32
	rules map[uint32]Count
	pairs map[uint32]Count
}

// steady raises what seems to have fallen: a flow that ended between the reading of what is booked and of the lines. It
// returns now, to be kept.
func steady(before, now map[uint32]Count) map[uint32]Count {
	for k, n := range before {
		now[k] = Count{max(n.Packets, now[k].Packets), max(n.Bytes, now[k].Bytes)}
	}
	return maps.Clone(now)
}

// settlePairs makes the entry that counts pairs of segments for which there is no room.
func (c *Core) settlePairs() error {
	err := c.objects.SegmentPairs.Update(uint32(0), programsCount{}, ebpf.UpdateNoExist)
	if err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
		return fmt.Errorf("make the counter of pairs of segments without one of their own: %w", err)
	}
	return nil
}

// sumNumber adds what all CPUs counted in a map of one number.
func sumNumber(m *ebpf.Map) (n uint64, err error) {
	var perCPU []uint64
	if err := m.Lookup(uint32(0), &perCPU); err != nil {
		return 0, err
	}
	for _, v := range perCPU {
		n += v
	}
	return n, nil
}

// ruleCount is struct rule_count of bpf/image.h.
type ruleCount struct {
	Packets, Bytes uint64
	Last           uint32 // seconds since boot
	Epoch          uint32 // in entry 0: whose rules these are
}

// ruleCounters reads what is booked; c.mu is held.
func (c *Core) ruleCounters(out map[uint32]Count, used map[uint32]time.Time) error {
	if c.active == nil {
		return nil
	}
	var m *ebpf.Map
	if err := c.objects.RuleCounts.Lookup(c.active.Epoch&1, &m); err != nil {
		return fmt.Errorf("read counters of rules: %w", err)
	}
	defer m.Close()
	counts, err := values[ruleCount](m)
	if err != nil {
		return err
	}
	booted := time.Now().Add(-time.Duration(monotonic()))
	for _, r := range c.active.Rules {
		if int(r.ID) < len(counts) {
			out[r.ID] = Count{counts[r.ID].Packets, counts[r.ID].Bytes}
			if last := counts[r.ID].Last; last != 0 {
				used[r.ID] = booted.Add(time.Duration(last) * time.Second).Truncate(time.Second).UTC()
			}
		}
	}
	return nil
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
