package tunnel

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// PeerState is what the WireGuard engine knows of a peer.
type PeerState struct {
	PublicKey string    // base64
	Handshake time.Time // zero: never
	Rx, Tx    uint64    // bytes

	allowed []netip.Prefix
}

// engineState is a WireGuard engine's configuration, as far as it must be compared, and its peers.
type engineState struct {
	at     time.Time // when it was read
	listen uint16
	peers  []PeerState
}

const defaultKeepalive = 25 // seconds

// setup is what an engine shall do: the specification, in which each peer's Allowed is what it carries now, and the keys.
type setup struct {
	spec Spec
	key  wgtypes.Key
	psk  map[string]wgtypes.Key // by peer's ID; none = zeros
}

// uapi is the text of WireGuard's cross-platform configuration protocol that turns the state `now` into what shall be. Peers
// that stay keep their sessions, the listening socket is touched only when its port changes, and a prefix that stays where it
// is, or goes from one peer to another, is without a peer at no moment.
func (c setup) uapi(now engineState) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "private_key=%s\n", hex.EncodeToString(c.key[:]))
	if now.listen != c.spec.Listen {
		fmt.Fprintf(&b, "listen_port=%d\n", c.spec.Listen)
	}
	for _, p := range c.spec.Peers {
		k, err := hexKey(p.PublicKey)
		if err != nil {
			return "", fmt.Errorf("peer %s: %w", p.ID, err)
		}
		psk := c.psk[p.ID]
		fmt.Fprintf(&b, "public_key=%s\npreshared_key=%s\n", k, hex.EncodeToString(psk[:]))
		if p.Endpoint.IsValid() {
			fmt.Fprintf(&b, "endpoint=%s\n", p.Endpoint)
		}
		fmt.Fprintf(&b, "persistent_keepalive_interval=%d\n", p.keepalive())
		for _, a := range p.Allowed {
			if !slices.Contains(now.peer(p.PublicKey).allowed, a) {
				fmt.Fprintf(&b, "allowed_ip=%s\n", a)
			}
		}
	}
	// What went to another peer above is not with its former one any more: taking it from that one has no effect.
	for _, p := range now.peers {
		k, err := hexKey(p.PublicKey)
		if err != nil {
			return "", err
		}
		i := slices.IndexFunc(c.spec.Peers, func(q Peer) bool { return q.PublicKey == p.PublicKey })
		if i < 0 {
			fmt.Fprintf(&b, "public_key=%s\nremove=true\n", k)
			continue
		}
		named := false
		for _, a := range p.allowed {
			if slices.Contains(c.spec.Peers[i].Allowed, a) {
				continue
			}
			if !named {
				fmt.Fprintf(&b, "public_key=%s\n", k)
				named = true
			}
			fmt.Fprintf(&b, "allowed_ip=-%s\n", a)
		}
	}
	return b.String(), nil
}

// peer is what is known of one; nothing, when it is not there.
func (st engineState) peer(publicKey string) PeerState {
	for _, p := range st.peers {
		if p.PublicKey == publicKey {
			return p
		}
	}
	return PeerState{}
}

func (p Peer) keepalive() int {
	if p.Keepalive == 0 {
		return defaultKeepalive
	}
	return max(p.Keepalive, 0)
}

func hexKey(s string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != wgtypes.KeyLen {
		return "", fmt.Errorf("public key %q: want 32 bytes in base64", s)
	}
	return hex.EncodeToString(b), nil
}

// parseUAPI reads the answer to a "get". Lines that it does not know are passed over: newer engines add some.
func parseUAPI(text string) (engineState, error) {
	var (
		st   engineState
		peer *PeerState
		sec  int64
	)
	for sc := bufio.NewScanner(strings.NewReader(text)); sc.Scan(); {
		name, value, ok := strings.Cut(sc.Text(), "=")
		if !ok {
			continue
		}
		var err error
		switch name {
		case "listen_port":
			var n uint64
			n, err = strconv.ParseUint(value, 10, 16)
			st.listen = uint16(n)
		case "public_key":
			var k []byte
			if k, err = hex.DecodeString(value); err == nil && len(k) != wgtypes.KeyLen {
				err = fmt.Errorf("%d bytes", len(k))
			}
			st.peers = append(st.peers, PeerState{PublicKey: base64.StdEncoding.EncodeToString(k)})
			peer = &st.peers[len(st.peers)-1]
		case "allowed_ip":
			var a netip.Prefix
			if a, err = netip.ParsePrefix(value); err == nil && peer != nil {
				peer.allowed = append(peer.allowed, a)
			}
		case "last_handshake_time_sec":
			sec, err = strconv.ParseInt(value, 10, 64)
		case "last_handshake_time_nsec": // follows the seconds
			var nsec int64
			if nsec, err = strconv.ParseInt(value, 10, 64); err == nil && peer != nil && sec > 0 {
				peer.Handshake = time.Unix(sec, nsec)
			}
		case "rx_bytes", "tx_bytes":
			var n uint64
			if n, err = strconv.ParseUint(value, 10, 64); err == nil && peer != nil {
				if name == "rx_bytes" {
					peer.Rx = n
				} else {
					peer.Tx = n
				}
			}
		}
		if err != nil {
			return engineState{}, fmt.Errorf("engine's answer: %s: %w", name, err)
		}
	}
	return st, nil
}
