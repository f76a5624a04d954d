// Package ethtool reads and switches what a network device does to frames by itself.
//
// Problem: offloads hide from a program what was on the wire, and drivers turn them on again. Mechanism: the feature commands
// of SIOCETHTOOL (linux/ethtool.h), by the kernel's own names (`ethtool -k`'s come from net/ethtool/common.c). Life cycle: each
// call opens and closes a socket of its own, in the network namespace of the calling thread. Invariant: success of a call does not mean
// that a driver obeyed; who must know reads again.
package ethtool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Names of features.
const (
	RxVLAN      = "rx-vlan-hw-parse"
	RxVLANStag  = "rx-vlan-stag-hw-parse"
	RxLRO       = "rx-lro"
	RxGROHW     = "rx-gro-hw"
	RxGRO       = "rx-gro"
	TxVLAN      = "tx-vlan-hw-insert"
	TxVLANStag  = "tx-vlan-stag-hw-insert"
	TxChecksum  = "tx-checksum-ip-generic"
	TxSCTP      = "tx-checksum-sctp"
	TxGSO       = "tx-generic-segmentation"
	TxTCP       = "tx-tcp-segmentation"
	TxTCPECN    = "tx-tcp-ecn-segmentation"
	TxTCPMangle = "tx-tcp-mangleid-segmentation"
	TxTCP6      = "tx-tcp6-segmentation"
)

var le = binary.LittleEndian // amd64 and arm64: the kernel's own order

// Active gives the features that are on; none for a device that knows no features.
func Active(device string) (map[string]bool, error) {
	on, err := active(device)
	if err != nil {
		return nil, fmt.Errorf("read the features of %s: %w", device, err)
	}
	return on, nil
}

// Set switches features on or off. A feature that this kernel does not know counts as off.
func Set(device string, on bool, names ...string) error {
	if err := set(device, on, names); err != nil {
		return fmt.Errorf("switch %s of %s to %v: %w", strings.Join(names, ", "), device, on, err)
	}
	return nil
}

func active(device string) (map[string]bool, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	numbers, err := featureNumbers(fd, device)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	blocks := featureBlocks(numbers)
	get := make([]byte, 8+blocks*featureBlock)
	le.PutUint32(get[0:], ethtoolGFeatures)
	le.PutUint32(get[4:], uint32(blocks))
	if err := command(fd, device, get); err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for name, n := range numbers {
		if le.Uint32(get[8+n/featuresBlockBits*featureBlock+8:])>>(n%featuresBlockBits)&1 != 0 {
			out[name] = true
		}
	}
	return out, nil
}

func set(device string, on bool, names []string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	numbers, err := featureNumbers(fd, device)
	if errors.Is(err, unix.EOPNOTSUPP) && !on {
		return nil
	}
	if err != nil {
		return err
	}
	blocks := featureBlocks(numbers)
	request := make([]byte, 8+blocks*setFeatureBlock)
	le.PutUint32(request[0:], ethtoolSFeatures)
	le.PutUint32(request[4:], uint32(blocks))
	for _, name := range names {
		n, ok := numbers[name]
		if !ok && on {
			return fmt.Errorf("this kernel has no feature %s", name)
		}
		if !ok {
			continue
		}
		at, bit := 8+n/featuresBlockBits*setFeatureBlock, uint32(1)<<(n%featuresBlockBits)
		le.PutUint32(request[at:], le.Uint32(request[at:])|bit)
		if on {
			le.PutUint32(request[at+4:], le.Uint32(request[at+4:])|bit)
		}
	}
	return command(fd, device, request)
}

const (
	ethtoolGSSetInfo  = 0x37
	ethtoolGStrings   = 0x1b
	ethtoolGFeatures  = 0x3a
	ethtoolSFeatures  = 0x3b
	ethSSFeatures     = 4
	ethGStringLen     = 32
	featureBlock      = 16 // struct ethtool_get_features_block: available, requested, active, never_changed
	setFeatureBlock   = 8  // struct ethtool_set_features_block: valid, requested
	featuresBlockBits = 32
)

// command does one SIOCETHTOOL with the command buffer.
func command(fd int, device string, buffer []byte) error {
	var request struct {
		name [unix.IFNAMSIZ]byte
		data uintptr
		_    [16]byte
	}
	copy(request.name[:unix.IFNAMSIZ-1], device)
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&buffer[0])
	request.data = uintptr(unsafe.Pointer(&buffer[0]))
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return errno
	}
	return nil
}

func featureBlocks(numbers map[string]int) int {
	last := 0
	for _, n := range numbers {
		last = max(last, n)
	}
	return last/featuresBlockBits + 1
}

// featureNumbers gives the bit of every feature by its name.
func featureNumbers(fd int, device string) (map[string]int, error) {
	info := make([]byte, 20) // cmd, reserved, sset_mask (64 bit), data[1]
	le.PutUint32(info[0:], ethtoolGSSetInfo)
	le.PutUint64(info[8:], 1<<ethSSFeatures)
	if err := command(fd, device, info); err != nil {
		return nil, err
	}
	n := int(le.Uint32(info[16:]))
	list := make([]byte, 12+n*ethGStringLen)
	le.PutUint32(list[0:], ethtoolGStrings)
	le.PutUint32(list[4:], ethSSFeatures)
	le.PutUint32(list[8:], uint32(n))
	if err := command(fd, device, list); err != nil {
		return nil, err
	}
	names := map[string]int{}
	for i := range n {
		name, _, _ := bytes.Cut(list[12+i*ethGStringLen:12+(i+1)*ethGStringLen], []byte{0})
		names[string(name)] = i
	}
	return names, nil
}
