package proof

import (
	"testing"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// What the tests of this package's outside need from its inside.

// Stranger is the MAC of counterexamples whose source nobody registered.
var Stranger = stranger

func Sound() *packet.Tables                     { return sound() }
func TownAnchors(t testing.TB) *anchors.Anchors { return townAnchors(t) }
func EachSeeded(f func(string, func(*packet.Tables))) {
	for _, s := range seeded {
		f(s.name, s.spoil)
	}
}
