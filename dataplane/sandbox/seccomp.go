package sandbox

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data (linux/seccomp.h); arguments are read as their lower 32 bits, little-endian.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// Answers of a filter (linux/seccomp.h).
const (
	kill  = 0x80000000 // SECCOMP_RET_KILL_PROCESS
	errno = 0x00050000 // SECCOMP_RET_ERRNO, or-ed with the number
	allow = 0x7fff0000 // SECCOMP_RET_ALLOW
)

const archX8664 = 0xc000003e // AUDIT_ARCH_X86_64

// allowed are the calls of a static Go program that computes, on descriptors that it was given. None of them takes a path,
// makes a process or reaches another one (the process has its own PID namespace, so tgkill finds only itself).
var allowed = []uint32{
	unix.SYS_READ, unix.SYS_WRITE, unix.SYS_CLOSE, unix.SYS_FSTAT, unix.SYS_LSEEK, unix.SYS_PREAD64, unix.SYS_READV, unix.SYS_WRITEV,
	unix.SYS_MUNMAP, unix.SYS_MADVISE, unix.SYS_BRK,
	unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK, unix.SYS_TGKILL,
	unix.SYS_FUTEX, unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_RESTART_SYSCALL,
	unix.SYS_CLOCK_GETTIME, unix.SYS_GETTIMEOFDAY,
	unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID, unix.SYS_UNAME,
	unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EVENTFD2, unix.SYS_PIPE2, unix.SYS_FCNTL,
	unix.SYS_ARCH_PRCTL, unix.SYS_SET_TID_ADDRESS, unix.SYS_SET_ROBUST_LIST, unix.SYS_GETRANDOM,
	unix.SYS_GETRLIMIT, unix.SYS_SETRLIMIT, unix.SYS_PRLIMIT64, // the runtime raises the soft limit of files up to the hard one
	unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
	unix.SYS_EXECVE,  // bubblewrap starts the program with it, and the program is the only file there is; see package inside
	unix.SYS_SECCOMP, // can only tighten
}

// absent are answered "no such file": the runtime looks for a few files under /sys and /proc and does without them.
var absent = []uint32{
	unix.SYS_OPEN, unix.SYS_OPENAT, unix.SYS_READLINK, unix.SYS_READLINKAT, unix.SYS_NEWFSTATAT, unix.SYS_STAT, unix.SYS_LSTAT, unix.SYS_ACCESS, unix.SYS_FACCESSAT,
}

// unneeded are answered "not implemented": Go does without them. The flags of clone3 lie in memory, where no filter sees them.
var unneeded = []uint32{unix.SYS_CLONE3, unix.SYS_SPLICE, unix.SYS_SENDFILE, unix.SYS_COPY_FILE_RANGE, unix.SYS_STATX, unix.SYS_MEMBARRIER, unix.SYS_RSEQ}

const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET
const thread = unix.CLONE_THREAD | unix.CLONE_VM | unix.CLONE_SIGHAND

// Filter is the seccomp program, an array of struct sock_filter, for bubblewrap's --seccomp. What is not named is killed.
func Filter() ([]byte, error) {
	p := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: archX8664, SkipTrue: 1},
		bpf.RetConstant{Val: kill},
		bpf.LoadAbsolute{Off: offNumber, Size: 4}, // numbers of the x32 ABI have bit 30 set and match nothing below
	}
	on := func(numbers []uint32, answer uint32) {
		for _, n := range numbers {
			p = append(p, bpf.JumpIf{Cond: bpf.JumpEqual, Val: n, SkipFalse: 1}, bpf.RetConstant{Val: answer})
		}
	}
	on(allowed, allow)
	on(absent, errno|uint32(unix.ENOENT))
	on(unneeded, errno|uint32(unix.ENOSYS))
	on([]uint32{unix.SYS_PRCTL, unix.SYS_IOCTL}, errno|uint32(unix.EPERM))
	p = append(p, // clone makes threads, never processes or namespaces
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_CLONE, SkipFalse: 6},
		bpf.LoadAbsolute{Off: offArgs, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: namespaces, SkipTrue: 3},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: thread},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: thread, SkipFalse: 1},
		bpf.RetConstant{Val: allow},
		bpf.RetConstant{Val: errno | uint32(unix.EPERM)},
	)
	for _, n := range []uint32{unix.SYS_MMAP, unix.SYS_MPROTECT} { // memory is never made executable
		p = append(p,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: n, SkipFalse: 4},
			bpf.LoadAbsolute{Off: offArgs + 2*8, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: unix.PROT_EXEC, SkipTrue: 1},
			bpf.RetConstant{Val: allow},
			bpf.RetConstant{Val: kill},
		)
	}
	return encode(append(p, bpf.RetConstant{Val: kill}))
}

func encode(p []bpf.Instruction) ([]byte, error) {
	raw, err := bpf.Assemble(p)
	if err != nil {
		return nil, fmt.Errorf("assemble the seccomp filter: %w", err)
	}
	var b []byte
	for _, i := range raw {
		b = binary.NativeEndian.AppendUint16(b, i.Op)
		b = append(b, i.Jt, i.Jf)
		b = binary.NativeEndian.AppendUint32(b, i.K)
	}
	return b, nil
}
