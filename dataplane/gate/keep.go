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

// prepareGeneration writes the generation beside path, on the disk; the returned function makes it the one that is read back.
func prepareGeneration(path string, g Generation) (commit func() error, err error) {
	b, err := json.Marshal(g)
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

// readGeneration reads back the last accepted generation; nil when there is none.
func readGeneration(path string) (*Generation, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the last generation: %w", err)
	}
	var g Generation
	if err := json.Unmarshal(b, &g); err != nil {
		return nil, fmt.Errorf("read the last generation: %s: %w; remove it to start closed", path, err)
	}
	return &g, nil
}
