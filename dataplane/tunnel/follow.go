package tunnel

import (
	"net/netip"
	"slices"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/sekisho/sekisho/dataplane/tunnel/talk"
	"github.com/sekisho/sekisho/dataplane/tunnel/ways"
)

// follow makes ways, askers and masks fit specs.
func (s *Set) follow(specs []Spec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.askers
	s.order, s.askers = nil, nil
	var ends []ways.End
	for _, spec := range specs {
		s.order = append(s.order, spec.Device)
		for _, p := range spec.Peers {
			a := s.asker(spec, p, old)
			if a != nil {
				s.askers = append(s.askers, a)
			}
			ends = append(ends, ways.End{ID: p.ID, Region: p.region(), Device: spec.Device, TakesOver: p.TakesOver, Probed: a != nil})
		}
	}
	for _, a := range old {
		if !slices.Contains(s.askers, a) {
			a.close()
		}
	}
	now := time.Now()
	s.machine.Configure(ends, s.order, s.prefer, now)
	s.machine.Step(now)
	s.instruct()
}

// asker is that of a peer: the one that was, if it would be the same. nil: the peer is asked nothing.
func (s *Set) asker(spec Spec, p Peer, old []*asker) *asker {
	source := spec.source(p)
	if !p.Probe.IsValid() || !source.IsValid() {
		return nil
	}
	var secret talk.Secret
	if !p.Plain {
		k, err := wgtypes.ParseKey(p.PublicKey)
		if err == nil {
			secret, err = talk.Key(s.tunnels[spec.Device].key, k)
		}
		if err != nil {
			p.Plain = true // no key to talk with: it will not do as a peer either
		}
	}
	for _, a := range old {
		if a.same(spec.Device, p, source, secret) {
			return a
		}
	}
	return &asker{device: spec.Device, peer: p, source: source, secret: secret, run: s.run, heard: s.hear, psk: s.inForce, fd: -1,
		results: map[uint8]*ring{}, sizes: map[uint64]chan struct{}{}}
}

// hear takes an answer.
func (s *Set) hear(peer string, trip time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.machine.Heard(peer, trip)
}

// instruct tells the askers what follows from ways, plans and classes. With mu held.
func (s *Set) instruct() {
	w := s.machine.Ways()
	for _, a := range s.askers {
		region := a.peer.region()
		var use uint64
		if w.Holders[ways.Place{Device: a.device, Region: region}] == a.peer.ID {
			use = mask(w, region, a.device)
		}
		plan := s.plans[region]
		a.mu.Lock()
		a.use, a.classes, a.offer = use, s.classes[a.device], s.keys[a.peer.ID].offer()
		switch {
		case plan == nil:
			a.plan = nil
		case a.plan == nil || a.plan.hash != plan.hash:
			a.plan = newDispatch(plan.hash, plan.text)
		}
		a.mu.Unlock()
	}
}

// mask is the classes of the region that go by the device, bit 0 for what has no class.
func mask(w ways.Ways, region, device string) (m uint64) {
	main := w.Devices[ways.Stream{Region: region}]
	for class := range uint8(64) {
		d, ok := w.Devices[ways.Stream{Region: region, Class: class}]
		if !ok {
			d = main
		}
		if d == device {
			m |= 1 << class
		}
	}
	return m
}

// setup is what the engine of a device shall do: each peer carries the prefixes of the regions that it holds, and its own probe
// address, which stays with it whatever moves. With mu held.
func (s *Set) setup(r *running) setup {
	w := s.machine.Ways()
	c := setup{spec: r.spec, key: r.key, psk: map[string]wgtypes.Key{}}
	c.spec.Peers = nil
	prefixes := s.prefixes()
	for _, p := range r.spec.Peers {
		k := s.keys[p.ID]
		if p.Preshared && k.Key == noKey || k.unread != nil {
			continue // status says why
		}
		c.psk[p.ID] = k.inUse()
		p.Allowed = nil
		for region, all := range prefixes {
			if w.Holders[ways.Place{Device: r.spec.Device, Region: region}] == p.ID {
				p.Allowed = append(p.Allowed, all...)
			}
		}
		if a := p.Probe.Addr(); a.IsValid() && !slices.ContainsFunc(p.Allowed, func(x netip.Prefix) bool { return x.Contains(a) }) {
			p.Allowed = append(p.Allowed, netip.PrefixFrom(a, a.BitLen()))
		}
		c.spec.Peers = append(c.spec.Peers, p)
	}
	return c
}

// prefixes are those of every region. With mu held.
func (s *Set) prefixes() map[string][]netip.Prefix {
	out := map[string][]netip.Prefix{}
	for _, r := range s.tunnels {
		for _, p := range r.spec.Peers {
			if out[p.region()] == nil {
				out[p.region()] = p.Allowed
			}
		}
	}
	return out
}

// Prefer sets in which order classes use devices.
func (s *Set) Prefer(all []Preference) {
	prefer := map[uint8][]string{}
	for _, p := range all {
		prefer[p.Class] = p.Devices
	}
	s.mu.Lock()
	s.prefer = prefer
	s.mu.Unlock()
}

// Classes sets which bandwidth classes a device has, those that wait least first.
func (s *Set) Classes(device string, classes []uint8) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.classes[device] = slices.Clone(classes)
	s.instruct()
}

// SetPlan hands the far ends of a region their plan; hash 0: they need none.
func (s *Set) SetPlan(region string, hash uint64, text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if hash == 0 {
		delete(s.plans, region)
	} else {
		s.plans[region] = &planText{hash, text}
	}
	s.instruct()
}

// SetGrant lends an end's root a rate, bit/s; 0: that of its plan. The end is told with its next question, which comes at once when
// the rate is quite another: whoever waits for it shall have it soon.
func (s *Set) SetGrant(peer string, rate uint64) {
	s.mu.Lock()
	i := slices.IndexFunc(s.askers, func(a *asker) bool { return a.peer.ID == peer })
	var a *asker
	if i >= 0 {
		a = s.askers[i]
	}
	s.mu.Unlock()
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.grant
	a.grant = rate
	if part := before / 16; !a.peer.Plain && a.fd >= 0 && (rate > before+part || rate+part < before) {
		a.request(a.class(0), time.Now(), false)
	}
}

// Left is which devices each region's ways leave out now although they would come first, and by which of them no region's packets
// come through.
func (s *Set) Left() (byRegion map[string][]string, lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.machine.Left(time.Now())
}

// Ways is by which end and device everything goes now.
func (s *Set) Ways() ways.Ways {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.machine.Ways()
}
