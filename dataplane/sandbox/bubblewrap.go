package sandbox

import (
	"math"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
)

// Numbers under which the child sees what Run hands over.
const (
	fdFilter = 3 // reads the seccomp filter
	fdInfo   = 4 // writes {"child-pid": N}
	fdGate   = 5 // blocks until the program may start
)

// inside is where the program lies in its sandbox.
const inside = "/worker"

// command is the whole command line. prlimit (util-linux) sets what a process inherits and is replaced by bubblewrap; no shell
// is involved, and nothing from a user is in it.
func (b *Box) command(j Job) *exec.Cmd {
	seconds := strconv.FormatInt(max(1, int64(math.Ceil(j.Budget.CPU.Seconds()))), 10)
	args := []string{"--core=0", "--cpu=" + seconds, "--memlock=0", "--msgqueue=0"}
	if j.Tree == "" {
		args = append(args, "--fsize=0", "--nofile=64")
	} else {
		args = append(args, "--fsize="+strconv.FormatInt(j.Budget.Memory, 10), "--nofile=512")
	}
	if b.Group == nil {
		args = append(args, "--data="+strconv.FormatInt(j.Budget.Memory, 10))
	}
	args = append(args, "bwrap",
		"--unshare-all", "--unshare-user", "--disable-userns", "--unshare-cgroup",
		"--die-with-parent", "--new-session", "--as-pid-1",
		"--uid", "65534", "--gid", "65534", "--hostname", "sandbox", "--cap-drop", "ALL", "--clearenv")
	args = append(args, root(j)...)
	args = append(args,
		"--seccomp", strconv.Itoa(fdFilter), "--info-fd", strconv.Itoa(fdInfo), "--block-fd", strconv.Itoa(fdGate),
		"--", inside)
	cmd := exec.Command("prlimit", append(args, j.Args...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: b.Credential}
	return cmd
}

// root is what the program sees: itself alone, or the tree of helper programs with itself as their driver, and a directory in memory,
// which counts as memory of the job.
func root(j Job) []string {
	if j.Tree == "" {
		return []string{"--ro-bind", j.Binary, inside, "--remount-ro", "/", "--chdir", "/"}
	}
	size := strconv.FormatInt(j.Budget.Memory, 10)
	return []string{"--ro-bind", j.Tree, "/", "--ro-bind", j.Binary, inside, "--dev", "/dev", "--proc", "/proc",
		"--size", size, "--tmpfs", "/tmp", "--size", size, "--tmpfs", tool.Work, "--chdir", tool.Work}
}

// maxMemory is the most that one job may take, in bytes.
const maxMemory = 1536 << 20

// Scaled is the budget of a job on a file of that many bytes: fixed limits break large honest files. CPU time is what bounds the
// work; the wall clock only ends what sleeps, and leaves room for a busy box.
func Scaled(size, output int64) Budget {
	mib := time.Duration(size>>20 + 1)
	return Budget{
		Time:   60*time.Second + 4*time.Second*mib,
		CPU:    15*time.Second + 2*time.Second*mib,
		Memory: min(512<<20+16*size, maxMemory),
		Output: output,
		Tasks:  64,
	}
}
