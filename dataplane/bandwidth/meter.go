package bandwidth

import (
	"fmt"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
)

// ClassStatus is what a class was really given.
type ClassStatus struct {
	Device    string `json:"device"`
	ID        uint8  `json:"id"`
	Name      string `json:"name"`
	Guarantee uint64 `json:"guarantee"`  // bit/s
	Ceiling   uint64 `json:"ceiling"`    // bit/s
	Rate      uint64 `json:"rate_bps"`   // bit/s that left the class lately, as on the line: outer packets counted
	Bytes     uint64 `json:"sent_bytes"` // on the line
	Packets   uint64 `json:"sent_packets"`
	Drops     uint64 `json:"drops"`
	Backlog   uint32 `json:"backlog_bytes"` // waiting now
}

// Meter turns the kernel's counters into rates. Sample it about once a second; its methods may be called from several
// goroutines.
type Meter struct {
	mu   sync.Mutex
	last map[string]sample // by device and class
	now  []ClassStatus
}

type sample struct {
	at    time.Time
	bytes uint64
}

// Sample reads the counters of the trees.
func (m *Meter) Sample(trees []Tree, now time.Time) error {
	var all []ClassStatus
	next := map[string]sample{}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range trees {
		have, err := Read(t)
		if err != nil {
			return err
		}
		for _, c := range have {
			k := fmt.Sprintf("%s/%d", c.Device, c.ID)
			next[k] = sample{now, c.Bytes}
			if l, ok := m.last[k]; ok && now.After(l.at) && c.Bytes >= l.bytes {
				c.Rate = uint64(float64(c.Bytes-l.bytes) * 8 / now.Sub(l.at).Seconds())
			}
			all = append(all, c)
		}
	}
	m.last, m.now = next, all
	return nil
}

// Classes is the last sample, in the order of the plans.
func (m *Meter) Classes() []ClassStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]ClassStatus{}, m.now...)
}

// Read reads the counters of one tree's classes, without rates.
func Read(t Tree) ([]ClassStatus, error) {
	link, err := netlink.LinkByName(t.Device)
	if err != nil {
		return nil, fmt.Errorf("read bandwidth of %s: %w", t.Device, err)
	}
	have, err := netlink.ClassList(link, netlink.HANDLE_NONE)
	if err != nil {
		return nil, fmt.Errorf("read bandwidth of %s: %w", t.Device, err)
	}
	byHandle := map[uint32]*netlink.ClassStatistics{}
	for _, c := range have {
		if s := c.Attrs().Statistics; s != nil {
			byHandle[c.Attrs().Handle] = s
		}
	}
	var out []ClassStatus
	for _, c := range t.Classes {
		x := ClassStatus{Device: t.Device, ID: c.ID, Name: c.Name, Guarantee: c.Guarantee, Ceiling: c.Ceiling}
		if s := byHandle[c.leaf()]; s != nil {
			if s.Basic != nil {
				x.Bytes, x.Packets = s.Basic.Bytes, uint64(s.Basic.Packets)
			}
			if s.Queue != nil {
				x.Drops, x.Backlog = uint64(s.Queue.Drops), s.Queue.Backlog
			}
		}
		out = append(out, x)
	}
	return out, nil
}
