package town

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// recordDir survives a reboot, so that what a town left under /var/lib and /etc is still known to be a town's.
const recordDir = "/var/lib/sekisho-lab"

// Record says that a name belongs to a town of the lab and not to an appliance.
type Record struct {
	Name    Name      `json:"name"`
	Made    time.Time `json:"made"`
	People  []Person  `json:"people"`  // one-time credentials
	Outcome string    `json:"outcome"` // "starting", "up"
}

// Person is somebody who can sign in, as `sekisho init` says.
type Person struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Section    string   `json:"section"`
	Role       string   `json:"role"`
	Zones      []string `json:"zones"`
	Password   string   `json:"password"`
	Passphrase string   `json:"passphrase,omitempty"` // for approvals
}

func (n Name) recordPath() string { return filepath.Join(recordDir, string(n)+".json") }

// claim writes the record of a new town; it fails when one exists or when the name belongs to something else.
func (n Name) claim() error {
	for _, dir := range []string{n.Instance().Etc(), n.Instance().State(), n.Instance().Run()} {
		if _, err := os.Stat(dir); err == nil {
			if _, rerr := n.Record(); rerr != nil {
				return fmt.Errorf("lab %s: %s exists and is not the lab's; choose another --name", n, dir)
			}
		}
	}
	if err := os.MkdirAll(recordDir, 0o700); err != nil {
		return fmt.Errorf("lab %s: %w", n, err)
	}
	f, err := os.OpenFile(n.recordPath(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("lab %s is there already; `lab down --name %s` removes it", n, n)
	}
	if err != nil {
		return fmt.Errorf("lab %s: %w", n, err)
	}
	defer f.Close()
	return json.NewEncoder(f).Encode(Record{Name: n, Made: time.Now(), Outcome: "starting"})
}

// note changes the record in one rename, so that a crash leaves the old or the new one.
func (n Name) note(change func(*Record)) error {
	r, err := n.Record()
	if err != nil {
		return err
	}
	change(&r)
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(n.recordPath()+".new", b, 0o600); err != nil {
		return fmt.Errorf("lab %s: %w", n, err)
	}
	return os.Rename(n.recordPath()+".new", n.recordPath())
}

// Record reads the town's record; the error is os.ErrNotExist when the name is no town's.
func (n Name) Record() (Record, error) {
	var r Record
	b, err := os.ReadFile(n.recordPath())
	if err != nil {
		return r, fmt.Errorf("lab %s: %w", n, err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		// Cut short by a crash of claim: still ours.
		return Record{Name: n, Outcome: "starting"}, nil
	}
	return r, nil
}

// Down removes everything of a town: processes, mounts, namespaces, folders, then the record. It may be run at any time,
// again, and by another process than the one that made the town. A name without a record is left alone.
func Down(n Name) error {
	if _, err := n.Record(); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var errs []error
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	namespaces, err := netnsOf(n)
	note(err)
	// A program that is being started while we look is found in the next round.
	for range 5 {
		pids, err := pidsIn(namespaces)
		note(err)
		if len(pids) == 0 {
			break
		}
		note(end(pids))
	}
	i := n.Instance()
	note(unmountUnder(i.Run(), i.State(), i.Etc()))
	for _, ns := range namespaces {
		note(delNetns(ns))
	}
	note(removeCgroups(n))
	for _, dir := range []string{i.Run(), i.State(), i.Etc()} {
		note(os.RemoveAll(dir))
	}
	if len(errs) > 0 {
		return fmt.Errorf("lab %s: not all is removed: %w", n, errors.Join(errs...))
	}
	if err := os.Remove(n.recordPath()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("lab %s: %w", n, err)
	}
	return nil
}

// unmountUnder detaches every mount at or below the folders, the latest first.
func unmountUnder(dirs ...string) error {
	points, err := mountsUnder(dirs...)
	errs := []error{err}
	for _, p := range slices.Backward(points) {
		if err := unix.Unmount(p, unix.MNT_DETACH); err != nil {
			errs = append(errs, fmt.Errorf("unmount %s: %w", p, err))
		}
	}
	return errors.Join(errs...)
}

// mountsUnder lists the mount points at or below the folders in the order in which they were mounted.
func mountsUnder(dirs ...string) ([]string, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	var points []string
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		for _, dir := range dirs {
			if fields[4] == dir || strings.HasPrefix(fields[4], dir+"/") {
				points = append(points, fields[4])
			}
		}
	}
	return points, nil
}

// Leftovers lists what stands of a town: nothing, after Down. For tests and for a person who doubts.
func Leftovers(n Name) ([]string, error) {
	var left []string
	namespaces, err := netnsOf(n)
	if err != nil {
		return nil, err
	}
	pids, err := pidsIn(namespaces)
	if err != nil {
		return nil, err
	}
	for _, ns := range namespaces {
		left = append(left, "namespace "+ns)
	}
	for _, pid := range pids {
		left = append(left, fmt.Sprintf("process %d", pid))
	}
	i := n.Instance()
	for _, dir := range []string{i.Run(), i.State(), i.Etc(), n.recordPath()} {
		if _, err := os.Stat(dir); err == nil {
			left = append(left, dir)
		}
	}
	mounts, err := mountsUnder(i.Run(), i.State(), i.Etc())
	if err != nil {
		return nil, err
	}
	for _, m := range mounts {
		left = append(left, "mount "+m)
	}
	groups, err := cgroupsOf(n)
	for _, g := range groups {
		left = append(left, "cgroup "+g)
	}
	return left, err
}
