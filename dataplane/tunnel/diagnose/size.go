package diagnose

import (
	"context"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"
)

const (
	leastOuter = 576 // IPv4 demands less, nobody sells less
	sizeTime   = 200 * time.Millisecond
)

// overhead is what WireGuard adds to an inner packet, in bytes.
func (s *Subject) overhead() int {
	if s.Endpoint.Addr().Is6() {
		return 80
	}
	return 60
}

// mtu: packets pass that are as long as the line should carry. Somebody on the way says that they are too long, or, where errors
// are filtered, they vanish: then echoes of several sizes through the tunnel tell which pass.
func (l *look) mtu(ctx context.Context) finding {
	want := l.LineMTU
	if have := l.device.Attrs().MTU; want == 0 {
		want = have
	} else if have < want {
		return found("mtu.port", l.Line, strconv.Itoa(have), strconv.Itoa(want))
	}
	if f, told := l.tooBig(ctx, want); told {
		return f
	}
	passes, seen := l.longest(ctx, want)
	switch {
	case !seen:
		return found("mtu.unseen", strconv.Itoa(want))
	case passes < want-20: // the tunnel's MTU is counted for IPv6 outside, whatever is outside
		return found("mtu.silent", strconv.Itoa(passes), strconv.Itoa(want))
	}
	return found("mtu.passes", strconv.Itoa(want))
}

// tooBig knocks with a packet of the length wanted and hears whether somebody complains, and remembers what the kernel has learned so.
func (l *look) tooBig(ctx context.Context, want int) (finding, bool) {
	e, err := listen(&l.Subject, l.device.Attrs().Index)
	if err != nil {
		return found(codeError, err.Error()), true
	}
	defer e.close()
	if err := l.provoke(e, want); err != nil {
		return found(codeError, err.Error()), true
	}
	t, ok := e.hear(ctx, sizeTime, func(t told) bool { return t.tooBig > 0 && t.tooBig < want })
	if ok {
		return found("mtu.told", strconv.Itoa(t.tooBig), strconv.Itoa(want), t.by.String()), true
	}
	again, err := netlink.RouteGet(l.Endpoint.Addr().AsSlice())
	if err == nil && len(again) > 0 && again[0].MTU > 0 && again[0].MTU < want {
		return found("mtu.told", strconv.Itoa(again[0].MTU), strconv.Itoa(want), "–"), true
	}
	return finding{}, false
}

// longest is the longest outer packet that an echo came back in, at most want; seen is false when not even a short one is answered.
func (l *look) longest(ctx context.Context, want int) (outer int, seen bool) {
	d, err := netlink.LinkByName(l.Device)
	if err != nil || !l.Probe.IsValid() || !l.Source.IsValid() {
		return 0, false
	}
	e, err := l.echoes(ctx)
	if err != nil {
		return 0, false
	}
	defer e.close()
	passes := func(outer int) bool {
		_, ok, _ := e.ask(ctx, outer-l.overhead(), sizeTime)
		return ok
	}
	once := func(outer int) bool { // asked again, since a loss by chance is no finding
		for range 2 {
			if passes(outer) {
				return true
			}
		}
		return false
	}
	if !once(shortest + l.overhead()) {
		return 0, false
	}
	high := min(want, d.Attrs().MTU+l.overhead())
	if once(high) {
		return high, true
	}
	low := min(leastOuter, high)
	for high-low > 4 && ctx.Err() == nil { // WireGuard pads to 16 bytes up to the device's MTU: nearer is not worth a second
		if mid := (low + high) / 2; passes(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return low, true
}
