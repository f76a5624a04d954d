package tunnel

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun"
)

// batched is a TUN without super-packets that hands over all packets that wait, instead of one at a time: the engine then
// wakes its encrypting and sending parts once for all of them, and sends them with one call. Nobody waits for a batch to fill.
type batched struct {
	tun.Device
	raw syscall.RawConn
}

// readAtOnce is how many packets Read takes at most: what is taken waits in no class any more.
const readAtOnce = 32

// newBatched takes the descriptor of an attached TUN.
func newBatched(fd int) (tun.Device, string, error) {
	d, name, err := tun.CreateUnmonitoredTUNFromFD(fd)
	if err != nil {
		return nil, "", fmt.Errorf("TUN (descriptor %d): %w", fd, err)
	}
	raw, err := d.File().SyscallConn()
	if err != nil {
		d.Close()
		return nil, "", fmt.Errorf("TUN %s: %w", name, err)
	}
	return &batched{Device: d, raw: raw}, name, nil
}

// Read waits for a packet and takes those that wait behind it, too.
func (b *batched) Read(bufs [][]byte, sizes []int, offset int) (n int, err error) {
	var inner error
	err = b.raw.Read(func(fd uintptr) bool {
		for n < min(len(bufs), readAtOnce) && inner == nil {
			k, err := unix.Read(int(fd), bufs[n][offset:])
			switch {
			case errors.Is(err, unix.EINTR):
			case errors.Is(err, unix.EAGAIN):
				return n > 0
			case err != nil:
				inner = err
			default:
				sizes[n] = k
				n++
			}
		}
		return true
	})
	if n > 0 {
		return n, nil // what else there is to say, the next call says
	}
	if err != nil || errors.Is(inner, unix.EBADFD) {
		return 0, os.ErrClosed // this is the end, or the device is gone
	}
	return 0, inner
}
