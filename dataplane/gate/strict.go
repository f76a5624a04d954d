package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// generationOf reads a request's generation, strictly: an unknown or repeated key, or anything behind it, could mean one thing
// to whoever wrote it and another to whoever reads it. ok is false when the request was answered already.
func generationOf(w http.ResponseWriter, r *http.Request) (n Generation, ok bool) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxGeneration))
	if err == nil {
		err = decodeStrictly(b, &n)
	}
	if err == nil {
		return n, true
	}
	code := http.StatusBadRequest
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		code, err = http.StatusRequestEntityTooLarge, fmt.Errorf("more than %d bytes; a designated city needs about 20,000,000", large.Limit)
	}
	answer(w, code, failure{Error: "generation: " + err.Error()})
	return n, false
}

func decodeStrictly(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	end := d.InputOffset()
	if rest := bytes.TrimLeft(b[end:], " \t\r\n"); len(rest) > 0 {
		return fmt.Errorf("something stands behind it, at byte %d; send one object", len(b)-len(rest))
	}
	return noKeyTwice(b[:end])
}

// noKeyTwice refuses an object that gives one key twice: the decoder would take the later one, and lay the later elements of a
// list over the former. It compares keys as the decoder does, without regard to case. b is known to be JSON, and its keys to be
// those of the gate's own types, which are few.
func noKeyTwice(b []byte) error {
	type object struct {
		keys   [][]byte
		list   bool
		behind bool // a key was read, its value is not yet over
	}
	var open []object
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			if n := len(open); n < cap(open) { // what lies there keeps its room for keys
				open = open[:n+1]
				open[n] = object{keys: open[n].keys[:0], list: b[i] == '['}
			} else {
				open = append(open, object{list: b[i] == '['})
			}
		case '}', ']':
			open = open[:len(open)-1]
		case ',':
			open[len(open)-1].behind = false
		case '"':
			begin := i + 1
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			if len(open) == 0 || open[len(open)-1].list || open[len(open)-1].behind {
				continue // a value
			}
			in, key := &open[len(open)-1], b[begin:i]
			if bytes.IndexByte(key, '\\') >= 0 {
				return fmt.Errorf("the key %q at byte %d is written with escapes; write it plainly", key, begin)
			}
			for _, k := range in.keys {
				if bytes.EqualFold(k, key) {
					return fmt.Errorf("the key %q stands twice in one object, again at byte %d; give it once", key, begin)
				}
			}
			in.keys, in.behind = append(in.keys, key), true
		}
	}
	return nil
}
