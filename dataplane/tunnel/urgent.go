package tunnel

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// urgency is the nice value of whoever encrypts. What waits for it has passed the shaper and waits in no class: a
// sanitizer that keeps all processors busy must not make every class late.
const urgency = -10

// Where the kernel schedules by sessions (autogroup, sched(7)), nice values rank threads within a session only, and the session
// needs one, too. Where control groups schedule, their weights decide, and these values rank within one.

// urgentSession gives the session that a process leads the priority of whoever encrypts. A kernel may know none.
func urgentSession(pid int) error {
	err := os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", pid), []byte(strconv.Itoa(urgency)), 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// Urgent gives the threads of this process, and the session if it leads one, the priority of whoever encrypts. A process without
// CAP_SYS_NICE may not take it; it encrypts all the same.
func Urgent() error {
	if session, err := unix.Getsid(0); err == nil && session == os.Getpid() {
		if err := urgentSession(session); err != nil {
			return fmt.Errorf("take priority %d over other sessions: %w", urgency, err)
		}
	}
	for range 2 { // a thread that another one made meanwhile has that one's
		if err := urgentThreads(); err != nil {
			return err
		}
	}
	return nil
}

func urgentThreads() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("list the threads of this process: %w", err)
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, id, urgency); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("take priority %d over other processes: %w", urgency, err)
		}
	}
	return nil
}
