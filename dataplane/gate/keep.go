package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sekisho/sekisho/dataplane/durable"
)

// kept is what survives the daemon: the generation in force, and, while that is on trial, the one that comes back. It is one
// file, so that every step of a trial is one rename: after a crash it holds the state before the step or after it.
type kept struct {
	Generation
	Trial *trial `json:"trial,omitempty"`
	Ended *Ended `json:"ended,omitempty"` // how the last trial ended
}

// prepareGeneration writes the generation beside path, on the disk; the returned function makes it the one that is read back.
func prepareGeneration(path string, k kept) (commit func() error, err error) {
	b, err := json.Marshal(k)
	if err != nil {
		return nil, fmt.Errorf("keep the generation: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("keep the generation: %w", err)
	}
	next := path + ".next"
	if err := durable.Write(next, b, 0o600); err != nil {
		return nil, fmt.Errorf("keep the generation: %w", err)
	}
	return func() error {
		if err := durable.Rename(next, path); err != nil {
			return fmt.Errorf("keep the generation: %w", err)
		}
		return nil
	}, nil
}

// keepGeneration does both steps at once.
func keepGeneration(path string, k kept) error {
	commit, err := prepareGeneration(path, k)
	if err != nil {
		return err
	}
	return commit()
}

// readGeneration reads back the last accepted generation; nil when there is none.
func readGeneration(path string) (*kept, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the last generation: %w", err)
	}
	var k kept
	if err := json.Unmarshal(b, &k); err != nil {
		return nil, fmt.Errorf("read the last generation: %s: %w; remove it to start closed", path, err)
	}
	return &k, nil
}
