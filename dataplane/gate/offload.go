package gate

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// offload is one feature of a device, as the commands and flags of linux/ethtool.h name it.
type offload struct {
	name string
	set  uint32 // ETHTOOL_S... with a value; 0: a bit of the flags word
	flag uint32
}

var (
	gro        = offload{name: "gro", set: 0x2c}
	gso        = offload{name: "gso", set: 0x24}
	tso        = offload{name: "tso", set: 0x1f}
	txChecksum = offload{name: "tx checksum", set: 0x17}
	txVLAN     = offload{name: "txvlan", flag: 1 << 7}
)

const (
	getFlags = 0x25
	setFlags = 0x26
)

// setOffload switches features of a device in this thread's namespace. A feature that the device does not have is off.
func setOffload(device string, on bool, features ...offload) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("offloads of %s: %w", device, err)
	}
	defer unix.Close(fd)
	for _, f := range features {
		value := uint32(0)
		if on {
			value = 1
		}
		cmd := f.set
		if cmd == 0 {
			flags, err := ethtool(fd, device, getFlags, 0)
			if err != nil {
				return fmt.Errorf("read offloads of %s: %w", device, err)
			}
			cmd, value = setFlags, flags&^f.flag
			if on {
				value = flags | f.flag
			}
		}
		if _, err := ethtool(fd, device, cmd, value); err != nil && (on || !errors.Is(err, unix.EOPNOTSUPP)) {
			return fmt.Errorf("set %s of %s to %v: %w", f.name, device, on, err)
		}
	}
	return nil
}

func ethtool(fd int, device string, cmd, value uint32) (uint32, error) {
	arg := struct{ cmd, data uint32 }{cmd, value} // struct ethtool_value
	var ifr struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(ifr.name[:unix.IFNAMSIZ-1], device)
	ifr.data = unsafe.Pointer(&arg)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&ifr)))
	if errno != 0 {
		return 0, errno
	}
	return arg.data, nil
}
