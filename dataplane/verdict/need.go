package verdict

// Need is what a worker cannot do in its own sandbox: a program of a kind, run on bytes in a sandbox of its own.
type Need struct {
	ID      string            `json:"id"` // names kind, options and bytes; given back with the answer
	Kind    string            `json:"kind"`
	Options map[string]string `json:"options,omitempty"` // at most 16, each at most 256 bytes
	Size    int64             `json:"size"`              // of Body
	Body    []byte            `json:"-"`                 // follows the line
}

// Answer is what a helper made of a Need.
type Answer struct {
	ID     string `json:"id"`
	Failed string `json:"failed,omitempty"` // a code of a catalogue: there is no result
	Detail string `json:"detail,omitempty"` // of a failure; bounded and escaped
	Size   int64  `json:"size"`
	Body   []byte `json:"-"`
}
