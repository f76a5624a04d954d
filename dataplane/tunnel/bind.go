package tunnel

import (
	"errors"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
)

// apart is a Bind in which one packet that is too long for the line is lost alone. The library's own gives up at the first message
// of a batch that the kernel refuses, with all that are behind it. What was sent before is sent twice then; the receiver's
// replay window drops it.
type apart struct{ conn.Bind }

func (b apart) Send(bufs [][]byte, to conn.Endpoint) error {
	err := b.Bind.Send(bufs, to)
	if len(bufs) == 1 || !errors.Is(err, unix.EMSGSIZE) && !errors.Is(err, unix.EINVAL) {
		return err
	}
	sent := false
	for i := range bufs {
		if one := b.Bind.Send(bufs[i:i+1], to); one == nil {
			sent = true
		}
	}
	if sent {
		return nil
	}
	return err
}

// newBind is where engines send and receive.
func newBind() conn.Bind { return apart{conn.NewDefaultBind()} }
