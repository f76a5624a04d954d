package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/google/gopacket/layers"

	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/hack/town"
)

// crash is step 7: everything that runs on the gate dies at once.
func (j *job) crash(ctx context.Context) error {
	j.section(7, "kill -9 of every daemon: what may pass flows on, nothing else does, nothing is lost")
	before, err := j.remember(ctx)
	if err != nil {
		return err
	}
	const tries = 100
	line, err := j.watch(j.name.Netns("sw-wan"), "p0")
	if err != nil {
		return err
	}
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	line.start(watching)

	t, err := j.startTraffic(ctx)
	if err != nil {
		return err
	}
	defer t.stop()
	if err := sleep(ctx, time.Second); err != nil {
		return err
	}
	j.check("kill -9, all at once", "no process of the gate is left", func() (string, bool, error) {
		killed, err := j.town.KillGate(ctx)
		names := map[string]bool{}
		for _, k := range killed {
			names[strings.Fields(k.Command)[0]] = true
		}
		wireguard := false
		for _, k := range killed {
			wireguard = wireguard || strings.Contains(k.Command, "wireguard")
		}
		return fmt.Sprintf("%d processes of %d programs, WireGuard's child among them: %v", len(killed), len(names), wireguard),
			err == nil && len(names) >= 5 && wireguard, err
	})
	if _, err := t.next(); err != nil { // what came before is no evidence of anything
		return err
	}
	j.check("while all is dead: My Number -> internet, 100 tries", "none arrives", func() (string, bool, error) {
		arrived, err := j.forbidden(ctx, tries)
		return fmt.Sprintf("%d of %d arrived", arrived, tries), arrived == 0, err
	})
	j.check("while all is dead: mn-pc1 <-> lg-asp", "nothing lost", func() (string, bool, error) {
		s, err := t.next()
		return s.String(), s.lossless(), err
	})
	if err := j.must(ctx, "start every daemon again", "the same tables in force, tunnels up", func() (string, bool, error) {
		if err := j.town.RestartGate(ctx); err != nil {
			return "", false, err
		}
		var s gate.Status
		err := j.town.Poll(ctx, 30*time.Second, "the gate to be whole again", func(ctx context.Context) (err error) {
			if s, err = j.status(ctx); err != nil {
				return err
			}
			for _, p := range s.Ports {
				if !p.Guarded() {
					return fmt.Errorf("port %s is not guarded", p.Name)
				}
			}
			for _, u := range s.Tunnels {
				if !u.Up {
					return fmt.Errorf("region %s is not up: %s", u.Region, u.Reason)
				}
			}
			return nil
		})
		return fmt.Sprintf("tables %.12s", s.Hash), err == nil && s.Hash == before.status.Hash && s.Revision == before.status.Revision, err
	}); err != nil {
		return err
	}
	j.check("through the restart: mn-pc1 <-> lg-asp", "nothing lost", func() (string, bool, error) {
		t.stop()
		s, err := t.next()
		return s.String(), s.lossless(), err
	})
	stopWatching()
	<-line.done
	j.check("on the uplink all that time, with mn-pc1 sending to the region", "WireGuard and ARP, nothing in clear", func() (string, bool, error) {
		return inClear(line.frames, line.err)
	})
	j.check("the counter of what was refused meanwhile", "kept, not begun anew", func() (string, bool, error) {
		after, err := j.counters(ctx)
		n := after["zone-pair"].Packets - before.zonePair
		return fmt.Sprintf("zone-pair +%d for %d tries", n, tries), n >= tries && after["zone-pair"].Packets > before.zonePair, err
	})
	return j.compare(ctx, before)
}

// memory is what must be there after the restart as it was before.
type memory struct {
	status    gate.Status
	zonePair  uint64
	transfers map[string]web.State
	audit     []byte
}

func (j *job) remember(ctx context.Context) (memory, error) {
	var m memory
	var errs [4]error
	m.status, errs[0] = j.status(ctx)
	counters, err := j.counters(ctx)
	m.zonePair, errs[1] = counters["zone-pair"].Packets, err
	m.transfers, errs[2] = j.transfers(ctx)
	m.audit, errs[3] = content(j.name.AuditLog())
	return m, errors.Join(errs[:]...)
}

// transfers reads the state of every file of step 4 as its sender sees it.
func (j *job) transfers(ctx context.Context) (map[string]web.State, error) {
	states := map[string]web.State{}
	sender := j.desks["sender"]
	for _, p := range []*paper{&j.paper.letter, &j.paper.table, &j.paper.photo, &j.paper.program, &j.paper.refused} {
		t, err := sender.look(ctx, p.id)
		if err != nil {
			return nil, err
		}
		states[p.name] = t.State
	}
	return states, nil
}

// compare looks for what was there before the crash.
func (j *job) compare(ctx context.Context, before memory) error {
	j.check("transfers after the restart", "each in its state", func() (string, bool, error) {
		now, err := j.transfers(ctx)
		same := 0
		for name, state := range before.transfers {
			if now[name] == state {
				same++
			}
		}
		return fmt.Sprintf("%d of %d as before", same, len(before.transfers)), err == nil && same == len(before.transfers) && same > 0, err
	})
	j.check("an approved file, fetched again", "the same bytes", func() (string, bool, error) {
		b, err := j.desks["receiver"].fetch(ctx, j.paper.letter.id, "download")
		return fmt.Sprintf("%d bytes, SHA-256 %.12s", len(b), digest(b)), err == nil && bytes.Equal(b, j.paper.letter.arrived), err
	})
	j.check("audit events of before", "all there", func() (string, bool, error) {
		now, err := content(j.name.AuditLog())
		lost, events := 0, 0
		for line := range bytes.Lines(before.audit) {
			if bytes.HasPrefix(line, []byte(`{"id"`)) {
				events++
				if !bytes.Contains(now, bytes.TrimSpace(line)) {
					lost++
				}
			}
		}
		return fmt.Sprintf("%d events, %d lost", events, lost), err == nil && events > 0 && lost == 0, err
	})
	return nil
}

// forbidden sends first packets of connections from My Number to the internet and counts those that get there.
func (j *job) forbidden(ctx context.Context, tries int) (int, error) {
	pc, err := town.HostNamed("mn-pc1")
	if err != nil {
		return 0, err
	}
	web, err := town.HostNamed("in-web")
	if err != nil {
		return 0, err
	}
	gate, err := j.portMAC("mn0")
	if err != nil {
		return 0, err
	}
	frames, err := j.during("in-web", "eth0", func() error {
		for i := range tries {
			f := families[i%2]
			b, err := syn(pc.MAC, gate, netip.AddrPortFrom(f.of(pc), uint16(42000+i)), netip.AddrPortFrom(f.of(web), 443))
			if err != nil {
				return err
			}
			if err := j.inject("mn-pc1", b); err != nil {
				return err
			}
			if err := sleep(ctx, 10*time.Millisecond); err != nil {
				return err
			}
		}
		return nil
	})
	arrived := 0
	for _, fr := range frames {
		if s := fr.source(); s == pc.Addr4() || s == pc.Addr6() {
			arrived++
		}
	}
	return arrived, err
}

// inClear sorts what the gate put on its uplink.
func inClear(frames []frame, err error) (string, bool, error) {
	wireguard, arp := 0, 0
	var other []string
	for _, f := range frames {
		p := f.packet()
		udp, _ := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
		switch {
		case p.Layer(layers.LayerTypeARP) != nil:
			arp++
		case udp != nil && udp.SrcPort == 51820 && udp.DstPort == 51820:
			wireguard++
		default:
			other = append(other, fmt.Sprint(p.NetworkLayer()))
		}
	}
	seen := fmt.Sprintf("%d WireGuard, %d ARP, %d other", wireguard, arp, len(other))
	if len(other) > 0 {
		seen += ": " + other[0]
	}
	return seen, err == nil && len(other) == 0 && wireguard > 0, err
}
