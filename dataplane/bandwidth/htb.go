// Package bandwidth shapes a line: HTB on the tunnel device, the root is the contract, the leaves are bandwidth classes.
//
// Problem: when a backup fills the line, the screens of core business must still open; and a shaper only decides who waits
// if the queue is here and not at the carrier. Mechanism: one tree on the device before encryption. The root runs a little
// below the line's rate, every packet counts as long as it will be on the line, a leaf always gets its guarantee and borrows
// the rest up to its ceiling by priority. The packet core's egress program names the leaf in
// skb->priority; what names none falls into the default class. Life cycle: Apply builds the tree or changes it in place, Read
// tells what was delivered. Invariant: applying the same plan again, or another one, drops no packet that waits in a class
// which stays.
package bandwidth

import (
	"errors"
	"fmt"
	"math"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Handles: the contract with the packet core's egress program.
const (
	major     = 1
	rootMinor = 1
	leafBase  = 0x10 // minor of a leaf = leafBase + class id
)

// Priority is the value of skb->priority (SO_PRIORITY) that selects a class.
func Priority(class uint8) uint32 { return netlink.MakeHandle(major, leafBase+uint16(class)) }

const (
	// belowLine keeps the queue here: what is left to the line empties the carrier's queue again after a packet that was late.
	belowLine = 0.99
	// burstTime is how much a class may send at once, s. Below it a timer that fires late costs rate.
	burstTime = 0.004
)

// Check tells why a plan cannot be kept.
func (t Tree) Check() error {
	if t.Device == "" || t.Rate == 0 || len(t.Classes) == 0 {
		return fmt.Errorf("bandwidth of device %q: rate %d bit/s and %d classes: want a device, a rate and classes", t.Device, t.Rate, len(t.Classes))
	}
	if t.Overhead < 0 || t.Overhead > 256 {
		return fmt.Errorf("bandwidth of %s: overhead %d bytes: want 0..256", t.Device, t.Overhead)
	}
	if len(t.Classes) > MaxClasses {
		return fmt.Errorf("bandwidth of %s: %d classes: want at most %d on a line", t.Device, len(t.Classes), MaxClasses)
	}
	var sum uint64
	defaults, seen := 0, map[uint8]bool{}
	for _, c := range t.Classes {
		switch {
		case c.ID < 1 || c.ID > 63:
			return fmt.Errorf("bandwidth class %q of %s: number %d: want 1..63", c.Name, t.Device, c.ID)
		case seen[c.ID]:
			return fmt.Errorf("bandwidth class %q of %s: number %d is taken", c.Name, t.Device, c.ID)
		case c.Latency != "" && c.Latency != Interactive && c.Latency != Bulk:
			return fmt.Errorf("bandwidth class %q of %s: latency %q: want %q or %q", c.Name, t.Device, c.Latency, Interactive, Bulk)
		case c.Priority > 7:
			return fmt.Errorf("bandwidth class %q of %s: priority %d: want 0..7", c.Name, t.Device, c.Priority)
		case c.Guarantee == 0 || c.Guarantee > c.Ceiling || c.Ceiling > t.Rate:
			return fmt.Errorf("bandwidth class %q of %s: guarantee %d, ceiling %d, line %d bit/s: want 0 < guarantee <= ceiling <= line",
				c.Name, t.Device, c.Guarantee, c.Ceiling, t.Rate)
		case c.Guarantee > t.Rate-sum:
			return fmt.Errorf("bandwidth of %s: the guarantees up to class %q exceed the line's %d bit/s: lower one", t.Device, c.Name, t.Rate)
		}
		seen[c.ID] = true
		sum += c.Guarantee
		if c.Default {
			defaults++
		}
	}
	if defaults != 1 {
		return fmt.Errorf("bandwidth of %s: %d default classes: want exactly one", t.Device, defaults)
	}
	return nil
}

// Promise is how much of the line's rate guarantees may take together, bit/s: what the root sends.
func (t Tree) Promise() uint64 { return uint64(float64(t.Rate) * belowLine) }

// Apply makes the device carry the tree. A device with our tree keeps it: classes are changed, added and removed in place.
func Apply(t Tree) error {
	if err := t.Check(); err != nil {
		return err
	}
	link, err := netlink.LinkByName(t.Device)
	if err != nil {
		return fmt.Errorf("shape %s: %w", t.Device, err)
	}
	if err := errors.Join(root(link), measure(link, t.Overhead)); err != nil {
		return fmt.Errorf("shape %s: %w", t.Device, err)
	}
	if err := t.rates(link); err != nil {
		return err
	}
	have, err := queues(link)
	if err != nil {
		return fmt.Errorf("shape %s: %w", t.Device, err)
	}
	keep := map[uint32]bool{handle(rootMinor): true}
	for _, c := range t.Classes {
		h := c.leaf()
		keep[h] = true
		if err := queue(link, c, h, have[h], leaves); err != nil {
			return fmt.Errorf("shape %s: queue of class %q: %w", t.Device, c.Name, err)
		}
	}
	return prune(link, keep)
}

// Rates changes the rates of a tree that Apply made, and nothing else of it: for what changes several times a second. What
// waits in the queues stays there.
func Rates(t Tree) error {
	if err := t.Check(); err != nil {
		return err
	}
	link, err := netlink.LinkByName(t.Device)
	if err != nil {
		return fmt.Errorf("shape %s: %w", t.Device, err)
	}
	return t.rates(link)
}

func (t Tree) rates(link netlink.Link) error {
	line := t.Promise()
	if err := class(link, netlink.HANDLE_ROOT, handle(rootMinor), line, line, 0); err != nil {
		return fmt.Errorf("shape %s: root class: %w", t.Device, err)
	}
	for _, c := range t.Classes {
		if err := class(link, handle(rootMinor), c.leaf(), min(c.Guarantee, line), min(c.Ceiling, line), c.Priority); err != nil {
			return fmt.Errorf("shape %s: class %q: %w", t.Device, c.Name, err)
		}
	}
	return nil
}

// Remove takes the tree off the device; packets are no longer shaped.
func Remove(device string) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("stop shaping %s: %w", device, err)
	}
	q, err := ours(link)
	if err == nil && q != nil {
		err = netlink.QdiscDel(q)
	}
	if err != nil {
		return fmt.Errorf("stop shaping %s: %w", device, err)
	}
	return nil
}

// Empty drops what waits in the queues of a tree that is applied: packets that were let in before and must not leave any more.
func Empty(t Tree) error {
	link, err := netlink.LinkByName(t.Device)
	if err != nil {
		return fmt.Errorf("empty the queues of %s: %w", t.Device, err)
	}
	var errs []error
	have, err := queues(link)
	if err != nil {
		return fmt.Errorf("empty the queues of %s: %w", t.Device, err)
	}
	for _, c := range t.Classes {
		h := c.leaf()
		if err := errors.Join(drop(link, h, have[h]), queue(link, c, h, "", leaves)); err != nil {
			errs = append(errs, fmt.Errorf("empty the queues of %s: class %q: %w", t.Device, c.Name, err))
		}
	}
	return errors.Join(errs...)
}

func handle(minor uint16) uint32 { return netlink.MakeHandle(major, minor) }

// root makes sure of the HTB root. The kernel cannot change the default leaf of a root in place, so it is always leaf 0, and
// the default class stands there.
func root(link netlink.Link) error {
	have, err := ours(link)
	if err != nil || have != nil {
		return err
	}
	h := netlink.NewHtb(netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: handle(0), Parent: netlink.HANDLE_ROOT})
	h.Defcls = uint32(leafBase)
	h.Rate2Quantum = 10 // unused: every class has its own quantum
	direct := uint32(2) // packets; none goes past the classes
	h.DirectQlen = &direct
	return netlink.QdiscReplace(h)
}

// leaf is the handle of a class's leaf. A packet that names the default class by its number finds no such leaf and so comes
// to leaf 0 all the same.
func (c Class) leaf() uint32 {
	if c.Default {
		return Priority(0)
	}
	return Priority(c.ID)
}

// ours is the root qdisc if it is the tree that Apply makes.
func ours(link netlink.Link) (*netlink.Htb, error) {
	qs, err := netlink.QdiscList(link)
	if err != nil {
		return nil, err
	}
	for _, q := range qs {
		if h, ok := q.(*netlink.Htb); ok && h.Parent == netlink.HANDLE_ROOT && h.Handle == handle(0) && h.Defcls == uint32(leafBase) {
			return h, nil
		}
	}
	return nil, nil
}

// class adds or changes one HTB class. The netlink library's own HtbClass sends rate tables and a burst of its own choice, so
// the message is made here.
func class(link netlink.Link, parent, h uint32, rate, ceil uint64, prio uint8) error {
	req := nl.NewNetlinkRequest(unix.RTM_NEWTCLASS, unix.NLM_F_CREATE|unix.NLM_F_ACK)
	req.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(link.Attrs().Index), Handle: h, Parent: parent})
	req.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("htb")))
	opt := nl.TcHtbCopt{
		Rate:    rateSpec(rate),
		Ceil:    rateSpec(ceil),
		Buffer:  burst(rate, link),
		Cbuffer: burst(ceil, link),
		Quantum: quantum(rate, link),
		Prio:    uint32(prio),
	}
	o := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	o.AddRtAttr(nl.TCA_HTB_PARMS, opt.Serialize())
	if rate/8 > math.MaxUint32 {
		o.AddRtAttr(nl.TCA_HTB_RATE64, nl.Uint64Attr(rate/8))
	}
	if ceil/8 > math.MaxUint32 {
		o.AddRtAttr(nl.TCA_HTB_CEIL64, nl.Uint64Attr(ceil/8))
	}
	req.AddData(o)
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// rateSpec has no overhead: the root's size table counts it already.
func rateSpec(bits uint64) nl.TcRateSpec {
	return nl.TcRateSpec{
		Linklayer: nl.LINKLAYER_ETHERNET,               // told, not guessed from rate tables, which therefore need not be sent
		Rate:      uint32(min(bits/8, math.MaxUint32)), // bytes/s
	}
}

// burst is the size of the bucket as the kernel wants it: the time that filling it takes, in its ticks of 64 ns.
func burst(bits uint64, link netlink.Link) uint32 {
	least := float64(2*(link.Attrs().MTU+256)) * 8 / float64(bits) // two packets, s
	return uint32(min(max(burstTime, least)*1e9/64, math.MaxUint32))
}

// quantum is how many bytes a class sends in its turn when classes of one priority share the spare rate: in proportion to
// their guarantees, but at least one packet and not so much that the others wait for long.
func quantum(bits uint64, link netlink.Link) uint32 {
	return uint32(min(max(bits/8/1000, uint64(link.Attrs().MTU)+256), 60000))
}

// prune removes leaves that the plan no longer has.
func prune(link netlink.Link, keep map[uint32]bool) error {
	have, err := netlink.ClassList(link, netlink.HANDLE_NONE)
	if err != nil {
		return fmt.Errorf("list classes of %s: %w", link.Attrs().Name, err)
	}
	for _, c := range have {
		if c.Type() != "htb" || keep[c.Attrs().Handle] {
			continue
		}
		if err := netlink.ClassDel(c); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove class %x of %s: %w", c.Attrs().Handle, link.Attrs().Name, err)
		}
	}
	return nil
}
