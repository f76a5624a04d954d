package bandwidth

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The size table says how long a packet will be on the line: WireGuard pads what it encrypts to a multiple of 16 bytes, but
// never beyond the tunnel's MTU, and adds a header; the outer headers follow. A packet of several segments, which a kernel may
// hand over as one, counts as all of them. With the table, what the tree sends and what its counters say are bytes on the line.
const (
	padTo    = 16      // bytes
	cellLog  = 4       // one entry for each padded length
	sizeLog  = 2       // entries are in units of 4 bytes, so that 64 KiB of segments fit 16 bits
	longest  = 1 << 16 // bytes of a packet of several segments
	segments = 52      // bytes of headers that each segment repeats: IPv4 and TCP with timestamps
)

// outer is how many bytes a packet of length n takes on the line.
func outer(n, mtu, overhead int) int {
	if n <= mtu {
		return min((n+padTo-1)/padTo*padTo, mtu) + overhead
	}
	total := 0
	for payload := n - segments; payload > 0; payload -= mtu - segments {
		total += outer(min(payload+segments, mtu), mtu, overhead)
	}
	return total
}

func sizeTable(mtu, overhead int) []uint16 {
	table := make([]uint16, longest>>cellLog+1)
	for i := range table {
		n := i << cellLog // the longest packet of this entry
		if n > mtu {
			n = max(n-padTo+1, mtu) // the shortest: beyond a full segment nothing is padded up
		}
		table[i] = uint16((outer(n, mtu, overhead) + 1<<sizeLog - 1) >> sizeLog)
	}
	return table
}

// sizeSpec is the kernel's struct tc_sizespec (linux/pkt_sched.h).
type sizeSpec struct {
	CellLog, SizeLog       uint8
	CellAlign              int16
	Overhead               int32
	Linklayer, MPU, MTU, N uint32
}

// Attributes inside TCA_STAB (linux/pkt_sched.h).
const (
	stabBase = 1
	stabData = 2
)

// measure hangs the size table on the root, or changes it there. Nothing that waits is touched.
func measure(link netlink.Link, overhead int) error {
	mtu := link.Attrs().MTU
	if mtu <= segments {
		return fmt.Errorf("MTU %d: too small for a tunnel", mtu)
	}
	table := sizeTable(mtu, overhead)
	var base, data bytes.Buffer
	spec := sizeSpec{CellLog: cellLog, SizeLog: sizeLog, CellAlign: padTo - 1, Linklayer: nl.LINKLAYER_ETHERNET, MTU: uint32(mtu), N: uint32(len(table))} // the kernel only remembers the MTU
	if err := binary.Write(&base, binary.NativeEndian, spec); err != nil {
		return fmt.Errorf("size table: %w", err)
	}
	if err := binary.Write(&data, binary.NativeEndian, table); err != nil {
		return fmt.Errorf("size table: %w", err)
	}
	req := nl.NewNetlinkRequest(unix.RTM_NEWQDISC, unix.NLM_F_ACK)
	req.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(link.Attrs().Index), Handle: handle(0), Parent: netlink.HANDLE_ROOT})
	req.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("htb")))
	stab := nl.NewRtAttr(nl.TCA_STAB, nil)
	stab.AddRtAttr(stabBase, base.Bytes())
	stab.AddRtAttr(stabData, data.Bytes())
	req.AddData(stab)
	if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
		return fmt.Errorf("size table: %w", err)
	}
	return nil
}
