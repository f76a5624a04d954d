package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// lane is one gate on two veth pairs, in a namespace of its own that goes with the process:
//
//	far station end  <->  st0  [ gate ]  sv0  <->  far service end
//
// The far ends have no addresses: a program sends there and another counts and drops. Every lane stands on the same kind of
// devices, with the same routes and neighbours, so that only what forwards differs.
type lane struct {
	ns       netns.NsHandle
	near     [2]netlink.Link // the gate's ports: of stations, of services
	far      [2]netlink.Link
	feeder   *feeder
	closers  []func() error
	forwards int // pid of the kernel thread that forwards what stations send; 0: softirqs of whoever sends do
	softirqs int // pid of the thread for softirqs of the same CPU
}

const (
	sendingCPU    = 0
	forwardingCPU = 1
)

var nearNames, farNames = [2]string{stationPort, servicePort}, [2]string{"farst0", "farsv0"}

// newLane makes it with its ports down. size: of the far ends' list; the device to send to is added.
func newLane(size feederSize) (*lane, error) {
	l := &lane{ns: netns.None()}
	if err := l.make(size); err != nil {
		l.close()
		return nil, fmt.Errorf("make a lane: %w", err)
	}
	return l, nil
}

func (l *lane) make(size feederSize) error {
	if err := l.makeNamespace(); err != nil {
		return err
	}
	return l.in(func() error {
		for _, path := range []string{"ipv6/conf/all/disable_ipv6", "ipv6/conf/default/disable_ipv6", "ipv4/conf/all/forwarding"} {
			if err := os.WriteFile("/proc/sys/net/"+path, []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		for i := range l.near {
			if err := l.makePair(i); err != nil {
				return err
			}
		}
		var err error
		size.exit = uint32(l.near[1].Attrs().Index)
		if l.feeder, err = newFeeder(size); err != nil {
			return err
		}
		for i := range l.far {
			if err := l.attach(l.feeder.Sink, l.far[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (l *lane) makeNamespace() (err error) {
	l.ns, err = newNamespace()
	return err
}

// newNamespace makes a network namespace that goes when its handle is closed and nothing is left in it.
func newNamespace() (ns netns.NsHandle, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		ns, err = netns.New()
	}()
	<-done
	return ns, err
}

// in runs f in the lane's namespace.
func (l *lane) in(f func() error) error { return within(l.ns, f) }

// within runs f in a network namespace. Sockets and programs that f begins stay there, goroutines do not.
func within(ns netns.NsHandle, f func() error) error {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		return fmt.Errorf("remember the own namespace: %w", err)
	}
	defer home.Close()
	if err := netns.Set(ns); err != nil {
		return fmt.Errorf("enter a namespace: %w", err)
	}
	ferr := f()
	if err := netns.Set(home); err != nil {
		return errors.Join(ferr, fmt.Errorf("leave a namespace: %w", err)) // the thread stays locked and dies
	}
	runtime.UnlockOSThread()
	return ferr
}

func (l *lane) makePair(i int) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = nearNames[i]
	attrs.NumRxQueues, attrs.NumTxQueues = 1, 1
	veth := netlink.NewVeth(attrs)
	veth.PeerName = farNames[i]
	veth.PeerNumRxQueues, veth.PeerNumTxQueues = 1, 1
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("make the veth %s: %w", nearNames[i], err)
	}
	for name, to := range map[string]*netlink.Link{nearNames[i]: &l.near[i], farNames[i]: &l.far[i]} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		*to = link
	}
	return netlink.LinkSetUp(l.far[i])
}

// open sets the gate's ports up, once what guards them is there, gives them their addresses and lets the kernel know every
// MAC: nothing is left to resolve while measuring.
func (l *lane) open(t *town) error {
	for i := range l.near {
		if err := netlink.LinkSetUp(l.near[i]); err != nil {
			return err
		}
	}
	gates := [2]string{stationGate.String() + "/16", serviceGate.String() + "/16"}
	for i := range gates {
		a, err := netlink.ParseAddr(gates[i])
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(l.near[i], a); err != nil {
			return err
		}
	}
	add := func(port int, ip net.IP, mac packet.MAC) error {
		return netlink.NeighSet(&netlink.Neigh{LinkIndex: l.near[port].Attrs().Index, IP: ip, HardwareAddr: mac[:], State: netlink.NUD_PERMANENT})
	}
	for i := range t.stations {
		if err := add(0, stationAddr(i).AsSlice(), stationMAC(i)); err != nil {
			return err
		}
	}
	for i := range t.services {
		if err := add(1, serviceAddr(i).AsSlice(), serviceMAC(i)); err != nil {
			return err
		}
	}
	return nil
}

func (l *lane) attach(p *ebpf.Program, to netlink.Link) error {
	x, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: to.Attrs().Index, Flags: link.XDPDriverMode})
	if err != nil {
		return fmt.Errorf("attach %s to %s: %w", p, to.Attrs().Name, err)
	}
	l.closers = append(l.closers, x.Close)
	return nil
}

// letUp makes the gate's ports poll and hands every packet to the stack, in the way that is fastest here: merging (GRO)
// finds nothing to merge among random flows and is switched off.
func (l *lane) letUp() error {
	err := l.in(func() error {
		return errors.Join(l.attach(l.feeder.Lift, l.near[0]), l.attach(l.feeder.Lift, l.near[1]))
	})
	if err != nil {
		return err
	}
	return l.setOffload("gro", "off")
}

func (l *lane) ends() ends {
	return ends{packet.MAC(l.near[0].Attrs().HardwareAddr), packet.MAC(l.near[1].Attrs().HardwareAddr)}
}

func (l *lane) close() error {
	var errs []error
	for i := len(l.closers) - 1; i >= 0; i-- {
		errs = append(errs, l.closers[i]())
	}
	if l.feeder != nil {
		l.feeder.close()
	}
	if l.ns.IsOpen() {
		errs = append(errs, l.ns.Close())
	}
	return errors.Join(errs...)
}

// setOffload switches an offload of the gate's ports.
func (l *lane) setOffload(args ...string) error {
	return l.in(func() error {
		for _, name := range nearNames {
			if out, err := exec.Command("ethtool", append([]string{"-K", name}, args...)...).CombinedOutput(); err != nil {
				return fmt.Errorf("ethtool -K %s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
			}
		}
		return nil
	})
}

// onOwnCPU lets a kernel thread, held to a CPU of its own, poll the stations' port: what is forwarded from there on runs on
// that CPU alone. Whatever polls the port must be attached before.
func (l *lane) onOwnCPU() error {
	port := nearNames[0]
	before, err := kernelThreads("napi/" + port)
	if err != nil {
		return err
	}
	if err := l.writeDevice(port, "threaded", "1"); err != nil {
		return err
	}
	after, err := kernelThreads("napi/" + port)
	if err != nil {
		return err
	}
	for pid := range after {
		if before[pid] {
			continue
		}
		var one unix.CPUSet
		one.Set(forwardingCPU)
		if err := unix.SchedSetaffinity(pid, &one); err != nil {
			return fmt.Errorf("keep the thread that polls %s to CPU %d: %w", port, forwardingCPU, err)
		}
		if err := goFirst(pid); err != nil {
			return err
		}
		l.forwards = pid
		softirqs, err := kernelThreads(fmt.Sprintf("ksoftirqd/%d\n", forwardingCPU))
		for pid := range softirqs {
			l.softirqs = pid
		}
		return err
	}
	return fmt.Errorf("no kernel thread polls %s; its driver must do so", port)
}

// writeDevice writes a file of a device's folder in sysfs, which shows the devices of the namespace that mounted it.
func (l *lane) writeDevice(device, file, value string) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked
		done <- l.inOwnMounts(func(sys string) error {
			return os.WriteFile(filepath.Join(sys, "class/net", device, file), []byte(value), 0)
		})
	}()
	if err := <-done; err != nil {
		return fmt.Errorf("set %s of %s to %s: %w", file, device, value, err)
	}
	return nil
}

func (l *lane) inOwnMounts(f func(sys string) error) error {
	if err := netns.Set(l.ns); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return err
	}
	return f("/sys")
}

func kernelThreads(prefix string) (map[int]bool, error) {
	files, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return nil, err
	}
	found := map[int]bool{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil || !strings.HasPrefix(string(b), prefix) {
			continue // a process that has just ended
		}
		var pid int
		if _, err := fmt.Sscanf(f, "/proc/%d/comm", &pid); err != nil {
			return nil, err
		}
		found[pid] = true
	}
	return found, nil
}

// received is how many frames the far ends have counted.
func (l *lane) received() (uint64, error) {
	var all [256]programsTally
	if err := l.feeder.Received.Get(&all); err != nil {
		return 0, fmt.Errorf("read the far end's count: %w", err)
	}
	var n uint64
	for _, t := range all {
		n += t.Frames
	}
	return n, nil
}

// send sends n packets of the list into a port of the gate, as fast as its far end takes them.
func (l *lane) send(port, n int) error {
	const batch = 64
	_, err := l.feeder.run(l.feeder.Source, l.far[port].Attrs().Index, n, unix.BPF_F_TEST_XDP_LIVE_FRAMES, batch)
	return err
}

// deliver sends each packet of the list once into a port and sees that each arrives. It belongs before onOwnCPU: as long as
// softirqs forward, each batch is through before the next is sent, and no queue overflows.
func (l *lane) deliver(port int, ts []tuple) error {
	return quietly(sendingCPU, func() error {
		return l.in(func() error {
			if err := l.feeder.list(ts); err != nil {
				return err
			}
			before, err := l.received()
			if err != nil {
				return err
			}
			if err := l.send(port, len(ts)); err != nil {
				return err
			}
			const patience = 100 * time.Millisecond // for what a kernel thread still has in hand
			deadline := time.Now().Add(patience)
			for {
				now, err := l.received()
				if err != nil || now-before >= uint64(len(ts)) {
					return err
				}
				if time.Now().After(deadline) {
					return fmt.Errorf("%d of %d packets into %s arrived", now-before, len(ts), nearNames[port])
				}
				time.Sleep(time.Millisecond)
			}
		})
	})
}

// prepare lets the gate see the beginning of every flow, and lists the data that is sent from then on.
func (l *lane) prepare(fs []flow) error {
	e := l.ends()
	if err := l.deliver(0, tuples(fs, e.opening)); err != nil {
		return fmt.Errorf("open flows: %w", err)
	}
	if err := l.deliver(1, tuples(fs, e.answer)); err != nil {
		return fmt.Errorf("answer flows: %w", err)
	}
	data := tuples(fs, e.data)
	if err := l.deliver(0, data); err != nil {
		return fmt.Errorf("use flows: %w", err)
	}
	return l.feeder.list(data)
}

// rate is what one round of sending at full speed gave, in packets a second.
type rate struct {
	offered  float64 // that the sender could have sent with a CPU for itself
	received float64 // by the clock
	core     float64 // by the CPU time of what forwards: what one core forwards, also when others take some of it
}

// measure sends at full speed from the one CPU until what forwards on the other has worked for so long.
func (l *lane) measure(work time.Duration) (rate, error) {
	var r rate
	err := quietly(sendingCPU, func() error {
		return l.in(func() error {
			const chunk = 500_000                    // a run takes milliseconds to begin and to end
			if err := l.send(0, chunk); err != nil { // the forwarding CPU is awake and its caches are warm
				return err
			}
			from, err := l.now()
			if err != nil {
				return err
			}
			to, sent := from, 0
			for to.forwarder-from.forwarder < work.Nanoseconds() {
				if err := l.send(0, chunk); err != nil {
					return err
				}
				sent += chunk
				if to, err = l.now(); err != nil {
					return err
				}
			}
			received := float64(to.received - from.received)
			r = rate{float64(sent) / float64(to.sender-from.sender) * 1e9, received / to.at.Sub(from.at).Seconds(), received / float64(to.forwarder-from.forwarder) * 1e9}
			return nil
		})
	})
	return r, err
}

// moment is how far a lane has come.
type moment struct {
	at                time.Time
	received          uint64
	sender, forwarder int64 // CPU time, ns
}

func (l *lane) now() (m moment, err error) {
	m.at = time.Now()
	if m.received, err = l.received(); err != nil {
		return m, err
	}
	if m.sender, err = threadTime(); err != nil {
		return m, err
	}
	// The far end's poll is a softirq that the forwarding thread raises: it runs in that thread or, when there is much, in
	// the CPU's own.
	for _, pid := range []int{l.forwards, l.softirqs} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
		if err != nil {
			return m, fmt.Errorf("read the CPU time of what forwards: %w", err)
		}
		var ns int64
		if _, err := fmt.Sscan(string(b), &ns); err != nil {
			return m, fmt.Errorf("read the CPU time of what forwards: %w", err)
		}
		m.forwarder += ns
	}
	return m, nil
}
