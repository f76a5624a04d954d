package evidence

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sekisho/sekisho/dataplane/tunnel/measure"
)

// TestRecordsSurviveTheirSlot: what is written is read, for any record of each tier.
func TestRecordsSurviveTheirSlot(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "ring"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rapid.Check(t, func(t *rapid.T) {
		tier := rapid.SampledFrom([]Tier{Seconds, Minutes, Hours}).Draw(t, "tier")
		n := func(max uint64) uint64 { return rapid.Uint64Max(max).Draw(t, "n") }
		way := func() (w Way) {
			w = Way{Bytes: n(1 << 63), Packets: n(1 << 63), Drops: uint32(n(1<<32 - 1)), Backlog: uint32(n(1<<32 - 1)), Guarantee: 1000 * n(1<<32-1), Rate: 1000 * n(1<<32-1), Worst: uint16(n(1000))}
			if tier == Hours {
				for i := range w.Count {
					w.Count[i] = uint16(n(3600))
				}
				return w
			}
			for i := range min(tier.Step, 60) {
				w.see(int(i), int(tier.Step), Verdict(n(uint64(verdicts)-1)))
			}
			return w
		}
		us := func() time.Duration { return time.Duration(n(1<<32-1)) * time.Microsecond }
		x := Record{At: floorTo(int64(n(1<<32-4000)), tier.Step), Covered: uint16(n(3600)), Span: time.Duration(n(1<<32-1)) * time.Millisecond,
			UpFor: uint16(n(3600)), Degraded: uint16(n(3600)), DownFor: uint16(n(3600)), Up: way(), Down: way(),
			Sent: uint32(n(1<<32 - 1)), Lost: uint32(n(1<<32 - 1)), P50: us(), P99: us(), Max: us(), Jitter: us()}
		if tier == Seconds {
			x.run, x.seq = uint32(n(1<<32-1)), uint32(n(1<<32-1))
		} else {
			for i := range x.Delays {
				x.Delays[i] = n(1<<16 - 2)
			}
		}
		r := ring{tier, f}
		if err := r.write(x); err != nil {
			t.Fatal(err)
		}
		got, state, err := r.at(x.At)
		if diff := cmp.Diff(x, got, cmp.AllowUnexported(Record{})); err != nil || state != whole || diff != "" {
			t.Fatalf("state %d, %v\n%s", state, err, diff)
		}
	})
}

// Quantiles of merged histograms are never too good and at most a quarter too bad.
func TestMergedQuantilesAreHonest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []time.Duration
		var sum Histogram
		for range rapid.IntRange(1, 5).Draw(t, "minutes") {
			var h Histogram
			for _, us := range rapid.SliceOfN(rapid.IntRange(1, 1_200_000), 1, 300).Draw(t, "trips") {
				d := time.Duration(us) * time.Microsecond
				all = append(all, d)
				h.add(d)
			}
			sum.Merge(h)
		}
		slices.Sort(all)
		for _, q := range []float64{0.5, 0.99} {
			exact := measure.Quantile(all, q)
			got := sum.Quantile(q, all[len(all)-1])
			if got < exact || got > max(exact*5/4+1, smallest) {
				t.Fatalf("q %v: %v, exactly %v", q, got, exact)
			}
		}
		for i := range sum { // a month of them, and one rare delay
			sum[i] *= 1_000_000
		}
		sum[39]++
		for i, n := range sum.packed() {
			if (n == 0) != (sum[i] == 0) {
				t.Fatalf("bucket %d: %d packed to %d", i, sum[i], n)
			}
		}
	})
}
