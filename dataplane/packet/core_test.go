package packet

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOpenGuardsEveryPortNatively(t *testing.T) {
	w := newTown(t)
	c := w.open()
	for _, s := range c.Status() {
		if !s.Guarded() || s.Error != "" {
			t.Errorf("port %s: %+v, want it guarded", s.Name, s)
		}
	}
	want := townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 1, BWClass: 3})
	s, err := c.Load(want)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Decoded(); Hash(got) != Hash(want) {
		t.Errorf("decoded tables differ (-want +got):\n%s", cmp.Diff(Canonical(want), got))
	}
	if err := s.Swap(); err != nil {
		t.Fatal(err)
	}
	if got, ok := c.Active(); !ok || got.Epoch != 1 || Hash(got) != Hash(want) {
		t.Errorf("active: epoch %d, %v, hash equal %v", got.Epoch, ok, Hash(got) == Hash(want))
	}
}
