package proven

import (
	"runtime/debug"
	"sync"
)

// later is by how many percent the heap may grow between two collections while somebody waits for a policy. Most of what compiler
// and proofs take they keep until the end, so that a collection on the way finds little and costs the cores that they use.
const later = 300

// waiting counts the callers, who share what the process was set to before the first of them.
var waiting struct {
	sync.Mutex
	callers, before int
}

// collectLater lets garbage wait until the answer is called, by the last caller when there are several.
func collectLater() func() {
	waiting.Lock()
	defer waiting.Unlock()
	if waiting.callers++; waiting.callers == 1 {
		waiting.before = debug.SetGCPercent(later)
	}
	return func() {
		waiting.Lock()
		defer waiting.Unlock()
		if waiting.callers--; waiting.callers == 0 {
			debug.SetGCPercent(waiting.before)
		}
	}
}
