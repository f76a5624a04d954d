// Package inside is what a worker does first in its sandbox.
//
// Problem: the filter that bubblewrap installs must let the worker's own start pass, an execve. Mechanism: the worker adds a
// second filter over all its threads that kills for another one, and for adding more filters. Both hold from then on:
// filters are never removed.
package inside

import (
	"fmt"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Seal forbids this process, for good, to start another program. A worker that can't seal itself must not go on.
func Seal() error {
	const kill, allow = 0x80000000, 0x7fff0000 // SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW
	raw, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 4}, // the number; the architecture was checked by the first filter
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_EXECVE, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_EXECVEAT, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_SECCOMP, SkipTrue: 1},
		bpf.RetConstant{Val: allow},
		bpf.RetConstant{Val: kill},
	})
	if err != nil {
		return fmt.Errorf("seal the worker: %w", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	// A sandbox has set this already and answers EPERM; without it the next call fails, for anybody but root.
	_ = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog))); e != 0 {
		return fmt.Errorf("seal the worker: %w", e)
	}
	return nil
}
