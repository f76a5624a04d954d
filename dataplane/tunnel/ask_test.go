package tunnel

import (
	"slices"
	"testing"
	"time"
)

// A flood in one class, even the first, must not look like a line that is cut.
func TestSilentEndsAreAskedInEveryClass(t *testing.T) {
	now := time.Now()
	const pace = 200 * time.Millisecond
	for _, x := range []struct {
		name    string
		classes []uint8
		quiet   time.Duration
		want    []uint8 // of four times in a row, without repetition
		atOnce  int
	}{
		{"answers", []uint8{2, 1, 3}, pace + silence, []uint8{1, 2, 3}, 1},
		{"silent", []uint8{2, 1, 3}, pace + silence + time.Millisecond, []uint8{0, 1, 2, 3}, 4},
		{"silent for long", []uint8{2, 1, 3}, feelers, []uint8{0, 1, 2, 3}, 2},
		{"no classes", nil, pace + silence + time.Millisecond, []uint8{0}, 1},
	} {
		a := &asker{classes: x.classes, reached: 2, talked: now.Add(-x.quiet)}
		var got []uint8
		for range 4 {
			due := a.due(now, pace)
			if len(due) != x.atOnce {
				t.Errorf("%s: asked in %v at once, want %d classes", x.name, due, x.atOnce)
			}
			got = append(got, due...)
		}
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, x.want) {
			t.Errorf("%s: asked in %v, want %v", x.name, got, x.want)
		}
	}
}
