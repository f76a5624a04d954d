package proven

import (
	"runtime/debug"
	"testing"
)

// Whoever comes and goes in whatever order, the process is set as before when the last has gone, and not earlier.
func TestGarbageWaitsForTheLast(t *testing.T) {
	usual := debug.SetGCPercent(77)
	defer debug.SetGCPercent(usual)
	set := func() int {
		v := debug.SetGCPercent(-1)
		debug.SetGCPercent(v)
		return v
	}
	first := collectLater()
	second := collectLater()
	if got := set(); got != later {
		t.Fatalf("two wait: %d %%, want %d", got, later)
	}
	first()
	if got := set(); got != later {
		t.Fatalf("one still waits: %d %%, want %d", got, later)
	}
	second()
	if got := set(); got != 77 {
		t.Fatalf("all have gone: %d %%, want 77", got)
	}
}
