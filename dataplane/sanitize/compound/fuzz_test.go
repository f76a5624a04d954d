package compound_test

import (
	"bytes"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize/compound"
	"github.com/sekisho/sekisho/dataplane/sanitize/compound/compoundtest"
)

// FuzzCompound reads all that a directory lists: no fault of ours, and no more than the file can hold. What is changed is read back.
func FuzzCompound(f *testing.F) {
	f.Add(compoundtest.File(map[string]string{"WordDocument": "a", "Macros/VBA/dir": "b"})[len(compound.Magic):])
	f.Fuzz(func(t *testing.T, rest []byte) {
		in := append([]byte(compound.Magic), rest...)
		c, err := compound.Open(in)
		if err != nil {
			return
		}
		for _, p := range c.Paths {
			b, err := c.Read(p)
			if err != nil || len(b) == 0 {
				continue
			}
			if len(b) > len(in) {
				t.Fatalf("%q: %d bytes of %d", p, len(b), len(in))
			}
			blank := make([]byte, len(b))
			changed, err := compound.Change(in, map[string][]byte{p: blank})
			if err != nil {
				continue
			}
			if len(changed) != len(in) {
				t.Fatalf("%q: %d bytes became %d", p, len(in), len(changed))
			}
			if again, err := compound.Open(changed); err == nil {
				if got, err := again.Read(p); err == nil && len(got) == len(blank) && !bytes.Equal(got, blank) {
					t.Fatalf("%q was changed, and holds %q", p, got)
				}
			}
		}
	})
}
