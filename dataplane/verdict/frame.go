package verdict

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A worker reads one job on standard input and writes one report on standard output. Both are framed alike: one line of JSON,
// then exactly the bytes that the line announces (Job.Size, Report.After.Size), then the end of the stream. Anything else is
// an error for the reader, and an error is a block.

// Limits of the header lines, in bytes. A report carries two previews of at most 256 x 256 pixels in base64.
const (
	MaxJobLine    = 64 << 10
	MaxReportLine = 4 << 20
)

// Job is one file for a worker.
type Job struct {
	Name    string   `json:"name"`              // as the sender called it; attacker's text
	Size    int64    `json:"size"`              // bytes that follow the line
	Formats []string `json:"formats,omitempty"` // families that the route admits; empty admits all that the worker knows
	MaxOut  int64    `json:"max_out,omitempty"` // limit of the rebuilt file, in bytes; 0 is the worker's own limit
}

// ErrFrame is answered for a stream that does not keep to the framing.
var ErrFrame = errors.New("stream does not keep to the worker framing")

// WriteJob sends a job and its file. It sets Size.
func WriteJob(w io.Writer, j Job, body []byte) error {
	j.Size = int64(len(body))
	return writeFrame(w, j, MaxJobLine, body)
}

// ReadJob reads one job whose file has at most max bytes.
func ReadJob(r io.Reader, max int64) (Job, []byte, error) {
	br := bufio.NewReader(r)
	var j Job
	if err := readLine(br, MaxJobLine, &j); err != nil {
		return Job{}, nil, fmt.Errorf("read job: %w", err)
	}
	body, err := readBody(br, j.Size, max)
	if err != nil {
		return Job{}, nil, fmt.Errorf("read job %q: %w", j.Name, err)
	}
	return j, body, nil
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

// ReadReport reads a report and the file that follows it, at most max bytes. withFile is false for a worker that answers
// with a report alone (verify); its After then describes bytes that the caller already holds.
func ReadReport(r io.Reader, max int64, withFile bool) (Report, []byte, error) {
	br := bufio.NewReader(r)
	var rep Report
	if err := readLine(br, MaxReportLine, &rep); err != nil {
		return Report{}, nil, fmt.Errorf("read report: %w", err)
	}
	var size int64
	if withFile && rep.Outcome == Clean {
		if rep.After == nil {
			return Report{}, nil, fmt.Errorf("read report: clean, but no rebuilt file is announced: %w", ErrFrame)
		}
		size = rep.After.Size
	}
	body, err := readBody(br, size, max)
	if err != nil {
		return Report{}, nil, fmt.Errorf("read report: %w", err)
	}
	return rep, body, nil
}

func writeFrame(w io.Writer, header any, max int, body []byte) error {
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
	if _, err := w.Write(body); err != nil {
		return fmt.Errorf("write frame: %w", err)
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

// readBody reads exactly size bytes and the end of the stream. It never allocates more than arrives.
func readBody(r *bufio.Reader, size, max int64) ([]byte, error) {
	if size < 0 || size > max {
		return nil, fmt.Errorf("file of %d bytes, limit %d: %w", size, max, ErrFrame)
	}
	body, err := io.ReadAll(io.LimitReader(r, size))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) != size {
		return nil, fmt.Errorf("file ends after %d of %d bytes: %w", len(body), size, ErrFrame)
	}
	if _, err := r.ReadByte(); err == nil {
		return nil, fmt.Errorf("bytes after the file of %d bytes: %w", size, ErrFrame)
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return body, nil
}
