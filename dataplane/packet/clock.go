package packet

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/durable"
)

// The programs end records by the kernel's clock alone. What they need beside it is written here: how far that clock is from
// UTC, and a minute that has been, the floor. A clock before the floor was set back, or has lost power; then every rule that
// has a time is closed. The floor outlives the machine's power in a file, and only rises.

// clockValue is the layout of struct clock.
type clockValue [16]byte

func clockValueOf(offset time.Duration, floor uint32) (v clockValue) {
	le.PutUint64(v[0:], uint64(offset))
	le.PutUint32(v[8:], floor)
	return v
}

func (v clockValue) floor() uint32 { return le.Uint32(v[8:]) }

// settleClock begins with the floor of the file; where there is none, with what the clock says: that is what root decides who
// removes it. A file that cannot be read closes what has a time, for it may have said anything.
func (c *Core) settleClock() error {
	floor, err := readFloor(c.clockFile)
	if err != nil {
		c.log.Error("records that have a time are closed until root removes the file, with the clock right, and restarts the daemon", "error", err)
	}
	warning, err := c.setClock(time.Now(), floor)
	if warning != nil {
		c.log.Error("keep time", "error", warning)
	}
	return err
}

// KeepTime tells the programs how late it is at least. To be called every few seconds; it writes once a minute. A clock that
// was set back is an error, again and again, until it is right.
func (c *Core) KeepTime() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	warning, err := c.setClock(time.Now(), c.clock.floor())
	return errors.Join(warning, err)
}

// setClock writes what has changed: first the file, so that no floor is forgotten that was ever in force. A warning is about
// the world, an error about the kernel.
func (c *Core) setClock(now time.Time, floor uint32) (warning, err error) {
	offset, err := taiOffset()
	if err != nil {
		return nil, err
	}
	minute := uint32(now.Unix() / 60)
	switch {
	case minute > floor:
		if warning = writeFloor(c.clockFile, minute); warning == nil {
			floor = minute
		}
	case minute < floor:
		warning = fmt.Errorf("the clock shows %s, but it has been %s already: records that have a time are closed until it is right; if the later time was wrong, set the clock, remove %s and restart the daemon",
			now.UTC().Format(floorLayout), time.Unix(60*int64(floor), 0).UTC().Format(floorLayout), c.clockFile)
	}
	c.floor.Store(floor)
	v := clockValueOf(offset, floor)
	if v == c.clock {
		return warning, nil
	}
	if err := c.objects.WallClock.Put(uint32(0), v); err != nil {
		return warning, fmt.Errorf("write the clock: %w", err)
	}
	c.clock = v
	return warning, nil
}

// Behind tells whether the clock shows a time before one that has been. It waits for nothing.
func (c *Core) Behind() bool { return time.Now().Unix()/60 < int64(c.floor.Load()) }

// taiOffset is how far the kernel's TAI is ahead of its UTC.
func taiOffset() (time.Duration, error) {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return 0, fmt.Errorf("ask the kernel for its leap seconds: %w", err)
	}
	return time.Duration(t.Tai) * time.Second, nil
}

const floorLayout = "2006-01-02T15:04Z"

// readFloor gives the floor that a file keeps; 0 when there is none yet, the end of time when it cannot be told.
func readFloor(path string) (uint32, error) {
	if path == "" {
		return 0, nil
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return math.MaxUint32, fmt.Errorf("read how late it has been: %w", err)
	}
	t, err := time.Parse(floorLayout, strings.TrimSpace(string(b)))
	if minute := t.Unix() / 60; err == nil && minute > 0 && minute < math.MaxUint32 {
		return uint32(minute), nil
	}
	return math.MaxUint32, fmt.Errorf("read how late it has been: %s holds %.40q: want a minute in UTC like 2027-03-31T08:15Z", path, b)
}

func writeFloor(path string, minute uint32) error {
	if path == "" {
		return nil
	}
	text := time.Unix(60*int64(minute), 0).UTC().Format(floorLayout) + "\n"
	if err := durable.Replace(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("keep how late it is: %w", err)
	}
	return nil
}
