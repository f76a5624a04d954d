package bandwidth

// Tree is the bandwidth plan of one line: the root is the contract, the leaves are classes.
type Tree struct {
	Device   string  `json:"device"`   // device that is shaped (the tunnel device)
	Rate     uint64  `json:"rate"`     // bit/s of the line, outer packets counted
	Overhead int     `json:"overhead"` // bytes a packet grows by on the line (60 IPv4 outer, 80 IPv6)
	Classes  []Class `json:"classes"`
}

// MaxClasses is how many classes one line has: a far end counts as many in an answer.
const MaxClasses = 16

// Class is one bandwidth class.
type Class struct {
	ID        uint8  `json:"id"` // 1..63; the number in packet.Cell.BWClass
	Name      string `json:"name"`
	Guarantee uint64 `json:"guarantee"` // bit/s
	Ceiling   uint64 `json:"ceiling"`   // bit/s
	Priority  uint8  `json:"priority"`  // 0 first .. 7 last, for spare bandwidth and when a line is down
	Default   bool   `json:"default"`   // takes what no record assigns; exactly one
	Latency   string `json:"latency,omitempty"`
	Order     uint8  `json:"order,omitempty"` // place of this line in the class's order of preference, 0 first
}

// Latency classes: how long a packet may wait in its own class's queue.
const (
	Interactive = "interactive" // screens and calls: a short queue, better a loss than a late packet
	Bulk        = "bulk"        // copies and backups: a long queue that keeps the line busy; "" is the same
)
