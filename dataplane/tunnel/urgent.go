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

// Urgent gives the threads of this process the priority of whoever encrypts. A process without CAP_SYS_NICE may not take
// it; it encrypts all the same.
func Urgent() error {
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
