package packet

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// RedirectFailure is how many frames came to nothing after the programs had said yes, for one cause.
type RedirectFailure struct {
	Device string `json:"device"` // "": of devices for which there was no room
	Kind   string `json:"kind"`   // redirect: the frame got no further than Device; action: the program or driver failed; send: Device did not take it
	Error  string `json:"error"`  // the kernel's name for it ("ENXIO"); of kind action: what the program had said
	Frames uint64 `json:"frames"`
}

var failureKinds = [...]string{"", "redirect", "action", "send"}

// xdpActions by number.
var xdpActions = [...]string{"aborted", "drop", "pass", "tx", "redirect"}

// watchRedirects attaches what counts redirects that fail, in the network namespace of the caller. A gate without it still
// guards its ports: what went wrong is kept and told with the counters.
func (c *Core) watchRedirects() error {
	if err := c.attachTraces(); err != nil {
		c.unseen = err.Error()
		c.log.Error("redirects that fail are not counted", "error", err)
	}
	return nil
}

func (c *Core) attachTraces() error {
	spec, err := loadRedirect()
	if err != nil {
		return fmt.Errorf("read the built-in programs: %w", err)
	}
	for _, name := range []string{redirectMapRedirectFailures, redirectMapWatchedNamespace} {
		spec.Maps[name].Pinning = ebpf.PinByName
	}
	err = spec.LoadAndAssign(&c.traces, &ebpf.CollectionOptions{
		Maps:            ebpf.MapOptions{PinPath: c.path("maps")},
		MapReplacements: map[string]*ebpf.Map{redirectMapRefusedAtExit: c.objects.RefusedAtExit},
	})
	if err != nil {
		return fmt.Errorf("load the programs for tracepoints: %w", err)
	}
	var here unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &here); err != nil {
		return fmt.Errorf("look which network namespace this is: %w", err)
	}
	rest := redirectFailureKey{}
	none := make([]uint64, ebpf.MustPossibleCPU())
	for kind := range failureKinds[1:] {
		rest.Failure = uint16(kind + 1)
		if err := c.traces.RedirectFailures.Update(rest, none, ebpf.UpdateNoExist); err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
			return fmt.Errorf("make the counter of devices without one of their own: %w", err)
		}
	}
	if err := c.traces.WatchedNamespace.Put(uint32(0), uint32(here.Ino)); err != nil {
		return fmt.Errorf("say which network namespace is watched: %w", err)
	}
	t := &c.traces
	return errors.Join(
		c.holdTrace("xdp_redirect_err", t.RedirectFailed),
		c.holdTrace("xdp_exception", t.ActionFailed),
		c.holdTrace("xdp_devmap_xmit", t.SendFailed),
	)
}

// holdTrace keeps a pinned link of the tracepoint to p, or to a program that does the same. Such links cannot be moved to
// another program: the new one is attached before the old one goes, and for a moment both count.
func (c *Core) holdTrace(tracepoint string, p *ebpf.Program) error {
	pin := c.path("traces", tracepoint)
	if l, err := link.LoadPinnedLink(pin, nil); err == nil {
		same, err := runs(l, p)
		l.Close()
		if err == nil && same {
			return nil
		}
	}
	fresh, err := link.AttachTracing(link.TracingOptions{Program: p})
	if err != nil {
		return fmt.Errorf("attach to tracepoint %s: %w", tracepoint, err)
	}
	defer fresh.Close()
	if err := os.Remove(pin); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace what is attached to tracepoint %s: %w", tracepoint, err)
	}
	if err := fresh.Pin(pin); err != nil {
		return fmt.Errorf("pin what is attached to tracepoint %s: %w", tracepoint, err)
	}
	return nil
}

// runs tells whether the link's program is made of the same instructions as p.
func runs(l link.Link, p *ebpf.Program) (bool, error) {
	info, err := l.Info()
	if err != nil {
		return false, err
	}
	there, err := ebpf.NewProgramFromID(info.Program)
	if err != nil {
		return false, err
	}
	defer there.Close()
	a, err := there.Info()
	if err != nil {
		return false, err
	}
	b, err := p.Info()
	if err != nil {
		return false, err
	}
	return a.Tag == b.Tag, nil
}

// redirectFailures reads what failed, in order.
func (c *Core) redirectFailures() ([]RedirectFailure, error) {
	out := []RedirectFailure{}
	if c.traces.RedirectFailures == nil {
		return out, nil
	}
	var key redirectFailureKey
	var perCPU []uint64
	entries := c.traces.RedirectFailures.Iterate()
	for entries.Next(&key, &perCPU) {
		f := RedirectFailure{Error: failureName(key)}
		if int(key.Failure) < len(failureKinds) {
			f.Kind = failureKinds[key.Failure]
		}
		if key.Ifindex != 0 {
			f.Device = c.deviceAt(int(key.Ifindex))
		}
		for _, n := range perCPU {
			f.Frames += n
		}
		if f.Frames != 0 {
			out = append(out, f)
		}
	}
	if err := entries.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return nil, fmt.Errorf("read redirects that failed: %w", err)
	}
	slices.SortFunc(out, func(a, b RedirectFailure) int {
		return cmp.Or(cmp.Compare(a.Device, b.Device), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Error, b.Error))
	})
	return out, nil
}

func failureName(k redirectFailureKey) string {
	if k.Ifindex == 0 {
		return "various"
	}
	if k.Failure == 2 {
		if int(k.Error) < len(xdpActions) {
			return xdpActions[k.Error]
		}
		return strconv.Itoa(int(k.Error))
	}
	if k.Error == 0 {
		return "unspecified" // the device took a part of the batch and gave no reason
	}
	if name := unix.ErrnoName(unix.Errno(k.Error)); name != "" {
		return name
	}
	return strconv.Itoa(int(k.Error))
}
