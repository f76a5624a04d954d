package packet_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
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

// timePieces gives the packets in fragments rules that have a time, as if that of theirs had just begun or ended.
func (w *worker) timePieces() error {
	all, err := w.pieces()
	if err != nil {
		return err
	}
	for k, v := range all {
		f := w.st.Fragments[modelPieces(k)]
		if f == nil {
			return fmt.Errorf("the program holds fragments that the model does not: %+v", k)
		}
		v.Rule = 33 + k.Id%8 // not by chance: a map has no order
		f.Rule = v.Rule
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

// Later fragments pass no longer than their record: not by an entry that its first one made in time.
func TestLaterFragmentsEndWithTheirRecord(t *testing.T) {
	now := time.Now()
	minute := now.Unix() / 60
	tables := worldTables(rand.New(rand.NewPCG(1, 1)), "pieces")
	tables.Cells = []packet.Cell{{Src: 203, Dst: 204, Port: 5, Rule: 1}, {Src: 203, Dst: 309, Port: 5, Rule: 2}}
	tables.Rules[0].From, tables.Rules[0].Until = minute-60, minute+60
	s := newStage(t, tables)
	clock := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	piece := func(at int, timeless bool) []byte {
		f := ip4(gre, uint16(at/8)|0x2000, nil, make([]byte, 64))
		if timeless {
			f = put(f, 30, addr4(segmentOf(9), 12).AsSlice()...)
		}
		return f
	}
	at := 0
	for _, x := range []struct {
		what   string
		set    func() error
		reason string
	}{
		{"within the record's time", func() error { return s.core.SetWall(now) }, ""},
		{"after its end", func() error { return s.core.SetWall(now.Add(2 * time.Hour)) }, "record-time"},
		{"before its beginning", func() error { return s.core.SetWall(now.Add(-2 * time.Hour)) }, "record-time"},
		{"with a clock that was set back", func() error { return s.core.SetFloor(now.AddDate(0, 0, 1)) }, "clock-behind"},
		{"within the record's time again", func() error { return s.core.SetWall(now) }, ""},
	} {
		clock(x.set())
		for _, timeless := range []bool{false, true} {
			want := x.reason
			if timeless {
				want = ""
			}
			if got, _ := s.send("b0", piece(at, timeless)); got != want {
				t.Errorf("%s, by a record without a time %v: the piece at %d dropped for %q, want %q", x.what, timeless, at, got, want)
			}
			if want != "" { // what was refused did not pass: it comes in time now
				clock(s.core.SetWall(now))
				if got, _ := s.send("b0", piece(at, timeless)); got != "" {
					t.Errorf("%s: the piece at %d, sent again in time, dropped for %q", x.what, at, got)
				}
				clock(x.set())
			}
		}
		at += 64
	}
}
