package town

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const cgroupRoot = "/sys/fs/cgroup"

// cgroupsOf lists the control groups of the town's sandboxes, children before parents, in every hierarchy of cgroup v1
// and in v2.
func cgroupsOf(n Name) ([]string, error) {
	var groups []string
	mark := string(filepath.Separator) + filepath.Join("sekisho", string(n))
	err := filepath.WalkDir(cgroupRoot, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) { // another town's group, gone while we looked
			return nil
		}
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasSuffix(path, mark) || strings.Contains(path, mark+string(filepath.Separator))) {
			groups = append([]string{path}, groups...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list control groups: %w", err)
	}
	return groups, nil
}

func removeCgroups(n Name) error {
	groups, err := cgroupsOf(n)
	errs := []error{err}
	for _, g := range groups {
		if err := os.Remove(g); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove control group: %w", err))
		}
	}
	return errors.Join(errs...)
}
