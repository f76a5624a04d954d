package verdict

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// A worker reads one job on standard input and writes one report, and before it members where they are asked for, on standard output. Both are framed alike: one line of JSON,
// then exactly the bytes that the line announces (Job.Size and the answers' sizes; Report.After.Size, or the needs' sizes), then
// the end of the stream. Anything else is an error for the reader, and an error is a block.

// Limits of the header lines, in bytes. A report carries two previews of at most 256 x 256 pixels in base64.
const (
	MaxJobLine    = 1 << 20
	MaxReportLine = 4 << 20
)

// Job is one file for a worker.
type Job struct {
	Name    string   `json:"name"`              // as the sender called it; attacker's text
	Size    int64    `json:"size"`              // bytes that follow the line
	Formats []string `json:"formats,omitempty"` // families that the route admits; empty admits all that the worker knows
	MaxOut  int64    `json:"max_out,omitempty"` // limit of the rebuilt file, in bytes; 0 is the worker's own limit
	Policy  Policy   `json:"policy,omitzero"`
	Keys    []string `json:"keys,omitempty"`    // passwords that the sender gave with the file; at most MaxKeys
	Scan    bool     `json:"scan,omitempty"`    // there is an antivirus program: hand over members (WriteMember)
	Answers []Answer `json:"answers,omitempty"` // what helpers made of the needs of former calls; their bytes follow the file's
}

// MaxKeys and MaxAsked bound what one job may carry; the bytes of needs and of answers are the caller's to bound.
const (
	MaxKeys  = 16
	MaxAsked = 4096
)

// ErrFrame is answered for a stream that does not keep to the framing.
var ErrFrame = errors.New("stream does not keep to the worker framing")

// WriteJob sends a job and its file. It sets Size.
func WriteJob(w io.Writer, j Job, body []byte) error {
	j.Size = int64(len(body))
	bodies := [][]byte{body}
	j.Answers = slices.Clone(j.Answers)
	for i := range j.Answers {
		j.Answers[i].Size = int64(len(j.Answers[i].Body))
		bodies = append(bodies, j.Answers[i].Body)
	}
	return writeFrame(w, j, MaxJobLine, bodies...)
}

// ReadJob reads one job whose file, with all answers, has at most max bytes.
func ReadJob(r io.Reader, max int64) (Job, []byte, error) {
	br := bufio.NewReader(r)
	var j Job
	if err := readLine(br, MaxJobLine, &j); err != nil {
		return Job{}, nil, fmt.Errorf("read job: %w", err)
	}
	if len(j.Keys) > MaxKeys || len(j.Answers) > MaxAsked {
		return Job{}, nil, fmt.Errorf("read job %q: %d passwords, %d answers: %w", j.Name, len(j.Keys), len(j.Answers), ErrFrame)
	}
	sizes := []int64{j.Size}
	for _, a := range j.Answers {
		sizes = append(sizes, a.Size)
	}
	bodies, err := readBodies(br, sizes, max)
	if err != nil {
		return Job{}, nil, fmt.Errorf("read job %q: %w", j.Name, err)
	}
	for i := range j.Answers {
		j.Answers[i].Body = bodies[1+i]
	}
	return j, bodies[0], nil
}

// WriteNeeds sends a report that only asks: there is no outcome until the needs are answered.
func WriteNeeds(w io.Writer, r Report, needs []Need) error {
	r.Outcome, r.Needs = Asks, slices.Clone(needs)
	var bodies [][]byte
	for i := range r.Needs {
		r.Needs[i].Size = int64(len(r.Needs[i].Body))
		bodies = append(bodies, r.Needs[i].Body)
	}
	return writeFrame(w, r, MaxReportLine, bodies...)
}

// WriteReport sends a report, and the rebuilt file when there is one (Report.After then tells its size).
func WriteReport(w io.Writer, r Report, body []byte) error {
	var size int64
	if r.After != nil {
		size = r.After.Size
	}
	if int64(len(body)) != 0 && int64(len(body)) != size {
		return fmt.Errorf("write report: %d bytes of file, but the report says %d: %w", len(body), size, ErrFrame)
	}
	return writeFrame(w, r, MaxReportLine, body)
}

// ReadReport reads a report and what follows it, the file or what is asked, together at most max bytes. withFile is false for a worker that answers
// with a report alone (verify); its After then describes bytes that the caller already holds.
func ReadReport(r io.Reader, max int64, withFile bool) (Report, []byte, error) {
	br := bufio.NewReader(r)
	var rep Report
	if err := readLine(br, MaxReportLine, &rep); err != nil {
		return Report{}, nil, fmt.Errorf("read report: %w", err)
	}
	var sizes []int64
	switch {
	case (rep.Outcome == Asks) != (len(rep.Needs) > 0) || len(rep.Needs) > MaxAsked || rep.Outcome == Asks && !withFile:
		return Report{}, nil, fmt.Errorf("read report: outcome %q with %d needs: %w", rep.Outcome, len(rep.Needs), ErrFrame)
	case rep.Outcome == Asks:
		for _, n := range rep.Needs {
			sizes = append(sizes, n.Size)
		}
	case withFile && rep.Outcome == Clean:
		if rep.After == nil {
			return Report{}, nil, fmt.Errorf("read report: clean, but no rebuilt file is announced: %w", ErrFrame)
		}
		sizes = []int64{rep.After.Size}
	}
	bodies, err := readBodies(br, sizes, max)
	if err != nil {
		return Report{}, nil, fmt.Errorf("read report: %w", err)
	}
	for i := range rep.Needs {
		rep.Needs[i].Body = bodies[i]
	}
	if rep.Outcome == Asks || len(bodies) == 0 {
		return rep, nil, nil
	}
	return rep, bodies[0], nil
}

func writeFrame(w io.Writer, header any, max int, bodies ...[]byte) error {
	line, err := json.Marshal(header)
	if err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	if len(line)+1 > max {
		return fmt.Errorf("write frame: header of %d bytes is over %d: %w", len(line), max, ErrFrame)
	}
	if _, err := w.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	for _, b := range bodies {
		if _, err := w.Write(b); err != nil {
			return fmt.Errorf("write frame: %w", err)
		}
	}
	return nil
}

func readLine(r *bufio.Reader, max int, v any) error {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > max {
			return fmt.Errorf("header is over %d bytes: %w", max, ErrFrame)
		}
		line = append(line, part...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("header ends after %d bytes without a newline: %w: %w", len(line), ErrFrame, err)
		}
	}
	if err := json.Unmarshal(bytes.TrimSuffix(line, []byte("\n")), v); err != nil {
		return fmt.Errorf("header is not the JSON that was agreed: %w: %w", ErrFrame, err)
	}
	return nil
}

// readBodies reads exactly as many bytes as each size says, together at most max, and the end of the stream. It never allocates
// more than arrives.
func readBodies(r *bufio.Reader, sizes []int64, max int64) (bodies [][]byte, err error) {
	for _, size := range sizes {
		if size < 0 || size > max {
			return nil, fmt.Errorf("%d bytes, limit %d: %w", size, max, ErrFrame)
		}
		max -= size
		body, err := io.ReadAll(io.LimitReader(r, size))
		if err != nil {
			return nil, err
		}
		if int64(len(body)) != size {
			return nil, fmt.Errorf("ends after %d of %d bytes: %w", len(body), size, ErrFrame)
		}
		bodies = append(bodies, body)
	}
	if _, err := r.ReadByte(); err == nil {
		return nil, fmt.Errorf("bytes after the last file: %w", ErrFrame)
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return bodies, nil
}
