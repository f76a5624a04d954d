package tunnel

import "github.com/sekisho/sekisho/dataplane/tunnel/talk"

// partsAtOnce bounds what is sent of a plan at a time: the largest one takes a second and a half, and no queue fills.
const partsAtOnce = 8

// dispatch is a plan on its way to a far end.
type dispatch struct {
	hash uint64
	text []byte
	have []bool // by part: the far end has it
	from int
}

func newDispatch(hash uint64, text []byte) *dispatch {
	return &dispatch{hash: hash, text: text, have: make([]bool, max(1, (len(text)+talk.MaxPart-1)/talk.MaxPart))}
}

// next is some of the parts that are missing. When the far end has all and yet not the plan, it has lost some: all go again.
func (d *dispatch) next() []*talk.Part {
	var out []*talk.Part
	for range d.have {
		i := d.from
		d.from = (d.from + 1) % len(d.have)
		if d.have[i] {
			continue
		}
		piece := d.text[i*talk.MaxPart : min(len(d.text), (i+1)*talk.MaxPart)]
		out = append(out, &talk.Part{Hash: d.hash, Index: uint16(i), Count: uint16(len(d.have)), Bytes: piece})
		if len(out) == partsAtOnce {
			return out
		}
	}
	if len(out) == 0 {
		clear(d.have)
	}
	return out
}

func (d *dispatch) taken(i uint16) {
	if int(i) < len(d.have) {
		d.have[i] = true
	}
}
