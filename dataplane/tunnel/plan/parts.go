package plan

import "fmt"

// Parts cuts an encoded plan so that each part fits one message of the talk.
func Parts(b []byte) [][]byte {
	var out [][]byte
	for len(b) > PartBytes {
		out = append(out, b[:PartBytes])
		b = b[PartBytes:]
	}
	return append(out, b)
}

// mostParts is how many parts a plan of MaxBytes has.
const mostParts = (MaxBytes + PartBytes - 1) / PartBytes

// Assembly puts a plan together from parts, in any order, each as often as it comes. A part of another plan begins anew.
// Its zero value is ready.
type Assembly struct {
	hash  uint64
	parts [][]byte
	left  int
}

// Add takes part i of n of the plan that is named by hash. Done: the plan is there, checked and of that hash.
func (a *Assembly) Add(hash uint64, i, n int, part []byte) (p Plan, done bool, err error) {
	if hash == 0 || n < 1 || n > mostParts || i < 0 || i >= n || len(part) > PartBytes || len(part) == 0 {
		return Plan{}, false, fmt.Errorf("part %d of %d of plan %016x, %d bytes: out of bounds", i, n, hash, len(part))
	}
	if hash != a.hash || n != len(a.parts) {
		*a = Assembly{hash: hash, parts: make([][]byte, n), left: n}
	}
	if a.parts[i] == nil {
		a.parts[i] = append([]byte{}, part...)
		a.left--
	}
	if a.left > 0 {
		return Plan{}, false, nil
	}
	var all []byte
	for _, x := range a.parts {
		all = append(all, x...)
	}
	*a = Assembly{}
	p, err = Decode(all)
	if err == nil && p.Hash != hash {
		err = fmt.Errorf("plan %016x: its parts are those of %016x", hash, p.Hash)
	}
	if err != nil {
		return Plan{}, false, err
	}
	return p, true, nil
}
