package packet_test

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/model"
)

// The tables of packets in fragments, of the program and of the model, side by side.

func modelPieces(k packet.RawFragmentKey) model.FragmentKey {
	addr := func(b [16]uint8) netip.Addr { return netip.AddrFrom16(packet.Address(b)).Unmap() }
	return model.FragmentKey{Segment: k.Segment, Src: addr(k.Src.B), Dst: addr(k.Dst.B), Proto: k.Proto, ID: k.Id}
}

// pieces is the program's table.
func (w *worker) pieces() (map[packet.RawFragmentKey]packet.RawFragments, error) {
	all := map[packet.RawFragmentKey]packet.RawFragments{}
	var k packet.RawFragmentKey
	var v packet.RawFragments
	it := w.trial.Fragments().Iterate()
	for it.Next(&k, &v) {
		all[k] = v
	}
	return all, it.Err()
}

// agePieces forgets some, makes some too old and all others fresh, on both sides.
func (w *worker) agePieces() error {
	all, err := w.pieces()
	if err != nil {
		return err
	}
	for k, f := range w.st.Fragments {
		if w.now.Sub(f.Since) > 30*time.Second {
			delete(w.st.Fragments, k) // the timer may have removed it, or not yet
		}
	}
	keys := slices.SortedFunc(maps.Keys(all), func(a, b packet.RawFragmentKey) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	for _, k := range keys {
		v, f := all[k], w.st.Fragments[modelPieces(k)]
		switch n := w.gen.r.IntN(100); {
		case f == nil || n < 50:
			delete(w.st.Fragments, modelPieces(k))
			if err := w.trial.Fragments().Delete(k); err != nil {
				return err
			}
			continue
		case n < 70:
			v.Since, f.Since = w.trial.Tick(agesAgo), w.now.Add(-agesAgo)
		default:
			v.Since, f.Since = w.trial.Tick(0), w.now
		}
		if err := w.trial.Fragments().Put(k, v); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) comparePieces() error {
	all, err := w.pieces()
	if err != nil {
		return err
	}
	for k, v := range all {
		f := w.st.Fragments[modelPieces(k)]
		if f == nil {
			return fmt.Errorf("the program holds fragments that the model does not: %+v", k)
		}
		var passed []model.Range
		for _, s := range v.Spans {
			if s.To != 0 {
				passed = append(passed, model.Range{From: int(s.From), To: int(s.To)})
			}
		}
		slices.SortFunc(passed, func(a, b model.Range) int { return cmp.Compare(a.From, b.From) })
		if !slices.Equal(passed, f.Passed) || int(v.End) != f.End || v.Epoch != f.Epoch || v.Rule != f.Rule || v.Bwclass != f.BWClass || packet.MAC(v.Smac) != f.MAC {
			return fmt.Errorf("fragments %+v:\nprogram %+v\nmodel   %+v", k, v, *f)
		}
	}
	if len(all) != len(w.st.Fragments) {
		return fmt.Errorf("the program holds %d packets in fragments, the model %d", len(all), len(w.st.Fragments))
	}
	return nil
}
