package legacy

import (
	"slices"
	"testing"
)

func TestShownWord(t *testing.T) {
	const begin, parts, end = fieldBegin, fieldParts, fieldEnd
	for _, c := range []struct{ in, want []uint16 }{
		{[]uint16{'a', begin, 'i', parts, 'b', end, 'c'}, []uint16{'a', 'b', 'c'}},
		{[]uint16{begin, 'i', begin, 'j', parts, 'x', end, 'k', parts, 'y', end, 'z'}, []uint16{'y', 'z'}}, // a field in an instruction
		{[]uint16{begin, 'i', parts, begin, 'j', end, 'y', end, 'z'}, []uint16{'y', 'z'}},                  // one without a result
		{[]uint16{end, parts, 'a', begin, 'i'}, []uint16{'a'}},
		{[]uint16{begin, parts, parts, 'a', end, 'b'}, []uint16{'a', 'b'}},
	} {
		if got := shownWord(c.in); !slices.Equal(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.in, got, c.want)
		}
	}
}

// Fields without end cost what other characters do: by the number of them this would take hours.
func TestFieldsWithoutEnd(t *testing.T) {
	in := slices.Concat(slices.Repeat([]uint16{fieldBegin, fieldParts}, 1_000_000), slices.Repeat([]uint16{'a'}, 1_000_000))
	if got := len(shownWord(in)); got != 1_000_000 {
		t.Errorf("%d characters are shown, want 1000000", got)
	}
}
