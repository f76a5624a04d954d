package packet

import "fmt"

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
