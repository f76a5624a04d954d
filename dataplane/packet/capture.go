package packet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/sekisho/sekisho/dataplane/packet/pcapng"
)

// CaptureFilter says which packets are wanted; what is empty wants all, and everything given must agree.
type CaptureFilter struct {
	Verdict string `json:"verdict,omitempty"` // allowed or dropped
	Segment string `json:"segment,omitempty"` // name; the packet comes from it or goes to it
	Record  string `json:"record,omitempty"`  // the rule that permits it is one of this record
	Reason  string `json:"reason,omitempty"`  // of the drop
	Hook    string `json:"hook,omitempty"`    // where; "": drops everywhere, allowed packets where they come in
}

// CaptureOptions are the filter and the bounds of a capture; each bound must be given.
type CaptureOptions struct {
	Filter  CaptureFilter
	Snap    int           // bytes kept of a packet, 14 to MaxSnap
	Packets uint64        // most packets
	Bytes   int64         // most bytes of the file
	Time    time.Duration // longest
}

// Bounds of captures.
const (
	MaxSnap         = 2048
	maxCaptures     = 4                      // at once
	captureLook     = 200 * time.Millisecond // how long bounds go unseen
	captureHead     = 40                     // CAPTURED_HEAD
	captureRing     = 4 << 20
	captureMaxRules = 1 << 16
)

// Why a capture ended.
const (
	EndPackets = "packets" // as many as were asked for
	EndBytes   = "bytes"   // the next one would not have fitted
	EndTime    = "time"
	EndStopped = "stopped" // the caller hung up
	EndPolicy  = "policy"  // other tables came: the record that was asked for has other rules now
)

// CaptureResult is what a capture came to.
type CaptureResult struct {
	Packets uint64 `json:"packets"` // in the file
	Bytes   int64  `json:"bytes"`   // of the file
	Lost    uint64 `json:"lost"`    // that the filter wanted and the kernel had no room for
	End     string `json:"end"`
}

// captures are the slots that are taken.
type captures struct {
	mu    sync.Mutex
	taken uint32 // bits
}

// captureFilter is CaptureFilter in the program's terms.
type captureFilter struct {
	allowed, dropped uint32 // bits by hook
	reason, segment  uint32
	rules            []uint32 // nil: any
	epoch            uint32   // of the rules
	text             string
}

func (c *Core) captureFilter(f CaptureFilter) (out captureFilter, err error) {
	active, loaded := c.Active()
	if (f.Segment != "" || f.Record != "") && !loaded {
		return out, errors.New("no policy is loaded: segments and records have no numbers yet")
	}
	all := uint32(1)<<len(hooks) - 2
	out.allowed, out.dropped = 1<<slices.Index(hooks[:], "xdp")|1<<slices.Index(hooks[:], "tunnel-in"), all
	if f.Hook != "" {
		n := slices.Index(hooks[1:], f.Hook) + 1
		if n == 0 {
			return out, fmt.Errorf("hook %q: want one of %s", f.Hook, strings.Join(hooks[1:], ", "))
		}
		out.allowed, out.dropped = 1<<n, 1<<n
	}
	switch f.Verdict {
	case "":
	case "allowed":
		out.dropped = 0
	case "dropped":
		out.allowed = 0
	default:
		return out, fmt.Errorf("verdict %q: want allowed or dropped", f.Verdict)
	}
	if f.Reason != "" {
		n := slices.Index(reasons[1:], f.Reason) + 1
		if n == 0 {
			return out, fmt.Errorf("reason %q: no packet is refused for that; `sekisho top --once` lists the reasons that occurred", f.Reason)
		}
		if f.Verdict == "allowed" {
			return out, fmt.Errorf("reason %s and verdict allowed: no packet is both", f.Reason)
		}
		out.reason, out.allowed = uint32(n), 0
	}
	if f.Segment != "" {
		i := slices.IndexFunc(active.Segments, func(s Segment) bool { return s.Name == f.Segment })
		if i < 0 {
			return out, fmt.Errorf("segment %q: the policy in force has no such segment", f.Segment)
		}
		out.segment = uint32(active.Segments[i].ID)
	}
	if f.Record != "" {
		out.epoch = active.Epoch
		for _, r := range active.Rules {
			if slices.Contains(r.Records, f.Record) {
				out.rules = append(out.rules, r.ID)
			}
		}
		if len(out.rules) == 0 {
			return out, fmt.Errorf("record %q: the policy in force has no such record, or it permits nothing now", f.Record)
		}
		if len(out.rules) > captureMaxRules {
			return out, fmt.Errorf("record %q: %d rules, more than a capture can hold (%d)", f.Record, len(out.rules), captureMaxRules)
		}
	}
	for _, part := range []struct{ name, value string }{{"verdict", f.Verdict}, {"segment", f.Segment}, {"record", f.Record}, {"reason", f.Reason}, {"hook", f.Hook}} {
		if part.value != "" {
			out.text += part.name + " " + part.value + ", "
		}
	}
	out.text = strings.TrimSuffix(out.text, ", ")
	if out.text == "" {
		out.text = "everything"
	}
	return out, nil
}

func (o CaptureOptions) check() error {
	switch {
	case o.Snap < 14 || o.Snap > MaxSnap:
		return fmt.Errorf("%d bytes of a packet: want 14 to %d", o.Snap, MaxSnap)
	case o.Packets == 0 || o.Bytes <= 0 || o.Time <= 0:
		return errors.New("a capture needs a bound of packets, of bytes and of time")
	}
	return nil
}

// Capture writes packets with their fate to w as pcapng, until a bound is reached or ctx ends. The caller may
// hang up at any time: should the whole process die, the programs stop looking when o.Time is over. w may have a method Flush() error, which is called when
// nothing more waits.
func (c *Core) Capture(ctx context.Context, w io.Writer, o CaptureOptions) (CaptureResult, error) {
	result, err := c.capture(ctx, w, o)
	if err != nil {
		return result, fmt.Errorf("capture: %w", err)
	}
	return result, nil
}

// CheckCapture tells what is wrong with o, before anything is written.
func (c *Core) CheckCapture(o CaptureOptions) error {
	_, err := c.captureFilter(o.Filter)
	return errors.Join(o.check(), err)
}

func (c *Core) capture(ctx context.Context, w io.Writer, o CaptureOptions) (result CaptureResult, err error) {
	if err := o.check(); err != nil {
		return result, err
	}
	filter, err := c.captureFilter(o.Filter)
	if err != nil {
		return result, err
	}
	until := time.Now().Add(o.Time)
	file, err := c.newCaptureFile(w, o, filter.text)
	if err != nil {
		return result, err
	}
	s, err := c.takeSlot(filter, o.Snap, until)
	if err != nil {
		return result, err
	}
	stop := context.AfterFunc(ctx, func() { s.reader.SetDeadline(time.Unix(1, 0)) })
	result.End, err = c.pump(ctx, s.reader, file, o, filter, until)
	stop()
	result.Packets, result.Bytes = file.packets, file.out.Size()
	lost, lostErr := s.lost()
	result.Lost = lost
	return result, errors.Join(err, lostErr, s.release(), flush(w))
}

func flush(w io.Writer) error {
	if f, ok := w.(interface{ Flush() error }); ok {
		return f.Flush()
	}
	return nil
}

// pump writes what comes until a bound is reached, and tells which.
func (c *Core) pump(ctx context.Context, in *ringbuf.Reader, file *captureFile, o CaptureOptions, filter captureFilter, until time.Time) (string, error) {
	var record ringbuf.Record
	if err := flush(file.w); err != nil {
		return "", fmt.Errorf("write what was captured: %w", err)
	}
	for {
		now := time.Now()
		switch {
		case ctx.Err() != nil:
			return EndStopped, nil
		case !now.Before(until):
			return EndTime, nil
		case filter.rules != nil && c.epoch() != filter.epoch:
			return EndPolicy, nil
		}
		wait := now.Add(captureLook)
		if wait.After(until) {
			wait = until
		}
		in.SetDeadline(wait)
		if err := in.ReadInto(&record); errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		} else if err != nil {
			return "", fmt.Errorf("read what was captured: %w", err)
		}
		err := file.add(record.RawSample)
		if errors.Is(err, pcapng.ErrFull) {
			return EndBytes, nil
		}
		if err == nil && record.Remaining == 0 {
			err = flush(file.w)
		}
		if err != nil {
			return "", fmt.Errorf("write what was captured: %w", err)
		}
		if file.packets >= o.Packets {
			return EndPackets, nil
		}
	}
}

// slot is the place of one capture in the programs.
type slot struct {
	c      *Core
	number uint32
	ring   *ebpf.Map
	reader *ringbuf.Reader
	epoch  uint32 // of the rules
	rules  []uint32
}

// takeSlot makes a free slot look for what the filter wants.
func (c *Core) takeSlot(f captureFilter, snap int, until time.Time) (s *slot, err error) {
	c.captures.mu.Lock()
	defer c.captures.mu.Unlock()
	s = &slot{c: c, epoch: f.epoch, rules: f.rules}
	for c.captures.taken>>s.number&1 == 1 {
		s.number++
	}
	if s.number >= maxCaptures {
		return nil, fmt.Errorf("%d captures run already; end one of them", maxCaptures)
	}
	defer func() {
		if err != nil {
			s.clear()
		}
	}()
	inner := c.spec.Maps[programsMapCaptureRings].InnerMap.Copy()
	inner.Name, inner.MaxEntries = "captured", captureRing
	if s.ring, err = ebpf.NewMap(inner); err != nil {
		return nil, fmt.Errorf("make the ring: %w", err)
	}
	if s.reader, err = ringbuf.NewReader(s.ring); err != nil {
		return nil, fmt.Errorf("read the ring: %w", err)
	}
	if err := c.objects.CaptureRings.Put(s.number, s.ring); err != nil {
		return nil, fmt.Errorf("hang the ring in: %w", err)
	}
	for _, r := range f.rules {
		if err := c.objects.CaptureRules.Put(programsCaptureRule{Slot: s.number, Epoch: f.epoch, Rule: r}, uint8(1)); err != nil {
			return nil, fmt.Errorf("set the rules of the record: %w", err)
		}
	}
	filter := programsCaptureFilter{
		Until:   uint64(monotonic() + int64(time.Until(until))),
		Allowed: f.allowed, Dropped: f.dropped, Reason: f.reason, Segment: f.segment, Snap: uint32(snap),
	}
	if f.rules != nil {
		filter.Rules = 1
	}
	if err := c.objects.CaptureFilters.Put(s.number, filter); err != nil {
		return nil, fmt.Errorf("set the filter: %w", err)
	}
	if err := c.objects.CapturesLost.Put(s.number, make([]uint64, ebpf.MustPossibleCPU())); err != nil {
		return nil, fmt.Errorf("begin to count what is lost: %w", err)
	}
	c.captures.taken |= 1 << s.number
	if err := c.objects.Watching.Set(c.captures.taken); err != nil {
		return nil, fmt.Errorf("begin to look: %w", err)
	}
	return s, nil
}

// lost is how many packets found no room.
func (s *slot) lost() (n uint64, err error) {
	var perCPU []uint64
	err = s.c.objects.CapturesLost.Lookup(s.number, &perCPU)
	for _, v := range perCPU {
		n += v
	}
	return n, err
}

// release ends looking and frees the slot.
func (s *slot) release() error {
	s.c.captures.mu.Lock()
	defer s.c.captures.mu.Unlock()
	return s.clear()
}

func (s *slot) clear() error {
	c := s.c
	c.captures.taken &^= 1 << s.number
	errs := []error{c.objects.Watching.Set(c.captures.taken)}
	for _, r := range s.rules {
		err := c.objects.CaptureRules.Delete(programsCaptureRule{Slot: s.number, Epoch: s.epoch, Rule: r})
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, err)
		}
	}
	if err := c.objects.CaptureRings.Delete(s.number); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		errs = append(errs, err)
	}
	if s.reader != nil {
		errs = append(errs, s.reader.Close())
	}
	if s.ring != nil {
		errs = append(errs, s.ring.Close())
	}
	return errors.Join(errs...)
}

// captureFile writes what the programs sent.
type captureFile struct {
	c       *Core
	w       io.Writer
	out     *pcapng.Writer
	snap    int
	ids     map[string]int // interface by device
	packets uint64
	start   time.Time // and the same moment on the programs' clock
	clock   int64
}

func (c *Core) newCaptureFile(w io.Writer, o CaptureOptions, filter string) (f *captureFile, err error) {
	f = &captureFile{c: c, w: w, snap: o.Snap, ids: map[string]int{}, start: time.Now(), clock: monotonic()}
	for _, s := range c.Status() {
		if s.Index == 0 {
			continue
		}
		if f.out == nil {
			f.out, err = pcapng.New(w, o.Bytes, "gate "+c.anchors.Name+", filter: "+filter, f.device(s))
			f.ids[s.Name] = 0
		} else {
			f.ids[s.Name], err = f.out.Interface(f.device(s))
		}
		if errors.Is(err, pcapng.ErrFull) {
			return nil, fmt.Errorf("%d bytes are not even enough for the names of the devices", o.Bytes)
		}
		if err != nil {
			return nil, fmt.Errorf("begin the file: %w", err)
		}
	}
	if f.out == nil {
		return nil, errors.New("no device of the anchors exists here")
	}
	return f, nil
}

func (f *captureFile) device(s PortStatus) pcapng.Interface {
	i := pcapng.Interface{Name: s.Name, Link: pcapng.Ethernet, Snap: f.snap}
	if s.Tunnel {
		i.Link = pcapng.IP
	}
	for _, segment := range f.c.anchors.Segments {
		if slices.Contains(f.c.anchors.Bundle(segment.Port), s.Name) {
			i.Description = segment.Zone.String()
			break
		}
	}
	return i
}

// interfaceOf gives the number of a device, which may be new since the capture began.
func (f *captureFile) interfaceOf(ifindex int) (int, error) {
	s := PortStatus{Name: f.c.deviceAt(ifindex)}
	if id, ok := f.ids[s.Name]; ok {
		return id, nil
	}
	for _, known := range f.c.Status() {
		if known.Name == s.Name {
			s = known
		}
	}
	id, err := f.out.Interface(f.device(s))
	if err == nil {
		f.ids[s.Name] = id
	}
	return id, err
}

// add writes one packet as it lies in the ring: struct captured of bpf/capture.h.
func (f *captureFile) add(b []byte) error {
	if len(b) < captureHead || len(b)-captureHead < int(min(le.Uint32(b[24:]), uint32(f.snap))) {
		return fmt.Errorf("%d bytes are no captured packet", len(b))
	}
	rule, epoch, from, to := le.Uint32(b[8:]), le.Uint32(b[12:]), le.Uint16(b[28:]), le.Uint16(b[30:])
	id, err := f.interfaceOf(int(le.Uint32(b[16:])))
	if err != nil {
		return err
	}
	hook := hookName(b[37])
	k := pcapng.Packet{
		Interface: id, Time: f.start.Add(time.Duration(int64(le.Uint64(b)) - f.clock)), Length: int(le.Uint32(b[20:])),
		Data:     b[captureHead : captureHead+min(le.Uint32(b[24:]), uint32(f.snap))],
		Outbound: hook == "devmap" || hook == "port-out" || hook == "tunnel-out",
	}
	k.Comment = f.c.fate(b[36], rule, from, to, epoch, hook)
	if tci, proto := le.Uint16(b[32:]), b[34:36]; (tci != 0 || proto[0]|proto[1] != 0) && len(k.Data) >= 12 {
		k.Data = slices.Concat(k.Data[:12], proto, []byte{byte(tci >> 8), byte(tci)}, k.Data[12:])
		k.Length += 4
		k.Data = k.Data[:min(len(k.Data), f.snap)]
	}
	if err := f.out.Packet(k); err != nil {
		return err
	}
	f.packets++
	return nil
}

// fate says in words what became of a packet.
func (c *Core) fate(reason uint8, rule uint32, from, to uint16, epoch uint32, hook string) string {
	text := "allowed"
	if reason != 0 {
		text = "dropped: " + reasonName(uint32(reason))
	}
	text += ", at " + hook
	if from != 0 && to != 0 {
		text += ", " + c.segmentName(epoch, from) + " -> " + c.segmentName(epoch, to)
	} else if from|to != 0 {
		text += ", segment " + c.segmentName(epoch, from|to)
	}
	if rule != 0 {
		if records := c.recordsOf(epoch, rule); records != nil {
			text += ", record " + strings.Join(records, " ")
		} else {
			text += fmt.Sprintf(", rule %d of epoch %d", rule, epoch)
		}
	}
	return text
}
