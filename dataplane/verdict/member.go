package verdict

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// Member is a file that a worker found in its file: a member of an archive, an attachment, what a password opened. The antivirus
// program looks at each by itself, since it opens nothing that is encrypted and stops at limits of its own.
type Member struct {
	Place string `json:"place"` // where it lies; attacker's text, at most 200 characters
	Size  int64  `json:"size"`
	Body  []byte `json:"-"`
}

// memberMark begins the line of a member, as no report begins.
const memberMark = "member "

// MaxMemberLine bounds that line, in bytes.
const MaxMemberLine = 4 << 10

// MaxMember bounds one member, in bytes: the reader holds it.
const MaxMember = 512 << 20

// WriteMember sends a member; any number of them come before the report, so that the worker need not keep them.
func WriteMember(w io.Writer, place string, body []byte) error {
	line, err := json.Marshal(Member{Place: place, Size: int64(len(body))})
	if err != nil {
		return fmt.Errorf("write member: %w", err)
	}
	if len(line) >= MaxMemberLine-len(memberMark) {
		return fmt.Errorf("write member: header of %d bytes: %w", len(line), ErrFrame)
	}
	if _, err := fmt.Fprintf(w, "%s%s\n", memberMark, line); err != nil {
		return fmt.Errorf("write member: %w", err)
	}
	if _, err := w.Write(body); err != nil {
		return fmt.Errorf("write member: %w", err)
	}
	return nil
}

// ReadMembers gives each member that comes before a report to whoever looks at it, one at a time, and leaves the report unread. More
// than so many, or than so many bytes together, are an error, as is whatever see answers.
func ReadMembers(r *bufio.Reader, max int, bytes int64, see func(Member) error) error {
	for n := 0; ; n++ {
		if mark, _ := r.Peek(len(memberMark)); string(mark) != memberMark {
			return nil
		}
		if n == max {
			return fmt.Errorf("read members: over %d: %w", max, ErrFrame)
		}
		line, err := r.ReadSlice('\n')
		if err != nil || len(line) > MaxMemberLine {
			return fmt.Errorf("read member %d: no end of its line: %w", n, ErrFrame)
		}
		var m Member
		if err := json.Unmarshal(line[len(memberMark):], &m); err != nil {
			return fmt.Errorf("read member %d: %w: %w", n, ErrFrame, err)
		}
		if m.Size < 0 || m.Size > min(bytes, MaxMember) {
			return fmt.Errorf("read member %d: %d bytes, %d left: %w", n, m.Size, bytes, ErrFrame)
		}
		bytes -= m.Size
		if m.Body, err = io.ReadAll(io.LimitReader(r, m.Size)); err != nil {
			return fmt.Errorf("read member %d: %w", n, err)
		}
		if int64(len(m.Body)) != m.Size {
			return fmt.Errorf("read member %d: %d of %d bytes: %w", n, len(m.Body), m.Size, ErrFrame)
		}
		if err := see(m); err != nil {
			return err
		}
	}
}
