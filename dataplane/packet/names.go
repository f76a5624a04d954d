package packet

import (
	"fmt"
	"slices"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// names are what the numbers of one generation mean to people.
type names struct {
	epoch    uint32
	segments map[uint16]string
	records  map[uint32][]string // by rule
}

// epoch is that of the tables in force; 0: none.
func (c *Core) epoch() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.active == nil {
		return 0
	}
	return c.active.Epoch
}

// named gives the names of the tables in force, and whether they are those of the epoch. Numbers of other tables mean
// something else.
func (c *Core) named(epoch uint32) (names, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.active == nil {
		return names{}, false
	}
	if c.names.epoch != c.active.Epoch || c.names.segments == nil {
		c.names = names{epoch: c.active.Epoch, segments: map[uint16]string{}, records: map[uint32][]string{}}
		for _, s := range c.active.Segments {
			c.names.segments[s.ID] = s.Name
		}
		for _, r := range c.active.Rules {
			c.names.records[r.ID] = r.Records
		}
	}
	return c.names, c.names.epoch == epoch
}

// recordsOf names the records of a rule, while the tables whose rule it is are in force.
func (c *Core) recordsOf(epoch, rule uint32) []string {
	if n, ok := c.named(epoch); ok && rule != 0 {
		return n.records[rule]
	}
	return nil
}

// segmentName names a segment by the tables that decided, or by its number when they are gone. epoch 0: no tables decided;
// those in force give the name.
func (c *Core) segmentName(epoch uint32, id uint16) string {
	n, ok := c.named(epoch)
	if name := n.segments[id]; name != "" && (ok || epoch == 0) {
		return name
	}
	return fmt.Sprintf("#%d", id)
}

// Names are what the numbers in flows, counters and events mean.
type Names struct {
	Epoch    uint32                 `json:"epoch"` // 0: no policy is loaded
	Segments map[uint16]SegmentName `json:"segments"`
	Rules    map[uint32][]string    `json:"rules"` // records
}

// SegmentName is a segment and its zone.
type SegmentName struct {
	Name string       `json:"name"`
	Zone anchors.Zone `json:"zone"`
}

// Names gives those of the tables in force. Numbers of another epoch mean something else.
func (c *Core) Names() Names {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := Names{Segments: map[uint16]SegmentName{}, Rules: map[uint32][]string{}}
	if c.active == nil {
		return out
	}
	out.Epoch = c.active.Epoch
	for _, s := range c.active.Segments {
		out.Segments[s.ID] = SegmentName{s.Name, s.Zone}
	}
	for _, r := range c.active.Rules {
		out.Rules[r.ID] = slices.Clone(r.Records)
	}
	return out
}
