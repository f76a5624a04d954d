package verdict

import (
	"bytes"
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

// CutMembers takes at most max members from the front of what a worker wrote; rest is its report. The members' bytes are those of raw.
func CutMembers(raw []byte, max int) (members []Member, rest []byte, err error) {
	for bytes.HasPrefix(raw, []byte(memberMark)) {
		if len(members) == max {
			return nil, nil, fmt.Errorf("read members: over %d: %w", max, ErrFrame)
		}
		end := bytes.IndexByte(raw[:min(len(raw), MaxMemberLine)], '\n')
		if end < 0 {
			return nil, nil, fmt.Errorf("read member %d: no end of its line: %w", len(members), ErrFrame)
		}
		var m Member
		if err := json.Unmarshal(raw[len(memberMark):end], &m); err != nil {
			return nil, nil, fmt.Errorf("read member %d: %w: %w", len(members), ErrFrame, err)
		}
		raw = raw[end+1:]
		if m.Size < 0 || m.Size > int64(len(raw)) {
			return nil, nil, fmt.Errorf("read member %d: %d of %d bytes: %w", len(members), len(raw), m.Size, ErrFrame)
		}
		m.Body, raw = raw[:m.Size:m.Size], raw[m.Size:]
		members = append(members, m)
	}
	return members, raw, nil
}
