package policy

import (
	"testing"

	"github.com/sekisho/sekisho/controlplane/policy/internal/drawn"
	"github.com/sekisho/sekisho/dataplane/packet"
	"pgregory.net/rapid"
)

// Folding early what many records permit changes nothing.
func TestCellsAreTheSameHoweverOftenTheyAreFolded(t *testing.T) {
	usual := mostWaiting
	t.Cleanup(func() { mostWaiting = usual })
	rapid.Check(t, func(t *rapid.T) {
		_, cfg := drawn.Config(t)
		a := Anchors(cfg)
		mostWaiting = usual
		want, err := Compile(cfg, a)
		if err != nil {
			t.Fatal(err)
		}
		mostWaiting = rapid.IntRange(1, 20).Draw(t, "at most")
		got, err := Compile(cfg, a)
		if err != nil {
			t.Fatal(err)
		}
		if packet.Hash(got.Tables) != packet.Hash(want.Tables) {
			t.Fatalf("folded every %d crossings, the tables differ", mostWaiting)
		}
	})
}
