package bandwidth

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// leaf is a kind of queue that a class may have.
type leaf struct {
	kind    string
	options func(c Class, mtu int) *nl.RtAttr
}

// leaves are in order of preference. A kernel may lack the first: fair queues keep one flow's packets from waiting behind
// another's, and drop early what would wait for long.
var leaves = []leaf{{"fq_codel", fqCodel}, {"pfifo", plain}}

// waits is how long a full queue may make a packet wait at the class's ceiling, s.
func (c Class) waits() float64 {
	if c.Latency == Interactive {
		return 0.025
	}
	return 0.1
}

// length is how many packets take that long.
func (c Class) length(mtu int) uint32 {
	return uint32(min(max(float64(c.Ceiling)/8*c.waits()/float64(mtu), 32), 4096))
}

func plain(c Class, mtu int) *nl.RtAttr {
	return nl.NewRtAttr(nl.TCA_OPTIONS, nl.Uint32Attr(c.length(mtu)))
}

// fqCodel sets the standing delay at which packets are dropped and the time that a sender may take to slow down, by the
// latency class (RFC 8290 section 5.2). A slow class must be allowed to hold one packet and a half (RFC 8289 section 4.4).
func fqCodel(c Class, mtu int) *nl.RtAttr {
	target, interval := 15_000.0, 150_000.0 // microseconds
	if c.Latency == Interactive {
		target, interval = 5_000, 100_000
	}
	target = max(target, 1.5*float64(mtu)*8/float64(c.Guarantee)*1e6)
	interval = max(interval, 10*target)
	o := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	o.AddRtAttr(nl.TCA_FQ_CODEL_TARGET, nl.Uint32Attr(uint32(min(target, 10e6))))
	o.AddRtAttr(nl.TCA_FQ_CODEL_INTERVAL, nl.Uint32Attr(uint32(min(interval, 100e6))))
	// Room for a burst of many flows: what waits too long is dropped by its delay, not by its place.
	o.AddRtAttr(nl.TCA_FQ_CODEL_LIMIT, nl.Uint32Attr(4*c.length(mtu)))
	o.AddRtAttr(nl.TCA_FQ_CODEL_ECN, nl.Uint32Attr(1))
	o.AddRtAttr(nl.TCA_FQ_CODEL_QUANTUM, nl.Uint32Attr(uint32(mtu+256)))
	return o
}

// queue gives a leaf its queue, or changes the one that it has; have is that one's kind. Another kind would lose what waits, so
// the kind is chosen when there is none: the first that the kernel knows.
func queue(link netlink.Link, c Class, h uint32, have string, kinds []leaf) error {
	var err error
	for _, k := range kinds {
		if have != "" && have != k.kind {
			continue
		}
		err = k.set(link, c, h)
		if !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	if err == nil { // of a kind that is not ours
		return errors.Join(drop(link, h, have), queue(link, c, h, "", kinds))
	}
	return err
}

func (k leaf) set(link netlink.Link, c Class, h uint32) error {
	req := nl.NewNetlinkRequest(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK)
	req.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(link.Attrs().Index), Handle: (h & 0xffff) << 16, Parent: h})
	req.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated(k.kind)))
	req.AddData(k.options(c, link.Attrs().MTU))
	if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
		return fmt.Errorf("%s: %w", k.kind, err)
	}
	return nil
}

// queues are the kinds of the queues that the leaves have, by class.
func queues(link netlink.Link) (map[uint32]string, error) {
	qs, err := netlink.QdiscList(link)
	if err != nil {
		return nil, err
	}
	out := map[uint32]string{}
	for _, q := range qs {
		out[q.Attrs().Parent] = q.Type()
	}
	return out, nil
}

// drop takes a leaf's queue away with all that waits there.
func drop(link netlink.Link, h uint32, kind string) error {
	return netlink.QdiscDel(&netlink.GenericQdisc{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: (h & 0xffff) << 16, Parent: h}, QdiscType: kind})
}
