package model

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// FragmentKey is a packet that comes in pieces.
type FragmentKey struct {
	Segment  uint16 // it comes in by
	Src, Dst netip.Addr
	Proto    uint8
	ID       uint32
}

// Range is the bytes From..To-1 of what was cut up.
type Range struct{ From, To int }

// Fragments is what is remembered of such a packet once its first piece was allowed.
type Fragments struct {
	Epoch   uint32
	Since   time.Time
	MAC     packet.MAC
	Rule    uint32
	BWClass uint8
	End     int     // bytes of the whole, 0 = not known
	Passed  []Range // in order, none touching another
}

const (
	fragmentsLive = 30 * time.Second
	mostRanges    = 8
)

func (w *walk) fragmentKey() FragmentKey {
	return FragmentKey{w.segment.ID, w.p.src, w.p.dst, w.p.piece.proto, w.p.piece.id}
}

// pieces gives the packet that this one is a piece of, if its first piece passed here lately and under these tables.
func (w *walk) pieces() *Fragments {
	f := w.st.Fragments[w.fragmentKey()]
	if f == nil || f.Epoch != w.m.tables.Epoch || w.in.Now.Sub(f.Since) > fragmentsLive {
		return nil
	}
	return f
}

// follow decides a later fragment by its first.
func (w *walk) follow() (reason string) {
	p := w.p.piece
	defer func() {
		w.tell("flow", reason, func() string { return fmt.Sprintf("bytes %d to %d of packet %d", p.from, p.to, p.id) })
	}()
	f := w.pieces()
	if f == nil || f.MAC != w.p.smac {
		return "fragment-no-first"
	}
	if reason := w.m.inForce(f.Rule, w.st.Clock, w.st.now(w.in)); reason != "" {
		return reason // and the piece may come again in time
	}
	if !f.take(Range{p.from, p.to}, !p.more) {
		return "fragment-overlap"
	}
	if slices.Equal(f.Passed, []Range{{0, f.End}}) {
		delete(w.st.Fragments, w.fragmentKey())
	}
	w.out.Rule, w.out.BWClass = f.Rule, f.BWClass
	return ""
}

// take books a range, if it fits: nothing twice, nothing behind the end, not too many ranges apart from each other.
func (f *Fragments) take(r Range, last bool) bool {
	furthest := f.Passed[len(f.Passed)-1].To
	if f.End != 0 && (last || r.To > f.End) || last && furthest > r.To {
		return false
	}
	all := append(slices.Clone(f.Passed), r)
	slices.SortFunc(all, func(a, b Range) int { return cmp.Compare(a.From, b.From) })
	merged := all[:1]
	for _, next := range all[1:] {
		before := &merged[len(merged)-1]
		switch {
		case next.From < before.To:
			return false
		case next.From == before.To:
			before.To = next.To
		default:
			merged = append(merged, next)
		}
	}
	if len(merged) > mostRanges {
		return false
	}
	f.Passed = merged
	if last {
		f.End = r.To
	}
	return true
}

// remember enters a first fragment that may leave.
func (w *walk) remember() string {
	if w.p.piece == nil || w.p.later() {
		return ""
	}
	if w.pieces() != nil {
		return "fragment-overlap" // of a packet that has a first piece
	}
	key := w.fragmentKey()
	if _, rest := w.st.Fragments[key]; !rest && w.st.Pieces > 0 && len(w.st.Fragments) >= w.st.Pieces {
		return "fragment-table-full"
	}
	if w.st.Fragments == nil {
		w.st.Fragments = map[FragmentKey]*Fragments{}
	}
	w.st.Fragments[key] = &Fragments{
		Epoch: w.m.tables.Epoch, Since: w.in.Now, MAC: w.p.smac, Rule: w.out.Rule, BWClass: w.out.BWClass, Passed: []Range{{0, w.p.piece.to}},
	}
	return ""
}
