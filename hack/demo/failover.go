package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/gopacket/layers"

	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/hack/town"
)

// uplink is one of the town's lines: the switch behind the gate's port, and what may be seen there.
type uplink struct {
	name, device, sw string
	listen           layers.UDPPort // of WireGuard at both ends
	own              netip.Prefix
}

// uplinks are in the order in which the regions use them. Port p0 of a switch is the gate's.
var uplinks = []uplink{
	{"line-a", "wg0", "sw-wan", 51820, netip.MustParsePrefix("192.0.2.0/24")},
	{"line-b", "wg1", "sw-wanb", 51821, netip.MustParsePrefix("198.18.60.0/24")},
}

const (
	failoverReach = time.Second
	askEvery      = 10 * time.Millisecond
	stalled       = 100 * time.Millisecond // a gap between two questions of ours that says that this machine was busy
	cutTries      = 3                      // each makes the gate wait longer before it trusts the line again
)

// failover cuts the first line behind the gate's back: every link stays up, and nothing passes.
func (j *job) failover(ctx context.Context) error {
	stop, err := j.echo("region1-app", 5201)
	if err != nil {
		return err
	}
	defer stop()
	app, err := town.HostNamed("region1-app")
	if err != nil {
		return err
	}
	at := netip.AddrPortFrom(app.Addr4(), 5201)
	c, err := j.dial(ctx, "mn-pc1", netip.Addr{}, at)
	if err != nil {
		return err
	}
	defer c.Close()

	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	var watches []*watch
	for _, u := range uplinks {
		w, err := j.watch(j.name.Netns(u.sw), "p0")
		if err != nil {
			return err
		}
		watches = append(watches, w.start(watching))
	}
	defer j.cut(uplinks[0], false) //nolint:errcheck // a second time, should a step before it end early
	j.check("line-a carries nothing any more, its link stays up", "first answer by line-b within 1 s", func() (string, bool, error) {
		return j.crossing(ctx, at)
	})
	j.check("a connection mn-pc1 -> region1-app of before the cut", "goes on", func() (string, bool, error) {
		begin := time.Now()
		err := survives(c, 30*time.Second)
		return fmt.Sprintf("answered after %.1f s", time.Since(begin).Seconds()), err == nil, err
	})
	j.check("sekisho diagnose, meanwhile", "line-a is broken, line-b is not", func() (string, bool, error) {
		said, err := j.town.Sekisho(ctx, "diagnose", "tokyo", "--name", string(j.name))
		return j.blamed(said, err)
	})
	j.check("line-a is mended", "carries the region again, the connection too", func() (string, bool, error) {
		begin := time.Now()
		if err := j.cut(uplinks[0], false); err != nil {
			return "", false, err
		}
		err := errors.Join(j.carriedBy(ctx, "wg0"), survives(c, 30*time.Second))
		return fmt.Sprintf("after %.0f s", time.Since(begin).Seconds()), err == nil, err
	})
	stopWatching()
	for i, u := range uplinks {
		<-watches[i].done
		j.check("on "+u.name+" all that time", "no packet of a protected prefix in clear", func() (string, bool, error) {
			return onlyOf(u, watches[i].frames, watches[i].err)
		})
	}
	return nil
}

// cut takes the gate's port off the line's switch, or puts it back.
func (j *job) cut(u uplink, cut bool) error {
	to := []string{"master", "br0"}
	if cut {
		to = []string{"nomaster"}
	}
	return town.In(j.name.Netns(u.sw), func() error {
		out, err := exec.Command("ip", append([]string{"link", "set", "p0"}, to...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("port of the gate at %s: %w: %s", u.sw, err, out)
		}
		return nil
	})
}

// carriedBy waits until a region's packets go by a device.
func (j *job) carriedBy(ctx context.Context, device string) error {
	return j.town.Poll(ctx, 2*time.Minute, "tokyo to be carried by "+device, func(ctx context.Context) error {
		s, err := j.status(ctx)
		if err != nil {
			return err
		}
		for _, t := range s.Tunnels {
			if !t.Up {
				return fmt.Errorf("%s is not up on %s: %s", t.Region, t.Device, t.Reason)
			}
		}
		carries := func(t tunnel.Status) bool {
			return t.Region == "tokyo" && t.Device == device && slices.Contains(t.Classes, 0)
		}
		if !slices.ContainsFunc(s.Tunnels, carries) {
			return errors.New("it is not")
		}
		return nil
	})
}

// crossing cuts the line and measures until the first answer by the other. While this machine kept our own questions waiting,
// it says nothing about the gate, and is measured again.
func (j *job) crossing(ctx context.Context, to netip.AddrPort) (seen string, held bool, err error) {
	for try := 1; ; try++ {
		if err := j.carriedBy(ctx, "wg0"); err != nil { // a flood on a busy machine may have moved it
			return seen, false, err
		}
		first, gap, err := j.cross(ctx, to)
		if err != nil {
			return seen, false, err
		}
		seen = fmt.Sprintf("after %.2f s", first.Seconds())
		if first <= failoverReach || try == cutTries || gap < stalled {
			if try > 1 {
				seen += fmt.Sprintf(", in try %d", try)
			}
			return seen, first <= failoverReach, nil
		}
		if err := j.cut(uplinks[0], false); err != nil {
			return seen, false, err
		}
	}
}

// cross: first is how long after the cut a question was answered that was put after it; gap the longest between two questions.
func (j *job) cross(ctx context.Context, to netip.AddrPort) (first, gap time.Duration, err error) {
	var c net.Conn
	if err := town.In(j.name.Netns("mn-pc1"), func() (err error) {
		c, err = net.Dial("udp4", to.String())
		return err
	}); err != nil {
		return 0, 0, err
	}
	defer c.Close()
	if err := j.town.Poll(ctx, 10*time.Second, "an answer before the cut", func(context.Context) error {
		_, err := askOnce(c, 0)
		return err
	}); err != nil {
		return 0, 0, err
	}
	asking, enough := context.WithTimeout(ctx, 20*time.Second)
	defer enough()
	begin := time.Now()
	if err := j.cut(uplinks[0], true); err != nil {
		return 0, 0, err
	}
	from := uint64(time.Since(begin)) // what is asked from here on can go by the other line only
	var questions sync.WaitGroup
	defer questions.Wait()
	defer enough()
	questions.Go(func() {
		var b [8]byte
		for last := time.Since(begin); asking.Err() == nil; {
			now := time.Since(begin)
			gap, last = max(gap, now-last), now
			binary.BigEndian.PutUint64(b[:], max(uint64(now), from))
			c.Write(b[:])               //nolint:errcheck // a refusal is a question without an answer
			_ = sleep(asking, askEvery) // ends the loop
		}
	})
	first, err = firstAnswer(c, begin, from)
	enough()
	questions.Wait()
	return first, gap, err
}

// askOnce puts one question and waits a moment for its answer.
func askOnce(c net.Conn, q uint64) (uint64, error) {
	b := binary.BigEndian.AppendUint64(nil, q)
	if _, err := c.Write(b); err != nil {
		return 0, err
	}
	if err := c.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		return 0, err
	}
	_, err := io.ReadFull(c, b)
	return binary.BigEndian.Uint64(b), err
}

// firstAnswer waits for the first one to a question from a time on, and tells when it came.
func firstAnswer(c net.Conn, begin time.Time, from uint64) (time.Duration, error) {
	if err := c.SetReadDeadline(begin.Add(20 * time.Second)); err != nil {
		return 0, err
	}
	var b [8]byte
	for {
		n, err := c.Read(b[:])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, errors.New("no answer by the other line in 20 s")
		}
		if err == nil && n == len(b) && binary.BigEndian.Uint64(b[:]) >= from {
			return time.Since(begin), nil
		}
	}
}

// survives sends a word over a connection and waits for it to come back.
func survives(c net.Conn, limit time.Duration) error {
	word := []byte("still there")
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	if _, err := c.Write(word); err != nil {
		return err
	}
	_, err := io.ReadFull(c, word)
	return err
}

// echo answers everything with itself at a host's port, TCP and UDP.
func (j *job) echo(host string, port uint16) (stop func(), err error) {
	var l net.Listener
	var u net.PacketConn
	if err := town.In(j.name.Netns(host), func() (err error) {
		if l, err = net.Listen("tcp4", fmt.Sprintf(":%d", port)); err != nil {
			return err
		}
		u, err = net.ListenPacket("udp4", fmt.Sprintf(":%d", port))
		return err
	}); err != nil {
		if l != nil {
			l.Close()
		}
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c) //nolint:errcheck // ends with the connection
			}()
		}
	}()
	go func() {
		b := make([]byte, 2048)
		for {
			n, from, err := u.ReadFrom(b)
			if err != nil {
				return
			}
			u.WriteTo(b[:n], from) //nolint:errcheck // an answer that is lost
		}
	}()
	return func() { l.Close(); u.Close() }, nil
}

// blamed reads a diagnosis: each line's way begins at the margin, a fault on it is marked.
func (j *job) blamed(said string, err error) (string, bool, error) {
	broken := map[string]string{}
	line := ""
	for text := range strings.Lines(said) {
		if !strings.HasPrefix(text, " ") {
			line = ""
			for _, u := range uplinks {
				if strings.Contains(text, u.name) {
					line = u.name
				}
			}
		}
		if fault, is := strings.CutPrefix(strings.TrimSpace(text), "X "); is && broken[line] == "" {
			broken[line] = fault
		}
	}
	if len(broken) == 0 {
		return "no line is named", false, err
	}
	var seen []string
	for _, u := range uplinks {
		if fault, is := broken[u.name]; is {
			seen = append(seen, u.name+": "+fault)
		}
	}
	return strings.Join(seen, "; "), len(broken) == 1 && broken["line-a"] != "", nil // its exit code says that something is broken
}

// onlyOf sorts what the gate put on an uplink: WireGuard and what is the line's own, as ARP and what a diagnosis asks the line's
// machines, or a packet that the tunnel should have hidden.
func onlyOf(u uplink, frames []frame, err error) (string, bool, error) {
	wireguard, own := 0, 0
	var clear []string
	for _, f := range frames {
		p := f.packet()
		udp, _ := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
		ip, _ := p.NetworkLayer().(*layers.IPv4)
		within := ip != nil && u.own.Contains(addrOf(ip.SrcIP)) && u.own.Contains(addrOf(ip.DstIP))
		switch {
		case within && udp != nil && udp.SrcPort == u.listen && udp.DstPort == u.listen:
			wireguard++
		case within && ip.Protocol != layers.IPProtocolIPv4 && ip.Protocol != layers.IPProtocolIPv6, p.Layer(layers.LayerTypeARP) != nil:
			own++
		default:
			clear = append(clear, fmt.Sprint(p.NetworkLayer()))
		}
	}
	seen := fmt.Sprintf("%d WireGuard, %d of the line's own, %d in clear", wireguard, own, len(clear))
	if len(clear) > 0 {
		seen += ": " + clear[0]
	}
	return seen, err == nil && len(clear) == 0 && wireguard > 0, err
}

func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
