package audit

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint vouches for the first N events by their root hash. Its text is that of C2SP tlog-checkpoint with one extension
// line, the time.
type Checkpoint struct {
	Origin string
	Tree   tlog.Tree
	Time   time.Time
}

const timeForm = "2006-01-02T15:04:05.000Z"

func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\ntime %s\n", c.Origin, c.Tree.N, c.Tree.Hash, c.Time.Format(timeForm))
}

// sign gives the record as it stands in the file: the note and an empty line.
func (c Checkpoint) sign(s note.Signer) ([]byte, error) {
	b, err := note.Sign(&note.Note{Text: c.text()}, s)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint at %d: %w", c.Tree.N, err)
	}
	return append(b, '\n'), nil
}

// OpenCheckpoint reads one record and checks its signature. The bytes must be exactly those that sign makes.
func OpenCheckpoint(record []byte, v note.Verifier) (Checkpoint, error) {
	body, ok := strings.CutSuffix(string(record), "\n")
	if !ok {
		return Checkpoint{}, fmt.Errorf("does not end with an empty line")
	}
	n, err := note.Open([]byte(body), note.VerifierList(v))
	if err != nil {
		return Checkpoint{}, err
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != v.Name() {
		return Checkpoint{}, fmt.Errorf("origin %q, want %q", c.Origin, v.Name())
	}
	// Base64 leaves bits free: only the form that sign writes is accepted.
	sig, err := base64.StdEncoding.Strict().DecodeString(n.Sigs[0].Base64)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("signature: %w", err)
	}
	if want := c.text() + "\n— " + n.Sigs[0].Name + " " + base64.StdEncoding.EncodeToString(sig) + "\n"; body != want {
		return Checkpoint{}, fmt.Errorf("bytes that do not belong to it")
	}
	return c, nil
}

func parseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[3], "time ") {
		return Checkpoint{}, fmt.Errorf("want four lines: origin, size, root, time")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("size %q", lines[1])
	}
	h, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("root %q: %w", lines[2], err)
	}
	t, err := time.Parse(timeForm, strings.TrimPrefix(lines[3], "time "))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("time: %w", err)
	}
	c := Checkpoint{Origin: lines[0], Tree: tlog.Tree{N: size, Hash: h}, Time: t}
	if c.text() != text {
		return Checkpoint{}, fmt.Errorf("not in the form that is written")
	}
	return c, nil
}
