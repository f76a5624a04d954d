package talk

// windowSize is how far a number may lie behind the highest: what overtakes on the way lies closer.
const windowSize = 64

// Window takes each number once. The zero value is empty.
type Window struct {
	high uint64
	seen uint64 // bit n: high-n was taken
	any  bool
}

// Take tells whether seq is new, and marks it. What lies further behind than the window is old.
func (w *Window) Take(seq uint64) bool {
	switch {
	case !w.any:
		w.any, w.high, w.seen = true, seq, 1
	case seq > w.high:
		if d := seq - w.high; d < windowSize {
			w.seen = w.seen<<d | 1
		} else {
			w.seen = 1
		}
		w.high = seq
	case w.high-seq >= windowSize || w.seen>>(w.high-seq)&1 == 1:
		return false
	default:
		w.seen |= 1 << (w.high - seq)
	}
	return true
}

// maxRuns bounds how many of a gate's runs a far end remembers.
const maxRuns = 64

// Guard is a far end's memory of what one gate has said. A run of the gate that is long forgotten could be said again; then its
// Far is another, unless the gate began anew maxRuns times while the far end went on. Not for several goroutines at once.
type Guard struct {
	Run   uint64 // the far end's own; random
	runs  map[uint64]*Window
	order []uint64
}

// Take tells whether a message of the gate is new, and whether it was written to this run of the far end: only then may it
// change anything. One that is new but not to this run is answered, so that the gate learns of the run.
func (g *Guard) Take(h Header) (fresh, act bool) {
	w := g.runs[h.Gate]
	if w == nil {
		if g.runs == nil {
			g.runs = map[uint64]*Window{}
		}
		if len(g.order) == maxRuns {
			delete(g.runs, g.order[0])
			g.order = g.order[1:]
		}
		w = &Window{}
		g.runs[h.Gate] = w
		g.order = append(g.order, h.Gate)
	}
	if !w.Take(h.Seq) {
		return false, false
	}
	return true, h.Far == g.Run
}
