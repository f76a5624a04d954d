package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// feeder holds the programs of bpf/bench.bpf.c once, with a list of packets of their own.
type feeder struct {
	programsObjects
	memory []byte // of the list
	frame  []byte // handed to the kernel; what it holds does not matter, every packet is written anew
}

type feederSize struct {
	packets        int
	flows, permits int    // of the generic peer; 0: it is not used
	exit           uint32 // device that bare sends to
}

// native is the byte order of the machine, in which the programs see what they do not turn.
var native = binary.NativeEndian

const tupleSize = len(tuple{})

func newFeeder(size feederSize) (*feeder, error) {
	spec, err := loadPrograms()
	if err != nil {
		return nil, fmt.Errorf("read the built-in programs: %w", err)
	}
	spec.Maps["tuples"].MaxEntries = uint32(size.packets)
	spec.Maps["generic_flows"].MaxEntries = uint32(max(size.flows, 1))
	spec.Maps["generic_permits"].MaxEntries = uint32(max(size.permits, 1))
	if err := spec.Variables["exit_device"].Set(size.exit); err != nil {
		return nil, fmt.Errorf("set the device to send to: %w", err)
	}
	f := &feeder{frame: make([]byte, 60)}
	if err := spec.LoadAndAssign(&f.programsObjects, nil); err != nil {
		return nil, fmt.Errorf("load the programs that measure: %w", err)
	}
	length := (size.packets*tupleSize + os.Getpagesize() - 1) &^ (os.Getpagesize() - 1)
	f.memory, err = unix.Mmap(f.Tuples.FD(), 0, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("map the list of packets: %w", err)
	}
	return f, nil
}

func (f *feeder) close() {
	unix.Munmap(f.memory)
	f.Close()
}

// list makes ts the packets that come next, from the first on.
func (f *feeder) list(ts []tuple) error {
	if len(ts)*tupleSize > len(f.memory) {
		return fmt.Errorf("%d packets do not fit the list", len(ts))
	}
	for i := range ts {
		copy(f.memory[i*tupleSize:], ts[i][:])
	}
	return errors.Join(f.Listed.Set(uint32(len(ts))), f.At.Set(uint32(0)))
}

// testRun is BPF_PROG_TEST_RUN's part of union bpf_attr.
type testRun struct {
	program, answer     uint32
	sizeIn, sizeOut     uint32
	in, out             uint64
	repeat, duration    uint32
	contextIn, contextO uint32
	ctxIn, ctxOut       uint64
	flags, cpu, batch   uint32
	_                   uint32
}

const bpfProgTestRun = 10

// run runs p on n packets as if they came in by device, in the caller's namespace. It gives p's last answer.
func (f *feeder) run(p *ebpf.Program, device, n int, flags, batch uint32) (uint32, error) {
	var context [24]byte
	binary.LittleEndian.PutUint32(context[4:], uint32(len(f.frame))) // struct xdp_md: data, data_end, data_meta, ingress_ifindex
	binary.LittleEndian.PutUint32(context[12:], uint32(device))
	var pin runtime.Pinner
	pin.Pin(&f.frame[0])
	pin.Pin(&context[0])
	defer pin.Unpin()
	attr := testRun{
		program: uint32(p.FD()), sizeIn: uint32(len(f.frame)), in: uint64(uintptr(unsafe.Pointer(&f.frame[0]))), repeat: uint32(n),
		contextIn: uint32(len(context)), ctxIn: uint64(uintptr(unsafe.Pointer(&context[0]))), flags: flags, batch: batch,
	}
	_, _, errno := unix.Syscall(unix.SYS_BPF, bpfProgTestRun, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		return 0, fmt.Errorf("run %s on %d packets of device %d: %w", p, n, device, errno)
	}
	return attr.answer, nil
}

// errStatistics: a figure that was taken meanwhile is worthless.
var errStatistics = errors.New("somebody has statistics of BPF programs on, which cost more than what is measured; see sysctl kernel.bpf_stats_enabled")

// cost runs p through feed on n packets and gives the nanoseconds a packet that the CPU spent, feed included. The caller is
// locked to its thread and has blocked signals, see quietly.
func (f *feeder) cost(p *ebpf.Program, device, n int) (ns float64, answer uint32, err error) {
	if err := f.Measured.Put(uint32(0), p); err != nil {
		return 0, 0, fmt.Errorf("choose what is measured: %w", err)
	}
	if err := f.At.Set(uint32(0)); err != nil {
		return 0, 0, err
	}
	counted, err := f.Feed.Stats()
	if err != nil {
		return 0, 0, fmt.Errorf("ask for the statistics of %s: %w", f.Feed, err)
	}
	before, err := threadTime()
	if err != nil {
		return 0, 0, err
	}
	answer, err = f.run(f.Feed, device, n, 0, 0)
	if err != nil {
		return 0, 0, err
	}
	after, err := threadTime()
	if err != nil {
		return 0, 0, err
	}
	if now, err := f.Feed.Stats(); err != nil || now.RunCount != counted.RunCount {
		return 0, 0, errors.Join(err, errStatistics)
	}
	return float64(after-before) / float64(n), answer, err
}

// threadTime is the CPU time of the calling thread in nanoseconds: what others take of the CPU does not count.
func threadTime() (int64, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		return 0, fmt.Errorf("read the thread's CPU time: %w", err)
	}
	return ts.Nano(), nil
}

// goFirst lets a thread run whenever it can: what else runs on the machine costs it caches, but no time.
func goFirst(pid int) error {
	if err := unix.SchedSetAttr(pid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0); err != nil {
		return fmt.Errorf("let thread %d run before others: %w", pid, err)
	}
	return nil
}

// quietly is keepTo, before everything else that wants the CPU.
func quietly(cpu int, f func() error) error {
	return keepTo(cpu, func() error {
		if err := goFirst(0); err != nil {
			return err
		}
		err := f()
		return errors.Join(err, unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}, 0))
	})
}

// keepTo runs f on one CPU and without the signals by which Go interrupts its threads and which would end a run early.
func keepTo(cpu int, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read the CPUs of this thread: %w", err)
	}
	all.Set(cpu)
	if err := unix.SchedSetaffinity(0, &all); err != nil {
		return fmt.Errorf("keep to CPU %d: %w", cpu, err)
	}
	defer unix.SchedSetaffinity(0, &before)
	var old, block unix.Sigset_t
	for i := range block.Val {
		block.Val[i] = ^uint64(0)
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &block, &old); err != nil {
		return fmt.Errorf("block signals: %w", err)
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
	return f()
}
