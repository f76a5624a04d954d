package revision

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
)

// A text that is given out says in its first line which revision it is, so that the one who commits it need not remember.

var markLine = regexp.MustCompile(`\A# sekisho: revision ([0-9]{1,9}) of ([0-9A-Za-z._-]{1,64})\r?\n`)

// Marked is a revision's text as it is given out.
func Marked(text []byte, gate string, number int) []byte {
	return append(fmt.Appendf(nil, "# sekisho: revision %d of %s\n", number, gate), text...)
}

// Unmarked takes the mark off again; number 0 when there was none, or that of another gate.
func Unmarked(text []byte, gate string) (rest []byte, number int) {
	bare := bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	m := markLine.FindSubmatch(bare)
	if m == nil {
		return text, 0
	}
	if string(m[2]) == gate {
		number, _ = strconv.Atoi(string(m[1])) // nine digits at most
	}
	return bare[len(m[0]):], number
}
