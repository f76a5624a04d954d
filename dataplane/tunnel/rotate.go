package tunnel

import (
	"fmt"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// stubborn is for how long a pre-shared key may bring no handshake about before the other one is tried: a handshake that goes
// unanswered is tried again after 5 s.
const stubborn = 20 * time.Second

// Rotate makes a new pre-shared key for a peer and offers it to its far end until that has it; the sessions go on. Nothing
// is in force when it returns: Status tells.
func (s *Set) Rotate(peer string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.peer(peer)
	if !ok {
		return fmt.Errorf("pre-shared key of %s: no such peer", peer)
	}
	if p.Plain {
		return fmt.Errorf("pre-shared key of %s: it is a plain peer, which cannot be told; export a key and enter it there", peer)
	}
	k := s.keys[peer]
	if k.unread != nil {
		return k.unread
	}
	if k.Next != noKey {
		return nil // one is on its way
	}
	n := *k
	err := alone(s.o.vault(), peer, func() error {
		file, err := loadPreshared(s.o.vault(), peer)
		if err != nil {
			return err
		}
		if file.Key != k.Key {
			return fmt.Errorf("pre-shared key of %s: another one was imported: commit first, which takes it, or import the former one", peer)
		}
		if n.Next, err = wgtypes.GenerateKey(); err != nil {
			return fmt.Errorf("make a pre-shared key for %s: %w", peer, err)
		}
		return n.keep(s.o.vault(), peer) // not told before it is kept
	})
	if err != nil {
		return err
	}
	*k = n
	s.instruct()
	return nil
}

func (s *Set) peer(id string) (Peer, bool) {
	for _, r := range s.tunnels {
		for _, p := range r.spec.Peers {
			if p.ID == id {
				return p, true
			}
		}
	}
	return Peer{}, false
}

// inForce takes the far end's word of which pre-shared key it has.
func (s *Set) inForce(peer string, id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.keys[peer]; k != nil && k.Next != noKey && id == keyID(k.Next) {
		s.promote(peer, k)
	}
}

// promote makes the next key the one in force. With mu held.
func (s *Set) promote(peer string, k *preshared) {
	k.Key, k.Next, k.Since, k.trying = k.Next, noKey, time.Now(), false
	if err := k.keep(s.o.vault(), peer); err != nil {
		s.o.Log.Error("keep a pre-shared key: after a restart the one before is tried too", "error", err)
	}
	s.o.Log.Info("pre-shared key rotated", "peer", peer)
	s.instruct()
	s.tellEngineOf(peer)
}

func (s *Set) tellEngineOf(peer string) {
	for device, r := range s.tunnels {
		for _, p := range r.spec.Peers {
			if p.ID == peer {
				r.late = true
				go s.settle(device)
			}
		}
	}
}

// lookAtKeys judges ends that are not asked by their handshakes alone, and gets out of a rotation that a loss of power broke.
func (s *Set) lookAtKeys(now time.Time) {
	s.mu.Lock()
	tunnels := make([]*running, 0, len(s.tunnels))
	for _, r := range s.tunnels {
		tunnels = append(tunnels, r)
	}
	s.mu.Unlock()
	for _, r := range tunnels {
		st, err := r.engine.known()
		s.mu.Lock()
		for _, p := range r.spec.Peers {
			h, age := r.handshake(st.peer(p.PublicKey), now)
			fresh := err == nil && !h.IsZero() && age < handshakeLimit
			if !s.asked(p.ID) {
				s.machine.Keys(p.ID, fresh)
			}
			s.lookAtPreshared(p, fresh, h, now)
		}
		s.mu.Unlock()
	}
}

func (s *Set) asked(peer string) bool {
	for _, a := range s.askers {
		if a.peer.ID == peer {
			return true
		}
	}
	return false
}

func (s *Set) lookAtPreshared(p Peer, fresh bool, handshake, now time.Time) {
	k := s.keys[p.ID]
	switch {
	case k.unread != nil, k.Key == noKey && k.Next == noKey && p.Preshared:
		if n, err := loadPreshared(s.o.vault(), p.ID); err == nil && (n.Key != noKey || k.unread != nil) { // imported by now
			*k = n
			s.tellEngineOf(p.ID)
		}
	case k.Next == noKey:
	case k.trying && fresh && handshake.After(k.tried):
		s.promote(p.ID, k) // the far end had taken it, and we did not live to hear of it
	case fresh || k.tried.IsZero():
		k.tried = now
	case now.Sub(k.tried) > stubborn:
		k.trying, k.tried = !k.trying, now
		s.tellEngineOf(p.ID)
	}
}
