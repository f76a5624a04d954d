package packet_test

import (
	"encoding/binary"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/model"
)

// Captures that others made, some of them to break parsers, are played into every port and the tunnel: nothing of them may
// cross, since no address of theirs is anybody's here, and the model must say the same of each packet.

const captures = "../../../shared/corpus"

func TestReplayedCapturesCrossNoPort(t *testing.T) {
	var files []string
	for _, pattern := range []string{"pcap/*", "pcapng/*"} {
		found, err := filepath.Glob(filepath.Join(captures, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Skipf("no captures in %s: nothing to replay; the generated packets are compared all the same", captures)
	}
	core, index := world(t)
	w, b := replayer(t, core, index), replayer(t, core, index)
	b.bare = true
	packets, unread := 0, 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		frames, err := capturedFrames(raw)
		if err != nil {
			unread++ // broken on purpose; what could be read of it is played
		}
		for _, f := range frames {
			packets++
			for _, frame := range f.ethernet() {
				for _, port := range ports {
					if err := w.one(port, frame); err != nil {
						t.Fatalf("%s: %v", file, err)
					}
				}
			}
			ip := f.network()
			if len(ip) < 14 || be.Uint16(ip[12:]) == 0x0800 || be.Uint16(ip[12:]) == 0x86dd {
				continue // the kernel runs no program on it, or looks for another header
			}
			if err := b.one("wg0", ip); err != nil {
				t.Fatalf("%s, in the tunnel: %v", file, err)
			}
		}
	}
	for _, r := range []*worker{w, b} {
		if n := r.reached[string(model.Redirect)]; n != 0 {
			t.Errorf("%d packets crossed", n)
		}
		maps.DeleteFunc(r.reached, func(k string, _ int) bool { return strings.HasPrefix(k, "of shape ") })
		t.Logf("tunnel %v: %v", r.bare, r.reached)
	}
	if n := b.reached[string(model.Stack)]; n != 0 {
		t.Errorf("%d packets crossed from the tunnel", n)
	}
	if packets < 1000 {
		t.Errorf("only %d packets in %d files", packets, len(files))
	}
	t.Logf("%d packets of %d files, %d of them broken", packets, len(files), unread)
}

// replayer is a worker over tables of the world.
func replayer(t *testing.T, core *packet.Core, index map[string]int) *worker {
	t.Helper()
	trial, err := core.NewTrial(flowCapacity, flowCapacity)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { trial.Close() })
	staged, err := core.Load(worldTables(rand.New(rand.NewPCG(seed, 3)), "replay"))
	if err != nil {
		t.Fatal(err)
	}
	if err := staged.Swap(); err != nil {
		t.Fatal(err)
	}
	tables, _ := core.Active()
	w := &worker{
		trial: trial, gen: &generator{r: rand.New(rand.NewPCG(seed, 4))}, index: index, magic: core.Magic(), clock: began, m: model.New(&tables).Anchored(worldAnchors()),
		st: &model.State{
			Flows: map[model.FlowKey]*model.Flow{}, Capacity: flowCapacity, Quota: flowCapacity, Pieces: packet.TrialPieces,
			MACs: map[string]packet.MAC{}, Route: route,
		},
		reached: map[string]int{},
	}
	for _, p := range ports {
		w.st.MACs[p] = portMAC(p)
	}
	w.clock += 3 * time.Second
	w.tell()
	return w
}

// captured is one packet of a file with its link type (https://www.tcpdump.org/linktypes.html).
type captured struct {
	link uint32
	data []byte
}

// mostReplayed bytes fit into the kernel's test run.
const mostReplayed = 3000

const (
	linkEthernet = 1
	linkRaw      = 101
	linkIPv4     = 228
	linkIPv6     = 229
	linkOldRaw   = 12
	linkNull     = 0
	linkLoop     = 108
	linkSLL      = 113
)

// network is the packet from its IP header on; nil when there is none.
func (c captured) network() []byte {
	skip := 0
	switch c.link {
	case linkRaw, linkIPv4, linkIPv6, linkOldRaw:
	case linkNull, linkLoop:
		skip = 4
	case linkSLL:
		skip = 16
	case linkEthernet:
		skip = networkAt(c.data)
	default:
		return nil
	}
	if len(c.data) < skip {
		return nil
	}
	return c.data[skip:min(len(c.data), skip+mostReplayed)]
}

// ethernet is the packet as a frame: as it was, and, so that more of it is read than its addresses, once more to the port
// itself with IP in it.
func (c captured) ethernet() (frames [][]byte) {
	pad := func(f []byte) []byte {
		for len(f) < 14 {
			f = append(f, 0)
		}
		return f[:min(len(f), mostReplayed)]
	}
	frames = append(frames, pad(append([]byte{}, c.data...)))
	if ip := c.network(); len(ip) > 0 {
		to, from := portMAC("b0"), hostMAC(3, 11)
		f := append(append([]byte{}, to[:]...), from[:]...)
		kind := uint16(0x0800)
		if ip[0]>>4 == 6 {
			kind = 0x86dd
		}
		frames = append(frames, pad(append(be.AppendUint16(f, kind), ip...)))
	}
	return frames
}

var errBrokenCapture = errors.New("the capture ends in the middle or contradicts itself")

// capturedFrames reads pcap and pcapng as far as they can be read.
func capturedFrames(b []byte) ([]captured, error) {
	if len(b) < 24 {
		return nil, errBrokenCapture
	}
	switch magic := binary.LittleEndian.Uint32(b); magic {
	case 0xa1b2c3d4, 0xa1b23c4d:
		return classicFrames(b, binary.LittleEndian)
	case 0xd4c3b2a1, 0x4d3cb2a1:
		return classicFrames(b, binary.BigEndian)
	case 0x0a0d0d0a:
		return blockFrames(b)
	}
	return nil, errBrokenCapture
}

func classicFrames(b []byte, order binary.ByteOrder) (out []captured, err error) {
	link := order.Uint32(b[20:]) & 0xffff
	for b = b[24:]; len(b) > 0; {
		if len(b) < 16 {
			return out, errBrokenCapture
		}
		n := order.Uint32(b[8:])
		b = b[16:]
		if uint64(n) > uint64(len(b)) {
			return out, errBrokenCapture
		}
		out = append(out, captured{link, b[:n]})
		b = b[n:]
	}
	return out, nil
}

// blockFrames reads pcapng's enhanced, simple and obsolete packet blocks.
func blockFrames(b []byte) (out []captured, err error) {
	var order binary.ByteOrder = binary.LittleEndian
	var links []uint32
	link := func(i uint32) uint32 {
		if i < uint32(len(links)) {
			return links[i]
		}
		return linkEthernet
	}
	for len(b) > 0 {
		if len(b) < 12 {
			return out, errBrokenCapture
		}
		if order.Uint32(b) == 0x0a0d0d0a {
			order = binary.LittleEndian
			if binary.BigEndian.Uint32(b[8:]) == 0x1a2b3c4d {
				order = binary.BigEndian
			}
			links = nil
		}
		kind, size := order.Uint32(b), order.Uint32(b[4:])
		if size < 12 || uint64(size) > uint64(len(b)) {
			return out, errBrokenCapture
		}
		body := b[8 : size-4]
		b = b[size:]
		head, length := 0, uint32(0)
		c := captured{link: link(0)}
		switch {
		case kind == 1 && len(body) >= 8:
			links = append(links, uint32(order.Uint16(body)))
			continue
		case kind == 6 && len(body) >= 20, kind == 2 && len(body) >= 20:
			head, length = 20, order.Uint32(body[12:])
			if kind == 6 {
				c.link = link(order.Uint32(body))
			}
		case kind == 3 && len(body) >= 4:
			head, length = 4, min(order.Uint32(body), uint32(len(body)-4))
		default:
			continue
		}
		if uint64(length) > uint64(len(body)-head) {
			return out, errBrokenCapture
		}
		c.data = body[head : head+int(length)]
		out = append(out, c)
	}
	return out, nil
}
