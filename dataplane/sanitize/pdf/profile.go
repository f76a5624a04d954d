package pdf

import (
	"encoding/binary"
	"slices"
	"strings"
)

// profileTags are those of an ICC profile that turn one colour into another (ICC.1:2022, clause 9), with the types that they may have.
var profileTags = words("A2B0 A2B1 A2B2 B2A0 B2A1 B2A2 rXYZ gXYZ bXYZ rTRC gTRC bTRC kTRC wtpt bkpt chad gamt")

var profileTypes = words("XYZ curv para mft1 mft2 mAB mBA sf32")

// profile writes a colour profile again: header, and the tables that are known, inside the bounds.
func profile(in []byte) ([]byte, bool) {
	if len(in) < 132 || string(in[36:40]) != "acsp" {
		return nil, false
	}
	n := int(binary.BigEndian.Uint32(in[128:]))
	if n <= 0 || n > 100 || 132+12*n > len(in) {
		return nil, false
	}
	type tag struct {
		name string
		b    []byte
	}
	var tags []tag
	for i := range n {
		e := in[132+12*i:]
		name, at, size := string(e[:4]), int64(binary.BigEndian.Uint32(e[4:])), int64(binary.BigEndian.Uint32(e[8:]))
		if !profileTags[name] {
			continue
		}
		if at > int64(len(in)) || size < 8 || size > int64(len(in))-at || !profileTypes[tagWord(string(in[at:at+4]))] {
			return nil, false
		}
		tags = append(tags, tag{name, in[at : at+size]})
	}
	slices.SortStableFunc(tags, func(a, b tag) int { return strings.Compare(a.name, b.name) })
	out := append([]byte{}, in[:128]...)
	clear(out[24:36])  // date
	clear(out[84:128]) // identity, reserved
	clear(out[4:8])    // preferred program
	clear(out[48:56])  // device
	clear(out[80:84])  // creator
	out = binary.BigEndian.AppendUint32(out, uint32(len(tags)))
	at := len(out) + 12*len(tags)
	placed := map[string]int{}
	var data []byte
	for _, t := range tags {
		where, ok := placed[string(t.b)] // tables that are the same are written once
		if !ok {
			where = at + len(data)
			placed[string(t.b)] = where
			data = append(data, t.b...)
			for len(data)%4 != 0 {
				data = append(data, 0)
			}
		}
		out = append(out, t.name...)
		out = binary.BigEndian.AppendUint32(out, uint32(where))
		out = binary.BigEndian.AppendUint32(out, uint32(len(t.b)))
	}
	out = append(out, data...)
	binary.BigEndian.PutUint32(out, uint32(len(out)))
	return out, len(tags) > 0
}
