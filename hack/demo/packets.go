package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/hack/town"
)

// family picks a host's address of one IP version.
type family struct {
	name string
	of   func(town.Host) netip.Addr
}

var families = []family{{"IPv4", town.Host.Addr4}, {"IPv6", town.Host.Addr6}}

// packets is step 2: one designated communication, and everything beside it.
func (j *job) packets(ctx context.Context) error {
	j.section(2, "A designated communication passes; nothing beside it does")
	for _, f := range families {
		j.check("mn-pc1 opens eLTAX at lg-asp, tcp/443, "+f.name, "passes", func() (string, bool, error) {
			asp, err := town.HostNamed("lg-asp")
			if err != nil {
				return "", false, err
			}
			pc, err := town.HostNamed("mn-pc1")
			if err != nil {
				return "", false, err
			}
			body, err := j.fetch(ctx, "mn-pc1", "https://"+netip.AddrPortFrom(f.of(asp), 443).String()+"/")
			var from netip.AddrPort
			_, serr := fmt.Sscanf(body, "lg-asp answers %s", addrPort{&from})
			return body, err == nil && serr == nil && from.Addr() == f.of(pc), err
		})
	}
	for _, f := range families {
		if err := j.forged(ctx, f); err != nil {
			return err
		}
		j.refused(ctx, f, attempt{host: "mn-pc1", to: "lg-asp", port: 22, reason: "no-cell"})
		j.refused(ctx, f, attempt{host: "lg-asp", to: "mn-pc1", port: 443, reason: "no-cell"})
		for _, a := range []attempt{
			{host: "mn-pc1", to: "in-web", port: 443}, {host: "mn-pc1", to: "in-pc1", port: 445},
			{host: "in-web", to: "mn-pc1", port: 443}, {host: "in-pc1", to: "mn-pc1", port: 445},
		} {
			a.reason = "zone-pair"
			j.refused(ctx, f, a)
		}
	}
	return nil
}

// addrPort lets fmt.Sscanf read an address.
type addrPort struct{ *netip.AddrPort }

func (a addrPort) Scan(state fmt.ScanState, _ rune) error {
	word, err := state.Token(true, nil)
	if err != nil {
		return err
	}
	*a.AddrPort, err = netip.ParseAddrPort(string(word))
	return err
}

// attempt is a connection that must not come about.
type attempt struct {
	host, to string
	port     uint16
	reason   string // whose counter must grow
}

// refused measures an attempt three ways: it gets no answer, no frame of it reaches the other host's wire, and the gate
// counts it under its reason.
func (j *job) refused(ctx context.Context, f family, a attempt) {
	tried := fmt.Sprintf("%s opens %s, tcp/%d, %s", a.host, a.to, a.port, f.name)
	j.check(tried, "dropped: "+a.reason, func() (string, bool, error) {
		from, err := town.HostNamed(a.host)
		if err != nil {
			return "", false, err
		}
		to, err := town.HostNamed(a.to)
		if err != nil {
			return "", false, err
		}
		// Somebody listens, so that only the gate can be the reason.
		l, err := j.listen(a.to, a.port)
		if err != nil {
			return "", false, err
		}
		defer l.Close()
		return j.swallowed(ctx, a.to, f.of(from), a.reason, func() error {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			c, err := j.dial(ctx, a.host, f.of(from), netip.AddrPortFrom(f.of(to), a.port))
			if err == nil {
				c.Close()
				return errors.New("the connection opened")
			}
			if !unanswered(err) {
				return fmt.Errorf("want silence: %w", err)
			}
			return nil
		})
	})
}

// listen opens a port on a host, or does nothing where a server has it already.
func (j *job) listen(host string, port uint16) (net.Listener, error) {
	var l net.Listener
	err := town.In(j.name.Netns(host), func() (err error) {
		l, err = net.Listen("tcp", fmt.Sprintf(":%d", port))
		return err
	})
	if h, herr := town.HostNamed(host); err != nil && herr == nil && len(h.Serves) > 0 {
		return nopListener{}, nil
	}
	return l, err
}

type nopListener struct{ net.Listener }

func (nopListener) Close() error { return nil }

// swallowed runs try and tells how many of its frames reached the victim's wire and how often the gate counted the reason.
func (j *job) swallowed(ctx context.Context, victim string, source netip.Addr, reason string, try func() error) (string, bool, error) {
	arrived := 0
	var counted uint64
	frames, err := j.during(victim, "eth0", func() (err error) {
		counted, err = j.dropped(ctx, reason, try)
		return err
	})
	for _, fr := range frames {
		if fr.source() == source {
			arrived++
		}
	}
	return fmt.Sprintf("%d arrived, %s +%d", arrived, reason, counted), err == nil && arrived == 0 && counted > 0, err
}

// forged tries the permitted communication with papers that are not in order: frames as the forger would write them.
func (j *job) forged(ctx context.Context, f family) error {
	var hosts [4]town.Host
	for i, name := range []string{"mn-pc1", "mn-rogue", "lg-asp", "lg-pc1"} {
		h, err := town.HostNamed(name)
		if err != nil {
			return err
		}
		hosts[i] = h
	}
	pc, rogue, asp, clerk := hosts[0], hosts[1], hosts[2], hosts[3]
	gate, err := j.portMAC("mn0")
	if err != nil {
		return err
	}
	for i, c := range []struct {
		tried  string
		sender town.Host
		mac    packet.MAC
		source netip.Addr
		reason string
	}{
		{"an unregistered PC opens eLTAX", rogue, rogue.MAC, f.of(rogue), "station-unregistered"},
		{"it takes mn-pc1's address", rogue, rogue.MAC, f.of(pc), "station-mac-mismatch"},
		{"mn-pc1 with an LGWAN PC's address", pc, pc.MAC, f.of(clerk), "source-not-in-segment"},
	} {
		j.check(c.tried+", "+f.name, "dropped: "+c.reason, func() (string, bool, error) {
			b, err := syn(c.mac, gate, netip.AddrPortFrom(c.source, uint16(40000+i)), netip.AddrPortFrom(f.of(asp), 443))
			if err != nil {
				return "", false, err
			}
			return j.swallowed(ctx, "lg-asp", c.source, c.reason, func() error { return j.inject(c.sender.Name, b) })
		})
	}
	// The same frame from mn-pc1 in person arrives: it was the papers, not the frame.
	j.check("the same frame, mn-pc1's own papers, "+f.name, "arrives", func() (string, bool, error) {
		b, err := syn(pc.MAC, gate, netip.AddrPortFrom(f.of(pc), 40009), netip.AddrPortFrom(f.of(asp), 443))
		if err != nil {
			return "", false, err
		}
		frames, err := j.during("lg-asp", "eth0", func() error { return j.inject("mn-pc1", b) })
		arrived := 0
		for _, fr := range frames {
			if fr.source() == f.of(pc) {
				arrived++
			}
		}
		return fmt.Sprintf("%d arrived", arrived), arrived > 0, err
	})
	return nil
}

func (j *job) gateLinks() ([]netlink.Link, error) {
	var links []netlink.Link
	err := town.In(j.name.Netns(town.Gate), func() (err error) {
		links, err = netlink.LinkList()
		return err
	})
	return links, err
}
