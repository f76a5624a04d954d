package packet

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// Staged is a policy that lies in a frozen image beside the current one.
type Staged struct {
	core    *Core
	image   imageMap
	counts  *ebpf.Map
	decoded Tables
}

// Load puts tables into a new image, freezes it and reads it back. The epoch is set by Load: one more than the current.
// The caller proves Decoded and then calls Swap or Discard.
func (c *Core) Load(t Tables) (*Staged, error) {
	t = Ordered(t)
	if err := check(t); err != nil {
		return nil, fmt.Errorf("load revision %q: %w", t.Revision, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.stage(t)
	if err != nil {
		return nil, fmt.Errorf("load revision %q: %w", t.Revision, err)
	}
	return s, nil
}

func (c *Core) stage(t Tables) (*Staged, error) {
	epoch, err := c.inForce()
	if err != nil {
		return nil, err
	}
	if t.Epoch = epoch + 1; t.Epoch == 0 {
		return nil, errors.New("the epochs are used up; remove the pins to begin anew")
	}
	if err := c.checkMappings(); err != nil {
		return nil, err
	}
	s := &Staged{core: c}
	counting := make(chan error, 1)
	go func() { counting <- s.count(t) }() // waits for the programs that are running, beside the work
	if err := errors.Join(s.put(t), <-counting); err != nil {
		s.Discard()
		return nil, err
	}
	return s, nil
}

// count hangs in counters for the rules of t. Those of the epoch before the current one give way. No packet counts there any
// more: the former update of images returned only when every program that was running had ended (maybe_wait_bpf_programs in
// kernel/bpf/syscall.c). When t does not become current, nothing counts in what hangs there now.
func (s *Staged) count(t Tables) (err error) {
	if s.counts, err = newRuleCounts(s.core.spec, t); err != nil {
		return err
	}
	return s.hangCounts(t.Epoch)
}

func (s *Staged) hangCounts(epoch uint32) error {
	if err := s.core.objects.RuleCounts.Put(epoch&1, s.counts); err != nil {
		return fmt.Errorf("hang in the counters of the rules: %w", err)
	}
	s.core.counting = s.counts
	return nil
}

// put makes the frozen image of t, and reads it back.
func (s *Staged) put(t Tables) error {
	c := s.core
	var image []byte
	encoded := make(chan error, 1)
	go func() {
		var err error
		image, err = encodeImage(t, c.devices.number)
		encoded <- err
	}()
	empty, err := newImage(c.spec) // the kernel clears its 32 MiB meanwhile
	if err = errors.Join(err, <-encoded); err != nil {
		empty.Close()
		return err
	}
	if s.image, err = putImage(empty, image); err != nil {
		return err
	}
	s.decoded, err = s.image.decode(c.devices.name)
	return err
}

// Decoded is what the frozen image holds, in canonical order. It is not a copy: to be read only.
func (s *Staged) Decoded() Tables { return s.decoded }

// Discard frees staged tables that are not to become current. Harmless after Swap.
func (s *Staged) Discard() {
	s.image.Close()
	s.counts.Close()
}

// Swap makes the staged tables current by one atomic update. Packets under way finish with the image they began with.
func (s *Staged) Swap() error {
	c := s.core
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := s.swap(); err != nil {
		return fmt.Errorf("swap to revision %q: %w", s.decoded.Revision, err)
	}
	active := s.decoded
	c.active, c.activeHash = &active, ""
	s.Discard()
	return nil
}

func (s *Staged) swap() error {
	c := s.core
	epoch, err := c.inForce()
	if err != nil {
		return err
	}
	if s.decoded.Epoch != epoch+1 {
		return fmt.Errorf("it was staged after epoch %d, but %d is current; load it again", s.decoded.Epoch-1, epoch)
	}
	frozen, err := s.image.frozen()
	if err != nil {
		return err
	}
	if !frozen {
		return errors.New("its image is not frozen: somebody could still change it; load it again")
	}
	if c.counting != s.counts { // others were staged after it, for the same epoch
		if err := s.hangCounts(s.decoded.Epoch); err != nil {
			return err
		}
	}
	c.tidying.Wait() // it would take away what comes now
	// One call for both places, in this order, waits for the programs that are running once.
	slots, fds := []uint32{byEpoch(s.decoded.Epoch), imageNow}, []uint32{uint32(s.image.FD()), uint32(s.image.FD())}
	if n, err := c.objects.Images.BatchUpdate(slots, fds, nil); err != nil {
		return fmt.Errorf("hang in the image: %d of %d places: %w", n, len(slots), err)
	}
	// It is in force. Nobody uses the former one any more, for the same reason; that it does not stay in memory nobody waits for.
	former := byEpoch(epoch)
	c.tidying.Go(func() {
		if err := c.objects.Images.Delete(former); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			c.log.Warn("the former image stays in memory until the next one comes", "error", err)
		}
	})
	return nil
}

// Slots of the map of images.
const imageNow = 0

func byEpoch(epoch uint32) uint32 { return 1 + epoch&1 }

// Identity is the hash and the epoch of the current policy, false before the first Swap.
func (c *Core) Identity() (hash string, epoch uint32, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.active == nil {
		return "", 0, false
	}
	if c.activeHash == "" {
		c.activeHash = Hash(*c.active)
	}
	return c.activeHash, c.active.Epoch, true
}

// Active is the current policy, false before the first Swap. It is not a copy: to be read only.
func (c *Core) Active() (Tables, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.active == nil {
		return Tables{}, false
	}
	return *c.active, true
}

// current opens the image in force; none before the first.
func (c *Core) current() (m imageMap, ok bool, err error) {
	if err := c.objects.Images.Lookup(uint32(imageNow), &m.Map); err != nil {
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return m, false, nil
		}
		return m, false, fmt.Errorf("open the image in force: %w", err)
	}
	return m, true, nil
}

// inForce is the epoch of the image in force, 0 before the first.
func (c *Core) inForce() (epoch uint32, err error) {
	m, ok, err := c.current()
	if err != nil || !ok {
		return 0, err
	}
	defer m.Close()
	head := make([]byte, chunkSize)
	if err := m.Lookup(uint32(0), head); err != nil {
		return 0, fmt.Errorf("read the head of the image in force: %w", err)
	}
	return le.Uint32(head[headEpoch:]), nil
}

// recall decodes the policy that the pinned image holds.
func (c *Core) recall() error {
	m, ok, err := c.current()
	if err != nil || !ok {
		return err
	}
	defer m.Close()
	t, err := m.decode(c.devices.name)
	if err != nil {
		return fmt.Errorf("re-open the image in force: %w", err)
	}
	c.active, c.activeHash = &t, ""
	return nil
}
