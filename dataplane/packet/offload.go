package packet

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Device features that must be off: the classifier sees frames as they were on the wire, one at a time, tag in the frame.
// Names are those of `ethtool -k`'s kernel list (net/ethtool/common.c).
var forbiddenFeatures = []string{"rx-vlan-hw-parse", "rx-vlan-stag-hw-parse", "rx-lro", "rx-gro-hw", "rx-gro"}

// neverTolerated are those that make the classifier blind; the others only cost precision of the shaper.
var neverTolerated = []string{"rx-vlan-hw-parse", "rx-vlan-stag-hw-parse", "rx-lro", "rx-gro-hw"}

// features are what a device does to frames by itself, by the kernel's names.
type features interface {
	active(device string) (map[string]bool, error) // nil: the device knows none
	off(device string, names []string) error       // a driver may keep some on all the same
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

// ethtool does one SIOCETHTOOL with the command buffer.
func ethtool(fd int, device string, command []byte) error {
	var request struct {
		name [unix.IFNAMSIZ]byte
		data uintptr
		_    [16]byte
	}
	copy(request.name[:unix.IFNAMSIZ-1], device)
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&command[0])
	request.data = uintptr(unsafe.Pointer(&command[0]))
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return errno
	}
	return nil
}

// plainFrames turns off what changes frames before the classifier sees them, and refuses a port where it stays on.
func plainFrames(f features, device string) error {
	now, err := f.active(device)
	if err != nil {
		return fmt.Errorf("read the offloads of %s: %w", device, err)
	}
	unwanted := func(list []string) (on []string) {
		for _, name := range list {
			if now[name] {
				on = append(on, name)
			}
		}
		return on
	}
	todo := unwanted(forbiddenFeatures)
	if len(todo) == 0 {
		return nil
	}
	if err := f.off(device, todo); err != nil {
		return fmt.Errorf("turn off offloads of %s: %w", device, err)
	}
	if now, err = f.active(device); err != nil {
		return fmt.Errorf("read the offloads of %s: %w", device, err)
	}
	if on := unwanted(neverTolerated); len(on) > 0 {
		return fmt.Errorf("port %s: %s stays on; its frames cannot be judged as they were on the wire", device, strings.Join(on, ", "))
	}
	return nil
}

// kernelFeatures asks the kernel, in the thread's namespace.
type kernelFeatures struct{}

func (kernelFeatures) active(device string) (map[string]bool, error) {
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
	if err := ethtool(fd, device, get); err != nil {
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

func (kernelFeatures) off(device string, names []string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	numbers, err := featureNumbers(fd, device)
	if err != nil {
		return err
	}
	blocks := featureBlocks(numbers)
	set := make([]byte, 8+blocks*setFeatureBlock)
	le.PutUint32(set[0:], ethtoolSFeatures)
	le.PutUint32(set[4:], uint32(blocks))
	for _, name := range names {
		n, ok := numbers[name]
		if !ok {
			return fmt.Errorf("no feature %s", name)
		}
		at := 8 + n/featuresBlockBits*setFeatureBlock
		le.PutUint32(set[at:], le.Uint32(set[at:])|1<<(n%featuresBlockBits))
	}
	return ethtool(fd, device, set)
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
	if err := ethtool(fd, device, info); err != nil {
		return nil, err
	}
	n := int(le.Uint32(info[16:]))
	list := make([]byte, 12+n*ethGStringLen)
	le.PutUint32(list[0:], ethtoolGStrings)
	le.PutUint32(list[4:], ethSSFeatures)
	le.PutUint32(list[8:], uint32(n))
	if err := ethtool(fd, device, list); err != nil {
		return nil, err
	}
	names := map[string]int{}
	for i := range n {
		name, _, _ := bytes.Cut(list[12+i*ethGStringLen:12+(i+1)*ethGStringLen], []byte{0})
		names[string(name)] = i
	}
	return names, nil
}
